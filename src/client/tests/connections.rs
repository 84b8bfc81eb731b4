//! Connections to sandboxes: which are used again, and when they are closed.

use std::time::Duration;

use super::calls::{by_pod_ip, direct, executed, executed_and_closed, until_open};
use super::fake::Fake;

#[tokio::test]
async fn one_connection_serves_calls_one_after_the_other() {
    let fake = Fake::start(|_| executed()).await;
    let target = direct(&fake, "").await;
    let (client, sandbox) = (&target.client, &target.sandbox);
    for _ in 0..5 {
        sandbox.commands().run("true").await.expect("ran");
    }
    assert!(fake.requests().iter().all(|r| r.connection == 0));
    assert_eq!(client.open_connections(), 2);
    client.close().await;
    assert_eq!(client.open_connections(), 0);
}

#[tokio::test]
async fn a_connection_that_the_peer_closed_is_not_used_again() {
    let fake = Fake::start(|_| executed_and_closed()).await;
    let target = direct(&fake, "").await;
    let (client, sandbox) = (&target.client, &target.sandbox);
    for connection in 0..3 {
        sandbox.commands().run("true").await.expect("ran");
        assert_eq!(fake.requests().pop().expect("sent").connection, connection);
        until_open(client, 1).await;
    }
}

/// Lets time pass without waiting for it.
async fn later(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_connection_that_is_too_old_for_a_command_gives_way_to_the_new_one() {
    let fake = Fake::start(|_| executed()).await;
    let target = direct(&fake, "").await;
    for connection in 0..4 {
        target.sandbox.commands().run("true").await.expect("ran");
        assert_eq!(fake.requests().pop().expect("sent").connection, connection);
        until_open(&target.client, 2).await;
        later(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn a_connection_to_a_pod_is_closed_when_nobody_uses_it() {
    let fake = Fake::start(|_| executed()).await;
    let target = by_pod_ip(&fake).await;
    let (client, sandbox) = (&target.client, &target.sandbox);
    for connection in 0..3 {
        assert!(!sandbox.files().exists("a").await.expect("answered"));
        assert_eq!(fake.requests().pop().expect("sent").connection, connection);
        until_open(client, 2).await;
        later(Duration::from_secs(7)).await;
        until_open(client, 1).await;
    }
}
