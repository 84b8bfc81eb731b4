//! [`Warning`]: a reason to doubt a figure; travels with it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::doubt::{Reliability, is_stalled, is_used_up};

/// A reason to doubt a figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Warning {
    /// A p99 of fewer than 100 samples is the maximum or close to it.
    FewSamples {
        /// The cells that it is about.
        cells: Vec<String>,
        /// The smallest number of iterations.
        samples: u64,
    },
    /// Cells ran at the same time and had the machine to share.
    RanTogether {
        /// How many at most.
        cells: usize,
    },
    /// Some durations were longer than the histograms tell apart.
    Clamped {
        /// How many.
        samples: u64,
    },
    /// Iterations started late: the generator, not the system, may have been the limit.
    StartedLate {
        /// The cell.
        cell: String,
        /// The 99th percentile of the delay, in nanoseconds.
        p99_ns: u64,
    },
    /// Arrivals found no room and were not run.
    Dropped {
        /// The cell.
        cell: String,
        /// How many.
        iterations: u64,
    },
    /// After a level of a `breakpoint`, iterations were still in flight when the wait for them was over.
    NotDrained {
        /// The cell.
        cell: String,
        /// The level, in arrivals per second, as it is shown.
        rate: String,
        /// How many.
        in_flight: u64,
        /// How long they were waited for, in milliseconds.
        waited_ms: u64,
    },
    /// A level of a `breakpoint` broke while the generator itself was late.
    BrokeLate {
        /// The cell.
        cell: String,
        /// The level, in arrivals per second, as it is shown.
        rate: String,
        /// The 99th percentile of the start delay, in nanoseconds.
        p99_ns: u64,
    },
    /// A closed load cannot show what would have arrived while it waited for slow iterations.
    ClosedLoad {
        /// The cell.
        cell: String,
        /// About how many more iterations its VUs would have begun at their median pace.
        hidden: u64,
        /// How many it measured.
        measured: u64,
    },
    /// The generator used most of the processor.
    GeneratorBusy {
        /// Of all cores, in the busiest second.
        percent: u32,
        /// Whether nothing to speak of was left.
        without_headroom: bool,
    },
    /// The generator's runtime woke tasks late.
    RuntimeLate {
        /// The 99th percentile of the delay, in nanoseconds.
        p99_ns: u64,
    },
    /// The generator came close to its limit of open descriptors.
    FewDescriptors {
        /// The most at a time.
        open: u64,
        /// The limit.
        limit: u64,
    },
    /// The generator came close to the limit of local ports.
    FewPorts {
        /// The most at a time, of all programs.
        taken: u64,
        /// The limit.
        limit: u64,
    },
    /// Attempts failed because the generator had none left of something.
    UsedUp {
        /// The cell.
        cell: String,
        /// Of what: `local port`, `descriptor`.
        what: String,
        /// How many attempts.
        attempts: u64,
    },
    /// The machine had next to no idle time.
    MachineFull {
        /// Of the time of all its processors.
        idle_percent: u32,
        /// Used by other programs.
        others_percent: u32,
    },
    /// The host of the virtual machine took processor time away.
    Stolen {
        /// Of the time of all processors.
        percent: u32,
        /// Whether it was so much that times are no longer the machine's own.
        robbed: bool,
    },
    /// Requests to the API server waited in the client until a connection had room.
    ApiQueued {
        /// The cell.
        cell: String,
        /// The 99th percentile, in nanoseconds.
        p99_ns: u64,
    },
    /// The API server refused requests because there were too many (429).
    Throttled {
        /// How many.
        requests: u64,
        /// Under which priority level they fall, where that is known.
        priority_level: Option<String>,
    },
    /// Planned iterations that were not begun, for another reason than want of room.
    NotStarted {
        /// The cell.
        cell: String,
        /// How many were planned.
        planned: u64,
        /// How many of them are missing.
        missing: u64,
    },
    /// There were more kinds of failures than are listed; all failures are counted.
    FailuresUnlisted {
        /// How many failures are of kinds that are not listed.
        failures: u64,
    },
    /// Pods could not be watched, so that it is not known when they were scheduled and running.
    PodsUnseen {
        /// Where.
        namespace: String,
        /// Why.
        reason: String,
    },
    /// Claims whose time to live could not be renewed: they may have ended before their steps.
    NotRenewed {
        /// How often it failed.
        times: u64,
        /// Why it failed the first time.
        reason: String,
    },
    /// Claims could not be deleted when their iteration ended; the end of the run did it, or tells
    /// what was left.
    CleanedUpLate {
        /// How many.
        claims: u64,
    },
    /// Progress events that nobody read in time; figures are not affected.
    EventsDropped {
        /// How many.
        events: u64,
    },
    /// The run was killed; these are the figures that it had written until then.
    CutOff {
        /// The end of the last window, in milliseconds from the start of the run.
        after_ms: u64,
    },
    /// The binary was built without optimisation.
    DebugBuild,
}

