//! Expectations on traces as text: reading `p95 < 50ms`, and telling what is expected.

use std::fmt;
use std::str::FromStr;

use super::threshold::{Operator, Statistic, ThresholdError, error};
use super::trace_expectation::{Expected, Presence, Took, TraceExpectation, Under};
use crate::units::HumanDuration;

impl FromStr for Took {
    type Err = ThresholdError;

    /// `OPERATOR TIME` or `STATISTIC OPERATOR TIME`.
    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        let mut operators = Operator::WORDS.into_iter();
        let found = operators.find_map(|(word, operator)| Some((text.split_once(word)?, operator)));
        let Some(((statistic, limit), operator)) = found else {
            return error(format!(
                "`{text}` is no limit for a time; write `< 50ms` for each, or `p95 < 50ms`"
            ));
        };
        let statistic = match statistic.trim() {
            "" => None,
            word => Some(statistic_of_times(word)?),
        };
        let limit = limit.trim();
        match limit.parse() {
            Ok(HumanDuration(limit)) => Ok(Self {
                statistic,
                operator,
                limit,
            }),
            Err(_) => error(format!(
                "`{limit}` is no time; write it with its unit, `50ms`"
            )),
        }
    }
}

fn statistic_of_times(word: &str) -> Result<Statistic, ThresholdError> {
    match word.parse() {
        Ok(Statistic::Count | Statistic::Rate | Statistic::Value) | Err(_) => Err(ThresholdError {
            message: format!("times have no `{word}`"),
            words: ["avg", "min", "med", "max", "p95"]
                .map(str::to_owned)
                .into(),
        }),
        Ok(statistic) => Ok(statistic),
    }
}

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(statistic) = &self.statistic {
            write!(f, "{statistic} ")?;
        }
        write!(f, "{} {}", self.operator, HumanDuration(self.limit))
    }
}

impl fmt::Display for Under {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(name) | Self::Action(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for TraceExpectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            Expected::Hop(hop) => write!(f, "hop {hop}")?,
            Expected::Span {
                name,
                service,
                under,
                presence,
            } => {
                write!(f, "span {name}")?;
                if let Some(service) = service {
                    write!(f, " of {service}")?;
                }
                if let Some(under) = under {
                    write!(f, " under {under}")?;
                }
                f.write_str(match presence {
                    Presence::Every => " in every trace",
                    Presence::Some => " in some traces",
                })?;
            }
        }
        match self.took {
            Some(took) => write!(f, ": took {took}"),
            None => Ok(()),
        }
    }
}
