//! Why a command or file call on a sandbox failed.

use std::time::Duration;

use bytes::Bytes;

use super::{BoxError, ConnectError, Delivered};
use crate::api::runtime::FileType;
use crate::units::{ByteSize, HumanDuration};

/// Why a command or file call on a sandbox failed.
///
/// A command that ran and ended with a code other than 0 is a result, not an error.
///
/// ```no_run
/// # async fn example(sandbox: sandbench::client::Sandbox) {
/// use std::error::Error;
/// use sandbench::client::{CallError, Delivered};
///
/// match sandbox.commands().run("make deploy").await {
///     Ok(result) => println!("ended with {}", result.exit_code),
///     Err(CallError::Timeout { after, .. }) => println!("still running after {after:?}"),
///     Err(error) if error.delivered() == Delivered::No => println!("safe to try again: {error}"),
///     Err(error) => {
///         let cause = error.source().map(ToString::to_string).unwrap_or_default();
///         println!("{error} ({cause}); {}", error.help().unwrap_or_default());
///     }
/// }
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// An argument is not valid; nothing was sent.
    #[error("{operation}: `{value}` is not valid: {problem}")]
    Invalid {
        /// What was attempted, for example `read /tmp/a`.
        operation: String,
        /// What was given.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// No connection could be made.
    #[error("{operation}")]
    Connect {
        /// What was attempted.
        operation: String,
        /// The cause.
        #[source]
        source: Box<ConnectError>,
    },
    /// The connection failed while the call was under way.
    #[error("{operation}: the connection failed")]
    Transport {
        /// What was attempted.
        operation: String,
        /// Whether the sandbox can have received the request.
        delivered: Delivered,
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// The call's time was up.
    #[error("{operation}: no complete answer within {}", HumanDuration(*.after))]
    Timeout {
        /// What was attempted.
        operation: String,
        /// The call's time.
        after: Duration,
        /// Whether the sandbox can have received the request. On the legacy runtime a command that
        /// was started keeps running, sandboxd ends it.
        delivered: Delivered,
    },
    /// The answer is a failure.
    #[error("{operation}: answered with status {status}: {}", excerpt(body))]
    Status {
        /// What was attempted.
        operation: String,
        /// HTTP status.
        status: u16,
        /// Body of the answer, cut at 64 KiB.
        body: Bytes,
        /// After which time the server wants to be asked again (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// The answer is a redirect; none is ever followed.
    #[error("{operation}: answered with a redirect ({status}) to `{location}`")]
    Redirect {
        /// What was attempted.
        operation: String,
        /// HTTP status.
        status: u16,
        /// Where to.
        location: String,
        /// Body of the answer, cut at 64 KiB.
        body: Bytes,
    },
    /// The answer is not what it should be.
    #[error("{operation}: the answer is not understood: {}", excerpt(body))]
    Decode {
        /// What was attempted.
        operation: String,
        /// Body of the answer, cut at 64 KiB.
        body: Bytes,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// The content or the answer is larger than allowed.
    #[error("{operation}: larger than {limit}")]
    TooLarge {
        /// What was attempted.
        operation: String,
        /// The limit.
        limit: ByteSize,
        /// Whether the sandbox has received the request.
        delivered: Delivered,
    },
    /// The last of several attempts failed.
    #[error("{operation}: gave up after {attempts} attempts")]
    Exhausted {
        /// What was attempted.
        operation: String,
        /// How many attempts there were.
        attempts: u32,
        /// How the last one failed.
        #[source]
        source: Box<Self>,
    },
    /// The gRPC answer is a failure.
    #[error("{operation}: answered with {code}: {message}")]
    Grpc {
        /// What was attempted.
        operation: String,
        /// As the gRPC specification writes it, for example `NOT_FOUND`.
        code: &'static str,
        /// The server's explanation.
        message: String,
    },
    /// The runtime in the sandbox cannot do this; nothing was sent.
    #[error("{operation}: the {runtime} runtime {problem}")]
    Unsupported {
        /// What was attempted.
        operation: String,
        /// `legacy` or `sandboxd`.
        runtime: &'static str,
        /// What it cannot do.
        problem: &'static str,
    },
    /// The path leads to a directory where a file is wanted, or the other way round.
    #[error("{operation}: it is not a {}", if *.expected == FileType::File { "file" } else { "directory" })]
    WrongKind {
        /// What was attempted.
        operation: String,
        /// What is wanted.
        expected: FileType,
    },
    /// The handle was disconnected.
    #[error("{operation}: the handle is disconnected")]
    Closed {
        /// What was attempted.
        operation: String,
    },
}

impl CallError {
    /// Whether the sandbox can have received the request. `No` is only said when that is sure.
    ///
    /// A 502 of the router is `Yes`: the router answered, and some routers report failures
    /// after sending with the same text as failures to connect.
    pub fn delivered(&self) -> Delivered {
        match self {
            Self::Invalid { .. }
            | Self::Connect { .. }
            | Self::Unsupported { .. }
            | Self::Closed { .. } => Delivered::No,
            Self::Transport { delivered, .. }
            | Self::Timeout { delivered, .. }
            | Self::TooLarge { delivered, .. } => *delivered,
            Self::Status { .. }
            | Self::Redirect { .. }
            | Self::Decode { .. }
            | Self::Grpc { .. }
            | Self::WrongKind { .. } => Delivered::Yes,
            // Only what was surely not delivered, or can do no harm, is attempted again.
            Self::Exhausted { source, .. } => source.delivered(),
        }
    }

    /// HTTP status of the answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } | Self::Redirect { status, .. } => Some(*status),
            Self::Exhausted { source, .. } => source.status(),
            _ => None,
        }
    }

    /// Body of the answer, if there was one, cut at 64 KiB.
    pub fn body(&self) -> Option<&Bytes> {
        match self {
            Self::Status { body, .. } | Self::Redirect { body, .. } | Self::Decode { body, .. } => {
                Some(body)
            }
            Self::Exhausted { source, .. } => source.body(),
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

    /// After which time the server wants to be asked again, if it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Exhausted { source, .. } => source.retry_after(),
            _ => None,
        }
    }

    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Connect { source, .. } => source.help(),
            Self::Exhausted { source, .. } => source.help(),
            Self::Timeout { .. } => Some(
                "give the call a longer timeout; on the legacy runtime a started command keeps \
                 running, sandboxd ends it"
                    .to_owned(),
            ),
            Self::Status { status: 502, .. } => Some(
                "the router could not reach the sandbox; just after a start that can be transient"
                    .to_owned(),
            ),
            Self::Status {
                status: 401 | 403, ..
            } => Some("the router or the runtime denies access".to_owned()),
            Self::Redirect { .. } => {
                Some("check the address: a sandbox or router never redirects".to_owned())
            }
            Self::Grpc { code, .. } => grpc_help(code).map(str::to_owned),
            Self::Unsupported {
                runtime: "legacy", ..
            } => Some("connect with `runtime: sandboxd` to a sandbox that runs it".to_owned()),
            Self::WrongKind { expected, .. } => Some(match expected {
                FileType::File => "list the directory instead of reading it".to_owned(),
                FileType::Directory => "read the file instead of listing it".to_owned(),
            }),
            Self::TooLarge { .. } => {
                Some("move it in pieces: split it with a command in the sandbox".to_owned())
            }
            _ => None,
        }
    }
}

/// What can be done about a failure that sandboxd tells.
fn grpc_help(code: &str) -> Option<&'static str> {
    match code {
        "NOT_FOUND" => Some(
            "there is no such program, directory or process; a process that ended is forgotten",
        ),
        "PERMISSION_DENIED" => {
            Some("the program may not be executed, or the directory is outside of the root")
        }
        "UNAVAILABLE" => Some("sandboxd is shutting down, or its Pod is being replaced"),
        "UNIMPLEMENTED" => Some("what answers on this port is not sandboxd, or an older one"),
        _ => None,
    }
}

/// The start of a body as one line of text.
fn excerpt(body: &[u8]) -> String {
    const SHOWN: usize = 256;
    let text = String::from_utf8_lossy(&body[..body.len().min(SHOWN)]);
    let mut line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if body.len() > SHOWN {
        line.push('…');
    }
    line.trim().to_owned()
}
