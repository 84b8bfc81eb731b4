//! [`Summary`]: everything that a run found out. The JSON result is this, serialized.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::aggregate::CellCounts;
use super::breakpoint::{BreakpointSummary, Finding};
use super::collected::Collection;
use super::comparison::Comparison;
use super::doubt::{Doubt, Generator};
use super::leaks::Leaks;
use super::metric::Metric;
use super::round::RoundSummary;
use super::series::MetricSummary;
use super::telemetry::TelemetrySummary;
use super::threshold::ThresholdResult;
use super::trace_expectation::TraceResult;
use super::warning::Warning;
use super::window::WindowSummary;

/// The version of the result's format; raised when a field changes its meaning.
pub const FORMAT_VERSION: u32 = 1;

/// Everything that a run found out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Summary {
    /// Version of this format.
    pub format_version: u32,
    /// The whole run's verdict.
    pub verdict: Verdict,
    /// Facts of the run.
    pub run: RunInfo,
    /// One entry per cell, in the order of the file.
    pub cells: Vec<CellSummary>,
    /// Every threshold in every cell that it is about.
    #[serde(default)]
    pub thresholds: Vec<ThresholdResult>,
    /// Every expectation on traces in every cell that it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traces: Vec<TraceResult>,
    /// Cells against a baseline: of every `compare` of the file, then of `--baseline`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comparisons: Vec<Comparison>,
    /// Failures by place and cause, most frequent first.
    pub failures: Vec<FailureGroup>,
    /// What `collect` steps collected.
    #[serde(default, skip_serializing_if = "Collection::is_empty")]
    pub collected: Collection,
    /// What was left behind.
    pub leaks: Leaks,
    /// Whether the figures can be relied on.
    #[serde(default)]
    pub doubt: Doubt,
    /// How the generator itself fared.
    #[serde(default)]
    pub generator: Generator,
    /// Reasons to doubt the figures, and notes.
    pub warnings: Vec<Warning>,
    /// What became of traces and metrics that were sent somewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<TelemetrySummary>,
}

/// How a run or a cell ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything was as expected.
    Passed,
    /// A step or an expectation failed.
    Failed,
    /// It was stopped before its end.
    Interrupted,
    /// The cell's runtime cannot do what a step wants; nothing was found out.
    NotApplicable,
}

/// Facts of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunInfo {
    /// The run's id; also the label `sandbench.dev/run-id` on everything that it created.
    pub id: String,
    /// Name of the scenario file as it names itself.
    pub name: String,
    /// Its path as given.
    pub file: String,
    /// SHA-256 of its text.
    pub file_sha256: String,
    /// The seed of everything random.
    pub seed: u64,
    /// Version of sandbench.
    pub version: String,
    /// When the run started (RFC 3339, UTC).
    pub started_at: String,
    /// How long it took, clean-up included, in milliseconds.
    pub duration_ms: u64,
    /// `loopback`, `current` or `context:NAME`.
    pub cluster: String,
    /// The Agent Sandbox API version that was spoken.
    pub api_version: String,
    /// The namespace.
    pub namespace: String,
    /// Operating system and architecture of the generator.
    pub machine: String,
    /// Cores that the generator may use.
    pub cores: usize,
    /// Under which flow schema and priority level the API server puts the creating of claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow_control: Option<FlowControl>,
    /// The values of the scenario's variables at the start; those that look like secrets are left out.
    pub vars: BTreeMap<String, String>,
    /// The text of the scenario file; what looks like a secret is left out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file_text: String,
    /// Of a merged result: the ids of the runs that it is the sum of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<String>,
}

/// Under which of the API server's limits requests fall: by name, or by UID where names may not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowControl {
    /// The flow schema.
    pub flow_schema: String,
    /// The priority level.
    pub priority_level: String,
}

/// What one cell found out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CellSummary {
    /// Its scenario.
    pub scenario: String,
    /// `scenario[axis=value]`.
    pub cell: String,
    /// Its combination of the matrix.
    pub matrix: BTreeMap<String, String>,
    /// Its verdict.
    pub verdict: Verdict,
    /// Why it is not applicable: what the cell's runtime cannot do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_applicable: Option<String>,
    /// Its load model in words: `20 VUs`, `50/s`.
    #[serde(default)]
    pub load: String,
    /// Virtual users; of an open model: the most iterations at the same time.
    pub vus: u32,
    /// Iterations that were asked for, warm-up included; absent when that is not known before.
    pub iterations_planned: Option<u64>,
    /// Iterations that passed.
    pub iterations_passed: u64,
    /// Iterations that failed.
    pub iterations_failed: u64,
    /// Iterations that were stopped before their end.
    pub iterations_interrupted: u64,
    /// Iterations that were due and found no room; not run.
    #[serde(default)]
    pub iterations_dropped: u64,
    /// How many of all were warm-up, whose figures are left out.
    #[serde(default)]
    pub iterations_warmup: u64,
    /// When its first iteration could start, in milliseconds from the start of the run.
    #[serde(default)]
    pub started_ms: u64,
    /// From the first iteration's start to the last one's end, in milliseconds.
    pub duration_ms: u64,
    /// The steps of an iteration and of `finally`, groups and their steps in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepSummary>,
    /// Every series; of a cell with rounds, all rounds together.
    pub metrics: Vec<MetricSummary>,
    /// How long a window is, in milliseconds: a second, and longer in a long run, so that there are
    /// never more than [`Timeline::LIMIT`](super::Timeline::LIMIT).
    #[serde(default)]
    pub window_ms: u64,
    /// The cell over time, warm-up left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<WindowSummary>,
    /// Its rounds, if it ran in rounds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<RoundSummary>,
    /// What a load with `breakpoint` found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breakpoint: Option<BreakpointSummary>,
}

