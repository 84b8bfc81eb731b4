//! Snapshots and computer use: the exact requests and their ends.

use std::time::Duration;

use serde_json::{Value, json};

use super::calls::{api_server, ready_claim};
use super::fake::{Act, Fake, Recorded, chunk, client, discovery, event, ok, status, stream_head};
use crate::client::connect::{self, ConnectionMode};
use crate::client::{AgentQuery, Deleted, ManageError, RestoreError};

const LIMIT: Duration = Duration::from_secs(20);

fn trigger(condition: &Value) -> impl Fn(&Recorded) -> Vec<Act> + Send + Sync + 'static {
    let condition = condition.clone();
    move |request| {
        if let Some(found) = discovery(request) {
            return found;
        }
        let name = |text: &str| text.rsplit('/').next().unwrap_or_default().to_owned();
        if request.is_watch() {
            let name = request.query("fieldSelector").unwrap_or_default();
            let name = name.rsplit("%3D").next().unwrap_or_default();
            let done = json!({
                "metadata": {"name": name, "resourceVersion": "2"},
                "status": {"conditions": [condition], "snapshotCreated": {"name": "snap-uid"}},
            });
            return vec![stream_head(), chunk(&event("MODIFIED", &done)), Act::Hang];
        }
        if request.target.contains("/sandboxes/") {
            return ok(&json!({"metadata": {"name": "warm-1",
                "annotations": {"agents.x-k8s.io/pod-name": "pod-1"}}}));
        }
        ok(&json!({"metadata": {"name": name(&request.target), "resourceVersion": "1"}}))
    }
}

#[tokio::test]
async fn a_snapshot_is_asked_for_by_a_trigger_and_waited_for() {
    let fake = Fake::start(trigger(&json!({"type": "Triggered", "status": "True",
        "reason": "Complete", "lastTransitionTime": "2026-01-01T00:00:00Z"})))
    .await;
    let client = client(fake.address).await;
    let taken = client.take_snapshot(&ready_claim(), "Mine", LIMIT).await;
    let taken = taken.expect("taken");
    assert_eq!(taken.name, "snap-uid");
    assert_eq!(taken.created_at, "2026-01-01T00:00:00Z");
    let requests = fake.requests();
    let post = requests.iter().find(|r| r.method == "POST").expect("sent");
    assert_eq!(
        post.target,
        "/apis/podsnapshot.gke.io/v1/namespaces/default/podsnapshotmanualtriggers"
    );
    let body = post.json();
    assert_eq!(body["kind"], "PodSnapshotManualTrigger");
    assert_eq!(body["spec"], json!({"targetPod": "pod-1"}));
    let name = body["metadata"]["name"].as_str().expect("a name");
    assert!(name.starts_with("mine-2"), "{name}");
    let last = requests.last().expect("sent");
    assert_eq!(
        (&*last.method, &*last.target),
        ("DELETE", &*format!("{}/{name}", post.target))
    );
}

#[tokio::test]
async fn a_snapshot_that_fails_is_an_error_with_the_controllers_words() {
    let fake = Fake::start(trigger(&json!({"type": "Triggered", "status": "False",
        "reason": "Failed", "message": "no room"})))
    .await;
    let client = client(fake.address).await;
    let error = client.take_snapshot(&ready_claim(), "a", LIMIT).await;
    assert!(
        matches!(&error, Err(ManageError::Failed { message, .. }) if message == "no room"),
        "{error:?}"
    );
    let last = fake.requests().pop().expect("sent");
    assert_eq!(last.method, "DELETE", "the trigger is removed");
}

#[tokio::test]
async fn snapshots_are_listed_newest_first_by_the_hash_of_the_sandboxs_name() {
    let fake = Fake::start(|request| {
        discovery(request).unwrap_or_else(|| {
            let at = |name: &str, time: &str| {
                json!({"metadata": {"name": name, "creationTimestamp": time},
                    "status": {"conditions": [{"type": "Ready", "status": "True"}]}})
            };
            ok(&json!({"metadata": {}, "items": [
                at("old", "2026-01-01T00:00:00Z"), at("new", "2026-01-02T00:00:00Z")]}))
        })
    })
    .await;
    let client = client(fake.address).await;
    let found = client.list_snapshots(&ready_claim()).await.expect("listed");
    let names: Vec<&str> = found.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["new", "old"]);
    assert!(found[0].is_ready);
    let hash = crate::api::name_hash("warm-1");
    let list = fake.requests().pop().expect("sent");
    let selector = list.query("labelSelector").unwrap_or_default();
    assert!(selector.ends_with(&format!("%3D{hash}")), "{selector}");
}

