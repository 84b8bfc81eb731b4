//! [`Metric`]: every metric that a run emits. The only list.

use serde::{Deserialize, Serialize};

use super::label::Label;

/// What a metric's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A distribution.
    Trend,
    /// A sum.
    Counter,
    /// One value.
    Gauge,
}

/// The unit of a metric's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Whole nanoseconds.
    Nanoseconds,
    /// A plain number.
    Count,
    /// Bytes.
    Bytes,
    /// Per second.
    PerSecond,
}

/// A clock of the cluster. Its figures are differences of two times that one program wrote, and are
/// never in one histogram with the generator's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum ServerClock {
    /// That of the controller of Agent Sandbox.
    Controller {
        /// How fine its times are.
        grain: Grain,
    },
    /// That of the node of the pod.
    Kubelet {
        /// How fine its times are.
        grain: Grain,
    },
}

impl ServerClock {
    /// How fine its times are.
    pub fn grain(self) -> Grain {
        match self {
            Self::Controller { grain } | Self::Kubelet { grain } => grain,
        }
    }
}

/// How fine times are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grain {
    /// Nanoseconds.
    #[serde(rename = "1ns")]
    Nanosecond,
    /// Whole seconds: a difference may be almost a second more or less than it says.
    #[serde(rename = "1s")]
    Second,
}

macro_rules! metrics {
    ($($(#[doc = $doc:literal])+ $variant:ident = ($name:literal, $kind:ident, $unit:ident);)*) => {
        /// A metric. Durations are measured on the generator's monotonic clock.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Metric {
            $($(#[doc = $doc])+ $variant,)*
        }

        impl Metric {
            /// Every metric, in the order of reports.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in reports and results.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Distribution, sum or value.
            pub fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind),* }
            }

            /// The unit of its values.
            pub fn unit(self) -> Unit {
                match self { $(Self::$variant => Unit::$unit),* }
            }

            /// What it measures.
            pub fn description(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc, " "),+)),* }
            }
        }
    };
}

