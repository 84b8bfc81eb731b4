//! [`TraceExpectation`]: what is expected of the traces of a cell's iterations; its judgement by what was [`Found`].
//!
//! Pure, as thresholds are: who holds the spans finds what an expectation is about in each trace, and adds it here.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::histogram::{Histogram, nanos};
use super::hop::HopKind;
use super::metric::Metric;
use super::summary::{Summary, Verdict};
use super::threshold::{
    Condition, Observed, Operator, Outcome, Quantity, Statistic, ThresholdResult,
};

/// The name under which sandbench's own spans are expected (`service`).
pub const OWN_SERVICE: &str = "sandbench";

/// What is expected of the traces of a cell's iterations.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceExpectation {
    /// What there is to be.
    pub what: Expected,
    /// How long it may take; nothing: as long as it likes.
    pub took: Option<Took>,
}

/// What there is to be in a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// A span.
    Span {
        /// Its name.
        name: String,
        /// Whose it is (`service.name`); nothing: anybody's.
        service: Option<String>,
        /// The step that it is a part of, at any depth; nothing: of the iteration.
        under: Option<Under>,
        /// In how many traces.
        presence: Presence,
    },
    /// A hop, in any of the traces.
    Hop(HopKind),
}

/// The step that a span is a part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Under {
    /// The step with this id.
    Step(String),
    /// Every step with this action.
    Action(String),
}

/// In how many traces a span is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Presence {
    /// In every one.
    #[default]
    Every,
    /// In at least one.
    Some,
}

/// How long something may take: `< 50ms` for each, `p95 < 50ms` for all together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Took {
    /// Of all that was found; nothing: each one is judged.
    pub statistic: Option<Statistic>,
    /// Measured time to limit.
    pub operator: Operator,
    /// The limit.
    pub limit: Duration,
}

/// What was found in the traces of one cell, for one expectation. Bounded: it grows with no trace.
#[derive(Debug, Clone, Default)]
pub struct Found {
    judged: u64,
    without: u64,
    beyond: u64,
    times: Histogram,
    shortest: Option<(Duration, String)>,
    longest: Option<(Duration, String)>,
    /// The first trace in which it was not.
    missing: Option<String>,
}

/// A judged expectation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TraceResult {
    /// `scenario[axis=value]`.
    pub cell: String,
    /// `span ReconcileSandbox of agent-sandbox-controller under create in every trace: took < 50ms`.
    pub expectation: String,
    /// Whether it holds. Without a trace to judge it by it does not.
    pub outcome: Outcome,
    /// Iterations that ended well, traced or not.
    pub iterations: u64,
    /// How many of them it was judged by: those that were chosen at their start to be traced from end to end.
    pub judged: u64,
    /// How many more of those there were for which there was no room; not judged.
    pub no_room: u64,
    /// Spans of others that were lost before anybody could look at them: what is missing may be among them.
    #[serde(default)]
    pub others_lost: u64,
    /// Judged traces without the span or the hop.
    pub without: u64,
    /// Spans that were found, or times that the hop was seen.
    pub n: u64,
    /// How many of them took another time than expected; 0 where all are judged together.
    pub beyond: u64,
    /// The longest, in nanoseconds; absent if none was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_ns: Option<u64>,
    /// The statistic, where all are judged together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Quantity>,
    /// A trace that shows it: the first without the span, or else that of the longest (of a lower limit: the
    /// shortest).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
}

impl TraceExpectation {
    /// Whether spans of other services may be needed to judge it.
    pub fn needs_others(&self) -> bool {
        match &self.what {
            Expected::Hop(_) => true,
            Expected::Span { service, .. } => service.as_deref() != Some(OWN_SERVICE),
        }
    }

    /// Judges it by what was found in a cell's traces.
    pub fn judge(&self, cell: &str, found: &Found) -> TraceResult {
        let is_missing = match &self.what {
            Expected::Span {
                presence: Presence::Every,
                ..
            } => found.without > 0,
            Expected::Span { .. } | Expected::Hop(_) => found.without == found.judged,
        };
        let (holds, measured) = match self.took {
            None => (true, None),
            Some(took) => took.judge(found),
        };
        let outcome = match (found.judged, is_missing || !holds) {
            (0, _) => Outcome::NoSamples,
            (_, true) => Outcome::Failed,
            (_, false) => Outcome::Held,
        };
        let ends = if self.took.is_some_and(|took| took.is_lower()) {
            &found.shortest
        } else {
            &found.longest
        };
        let missing = found.missing.clone().filter(|_| is_missing);
        TraceResult {
            cell: cell.to_owned(),
            expectation: self.to_string(),
            outcome,
            iterations: found.judged,
            judged: found.judged,
            no_room: 0,
            others_lost: 0,
            without: found.without,
            n: found.times.count(),
            beyond: found.beyond,
            longest_ns: found.longest.as_ref().map(|(time, _)| nanos(*time)),
            measured,
            example: missing.or_else(|| ends.as_ref().map(|(_, trace)| trace.clone())),
        }
    }
}

