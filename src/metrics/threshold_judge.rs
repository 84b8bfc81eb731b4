//! Judging the thresholds of a cell by its summary, when it is over.

use std::fmt;
use std::time::Duration;

use super::histogram::Histogram;
use super::summary::CellSummary;
use super::threshold::{
    Condition, Observed, Operator, Outcome, Selector, Statistic, Threshold, ThresholdResult,
};
use crate::units::HumanDuration;

/// The steps that a selector takes of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Series {
    /// All together.
    All,
    /// Those with these names.
    Steps(Vec<String>),
}

impl Series {
    /// The names of the steps; none for all.
    pub fn names(&self) -> Option<Vec<String>> {
        match self {
            Self::All => None,
            Self::Steps(steps) => Some(steps.clone()),
        }
    }
}

impl Observed {
    /// The figures of a whole cell.
    pub fn of_cell(cell: &CellSummary, selector: &Selector, series: &Series) -> Self {
        let mut figures = Self {
            iterations: cell.iterations_passed + cell.iterations_failed,
            elapsed: Duration::from_millis(cell.duration_ms),
            ..Self::default()
        };
        let wanted = cell.metrics.iter().filter(|found| {
            found.metric == selector.metric.name()
                && match series {
                    Series::All => found.step.is_none(),
                    Series::Steps(steps) => {
                        found.step.as_ref().is_some_and(|step| steps.contains(step))
                    }
                }
        });
        for found in wanted {
            figures.sum += found.value.unwrap_or(0);
            figures.rate = figures.rate.or(found.rate);
            let histogram = found
                .statistics
                .as_ref()
                .and_then(|statistics| Histogram::decode(&statistics.histogram).ok());
            if let Some(histogram) = histogram {
                figures.histogram.merge(&histogram);
            }
        }
        figures
    }
}

impl Threshold {
    /// Judges the limit by a whole cell.
    pub fn judge(&self, cell: &CellSummary, series: &Series) -> ThresholdResult {
        let (outcome, measured) = self.evaluate(&Observed::of_cell(cell, &self.selector, series));
        ThresholdResult {
            cell: cell.cell.clone(),
            threshold: self.to_string(),
            steps: series.names(),
            outcome,
            measured,
            window: None,
            stopped_at_ms: None,
        }
    }
}

impl ThresholdResult {
    /// Whether the run fails because of it.
    pub fn is_failed(&self) -> bool {
        self.outcome != Outcome::Held
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.selector, self.condition)?;
        match self.window {
            Some(window) => write!(f, " in every {}", HumanDuration(window)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric.name())?;
        if self.tags.is_empty() {
            return Ok(());
        }
        let tags: Vec<String> = self
            .tags
            .iter()
            .map(|(tag, value)| format!("{tag}:{value}"))
            .collect();
        write!(f, "{{{}}}", tags.join(","))
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.statistic, self.operator, self.limit)
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Avg => f.write_str("avg"),
            Self::Min => f.write_str("min"),
            Self::Med => f.write_str("med"),
            Self::Max => f.write_str("max"),
            Self::Percentile(percent) => write!(f, "p{percent}"),
            Self::Count => f.write_str("count"),
            Self::Rate => f.write_str("rate"),
            Self::Value => f.write_str("value"),
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::metric::Metric;
    use super::super::threshold::{OnFail, Quantity};
    use super::*;
    use crate::units::Rate;

    fn threshold(selector: &str, condition: &str) -> Threshold {
        Threshold {
            selector: selector.parse().unwrap(),
            condition: condition.parse().unwrap(),
            window: None,
            on_fail: OnFail::GoOn,
        }
    }

    #[test]
    fn selectors_and_conditions_are_read_and_shown_alike() {
        let shown = threshold("exec_duration{step:hash, role:x}", "p99.9<=250ms").to_string();
        assert_eq!(shown, "exec_duration{step:hash,role:x}: p99.9 <= 250ms");
        let selector: Selector = "failures".parse().unwrap();
        assert_eq!(
            (selector.metric, selector.tags.len()),
            (Metric::Failures, 0)
        );
    }