metrics! {
    /// From sending a claim to the API server's answer.
    SandboxCreateAckDuration = ("sandbox_create_ack_duration", Trend, Nanoseconds);
    /// From sending a claim to seeing its sandbox's name.
    SandboxBoundDuration = ("sandbox_bound_duration", Trend, Nanoseconds);
    /// From sending a claim to seeing its pod scheduled; not of pods that were so before the claim.
    SandboxScheduledDuration = ("sandbox_scheduled_duration", Trend, Nanoseconds);
    /// From sending a claim to seeing its pod running; not of pods that were so before the claim.
    SandboxRunningDuration = ("sandbox_running_duration", Trend, Nanoseconds);
    /// From sending a claim to seeing it Ready.
    SandboxReadyDuration = ("sandbox_ready_duration", Trend, Nanoseconds);
    /// From sending a claim to the end of the first command that succeeded.
    TimeToFirstExec = ("time_to_first_exec", Trend, Nanoseconds);
    /// From the controller's first sight of a claim to its first being ready, by the controller's clock.
    ControllerReadyDuration = ("controller_ready_duration", Trend, Nanoseconds);
    /// From the node's taking on of a cold sandbox's pod to the start of its last container, by the
    /// node's clock, which tells whole seconds.
    KubeletStartedDuration = ("kubelet_started_duration", Trend, Nanoseconds);
    /// The same to the pod's condition Ready.
    KubeletReadyDuration = ("kubelet_ready_duration", Trend, Nanoseconds);
    /// One attempt of a request to the API server or of a call on a sandbox, of steps with `retry`.
    AttemptDuration = ("attempt_duration", Trend, Nanoseconds);
    /// The same of first attempts only: what there would be without `retry`.
    FirstAttemptDuration = ("first_attempt_duration", Trend, Nanoseconds);
    /// How long a request waited in the client until a connection to the API server had room.
    ApiQueueDuration = ("api_queue_duration", Trend, Nanoseconds);
    /// Until a connection to a sandbox could be used.
    ConnectDuration = ("connect_duration", Trend, Nanoseconds);
    /// One command, request to answer.
    ExecDuration = ("exec_duration", Trend, Nanoseconds);
    /// One file written.
    WriteDuration = ("write_duration", Trend, Nanoseconds);
    /// One file read.
    ReadDuration = ("read_duration", Trend, Nanoseconds);
    /// One directory listed.
    ListDuration = ("list_duration", Trend, Nanoseconds);
    /// One question whether a file exists.
    ExistsDuration = ("exists_duration", Trend, Nanoseconds);
    /// One file or directory deleted.
    DeleteFileDuration = ("delete_file_duration", Trend, Nanoseconds);
    /// From asking for a suspension until the controller says that it is so.
    SandboxSuspendDuration = ("sandbox_suspend_duration", Trend, Nanoseconds);
    /// From asking for a resumption to seeing the sandbox Ready.
    SandboxResumeDuration = ("sandbox_resume_duration", Trend, Nanoseconds);
    /// From asking for a deletion to the API server's answer.
    SandboxDeleteDuration = ("sandbox_delete_duration", Trend, Nanoseconds);
    /// One request of an `http` step, connecting included.
    HttpDuration = ("http_duration", Trend, Nanoseconds);
    /// One `wait`.
    WaitDuration = ("wait_duration", Trend, Nanoseconds);
    /// One step, whatever its action, without its checks.
    StepDuration = ("step_duration", Trend, Nanoseconds);
    /// All steps of a group together.
    GroupDuration = ("group_duration", Trend, Nanoseconds);
    /// One iteration from its planned start to the end of its steps, clean-up not counted.
    IterationDuration = ("iteration_duration", Trend, Nanoseconds);
    /// One iteration from its actual start to the end of its steps: without what it waited for.
    IterationServiceDuration = ("iteration_service_duration", Trend, Nanoseconds);
    /// Actual minus planned start of an iteration.
    IterationStartDelay = ("iteration_start_delay", Trend, Nanoseconds);
    /// Clean-up of one iteration.
    CleanupDuration = ("cleanup_duration", Trend, Nanoseconds);
    /// Iterations that ended by themselves, passed or failed.
    Iterations = ("iterations", Counter, Count);
    /// Iterations in which a step or an expectation failed.
    Failures = ("failures", Counter, Count);
    /// Iterations that were stopped before their end.
    InterruptedIterations = ("interrupted_iterations", Counter, Count);
    /// Iterations that were due and found no room (`maxInFlight`); they were not run.
    DroppedIterations = ("dropped_iterations", Counter, Count);
    /// Iterations of the warm-up, which no other metric counts.
    WarmupIterations = ("warmup_iterations", Counter, Count);
    /// Tries of steps: one each, more with `retries` or `eventually`.
    Attempts = ("attempts", Counter, Count);
    /// Requests and calls of steps, by how many attempts they took: one, or more with `retry`.
    Calls = ("calls", Counter, Count);
    /// Attempts of requests and calls that were not the first.
    RepeatedAttempts = ("repeated_attempts", Counter, Count);
    /// Attempts of requests and calls that failed, by cause: a status code, or a word.
    FailedAttempts = ("failed_attempts", Counter, Count);
    /// Sandboxes that came from a warm pool.
    WarmHits = ("warm_hits", Counter, Count);
    /// Sandboxes that were started for their claim.
    ColdStarts = ("cold_starts", Counter, Count);
    /// Sandboxes whose pod had been scheduled before their claim was sent.
    ScheduledBeforeClaim = ("scheduled_before_claim", Counter, Count);
    /// Sandboxes whose pod had been running before their claim was sent.
    RunningBeforeClaim = ("running_before_claim", Counter, Count);
    /// File content sent.
    BytesWritten = ("bytes_written", Counter, Bytes);
    /// File content received.
    BytesRead = ("bytes_read", Counter, Bytes);
    /// Iterations that passed only when they, or a step of them, were tried again.
    FlakyIterations = ("flaky_iterations", Counter, Count);
    /// Cells whose `setup` failed; their iterations were not run.
    SetupFailures = ("setup_failures", Counter, Count);
    /// The highest rate of arrivals at which every limit of a `breakpoint` held; absent if none did.
    BreakpointRate = ("breakpoint_rate", Gauge, PerSecond);
}

impl Metric {
    /// The tag that tells its series apart, beside their step. Series with different values of it
    /// are never pooled.
    pub fn tag(self) -> Option<&'static str> {
        match self {
            Self::SandboxCreateAckDuration
            | Self::SandboxBoundDuration
            | Self::SandboxScheduledDuration
            | Self::SandboxRunningDuration
            | Self::SandboxReadyDuration
            | Self::TimeToFirstExec
            | Self::ControllerReadyDuration
            | Self::KubeletStartedDuration
            | Self::KubeletReadyDuration
            | Self::ScheduledBeforeClaim
            | Self::RunningBeforeClaim => Some(Label::LAUNCH_TYPE),
            Self::Calls => Some(Label::ATTEMPTS),
            Self::FailedAttempts => Some(Label::CAUSE),
            _ => None,
        }
    }

    /// Whose clock measures it, where it is not the generator's own monotonic one.
    pub fn clock(self) -> Option<ServerClock> {
        match self {
            Self::ControllerReadyDuration => Some(ServerClock::Controller {
                grain: Grain::Nanosecond,
            }),
            Self::KubeletStartedDuration | Self::KubeletReadyDuration => {
                Some(ServerClock::Kubelet {
                    grain: Grain::Second,
                })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_distinct_and_places_are_those_of_the_list() {
        let names: HashSet<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        assert_eq!(names.len(), Metric::ALL.len());
        for (index, metric) in Metric::ALL.iter().enumerate() {
            assert_eq!(*metric as usize, index);
        }
    }
}
