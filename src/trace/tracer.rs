//! [`Tracer`]: who wants traces of a run.

use std::fmt::Debug;
use std::sync::Arc;

use super::scope::Trace;
use super::span::{Finished, Span};

/// Wants traces of a run; given to the engine. Its methods must return at once: no waiting for a lock or a channel.
pub trait Tracer: Send + Sync + Debug {
    /// What wants the traces of a cell.
    fn cell(&self, name: &str) -> Arc<dyn CellTracer>;
}

/// Says in the root of a trace which iteration it was. Called only for traces that are kept: the others are many.
pub type Describe<'a> = &'a dyn Fn(&mut Span);

/// Wants the traces of one cell.
pub trait CellTracer: Send + Sync + Debug {
    /// A trace for an iteration, counted from 0.
    fn begin(&self, iteration: u64) -> Trace;

    /// An iteration has ended. Whether its trace is kept is decided now.
    fn finish(&self, iteration: u64, trace: Finished, describe: Describe<'_>);
}

/// Takes traces of a service, such as the loopback cluster's router. Returns at once.
pub trait ServiceTracer: Send + Sync + Debug {
    /// A piece of the service's work has ended.
    fn finish(&self, service: &'static str, trace: Finished);
}