impl Warning {
    /// How far figures can be relied on in spite of it; [`Reliability::Ok`] for a note.
    pub fn reliability(&self) -> Reliability {
        match self {
            Self::FewSamples { .. }
            | Self::RanTogether { .. }
            | Self::PodsUnseen { .. }
            | Self::FailuresUnlisted { .. }
            | Self::EventsDropped { .. }
            | Self::CleanedUpLate { .. }
            | Self::DebugBuild => Reliability::Ok,
            Self::GeneratorBusy {
                without_headroom: true,
                ..
            }
            | Self::Stolen { robbed: true, .. }
            | Self::UsedUp { .. }
            | Self::StartedLate { .. }
            | Self::BrokeLate { .. } => Reliability::Unreliable,
            Self::FewDescriptors { open: taken, limit } | Self::FewPorts { taken, limit }
                if is_used_up(*taken, *limit) =>
            {
                Reliability::Unreliable
            }
            Self::RuntimeLate { p99_ns } if is_stalled(*p99_ns) => Reliability::Unreliable,
            Self::Clamped { .. }
            | Self::CutOff { .. }
            | Self::Dropped { .. }
            | Self::NotDrained { .. }
            | Self::ClosedLoad { .. }
            | Self::GeneratorBusy { .. }
            | Self::RuntimeLate { .. }
            | Self::FewDescriptors { .. }
            | Self::FewPorts { .. }
            | Self::MachineFull { .. }
            | Self::Stolen { .. }
            | Self::ApiQueued { .. }
            | Self::Throttled { .. }
            | Self::NotRenewed { .. }
            | Self::NotStarted { .. } => Reliability::Degraded,
        }
    }
}

