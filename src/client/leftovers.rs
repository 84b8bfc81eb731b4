//! Counting what is left of a run: claims, and what the controllers made for them.
//!
//! Objects are recognised by their owner or name as long as the client remembers their claim; so
//! they are also found when claim and Sandbox are gone already and only a Pod or a volume lingers.

use std::collections::HashSet;

use futures::future::try_join4;
use serde::Deserialize;

use super::cluster::{Collection, Resource, Selector};
use super::core::Client;
use super::delete::{claims_of_run, list_failed};
use super::error::DeleteError;
use crate::api::label;
use crate::api::metadata::Metadata;
use crate::api::sandbox::Sandbox;

/// On an `EndpointSlice`: the name of its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// What is left of a run. A kind that the user may not list has no number: that is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Leftovers {
    /// Claims with the run's label.
    pub claims: usize,
    /// Sandboxes of claims that are or were of the run.
    pub sandboxes: Option<usize>,
    /// Pods of those sandboxes.
    pub pods: Option<usize>,
    /// Their `PersistentVolumeClaim`s.
    pub volumes: Option<usize>,
    /// Their Services.
    pub services: Option<usize>,
    /// `EndpointSlice`s of those Services.
    pub endpoint_slices: Option<usize>,
}

impl Leftovers {
    /// Whether nothing is left of all that may be listed.
    pub fn is_empty(&self) -> bool {
        self.claims == 0
            && self
                .kinds()
                .iter()
                .all(|(_, count)| count.is_none_or(|count| count == 0))
    }

    /// The kinds that the user may not list, as they are called in a Role.
    pub fn not_counted(&self) -> Vec<&'static str> {
        let kinds = self.kinds().into_iter();
        kinds
            .filter_map(|(kind, count)| count.is_none().then_some(kind))
            .collect()
    }

    /// Every kind besides claims, as it is called in a Role, and its number.
    pub fn kinds(&self) -> [(&'static str, Option<usize>); 5] {
        [
            ("sandboxes", self.sandboxes),
            ("pods", self.pods),
            ("persistentvolumeclaims", self.volumes),
            ("services", self.services),
            ("endpointslices", self.endpoint_slices),
        ]
    }
}

/// An object of any kind.
#[derive(Debug, Deserialize)]
struct Any {
    metadata: Metadata,
}

/// What is looked for.
pub(super) struct Sought {
    /// UIDs of claims.
    pub(super) claims: HashSet<String>,
    /// Names of sandboxes, as far as they are known.
    pub(super) sandboxes: HashSet<String>,
}

impl Client {
    /// Counts what is left of the run; a kind that may not be listed has no number.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use sandbench::client::Client;
    ///
    /// let client = Client::builder().infer().run_id("nightly-7").build().await?;
    /// if !client.leftovers().await?.is_empty() {
    ///     let deleted = client.delete_claims_of_run().await?;
    ///     println!("{deleted} claims of an earlier run are deleted");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`DeleteError`]: no run id, or the API server's refusal.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn leftovers(&self) -> Result<Leftovers, DeleteError> {
        leftovers(self).await
    }
}

/// Counts claims of the run, sandboxes of claims that are or were of the run, and what belongs to
/// those.
async fn leftovers(client: &Client) -> Result<Leftovers, DeleteError> {
    let claims = claims_of_run(client).await?;
    let mut sought = Sought {
        claims: client.remembered_uids(),
        sandboxes: client.remembered_sandboxes(),
    };
    let uids = claims.iter().map(|claim| claim.metadata.uid.clone());
    sought.claims.extend(uids);
    count(client, claims.len(), sought).await
}

/// Counts what is left of the claims sought, of which so many are still there.
pub(super) async fn count(
    client: &Client,
    claims: usize,
    sought: Sought,
) -> Result<Leftovers, DeleteError> {
    let selector = Selector::Labels(label::CLAIM_UID.to_owned());
    let mut sandboxes = readable::<Sandbox>(client, &client.sandboxes(), &selector).await?;
    if let Some(sandboxes) = &mut sandboxes {
        sandboxes.retain(|sandbox| is_of(&sandbox.metadata, &sought.claims));
    }
    let mut of_run = OfRun {
        uids: HashSet::new(),
        names: sought.sandboxes,
    };
    for sandbox in sandboxes.iter().flatten() {
        of_run.uids.insert(sandbox.metadata.uid.clone());
        of_run.names.insert(sandbox.metadata.name.clone());
        of_run.names.insert(sandbox.pod_name().to_owned());
    }
    let hashed = Selector::Labels(label::SANDBOX_NAME_HASH.to_owned());
    let of_service = Selector::Labels(SERVICE_NAME.to_owned());
    let (pods, volumes, services, slices) = (
        client.pods(),
        core("persistentvolumeclaims").of(client.namespace()),
        core("services").of(client.namespace()),
        SLICES.of(client.namespace()),
    );
    let (pods, volumes, services, endpoint_slices) = try_join4(
        of_run.count(client, &pods, &hashed),
        of_run.count(client, &volumes, &hashed),
        of_run.count(client, &services, &hashed),
        of_run.count(client, &slices, &of_service),
    )
    .await?;
    Ok(Leftovers {
        claims,
        sandboxes: sandboxes.map(|sandboxes| sandboxes.len()),
        pods,
        volumes,
        services,
        endpoint_slices,
    })
}

/// `EndpointSlice`s.
const SLICES: Resource = Resource {
    group: "discovery.k8s.io",
    version: "v1",
    plural: "endpointslices",
};

/// A kind of the core group.
fn core(plural: &'static str) -> Resource {
    Resource {
        group: "",
        version: "v1",
        plural,
    }
}

/// Whether a sandbox is of one of these claims.
fn is_of(sandbox: &Metadata, claims: &HashSet<String>) -> bool {
    let label = sandbox.labels.get(label::CLAIM_UID);
    label.is_some_and(|uid| claims.contains(uid))
        || sandbox
            .owner_references
            .iter()
            .any(|owner| claims.contains(&owner.uid))
}

/// The sandboxes of the run, as far as they are known.
struct OfRun {
    uids: HashSet<String>,
    names: HashSet<String>,
}

impl OfRun {
    /// How many objects belong to a sandbox of the run; `None` if they may not be listed.
    async fn count(
        &self,
        client: &Client,
        of: &Collection,
        selector: &Selector,
    ) -> Result<Option<usize>, DeleteError> {
        let listed = readable::<Any>(client, of, selector).await?;
        Ok(listed.map(|objects| {
            let own = objects.iter().filter(|object| self.has(&object.metadata));
            own.count()
        }))
    }

    fn has(&self, object: &Metadata) -> bool {
        let service = object.labels.get(SERVICE_NAME);
        self.names.contains(&object.name)
            || service.is_some_and(|name| self.names.contains(name))
            || object.owner_references.iter().any(|owner| {
                owner.kind == "Sandbox"
                    && (self.uids.contains(&owner.uid) || self.names.contains(&owner.name))
            })
    }
}

/// A list; `None` if it may not be read, or the cluster does not have the kind.
async fn readable<T: serde::de::DeserializeOwned>(
    client: &Client,
    of: &Collection,
    selector: &Selector,
) -> Result<Option<Vec<T>>, DeleteError> {
    match client.api().list::<T>(of, Some(selector)).await {
        Ok(list) => Ok(Some(list.items)),
        Err(error) if error.is_forbidden() || error.is_not_found() => {
            tracing::debug!(%error, "leftovers of this kind are not counted");
            Ok(None)
        }
        Err(error) => Err(list_failed(error)),
    }
}
