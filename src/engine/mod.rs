//! Plan to summary: cells, virtual users, iterations, clean-up, cancellation.
//!
//! ```text
//! run ──► cell (side by side, or alone if it has a load) ──► VU or arrival ──► iteration ──► steps
//!                                                                       │ finally, clean-up
//!  leftovers are looked for ◄──────────── all cells have ended ◄─────────┘
//! ```
//!
//! The engine knows closed load models by one trait, open ones by the times of their arrivals, a
//! breakpoint by the open model that it tries next, and steps by `run`, `judge` and `bind`; it knows no kind of either. Only `iteration` and `steps` make
//! samples.

mod beforehand;
mod breakpoint_loop;
mod cancel;
mod cell;
mod cleanup;
mod closed_loop;
mod error;
mod event;
mod evidence;
mod failure;
mod fixture;
mod flight;
mod flow;
mod iteration;
mod machine;
mod naming;
mod open_loop;
mod overseer;
mod own_health;
mod pacer;
mod parallel;
mod ports;
mod reasons;
mod renewal;
mod rounds;
mod run;
mod steps;
mod stop;
mod sweep;
mod traced;
mod windows;

pub use cancel::{Cancel, CancelHandle, CancelReason, Phase};
pub use error::EngineError;
pub use event::{Events, RunEvent};
pub use pacer::Pacing;
pub use run::{RunFacts, run};
