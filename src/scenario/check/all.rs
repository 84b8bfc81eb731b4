//! All checks of a file, one after the other; each is independent of what the others found.

use super::tree::entries;
use super::{compare, names, references, sandbox, target, thresholds, traces};
use crate::scenario::document::{Scenario, ScenarioFile};
use crate::source::Problems;
use crate::source::yaml::Node;

/// Reports everything that is wrong with the file as a whole.
pub(in crate::scenario) fn check(root: &Node, file: &mut ScenarioFile, problems: &mut Problems) {
    names::check(root, problems);
    let used = references::check(root, problems);
    file.environment = used.environment;
    for (scenario, used) in used.data {
        let named = |found: &&mut Scenario| found.id.value == scenario;
        let found = file.scenarios.iter_mut().find(named);
        if let Some(data) = found.and_then(|scenario| scenario.data.as_mut()) {
            data.used = used;
        }
    }
    target::check(root, file, problems);
    thresholds::check(file, problems);
    traces::check(file, problems);
    compare::check(file, problems);
    for (_, scenario) in entries(root.get("scenarios")) {
        sandbox::check(scenario, file, problems);
    }
}
