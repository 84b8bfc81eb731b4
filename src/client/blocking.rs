//! [`Blocking`]: the client in programs that are not asynchronous.

use std::future::Future;

use tokio::runtime::{Builder, Handle, Runtime};

use super::builder::ClientBuilder;
use super::core::Client;
use super::error::BuildError;

/// A client with a runtime of its own: every call of the asynchronous client, waited for by the
/// calling thread. One more thread serves its connections and its watch, also between calls.
///
/// Dropping it is as [`close`](Self::close): what scopes hold is deleted.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sandbench::client::{Blocking, ClaimSource, Client, ConnectionMode, CreateRequest};
///
/// let blocking = Blocking::build(Client::builder().infer())?;
/// let client = blocking.client();
/// let scope = client.scope();
/// let request = CreateRequest::new(ClaimSource::WarmPool("python".to_owned()));
/// let mode: ConnectionMode = "tunnel".parse()?;
/// let sandbox = blocking.wait(scope.open(request, &mode))?;
/// let result = blocking.wait(sandbox.commands().run("echo hello"))?;
/// assert_eq!(result.stdout, "hello\n");
/// blocking.wait(scope.close())?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Blocking {
    client: Client,
    /// Taken only when dropped.
    runtime: Option<Runtime>,
}

impl Blocking {
    /// Starts a runtime and builds a client in it.
    ///
    /// # Errors
    /// [`BuildError`]; [`BuildError::Runtime`] if the thread cannot be started.
    ///
    /// # Panics
    /// If it is called from asynchronous code, which must not block.
    pub fn build(builder: ClientBuilder) -> Result<Self, BuildError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("sandbench-client")
            .enable_all()
            .build()
            .map_err(|source| BuildError::Runtime { source })?;
        let client = runtime.block_on(builder.build())?;
        Ok(Self {
            client,
            runtime: Some(runtime),
        })
    }

    /// The client whose calls can be waited for.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Waits for the end of a call.
    ///
    /// # Panics
    /// If it is called from asynchronous code, which must not block.
    pub fn wait<T>(&self, call: impl Future<Output = T>) -> T {
        let runtime = self.runtime.as_ref();
        runtime
            .expect("there is a runtime until the drop")
            .block_on(call)
    }

    /// Closes the client as [`Client::close`] does, and ends the runtime.
    pub fn close(self) {
        drop(self);
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else {
            return;
        };
        if Handle::try_current().is_ok() {
            // Asynchronous code must not block: here the deletions begin, and nobody waits.
            runtime.shutdown_background();
        } else {
            runtime.block_on(self.client.close());
        }
    }
}
