//! What a creation may ask for: how it is written, what is refused, what is adopted.

use std::time::Duration;

use serde_json::{Value, json};

use super::fake::{Act, Fake, answer, client, discovery, ok, request, status};
use crate::client::{
    AccessMode, ClaimOrigin, ClaimSource, Client, CreateError, CreateRequest, EnvRequest, Existing,
    VolumeRequest, WarmStart,
};

const NAMESPACES: &str = "/apis/extensions.agents.x-k8s.io/v1beta1/namespaces/default";

/// An API server that makes every claim, or, with `existing`, has one of that name already.
async fn server(existing: Option<Value>) -> Fake {
    Fake::start(move |request| {
        if let Some(found) = discovery(request) {
            return found;
        }
        match (request.method.as_str(), &existing) {
            ("POST", Some(_)) => status(409, "AlreadyExists", "it is there"),
            ("POST", None) => {
                let mut body = request.json();
                body["metadata"]["uid"] = json!("uid-a");
                body["metadata"]["resourceVersion"] = json!("5");
                answer("201 Created", body.to_string())
            }
            ("GET", Some(claim)) if request.target == format!("{NAMESPACES}/sandboxclaims/a") => {
                ok(claim)
            }
            _ => vec![Act::Hang],
        }
    })
    .await
}

/// An API server that speaks `v1alpha1` only and has the pool `pool` of the template `python`.
async fn old_server() -> Fake {
    Fake::start(|request| {
        let group = request.target.strip_prefix("/apis/").unwrap_or_default();
        if !group.contains('/') {
            return ok(&json!({"kind": "APIGroup", "versions": [{"version": "v1alpha1"}]}));
        }
        match request.method.as_str() {
            "POST" => answer("201 Created", &request.body),
            _ if request.target.ends_with("/sandboxwarmpools/pool") => ok(&json!({
                "metadata": {"name": "pool"}, "spec": {"sandboxTemplateRef": {"name": "python"}},
            })),
            _ => vec![Act::Hang],
        }
    })
    .await
}

/// The spec of the only claim that was posted.
fn posted(fake: &Fake) -> Value {
    let mut posts = fake.requests();
    posts.retain(|request| request.method == "POST");
    assert_eq!(posts.len(), 1);
    posts[0].json()
}

fn existing(pool: &str) -> Value {
    json!({
        "metadata": {"name": "a", "uid": "uid-old", "resourceVersion": "3"},
        "spec": {"warmPoolRef": {"name": pool}},
    })
}

fn adopting() -> CreateRequest {
    CreateRequest {
        existing: Existing::Adopt,
        ..request("a")
    }
}

#[tokio::test]
async fn environment_pod_metadata_annotations_and_volumes_are_written_as_the_api_wants_them() {
    let fake = server(None).await;
    let client = client(fake.address).await;
    let mut wanted = request("a");
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    wanted.annotations.extend([pair("note", "n")]);
    wanted.pod_labels.extend([pair("team", "x")]);
    wanted.pod_annotations.extend([pair("why", "load test")]);
    wanted.env = vec![
        EnvRequest {
            name: "A".to_owned(),
            value: "1".to_owned(),
            container: None,
        },
        EnvRequest {
            name: "B".to_owned(),
            value: String::new(),
            container: Some("side".to_owned()),
        },
    ];
    wanted.volumes = vec![VolumeRequest {
        access_modes: vec![AccessMode::ReadWriteMany, AccessMode::ReadOnlyMany],
        storage_class: Some("fast".to_owned()),
        ..VolumeRequest::new("data", "4Gi")
    }];
    let created = client.create(wanted).await.expect("created");
    assert_eq!(created.origin(), ClaimOrigin::Created);
    let body = posted(&fake);
    assert_eq!(body["metadata"]["annotations"]["note"], "n");
    assert_eq!(
        body["spec"],
        json!({
            "warmPoolRef": {"name": "pool"},
            "additionalPodMetadata":
                {"labels": {"team": "x"}, "annotations": {"why": "load test"}},
            "env": [
                {"name": "A", "value": "1"},
                {"name": "B", "value": "", "containerName": "side"},
            ],
            "volumeClaimTemplates": [{
                "metadata": {"name": "data"},
                "spec": {
                    "accessModes": ["ReadWriteMany", "ReadOnlyMany"],
                    "resources": {"requests": {"storage": "4Gi"}},
                    "storageClassName": "fast",
                },
            }],
        })
    );
    client.close().await;
}

