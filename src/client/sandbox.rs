//! [`Sandbox`]: the handle to one sandbox over one connection mode.

use std::sync::Arc;
use std::time::Duration;

use super::claim::ReadyClaim;
use super::commands::Commands;
use super::connect::{ConnectionMode, Endpoint};
use super::core::Client;
use super::files::Files;
use super::options::CallOptions;
use super::retry::Retrier;

/// A handle to one sandbox. Cheap to clone; all handles share the client's connections.
#[derive(Debug, Clone)]
pub struct Sandbox(Arc<Inner>, Arc<CallOptions>);

#[derive(Debug)]
struct Inner {
    name: String,
    claim_name: String,
    namespace: String,
    mode: ConnectionMode,
    endpoint: Arc<Endpoint>,
    timeout: Duration,
    retrier: Arc<Retrier>,
}

impl Sandbox {
    pub(super) fn new(
        client: &Client,
        claim: &ReadyClaim,
        mode: ConnectionMode,
        endpoint: Endpoint,
    ) -> Self {
        let inner = Arc::new(Inner {
            name: claim.sandbox_name.clone(),
            claim_name: claim.claim_name.clone(),
            namespace: claim.namespace.clone(),
            mode,
            endpoint: Arc::new(endpoint),
            timeout: client.request_timeout(),
            retrier: Arc::clone(client.retrier()),
        });
        Self(inner, Arc::default())
    }

    /// Name of the sandbox.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Name of its claim.
    pub fn claim_name(&self) -> &str {
        &self.0.claim_name
    }

    /// Namespace of both.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// The way it is reached.
    pub fn mode(&self) -> &ConnectionMode {
        &self.0.mode
    }

    /// Run commands in it.
    pub fn commands(&self) -> Commands<'_> {
        Commands { sandbox: self }
    }

    /// Read and write its files.
    pub fn files(&self) -> Files<'_> {
        Files {
            sandbox: self,
            timeout: None,
        }
    }

    /// The same sandbox, whose calls have these options. They replace those that this handle
    /// has; the connection is shared.
    ///
    /// ```no_run
    /// # async fn example(sandbox: sandbench::client::Sandbox)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// use sandbench::client::CallOptions;
    /// use sandbench::client::connect::ExtraHeaders;
    ///
    /// let mut options = CallOptions::default();
    /// options.headers = ExtraHeaders::default().with("x-team", "blue")?;
    /// sandbox.with(options).commands().run("true").await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with(&self, options: CallOptions) -> Self {
        Self(Arc::clone(&self.0), Arc::new(options))
    }

    /// Gives up the connection; claim and sandbox stay. Later calls fail with
    /// [`CallError::Closed`](super::CallError::Closed). Calling it again does nothing.
    ///
    /// # Cancel safety
    /// The handle counts as disconnected from the first poll on.
    pub async fn disconnect(&self) {
        self.0.endpoint.disconnect().await;
    }

    /// How long a call may take if it does not say.
    pub(super) fn timeout(&self) -> Duration {
        self.0.timeout
    }

    /// What calls of this handle do differently.
    pub(super) fn options(&self) -> &CallOptions {
        &self.1
    }

    /// Where requests go.
    pub(super) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.0.endpoint
    }

    /// Decides about repetitions.
    pub(super) fn retrier(&self) -> &Retrier {
        &self.0.retrier
    }
}
