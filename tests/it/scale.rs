//! Many sandboxes at once: what a client holds open for them. That is one connection for watches,
//! eight for requests, and the one over which the API server was asked what it serves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sandbench::client::{ApiVersion, ClaimSource, Client, CreateRequest};
use sandbench::loopback::{ClusterConfig, ServedVersions};
use serde_json::json;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::cluster::{Running, client_of};
use crate::program::Place;

const MANY: usize = 1000;

/// The most that was open at any of many moments.
#[derive(Debug, Default)]
struct Most {
    watches: AtomicUsize,
    connections: AtomicUsize,
}

impl Most {
    fn look(&self, running: &Running, client: &Client) {
        let watches = running.cluster.open_watches();
        self.watches.fetch_max(watches, Ordering::Relaxed);
        let connections = client.open_connections();
        self.connections.fetch_max(connections, Ordering::Relaxed);
    }
}

/// Creates a claim, meets all others, and waits until it is ready.
async fn one(client: Client, waiting: Arc<Barrier>) {
    let request = CreateRequest::new(ClaimSource::WarmPool("p".to_owned()));
    let claim = client.create(request).await.unwrap();
    waiting.wait().await;
    claim.wait_ready(Duration::from_mins(4)).await.unwrap();
}

/// All creations under way at once; then all claims wait at once, as the controller serves none; then
/// all get ready.
async fn a_thousand_creates(served: ServedVersions, spoken: ApiVersion) -> String {
    let place = Place::new();
    let config = ClusterConfig {
        served,
        faults: vec![
            "controller.claim=reason(SandboxCreatePending)"
                .parse()
                .unwrap(),
        ],
        ..ClusterConfig::default()
    };
    let running = Running::start_with(&place, config).await;
    running.pool_in(spoken.as_str(), "p", 0, json!({})).await;
    let client = client_of(&running, |builder| builder.run_id("scale-1")).await;
    assert_eq!(client.api_version(), spoken);
    let most = Most::default();
    let waiting = Arc::new(Barrier::new(MANY + 1));
    let mut creating = JoinSet::new();
    for _ in 0..MANY {
        creating.spawn(one(client.clone(), Arc::clone(&waiting)));
    }
    tokio::select! {
        _ = waiting.wait() => {}
        () = watch(&most, &running, &client) => {}
    }
    // Each of them now follows its claim.
    for _ in 0..100 {
        most.look(&running, &client);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(client.list_claims_of_run().await.unwrap().len(), MANY);
    assert!(creating.try_join_next().is_none(), "none is ready");
    running.cluster.set_faults(Vec::new());
    while let Some(done) = creating.join_next().await {
        done.unwrap();
        most.look(&running, &client);
    }
    let (watches, connections) = (most.watches.into_inner(), most.connections.into_inner());
    assert_eq!(watches, 1, "one for all claims");
    assert!(
        (2..=10).contains(&connections),
        "{connections} connections to the API server"
    );
    assert_eq!(client.delete_claims_of_run().await.unwrap(), MANY);
    client.close().await;
    assert_eq!(client.open_connections(), 0);
    assert!(running.cluster.shutdown().await.is_empty());
    format!("{MANY} creates on {served}: at most {watches} watches, {connections} connections")
}

/// Looks again and again.
async fn watch(most: &Most, running: &Running, client: &Client) {
    loop {
        most.look(running, client);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_creates_share_one_watch_and_few_connections() {
    let held = a_thousand_creates(ServedVersions::V1Beta1, ApiVersion::V1Beta1).await;
    println!("{held}");
}

#[tokio::test(flavor = "multi_thread")]
async fn so_they_do_on_an_old_server() {
    let held = a_thousand_creates(ServedVersions::V1Alpha1, ApiVersion::V1Alpha1).await;
    println!("{held}");
}
