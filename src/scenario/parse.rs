//! Text to a [`ScenarioFile`]: known fields, types, and then the checks of `check`.

use super::check;
use super::compare::Compare;
use super::data::Data;
use super::document::{Scenario, ScenarioFile};
use super::expand::expand;
use super::load::{LoadTemplate, with_defaults};
use super::matrix;
use super::target::Target;
use super::threshold::{self, DeclaredThreshold};
use super::traces::{self, DeclaredExpectation};
use crate::expr::Operand;
use crate::load::Load;
use crate::source::yaml::{self, Key, Node};
use crate::source::{
    Code, Diagnostic, Field, Fields, Problems, Shape, SourceFile, Spanned, Takes, read_map,
    wrong_type,
};
use crate::step::{self, Step};
use crate::units::HumanDuration;

/// The fields of a scenario file.
pub const FILE: Shape = Shape {
    what: "the scenario file",
    fields: &[
        Field::required("version", Takes::Whole(1, 1), "version of the language"),
        Field::required("name", Takes::Text, "name of the file in reports"),
        Field::new("description", Takes::Text, "what it is for, for people"),
        Field::new(
            "vars",
            Takes::Map(&Takes::Value),
            "variables: `${{ vars.NAME }}`; one may use those above it, `--var` and `SANDBENCH_VAR_NAME` override it",
        ),
        Field::new(
            "target",
            Takes::Fields(&super::target::SHAPE),
            "what the run is pointed at; a scenario's own `target` goes before it, field by field",
        ),
        Field::required(
            "scenarios",
            Takes::Map(&Takes::Fields(&SCENARIO)),
            "the scenarios by their id, which is stable for reports and `--only`",
        ),
        Field::new(
            "thresholds",
            Takes::Thresholds(&threshold::LONG),
            "limits for metrics of all scenarios that have the tags",
        ),
        Field::new(
            "traces",
            Takes::Fields(&traces::SHAPE),
            "what is expected of the traces of all scenarios that have such steps",
        ),
    ],
    later: &[],
    help: None,
};

/// The fields of a scenario.
pub const SCENARIO: Shape = Shape {
    what: "a scenario",
    fields: &[
        Field::new("description", Takes::Text, "what it is for, for people"),
        Field::new(
            "target",
            Takes::Fields(&super::target::SHAPE),
            "what differs from the target of the file",
        ),
        Field::new(
            "matrix",
            Takes::Matrix,
            "every combination of the axes' values is a cell, with figures and a verdict of its own",
        ),
        Field::required("steps", Takes::Steps, "the steps of one iteration"),
        Field::new(
            "load",
            Takes::Fields(&crate::load::SHAPE),
            "how many iterations, how many at a time; default: one per cell",
        ),
        Field::new(
            "timeout",
            Takes::Duration,
            "the longest that one iteration may take, clean-up not counted; default: 5m",
        ),
        Field::new(
            "finally",
            Takes::Steps,
            "steps after every iteration, even a failed or cancelled one; 30s in all",
        ),
        Field::new(
            "startTime",
            Takes::Duration,
            "when it starts, counted from the start of the loads; with it the scenarios run beside each other",
        ),
        Field::new(
            "setup",
            Takes::Steps,
            "steps once per cell, before its first iteration; if they fail, none runs",
        ),
        Field::new(
            "teardown",
            Takes::Steps,
            "steps once per cell, after its last iteration; 1m in all",
        ),
        Field::new(
            "retries",
            Takes::Whole(0, 100),
            "how often a failed iteration is tried again; a pass is then FLAKY; not with `load`; default: 0",
        ),
        Field::new(
            "tags",
            Takes::Map(&Takes::Value),
            "fixed texts for filters of thresholds and for reports",
        ),
        Field::new(
            "if",
            Takes::Expression,
            "which cells run: those where it is true",
        ),
        Field::new(
            "thresholds",
            Takes::Thresholds(&threshold::LONG),
            "limits for metrics, judged in every cell",
        ),
        Field::new(
            "traces",
            Takes::Fields(&traces::SHAPE),
            "what is expected of its traces, judged in every cell",
        ),
        Field::new(
            "data",
            Takes::Either(&[Takes::Text, Takes::Fields(&super::data::SHAPE)]),
            "a file with a row per iteration: `${{ data.COLUMN }}`",
        ),
        Field::new(
            "compare",
            Takes::Fields(&super::compare::SHAPE),
            "which cells are compared, with what, over how many rounds; needs `load`",
        ),
    ],
    later: &[],
    help: None,
};

/// Reads and checks a scenario file.
///
/// All problems that can be found are in the list, sorted by place. The file is `None` if there
/// is an error among them. Does no I/O, reads no clock and no environment.
pub fn parse(file: &SourceFile) -> (Option<ScenarioFile>, Problems) {
    let mut problems = Problems::new();
    let Some(root) = yaml::parse(file, &mut problems) else {
        problems.sort();
        return (None, problems);
    };
    let root = expand(root, file, &mut problems);
    let mut document = decode(&root, &mut problems);
    if let Some(document) = &mut document {
        check::check(&root, document, &mut problems);
    }
    problems.sort();
    let valid = document.filter(|_| !problems.has_errors());
    (valid, problems)
}

