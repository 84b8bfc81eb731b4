//! Claims: how to ask for a sandbox, and what one gets.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;

use super::core::Client;
use super::error::ReadyError;
use super::hub::Subscription;
use super::ready;
use crate::api::annotation;
use crate::api::claim::SandboxClaim;

/// What a sandbox is made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ClaimSource {
    /// Name of a `SandboxWarmPool`. On a `v1alpha1` cluster its template is looked up.
    WarmPool(String),
    /// Name of a `SandboxTemplate`. On a `v1beta1` cluster a pool that uses it is looked up.
    Template(String),
}

/// A request for a sandbox.
///
/// ```no_run
/// # async fn example(client: sandbench::client::Client)
/// # -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use sandbench::client::{ClaimSource, CreateRequest, EnvRequest, VolumeRequest};
///
/// let mut request = CreateRequest::new(ClaimSource::Template("python".to_owned()));
/// request.time_to_live = Some(Duration::from_secs(600));
/// request.labels.insert("team".to_owned(), "blue".to_owned());
/// request.volumes.push(VolumeRequest::new("data", "4Gi"));
/// request.env.push(EnvRequest {
///     name: "MODE".to_owned(),
///     value: "fast".to_owned(),
///     container: None,
/// });
/// let claim = client.create(request).await?;
/// // The same claim, from its name alone: from another program, or later.
/// let attached = client.claim(claim.name()).await?;
/// attached.wait_ready(Duration::from_secs(180)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRequest {
    /// What the sandbox is made from.
    pub source: ClaimSource,
    /// Name of the claim, a DNS label of at most 63 characters. Default: [`random_claim_name`].
    pub name: Option<String>,
    /// Labels of the claim. The client's own labels win.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the claim.
    pub annotations: BTreeMap<String, String>,
    /// After this time the controller deletes claim and sandbox, whatever becomes of the client.
    /// Whole seconds are sent, rounded up. Default: never.
    pub time_to_live: Option<Duration>,
    /// Volumes of the sandbox's own; they force a cold start. Not on `v1alpha1` clusters.
    pub volumes: Vec<VolumeRequest>,
    /// Labels of the sandbox's Pod.
    pub pod_labels: BTreeMap<String, String>,
    /// Annotations of the sandbox's Pod.
    pub pod_annotations: BTreeMap<String, String>,
    /// Environment variables of the sandbox; they force a cold start.
    pub env: Vec<EnvRequest>,
    /// Whether a sandbox from a warm pool will do. Default: [`WarmStart::Allowed`].
    pub warm_start: WarmStart,
    /// What to do if a claim of that name exists. Default: [`Existing::Refuse`].
    pub existing: Existing,
}

/// Whether a sandbox from a warm pool will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum WarmStart {
    /// Yes, if there is one.
    #[default]
    Allowed,
    /// No: the sandbox is made for the claim. Only `v1alpha1` clusters know such a wish
    /// (`warmpool: none`); on others, name a pool with `replicas: 0`.
    Never,
}

/// What to do if a claim of the wanted name exists already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Existing {
    /// Fail with [`CreateError::AlreadyExists`](super::CreateError::AlreadyExists).
    #[default]
    Refuse,
    /// Use it if it is not being deleted and is made from the same pool or template. Its labels,
    /// end of life, environment and volumes stay as they are and are not compared (as in the
    /// Python SDK 1.0.8). Needs an explicit name.
    Adopt,
}

/// Whether a claim was made by this client or was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClaimOrigin {
    /// Made by [`Client::create`].
    Created,
    /// Found: attached to or adopted. Whoever made it should delete it.
    Found,
}

/// An environment variable that a sandbox is to have. Its value never appears in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct EnvRequest {
    /// Its name: letters, digits, `-`, `_` and `.`, not beginning with a digit or `..`.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Which container gets it; the controller's choice if `None`.
    pub container: Option<String>,
}

impl fmt::Debug for EnvRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvRequest")
            .field("name", &self.name)
            .field("container", &self.container)
            .finish_non_exhaustive()
    }
}

/// How a volume can be mounted.
#[expect(
    clippy::enum_variant_names,
    reason = "these are the words that Kubernetes has for them"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccessMode {
    /// Read and written by one node.
    ReadWriteOnce,
    /// Read and written by one Pod.
    ReadWriteOncePod,
    /// Read by many nodes.
    ReadOnlyMany,
    /// Read and written by many nodes.
    ReadWriteMany,
}

impl AccessMode {
    /// The word that Kubernetes has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadWriteOnce => "ReadWriteOnce",
            Self::ReadWriteOncePod => "ReadWriteOncePod",
            Self::ReadOnlyMany => "ReadOnlyMany",
            Self::ReadWriteMany => "ReadWriteMany",
        }
    }
}

/// A volume that a sandbox is to have of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeRequest {
    /// Its name.
    pub name: String,
    /// Its size as Kubernetes writes it: `4Gi`.
    pub storage: String,
    /// Its storage class; the cluster's default if `None`.
    pub storage_class: Option<String>,
    /// How it can be mounted; at least one.
    pub access_modes: Vec<AccessMode>,
}

