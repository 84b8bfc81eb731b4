//! [`Warning`]: a reason to doubt a figure; travels with it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::doubt::{Reliability, is_stalled};

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
            | Self::EventsDropped { .. }
            | Self::DebugBuild => Reliability::Ok,
            Self::GeneratorBusy {
                without_headroom: true,
                ..
            }
            | Self::StartedLate { .. }
            | Self::BrokeLate { .. } => Reliability::Unreliable,
            Self::RuntimeLate { p99_ns } if is_stalled(*p99_ns) => Reliability::Unreliable,
            Self::Clamped { .. }
            | Self::CutOff { .. }
            | Self::Dropped { .. }
            | Self::NotDrained { .. }
            | Self::ClosedLoad { .. }
            | Self::GeneratorBusy { .. }
            | Self::RuntimeLate { .. }
            | Self::FewDescriptors { .. } => Reliability::Degraded,
        }
    }
}

impl fmt::Display for Warning {
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
