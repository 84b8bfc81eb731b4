//! Exit codes: one number per meaning, never two.
//!
//! 99, 100, 104 and 105 mean what they mean for k6 and nextest. When several apply, all are
//! reported and the first in the order 104, 105, 96, 100, 101, 99, 98, 97 is the exit code.

use std::process::ExitCode;

/// Why the program ended the way it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// 0: everything passed.
    Ok,
    /// 1: a fault of sandbench itself.
    Internal,
    /// 2: a wrong command line.
    Usage,
    /// 4: no scenario matched the selection.
    NothingRan,
    /// 96: the cluster could not be reached or is not set up for the run.
    Setup,
    /// 98: with `--fail-on-regression`: a figure is worse than the baseline.
    Regression,
    /// 99: a threshold does not hold, or traces are not as expected.
    Thresholds,
    /// 97: with `--strict`: the generator, not the system, may have been the limit.
    Unreliable,
    /// 100: a step or an expectation failed.
    Failed,
    /// 101: sandboxes, pods or connections were left behind.
    Leak,
    /// 104: a scenario file is not valid.
    Invalid,
    /// 105: interrupted by a signal.
    Interrupted,
}

impl Exit {
    /// Every exit code, worst first: the first that applies is the process's.
    pub const BY_PRECEDENCE: [Self; 12] = [
        Self::Usage,
        Self::Internal,
        Self::Invalid,
        Self::Interrupted,
        Self::Setup,
        Self::Failed,
        Self::Leak,
        Self::Thresholds,
        Self::Regression,
        Self::Unreliable,
        Self::NothingRan,
        Self::Ok,
    ];

    /// The number that the process exits with.
    pub fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::NothingRan => 4,
            Self::Setup => 96,
            Self::Regression => 98,
            Self::Thresholds => 99,
            Self::Unreliable => 97,
            Self::Failed => 100,
            Self::Leak => 101,
            Self::Invalid => 104,
            Self::Interrupted => 105,
        }
    }

    /// The name used in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Internal => "internal",
            Self::Usage => "usage",
            Self::NothingRan => "nothing-ran",
            Self::Setup => "setup",
            Self::Regression => "regression",
            Self::Thresholds => "thresholds",
            Self::Unreliable => "unreliable",
            Self::Failed => "failed",
            Self::Leak => "leak",
            Self::Invalid => "invalid",
            Self::Interrupted => "interrupted",
        }
    }

    /// When a run ends with it.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "everything passed; FLAKY counts as passed",
            Self::Internal => "a fault of sandbench itself",
            Self::Usage => "the command line is wrong",
            Self::NothingRan => "no scenario matched the selection, or none is applicable",
            Self::Setup => "the cluster cannot be reached or lacks something the run needs",
            Self::Regression => "with `--fail-on-regression`: a figure is worse than the baseline",
            Self::Thresholds => "a threshold does not hold, or traces are not as expected",
            Self::Unreliable => {
                "with `--strict`: the generator, not the system, may have been the limit"
            }
            Self::Failed => "a step or an expectation failed",
            Self::Leak => "sandboxes, pods or connections were left behind",
            Self::Invalid => "a scenario file is not valid",
            Self::Interrupted => "a signal stopped the run",
        }
    }

    /// The one of `reasons` that decides; [`Exit::Ok`] when there is none.
    pub fn decide(reasons: &[Self]) -> Self {
        Self::BY_PRECEDENCE
            .into_iter()
            .find(|exit| reasons.contains(exit))
            .unwrap_or(Self::Ok)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_reason_decides() {
        assert_eq!(Exit::decide(&[Exit::Leak, Exit::Failed]), Exit::Failed);
        assert_eq!(
            Exit::decide(&[Exit::Failed, Exit::Interrupted]),
            Exit::Interrupted
        );
        assert_eq!(Exit::decide(&[Exit::Setup, Exit::Invalid]), Exit::Invalid);
        assert_eq!(Exit::decide(&[]), Exit::Ok);
    }

    #[test]
    fn no_number_has_two_meanings() {
        let mut numbers: Vec<u8> = Exit::BY_PRECEDENCE
            .iter()
            .map(|exit| exit.number())
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), Exit::BY_PRECEDENCE.len());
    }
}