impl CellSummary {
    /// The sum of a counter over all steps; 0 if nothing was counted.
    pub fn counter(&self, metric: Metric) -> u64 {
        let series = self.metrics.iter();
        series
            .filter(|series| series.metric == metric.name() && series.step.is_none())
            .filter_map(|series| series.value)
            .sum()
    }

    /// Adds a counter that no sample was made for.
    pub(crate) fn count(&mut self, metric: Metric, value: u64) {
        self.metrics.push(MetricSummary::counter(metric, value));
    }

    /// The cell's runtime cannot do what a step wants.
    pub fn not_applicable(&mut self, why: &str) {
        self.verdict = Verdict::NotApplicable;
        self.not_applicable = Some(why.to_owned());
    }

    /// Takes over what a search found. Iterations that fail in a level are its figures, and no failure
    /// of the cell: that is one in which no level held.
    pub fn found(&mut self, breakpoint: BreakpointSummary) {
        self.verdict = match breakpoint.finding {
            Finding::Found | Finding::NeverBroke => Verdict::Passed,
            Finding::BrokeAtOnce => Verdict::Failed,
            Finding::Stopped => Verdict::Interrupted,
        };
        if let Some(held) = breakpoint.held.filter(|_| self.verdict == Verdict::Passed) {
            let rate = MetricSummary::gauge(Metric::BreakpointRate, held);
            self.metrics.push(rate);
        }
        self.breakpoint = Some(breakpoint);
    }

    /// Takes over how the iterations ended, and the verdict that follows.
    pub fn set_counts(&mut self, counts: CellCounts) {
        self.iterations_passed = counts.passed;
        self.iterations_failed = counts.failed;
        self.iterations_interrupted = counts.interrupted;
        self.iterations_dropped = counts.dropped;
        let all = counts.passed + counts.failed + counts.dropped;
        let missing = self.iterations_planned.is_some_and(|planned| all < planned);
        self.verdict = if counts.failed > 0 {
            Verdict::Failed
        } else if counts.interrupted > 0 || missing {
            Verdict::Interrupted
        } else {
            Verdict::Passed
        };
    }
}

/// A step as the file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepSummary {
    /// Its name, or else what it does.
    pub name: String,
    /// Its action.
    pub action: String,
    /// Its line in the file, from 1.
    pub line: usize,
}

/// A place in the scenario file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The file as given.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// The snippet with the caret, plain text.
    pub snippet: String,
}

/// Failures of one cause at one place.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FailureGroup {
    /// The cell.
    pub cell: String,
    /// The step's name.
    pub step: String,
    /// A short name of the cause: the output that differed, or the kind of error.
    pub cause: String,
    /// Where in the file.
    pub place: Place,
    /// The first of them in full.
    pub message: String,
    /// What to do, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// `namespace/claim` of the first, if it had a sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// How to run just this cell again.
    pub rerun: String,
    /// How often it happened.
    pub count: u64,
    /// When it happened first, in milliseconds from the start of the run.
    #[serde(default)]
    pub first_ms: u64,
    /// When it happened last, in the same.
    #[serde(default)]
    pub last_ms: u64,
    /// The traces of the first of them, if there are traces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traces: Vec<String>,
}

/// Three significant digits and a unit: `812µs`, `1.24ms`, `3.10s`.
pub(crate) fn humanise(nanos: u64) -> String {
    let value = nanos as f64;
    let (scaled, unit) = match nanos {
        0 => return "0".to_owned(),
        1..1_000 => return format!("{nanos}ns"),
        1_000..1_000_000 => (value / 1e3, "µs"),
        1_000_000..1_000_000_000 => (value / 1e6, "ms"),
        1_000_000_000..60_000_000_000 => (value / 1e9, "s"),
        60_000_000_000..3_600_000_000_000 => (value / 60e9, "m"),
        _ => (value / 3600e9, "h"),
    };
    if scaled >= 99.95 {
        format!("{scaled:.0}{unit}")
    } else if scaled >= 9.995 {
        format!("{scaled:.1}{unit}")
    } else {
        format!("{scaled:.2}{unit}")
    }
}

/// The same for milliseconds, without digits that were not measured.
pub(crate) fn humanise_millis(millis: u64) -> String {
    if millis < 1000 {
        return format!("{millis}ms");
    }
    humanise(millis.saturating_mul(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_with_three_digits() {
        for (nanos, text) in [
            (0, "0"),
            (812, "812ns"),
            (812_000, "812µs"),
            (1_240_000, "1.24ms"),
            (38_100_000, "38.1ms"),
            (3_100_000_000, "3.10s"),
            (90_000_000_000, "1.50m"),
        ] {
            assert_eq!(humanise(nanos), text);
        }
    }
}
