//! Suspending, resuming, and finding a sandbox again whose Pod was replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::calls::ready_claim;
use super::fake::{
    Act, Fake, Recorded, answer, chunk, client, discovery, event, ok, status, stream_head,
};
use crate::client::connect::{self, ConnectionMode};
use crate::client::{CallError, ReadyError, ReconnectError, Sandbox, SuspendError};

const LIMIT: Duration = Duration::from_secs(20);
const SANDBOX: &str = "/apis/agents.x-k8s.io/v1beta1/namespaces/default/sandboxes/warm-1";

fn sandbox(generation: i64, ip: &str, conditions: &Value) -> Value {
    json!({
        "metadata": {"name": "warm-1", "uid": "u", "resourceVersion": "5", "generation": generation},
        "status": {"conditions": conditions, "podIPs": [{"ip": ip}]},
    })
}

fn running(generation: i64) -> Value {
    json!([{"type": "Suspended", "status": "False", "observedGeneration": generation},
        {"type": "Ready", "status": "True", "observedGeneration": generation}])
}

fn suspended(generation: i64) -> Value {
    json!([{"type": "Suspended", "status": "True", "observedGeneration": generation},
        {"type": "Ready", "status": "False", "reason": "SandboxSuspended",
            "observedGeneration": generation}])
}

/// Answers a patch with `before`, and shows `after` on the watch.
async fn cluster(before: Value, after: Value) -> Fake {
    Fake::start(move |request| {
        if let Some(found) = discovery(request) {
            return found;
        }
        if request.is_watch() {
            let change = chunk(&event("MODIFIED", &after));
            return vec![stream_head(), change, Act::Hang];
        }
        ok(&before)
    })
    .await
}

fn patches(fake: &Fake) -> Vec<Recorded> {
    let mut patches = fake.requests();
    patches.retain(|request| request.method == "PATCH");
    patches
}

#[tokio::test]
async fn suspending_is_one_patch_and_a_watch_until_the_condition_says_so() {
    let before = sandbox(2, "10.0.0.1", &running(1));
    let mut after = sandbox(2, "", &suspended(2));
    after["status"]["podIPs"] = json!([]);
    let fake = cluster(before, after).await;
    let client = client(fake.address).await;
    let details = client.suspend(&ready_claim(), LIMIT).await.expect("done");
    assert!(details.is_suspended && details.pod_ips.is_empty());
    let [patch]: [Recorded; 1] = patches(&fake).try_into().expect("one patch");
    assert_eq!(patch.target, SANDBOX);
    assert_eq!(
        patch.header("content-type"),
        Some("application/merge-patch+json")
    );
    assert_eq!(
        patch.json(),
        json!({"spec": {"operatingMode": "Suspended"}})
    );
}

