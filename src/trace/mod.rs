//! One trace per piece of work: what happened in it, as plain records.
//!
//! ```text
//! Trace::begin ──► scope(future) ──► start("POST …") ──► Open ──► Span   (one write to memory each)
//!                       │ inherited by everything in the same task          │
//!                       └───────────── traceparent of every request         ▼
//!                                                      Trace::finish ──► Finished ──► Tracer
//! ```
//!
//! Nothing here exports anything, knows OTLP or asks a clock twice: a span is a record that is complete when the
//! work has ended, and whether anybody wants it is decided after that. Without a trace in the current task, every
//! call here is one look at a task-local.
//!
//! The client makes its spans through this module, so a program that uses the client alone gets the same ones:
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use sandbench::trace::{Kind, Role, Sampled, Trace, start};
//!
//! let trace = Trace::begin("my job", Sampled::Yes);
//! trace.scope(async {
//!     // Whatever the client does here becomes a part of the trace.
//!     let span = start("look", Role::Other, Kind::Internal);
//!     span.set("files", 3_i64);
//! }).await;
//! let finished = trace.finish();
//! assert_eq!(finished.spans[1].name, "look");
//! assert_eq!(finished.spans[1].parent, Some(finished.spans[0].id));
//! # });
//! ```

mod id;
mod scope;
mod span;
mod tracer;

pub use id::{ContextError, Sampled, SpanContext, SpanId, TraceId};
pub use scope::{
    Open, Scope, Trace, carried, context, current, mark, operation, set, set_all, start,
};
pub use span::{Attribute, Finished, Kind, Role, Span};
pub use tracer::{CellTracer, Describe, ServiceTracer, Tracer};
