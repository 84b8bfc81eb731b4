//! [`Metric`]: every metric that a run emits. The only list.

use serde::{Deserialize, Serialize};

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
    /// From sending a claim to seeing it Ready.
    SandboxReadyDuration = ("sandbox_ready_duration", Trend, Nanoseconds);
    /// From sending a claim to the end of the first command that succeeded.
    TimeToFirstExec = ("time_to_first_exec", Trend, Nanoseconds);
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
    /// Sandboxes that came from a warm pool.
    WarmHits = ("warm_hits", Counter, Count);
    /// Sandboxes that were started for their claim.
    ColdStarts = ("cold_starts", Counter, Count);
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
