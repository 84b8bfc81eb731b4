//! Scenario and overrides to [`Plan`].

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::data::{directory, read};
use super::feed::Feed;
use super::rounds::{is_tagged, questions, rounds};
use super::seed::Seed;
use super::target::Layers;
use super::variables::{given_values, variables, with_given};
use super::{Cell, Exclusive, Plan, Row, defaults, select};
use crate::expr::{Bindings, EvalError, Secrets, Value};
use crate::load::Load;
use crate::metrics::{Metric, Series, Threshold, TraceExpectation};
use crate::scenario::{Scenario, ScenarioFile, series};
use crate::source::{Code, Diagnostic, Problems, SourceFile, Span};

/// What the command line and the environment say beside the file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Label value on everything that the run creates.
    pub run_id: String,
    /// The seed.
    pub seed: u64,
    /// `--only`.
    pub only: Vec<String>,
    /// `--var`, which wins over `SANDBENCH_VAR_…`, which wins over the file.
    pub vars: BTreeMap<String, String>,
    /// The environment, for `${{ env.X }}`.
    pub environment: BTreeMap<String, String>,
    /// `--jobs`.
    pub jobs: u32,
    /// `--artifacts`: where `collect` writes files, in a directory for the run.
    pub artifacts: Option<PathBuf>,
    /// `--ttl`.
    pub time_to_live: Option<Duration>,
    /// `--cleanup-timeout`.
    pub cleanup_limit: Option<Duration>,
    /// `--rounds`, for every scenario with a load.
    pub rounds: Option<u32>,
}

/// Makes the plan.
///
/// # Errors
/// Every problem: a variable that the file does not have, an expression without a value.
pub fn resolve(
    document: &ScenarioFile,
    file: &Arc<SourceFile>,
    overrides: &Overrides,
) -> Result<Plan, Problems> {
    let mut problems = Problems::new();
    let mut bindings = Bindings::new();
    bindings.set("run", "id", overrides.run_id.as_str());
    bindings.set(
        "run",
        "seed",
        i64::try_from(overrides.seed).unwrap_or(i64::MAX),
    );
    for (name, value) in &overrides.environment {
        bindings.set("env", name.as_str(), value.as_str());
    }
    let secrets = Secrets::new(
        document
            .environment
            .iter()
            .filter_map(|name| overrides.environment.get(&**name).cloned()),
    );
    let mut vars = variables(document, overrides, &mut bindings, &mut problems);
    for value in vars.values_mut() {
        *value = secrets.hide(value);
    }
    let given = given_values(document, overrides, &bindings);
    let bindings = Arc::new(bindings);
    let mut cells = Vec::new();
    for scenario in &document.scenarios {
        let data = scenario.data.as_ref();
        let rows = data.and_then(|data| read(data, file, &mut problems));
        for matrix in scenario.matrix.combinations() {
            cells.extend(cell(
                (document, file),
                scenario,
                Varying {
                    combination: &matrix,
                    bindings: &bindings,
                    rows: rows.as_ref(),
                    secrets: &secrets,
                    given: &given,
                },
                overrides,
                &mut problems,
            ));
        }
    }
    if problems.has_errors() {
        problems.sort();
        return Err(problems);
    }
    Ok(Plan {
        name: document.name.value.clone(),
        file: Arc::clone(file),
        file_sha256: sha256(file),
        secrets,
        run_id: overrides.run_id.clone(),
        seed: Seed(overrides.seed),
        vars,
        cells,
        jobs: overrides.jobs.max(1),
        cleanup_limit: overrides.cleanup_limit.unwrap_or(defaults::CLEANUP_LIMIT),
        questions: questions(document, overrides),
    })
}

/// Of the text of a file, and of those that it uses.
fn sha256(file: &SourceFile) -> String {
    let mut digest = Sha256::new_with_prefix(file.text());
    for other in file.other_files() {
        digest.update(other.text());
    }
    let mut digits = String::with_capacity(64);
    for byte in digest.finalize() {
        write!(digits, "{byte:02x}").expect("writing to a string cannot fail");
    }
    digits
}

type Combination = Vec<(Arc<str>, Value)>;

/// What differs from cell to cell, and what is around them.
#[derive(Clone, Copy)]
struct Varying<'a> {
    combination: &'a Combination,
    bindings: &'a Arc<Bindings>,
    rows: Option<&'a Arc<[Row]>>,
    secrets: &'a Secrets,
    given: &'a [(Span, Value)],
}

