//! Load models: how many iterations start, and when. Pure functions of time and count.
//!
//! **Extension point.** A closed model says how many VUs run at a time ([`VuCurve`]); an open model says
//! when each iteration is due ([`Open::arrivals`]); a breakpoint says which open model is tried next
//! ([`Search`]). To add one: a file, a variant and the arms that the
//! compiler asks for.
#![warn(clippy::wildcard_enum_match_arm)]

mod breakpoint;
mod closed;
mod decode;
mod open;
mod profile;
mod stages;

pub use breakpoint::{Breakpoint, Search, Tried};
pub use closed::Closed;
pub use decode::SHAPE;
pub use open::{Arrival, Arrivals, Open};
pub use profile::{Profile, Stage};

use std::fmt;
use std::time::Duration;

/// The load of a scenario: a model and what surrounds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// What starts iterations.
    pub model: LoadModel,
    /// What is run before anything is counted.
    pub warmup: Warmup,
    /// How long iterations in flight may go on after the end or a stop. Default: 30 s, as in k6.
    pub graceful_stop: Duration,
}

/// How a scenario loads the system.
#[derive(Debug, Clone, PartialEq)]
pub enum LoadModel {
    /// VUs, each running one iteration after the other.
    Closed(Closed),
    /// Arrivals at planned times.
    Open(Open),
    /// Arrivals at one rate after the other, to find the highest that the system bears.
    Breakpoint(Breakpoint),
}

/// What is run first and left out of the figures. It comes on top of what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warmup {
    /// Nothing.
    None,
    /// The first iterations.
    Iterations(u64),
    /// The iterations that are due within this time.
    Duration(Duration),
}

/// When a load model is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// After this many iterations in total.
    Iterations(u64),
    /// At this time after its start; iterations in flight may end.
    At(Duration),
}

/// A closed load model as the engine sees it.
pub trait VuCurve {
    /// How many VUs run after `elapsed`.
    fn vus(&self, elapsed: Duration) -> u32;

    /// The most VUs at any time.
    fn most(&self) -> u32;

    /// Whether iteration number `index` (from 0) may still start after `elapsed`.
    fn admits(&self, index: u64, elapsed: Duration) -> bool;

    /// When it is over.
    fn end(&self) -> End;
}

impl Warmup {
    /// Whether iteration number `index`, due at `offset`, is part of the warm-up.
    pub fn holds(self, index: u64, offset: Duration) -> bool {
        match self {
            Self::None => false,
            Self::Iterations(count) => index < count,
            Self::Duration(duration) => offset < duration,
        }
    }
}

impl fmt::Display for LoadModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let up_to = |profile: &Profile| if profile.is_constant() { "" } else { "up to " };
        match self {
            Self::Closed(closed) => {
                let most = closed.most();
                let plural = if most == 1 { "" } else { "s" };
                write!(f, "{}{most} VU{plural}", up_to(&closed.vus))
            }
            Self::Open(open) => {
                write!(f, "{}{}/s", up_to(&open.rate), open.rate.highest())?;
                f.write_str(spread(open.arrival))
            }
            Self::Breakpoint(breakpoint) => {
                let (from, to) = (breakpoint.from, breakpoint.to);
                write!(f, "breakpoint {from} to {to}{}", spread(breakpoint.arrival))
            }
        }
    }
}

fn spread(arrival: Arrival) -> &'static str {
    match arrival {
        Arrival::Constant => "",
        Arrival::Poisson => " poisson",
    }
}

/// How long iterations in flight may go on after a stop, where the file says nothing (as in k6).
const GRACEFUL_STOP: Duration = Duration::from_secs(30);

/// Iterations at the same time in an open model, where the file says nothing: about what a process
/// with the usual limit of 1024 descriptors can hold; more is dropped and told, not queued.
const MAX_IN_FLIGHT: u32 = 1_000;

impl Load {
    /// One VU, one iteration: a scenario without `load`.
    pub fn once() -> Self {
        Self {
            model: LoadModel::Closed(Closed {
                vus: Profile::constant(1.0, None),
                iterations: Some(1),
            }),
            warmup: Warmup::None,
            graceful_stop: GRACEFUL_STOP,
        }
    }

    /// About how many iterations run at the same time at the most: the VUs, or the arrivals of one
    /// second up to a hundred. For what has to be prepared.
    pub fn at_once(&self) -> u32 {
        match &self.model {
            LoadModel::Closed(closed) => closed.most(),
            LoadModel::Open(open) => of_a_second(open.rate.highest(), open.max_in_flight),
            LoadModel::Breakpoint(breakpoint) => {
                of_a_second(breakpoint.to.as_per_second(), breakpoint.max_in_flight)
            }
        }
    }

    /// Iterations that are to be run, warm-up included, if that is known before.
    pub fn planned(&self) -> Option<u64> {
        match &self.model {
            LoadModel::Closed(closed) => match closed.end() {
                End::Iterations(total) => Some(total),
                End::At(_) => None,
            },
            LoadModel::Open(open) => open.planned(),
            LoadModel::Breakpoint(_) => None,
        }
    }
}

/// The arrivals of a second, up to a hundred and to what may be in flight.
fn of_a_second(rate: f64, max_in_flight: u32) -> u32 {
    let count = (1..100).find(|count| f64::from(*count) >= rate);
    count.unwrap_or(100).min(max_in_flight)
}
