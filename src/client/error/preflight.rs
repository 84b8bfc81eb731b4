//! Why a run would fail before anything of it can succeed.

use super::{ConnectError, Operation};

/// Something that is needed and is not there.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// A permission.
    #[error("{operation}: the user is not allowed to")]
    Denied {
        /// What has to be allowed.
        operation: Box<Operation>,
    },
    /// An object.
    #[error("find {kind} `{namespace}/{name}`: it does not exist")]
    Missing {
        /// What it is.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Its namespace.
        namespace: String,
        /// Names of those that exist there.
        known: Vec<String>,
    },
    /// The way to the sandboxes.
    #[error("find the way to sandboxes in mode `{mode}`")]
    Way {
        /// The connection mode.
        mode: &'static str,
        /// The cause.
        #[source]
        source: Box<ConnectError>,
    },
}

impl PreflightError {
    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Denied { operation } => Some(super::kube::forbidden_help(operation)),
            Self::Missing { kind, known, .. } if known.is_empty() => {
                Some(format!("there is no {kind} in that namespace; create one"))
            }
            Self::Missing { known, .. } => Some(format!("there is: {}", known.join(", "))),
            Self::Way { source, .. } => source.help(),
        }
    }
}