impl Took {
    /// Whether this one time is as expected.
    fn holds(&self, time: Duration) -> bool {
        let (time, limit) = (time.as_nanos() as f64, self.limit.as_nanos() as f64);
        self.operator.holds(time, limit)
    }

    fn is_lower(&self) -> bool {
        matches!(self.operator, Operator::More | Operator::AtLeast)
    }

    /// Whether it holds, and the statistic.
    fn judge(&self, found: &Found) -> (bool, Option<Quantity>) {
        let Some(statistic) = self.statistic else {
            return (found.beyond == 0, None);
        };
        let limit = self.limit.as_nanos() as f64;
        let condition = Condition {
            statistic,
            operator: self.operator,
            limit: Quantity::Nanoseconds(limit),
        };
        let figures = Observed {
            histogram: found.times.clone(),
            ..Observed::default()
        };
        // Every time is measured as this one is.
        let measured = condition.measure(Metric::IterationDuration, &figures);
        // The ends are known exactly, and a bucket's edge may be beyond them.
        let ends = found.shortest.as_ref().zip(found.longest.as_ref());
        let measured = measured.zip(ends).map(|(measured, (least, most))| {
            let (least, most) = (least.0.as_nanos() as f64, most.0.as_nanos() as f64);
            Quantity::Nanoseconds(measured.number().clamp(least, most))
        });
        let holds = measured.is_none_or(|found| self.operator.holds(found.number(), limit));
        (holds, measured)
    }
}

impl Found {
    /// Adds a trace, with the times of all that was found in it.
    pub fn add(
        &mut self,
        expected: &TraceExpectation,
        trace: impl fmt::Display,
        times: &[Duration],
    ) {
        self.judged += 1;
        if times.is_empty() {
            self.without += 1;
            self.missing.get_or_insert_with(|| trace.to_string());
        }
        for time in times {
            self.times.record(*time);
            let each = expected.took.filter(|took| took.statistic.is_none());
            self.beyond += u64::from(each.is_some_and(|took| !took.holds(*time)));
            if self.shortest.as_ref().is_none_or(|(least, _)| time < least) {
                self.shortest = Some((*time, trace.to_string()));
            }
            if self.longest.as_ref().is_none_or(|(most, _)| time > most) {
                self.longest = Some((*time, trace.to_string()));
            }
        }
    }
}

impl TraceResult {
    /// Whether it fails the run: without a trace to judge it by, it does.
    pub fn is_failed(&self) -> bool {
        self.outcome != Outcome::Held
    }

    /// Adds the same expectation's result of another generator: each is judged by its own traces, and where any
    /// does not hold, the whole does not; one without a trace has nothing to say beside one that has some.
    pub(super) fn add(&mut self, other: Self) {
        let rank = |outcome| match outcome {
            Outcome::NoSamples => 0,
            Outcome::Held => 1,
            Outcome::Failed => 2,
        };
        let leads = rank(other.outcome) > rank(self.outcome);
        let sums = Self {
            iterations: self.iterations + other.iterations,
            judged: self.judged + other.judged,
            no_room: self.no_room + other.no_room,
            others_lost: self.others_lost + other.others_lost,
            without: self.without + other.without,
            n: self.n + other.n,
            beyond: self.beyond + other.beyond,
            longest_ns: self.longest_ns.max(other.longest_ns),
            // A quantile of several runs is of none of them.
            measured: None,
            ..if leads { other } else { self.clone() }
        };
        *self = sums;
    }
}

impl Summary {
    /// Takes over how the expectations on traces were met, of cells that are in it and could be run; the verdict
    /// follows.
    pub fn take_traces(&mut self, results: Vec<TraceResult>) {
        for mut result in results {
            let cell = self.cells.iter().find(|cell| cell.cell == result.cell);
            let Some(cell) = cell.filter(|cell| cell.verdict != Verdict::NotApplicable) else {
                continue;
            };
            // Iterations that were still under way when the run was stopped are counted nowhere.
            result.iterations = cell.iterations_passed.max(result.judged);
            self.traces.push(result);
        }
        if self.verdict == Verdict::Passed && self.misses_a_limit() {
            self.verdict = Verdict::Failed;
        }
    }

    /// Whether a threshold or an expectation on traces does not hold.
    pub fn misses_a_limit(&self) -> bool {
        self.thresholds.iter().any(ThresholdResult::is_failed)
            || self.traces.iter().any(TraceResult::is_failed)
    }
}

impl Presence {
    /// Every way, with its word.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("every", Self::Every), ("some", Self::Some)];
}

#[cfg(test)]
#[path = "trace_expectation_tests.rs"]
mod tests;