    #[test]
    fn what_is_no_threshold_is_told() {
        for text in [
            "p95",
            "p95 < ",
            "p95 < fast",
            "p100 < 1s",
            "p(95) < 1s",
            "p-5 < 1s",
            "x < 1s",
        ] {
            assert!(text.parse::<Condition>().is_err(), "{text}");
        }
        for text in [
            "exec",
            "failures{",
            "failures{step}",
            "failures{:x}",
            "failures{}",
        ] {
            assert!(text.parse::<Selector>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_statistic_and_a_unit_must_be_those_of_the_metric() {
        let fits = |metric: &str, condition: &str| {
            let metric = metric.parse::<Selector>().unwrap().metric;
            condition.parse::<Condition>().unwrap().fits(metric).is_ok()
        };
        for (metric, condition) in [
            ("exec_duration", "p95 < 1s"),
            ("exec_duration", "count > 5"),
            ("failures", "rate < 1%"),
            ("iterations", "rate > 5/s"),
            ("failures", "count == 0"),
            ("bytes_read", "count < 1MiB"),
            ("breakpoint_rate", "value >= 60/s"),
        ] {
            assert!(fits(metric, condition), "{metric}: {condition}");
        }
        for (metric, condition) in [
            ("exec_duration", "p95 < 1000"),
            ("exec_duration", "rate < 1%"),
            ("exec_duration", "max < 5%"),
            ("failures", "p95 < 1s"),
            ("failures", "rate < 1"),
            ("failures", "count < 1%"),
            ("bytes_read", "count < 5"),
            ("breakpoint_rate", "value >= 60"),
            ("breakpoint_rate", "p95 >= 60/s"),
            ("exec_duration", "value < 1s"),
            ("failures", "value < 5/s"),
        ] {
            assert!(!fits(metric, condition), "{metric}: {condition}");
        }
    }

    #[test]
    fn limits_are_judged_with_what_was_measured() {
        let mut figures = Observed {
            sum: 3,
            iterations: 100,
            elapsed: Duration::from_secs(10),
            ..Observed::default()
        };
        let failures = |condition: &str| threshold("failures", condition).evaluate(&figures);
        assert_eq!(
            failures("rate < 5%"),
            (Outcome::Held, Some(Quantity::Share(0.03)))
        );
        assert_eq!(failures("rate < 3%").0, Outcome::Failed);
        assert_eq!(failures("rate >= 0.3/s").1, Some(Quantity::PerSecond(0.3)));
        assert_eq!(failures("count == 3").0, Outcome::Held);
        assert_eq!(failures("count != 3").0, Outcome::Failed);
        let exec = threshold("exec_duration", "p95 < 1ms");
        assert_eq!(exec.evaluate(&figures), (Outcome::NoSamples, None));
        figures.histogram.record(Duration::from_micros(900));
        assert_eq!(exec.evaluate(&figures).0, Outcome::Held);
    }

    #[test]
    fn a_breakpoint_is_judged_by_its_rate_and_fails_without_one() {
        let limit = threshold("breakpoint_rate", "value >= 60/s");
        for (rate, outcome) in [
            (Some(60.0), Outcome::Held),
            (Some(57.5), Outcome::Failed),
            (None, Outcome::NoSamples),
        ] {
            let figures = Observed {
                rate: rate.and_then(Rate::per_second),
                ..Observed::default()
            };
            assert_eq!(limit.evaluate(&figures).0, outcome, "{rate:?}");
        }
    }

    #[test]
    fn without_iterations_or_time_there_is_no_rate() {
        let nothing = Observed::default();
        for condition in ["rate < 5%", "rate > 5/s"] {
            let judged = threshold("failures", condition).evaluate(&nothing);
            assert_eq!(judged, (Outcome::NoSamples, None), "{condition}");
        }
    }
}