fn decode(root: &Node, problems: &mut Problems) -> Option<ScenarioFile> {
    let fields = Fields::of(root, &FILE, problems)?;
    version(&fields, problems);
    let name = fields.required("name", problems).unwrap_or_default();
    let description = fields.optional("description", problems);
    let vars = fields
        .node("vars")
        .and_then(|node| read_map::<Operand>(node, "variables", problems))
        .unwrap_or_default();
    let target = target(&fields, problems);
    let mut scenarios = fields
        .required_node("scenarios", problems)
        .map(|node| scenarios(node, problems))
        .unwrap_or_default();
    for scenario in &mut scenarios {
        with_defaults(scenario, &vars, problems);
    }
    Some(ScenarioFile {
        name,
        description,
        vars,
        target,
        scenarios,
        thresholds: thresholds(&fields, problems),
        traces: traces(&fields, problems),
        environment: Vec::new(),
    })
}

fn version(fields: &Fields<'_>, problems: &mut Problems) {
    let version: Option<Spanned<i64>> = fields.required("version", problems);
    if let Some(version) = version.filter(|version| version.value != 1) {
        problems.push(
            Diagnostic::error(
                Code::BadValue,
                version.span,
                format!("version {} of the language is not known", version.value),
            )
            .label("this version of sandbench reads version 1"),
        );
    }
}

fn target(fields: &Fields<'_>, problems: &mut Problems) -> Target {
    fields
        .node("target")
        .map(|node| Target::decode(node, problems))
        .unwrap_or_default()
}

fn thresholds(fields: &Fields<'_>, problems: &mut Problems) -> Vec<DeclaredThreshold> {
    let node = fields.node("thresholds");
    node.map(|node| threshold::decode(node, problems))
        .unwrap_or_default()
}

fn traces(fields: &Fields<'_>, problems: &mut Problems) -> Vec<DeclaredExpectation> {
    let node = fields.node("traces");
    node.map(|node| traces::decode(node, problems))
        .unwrap_or_default()
}

fn scenarios(node: &Node, problems: &mut Problems) -> Vec<Scenario> {
    let Some(entries) = node.as_mapping() else {
        wrong_type(node, "a mapping of scenario ids to scenarios", problems);
        return Vec::new();
    };
    if entries.is_empty() {
        problems.push(
            Diagnostic::error(Code::BadValue, node.span, "`scenarios` has no scenario")
                .label("empty"),
        );
    }
    entries
        .iter()
        .filter_map(|(id, node)| scenario(id, node, problems))
        .collect()
}

fn scenario(id: &Key, node: &Node, problems: &mut Problems) -> Option<Scenario> {
    let fields = Fields::of(node, &SCENARIO, problems)?;
    let list = fields.node("steps");
    if list.is_none_or(|node| node.as_sequence().is_some_and(<[_]>::is_empty)) {
        problems.push(
            Diagnostic::error(
                Code::MissingField,
                list.map_or(id.span, |node| node.span),
                format!("the scenario `{}` has no steps", id.value),
            )
            .label("nothing to do")
            .help("begin with `steps: [{ create: {} }, { exec: echo hello }]`"),
        );
    }
    let load = fields.node("load");
    let load_template = load.and_then(LoadTemplate::of);
    Some(Scenario {
        id: id.clone(),
        description: fields.optional("description", problems),
        target: target(&fields, problems),
        matrix: fields
            .node("matrix")
            .map(|node| matrix::decode(node, problems))
            .unwrap_or_default(),
        steps: list.map(|node| steps(node, problems)).unwrap_or_default(),
        data: fields
            .node("data")
            .and_then(|node| Data::decode(node, problems)),
        load: load
            .filter(|_| load_template.is_none())
            .and_then(|node| Load::decode(node, problems)),
        load_template,
        compare: fields
            .entry("compare")
            .and_then(|(key, node)| Compare::decode(key, node, problems)),
        timeout: fields
            .quantity::<HumanDuration>("timeout", problems)
            .map(|duration| duration.0),
        start_time: fields
            .quantity::<HumanDuration>("startTime", problems)
            .map(|duration| duration.0),
        finally: list_of_steps(&fields, "finally", problems),
        setup: list_of_steps(&fields, "setup", problems),
        teardown: list_of_steps(&fields, "teardown", problems),
        retries: scenario_retries(&fields, problems),
        tags: fields
            .node("tags")
            .map(|node| step::tags(node, problems))
            .unwrap_or_default(),
        condition: fields.optional("if", problems),
        thresholds: thresholds(&fields, problems),
        traces: traces(&fields, problems),
        holds_while: fields
            .node("load")
            .map(|load| threshold::decode_levels(load, problems))
            .unwrap_or_default(),
        span: id.span.to(node.span),
    })
}

fn list_of_steps(fields: &Fields<'_>, name: &str, problems: &mut Problems) -> Vec<Step> {
    let node = fields.node(name);
    node.map(|node| steps(node, problems)).unwrap_or_default()
}

/// A load counts what fails; only a test is tried again.
fn scenario_retries(fields: &Fields<'_>, problems: &mut Problems) -> u32 {
    let Some((key, node)) = fields.entry("retries") else {
        return 0;
    };
    if fields.has("load") {
        problems.push(
            Diagnostic::error(
                Code::Combination,
                key.span,
                "a scenario with `load` has no `retries`",
            )
            .label("excludes `load`")
            .help("a load counts failures; put `retries` on the step that may fail"),
        );
    }
    step::retries(node, problems)
}

fn steps(node: &Node, problems: &mut Problems) -> Vec<Step> {
    let Some(items) = node.as_sequence() else {
        wrong_type(node, "a list of steps", problems);
        return Vec::new();
    };
    items
        .iter()
        .filter_map(|item| Step::decode(item, problems))
        .collect()
}
