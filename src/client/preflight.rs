//! Asks before a run begins for what would make every claim or connection of it fail: permissions,
//! the warm pool or template, the way to the sandboxes.

use futures::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};

use super::claim::ClaimSource;
use super::cluster::{Collection, Resource};
use super::connect::{ConnectionMode, port_forward};
use super::core::Client;
use super::error::{KubeError, Operation, PreflightError, Verb};
use crate::api::metadata::Metadata;
use crate::api::{GATEWAY_GROUP, plural};

/// What is going to be used.
///
/// ```no_run
/// # async fn example(client: sandbench::client::Client) {
/// use sandbench::client::connect::Tunnel;
/// use sandbench::client::{ClaimSource, ConnectionMode, Needs};
///
/// let needs = Needs {
///     source: Some(ClaimSource::WarmPool("python".to_owned())),
///     mode: ConnectionMode::Tunnel(Tunnel::default()),
/// };
/// for problem in client.preflight(&needs).await {
///     eprintln!("{problem}: {}", problem.help().unwrap_or_default());
/// }
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Needs {
    /// Where sandboxes come from, if that is known beforehand.
    pub source: Option<ClaimSource>,
    /// The way to them.
    pub mode: ConnectionMode,
}

const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
const GATEWAYS: Resource = Resource {
    group: GATEWAY_GROUP,
    version: "v1",
    plural: plural::GATEWAYS,
};

/// Only what is read of any object.
#[derive(Debug, Deserialize)]
struct Named {
    metadata: Metadata,
}

/// All problems at once. What may not be asked is taken to be right.
pub(super) async fn problems(client: &Client, needs: &Needs) -> Vec<PreflightError> {
    let mut problems = denied(client, &permissions(client, &needs.mode)).await;
    problems.extend(source_problem(client, needs.source.as_ref()).await);
    if problems.is_empty() {
        problems.extend(way_problem(client, &needs.mode).await);
    }
    problems
}

/// Each entry is a permission, or several of which one suffices.
fn permissions(client: &Client, mode: &ConnectionMode) -> Vec<Vec<Operation>> {
    let claims = client.claims();
    let verbs = [
        Verb::Create,
        Verb::Get,
        Verb::List,
        Verb::Watch,
        Verb::Delete,
    ];
    let mut needed: Vec<_> = verbs
        .map(|verb| vec![claims.operation(verb, "")])
        .into_iter()
        .collect();
    match mode {
        ConnectionMode::Gateway(gateway) => {
            let gateways = GATEWAYS.of(&gateway.namespace);
            let verbs = [Verb::List, Verb::Watch];
            needed.extend(verbs.map(|verb| vec![gateways.operation(verb, "")]));
        }
        ConnectionMode::Tunnel(tunnel) => {
            needed.push(forwards_in(&tunnel.router_namespace));
        }
        ConnectionMode::PodTunnel(_) => needed.push(forwards_in(client.namespace())),
        ConnectionMode::InCluster(_)
        | ConnectionMode::InClusterPodIp(_)
        | ConnectionMode::Direct(_) => {}
    }
    needed
}

/// Port-forwards: which verb is asked for depends on the version of the API server.
fn forwards_in(namespace: &str) -> Vec<Operation> {
    let forward = |verb| Operation {
        verb,
        resource: "pods/portforward".to_owned(),
        namespace: namespace.to_owned(),
        name: String::new(),
    };
    vec![forward(Verb::Create), forward(Verb::Get)]
}

async fn denied(client: &Client, needed: &[Vec<Operation>]) -> Vec<PreflightError> {
    let asked = needed.iter().map(|alternatives| async move {
        for operation in alternatives {
            if may(client, operation).await {
                return None;
            }
        }
        let operation = alternatives.first()?.clone();
        Some(PreflightError::Denied {
            operation: Box::new(operation),
        })
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// Whether the user may do it; also true if the API server does not tell.
async fn may(client: &Client, operation: &Operation) -> bool {
    let (resource, group) = operation
        .resource
        .split_once('.')
        .unwrap_or((&operation.resource, ""));
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {
            "namespace": operation.namespace, "verb": operation.verb.as_str(), "group": group,
            "resource": resource, "subresource": subresource,
        }},
    });
    let answer: Result<Value, _> = client.api().review(REVIEWS, &review, operation).await;
    answer.map_or(true, |answer| answer["status"]["allowed"] != false)
}

async fn source_problem(client: &Client, source: Option<&ClaimSource>) -> Option<PreflightError> {
    let (collection, kind, name) = match source? {
        ClaimSource::WarmPool(name) => (client.warm_pools(), "SandboxWarmPool", name),
        ClaimSource::Template(name) => (client.templates(), "SandboxTemplate", name),
    };
    missing(client, &collection, kind, name).await
}

/// An object that does not exist, with those that do.
async fn missing(
    client: &Client,
    collection: &Collection,
    kind: &'static str,
    name: &str,
) -> Option<PreflightError> {
    let found: Result<Named, KubeError> = client.api().get(collection, name).await;
    if !found.err()?.is_not_found() {
        return None;
    }
    let others = client.api().list::<Named>(collection, None).await;
    let known = others.map_or_else(|_| Vec::new(), |list| list.items);
    Some(PreflightError::Missing {
        kind,
        name: name.to_owned(),
        namespace: collection.namespace.clone(),
        known: known
            .into_iter()
            .map(|object| object.metadata.name)
            .collect(),
    })
}

