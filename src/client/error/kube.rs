//! Failures of requests to the Kubernetes API server, told apart by what can be done about them.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::{BoxError, Delivered};
use crate::units::HumanDuration;

/// What a request to the API server does, in the words of RBAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Read one object.
    Get,
    /// Read all objects.
    List,
    /// Follow changes.
    Watch,
    /// Make an object.
    Create,
    /// Change an object.
    Patch,
    /// Remove an object.
    Delete,
    /// Remove many objects.
    DeleteCollection,
}

impl Verb {
    /// The verb as it stands in a Role.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One request to the API server: what it does to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// What it does.
    pub verb: Verb,
    /// Resource with its group, as it stands in a Role, for example `sandboxclaims.extensions.agents.x-k8s.io`.
    pub resource: String,
    /// Namespace; empty for what has none.
    pub namespace: String,
    /// Name; empty if the operation is about all objects.
    pub name: String,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.name.is_empty() {
            write!(f, " `{}`", self.name)?;
        }
        if !self.namespace.is_empty() {
            write!(f, " in namespace `{}`", self.namespace)?;
        }
        Ok(())
    }
}

/// Why a request to the API server failed.
#[derive(Debug, thiserror::Error)]
pub enum KubeError {
    /// The API server answered with a failure.
    #[error("{operation}: the API server answered {code} {reason}: {message}")]
    Status {
        /// What was asked.
        operation: Box<Operation>,
        /// HTTP status.
        code: u16,
        /// Kubernetes' word for it, for example `Forbidden`.
        reason: String,
        /// Kubernetes' sentence about it, at most 64 KiB.
        message: String,
        /// After which time the API server wants to be asked again (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// No answer came in time.
    #[error("{operation}: the API server did not answer within {}", HumanDuration(*.after))]
    Timeout {
        /// What was asked.
        operation: Box<Operation>,
        /// How long was waited.
        after: Duration,
    },
    /// The connection failed.
    #[error("{operation}: the connection to the API server failed")]
    Transport {
        /// What was asked.
        operation: Box<Operation>,
        /// Whether the API server can have received the request.
        delivered: Delivered,
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// The answer is not what it should be.
    #[error("{operation}: the API server's answer is not understood")]
    Decode {
        /// What was asked.
        operation: Box<Operation>,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// The last of several attempts failed.
    #[error("{}: gave up after {attempts} attempts", source.operation())]
    Exhausted {
        /// How many there were.
        attempts: u32,
        /// How the last one failed.
        #[source]
        source: Box<Self>,
    },
    /// The client has been closed.
    #[error("{operation}: the client is closed")]
    Closed {
        /// What was asked.
        operation: Box<Operation>,
        /// Whether the API server can have received the request.
        delivered: Delivered,
    },
}

impl KubeError {
    /// HTTP status of the answer, if there was one.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Status { code, .. } => Some(*code),
            Self::Exhausted { source, .. } => source.code(),
            _ => None,
        }
    }

    /// How many attempts there were.
    pub fn attempts(&self) -> u32 {
        match self {
            Self::Exhausted { attempts, .. } => *attempts,
            _ => 1,
        }
    }

    /// After which time the API server wants to be asked again, if it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Exhausted { source, .. } => source.retry_after(),
            _ => None,
        }
    }

    /// What was asked.
    pub fn operation(&self) -> &Operation {
        match self {
            Self::Status { operation, .. }
            | Self::Timeout { operation, .. }
            | Self::Transport { operation, .. }
            | Self::Decode { operation, .. }
            | Self::Closed { operation, .. } => operation,
            Self::Exhausted { source, .. } => source.operation(),
        }
    }

    /// Whether the credentials do not suffice (401, 403).
    pub fn is_forbidden(&self) -> bool {
        matches!(self.code(), Some(401 | 403))
    }

    /// Whether what was asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// Whether the API server says that the request makes no sense as things are.
    pub fn is_bad_request(&self) -> bool {
        self.code() == Some(400)
    }

    /// Whether the API server can have carried out the request.
    pub fn delivered(&self) -> Delivered {
        match self {
            Self::Status { .. } | Self::Decode { .. } => Delivered::Yes,
            Self::Timeout { .. } => Delivered::Unknown,
            Self::Transport { delivered, .. } | Self::Closed { delivered, .. } => *delivered,
            Self::Exhausted { source, .. } => source.delivered(),
        }
    }

    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Status { code: 401, .. } => Some(
                "the API server does not accept the credentials; check the user of the kubeconfig \
                 context (`kubectl auth whoami`)"
                    .to_owned(),
            ),
            Self::Status {
                code: 403,
                operation,
                ..
            } => Some(forbidden_help(operation)),
            Self::Status { code: 429, .. } => Some(
                "the API server limits the request rate; lower the load or raise its limits"
                    .to_owned(),
            ),
            Self::Transport { source, .. } => connection_problem(source.as_ref()).help(),
            Self::Timeout { .. } => Some(
                "check that the API server can be reached from here (`kubectl get --raw /readyz`)"
                    .to_owned(),
            ),
            Self::Exhausted { source, .. } => source.help(),
            Self::Status { .. } | Self::Decode { .. } | Self::Closed { .. } => None,
        }
    }
}

