//! A scenario file as it is written, every value with its place.

use std::sync::Arc;
use std::time::Duration;

use super::compare::Compare;
use super::data::Data;
use super::load::LoadTemplate;
use super::matrix::Matrix;
use super::target::Target;
use super::threshold::DeclaredThreshold;
use super::traces::DeclaredExpectation;
use crate::expr::{Expression, Operand};
use crate::load::Load;
use crate::source::yaml::Key;
use crate::source::{Span, Spanned};
use crate::step::Step;

/// One YAML document: the target, the variables and the scenarios.
#[derive(Debug, Clone)]
pub struct ScenarioFile {
    /// The name of the file in reports.
    pub name: Spanned<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The variables in the order of the file; a variable may use those above it.
    pub vars: Vec<(Key, Operand)>,
    /// What the run is pointed at; a scenario's own target goes before it, field by field.
    pub target: Target,
    /// The scenarios in the order of the file; at least one.
    pub scenarios: Vec<Scenario>,
    /// Judged in every cell that has their tags.
    pub thresholds: Vec<DeclaredThreshold>,
    /// What is expected of the traces of every cell that has such steps.
    pub traces: Vec<DeclaredExpectation>,
    /// The environment variables that expressions use; their values are not shown.
    pub environment: Vec<Arc<str>>,
}

/// One entry of `scenarios`.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its key: stable, for reports and selection.
    pub id: Key,
    /// What it is for.
    pub description: Option<String>,
    /// What differs from the target of the file.
    pub target: Target,
    /// Every combination of it is a cell.
    pub matrix: Matrix,
    /// The steps of one iteration; at least one.
    pub steps: Vec<Step>,
    /// A row of data per iteration.
    pub data: Option<Data>,
    /// The load; without it one VU does one iteration.
    /// With expressions in it, what it is with the variables as the file has them, if that is known.
    pub load: Option<Load>,
    /// The load if there are expressions in it.
    pub load_template: Option<LoadTemplate>,
    /// Which cells are compared, over how many rounds.
    pub compare: Option<Compare>,
    /// The longest that one iteration may take, clean-up not counted.
    pub timeout: Option<Duration>,
    /// When it starts, counted from the start of the loads. If any scenario of the file has one, the
    /// scenarios with `load` run beside each other, otherwise one after the other.
    pub start_time: Option<Duration>,
    /// Steps that run after every iteration, even a failed or cancelled one.
    pub finally: Vec<Step>,
    /// Steps before the first iteration of a cell; if they fail, no iteration runs.
    pub setup: Vec<Step>,
    /// Steps after the last iteration of a cell.
    pub teardown: Vec<Step>,
    /// How often an iteration that fails is tried again; 0 to 100.
    pub retries: u32,
    /// For filters of thresholds and for reports.
    pub tags: Vec<(Key, Arc<str>)>,
    /// Judged in every cell of it.
    pub thresholds: Vec<DeclaredThreshold>,
    /// What is expected of the traces of every cell of it.
    pub traces: Vec<DeclaredExpectation>,
    /// What must hold in every level of a `breakpoint`; empty without one.
    pub holds_while: Vec<DeclaredThreshold>,
    /// Which cells run: those where it is true.
    pub condition: Option<Expression>,
    /// The whole entry.
    pub span: Span,
}

impl Scenario {
    /// Whether it has a `load`.
    pub fn has_load(&self) -> bool {
        self.load.is_some() || self.load_template.is_some()
    }

    /// The steps of an iteration, `finally` included; those of `setup` and `teardown` run once.
    pub(crate) fn steps_of_iteration(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().chain(&self.finally)
    }
}
