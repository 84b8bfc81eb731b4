//! [`EngineError`]: the harness itself could not do its job.

/// The harness could not do its job. What a run finds out about sandboxes is never an error.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A task of the engine panicked: a fault of sandbench.
    #[error("run the cell `{cell}`: a task of the engine panicked: {message}")]
    Panicked {
        /// Which cell.
        cell: String,
        /// What it said.
        message: String,
    },
    /// There is no client for a namespace that the plan uses.
    #[error("find a client for the namespace `{namespace}`")]
    NoClient {
        /// Which namespace.
        namespace: String,
    },
}
