//! [`Comparison`]: what a comparison found out. The statistics are made in `compare`; this is their
//! serialized form.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Cells, or whole results, against a baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The scenario whose cells these are.
    pub scenario: String,
    /// The axis of the matrix that is the question; `result` when saved results are compared.
    pub across: String,
    /// The columns, the baseline first: values of the axis, or names of results.
    pub columns: Vec<String>,
    /// The load of the baseline's first cell in words: `20 VUs`.
    pub load: String,
    /// What a value of the statistics is taken from.
    pub sample: SampleUnit,
    /// Whether values of two columns belong together.
    pub design: Design,
    /// Samples per column that were asked for.
    pub planned: u32,
    /// Whole ones that the baseline has.
    pub done: u32,
    /// A difference is shown when its p, after Holm, is below this: 0 to 1.
    pub alpha: f64,
    /// A difference of the ratio from 1 below this is not shown, however certain: 0.05 is 5 %.
    pub min_effect: f64,
    /// Of all intervals: 0.95.
    pub confidence: f64,
    /// How many tests were made, over all rows: the family of Holm's correction.
    pub tests: u32,
    /// How many samples per column it takes before any of so many tests can show a difference.
    pub needed: u32,
    /// The test, the estimate and the correction in words.
    pub method: String,
    /// One per metric and combination of the other axes.
    pub rows: Vec<ComparisonRow>,
    /// Reasons to doubt that the columns can be compared.
    pub caveats: Vec<Caveat>,
}

/// What a value of the statistics is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SampleUnit {
    /// One round of a cell.
    Round,
    /// One whole run.
    Run,
}

/// Whether values of two columns belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Design {
    /// They do: the cells ran in the same rounds.
    Paired,
    /// They do not: the runs are apart.
    Independent,
}

/// One metric of one combination of the other axes, over all columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparisonRow {
    /// The other axes.
    pub matrix: BTreeMap<String, String>,
    /// Metric and statistic as they are written: `exec_duration{step:hash} p95`.
    pub metric: String,
    /// The unit of the values.
    pub unit: ValueUnit,
    /// Which way is the good one.
    pub better: Better,
    /// In the order of the columns, the baseline first.
    pub cells: Vec<ComparedCell>,
}

/// The unit of a compared value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueUnit {
    /// Nanoseconds.
    Nanoseconds,
    /// Per second.
    PerSecond,
}

/// Which way is the good one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// Less is better: times.
    Lower,
    /// More is better: throughput.
    Higher,
}

/// One value of a row and how it stands to the baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparedCell {
    /// Its column.
    pub column: String,
    /// `scenario[axis=value]`.
    pub cell: String,
    /// How it stands to the baseline.
    pub standing: Standing,
    /// The centre of its samples (Hodges and Lehmann, on logarithms); absent without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Where the centre is; absent with too few samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_interval: Option<Interval>,
    /// Its value divided by the baseline's, estimated from the pairs; absent for the baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// Where the ratio is; absent with too few samples. Not widened for the number of tests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio_interval: Option<Interval>,
    /// Probability of a difference at least as large where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
    /// The same, corrected for all tests of the comparison (Holm).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_holm: Option<f64>,
    /// How many samples it has: with [`Design::Paired`], pairs.
    pub samples: u32,
    /// Why it has no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An interval that holds the true value with the confidence of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// How a value stands to the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is the baseline.
    Baseline,
    /// A difference is shown, to the bad side.
    Worse,
    /// A difference is shown, to the good side.
    Better,
    /// No difference is shown, or one below the least effect.
    NotShown,
    /// There are too few samples to show any difference.
    TooFew,
    /// There is no value.
    NotApplicable,
}

/// A reason to doubt that the columns of a comparison can be compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Caveat {
    /// The run was stopped before its last round.
    Stopped {
        /// Whole rounds.
        rounds: u32,
        /// Rounds that were asked for.
        planned: u32,
    },
    /// Cells had sandboxes from a warm pool to different shares.
    Footing {
        /// The column or cell.
        cell: String,
        /// Warm sandboxes of the baseline, in percent.
        baseline_percent: u32,
        /// Its own.
        percent: u32,
    },
    /// A fact of the runs differs.
    Differs {
        /// The column.
        column: String,
        /// Which fact.
        fact: RunFact,
        /// The baseline's.
        baseline: String,
        /// Its own.
        other: String,
    },
    /// A cell ran with another load.
    Load {
        /// The column.
        column: String,
        /// The cell.
        cell: String,
        /// The baseline's load.
        baseline: String,
        /// Its own.
        other: String,
    },
    /// A cell is in one of the results only.
    Missing {
        /// The column that does not have it.
        column: String,
        /// The cell.
        cell: String,
    },
    /// The figures of a result are in doubt themselves.
    Doubtful {
        /// The column.
        column: String,
        /// The first reason.
        reason: String,
    },
    /// A column is one run: what differs between two runs of the same (day, machine, neighbours) is
    /// in the difference too.
    OneRunEach,
    /// A result has no rounds: it is one sample.
    NoRounds {
        /// The column.
        column: String,
    },
}

/// A fact of a run that should be the same on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunFact {
    /// The seed.
    Seed,
    /// The text of the scenario file.
    Scenario,
    /// The values of the variables.
    Variables,
    /// Operating system and architecture of the generator.
    Machine,
    /// Cores of the generator.
    Cores,
    /// The cluster.
    Cluster,
    /// The Agent Sandbox API version.
    ApiVersion,
    /// The version of sandbench.
    Version,
    /// Whether sandbench was built without optimisation.
    Build,
}

impl RunFact {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Scenario => "scenario file",
            Self::Variables => "set of variables",
            Self::Machine => "machine",
            Self::Cores => "number of cores",
            Self::Cluster => "cluster",
            Self::ApiVersion => "API version",
            Self::Version => "version of sandbench",
            Self::Build => "build",
        }
    }
}

impl Comparison {
    /// Whether any value is worse than the baseline's.
    pub fn has_regression(&self) -> bool {
        let mut cells = self.rows.iter().flat_map(|row| &row.cells);
        cells.any(|cell| cell.standing == Standing::Worse)
    }
}

impl fmt::Display for Caveat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped { rounds, planned } => {
                write!(f, "stopped after {rounds} of {planned} whole rounds")
            }
            Self::Footing {
                cell,
                baseline_percent,
                percent,
            } => write!(
                f,
                "{cell}: {percent} % of the sandboxes were warm, of the baseline's {baseline_percent} %: \
                 times to create are not alike"
            ),
            Self::Differs {
                column,
                fact,
                baseline,
                other,
            } => write!(
                f,
                "{column}: another {}: {other}; the baseline's: {baseline}",
                fact.word()
            ),
            Self::Load {
                column,
                cell,
                baseline,
                other,
            } => write!(
                f,
                "{column}: {cell} ran with {other}, the baseline with {baseline}"
            ),
            Self::Missing { column, cell } => write!(f, "{column} does not have {cell}"),
            Self::Doubtful { column, reason } => {
                write!(f, "the figures of {column} are in doubt: {reason}")
            }
            Self::OneRunEach => f.write_str(
                "each column is one run: what differs from run to run (day, neighbours, caches) is in \
                 the difference too; give several results per side, `a1.json,a2.json`",
            ),
            Self::NoRounds { column } => write!(
                f,
                "{column} has no rounds and is one sample: run with `--rounds`, or give several results"
            ),
        }
    }
}