/// Names the missing permission, and a command that asks for it.
pub(super) fn forbidden_help(operation: &Operation) -> String {
    let Operation {
        verb,
        resource,
        namespace,
        ..
    } = operation;
    let scope = if namespace.is_empty() {
        String::new()
    } else {
        format!(" in namespace `{namespace}`")
    };
    let flag = if namespace.is_empty() {
        String::new()
    } else {
        format!(" -n {namespace}")
    };
    format!(
        "the user lacks the RBAC verb `{verb}` on `{resource}`{scope}; \
         check with `kubectl auth can-i {verb} {resource}{flag}` and add it to the user's Role"
    )
}

/// What is wrong with a connection to a TLS server, as far as its errors tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionProblem {
    /// The certificate is not trusted.
    Certificate,
    /// Nobody listens there.
    Refused,
    /// The name cannot be resolved.
    Name,
    /// Anything else.
    Other,
}

impl ConnectionProblem {
    fn help(self) -> Option<String> {
        match self {
            Self::Certificate => Some(
                "the API server's certificate is not signed by the authority in the kubeconfig; \
                 check `certificate-authority-data` and `tls-server-name`"
                    .to_owned(),
            ),
            Self::Refused => Some(
                "nothing listens at the API server's address; is the cluster running, and is it \
                 the right kubeconfig context?"
                    .to_owned(),
            ),
            Self::Name => Some(
                "the API server's name cannot be resolved; check `server` in the kubeconfig"
                    .to_owned(),
            ),
            Self::Other => None,
        }
    }
}

/// Looks through a chain of causes for one that tells what is wrong.
pub(crate) fn connection_problem(error: &(dyn Error + 'static)) -> ConnectionProblem {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
            return ConnectionProblem::Certificate;
        }
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            if io.kind() == std::io::ErrorKind::ConnectionRefused {
                return ConnectionProblem::Refused;
            }
            if let Some(inner) = io.get_ref() {
                let problem = connection_problem(inner);
                if problem != ConnectionProblem::Other {
                    return problem;
                }
            }
        }
        if error.to_string().starts_with("dns error") {
            return ConnectionProblem::Name;
        }
        next = error.source();
    }
    ConnectionProblem::Other
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation() -> Operation {
        Operation {
            verb: Verb::Create,
            resource: "sandboxclaims.extensions.agents.x-k8s.io".to_owned(),
            namespace: "team".to_owned(),
            name: "a".to_owned(),
        }
    }

    #[test]
    fn a_forbidden_request_names_the_missing_verb() {
        let error = KubeError::Status {
            operation: Box::new(operation()),
            code: 403,
            reason: "Forbidden".to_owned(),
            message: "no".to_owned(),
            retry_after: None,
        };
        let help = error.help().expect("has help");
        assert!(help.contains("RBAC verb `create`"), "{help}");
        assert!(
            help.contains(
                "kubectl auth can-i create sandboxclaims.extensions.agents.x-k8s.io -n team"
            ),
            "{help}"
        );
    }

    #[test]
    fn an_untrusted_certificate_is_found_below_an_io_error() {
        let inner = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let error = std::io::Error::new(std::io::ErrorKind::InvalidData, inner);
        assert_eq!(connection_problem(&error), ConnectionProblem::Certificate);
    }
}
