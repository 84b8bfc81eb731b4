//! [`Keep`] and [`Sampling`]: which traces are worth sending.

use std::fmt;
use std::str::FromStr;

use crate::trace::{Sampled, TraceId};
use crate::units::Ratio;

/// Which traces are kept besides the sampled share: `failed,threshold,slow:20,first:10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Every iteration that failed.
    pub failed: bool,
    /// Every iteration with an operation beyond a threshold's limit.
    pub threshold: bool,
    /// The slowest operations of each action in each cell, so many per minute.
    pub slow: usize,
    /// The first iterations of each cell; the only ones besides the sampled share that the router and the
    /// controller are asked to record.
    pub first: u64,
}

/// A text that is not a [`Keep`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a reason to keep a trace: write `failed`, `threshold`, `slow:N`, `first:N`, or `none` alone"
)]
pub struct KeepError(String);

impl Default for Keep {
    fn default() -> Self {
        Self {
            failed: true,
            threshold: true,
            slow: 20,
            first: 10,
        }
    }
}

impl Keep {
    /// Nothing but the sampled share.
    pub const NOTHING: Self = Self {
        failed: false,
        threshold: false,
        slow: 0,
        first: 0,
    };
}

impl FromStr for Keep {
    type Err = KeepError;

    fn from_str(text: &str) -> Result<Self, KeepError> {
        let mut keep = Self::NOTHING;
        if text.trim() == "none" {
            return Ok(keep);
        }
        for part in text.split(',').map(str::trim) {
            let wrong = || KeepError(part.to_owned());
            match part.split_once(':') {
                None if part == "failed" => keep.failed = true,
                None if part == "threshold" => keep.threshold = true,
                Some(("slow", number)) => {
                    keep.slow = number
                        .parse()
                        .ok()
                        .filter(|n| *n <= 1_000)
                        .ok_or_else(wrong)?;
                }
                Some(("first", number)) => keep.first = number.parse().map_err(|_| wrong())?,
                _ => return Err(wrong()),
            }
        }
        Ok(keep)
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NOTHING {
            return f.write_str("none");
        }
        let parts = [
            self.failed.then(|| "failed".to_owned()),
            self.threshold.then(|| "threshold".to_owned()),
            (self.slow > 0).then(|| format!("slow:{}", self.slow)),
            (self.first > 0).then(|| format!("first:{}", self.first)),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(&parts.join(","))
    }
}

/// Who is told of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Propagate {
    /// Router and controller are asked to record what is sampled.
    #[default]
    Sampled,
    /// They are asked to record everything: needed when a collector decides later.
    All,
    /// Requests carry no context.
    None,
}

impl FromStr for Propagate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "sampled" => Ok(Self::Sampled),
            "all" => Ok(Self::All),
            "none" => Ok(Self::None),
            _ => Err("write `sampled`, `all` or `none`".to_owned()),
        }
    }
}

impl fmt::Display for Propagate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sampled => "sampled",
            Self::All => "all",
            Self::None => "none",
        })
    }
}

/// Traces per second at most; ten seconds' worth may come at once. `None`: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxRate(pub Option<u32>);

/// How traces are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Share of all iterations, decided at their start. Default: 1 %.
    pub ratio: Ratio,
    /// What is kept besides.
    pub keep: Keep,
    /// Who is told of traces.
    pub propagate: Propagate,
    /// The most of the sampled share, and of what is kept besides. Default: 500.
    pub max_rate: MaxRate,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            ratio: Ratio::of(1, 100),
            keep: Keep::default(),
            propagate: Propagate::default(),
            max_rate: MaxRate(Some(500)),
        }
    }
}

impl Sampling {
    /// Whether an iteration, counted from 0, is sampled at its start.
    pub(super) fn takes(&self, iteration: u64, id: TraceId) -> Option<Reason> {
        if iteration < self.keep.first {
            Some(Reason::First)
        } else if id.is_within(self.ratio) {
            Some(Reason::Ratio)
        } else {
            None
        }
    }

    /// What others are told of it.
    pub(super) fn told(&self, iteration: u64, id: TraceId) -> Sampled {
        match self.propagate {
            Propagate::None => Sampled::Untold,
            Propagate::All => Sampled::Yes,
            Propagate::Sampled if self.takes(iteration, id).is_some() => Sampled::Yes,
            Propagate::Sampled => Sampled::No,
        }
    }
}

/// Why a trace is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Reason {
    /// It failed.
    Failed,
    /// An operation was beyond a threshold's limit.
    Threshold,
    /// An operation was among the slowest.
    Slow,
    /// It was one of the first.
    First,
    /// It is in the sampled share.
    Ratio,
}

impl Reason {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Threshold => "threshold",
            Self::Slow => "slow",
            Self::First => "first",
            Self::Ratio => "ratio",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_reads_and_prints_the_same() {
        for text in [
            "none",
            "failed",
            "failed,threshold,slow:20,first:10",
            "slow:3",
        ] {
            assert_eq!(text.parse::<Keep>().unwrap().to_string(), text);
        }
        assert_eq!(
            "failed,threshold,slow:20,first:10".parse(),
            Ok(Keep::default())
        );
        for text in ["", "slow", "slow:x", "slow:100000", "failed,none", "fast"] {
            assert!(text.parse::<Keep>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_first_iterations_are_sampled_whatever_the_ratio() {
        let sampling = Sampling {
            ratio: Ratio::default(),
            ..Sampling::default()
        };
        let id = TraceId::random();
        assert_eq!(sampling.takes(9, id), Some(Reason::First));
        assert_eq!(sampling.takes(10, id), None);
        assert_eq!(sampling.told(9, id), Sampled::Yes);
        assert_eq!(sampling.told(10, id), Sampled::No);
        let all = Sampling {
            propagate: Propagate::All,
            ..sampling
        };
        assert_eq!(all.told(10, id), Sampled::Yes);
        let none = Sampling {
            propagate: Propagate::None,
            ..sampling
        };
        assert_eq!(none.told(0, id), Sampled::Untold);
    }
}
