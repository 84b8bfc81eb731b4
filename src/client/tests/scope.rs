//! Scopes: everything that was made in one is deleted, whatever happens to its user.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::sync::Notify;

use super::fake::{Act, Fake, claim, client, discovery, ok, request, status};
use crate::client::{ClaimSource, CreateRequest, DeleteError};

/// An API server that makes claims and deletes them; a creation waits for `go` if there is one.
async fn cluster(arrived: Arc<Notify>, go: Option<Arc<Notify>>) -> Fake {
    Fake::start(move |request| {
        if let Some(found) = discovery(request) {
            return found;
        }
        if request.method == "POST" {
            arrived.notify_one();
            let name = request.json()["metadata"]["name"].clone();
            let mut acts: Vec<Act> = go.iter().map(|go| Act::Wait(Arc::clone(go))).collect();
            acts.extend(ok(&claim(name.as_str().unwrap_or_default(), 1, &json!({}))));
            return acts;
        }
        if request.is_watch() {
            return vec![Act::Hang];
        }
        if request.method == "DELETE" {
            return ok(&json!({"kind": "Status", "status": "Success"}));
        }
        ok(&json!({"metadata": {"resourceVersion": "1"}, "items": []}))
    })
    .await
}

/// Method and last part of the path of what changed something.
fn changes(fake: &Fake) -> Vec<String> {
    let requests = fake.requests();
    let changes = requests.iter().filter(|r| r.method != "GET");
    changes
        .map(|r| format!("{} {}", r.method, r.target.rsplit('/').next().unwrap_or("")))
        .collect()
}

#[tokio::test]
async fn closing_a_scope_deletes_what_it_holds_and_not_what_was_kept() {
    let fake = cluster(Arc::default(), None).await;
    let client = client(fake.address).await;
    let scope = client.scope();
    scope.create(request("a")).await.expect("made");
    let kept = scope.create(request("b")).await.expect("made");
    scope.keep(&kept);
    scope.close().await.expect("deleted");
    assert_eq!(
        changes(&fake),
        ["POST sandboxclaims", "POST sandboxclaims", "DELETE a"]
    );
    let delete = fake.requests().pop().expect("sent");
    assert_eq!(delete.json()["preconditions"]["uid"], "uid-a");
}

#[tokio::test]
async fn dropping_a_scope_deletes_in_the_background_and_closing_the_client_waits_for_it() {
    let fake = cluster(Arc::default(), None).await;
    let client = client(fake.address).await;
    let scope = client.scope();
    scope.create(request("a")).await.expect("made");
    drop(scope);
    client.close().await;
    assert_eq!(changes(&fake), ["POST sandboxclaims", "DELETE a"]);
}

#[tokio::test]
async fn a_creation_that_is_cancelled_in_flight_is_finished_and_then_deleted() {
    let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let fake = cluster(Arc::clone(&arrived), Some(Arc::clone(&go))).await;
    let client = client(fake.address).await;
    let scope = client.scope();
    tokio::select! {
        _ = scope.create(request("a")) => panic!("the answer is held back"),
        () = arrived.notified() => {}
    }
    drop(scope);
    assert_eq!(changes(&fake), ["POST sandboxclaims"], "not overtaken");
    go.notify_one();
    client.close().await;
    assert_eq!(changes(&fake), ["POST sandboxclaims", "DELETE a"]);
}

#[tokio::test]
async fn closing_the_client_ends_scopes_that_are_still_open() {
    let fake = cluster(Arc::default(), None).await;
    let client = client(fake.address).await;
    let scope = client.scope();
    scope.create(request("a")).await.expect("made");
    client.close().await;
    assert_eq!(changes(&fake), ["POST sandboxclaims", "DELETE a"]);
    scope.close().await.expect("nothing left to do");
}

#[tokio::test]
async fn dropping_the_client_does_not_forget_what_is_owed() {
    let fake = cluster(Arc::default(), None).await;
    let client = client(fake.address).await;
    let scope = client.scope();
    scope.create(request("a")).await.expect("made");
    drop(client);
    scope.close().await.expect("deleted");
    assert_eq!(changes(&fake), ["POST sandboxclaims", "DELETE a"]);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_fails_is_tried_three_times_and_then_told() {
    let deletes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&deletes);
    let fake = Fake::start(move |request| {
        if let Some(found) = discovery(request) {
            return found;
        }
        match request.method.as_str() {
            "POST" => ok(&claim("a", 1, &json!({}))),
            "DELETE" => {
                counted.fetch_add(1, Ordering::Relaxed);
                status(403, "Forbidden", "no")
            }
            _ => vec![Act::Hang],
        }
    })
    .await;
    let client = client(fake.address).await;
    let scope = client.scope();
    scope.create(request("a")).await.expect("made");
    let error = scope.close().await.expect_err("forbidden");
    assert!(matches!(error, DeleteError::Kube { .. }), "{error:?}");
    assert_eq!(deletes.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_refused_creation_leaves_nothing_to_delete() {
    let fake = Fake::start(|request| {
        discovery(request).unwrap_or_else(|| match request.method.as_str() {
            "POST" => status(422, "Invalid", "no"),
            _ => vec![Act::Hang],
        })
    })
    .await;
    let client = client(fake.address).await;
    let scope = client.scope();
    let request = CreateRequest::new(ClaimSource::WarmPool("pool".to_owned()));
    scope.create(request).await.expect_err("refused");
    scope.close().await.expect("nothing to do");
    assert_eq!(changes(&fake), ["POST sandboxclaims"]);
}

#[tokio::test]
async fn a_scope_tells_what_it_holds() {
    let fake = cluster(Arc::default(), None).await;
    let client = client(fake.address).await;
    let scope = client.scope();
    assert!(scope.claims().is_empty());
    scope.create(request("b")).await.expect("made");
    let kept = scope.create(request("a")).await.expect("made");
    assert_eq!(scope.claims(), ["a", "b"]);
    scope.keep(&kept);
    assert_eq!(scope.claims(), ["b"]);
    scope.close().await.expect("deleted");
}

#[tokio::test]
async fn work_that_is_done_or_interrupted_is_followed_by_the_deletions() {
    for interrupted in [false, true] {
        let fake = cluster(Arc::default(), None).await;
        let client = client(fake.address).await;
        let signal = Notify::new();
        let work = async {
            let scope = client.scope();
            scope.create(request("a")).await.expect("made");
            if interrupted {
                signal.notify_one();
                std::future::pending::<()>().await;
            }
            7
        };
        let done = client.close_after(work, signal.notified()).await;
        assert_eq!(done, (!interrupted).then_some(7));
        assert_eq!(changes(&fake), ["POST sandboxclaims", "DELETE a"]);
        assert_eq!(client.open_connections(), 0);
    }
}
