//! Plan to samples.
mod cancel;
mod event;
pub use cancel::{Cancel, CancelHandle, CancelReason, Phase};
pub use event::{Events, IterationEnd, RunEvent};
