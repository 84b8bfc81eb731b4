//! [`StepOutcome`]: what an action gave: outputs for expressions, measurements for the metrics.
//!
//! Outputs are kept as the client gave them and become a [`Value`] only when something asks: under
//! load most steps are neither checked nor captured, and a digest costs more than a call.

use std::sync::Arc;
use std::time::Duration;

use super::collect::Collected;
use super::content::Content;
use super::exec::Executed;
use super::http::Answered;
use super::later::Later;
use super::list::Listed;
use crate::client::LaunchType;
use crate::expr::Value;

/// What an action measures; the metrics module has a metric of the same name for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// From sending the claim to the API server's answer.
    CreateAck,
    /// From sending the claim to seeing its sandbox's name.
    Bound,
    /// From sending the claim to seeing its pod scheduled.
    Scheduled,
    /// From sending the claim to seeing its pod running.
    Running,
    /// From sending the claim to seeing it Ready.
    Ready,
    /// From the controller's first sight of the claim to its being ready, by the controller's clock.
    ControllerReady,
    /// From the node's taking on of the pod to its last container's start, by the node's clock.
    KubeletStarted,
    /// The same to the pod's being ready.
    KubeletReady,
    /// A sandbox whose pod was scheduled before the claim was sent.
    ScheduledBefore,
    /// A sandbox whose pod was running before the claim was sent.
    RunningBefore,
    /// From sending the claim to the end of the first command that succeeded.
    FirstExec,
    /// Until a connection to the sandbox could be used.
    Connect,
    /// One command.
    Exec,
    /// One file written.
    Write,
    /// One file read.
    Read,
    /// One directory listed.
    List,
    /// One question whether a file exists.
    Exists,
    /// One file deleted.
    DeleteFile,
    /// From asking for a suspension until the controller says that it is so.
    Suspend,
    /// From asking for a resumption to seeing the sandbox Ready.
    Resume,
    /// One HTTP request of an `http` step.
    Http,
    /// From asking for the deletion to the API server's answer.
    Delete,
    /// From asking for the wait to its end.
    Wait,
    /// A sandbox that came from a warm pool.
    WarmHit,
    /// A sandbox that was started for the claim.
    ColdStart,
    /// Bytes of file content sent.
    BytesWritten,
    /// Bytes of file content received.
    BytesRead,
}

/// A measured value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measured {
    /// A span of time.
    Time(Duration),
    /// A count.
    Count(u64),
}

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measurement {
    /// Of what.
    pub measure: Measure,
    /// How much.
    pub value: Measured,
}

/// What an action gave.
#[derive(Debug, Clone, Default)]
pub struct StepOutcome {
    outputs: Outputs,
    /// What it measured.
    pub measurements: Vec<Measurement>,
    /// How the sandbox came about that it is about; warm and cold are never pooled.
    pub launched: Option<LaunchType>,
    /// What is known later than its end.
    pub later: Option<Arc<Later>>,
    /// Texts for people, for the result.
    pub collected: Vec<Collected>,
}

/// The outputs of one action, not yet as values.
#[derive(Debug, Clone)]
pub(super) enum Outputs {
    /// Few and small: made at once.
    Values(Vec<(&'static str, Value)>),
    Exec(Executed),
    Http(Answered),
    /// A file written or read.
    File(Content),
    List(Listed),
}

impl Default for Outputs {
    fn default() -> Self {
        Self::Values(Vec::new())
    }
}

impl From<Executed> for Outputs {
    fn from(executed: Executed) -> Self {
        Self::Exec(executed)
    }
}

impl From<Answered> for Outputs {
    fn from(answered: Answered) -> Self {
        Self::Http(answered)
    }
}

impl From<Content> for Outputs {
    fn from(content: Content) -> Self {
        Self::File(content)
    }
}

impl From<Listed> for Outputs {
    fn from(listed: Listed) -> Self {
        Self::List(listed)
    }
}

impl StepOutcome {
    /// An outcome with these outputs.
    pub fn new(outputs: Vec<(&'static str, Value)>) -> Self {
        Self::of(Outputs::Values(outputs))
    }

    pub(super) fn of(outputs: impl Into<Outputs>) -> Self {
        Self {
            outputs: outputs.into(),
            measurements: Vec::new(),
            launched: None,
            later: None,
            collected: Vec::new(),
        }
    }

    /// Of a sandbox that came about like this.
    #[must_use]
    pub(super) fn launched(mut self, launched: LaunchType) -> Self {
        self.launched = Some(launched);
        self
    }

    /// With what is known later.
    #[must_use]
    pub(super) fn and_later(mut self, later: Later) -> Self {
        self.later = Some(Arc::new(later));
        self
    }

    /// With one more measured time.
    #[must_use]
    pub fn time(mut self, measure: Measure, duration: Duration) -> Self {
        self.measurements.push(Measurement {
            measure,
            value: Measured::Time(duration),
        });
        self
    }

    /// With one more count.
    #[must_use]
    pub fn count(mut self, measure: Measure, count: u64) -> Self {
        self.measurements.push(Measurement {
            measure,
            value: Measured::Count(count),
        });
        self
    }

    /// The value of an output, made now; [`Value::Null`] when it is not there.
    pub fn output(&self, name: &str) -> Value {
        match &self.outputs {
            Outputs::Values(values) => values
                .iter()
                .find(|(found, _)| *found == name)
                .map_or(Value::Null, |(_, value)| value.clone()),
            Outputs::Exec(executed) => executed.output(name),
            Outputs::Http(answered) => answered.output(name),
            Outputs::File(content) => content.output(name),
            Outputs::List(listed) => listed.output(name),
        }
    }
}

/// A count of bytes or entries as a value.
pub(super) fn whole(count: usize) -> Value {
    i64::try_from(count).unwrap_or(i64::MAX).into()
}
