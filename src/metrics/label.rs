//! [`Label`]: what tells the series of one metric apart, beside their step.

use std::fmt;

/// How a sandbox came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LaunchType {
    /// It was taken from a warm pool.
    Warm,
    /// It was made for its claim.
    Cold,
}

impl LaunchType {
    /// Both, in the order of reports.
    pub const ALL: [Self; 2] = [Self::Warm, Self::Cold];

    /// `warm` or `cold`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warm => "warm",
            Self::Cold => "cold",
        }
    }
}

/// What tells the series of one metric apart. A metric has labels of one kind, see
/// [`Metric::tag`](super::Metric::tag).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// `launchType`: warm and cold sandboxes are never pooled.
    LaunchType(LaunchType),
    /// `attempts`: how many attempts a call took.
    Attempts(u32),
    /// `cause`: why an attempt failed: a status code, or a word.
    Cause(Cause),
}

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// A status code of HTTP.
    Status(u16),
    /// A word: `timeout`, `reset`, a code of gRPC.
    Word(&'static str),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(code) => write!(f, "{code}"),
            Self::Word(word) => f.write_str(word),
        }
    }
}

impl Label {
    /// The tag of launch types.
    pub const LAUNCH_TYPE: &'static str = "launchType";
    /// The tag of numbers of attempts.
    pub const ATTEMPTS: &'static str = "attempts";
    /// The tag of causes.
    pub const CAUSE: &'static str = "cause";

    /// Its tag, as in `sandbox_ready_duration{launchType:warm}`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::LaunchType(_) => Self::LAUNCH_TYPE,
            Self::Attempts(_) => Self::ATTEMPTS,
            Self::Cause(_) => Self::CAUSE,
        }
    }
}

/// Its value, as in `sandbox_ready_duration{launchType:warm}`.
impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LaunchType(launched) => f.write_str(launched.as_str()),
            Self::Attempts(number) => write!(f, "{number}"),
            Self::Cause(cause) => cause.fmt(f),
        }
    }
}

/// Whether a tag with this value can tell series apart: a threshold on another one would never
/// have samples.
pub(super) fn is_possible(tag: &str, value: &str) -> bool {
    match tag {
        Label::LAUNCH_TYPE => LaunchType::ALL.iter().any(|known| known.as_str() == value),
        Label::ATTEMPTS => value.parse::<u32>().is_ok_and(|number| number > 0),
        _ => !value.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_that_a_series_can_have_are_possible() {
        for (tag, value, possible) in [
            ("launchType", "warm", true),
            ("launchType", "lukewarm", false),
            ("attempts", "2", true),
            ("attempts", "0", false),
            ("cause", "429", true),
            ("cause", "", false),
        ] {
            assert_eq!(is_possible(tag, value), possible, "{tag}:{value}");
        }
    }
}
