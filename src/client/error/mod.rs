//! What can go wrong, one enum per kind of operation.
//!
//! Every error says in its text what was attempted, carries its cause as `source()`, and offers
//! `help()`: what the user can do about it, where that is known. Errors of the data plane also tell
//! whether the sandbox can have received the request ([`Delivered`]).

mod build;
mod call;
mod connect;
mod create;
mod delete;
mod kube;
mod manage;
mod open;
mod preflight;
mod ready;
mod reconnect;
mod restore;
mod suspend;

pub use build::BuildError;
pub use call::CallError;
pub use connect::ConnectError;
pub use create::CreateError;
pub use delete::{DeleteAndWaitError, DeleteError, WaitError};
pub use kube::{KubeError, Operation, Verb};
pub use manage::ManageError;
pub use open::OpenError;
pub use preflight::PreflightError;
pub use ready::ReadyError;
pub use reconnect::ReconnectError;
pub use restore::RestoreError;
pub use suspend::SuspendError;

pub(crate) use kube::{ConnectionProblem, connection_problem};

/// Any error, as a cause.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Whether a request can have reached its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivered {
    /// Surely not: it is safe to send it again.
    No,
    /// It may have been received, in part or in whole.
    Unknown,
    /// The receiver, or something on the way to it, answered.
    Yes,
}
