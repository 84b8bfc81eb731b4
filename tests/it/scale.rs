//! Many sandboxes at once: what a client holds open for them. That is one connection for watches,
//! eight for requests, and the one over which the API server was asked what it serves.

use std::time::Duration;

use sandbench::client::{ClaimSource, Client, CreateRequest};
use serde_json::json;
use tokio::task::JoinSet;

use crate::cluster::{Running, client_of};
use crate::program::Place;

const MANY: usize = 1000;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_creates_share_one_watch_and_few_connections() {
    let place = Place::new();
    let running = Running::start(&place).await;
    running.pool("p", 0, json!({})).await;
    let client = client_of(&running, |builder| builder.run_id("scale-1")).await;
    let mut creating = JoinSet::new();
    for _ in 0..MANY {
        creating.spawn(one(client.clone()));
    }
    let (mut watches, mut connections) = (0, 0);
    for done in 1..=MANY {
        creating.join_next().await.unwrap().unwrap();
        watches = watches.max(running.cluster.open_watches());
        connections = connections.max(client.open_connections());
        if done == MANY / 2 {
            println!("{done} are ready: {watches} watches, {connections} connections");
        }
    }
    println!("{MANY} creates: at most {watches} watches, {connections} connections");
    assert_eq!(watches, 1, "one for all claims");
    assert!(
        connections <= 10,
        "{connections} connections to the API server"
    );
    assert_eq!(client.delete_claims_of_run().await.unwrap(), MANY);
    client.close().await;
    assert_eq!(client.open_connections(), 0);
    assert!(running.cluster.shutdown().await.is_empty());
}

/// Creates a claim and waits until it is ready.
async fn one(client: Client) {
    let request = CreateRequest::new(ClaimSource::WarmPool("p".to_owned()));
    let claim = client.create(request).await.unwrap();
    claim.wait_ready(Duration::from_secs(120)).await.unwrap();
}
