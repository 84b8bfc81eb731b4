//! Warm pools and templates: the exact requests, on either API version.

use std::time::Duration;

use serde_json::{Value, json};

use super::fake::{
    Act, Fake, RUN, Recorded, chunk, client, discovery, event, ok, status, stream_head,
};
use crate::client::{Deleted, ManageError, Service, TemplateRequest, WarmPoolRequest};

const POOLS: &str = "/apis/extensions.agents.x-k8s.io/v1beta1/namespaces/default/sandboxwarmpools";

fn pool(wanted: u32, ready: u32) -> Value {
    json!({
        "metadata": {"name": "p", "uid": "u", "resourceVersion": "3", "labels": {"team": "a"}},
        "spec": {"replicas": wanted, "sandboxTemplateRef": {"name": "t"}},
        "status": {"replicas": wanted, "readyReplicas": ready},
    })
}

/// Answers everything but discovery like this.
async fn answering(answer: impl Fn(&Recorded) -> Vec<Act> + Send + Sync + 'static) -> Fake {
    Fake::start(move |request| discovery(request).unwrap_or_else(|| answer(request))).await
}

fn last(fake: &Fake) -> Recorded {
    fake.requests().pop().expect("sent")
}

#[tokio::test]
async fn a_pool_is_made_with_the_labels_of_the_run_and_scaled_by_a_patch() {
    let fake = answering(|_| ok(&pool(3, 1))).await;
    let client = client(fake.address).await;
    let mut request = WarmPoolRequest::new("p", "t");
    request.replicas = 3;
    request.labels.insert("team".to_owned(), "a".to_owned());
    let made = client.create_warm_pool(request).await.expect("made");
    assert_eq!((made.wanted, made.replicas, made.ready), (3, 3, 1));
    assert_eq!((made.uid.as_str(), made.template.as_str()), ("u", "t"));
    let sent = last(&fake);
    assert_eq!(
        (sent.method.as_str(), sent.target.as_str()),
        ("POST", POOLS)
    );
    assert_eq!(
        sent.json(),
        json!({
            "apiVersion": "extensions.agents.x-k8s.io/v1beta1",
            "kind": "SandboxWarmPool",
            "metadata": {"name": "p", "namespace": "default",
                "labels": {"sandbench.dev/run-id": RUN, "team": "a"}},
            "spec": {"replicas": 3, "sandboxTemplateRef": {"name": "t"}},
        })
    );
    client.scale_warm_pool("p", 0).await.expect("scaled");
    let sent = last(&fake);
    assert_eq!(sent.target, format!("{POOLS}/p"));
    assert_eq!(sent.json(), json!({"spec": {"replicas": 0}}));
}

#[tokio::test]
async fn a_pool_is_waited_for_on_a_watch_until_it_is_full() {
    let fake = answering(|request| {
        if request.is_watch() {
            let full = chunk(&event("MODIFIED", &pool(2, 2)));
            return vec![stream_head(), full, Act::Hang];
        }
        ok(&pool(2, 1))
    })
    .await;
    let client = client(fake.address).await;
    let limit = Duration::from_secs(20);
    let full = client.wait_warm_pool("p", limit).await.expect("full");
    assert_eq!(full.ready, 2);
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_does_not_fill_says_how_far_it_came() {
    let fake = answering(|request| {
        if request.is_watch() {
            return vec![stream_head(), Act::Hang];
        }
        ok(&pool(2, 1))
    })
    .await;
    let client = client(fake.address).await;
    let error = client.wait_warm_pool("p", Duration::from_secs(5)).await;
    assert!(
        matches!(&error, Err(ManageError::Timeout { last, .. }) if last == "1 of 2 ready"),
        "{error:?}"
    );
}

#[tokio::test]
async fn pools_are_listed_by_label_and_deleted_by_name() {
    let fake = answering(|request| match request.method.as_str() {
        "GET" => ok(&json!({"metadata": {}, "items": [pool(1, 1)]})),
        _ if request.target.ends_with("/p") => ok(&json!({})),
        _ => status(404, "NotFound", "none"),
    })
    .await;
    let client = client(fake.address).await;
    let listed = client
        .list_warm_pools(Some("team=a"))
        .await
        .expect("listed");
    assert_eq!(listed[0].name, "p");
    assert_eq!(last(&fake).query("labelSelector"), Some("team%3Da"));
    let deleted = client.delete_warm_pool("p").await.expect("deleted");
    assert_eq!(deleted, Deleted::Accepted);
    let deleted = client.delete_warm_pool("q").await.expect("nothing to do");
    assert_eq!(deleted, Deleted::NotFound);
}

#[tokio::test]
async fn a_template_is_passed_on_as_it_is_in_the_clusters_version() {
    let fake = Fake::start(|request| {
        if request.target.starts_with("/apis/") && !request.target[6..].contains('/') {
            return ok(&json!({"versions": [{"version": "v1alpha1"}]}));
        }
        let mut made = request.json();
        made["metadata"]["uid"] = json!("u");
        ok(&made)
    })
    .await;
    let client = client(fake.address).await;
    let pod = json!({"spec": {"containers": [{"name": "c", "image": "i"}]}});
    let mut request = TemplateRequest::new("t", pod.clone());
    request.service = Service::Headless;
    let other = [("networkPolicyManagement".to_owned(), json!("Unmanaged"))];
    request.other.extend(other);
    let made = client.create_template(request).await.expect("made");
    assert_eq!(made.uid, "u");
    assert_eq!(
        made.spec,
        json!({"networkPolicyManagement": "Unmanaged", "podTemplate": pod, "service": true})
    );
    let sent = last(&fake).json();
    assert_eq!(sent["apiVersion"], "extensions.agents.x-k8s.io/v1alpha1");
    assert_eq!(sent["kind"], "SandboxTemplate");
}

#[tokio::test]
async fn what_exists_what_is_missing_and_what_is_not_valid_are_told_apart() {
    let fake = answering(|request| match request.method.as_str() {
        "POST" => status(409, "AlreadyExists", "it exists"),
        _ => status(404, "NotFound", "none"),
    })
    .await;
    let client = client(fake.address).await;
    let again = client
        .create_warm_pool(WarmPoolRequest::new("p", "t"))
        .await;
    assert!(matches!(again, Err(ManageError::AlreadyExists { .. })));
    let missing = client.template("t").await.expect_err("none");
    assert!(matches!(missing, ManageError::NotFound { .. }));
    assert!(missing.help().is_some());
    let before = fake.requests().len();
    let bad = client
        .create_warm_pool(WarmPoolRequest::new("P_", "t"))
        .await;
    assert!(matches!(bad, Err(ManageError::Invalid { .. })));
    assert_eq!(fake.requests().len(), before);
}