fn cell(
    (document, file): (&ScenarioFile, &SourceFile),
    scenario: &Scenario,
    Varying {
        combination,
        bindings,
        rows,
        secrets,
        given,
    }: Varying<'_>,
    overrides: &Overrides,
    problems: &mut Problems,
) -> Option<Cell> {
    let mut bindings = bindings.child();
    let mut matrix = BTreeMap::new();
    let mut axes = Vec::new();
    for (name, value) in combination {
        let text = value
            .to_text()
            .unwrap_or_else(|| Arc::from(value.type_name()));
        axes.push(format!("{name}={text}"));
        matrix.insert(name.to_string(), text.to_string());
        bindings.set("matrix", Arc::clone(name), value.clone());
    }
    let id = scenario.id.value.to_string();
    if !select::is_selected(&overrides.only, &id, &matrix) {
        return None;
    }
    let name = cell_name(&id, &axes);
    bindings.set("scenario", "name", id.as_str());
    if !is_wanted(scenario, &bindings, problems) {
        return None;
    }
    let layers = Layers {
        scenario: &scenario.target,
        file: &document.target,
        time_to_live: overrides.time_to_live,
    };
    let timeout = scenario.timeout.unwrap_or(defaults::ITERATION_TIMEOUT);
    let Some(word) = layers.mode_word(matrix.get("mode").map(String::as_str)) else {
        problems.push(
            Diagnostic::error(Code::MissingField, scenario.id.span, "no connection mode")
                .help("add `mode` to the matrix or to `target`"),
        );
        return None;
    };
    let place = (word.as_str(), scenario.id.span);
    let mut target = layers.step_target(place, timeout, &bindings, problems)?;
    target.directory = directory(file);
    target.artifacts = overrides
        .artifacts
        .as_ref()
        .map(|directory| directory.join(&overrides.run_id));
    target.secrets = secrets.clone();
    let load = match &scenario.load_template {
        Some(template) => template.load(&bindings, problems)?,
        None => scenario.load.clone().unwrap_or_else(Load::once),
    };
    let thresholds = thresholds(document, scenario, &matrix);
    let rounds = rounds(scenario, overrides, &matrix);
    let holds_while = holds_while(scenario, &matrix);
    let data = rows.zip(scenario.data.as_ref()).map(|(rows, data)| {
        Feed::new(
            rows,
            (data.order, data.on_end),
            (Seed(overrides.seed), &name),
        )
    });
    Some(Cell {
        thresholds,
        traces: traces(document, scenario),
        rounds,
        holds_while,
        namespace: layers.namespace(&bindings, problems),
        scenario: id,
        name,
        matrix,
        target: Arc::new(target),
        steps: with_given(&scenario.steps, given).into(),
        finally: with_given(&scenario.finally, given).into(),
        setup: with_given(&scenario.setup, given).into(),
        teardown: with_given(&scenario.teardown, given).into(),
        retries: scenario.retries,
        tags: tags(scenario),
        exclusive: exclusive(scenario),
        load,
        start_time: scenario.start_time,
        timeout,
        data,
        bindings: Arc::new(bindings),
    })
}

/// `scenario[axis=value,…]`.
fn cell_name(scenario: &str, axes: &[String]) -> String {
    if axes.is_empty() {
        scenario.to_owned()
    } else {
        format!("{scenario}[{}]", axes.join(","))
    }
}

fn tags(scenario: &Scenario) -> BTreeMap<String, String> {
    let tags = scenario.tags.iter();
    tags.map(|(name, value)| (name.value.to_string(), value.to_string()))
        .collect()
}

/// What loads the cluster, or has its place in time, does not share it.
fn exclusive(scenario: &Scenario) -> Exclusive {
    if scenario.has_load() || scenario.start_time.is_some() {
        Exclusive::Yes
    } else {
        Exclusive::No
    }
}

/// The thresholds of the file and of the scenario that are about a cell.
fn thresholds(
    document: &ScenarioFile,
    scenario: &Scenario,
    matrix: &BTreeMap<String, String>,
) -> Vec<(Threshold, Series)> {
    let all = document.thresholds.iter().chain(&scenario.thresholds);
    let can_be = all.filter(|declared| {
        declared.threshold.selector.metric != Metric::BreakpointRate
            || !scenario.holds_while.is_empty()
    });
    about(can_be.map(|declared| &declared.threshold), scenario, matrix)
}

/// What the file and the scenario expect of the traces of a cell.
fn traces(document: &ScenarioFile, scenario: &Scenario) -> Vec<(TraceExpectation, Span)> {
    let all = document.traces.iter().chain(&scenario.traces);
    let about = all.filter_map(|declared| {
        let steps = scenario.steps_of_iteration();
        Some((declared.about(steps)?, declared.span))
    });
    about.collect()
}