#[tokio::test]
async fn what_is_not_asked_for_is_not_written() {
    let fake = server(None).await;
    let client = client(fake.address).await;
    client.create(request("a")).await.expect("created");
    assert_eq!(
        posted(&fake)["spec"],
        json!({"warmPoolRef": {"name": "pool"}})
    );
    client.close().await;
}

#[tokio::test]
async fn never_warm_is_the_policy_none_on_v1alpha1() {
    for source in ["pool", "python"] {
        let fake = old_server().await;
        let client = client(fake.address).await;
        let wanted = CreateRequest {
            name: Some("a".to_owned()),
            warm_start: WarmStart::Never,
            ..CreateRequest::new(match source {
                "pool" => ClaimSource::WarmPool(source.to_owned()),
                _ => ClaimSource::Template(source.to_owned()),
            })
        };
        client.create(wanted).await.expect("created");
        assert_eq!(
            posted(&fake)["spec"],
            json!({"sandboxTemplateRef": {"name": "python"}, "warmpool": "none"})
        );
        client.close().await;
    }
}

async fn refused(client: &Client, wanted: CreateRequest, culprit: &str) {
    let error = client.create(wanted).await.expect_err("not valid");
    assert!(matches!(error, CreateError::Invalid { .. }), "{error}");
    assert!(error.to_string().contains(culprit), "{error}");
}

#[tokio::test]
async fn what_could_never_work_is_refused_before_anything_is_sent() {
    let fake = server(None).await;
    let client = client(fake.address).await;
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let mut wanted = request("a");
    wanted.labels.extend([pair("A/b", "x")]);
    refused(&client, wanted, "label `A/b`").await;
    let mut wanted = request("a");
    wanted.pod_labels.extend([pair("team", "no spaces")]);
    refused(&client, wanted, "label value `no spaces`").await;
    let mut wanted = request("a");
    wanted.env = vec![EnvRequest {
        name: "1A".to_owned(),
        value: "secret".to_owned(),
        container: None,
    }];
    assert!(!format!("{wanted:?}").contains("secret"));
    refused(&client, wanted, "environment variable `1A`").await;
    let mut wanted = request("a");
    wanted.time_to_live = Some(Duration::MAX);
    refused(&client, wanted, "time to live").await;
    let mut wanted = request("a");
    wanted.volumes = vec![VolumeRequest {
        access_modes: Vec::new(),
        ..VolumeRequest::new("data", "4Gi")
    }];
    refused(&client, wanted, "no access mode").await;
    let mut wanted = request("a");
    wanted.warm_start = WarmStart::Never;
    refused(&client, wanted, "v1beta1").await;
    let mut wanted = adopting();
    wanted.name = None;
    refused(&client, wanted, "explicit name").await;
    assert!(fake.requests().iter().all(|r| r.method == "GET"));
    client.close().await;
}

#[tokio::test]
async fn volumes_are_refused_where_the_api_would_drop_them_silently() {
    let fake = old_server().await;
    let client = client(fake.address).await;
    let mut wanted = request("a");
    wanted.volumes = vec![VolumeRequest::new("data", "4Gi")];
    refused(&client, wanted, "v1alpha1").await;
    client.close().await;
}

#[tokio::test]
async fn a_claim_from_the_same_pool_is_adopted_if_asked_for() {
    let fake = server(Some(existing("pool"))).await;
    let client = client(fake.address).await;
    let adopted = client.create(adopting()).await.expect("adopted");
    assert_eq!(adopted.origin(), ClaimOrigin::Found);
    assert_eq!(adopted.uid(), "uid-old");
    let refused = client.create(request("a")).await.expect_err("not asked");
    assert!(matches!(refused, CreateError::AlreadyExists { .. }));
    client.close().await;
}

#[tokio::test]
async fn a_claim_from_another_pool_is_not_adopted() {
    let fake = server(Some(existing("other"))).await;
    let client = client(fake.address).await;
    let error = client.create(adopting()).await.expect_err("another pool");
    assert!(matches!(error, CreateError::NotAdoptable { .. }), "{error}");
    assert!(error.to_string().contains("another warm pool"), "{error}");
    client.close().await;
}
