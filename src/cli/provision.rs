//! What a scenario file names is created on a fresh loopback cluster: namespaces, template, warm
//! pool and gateway. A real cluster is never provisioned: there the names must exist.

use std::time::Duration;

use kube::Client as KubeClient;
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::api::{
    EXTENSIONS_GROUP, GATEWAY_GROUP, RUNTIME_PORT, SANDBOXD_GRPC_PORT, SANDBOXD_REST_PORT,
};

/// How long the warm pool may take to fill.
const POOL_LIMIT: Duration = Duration::from_mins(2);
/// How often the pool's status is read while it fills.
const POOL_POLL: Duration = Duration::from_millis(10);

/// What is to be created.
#[derive(Debug, Default, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wanted {
    pub(super) namespace: String,
    pub(super) warm_pool: Option<String>,
    pub(super) template: Option<String>,
    pub(super) gateway: Option<(String, String)>,
    /// What is to answer in the sandboxes.
    pub(super) runtimes: Runtimes,
    /// Warm sandboxes to hold ready.
    pub(super) replicas: u32,
}

/// What is to answer in the sandboxes of a template.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Runtimes {
    #[default]
    Legacy,
    Sandboxd,
    /// One container each.
    Both,
}

impl Runtimes {
    /// What answers to both.
    pub(super) fn and(self, other: Self) -> Self {
        if self == other { self } else { Self::Both }
    }
}

/// Why the loopback cluster could not be provisioned.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProvisionError {
    #[error("create {kind} `{name}` on the loopback cluster")]
    Create {
        kind: &'static str,
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
    #[error("read warm pool `{name}` on the loopback cluster")]
    Read {
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
    #[error("fill warm pool `{name}`: {ready} of {wanted} sandboxes were ready after {limit:?}")]
    Slow {
        name: String,
        ready: u64,
        wanted: u32,
        limit: Duration,
    },
}

/// Creates what is wanted and waits until the pool is full, so that a run starts warm.
pub(super) async fn provision(client: &KubeClient, wanted: &Wanted) -> Result<(), ProvisionError> {
    let namespace = wanted.namespace.as_str();
    for name in [
        Some(namespace),
        wanted
            .gateway
            .as_ref()
            .map(|(namespace, _)| namespace.as_str()),
    ]
    .into_iter()
    .flatten()
    {
        create(
            client,
            "",
            ("", "v1", "Namespace", "namespaces"),
            name,
            json!({}),
        )
        .await?;
    }
    let template = wanted.template.clone().or_else(|| {
        wanted
            .warm_pool
            .as_ref()
            .map(|pool| format!("{pool}-template"))
    });
    if let Some(template) = &template {
        let kind = (
            EXTENSIONS_GROUP,
            "v1beta1",
            "SandboxTemplate",
            "sandboxtemplates",
        );
        create(
            client,
            namespace,
            kind,
            template,
            template_spec(wanted.runtimes),
        )
        .await?;
    }
    // From v1beta1 on a claim names a pool. For a template alone that is one without replicas, so
    // that every sandbox is a cold one; upstream's migration calls it so.
    let (pool, replicas) = match (&wanted.warm_pool, &template) {
        (Some(pool), _) => (Some(pool.clone()), wanted.replicas),
        (None, Some(template)) => (Some(format!("shadow-pool-{template}")), 0),
        (None, None) => (None, 0),
    };
    if let (Some(pool), Some(template)) = (&pool, &template) {
        let kind = (
            EXTENSIONS_GROUP,
            "v1beta1",
            "SandboxWarmPool",
            "sandboxwarmpools",
        );
        let spec = json!({
            "replicas": replicas, "sandboxTemplateRef": { "name": template },
        });
        create(client, namespace, kind, pool, spec).await?;
        fill(client, namespace, pool, replicas).await?;
    }
    if let Some((namespace, name)) = &wanted.gateway {
        let kind = (GATEWAY_GROUP, "v1", "Gateway", "gateways");
        // Not port 80, which only root may open on many machines; clients read the listener's port.
        let spec = json!({
            "gatewayClassName": "loopback",
            "listeners": [{ "name": "http", "port": 8080, "protocol": "HTTP" }],
        });
        create(client, namespace, kind, name, spec).await?;
    }
    Ok(())
}

fn template_spec(runtimes: Runtimes) -> Value {
    let legacy = json!({
        "name": "python-runtime",
        "image": "loopback/python-runtime",
        "ports": [{ "containerPort": RUNTIME_PORT }],
    });
    let sandboxd = json!({
        "name": "sandboxd",
        "image": "loopback/sandboxd",
        "ports": [{ "containerPort": SANDBOXD_REST_PORT }, { "containerPort": SANDBOXD_GRPC_PORT }],
    });
    let containers = match runtimes {
        Runtimes::Legacy => vec![legacy],
        Runtimes::Sandboxd => vec![sandboxd],
        Runtimes::Both => vec![legacy, sandboxd],
    };
    json!({
        // A Service of its own gives each sandbox a DNS name, which in-cluster mode needs.
        "service": true,
        "volumeClaimTemplatesPolicy": "Overrides",
        "envVarsInjectionPolicy": "Overrides",
        "volumeClaimTemplates": [{ "metadata": { "name": "workspace" },
            "spec": { "accessModes": ["ReadWriteOnce"],
                "resources": { "requests": { "storage": "1Gi" } } } }],
        "podTemplate": { "spec": { "containers": containers } },
    })
}

fn api(
    client: &KubeClient,
    namespace: &str,
    (group, version, kind, plural): (&str, &str, &str, &str),
) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk(group, version, kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, plural);
    if namespace.is_empty() {
        Api::all_with(client.clone(), &resource)
    } else {
        Api::namespaced_with(client.clone(), namespace, &resource)
    }
}

/// Creates an object; one that exists already is as good.
async fn create(
    client: &KubeClient,
    namespace: &str,
    kind: (&'static str, &'static str, &'static str, &'static str),
    name: &str,
    spec: Value,
) -> Result<(), ProvisionError> {
    let gvk = GroupVersionKind::gvk(kind.0, kind.1, kind.2);
    let resource = ApiResource::from_gvk_with_plural(&gvk, kind.3);
    let object = DynamicObject::new(name, &resource).data(json!({ "spec": spec }));
    match api(client, namespace, kind)
        .create(&PostParams::default(), &object)
        .await
    {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(source) => Err(ProvisionError::Create {
            kind: kind.2,
            name: name.to_owned(),
            source: Box::new(source),
        }),
    }
}

async fn fill(
    client: &KubeClient,
    namespace: &str,
    pool: &str,
    wanted: u32,
) -> Result<(), ProvisionError> {
    let kind = (
        EXTENSIONS_GROUP,
        "v1beta1",
        "SandboxWarmPool",
        "sandboxwarmpools",
    );
    let pools = api(client, namespace, kind);
    let deadline = Instant::now() + POOL_LIMIT;
    loop {
        let object = pools
            .get(pool)
            .await
            .map_err(|source| ProvisionError::Read {
                name: pool.to_owned(),
                source: Box::new(source),
            })?;
        let ready = object.data["status"]["readyReplicas"].as_u64().unwrap_or(0);
        if ready >= u64::from(wanted) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(ProvisionError::Slow {
                name: pool.to_owned(),
                ready,
                wanted,
                limit: POOL_LIMIT,
            });
        }
        tokio::time::sleep(POOL_POLL).await;
    }
}
