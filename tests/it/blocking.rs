//! The client in a program that is not asynchronous.

use sandbench::client::connect::InClusterPodIp;
use sandbench::client::{Blocking, ClaimSource, ClientBuilder, ConnectionMode, CreateRequest};
use serde_json::json;

use crate::cluster::{Running, builder_of};
use crate::program::Place;

/// Such a program; it neither closes its scope nor its client.
fn program(builder: ClientBuilder) -> String {
    let blocking = Blocking::build(builder).unwrap();
    let scope = blocking.client().scope();
    let request = CreateRequest::new(ClaimSource::WarmPool("p".to_owned()));
    let mode = ConnectionMode::InClusterPodIp(InClusterPodIp::default());
    let sandbox = blocking.wait(scope.open(request, &mode)).unwrap();
    let result = blocking.wait(sandbox.commands().run("echo hello"));
    result.unwrap().stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_without_asynchronous_code_runs_a_command_and_leaves_nothing() {
    let place = Place::new();
    let running = Running::start(&place).await;
    running.pool("p", 1, json!({})).await;
    let builder = builder_of(&running).await.run_id("blocking-1");
    let thread = std::thread::spawn(|| program(builder));
    let ended = tokio::task::spawn_blocking(|| thread.join());
    assert_eq!(ended.await.unwrap().unwrap(), "hello\n");
    assert_eq!(running.cluster.leftovers().claims, 0);
    assert!(running.cluster.shutdown().await.is_empty());
}
