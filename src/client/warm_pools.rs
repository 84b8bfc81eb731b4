//! Warm pools: made, scaled, waited for and deleted.
//!
//! Both API versions have the same fields here. Source: the custom resource definitions of
//! kubernetes-sigs/agent-sandbox.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::cluster::{Change, Follower, Selector, Start};
use super::core::Client;
use super::delete::Deleted;
use super::error::ManageError;
use super::manage::{Kind, NewObject, check_name};
use crate::api::warm_pool::SandboxWarmPool;

/// A warm pool to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarmPoolRequest {
    /// Its name, a DNS label.
    pub name: String,
    /// Its labels. Default: none, besides the run's.
    pub labels: BTreeMap<String, String>,
    /// Name of the template of its sandboxes.
    pub template: String,
    /// How many sandboxes to keep ready; 0 means that every claim starts cold. Default: 1.
    pub replicas: u32,
}

impl WarmPoolRequest {
    /// A pool of one sandbox.
    pub fn new(name: impl Into<String>, template: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            labels: BTreeMap::new(),
            template: template.into(),
            replicas: 1,
        }
    }
}

/// A warm pool as the API server tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarmPool {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Name of the template of its sandboxes.
    pub template: String,
    /// How many sandboxes it is to keep ready.
    pub wanted: u32,
    /// How many it has.
    pub replicas: u32,
    /// How many of them are ready.
    pub ready: u32,
}

impl From<SandboxWarmPool> for WarmPool {
    fn from(pool: SandboxWarmPool) -> Self {
        let status = pool.status.unwrap_or_default();
        let count = |count: i64| u32::try_from(count).unwrap_or(0);
        Self {
            name: pool.metadata.name,
            uid: pool.metadata.uid,
            labels: pool.metadata.labels,
            template: pool.spec.sandbox_template_ref.name,
            wanted: count(pool.spec.replicas.unwrap_or(1)),
            replicas: count(status.replicas),
            ready: count(status.ready_replicas),
        }
    }
}

impl Client {
    /// Makes a warm pool. Its template need not exist yet.
    ///
    /// ```no_run
    /// # async fn example(client: sandbench::client::Client)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// use sandbench::client::WarmPoolRequest;
    ///
    /// client.create_warm_pool(WarmPoolRequest::new("python", "python-template")).await?;
    /// let pool = client.scale_warm_pool("python", 10).await?;
    /// assert_eq!(pool.wanted, 10);
    /// client.wait_warm_pool("python", client.ready_timeout()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ManageError`].
    ///
    /// # Cancel safety
    /// If dropped, the pool may exist.
    pub async fn create_warm_pool(
        &self,
        request: WarmPoolRequest,
    ) -> Result<WarmPool, ManageError> {
        check_name(&request.template)?;
        let new = NewObject {
            name: request.name,
            labels: request.labels,
            spec: json!({
                "replicas": request.replicas,
                "sandboxTemplateRef": {"name": request.template},
            }),
        };
        let made: SandboxWarmPool = self.pool_kind().create(self, new).await?;
        Ok(made.into())
    }

    /// Reads a warm pool.
    ///
    /// # Errors
    /// [`ManageError`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn warm_pool(&self, name: &str) -> Result<WarmPool, ManageError> {
        let found: SandboxWarmPool = self.pool_kind().get(self, name).await?;
        Ok(found.into())
    }

    /// Reads all warm pools whose labels match a selector such as `team=a`; all if `None`.
    ///
    /// # Errors
    /// [`ManageError`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn list_warm_pools(
        &self,
        labels: Option<&str>,
    ) -> Result<Vec<WarmPool>, ManageError> {
        let found: Vec<SandboxWarmPool> = self.pool_kind().list(self, labels).await?;
        Ok(found.into_iter().map(WarmPool::from).collect())
    }

    /// Changes how many sandboxes a warm pool keeps ready; does not wait for them.
    ///
    /// # Errors
    /// [`ManageError`].
    ///
    /// # Cancel safety
    /// If dropped, the pool may or may not be scaled.
    pub async fn scale_warm_pool(
        &self,
        name: &str,
        replicas: u32,
    ) -> Result<WarmPool, ManageError> {
        let patch = json!({"spec": {"replicas": replicas}});
        let changed: SandboxWarmPool = self.pool_kind().change(self, name, &patch).await?;
        Ok(changed.into())
    }

    /// Waits until a warm pool has as many ready sandboxes as it is to keep.
    ///
    /// # Errors
    /// [`ManageError`].
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn wait_warm_pool(
        &self,
        name: &str,
        timeout: Duration,
    ) -> Result<WarmPool, ManageError> {
        let mut last = "nothing".to_owned();
        let filled = filled(self, name, &mut last);
        let waited = timeout_at(Instant::now() + timeout, filled).await;
        waited.unwrap_or_else(|_| {
            Err(ManageError::Timeout {
                kind: KIND,
                name: name.to_owned(),
                after: timeout,
                last,
            })
        })
    }

    /// Deletes a warm pool, and with it the sandboxes that no claim has adopted.
    ///
    /// # Errors
    /// [`ManageError`].
    ///
    /// # Cancel safety
    /// If dropped, the deletion may or may not take place.
    pub async fn delete_warm_pool(&self, name: &str) -> Result<Deleted, ManageError> {
        self.pool_kind().delete(self, name).await
    }

    fn pool_kind(&self) -> Kind {
        Kind {
            word: KIND,
            of: self.warm_pools(),
        }
    }
}

const KIND: &str = "SandboxWarmPool";

/// Watches a pool until it is full.
async fn filled(client: &Client, name: &str, last: &mut String) -> Result<WarmPool, ManageError> {
    let kind = client.pool_kind();
    let missing = || ManageError::NotFound {
        kind: KIND,
        name: name.to_owned(),
    };
    let mut follower: Follower<SandboxWarmPool> = Follower::new(
        client.api().clone(),
        client.warm_pools(),
        Some(Selector::Name(name.to_owned())),
        Start::Get,
    );
    loop {
        let change = follower.next().await;
        let seen = match change.map_err(|error| kind.failed(name, error))? {
            Change::All(mut all) => all.pop().ok_or_else(missing)?,
            Change::Present(seen) if seen.metadata.name == name => seen,
            Change::Gone(seen) if seen.metadata.name == name => return Err(missing()),
            Change::Reading | Change::Present(_) | Change::Gone(_) => continue,
        };
        let pool = WarmPool::from(seen);
        if pool.ready >= pool.wanted {
            return Ok(pool);
        }
        *last = format!("{} of {} ready", pool.ready, pool.wanted);
    }
}
