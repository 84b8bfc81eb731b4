//! [`Warning`]: a reason to doubt a figure; travels with it.

use std::fmt;

use serde::{Deserialize, Serialize};

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
    /// Progress events that nobody read in time; figures are not affected.
    EventsDropped {
        /// How many.
        events: u64,
    },
    /// The binary was built without optimisation.
    DebugBuild,
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
            Self::EventsDropped { events } => {
                write!(f, "{events} progress events were dropped; figures are not affected")
            }
            Self::DebugBuild => f.write_str(
                "this is a debug build: latencies include unoptimised code; use `cargo run --release`",
            ),
        }
    }
}
