//! Deletions: what is sent, and how their end is waited for.

use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::sync::Notify;

use super::fake::{
    Act, CLAIMS, Fake, LONG, chunk, claim, client, discovery, event, list, ok, status, stream_head,
    watches,
};
use crate::client::Deleted;

#[tokio::test]
async fn deleting_pins_the_uid_and_takes_404_for_done() {
    let fake = Fake::start(|request| match request.method.as_str() {
        "DELETE" if request.target.ends_with("/a") => ok(&json!({"kind": "Status"})),
        "DELETE" if request.target.ends_with("/c") => status(409, "Conflict", "uid"),
        "DELETE" => status(404, "NotFound", "none"),
        _ => discovery(request).unwrap_or_else(|| vec![Act::Hang]),
    })
    .await;
    let client = client(fake.address).await;
    let deleted = client.delete("a", Some("u")).await.expect("accepted");
    assert_eq!(deleted, Deleted::Accepted);
    let request = fake.requests().pop().expect("sent");
    assert_eq!(request.target, format!("{CLAIMS}/a"));
    assert_eq!(request.json()["preconditions"]["uid"], "u");
    let deleted = client.delete("b", None).await.expect("gone");
    assert_eq!(deleted, Deleted::NotFound);
    assert!(fake.requests().pop().is_some_and(|r| r.body.is_empty()));
    assert!(client.delete("c", Some("u")).await.is_err());
}

#[tokio::test]
async fn all_claims_of_the_run_are_deleted_one_by_one_if_need_be() {
    for (code, reason) in [(403, "Forbidden"), (405, "MethodNotAllowed")] {
        let fake = Fake::start(move |request| {
            if let Some(found) = discovery(request) {
                return found;
            }
            match request.method.as_str() {
                "DELETE" if request.target.contains('?') => status(code, reason, "no"),
                "DELETE" => ok(&json!({})),
                _ => list(9, &[claim("a", 1, &json!({})), claim("b", 2, &json!({}))]),
            }
        })
        .await;
        let client = client(fake.address).await;
        assert_eq!(client.delete_claims_of_run().await.expect("deleted"), 2);
        let deleted: Vec<String> = fake
            .requests()
            .into_iter()
            .filter(|r| r.method == "DELETE")
            .map(|r| r.target)
            .collect();
        assert_eq!(
            deleted,
            [
                format!("{CLAIMS}?labelSelector=sandbench.dev%2Frun-id%3Drun-1"),
                format!("{CLAIMS}/a"),
                format!("{CLAIMS}/b"),
            ]
        );
    }
}

#[tokio::test]
async fn waiting_for_the_end_covers_claim_sandbox_and_pod() {
    let sandboxes = "/apis/agents.x-k8s.io/v1beta1/namespaces/default/sandboxes";
    let asked: Mutex<Vec<String>> = Mutex::default();
    let fake = Fake::start(move |request| {
        if let Some(found) = discovery(request) {
            return found;
        }
        let mut asked = asked.lock().expect("not poisoned");
        let times = asked.iter().filter(|target| **target == request.target).count();
        asked.push(request.target.clone());
        let object = |name: &str, uid: &str| {
            json!({"metadata": {"name": name, "uid": uid, "resourceVersion": "1"}})
        };
        let target = request.target.as_str();
        if target.starts_with(&format!("{sandboxes}?")) {
            return list(9, &[object("warm-1", "s")]);
        }
        match (target.rsplit('/').next(), times) {
            (Some("a"), 0) if target.starts_with(CLAIMS) => ok(&claim("a", 1, &json!({}))),
            (Some("warm-1"), 0 | 1) => ok(&object("warm-1", "s")),
            _ => status(404, "NotFound", "none"),
        }
    })
    .await;
    let client = client(fake.address).await;
    client.wait_gone("a", None, LONG).await.expect("gone");
    let targets: Vec<String> = fake.requests().into_iter().map(|r| r.target).collect();
    for wanted in [
        format!("{sandboxes}?limit=500&labelSelector=agents.x-k8s.io%2Fclaim-uid%3Duid-a"),
        format!("{sandboxes}/warm-1"),
        "/api/v1/namespaces/default/pods/warm-1".to_owned(),
    ] {
        assert!(targets.contains(&wanted), "{wanted} not in {targets:?}");
    }
}

#[tokio::test]
async fn a_deletion_that_takes_long_is_watched() {
    let released = Arc::new(Notify::new());
    let release = Arc::clone(&released);
    let fake = Fake::start(move |request| {
        if let Some(found) = discovery(request) {
            return found;
        }
        if request.is_watch() {
            let gone = event("DELETED", &claim("a", 2, &json!({})));
            return vec![
                stream_head(),
                Act::Wait(Arc::clone(&released)),
                chunk(&gone),
                Act::Hang,
            ];
        }
        match request.target.as_str() {
            target if target == format!("{CLAIMS}/a") => ok(&claim("a", 1, &json!({}))),
            target if target.contains('?') => list(9, &[]),
            _ => status(404, "NotFound", "none"),
        }
    })
    .await;
    let client = client(fake.address).await;
    release.notify_one();
    client
        .wait_gone("a", Some("uid-a"), LONG)
        .await
        .expect("gone");
    assert_eq!(watches(&fake).len(), 1);
}
