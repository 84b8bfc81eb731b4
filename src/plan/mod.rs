//! A scenario after all values are known: resolved, seeded, immutable.
//!
//! Sources in the order in which they win: flag, environment (`SANDBENCH_VAR_…`), file, default.
//! Every default stands in [`defaults`] with its reason.

mod csv;
mod data;
pub mod defaults;
mod effective;
mod feed;
mod resolve;
mod rounds;
mod seed;
mod select;
mod target;
mod variables;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use data::check_data;
pub use effective::{CellSettings, Effective, Setting, effective};
pub use feed::{Feed, Row};
pub use resolve::{Overrides, resolve};
pub use seed::Seed;

use crate::compare::Question;
use crate::expr::{Bindings, Secrets};
use crate::load::Load;
use crate::metrics::{ComparedMetric, Series, StepSummary, Threshold, TraceExpectation};
use crate::source::{SourceFile, Span};
use crate::step::{Action, Step, StepTarget};

/// What a run does. Holds no value that is "not decided yet".
#[derive(Debug, Clone)]
pub struct Plan {
    /// As the file names itself.
    pub name: String,
    /// The file.
    pub file: Arc<SourceFile>,
    /// SHA-256 of its text and that of the files that it uses, hexadecimal.
    pub file_sha256: String,
    /// Label value on everything that the run creates.
    pub run_id: String,
    /// Values of the environment that the file uses: they must not be shown.
    pub secrets: Secrets,
    /// Of everything random.
    pub seed: Seed,
    /// The variables at the start, as text.
    pub vars: BTreeMap<String, String>,
    /// In the order of the file.
    pub cells: Vec<Cell>,
    /// How many cells without `load` run side by side.
    pub jobs: u32,
    /// How long clean-up may take: that of each iteration, and that at the end of the run.
    pub cleanup_limit: Duration,
    /// What the scenarios compare.
    pub questions: Vec<Question>,
}

/// One combination of a scenario's matrix: its own test, series and verdict.
#[derive(Debug, Clone)]
pub struct Cell {
    /// Its scenario.
    pub scenario: String,
    /// `scenario[axis=value,…]`.
    pub name: String,
    /// Its combination.
    pub matrix: BTreeMap<String, String>,
    /// Where its claims are.
    pub namespace: String,
    /// What its steps are pointed at.
    pub target: Arc<StepTarget>,
    /// The steps of one iteration.
    pub steps: Arc<[Step]>,
    /// The steps after every iteration.
    pub finally: Arc<[Step]>,
    /// The steps before the first iteration.
    pub setup: Arc<[Step]>,
    /// The steps after the last iteration.
    pub teardown: Arc<[Step]>,
    /// How often an iteration that fails is tried again.
    pub retries: u32,
    /// For filters of thresholds and for reports.
    pub tags: BTreeMap<String, String>,
    /// The limits for its metrics and the series that they are about.
    pub thresholds: Vec<(Threshold, Series)>,
    /// What is expected of its traces, and where that is written.
    pub traces: Vec<(TraceExpectation, Span)>,
    /// What must hold in every level of a `breakpoint`; empty without one.
    pub holds_while: Vec<(Threshold, Series)>,
    /// How many iterations, how many at a time.
    pub load: Load,
    /// Whether the file says `load`: then the cell has the machine to itself.
    pub exclusive: Exclusive,
    /// In how many rounds it runs, each its whole load; nothing: once.
    pub rounds: Option<Rounds>,
    /// When its scenario starts, counted from the start of the loads; see [`Plan::on_one_timeline`].
    pub start_time: Option<Duration>,
    /// The longest that one iteration may take, clean-up not counted.
    pub timeout: Duration,
    /// The rows of data of its iterations.
    pub data: Option<Feed>,
    /// What names mean in it.
    pub bindings: Arc<Bindings>,
}

/// The rounds of a cell: in each all cells of its scenario run once, in shuffled order.
#[derive(Debug, Clone)]
pub struct Rounds {
    /// How many.
    pub count: u32,
    /// What is taken of each round for the comparison, and the series that it is about.
    pub asked: Arc<[(ComparedMetric, Series)]>,
}

/// Whether a cell runs alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusive {
    /// One at a time: cells with `load` would load each other.
    Yes,
    /// Beside others, up to [`Plan::jobs`].
    No,
}

impl Plan {
    /// Whether the scenarios with `load` run beside each other: a file that says when one of them
    /// starts means them to. Cells of the same scenario still run one after the other.
    pub fn on_one_timeline(&self) -> bool {
        self.cells.iter().any(|cell| cell.start_time.is_some())
    }

    /// What is expected of the traces of its cells.
    pub fn traces(&self) -> impl Iterator<Item = &TraceExpectation> {
        let all = self.cells.iter().flat_map(|cell| &cell.traces);
        all.map(|(expected, _)| expected)
    }
}

/// The line of a step in the file that it stands in.
fn line_of(file: &SourceFile, span: Span) -> usize {
    let (file, span) = file.holding(span);
    file.location(span.start).line
}

impl Cell {
    /// All steps, in the order of [`Cell::step_names`]: of an iteration, `finally`, `setup`,
    /// `teardown`.
    pub fn all_steps(&self) -> impl Iterator<Item = &Step> {
        let lists = [&self.steps, &self.finally, &self.setup, &self.teardown];
        lists.into_iter().flat_map(|steps| steps.iter())
    }

    /// Whether a step of it takes sandboxes from where the target says.
    pub fn uses_target_source(&self) -> bool {
        let mut found = false;
        for step in self.all_steps() {
            step.walk(&mut |step| {
                found |=
                    matches!(&step.action, Action::Create(create) if !create.names_its_source());
            });
        }
        found
    }

    /// Whether it creates sandboxes.
    pub fn creates(&self) -> bool {
        let mut found = false;
        for step in self.all_steps() {
            step.walk(&mut |step| found |= matches!(&step.action, Action::Create(_)));
        }
        found
    }

    /// The steps that have figures, of an iteration and of `finally`, as the file has them: groups and
    /// their steps in order.
    pub fn step_summaries(&self, file: &SourceFile) -> Vec<StepSummary> {
        let mut steps = Vec::new();
        for step in self.steps.iter().chain(self.finally.iter()) {
            step.walk(&mut |step| {
                steps.push(StepSummary {
                    name: step.label(),
                    action: step.action.kind().to_owned(),
                    line: line_of(file, step.span),
                });
            });
        }
        steps
    }

    /// The names of all steps, groups and their steps counted in order.
    pub fn step_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for step in self.all_steps() {
            step.walk(&mut |step| names.push(step.label()));
        }
        names
    }
}