impl fmt::Display for Warning {
    #[expect(clippy::too_many_lines, reason = "a text per variant")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FewSamples { cells, samples } => write!(
                f,
                "{} few iterations ({samples}{}): p95 and p99 are close to the maximum",
                match cells.as_slice() {
                    [one] => format!("{one} has"),
                    many => format!("{} cells have", many.len()),
                },
                if cells.len() == 1 { "" } else { " or more" },
            ),
            Self::RanTogether { cells } => write!(
                f,
                "{cells} cells ran at the same time and slowed each other; `--jobs 1` runs one by one"
            ),
            Self::Clamped { samples } => {
                write!(f, "{samples} durations were longer than 1h and are counted as 1h")
            }
            Self::StartedLate { cell, p99_ns } => write!(
                f,
                "{cell}: iterations started up to {} late (p99): the generator was busy; use fewer \
                 VUs or more cores",
                super::summary::humanise(*p99_ns)
            ),
            Self::Dropped { cell, iterations } => write!(
                f,
                "{cell}: {iterations} arrivals found no room and were not run; the figures lack \
                 them; raise `maxInFlight`, or the rate is more than the system bears"
            ),
            Self::NotDrained { cell, rate, in_flight, waited_ms } => write!(
                f,
                "{cell}: {in_flight} iterations were still in flight {} after the level of {rate} \
                 (`gracefulStop`): the next level began on a system that was not at rest",
                super::summary::humanise_millis(*waited_ms)
            ),
            Self::BrokeLate { cell, rate, p99_ns } => write!(
                f,
                "{cell}: at {rate}, which broke, iterations started up to {} late (p99): the generator, \
                 not the system, may be what broke",
                super::summary::humanise(*p99_ns)
            ),
            Self::ClosedLoad { cell, hidden, measured } => write!(
                f,
                "{cell}: a closed load waits with the system: about {hidden} iterations beside the \
                 {measured} measured would have met the slow times; use `rate` for what arrivals see"
            ),
            Self::GeneratorBusy { percent, .. } => write!(
                f,
                "the generator used {percent} % of all cores in its busiest second: it, not the \
                 system, may have been the limit"
            ),
            Self::RuntimeLate { p99_ns } => write!(
                f,
                "the generator woke its tasks up to {} late (p99): shorter times cannot be told apart",
                super::summary::humanise(*p99_ns)
            ),
            Self::FewDescriptors { open, limit } => write!(
                f,
                "{open} of {limit} descriptors were open; raise the limit (`ulimit -n`)"
            ),
            Self::FewPorts { taken, limit } => write!(
                f,
                "{taken} of {limit} local ports were taken towards one address; widen \
                 `net.ipv4.ip_local_port_range`, or spread the load over more machines"
            ),
            Self::UsedUp { cell, what, attempts } => write!(
                f,
                "{cell}: {attempts} attempts failed because this machine had no {what} left: the \
                 generator was the limit"
            ),
            Self::MachineFull { idle_percent, others_percent } => write!(
                f,
                "the machine was idle for {idle_percent} % of the time, other programs used \
                 {others_percent} % (a loopback cluster is one): times include waiting for a core"
            ),
            Self::Stolen { percent, .. } => write!(
                f,
                "the host of this virtual machine took {percent} % of its processor time away"
            ),
            Self::ApiQueued { cell, p99_ns } => write!(
                f,
                "{cell}: requests waited up to {} (p99) for a connection to the API server: more were \
                 under way than it takes at once",
                super::summary::humanise(*p99_ns)
            ),
            Self::Throttled { requests, priority_level } => {
                write!(f, "the API server refused {requests} requests as too many (429)")?;
                match priority_level {
                    Some(level) => write!(f, "; they fall under its priority level `{level}`"),
                    None => Ok(()),
                }
            }
            Self::NotStarted { cell, planned, missing } => write!(
                f,
                "{cell}: {missing} of {planned} planned iterations were not begun"
            ),
            Self::FailuresUnlisted { failures } => write!(
                f,
                "{failures} failures are counted but not listed: there are too many kinds of them"
            ),
            Self::PodsUnseen { namespace, reason } => write!(
                f,
                "when pods of the namespace {namespace} were scheduled and running is not known: {reason}"
            ),
            Self::NotRenewed { times, reason } => write!(
                f,
                "claims could not be given more time to live, {times} times: {reason}; they may have \
                 ended before their steps"
            ),
            Self::CleanedUpLate { claims } => write!(
                f,
                "{claims} claims could not be deleted when their iteration ended; they were deleted \
                 at the end of the run unless a leak is told"
            ),
            Self::EventsDropped { events } => {
                write!(f, "{events} progress events were dropped; figures are not affected")
            }
            Self::CutOff { after_ms } => write!(
                f,
                "the run was cut off: these are its windows up to {}; thresholds were not judged, and \
                 what it left behind is not known",
                super::summary::humanise_millis(*after_ms)
            ),
            Self::DebugBuild => f.write_str(
                "this is a debug build: latencies include unoptimised code; use `cargo run --release`",
            ),
        }
    }
}