/// What must hold in every level of a scenario with `breakpoint`. Where it says nothing about
/// failures or dropped iterations, there must be none: a level of nothing but failures is fast.
fn holds_while(scenario: &Scenario, matrix: &BTreeMap<String, String>) -> Vec<(Threshold, Series)> {
    if scenario.holds_while.is_empty() {
        return Vec::new();
    }
    let written = scenario.holds_while.iter().map(|limit| &limit.threshold);
    let none_of = [Metric::Failures, Metric::DroppedIterations].map(Threshold::none_of);
    let unsaid = none_of.iter().filter(|none| {
        let mut written = written.clone();
        !written.any(|limit| limit.selector.metric == none.selector.metric)
    });
    about(written.clone().chain(unsaid), scenario, matrix)
}

/// Those thresholds that are about a cell, with the series that they mean.
fn about<'t>(
    thresholds: impl Iterator<Item = &'t Threshold>,
    scenario: &Scenario,
    matrix: &BTreeMap<String, String>,
) -> Vec<(Threshold, Series)> {
    let is_tagged = |tag: &str, value: &str| is_tagged(scenario, matrix, tag, value);
    thresholds
        .filter_map(|threshold| {
            let steps = scenario.steps_of_iteration();
            let series = series(&threshold.selector, is_tagged, steps)?;
            Some((threshold.clone(), series))
        })
        .collect()
}

/// An expression that has no value, at its place.
pub(super) fn not_evaluated(error: &EvalError) -> Diagnostic {
    error.diagnostic()
}

/// What the scenario's `if` says about a cell.
fn is_wanted(scenario: &Scenario, bindings: &Bindings, problems: &mut Problems) -> bool {
    let Some(condition) = &scenario.condition else {
        return true;
    };
    problems.push(match condition.evaluate(bindings) {
        Ok(Value::Bool(wanted)) => return wanted,
        Ok(value) => {
            let message = format!("`if` is {value}, not true or false");
            Diagnostic::error(Code::Expression, condition.span(), message)
                .label("neither true nor false")
        }
        Err(error) => not_evaluated(&error),
    });
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;

    const FILE: &str = "version: 1\nname: t\nvars: { n: 1, text: 'n is ${{ vars.n }}' }\n\
        target: { warmPool: p, gateway: { name: g } }\n\
        scenarios:\n  a:\n    matrix: { mode: [gateway, tunnel], size: [1KiB, 2KiB] }\n    steps:\n\
        \x20     - create: {}\n      - exec: echo ${{ vars.text }} ${{ matrix.size }}\n";

    fn plan(overrides: &Overrides) -> Result<Plan, Vec<String>> {
        let file = Arc::new(SourceFile::from_text("t.yaml", FILE));
        let (document, problems) = parse(&file);
        let told = |problems: &Problems| problems.iter().map(|p| p.message.clone()).collect();
        let document = document.ok_or_else(|| told(&problems))?;
        resolve(&document, &file, overrides).map_err(|problems| told(&problems))
    }

    #[test]
    fn every_combination_is_a_cell_with_its_own_mode() {
        let plan = plan(&Overrides::default()).unwrap();
        let names: Vec<&str> = plan.cells.iter().map(|cell| cell.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "a[mode=gateway,size=1KiB]",
                "a[mode=gateway,size=2KiB]",
                "a[mode=tunnel,size=1KiB]",
                "a[mode=tunnel,size=2KiB]"
            ]
        );
        assert_eq!(plan.cells[0].target.mode.word(), "gateway");
        assert_eq!(plan.cells[3].namespace, "default");
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_file() {
        let shown = |overrides: &Overrides| plan(overrides).unwrap().vars["text"].clone();
        let mut overrides = Overrides::default();
        assert_eq!(shown(&overrides), "n is 1");
        overrides
            .environment
            .insert("SANDBENCH_VAR_n".to_owned(), "2".to_owned());
        assert_eq!(shown(&overrides), "n is 2");
        overrides.vars.insert("n".to_owned(), "3".to_owned());
        assert_eq!(shown(&overrides), "n is 3");
    }

    #[test]
    fn an_unknown_variable_is_a_problem_and_a_selection_selects() {
        let mut overrides = Overrides::default();
        overrides.vars.insert("m".to_owned(), "3".to_owned());
        let problems = plan(&overrides).unwrap_err();
        assert_eq!(problems, ["`--var m=…`: the file has no variable `m`"]);
        let only = vec!["a[mode=tunnel]".to_owned()];
        let selected = plan(&Overrides {
            only,
            ..Overrides::default()
        })
        .unwrap();
        assert_eq!(selected.cells.len(), 2);
    }
}
