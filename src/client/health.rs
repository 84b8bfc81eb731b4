//! What the runtime in a sandbox says about itself: whether it is well, and what it may tell of its
//! environment.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;

use super::data::{Call, Operation, Repeat, RequestBody, decode};
use super::error::CallError;
use super::runtime::Runtime;
use super::sandbox::Sandbox;
use crate::api::runtime::HealthResponse;
use crate::api::sandboxd;
use crate::units::ByteSize;

/// Largest answer.
const ANSWER_LIMIT: ByteSize = ByteSize(1 << 20);

/// How the runtime in a sandbox is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The runtime's own word; `ok` if it is well.
    pub status: String,
    /// How long it has been running. Only sandboxd tells, in whole seconds.
    pub uptime: Option<Duration>,
}

impl Sandbox {
    /// Asks the runtime how it is, on the way that all calls take. An answer proves the whole way,
    /// so this tells when a new sandbox can really be reached; it is harmless and may be repeated.
    ///
    /// ```no_run
    /// # async fn example(sandbox: sandbench::client::Sandbox)
    /// # -> Result<(), sandbench::client::CallError> {
    /// assert_eq!(sandbox.health().await?.status, "ok");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`CallError`]; status 502 while the router does not reach the sandbox, 503 while sandboxd
    /// shuts down.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn health(&self) -> Result<Health, CallError> {
        let operation = self.asking("health");
        match self.runtime() {
            Runtime::Legacy => {
                let answer = self.call(self.question(operation, "/")).await?;
                let answer: HealthResponse = decode(&answer, operation)?;
                Ok(Health {
                    status: answer.status,
                    uptime: None,
                })
            }
            Runtime::Sandboxd(_) => {
                let answer = self.call(self.question(operation, "/v1/health")).await?;
                let answer: sandboxd::Health = decode(&answer, operation)?;
                Ok(Health {
                    status: answer.status,
                    uptime: Duration::try_from_secs_f64(answer.uptime_seconds).ok(),
                })
            }
        }
    }

    /// The variables of sandboxd's environment that begin with `SANDBOX_`, without those whose names
    /// hint at a secret. Only sandboxd.
    ///
    /// ```no_run
    /// # async fn example(sandbox: sandbench::client::Sandbox)
    /// # -> Result<(), sandbench::client::CallError> {
    /// for (name, value) in sandbox.metadata().await? {
    ///     println!("{name}={value}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`CallError`]; [`CallError::Unsupported`] on the legacy runtime.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn metadata(&self) -> Result<BTreeMap<String, String>, CallError> {
        let operation = self.asking("metadata");
        if self.runtime() == Runtime::Legacy {
            return Err(operation.unsupported(Runtime::Legacy, "tells nothing of its environment"));
        }
        let answer = self.call(self.question(operation, "/v1/metadata")).await?;
        let answer: sandboxd::Metadata = decode(&answer, operation)?;
        Ok(answer.env)
    }

    fn asking(&self, subject: &'static str) -> Operation<'_> {
        Operation {
            verb: "ask for",
            subject,
            sandbox: self.name(),
        }
    }

    fn question<'a>(&self, operation: Operation<'a>, path: &'static str) -> Call<'a> {
        Call {
            operation,
            method: Method::GET,
            path: path.into(),
            content_type: None,
            body: RequestBody::default(),
            limit: ANSWER_LIMIT,
            timeout: self.timeout(),
            repeat: Repeat::Harmless,
        }
    }
}
