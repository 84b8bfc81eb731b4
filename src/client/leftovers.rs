//! Counting what is left of a run: claims, and what the controllers made for them.
//!
//! Objects are recognised by their owner or name as long as the client remembers their claim; so
//! they are also found when claim and Sandbox are gone already and only a Pod or a volume lingers.
//! A pool may give a name again that a sandbox of the run had: what belongs to the new one is not
//! the run's.

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
    let mut of_run = OfRun {
        names: sought.sandboxes,
        ..OfRun::default()
    };
    let all = readable::<Sandbox>(client, &client.sandboxes(), None).await?;
    for sandbox in all.iter().flatten() {
        of_run.learn(sandbox, &sought.claims);
    }
    let sandboxes = all.map(|_| of_run.uids.len());
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
        sandboxes,
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
#[derive(Default)]
struct OfRun {
    uids: HashSet<String>,
    names: HashSet<String>,
    /// Those that are there and are not of the run.
    other_uids: HashSet<String>,
    other_names: HashSet<String>,
}

impl OfRun {
    /// A sandbox that is there.
    fn learn(&mut self, sandbox: &Sandbox, claims: &HashSet<String>) {
        let (uids, names) = if is_of(&sandbox.metadata, claims) {
            (&mut self.uids, &mut self.names)
        } else {
            (&mut self.other_uids, &mut self.other_names)
        };
        uids.insert(sandbox.metadata.uid.clone());
        names.insert(sandbox.metadata.name.clone());
        names.insert(sandbox.pod_name().to_owned());
    }

    /// How many objects belong to a sandbox of the run; `None` if they may not be listed.
    async fn count(
        &self,
        client: &Client,
        of: &Collection,
        selector: &Selector,
    ) -> Result<Option<usize>, DeleteError> {
        let listed = readable::<Any>(client, of, Some(selector)).await?;
        Ok(listed.map(|objects| {
            let own = objects.iter().filter(|object| self.has(&object.metadata));
            own.count()
        }))
    }

    fn has(&self, object: &Metadata) -> bool {
        let mut owners = object.owner_references.iter();
        if let Some(owner) = owners.find(|owner| owner.kind == "Sandbox") {
            let had = || self.names.contains(&owner.name) || self.names.contains(&object.name);
            return self.uids.contains(&owner.uid)
                || !self.other_uids.contains(&owner.uid) && had();
        }
        let service = object.labels.get(SERVICE_NAME);
        let had = |name: &String| self.names.contains(name) && !self.other_names.contains(name);
        had(&object.name) || service.is_some_and(had)
    }
}

/// A list; `None` if it may not be read, or the cluster does not have the kind.
async fn readable<T: serde::de::DeserializeOwned>(
    client: &Client,
    of: &Collection,
    selector: Option<&Selector>,
) -> Result<Option<Vec<T>>, DeleteError> {
    match client.api().list::<T>(of, selector).await {
        Ok(list) => Ok(Some(list.items)),
        Err(error) if error.is_forbidden() || error.is_not_found() => {
            tracing::debug!(%error, "leftovers of this kind are not counted");
            Ok(None)
        }
        Err(error) => Err(list_failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn sandbox(name: &str, uid: &str, owner: (&str, &str)) -> Sandbox {
        let metadata =
            json!({ "name": name, "uid": uid, "ownerReferences": [owned(owner.0, "o", owner.1)] });
        serde_json::from_value(json!({ "metadata": metadata })).expect("a Sandbox")
    }

    fn owned(kind: &str, name: &str, uid: &str) -> Value {
        json!({ "apiVersion": "v1", "kind": kind, "name": name, "uid": uid })
    }

    fn metadata(value: Value) -> Metadata {
        serde_json::from_value(value).expect("metadata")
    }

    #[test]
    fn what_belongs_to_another_sandbox_of_a_name_that_the_run_had_is_not_its_own() {
        let mut of_run = OfRun {
            names: HashSet::from(["again".to_owned(), "gone".to_owned()]),
            ..OfRun::default()
        };
        let claims = HashSet::from(["claim".to_owned()]);
        of_run.learn(&sandbox("own", "1", ("SandboxClaim", "claim")), &claims);
        of_run.learn(&sandbox("again", "2", ("SandboxWarmPool", "pool")), &claims);
        for (name, owner, is_own) in [
            ("own", owned("Sandbox", "own", "1"), true),
            ("volume-own", owned("Sandbox", "own", "1"), true),
            ("again", owned("Sandbox", "again", "2"), false),
            // of the sandbox that had the name before
            ("volume-again", owned("Sandbox", "again", "0"), true),
            ("gone", owned("Sandbox", "gone", "0"), true),
            ("other", owned("Sandbox", "other", "9"), false),
        ] {
            let object = metadata(json!({ "name": name, "ownerReferences": [owner] }));
            assert_eq!(of_run.has(&object), is_own, "{name}");
        }
        for (service, is_own) in [
            ("own", true),
            ("again", false),
            ("gone", true),
            ("x", false),
        ] {
            let labels = json!({ SERVICE_NAME: service });
            let slice = metadata(json!({ "name": format!("{service}-slice"), "labels": labels }));
            assert_eq!(of_run.has(&slice), is_own, "{service}");
        }
    }
}
