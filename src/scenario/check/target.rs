//! Every cell has a connection mode, and every mode has the target that it needs.

use std::collections::{HashMap, HashSet};

use super::tree::entries;
use crate::client::ConnectionMode;
use crate::expr::Value;
use crate::scenario::document::{Scenario, ScenarioFile};
use crate::source::yaml::Node;
use crate::source::{Code, Diagnostic, Problems, Span, list_of};

pub(super) fn check(root: &Node, file: &ScenarioFile, problems: &mut Problems) {
    let mut seen = HashSet::new();
    let nodes: HashMap<Span, &Node> = entries(root.get("scenarios"))
        .iter()
        .map(|(id, node)| (id.span, node))
        .collect();
    for scenario in &file.scenarios {
        // What is written, even if it could not be read: that was reported.
        let node = nodes.get(&scenario.id.span);
        let own = node.and_then(|node| node.get("target"));
        let written = |field: &str| {
            [own, root.get("target")]
                .into_iter()
                .flatten()
                .any(|target| target.get(field).is_some())
        };
        let modes = modes(scenario, file);
        let axis = node.and_then(|node| node.get("matrix")?.get("mode"));
        if modes.is_empty() && axis.is_none() && !written("mode") {
            problems.push(no_mode(scenario));
        }
        for (mode, span) in modes {
            let problem = match mode {
                "gateway" if !written("gateway") => Some(no_gateway(span)),
                "direct" if !written("apiUrl") => Some(no_url(span)),
                _ => None,
            };
            // The mode of the file's target is shared by several scenarios: say it once.
            if let Some(problem) = problem.filter(|_| seen.insert(span)) {
                problems.push(problem);
            }
        }
    }
}

/// The modes that a scenario runs in and where they are written.
fn modes<'f>(scenario: &'f Scenario, file: &'f ScenarioFile) -> Vec<(&'f str, Span)> {
    let axis = scenario
        .matrix
        .axes
        .iter()
        .find(|axis| &*axis.name.value == "mode");
    if let Some(axis) = axis {
        return axis
            .values
            .iter()
            .filter_map(|value| match &value.value {
                Value::Text(word) => Some((&**word, value.span)),
                _ => None,
            })
            .collect();
    }
    let mode = scenario.target.mode.or(file.target.mode);
    mode.map(|mode| (mode.value, mode.span))
        .into_iter()
        .collect()
}

fn no_mode(scenario: &Scenario) -> Diagnostic {
    Diagnostic::error(
        Code::MissingField,
        scenario.id.span,
        format!(
            "the scenario `{}` has no connection mode",
            scenario.id.value
        ),
    )
    .label("how are its sandboxes reached?")
    .help("set `target: { mode: WORD }`, or `matrix: { mode: [WORD, …] }` to run in several")
    .help(format!("the modes are {}", list_of(&ConnectionMode::WORDS)))
}

fn no_gateway(span: Span) -> Diagnostic {
    Diagnostic::error(Code::Combination, span, "mode `gateway` needs a Gateway")
        .label("`target.gateway.name` is missing")
        .help("set `target: { gateway: { name: NAME } }`")
}

fn no_url(span: Span) -> Diagnostic {
    Diagnostic::error(Code::Combination, span, "mode `direct` needs a URL")
        .label("`target.apiUrl` is missing")
        .help("set `target: { apiUrl: http://HOST:PORT }`, the address of a router")
}