impl VolumeRequest {
    /// A volume of the cluster's default storage class, `ReadWriteOnce`.
    pub fn new(name: impl Into<String>, storage: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            storage: storage.into(),
            storage_class: None,
            access_modes: vec![AccessMode::ReadWriteOnce],
        }
    }
}

impl CreateRequest {
    /// A request without name, labels and time to live.
    pub fn new(source: ClaimSource) -> Self {
        Self {
            source,
            name: None,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            time_to_live: None,
            volumes: Vec::new(),
            pod_labels: BTreeMap::new(),
            pod_annotations: BTreeMap::new(),
            env: Vec::new(),
            warm_start: WarmStart::Allowed,
            existing: Existing::Refuse,
        }
    }
}

/// A name for a claim: `sandbox-claim-` and 16 hexadecimal digits from 64 random bits.
///
/// Who must be able to clean up even if [`Client::create`] is cancelled
/// chooses the name first.
pub fn random_claim_name() -> String {
    format!("sandbox-claim-{:016x}", rand::rng().random::<u64>())
}

/// How a sandbox came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LaunchType {
    /// Adopted from a warm pool.
    Warm,
    /// Made for the claim; it has the claim's name.
    Cold,
}

impl LaunchType {
    /// The word for it: `warm` or `cold`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warm => "warm",
            Self::Cold => "cold",
        }
    }
}

impl fmt::Display for LaunchType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When a claim was asked for and confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimTimings {
    /// Just before the request was sent.
    pub requested: Instant,
    /// When the API server's answer had been read.
    pub acknowledged: Instant,
}

/// A claim that exists; it may not be ready yet.
#[derive(Debug, Clone)]
pub struct Claim(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    object: Arc<SandboxClaim>,
    timings: ClaimTimings,
    subscription: Option<Subscription>,
    origin: ClaimOrigin,
}

impl Claim {
    pub(super) fn new(
        client: Client,
        object: SandboxClaim,
        timings: ClaimTimings,
        subscription: Option<Subscription>,
        origin: ClaimOrigin,
    ) -> Self {
        Self(Arc::new(Inner {
            client,
            object: Arc::new(object),
            timings,
            subscription,
            origin,
        }))
    }

    /// Name of the claim.
    pub fn name(&self) -> &str {
        &self.0.object.metadata.name
    }

    /// Whether this client made it or found it.
    pub fn origin(&self) -> ClaimOrigin {
        self.0.origin
    }

    /// UID of the claim.
    pub fn uid(&self) -> &str {
        &self.0.object.metadata.uid
    }

    /// When it was first asked for, as its annotation says (RFC 3339); absent on claims of others.
    pub fn requested_at(&self) -> Option<&str> {
        let annotations = &self.0.object.metadata.annotations;
        annotations
            .get(annotation::FIRST_REQUESTED_AT)
            .map(String::as_str)
    }

    /// Namespace of the claim.
    pub fn namespace(&self) -> &str {
        self.0.client.namespace()
    }

    /// When it was asked for and confirmed.
    pub fn timings(&self) -> ClaimTimings {
        self.0.timings
    }

    /// Waits until the claim is ready. Any number of claims of one run are waited for on one watch.
    ///
    /// ```no_run
    /// # async fn example(claim: sandbench::client::Claim)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use sandbench::client::ReadyError;
    ///
    /// match claim.wait_ready(Duration::from_secs(180)).await {
    ///     Ok(ready) => println!("{} after {:?}", ready.sandbox_name, ready.ready - ready.acknowledged),
    ///     Err(ReadyError::Failed { reason, message, .. }) => println!("{reason}: {message}"),
    ///     Err(ReadyError::Timeout { last, .. }) => println!("not yet: {last}"),
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ReadyError`]: time is up, the controller gave up, the claim was deleted or replaced, or
    /// the API server refuses.
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn wait_ready(&self, timeout: Duration) -> Result<ReadyClaim, ReadyError> {
        ready::wait(self, timeout).await
    }

    pub(super) fn client(&self) -> &Client {
        &self.0.client
    }

    /// The claim as the API server gave it when it was created or found.
    pub(super) fn object(&self) -> &Arc<SandboxClaim> {
        &self.0.object
    }

    pub(super) fn subscription(&self) -> Option<&Subscription> {
        self.0.subscription.as_ref()
    }
}

/// A claim whose sandbox is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyClaim {
    /// Name of the claim.
    pub claim_name: String,
    /// UID of the claim.
    pub claim_uid: String,
    /// Name of the sandbox.
    pub sandbox_name: String,
    /// Namespace of both.
    pub namespace: String,
    /// Addresses of the sandbox's Pod as the claim tells them, IPv4 first; often empty at first.
    pub pod_ips: Vec<IpAddr>,
    /// Warm or cold: a cold sandbox has the claim's name.
    pub launch_type: LaunchType,
    /// When the API server's answer to the creation had been read.
    pub acknowledged: Instant,
    /// When the name of the sandbox was first seen.
    pub bound: Instant,
    /// When `Ready=True` was first seen.
    pub ready: Instant,
}