#[tokio::test]
async fn a_cluster_without_snapshots_says_so_and_a_missing_one_is_no_error() {
    let fake = Fake::start(|request| {
        discovery(request).unwrap_or_else(|| status(404, "NotFound", "none"))
    })
    .await;
    let client = client(fake.address).await;
    let error = client
        .list_snapshots(&ready_claim())
        .await
        .expect_err("none");
    assert!(matches!(error, ManageError::NotInstalled { .. }));
    assert!(error.help().is_some_and(|help| help.contains("GKE")));
    let deleted = client.delete_snapshot("a", LIMIT).await.expect("nothing");
    assert_eq!(deleted, Deleted::NotFound);
}

#[tokio::test]
async fn a_snapshot_is_deleted_when_it_is_gone() {
    let fake = Fake::start(|request| {
        if let Some(found) = discovery(request) {
            return found;
        }
        let object = json!({"metadata": {"name": "a", "resourceVersion": "1"}});
        if request.is_watch() {
            return vec![stream_head(), chunk(&event("DELETED", &object)), Act::Hang];
        }
        ok(&object)
    })
    .await;
    let client = client(fake.address).await;
    let deleted = client.delete_snapshot("a", LIMIT).await.expect("gone");
    assert_eq!(deleted, Deleted::Accepted);
}

/// A cluster in which everything that a restoration asks for has happened already.
async fn restorable(suspended: &'static str, message: &'static str) -> Fake {
    Fake::start(move |request| {
        if let Some(found) = discovery(request) {
            return found;
        }
        let patched = request.method == "PATCH";
        if request.target.contains("/pods/") {
            return ok(
                &json!({"metadata": {"name": "warm-1"}, "status": {"conditions": [
                {"type": "PodRestored", "status": "True", "message": message}]}}),
            );
        }
        if request.target.contains("/sandboxes/") {
            let (suspended, ready) = if patched {
                ("False", "True")
            } else {
                (suspended, "False")
            };
            return ok(&json!({
                "metadata": {"name": "warm-1"},
                "spec": {"podTemplate": {"metadata": {"annotations":
                    {"podsnapshot.gke.io/ps-name": "snap-1"}}}},
                "status": {"podIPs": [{"ip": "10.0.0.7"}], "conditions": [
                    {"type": "Suspended", "status": suspended},
                    {"type": "Ready", "status": ready}]},
            }));
        }
        ok(&json!({"metadata": {"name": "snap-1"}}))
    })
    .await
}

#[tokio::test]
async fn restoring_names_the_snapshot_in_the_claim_and_resumes_the_sandbox() {
    let fake = restorable("True", "restored from snap-1").await;
    let client = client(fake.address).await;
    let ready = client.restore(&ready_claim(), "snap-1", LIMIT).await;
    assert_eq!(ready.expect("restored").pod_ips.len(), 1);
    let requests = fake.requests();
    let patches: Vec<Value> = requests
        .iter()
        .filter(|r| r.method == "PATCH")
        .map(Recorded::json)
        .collect();
    assert_eq!(
        patches,
        [
            json!({"spec": {"additionalPodMetadata": {"annotations":
                {"podsnapshot.gke.io/ps-name": "snap-1"}}}}),
            json!({"spec": {"operatingMode": "Running"}}),
        ]
    );
}

#[tokio::test]
async fn a_pod_that_was_started_from_another_snapshot_is_an_error_at_once() {
    let fake = restorable("True", "restored from snap-0").await;
    let client = client(fake.address).await;
    let error = client.restore(&ready_claim(), "snap-1", LIMIT).await;
    assert!(
        matches!(&error, Err(RestoreError::Snapshot(ManageError::Failed { message, .. }))
            if message == "restored from snap-0"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_running_sandbox_is_not_restored() {
    let fake = restorable("False", "").await;
    let client = client(fake.address).await;
    let error = client.restore(&ready_claim(), "snap-1", LIMIT).await;
    assert!(matches!(error, Err(RestoreError::Running { .. })));
    assert!(fake.requests().iter().all(|r| r.method != "PATCH"));
}

#[tokio::test]
async fn the_agent_of_a_sandbox_is_asked_once() {
    let runtime =
        Fake::start(|_| ok(&json!({"stdout": "done", "stderr": "", "exit_code": 0}))).await;
    let api = api_server().await;
    let client = client(api.address).await;
    let mode = ConnectionMode::Direct(connect::Direct {
        url: runtime.url(),
        ..connect::Direct::default()
    });
    let sandbox = client.connect(&ready_claim(), &mode).await.expect("there");
    let query = AgentQuery::new("open a page").timeout(LIMIT);
    let result = sandbox.agent(query).await.expect("answered");
    assert_eq!(result.stdout, "done");
    let [request]: [Recorded; 1] = runtime.requests().try_into().expect("one request");
    assert_eq!(request.target, "/agent");
    assert_eq!(request.json(), json!({"query": "open a page"}));
}