async fn way_problem(client: &Client, mode: &ConnectionMode) -> Option<PreflightError> {
    let found = match mode {
        ConnectionMode::Gateway(gateway) => {
            let gateways = GATEWAYS.of(&gateway.namespace);
            let missing = missing(client, &gateways, "Gateway", &gateway.name).await;
            if missing.is_some() {
                return missing;
            }
            gateway.locate(client).await
        }
        ConnectionMode::Tunnel(tunnel) => {
            let namespaces = tunnel.namespaces(client.namespace());
            let router = port_forward::find_router(client.api(), &namespaces).await;
            router.map(drop)
        }
        ConnectionMode::InCluster(_)
        | ConnectionMode::InClusterPodIp(_)
        | ConnectionMode::Direct(_)
        | ConnectionMode::PodTunnel(_) => Ok(()),
    };
    found.err().map(|source| PreflightError::Way {
        mode: mode.word(),
        source: Box::new(source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::connect::{Gateway, InClusterPodIp, Tunnel};
    use crate::client::tests::fake::{Fake, client, discovery, ok, status};

    fn needs(mode: ConnectionMode) -> Needs {
        Needs {
            source: Some(ClaimSource::WarmPool("pool".to_owned())),
            mode,
        }
    }

    /// Says yes to every review whose verb is not in `denied`, and knows the pools `other` and `more`.
    async fn cluster(denied: &'static [&'static str]) -> Fake {
        Fake::start(move |request| {
            if let Some(found) = discovery(request) {
                return found;
            }
            if request.target == REVIEWS {
                let verb = request.json()["spec"]["resourceAttributes"]["verb"].clone();
                let allowed = !denied.iter().any(|denied| verb == *denied);
                return ok(&json!({"status": {"allowed": allowed}}));
            }
            if request.target.contains("limit=") {
                let named = |name| json!({"metadata": {"name": name}});
                return ok(&json!({"metadata": {}, "items": [named("other"), named("more")]}));
            }
            status(404, "NotFound", "no")
        })
        .await
    }

    fn texts(problems: &[PreflightError]) -> Vec<String> {
        let text =
            |problem: &PreflightError| format!("{problem}; {}", problem.help().unwrap_or_default());
        problems.iter().map(text).collect()
    }

    #[tokio::test]
    async fn every_missing_permission_and_the_missing_pool_are_told_at_once() {
        let fake = cluster(&["watch", "delete"]).await;
        let mode = ConnectionMode::InClusterPodIp(InClusterPodIp::default());
        let problems = client(fake.address).await.preflight(&needs(mode)).await;
        let texts = texts(&problems);
        assert_eq!(texts.len(), 3, "{texts:?}");
        assert!(texts[0].contains("RBAC verb `watch`"), "{texts:?}");
        assert!(texts[1].contains("kubectl auth can-i delete"), "{texts:?}");
        assert!(
            texts[2].contains("SandboxWarmPool `default/pool`"),
            "{texts:?}"
        );
        assert!(texts[2].contains("there is: other, more"), "{texts:?}");
    }

    #[tokio::test]
    async fn a_port_forward_needs_one_of_two_verbs() {
        for (denied, problems) in [(&["get"][..], 0), (&["get", "create"], 2)] {
            let fake = cluster(denied).await;
            let client = client(fake.address).await;
            let tunnel = ConnectionMode::Tunnel(Tunnel::default());
            let found = denied_permissions(&client, &tunnel).await;
            let forwards = found.iter().filter(|text| text.contains("portforward"));
            assert_eq!(forwards.count(), problems / 2, "{found:?}");
        }
    }

    async fn denied_permissions(client: &Client, mode: &ConnectionMode) -> Vec<String> {
        texts(&denied(client, &permissions(client, mode)).await)
    }

    #[tokio::test]
    async fn what_may_not_be_asked_is_taken_to_be_right() {
        let fake = Fake::start(|request| {
            discovery(request).unwrap_or_else(|| status(403, "Forbidden", "no"))
        })
        .await;
        let mode = ConnectionMode::InClusterPodIp(InClusterPodIp::default());
        let problems = client(fake.address).await.preflight(&needs(mode)).await;
        assert_eq!(texts(&problems), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_gateway_that_does_not_exist_is_told_without_waiting_for_it() {
        let fake = cluster(&[]).await;
        let gateway = Gateway {
            name: "gw".to_owned(),
            namespace: "edge".to_owned(),
            ..Gateway::default()
        };
        let needs = Needs {
            source: None,
            mode: ConnectionMode::Gateway(gateway),
        };
        let problems = client(fake.address).await.preflight(&needs).await;
        let texts = texts(&problems);
        assert_eq!(texts.len(), 1, "{texts:?}");
        assert!(
            texts[0].contains("Gateway `edge/gw`: it does not exist"),
            "{texts:?}"
        );
    }
}
