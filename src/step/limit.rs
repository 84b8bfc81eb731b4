//! [`Limit`]: how long an action may take, and who says so.
//!
//! The action's own calls get what is left of it, so that their errors, which know more (what was
//! last seen, whether the request was delivered), come before the step's own time is up.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::StepError;
use crate::client::{CallError, Files, ReadyError, SuspendError, WaitError};
use crate::source::{Span, Spanned};

/// Who set a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitSource {
    /// The step's `timeout`, at this place.
    Step(Span),
    /// The field `timeout` of the action, at this place.
    Field(Span),
    /// Nobody in the file; what the default is called.
    Default(&'static str),
}

impl LimitSource {
    /// Where in the scenario file it was set.
    pub fn span(self) -> Option<Span> {
        match self {
            Self::Step(span) | Self::Field(span) => Some(span),
            Self::Default(_) => None,
        }
    }
}

impl fmt::Display for LimitSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(_) => f.write_str("the step's `timeout`"),
            Self::Field(_) => f.write_str("the action's field `timeout`"),
            Self::Default(what) => f.write_str(what),
        }
    }
}

/// A limit that runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    time: Duration,
    source: LimitSource,
    deadline: Instant,
}

/// How much longer than its own calls an action may take to report their end.
const GRACE: Duration = Duration::from_millis(5);
/// What bounds a command or file call when the file says nothing.
const REQUEST: &str = "the default for one call";
/// What bounds the wait for a sandbox when the file says nothing.
pub(super) const READY: &str = "the target's `readyTimeout`";
/// What bounds the wait for the end of a sandbox when the file says nothing.
pub(super) const GONE: &str = "the default of `wait`";

impl Limit {
    /// A limit that begins now.
    pub(super) fn new(time: Duration, source: LimitSource) -> Self {
        let now = Instant::now();
        Self {
            time,
            source,
            // Decoding refuses limits that do not fit; the fallback ends at once.
            deadline: now.checked_add(time).unwrap_or(now),
        }
    }

    /// The one of the two that ends first; the action's field has the last word on when it begins.
    pub(super) fn tighter(step: Option<Self>, field: Option<Spanned<Duration>>) -> Option<Self> {
        let field = field.map(|field| Self::new(field.value, LimitSource::Field(field.span)));
        [step, field]
            .into_iter()
            .flatten()
            .min_by_key(|limit| limit.deadline)
    }

    /// When an action is ended that has not ended itself: a moment after its own calls, so that
    /// their errors come first.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline.checked_add(GRACE).unwrap_or(self.deadline)
    }

    /// What is left of it, in whole milliseconds, which is how fine timers are.
    pub(super) fn remaining(&self) -> Duration {
        let left = self.deadline.saturating_duration_since(Instant::now());
        whole_millis(left)
    }

    /// The error of an action that is not done in time.
    pub(super) fn exceeded(&self, action: &'static str) -> StepError {
        StepError::Timeout {
            action,
            limit: self.time,
            set_by: self.source,
            source: None,
        }
    }

    /// The error of a wait that ended with this cause.
    pub(super) fn ready_error(&self, action: &'static str, error: ReadyError) -> StepError {
        if matches!(error, ReadyError::Timeout { .. }) {
            self.caused(action, error)
        } else {
            error.into()
        }
    }

    /// The error of a wait for the end that ended with this cause.
    pub(super) fn wait_error(&self, action: &'static str, error: WaitError) -> StepError {
        match error {
            WaitError::Timeout { .. } => self.caused(action, error),
            other @ WaitError::Kube { .. } => other.into(),
        }
    }

    /// The error of a suspension or a resumption that ended with this cause.
    pub(super) fn suspend_error(&self, action: &'static str, error: SuspendError) -> StepError {
        if matches!(error, SuspendError::Timeout { .. }) {
            self.caused(action, error)
        } else {
            error.into()
        }
    }

    fn caused(
        &self,
        action: &'static str,
        cause: impl std::error::Error + Send + Sync + 'static,
    ) -> StepError {
        StepError::Timeout {
            action,
            limit: self.time,
            set_by: self.source,
            source: Some(Box::new(cause)),
        }
    }
}

/// Rounded up, as timers do.
fn whole_millis(time: Duration) -> Duration {
    let part = time.subsec_nanos() % 1_000_000;
    if part == 0 {
        time
    } else {
        time.saturating_add(Duration::from_nanos(u64::from(1_000_000 - part)))
    }
}

/// The error of a call, bounded by this limit or by the client's default.
pub(super) fn call_error(
    action: &'static str,
    error: CallError,
    limit: Option<Limit>,
) -> StepError {
    match (limit, error) {
        (Some(limit), error @ CallError::Timeout { .. }) => limit.caused(action, error),
        (None, error @ CallError::Timeout { after, .. }) => StepError::Timeout {
            action,
            limit: after,
            set_by: LimitSource::Default(REQUEST),
            source: Some(Box::new(error)),
        },
        (_, error) => error.into(),
    }
}

/// File calls within a limit.
pub(super) fn limited(files: Files<'_>, limit: Option<Limit>) -> Files<'_> {
    match limit {
        Some(limit) => files.timeout(limit.remaining()),
        None => files,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_that_ends_first_counts_and_is_named() {
        let at = |start| Span::new(start, start + 2);
        let step = Limit::new(Duration::from_secs(5), LimitSource::Step(at(10)));
        let field = |seconds| Some(Spanned::new(Duration::from_secs(seconds), at(20)));
        let source = |limit: Option<Limit>| limit.map(|limit| limit.source);
        let both = Limit::tighter(Some(step), field(2));
        assert_eq!(source(both), Some(LimitSource::Field(at(20))));
        let both = Limit::tighter(Some(step), field(9));
        assert_eq!(source(both), Some(LimitSource::Step(at(10))));
        assert_eq!(source(Limit::tighter(None, None)), None);
        assert!(step.remaining() <= Duration::from_secs(5));
        assert!(step.deadline() > step.deadline);
        let error = step.exceeded("exec");
        assert_eq!(
            error.to_string(),
            "exec: not done within 5s (the step's `timeout`)"
        );
        assert_eq!(error.place(), Some(at(10)));
    }

    #[test]
    fn what_is_left_is_rounded_up_to_milliseconds() {
        assert_eq!(whole_millis(Duration::from_nanos(1)).as_nanos(), 1_000_000);
        let left = Duration::from_millis(300);
        assert_eq!(whole_millis(left), left);
        assert_eq!(whole_millis(Duration::from_nanos(299_999_991)), left);
    }

    #[test]
    fn a_call_that_ends_late_keeps_its_cause_and_names_the_default() {
        let late = CallError::Timeout {
            operation: "run `ls`".to_owned(),
            after: Duration::from_mins(1),
            delivered: crate::client::Delivered::Unknown,
        };
        let error = call_error("exec", late, None);
        assert_eq!(
            error.to_string(),
            "exec: not done within 1m (the default for one call)"
        );
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(
            cause.as_deref(),
            Some("run `ls`: no complete answer within 1m")
        );
        assert_eq!((error.code().as_str(), error.place()), ("Timeout", None));
    }
}
