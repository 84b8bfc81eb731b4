//! Claims of others: listed page by page, deleted by label, asked for their state.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::fake::{Act, CLAIMS, Fake, answer, client, discovery, ok, request, status};
use crate::client::{DeleteAndWaitError, DeleteError, Deleted, ReadyClaim, SandboxState};

const SANDBOX: &str = "/apis/agents.x-k8s.io/v1beta1/namespaces/default/sandboxes/a";

fn item(name: &str) -> Value {
    json!({"metadata": {"name": name, "uid": format!("uid-{name}")}})
}

/// An API server with claims on two pages, of which `b` may not be deleted and `c` was replaced.
async fn two_pages() -> Fake {
    Fake::start(|request| {
        if let Some(found) = discovery(request) {
            return found;
        }
        let name = request.target.rsplit('/').next().unwrap_or_default();
        match (request.method.as_str(), name) {
            ("DELETE", "a") => ok(&json!({})),
            ("DELETE", "b") => status(403, "Forbidden", "no"),
            ("DELETE", "c") => status(409, "Conflict", "the UID differs"),
            ("GET", _) if request.query("continue") == Some("next%20one") => {
                ok(&json!({"metadata": {"resourceVersion": "9"}, "items": [item("c")]}))
            }
            ("GET", _) => ok(&json!({
                "metadata": {"resourceVersion": "9", "continue": "next one"},
                "items": [item("a"), item("b")],
            })),
            _ => vec![Act::Hang],
        }
    })
    .await
}

#[tokio::test]
async fn claims_come_page_by_page_and_only_those_that_match() {
    let fake = two_pages().await;
    let client = client(fake.address).await;
    let mut pages = client.claim_pages(Some("team in (a,b)"));
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await.expect("listed") {
        sizes.push(page.len());
    }
    assert_eq!(sizes, [2, 1]);
    let mut lists = fake.requests();
    lists.retain(|request| request.target.starts_with(&format!("{CLAIMS}?")));
    assert_eq!(lists.len(), 2);
    for list in &lists {
        assert_eq!(list.query("limit"), Some("500"));
        assert!(
            list.query("labelSelector")
                .is_some_and(|s| s.contains("team"))
        );
    }
    assert_eq!(client.list_claims(None).await.expect("listed").len(), 3);
    client.close().await;
}

#[tokio::test]
async fn deleting_many_tells_what_became_of_each() {
    let fake = two_pages().await;
    let client = client(fake.address).await;
    let outcomes = client.delete_claims("team=a").await.expect("listed");
    let names: Vec<&str> = outcomes.iter().map(|o| o.claim.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert!(matches!(outcomes[0].outcome, Ok(Deleted::Accepted)));
    assert!(matches!(outcomes[1].outcome, Err(DeleteError::Kube { .. })));
    assert!(matches!(
        outcomes[2].outcome,
        Err(DeleteError::Replaced { .. })
    ));
    let mut deletions = fake.requests();
    deletions.retain(|request| request.method == "DELETE");
    assert_eq!(deletions[0].json()["preconditions"]["uid"], "uid-a");
    client.close().await;
}

#[tokio::test]
async fn an_empty_selector_deletes_nothing() {
    let fake = two_pages().await;
    let client = client(fake.address).await;
    let error = client.delete_claims(" ").await.expect_err("too much");
    assert!(matches!(error, DeleteError::NoSelector), "{error}");
    assert!(fake.requests().iter().all(|r| r.method != "DELETE"));
    client.close().await;
}

#[tokio::test]
async fn a_refused_deletion_is_not_waited_for() {
    let fake = two_pages().await;
    let client = client(fake.address).await;
    let error = client
        .delete_and_wait("b", Some("uid-b"), Duration::from_secs(30))
        .await
        .expect_err("refused");
    assert!(matches!(error, DeleteAndWaitError::Delete(_)), "{error}");
    client.close().await;
}

/// Asks for the state of the sandbox `a` of a claim that is ready.
async fn state_of(sandbox: Option<Value>) -> SandboxState {
    let fake = Fake::start(move |request| {
        if let Some(found) = discovery(request) {
            return found;
        }
        match request.method.as_str() {
            "POST" => {
                let mut claim = request.json();
                claim["metadata"]["uid"] = json!("uid-a");
                claim["status"] = json!({
                    "conditions": [{"type": "Ready", "status": "True"}], "sandbox": {"name": "a"},
                });
                answer("201 Created", claim.to_string())
            }
            _ if request.target == SANDBOX => match &sandbox {
                Some(sandbox) => ok(sandbox),
                None => status(404, "NotFound", "none"),
            },
            _ => vec![Act::Hang],
        }
    })
    .await;
    let client = client(fake.address).await;
    let claim = client.create(request("a")).await.expect("created");
    let ready: ReadyClaim = claim
        .wait_ready(Duration::from_secs(30))
        .await
        .expect("ready");
    let state = client.status(&ready).await.expect("answered");
    client.close().await;
    state
}

#[tokio::test]
async fn a_ready_sandbox_tells_its_pod_addresses_and_service() {
    let state = state_of(Some(json!({
        "metadata": {"name": "a", "annotations": {"agents.x-k8s.io/pod-name": "pod-7"}},
        "status": {
            "conditions": [{"type": "Ready", "status": "True", "reason": "DependenciesReady"}],
            "podIPs": ["fd00::1", "10.0.0.5"], "serviceFQDN": "a.default.svc.cluster.local",
        },
    })))
    .await;
    assert!(matches!(state, SandboxState::Ready(_)));
    let details = state.details().expect("it exists");
    assert_eq!(details.pod_name, "pod-7");
    let addresses: Vec<IpAddr> = ["10.0.0.5", "fd00::1"]
        .map(|text| text.parse().expect("an address"))
        .to_vec();
    assert_eq!(details.pod_ips, addresses);
    assert_eq!(
        details.service_fqdn.as_deref(),
        Some("a.default.svc.cluster.local")
    );
    assert!(!details.is_suspended);
}

#[tokio::test]
async fn a_suspended_sandbox_is_not_ready_and_one_that_is_gone_is_not_found() {
    let state = state_of(Some(json!({
        "metadata": {"name": "a", "annotations": {"agents.x-k8s.io/pod-name": ""}},
        "status": {"conditions": [
            {"type": "Ready", "status": "False", "reason": "SandboxSuspended", "message": "off"},
            {"type": "Suspended", "status": "True"},
        ]},
    })))
    .await;
    assert!(matches!(state, SandboxState::NotReady(_)));
    let details = state.details().expect("it exists");
    assert_eq!(
        (details.reason.as_str(), details.message.as_str()),
        ("SandboxSuspended", "off")
    );
    assert_eq!(details.pod_name, "a");
    assert!(details.is_suspended && details.pod_ips.is_empty());
    assert_eq!(state_of(None).await, SandboxState::NotFound);
}
