//! [`BreakpointSummary`]: what a load with `breakpoint` found, level by level.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::series::MetricSummary;
use super::threshold::{Outcome, ThresholdResult};
use crate::units::{Rate, Ratio};

/// What a load with `breakpoint` found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BreakpointSummary {
    /// How the search ended.
    pub finding: Finding,
    /// The highest level that held below all that broke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Rate>,
    /// The lowest level that broke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broke: Option<Rate>,
    /// How far apart the two may be, as a share of `held`.
    pub tolerance: Ratio,
    /// The begin of each level that was thrown away, in milliseconds.
    pub settle_ms: u64,
    /// The rest of each level, by which it was judged, in milliseconds.
    pub hold_ms: u64,
    /// Every level in the order in which they were tried.
    pub levels: Vec<LevelSummary>,
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// Between a level that held and one that broke, within the tolerance.
    Found,
    /// No level broke: the breakpoint is above the highest.
    NeverBroke,
    /// The first level broke: the breakpoint is below it.
    BrokeAtOnce,
    /// It was stopped, or its data ended, before it had an answer.
    Stopped,
}

/// What became of one level: figures of the iterations that were due in its hold, and of no others.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LevelSummary {
    /// Arrivals per second.
    pub rate: Rate,
    /// Whether it held.
    pub verdict: LevelVerdict,
    /// The begin of its hold, in milliseconds from the start of the cell.
    pub from_ms: u64,
    /// The end of its hold, in the same.
    pub to_ms: u64,
    /// Iterations that were due.
    pub due: u64,
    /// How many of them ended, passed or failed.
    pub iterations: u64,
    /// How many of those failed.
    pub failures: u64,
    /// How many found no room.
    pub dropped: u64,
    /// How many had not ended when the wait for them was over.
    pub unfinished: u64,
    /// Iterations in flight at the end of the hold, those of earlier times included.
    pub in_flight: u64,
    /// How long it took after the hold until nothing was in flight, or the wait was given up; in
    /// milliseconds.
    pub drain_ms: u64,
    /// Every limit of it.
    pub limits: Vec<ThresholdResult>,
    /// Every series.
    pub metrics: Vec<MetricSummary>,
}

/// Whether a level held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LevelVerdict {
    /// Every limit did, and every iteration ended.
    Held,
    /// A limit did not, or iterations did not end.
    Broke,
    /// It was stopped before it could be judged.
    Stopped,
}

impl LevelSummary {
    /// Judges it by its limits and by what did not end.
    #[must_use]
    pub fn judged(self) -> Self {
        let held = |limit: &ThresholdResult| limit.outcome == Outcome::Held;
        let verdict = if self.unfinished == 0 && self.limits.iter().all(held) {
            LevelVerdict::Held
        } else {
            LevelVerdict::Broke
        };
        Self { verdict, ..self }
    }
}

/// The answer in words.
impl fmt::Display for BreakpointSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tried = self.levels.len();
        match (self.finding, self.held, self.broke) {
            (Finding::Found, Some(held), Some(broke)) => write!(
                f,
                "holds at {held}, breaks at {broke}: found within {} in {tried} levels",
                self.tolerance
            ),
            (Finding::NeverBroke, Some(held), _) => write!(
                f,
                "never broke up to {held}, the highest level: the breakpoint is above it"
            ),
            (Finding::BrokeAtOnce, _, Some(broke)) => write!(
                f,
                "broke at {broke}, the lowest level: the breakpoint is below it"
            ),
            (_, held, broke) => {
                f.write_str("the search was stopped before it had an answer")?;
                match (held, broke) {
                    (Some(held), Some(broke)) => write!(f, ": between {held} and {broke}"),
                    (Some(held), None) => write!(f, ": above {held}"),
                    (None, Some(broke)) => write!(f, ": below {broke}"),
                    (None, None) => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(count: f64) -> Option<Rate> {
        Rate::per_second(count)
    }

    fn summary(finding: Finding, held: Option<Rate>, broke: Option<Rate>) -> String {
        let summary = BreakpointSummary {
            finding,
            held,
            broke,
            tolerance: "5%".parse().unwrap(),
            settle_ms: 0,
            hold_ms: 1,
            levels: Vec::new(),
        };
        summary.to_string()
    }

    #[test]
    fn every_ending_is_said_in_words() {
        let found = summary(Finding::Found, rate(57.0), rate(59.5));
        assert!(found.starts_with("holds at 57/s, breaks at 59.5/s: found within 5%"));
        let never = summary(Finding::NeverBroke, rate(400.0), None);
        assert!(never.starts_with("never broke up to 400/s"), "{never}");
        let at_once = summary(Finding::BrokeAtOnce, None, rate(5.0));
        assert!(at_once.starts_with("broke at 5/s"), "{at_once}");
        let stopped = summary(Finding::Stopped, rate(7.5), None);
        assert!(stopped.ends_with("answer: above 7.5/s"), "{stopped}");
    }

    #[test]
    fn a_level_holds_if_every_limit_does_and_every_iteration_ended() {
        let limit = |outcome| ThresholdResult {
            cell: "a".to_owned(),
            threshold: "failures: count == 0".to_owned(),
            outcome,
            measured: None,
            window: None,
            stopped_at_ms: None,
            steps: None,
        };
        let level = |outcome, unfinished| LevelSummary {
            rate: rate(5.0).unwrap(),
            verdict: LevelVerdict::Stopped,
            from_ms: 0,
            to_ms: 1,
            due: 5,
            iterations: 5 - unfinished,
            failures: 0,
            dropped: 0,
            unfinished,
            in_flight: 0,
            drain_ms: 0,
            limits: vec![limit(Outcome::Held), limit(outcome)],
            metrics: Vec::new(),
        };
        for (outcome, unfinished, verdict) in [
            (Outcome::Held, 0, LevelVerdict::Held),
            (Outcome::Held, 1, LevelVerdict::Broke),
            (Outcome::Failed, 0, LevelVerdict::Broke),
            (Outcome::NoSamples, 0, LevelVerdict::Broke),
        ] {
            assert_eq!(level(outcome, unfinished).judged().verdict, verdict);
        }
    }
}
