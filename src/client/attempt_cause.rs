//! [`AttemptCause`]: why an attempt failed, in one word, so that failures can be counted.

use std::error::Error;
use std::fmt;
use std::io;

use super::error::{CallError, ConnectError, KubeError};

/// `ENFILE` and `EMFILE`, which are the same numbers on every Unix.
const OUT_OF_DESCRIPTORS: [i32; 2] = [23, 24];

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttemptCause {
    /// An answer with this HTTP status.
    Status(u16),
    /// An answer with this gRPC code: `UNAVAILABLE`.
    Grpc(&'static str),
    /// Nobody listens.
    Refused,
    /// The connection broke.
    Reset,
    /// Time was up.
    Timeout,
    /// A name could not be resolved.
    Lookup,
    /// TLS could not be agreed on.
    Tls,
    /// A port-forward could not be opened.
    Tunnel,
    /// This machine has no local port left.
    NoPort,
    /// This process has no descriptor left.
    NoDescriptor,
    /// Client or handle are closed.
    Closed,
    /// Anything else.
    Other,
}

impl AttemptCause {
    /// What an error of this client comes to.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        if let Some(error) = error.downcast_ref::<CallError>() {
            Self::of_call(error)
        } else if let Some(error) = error.downcast_ref::<KubeError>() {
            Self::of_request(error)
        } else if let Some(error) = error.downcast_ref::<ConnectError>() {
            Self::of_connection(error)
        } else {
            Self::of_transport(error)
        }
    }

    /// A word for it, or `None` for a status.
    pub fn word(self) -> Option<&'static str> {
        Some(match self {
            Self::Status(_) => return None,
            Self::Grpc(code) => code,
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::Lookup => "lookup",
            Self::Tls => "tls",
            Self::Tunnel => "tunnel",
            Self::NoPort => "no-port",
            Self::NoDescriptor => "no-descriptor",
            Self::Closed => "closed",
            Self::Other => "other",
        })
    }

    fn of_call(error: &CallError) -> Self {
        match error {
            CallError::Connect { source, .. } => Self::of_connection(source),
            CallError::Transport { source, .. } => Self::of_transport(&**source),
            CallError::Timeout { .. } => Self::Timeout,
            CallError::Status { status, .. } | CallError::Redirect { status, .. } => {
                Self::Status(*status)
            }
            CallError::Grpc { code, .. } => Self::Grpc(code),
            CallError::Exhausted { source, .. } => Self::of_call(source),
            CallError::Closed { .. } => Self::Closed,
            _ => Self::Other,
        }
    }

    fn of_request(error: &KubeError) -> Self {
        match error {
            KubeError::Status { code, .. } => Self::Status(*code),
            KubeError::Timeout { .. } => Self::Timeout,
            KubeError::Transport { source, .. } => Self::of_transport(&**source),
            KubeError::Exhausted { source, .. } => Self::of_request(source),
            KubeError::Closed { .. } => Self::Closed,
            KubeError::Decode { .. } => Self::Other,
        }
    }

    fn of_connection(error: &ConnectError) -> Self {
        match error {
            ConnectError::Dial { source, .. } => Self::of_transport(&**source),
            ConnectError::Lookup { .. } => Self::Lookup,
            ConnectError::Timeout { .. } => Self::Timeout,
            ConnectError::PortForward { .. } => Self::Tunnel,
            ConnectError::Tls { .. } => Self::Tls,
            ConnectError::Kube { source, .. } => Self::of_request(source),
            _ => Self::Other,
        }
    }

    /// From the first error of the chain that says something.
    fn of_transport(error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(error) = error.downcast_ref::<io::Error>() {
                if let Some(cause) = Self::of_io(error) {
                    return cause;
                }
                // Its `source` is that of the error in it.
                if let Some(inner) = error.get_ref() {
                    next = Some(inner);
                    continue;
                }
            } else if let Some(error) = error.downcast_ref::<hyper::Error>()
                && (error.is_incomplete_message() || error.is_closed() || error.is_canceled())
            {
                return Self::Reset;
            }
            next = error.source();
        }
        Self::Other
    }

    fn of_io(error: &io::Error) -> Option<Self> {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Some(Self::Refused),
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Some(Self::Reset),
            io::ErrorKind::TimedOut => Some(Self::Timeout),
            io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse => Some(Self::NoPort),
            _ => {
                let number = error.raw_os_error()?;
                OUT_OF_DESCRIPTORS
                    .contains(&number)
                    .then_some(Self::NoDescriptor)
            }
        }
    }
}

impl fmt::Display for AttemptCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(code) => write!(f, "{code}"),
            other => f.write_str(other.word().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Delivered;

    #[test]
    fn a_cause_is_found_through_the_chain_of_errors() {
        let broken = |kind: io::ErrorKind| CallError::Connect {
            operation: "exec".to_owned(),
            source: Box::new(ConnectError::Dial {
                target: "10.0.0.5:8888".to_owned(),
                source: Box::new(io::Error::other(io::Error::from(kind))),
            }),
        };
        for (kind, cause) in [
            (io::ErrorKind::ConnectionRefused, AttemptCause::Refused),
            (io::ErrorKind::ConnectionReset, AttemptCause::Reset),
            (io::ErrorKind::AddrNotAvailable, AttemptCause::NoPort),
            (io::ErrorKind::PermissionDenied, AttemptCause::Other),
        ] {
            assert_eq!(AttemptCause::of(&broken(kind)), cause, "{kind:?}");
        }
        let full = CallError::Transport {
            operation: "exec".to_owned(),
            delivered: Delivered::No,
            source: Box::new(io::Error::from_raw_os_error(24)),
        };
        assert_eq!(AttemptCause::of(&full), AttemptCause::NoDescriptor);
    }

    #[test]
    fn a_status_is_its_own_word() {
        assert_eq!(AttemptCause::Status(429).to_string(), "429");
        assert_eq!(AttemptCause::Grpc("UNAVAILABLE").to_string(), "UNAVAILABLE");
        assert_eq!(AttemptCause::Timeout.to_string(), "timeout");
    }
}