#[tokio::test]
async fn resuming_gives_the_addresses_of_the_new_pod() {
    let before = sandbox(3, "", &suspended(2));
    let after = sandbox(3, "10.0.0.2", &running(3));
    let fake = cluster(before, after).await;
    let client = client(fake.address).await;
    let ready = client.resume(&ready_claim(), LIMIT).await.expect("done");
    assert_eq!(
        ready.pod_ips,
        ["10.0.0.2".parse::<std::net::IpAddr>().expect("an address")]
    );
    assert_eq!(ready.claim_uid, ready_claim().claim_uid);
    let patch = patches(&fake).pop().expect("sent");
    assert_eq!(patch.json(), json!({"spec": {"operatingMode": "Running"}}));
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_that_stays_as_it_is_ends_in_an_error_that_says_what_was_seen() {
    let same = sandbox(2, "10.0.0.1", &running(1));
    let fake = cluster(same.clone(), same).await;
    let client = client(fake.address).await;
    let error = client.suspend(&ready_claim(), LIMIT).await;
    let error = error.expect_err("never");
    assert!(matches!(&error, SuspendError::Timeout { last, .. } if last == "Suspended=False"));
}

#[tokio::test]
async fn a_sandbox_that_does_not_exist_cannot_be_suspended() {
    let fake = Fake::start(|request| {
        discovery(request).unwrap_or_else(|| status(404, "NotFound", "none"))
    })
    .await;
    let client = client(fake.address).await;
    let error = client.suspend(&ready_claim(), LIMIT).await;
    assert!(matches!(error, Err(SuspendError::NotFound { .. })));
}

#[tokio::test]
async fn closing_the_client_ends_the_wait() {
    let waiting = Arc::new(Notify::new());
    let seen = Arc::clone(&waiting);
    let fake = Fake::start(move |request| {
        if let Some(found) = discovery(request) {
            return found;
        }
        if request.is_watch() {
            seen.notify_one();
            return vec![stream_head(), Act::Hang];
        }
        ok(&sandbox(2, "10.0.0.1", &running(1)))
    })
    .await;
    let client = client(fake.address).await;
    let claim = ready_claim();
    let (result, ()) = tokio::join!(client.suspend(&claim, LIMIT), async {
        waiting.notified().await;
        client.close().await;
    });
    assert!(matches!(result, Err(SuspendError::Closed { .. })));
}

async fn through(router: &Fake, api: &Fake) -> (crate::client::Client, Sandbox) {
    let client = client(api.address).await;
    let mode = ConnectionMode::Direct(connect::Direct {
        url: router.url(),
        ..connect::Direct::default()
    });
    let sandbox = client.connect(&ready_claim(), &mode).await;
    (client, sandbox.expect("connected"))
}

/// The addresses that a router was told.
fn told(router: &Fake) -> Vec<String> {
    let requests = router.requests();
    let told = requests.iter().filter_map(|r| r.header("x-sandbox-pod-ip"));
    told.map(str::to_owned).collect()
}

#[tokio::test]
async fn after_a_failure_that_a_new_pod_would_explain_the_address_is_asked_for_again() {
    let first = AtomicBool::new(true);
    let router = Fake::start(move |_| {
        if first.swap(false, Ordering::Relaxed) {
            return answer("502 Bad Gateway", "");
        }
        ok(&json!({"exists": true}))
    })
    .await;
    let api = cluster(sandbox(1, "127.0.0.9", &running(1)), Value::Null).await;
    let (_client, sandbox) = through(&router, &api).await;
    sandbox.files().exists("a").await.expect_err("502");
    sandbox.files().exists("a").await.expect("found again");
    sandbox.files().exists("a").await.expect("still there");
    assert_eq!(told(&router), ["127.0.0.1", "127.0.0.9", "127.0.0.9"]);
    let asked = api
        .requests()
        .iter()
        .filter(|r| r.target == SANDBOX)
        .count();
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn a_handle_can_be_told_to_look_again_but_not_after_its_end() {
    let router = Fake::start(|_| ok(&json!({"exists": true}))).await;
    let api = cluster(sandbox(1, "127.0.0.9", &running(1)), Value::Null).await;
    let (_client, sandbox) = through(&router, &api).await;
    sandbox.refresh().await.expect("found");
    sandbox.files().exists("a").await.expect("answered");
    assert_eq!(told(&router), ["127.0.0.9"]);
    sandbox.disconnect().await;
    sandbox.refresh().await.expect_err("over");
}

#[tokio::test]
async fn a_disconnected_handle_is_followed_by_a_new_one_for_the_same_claim() {
    let router = Fake::start(|_| ok(&json!({"exists": true}))).await;
    let uid = Arc::new(std::sync::Mutex::new("uid-a"));
    let shown = Arc::clone(&uid);
    let api = Fake::start(move |request| {
        if let Some(found) = discovery(request) {
            return found;
        }
        if request.target == SANDBOX {
            return ok(&sandbox(1, "127.0.0.9", &running(1)));
        }
        let uid = *shown.lock().expect("not poisoned");
        ok(&json!({"metadata": {"name": "a", "uid": uid}}))
    })
    .await;
    let (client, sandbox) = through(&router, &api).await;
    sandbox.disconnect().await;
    assert!(matches!(
        sandbox.files().exists("a").await,
        Err(CallError::Closed { .. })
    ));
    let again = client.reconnect(&sandbox).await.expect("claim kept");
    again.files().exists("a").await.expect("answered");
    assert_eq!(told(&router), ["127.0.0.9"]);
    assert!(api.requests().iter().all(|r| r.method != "DELETE"));

    *uid.lock().expect("not poisoned") = "another";
    let error = client.reconnect(&sandbox).await;
    assert!(matches!(
        error,
        Err(ReconnectError::Claim(ReadyError::Replaced { .. }))
    ));
}

#[tokio::test]
async fn a_suspended_sandbox_cannot_be_reconnected_to_yet() {
    let router = Fake::start(|_| ok(&json!({"exists": true}))).await;
    let api = Fake::start(|request| {
        if let Some(found) = discovery(request) {
            return found;
        }
        if request.target == SANDBOX {
            return ok(&sandbox(1, "", &suspended(1)));
        }
        ok(&json!({"metadata": {"name": "a", "uid": "uid-a"}}))
    })
    .await;
    let (client, sandbox) = through(&router, &api).await;
    let error = client.reconnect(&sandbox).await.expect_err("suspended");
    assert!(
        matches!(&error, ReconnectError::NotReady { reason, .. } if reason == "SandboxSuspended")
    );
}
