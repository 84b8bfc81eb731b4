//! What the other parts of the client ask of it: its connections, its collections, its shared watches.

use std::sync::Arc;

use tokio::time::{Instant, timeout};

use super::claim::ReadyClaim;
use super::cluster::{Api, Collection, Resource, Selector};
use super::connect::{ConnectionMode, Endpoint, GatewayCache};
use super::core::{Client, WeakClient};
use super::data::Pools;
use super::departures::Feed;
use super::error::ConnectError;
use super::hub::{Hub, Subscription};
use super::moved::Moves;
use super::retry::Retrier;
use super::sandbox::Sandbox;
use super::tasks::Tasks;
use crate::api::{EXTENSIONS_GROUP, GROUP, plural};

impl Client {
    /// Connects, and once more if what was found is not there any more.
    pub(super) async fn connect_to(
        &self,
        claim: &ReadyClaim,
        mode: &ConnectionMode,
    ) -> Result<Sandbox, ConnectError> {
        let mut endpoint = mode.connect(self, claim).await?;
        if let Err(error) = self.prove(&endpoint).await {
            if !self.has_moved(mode, &endpoint) {
                return Err(error);
            }
            let again = mode.connect(self, claim).await?;
            if again.host() == endpoint.host() {
                return Err(error);
            }
            self.prove(&again).await?;
            endpoint = again;
        }
        Ok(Sandbox::new(self, claim, mode.clone(), endpoint))
    }

    /// Makes sure that an endpoint has its connections.
    async fn prove(&self, endpoint: &Endpoint) -> Result<(), ConnectError> {
        let limit = self.0.request_timeout;
        let proven = timeout(limit, endpoint.prove()).await;
        proven.unwrap_or_else(|_| {
            Err(ConnectError::Timeout {
                target: endpoint.pool().route().describe(),
                after: limit,
            })
        })
    }

    /// After no connection could be made: whether it is worth while to look where the endpoint is
    /// now.
    pub(super) fn has_moved(&self, mode: &ConnectionMode, endpoint: &Endpoint) -> bool {
        match mode {
            ConnectionMode::Gateway(mode) => self.gateways().forget(mode, endpoint.host()),
            _ => false,
        }
    }

    pub(super) fn api(&self) -> &Api {
        &self.1
    }

    /// The same client, all of whose requests to the API server together end by then.
    pub(super) fn until(&self, deadline: Instant) -> Self {
        Self(Arc::clone(&self.0), self.1.until(deadline))
    }

    pub(super) fn downgrade(&self) -> WeakClient {
        WeakClient(Arc::downgrade(&self.0))
    }

    pub(super) fn retrier(&self) -> &Arc<Retrier> {
        &self.0.retrier
    }

    pub(super) fn tasks(&self) -> &Tasks {
        &self.0.tasks
    }

    pub(super) fn pools(&self) -> &Pools {
        &self.0.pools
    }

    pub(super) fn gateways(&self) -> &GatewayCache {
        &self.0.gateways
    }

    /// The claims of the namespace.
    pub(super) fn claims(&self) -> Collection {
        self.extension(plural::CLAIMS)
    }

    /// The warm pools of the namespace.
    pub(super) fn warm_pools(&self) -> Collection {
        self.extension(plural::WARM_POOLS)
    }

    /// The templates of the namespace.
    pub(super) fn templates(&self) -> Collection {
        self.extension(plural::TEMPLATES)
    }

    /// The sandboxes of the namespace.
    pub(super) fn sandboxes(&self) -> Collection {
        Resource {
            group: GROUP,
            version: self.0.version.as_str(),
            plural: plural::SANDBOXES,
        }
        .of(&self.0.namespace)
    }

    /// The Pods of the namespace.
    pub(super) fn pods(&self) -> Collection {
        Resource {
            group: "",
            version: "v1",
            plural: "pods",
        }
        .of(&self.0.namespace)
    }

    fn extension(&self, plural: &'static str) -> Collection {
        Resource {
            group: EXTENSIONS_GROUP,
            version: self.0.version.as_str(),
            plural,
        }
        .of(&self.0.namespace)
    }

    pub(super) fn moves(&self) -> &Moves {
        &self.0.moves
    }

    /// The shared watch of what goes away of this kind, those objects that match.
    pub(super) fn departures(&self, of: &Collection, matching: Option<Selector>) -> Feed {
        let (api, tasks) = (&self.0.api, &self.0.tasks);
        self.0.departures.of(api, (of, matching), tasks)
    }

    /// Listens for a claim on the shared watch; without a run id there is none.
    pub(super) fn subscribe(&self, name: &str) -> Option<Subscription> {
        let run_id = self.0.run_id.as_deref()?;
        let hub = self
            .0
            .hub
            .get_or_init(|| Hub::start(self.0.api.clone(), self.claims(), run_id, &self.0.tasks));
        Some(hub.subscribe(name))
    }
}
