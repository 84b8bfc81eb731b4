//! The loopback cluster as a child process of `run`.
//!
//! It is a process of its own so that its CPU is never booked to the load generator. It ends when
//! its standard input closes, so it cannot outlive a killed parent, and it sits in a process group
//! of its own, so that Ctrl-C on the terminal reaches the run only. It says one JSON line when it
//! is ready and one when it has ended.

use std::io;
use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::loopback::Leftovers;
use crate::units::Rate;

/// How long the child may take to start and to end.
const START_LIMIT: Duration = Duration::from_secs(30);
const END_LIMIT: Duration = Duration::from_secs(20);

/// A line that the child writes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Message {
    /// The cluster accepts requests.
    Ready(Access),
    /// The cluster has ended; what it could not remove.
    Ended(Leftovers),
}

/// How to reach the cluster. Holds its token: never print it.
#[derive(Serialize, Deserialize)]
pub(super) struct Access {
    pub(super) kubeconfig: String,
    pub(super) dns: SocketAddr,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access")
            .field("dns", &self.dns)
            .finish_non_exhaustive()
    }
}

/// Why the child did not do its part.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChildError {
    #[error("start the loopback cluster as a process of its own")]
    Spawn(#[source] io::Error),
    #[error("read what the loopback cluster says")]
    Read(#[source] io::Error),
    #[error("understand what the loopback cluster says")]
    Decode(#[source] serde_json::Error),
    #[error("start the loopback cluster: it ended with {0} before it was ready")]
    EndedEarly(ExitStatus),
    #[error("start the loopback cluster within {0:?}")]
    Slow(Duration),
    #[error("end the loopback cluster within {0:?}; it was killed")]
    Stuck(Duration),
}

/// The running child. Dropping it closes its lifeline, so that it cleans up and ends by itself;
/// killing it would leave the directories of its pods.
pub(super) struct LoopbackChild {
    child: Child,
    lifeline: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    pub(super) access: Access,
}

impl LoopbackChild {
    /// Starts this same program as `cluster up --attached`, with a capacity if there is one and
    /// these variables besides our own, and waits until it is ready.
    pub(super) async fn start(
        claim_capacity: Option<Rate>,
        environment: Vec<(String, String)>,
    ) -> Result<Self, ChildError> {
        let program = std::env::current_exe().map_err(ChildError::Spawn)?;
        let capacity = claim_capacity.map(|rate| format!("--claim-capacity={rate}"));
        let mut child = Command::new(program)
            .args(["cluster", "up", "--attached"])
            .args(capacity)
            // Where our own spans go is said anew if the child's go there too.
            .env_remove("SANDBENCH_OTLP_GCP")
            .env_remove("SANDBENCH_OTLP_HEADER")
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(ChildError::Spawn)?;
        let lifeline = child.stdin.take();
        let stdout = child
            .stdout
            .take()
            .expect("standard output was piped above");
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(START_LIMIT, lines.next_line())
            .await
            .map_err(|_| ChildError::Slow(START_LIMIT))?
            .map_err(ChildError::Read)?;
        match line.map(|line| serde_json::from_str(&line)).transpose() {
            Ok(Some(Message::Ready(access))) => Ok(Self {
                child,
                lifeline,
                lines,
                access,
            }),
            Ok(Some(Message::Ended(_)) | None) => Err(ChildError::EndedEarly(
                child.wait().await.map_err(ChildError::Read)?,
            )),
            Err(error) => Err(ChildError::Decode(error)),
        }
    }

    /// Closes the lifeline and waits until the cluster has removed everything; tells what is left.
    pub(super) async fn end(mut self) -> Result<Leftovers, ChildError> {
        drop(self.lifeline.take());
        let ending = async {
            let mut leftovers = Leftovers::default();
            while let Some(line) = self.lines.next_line().await.map_err(ChildError::Read)? {
                if let Message::Ended(left) =
                    serde_json::from_str(&line).map_err(ChildError::Decode)?
                {
                    leftovers = left;
                }
            }
            self.child.wait().await.map_err(ChildError::Read)?;
            Ok(leftovers)
        };
        if let Ok(ended) = tokio::time::timeout(END_LIMIT, ending).await {
            return ended;
        }
        self.child.kill().await.map_err(ChildError::Read)?;
        Err(ChildError::Stuck(END_LIMIT))
    }
}
