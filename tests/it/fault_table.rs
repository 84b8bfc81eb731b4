//! Every fault that the loopback cluster plays, and what our client makes of it: what the caller
//! sees, how often the fault was met, and that nothing is left behind.

use std::time::Duration;

use sandbench::client::connect::{Direct, InClusterPodIp, Tunnel};
use sandbench::client::{ClaimSource, Client, ConnectionMode, CreateRequest};
use sandbench::loopback::ClusterConfig;
use serde_json::json;

use crate::cluster::{Running, client_of};
use crate::program::Place;

/// What the caller of a whole life sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sees {
    /// Nothing: it goes well in spite of the fault.
    Success,
    /// An error with this text in it or in its causes.
    Error(&'static str),
}

use Sees::{Error, Success};

/// The fault, the way to the sandbox, and what comes of it.
const TABLE: &[(&str, &str, Sees)] = &[
    ("api.create.sandboxclaims=429(1s)*1", "pod", Error("429")),
    ("api.create.sandboxclaims=409*1", "pod", Error("409")),
    ("api.create.sandboxclaims=500*1", "pod", Error("500")),
    ("api.create.sandboxclaims=503*1", "pod", Error("503")),
    ("api.create.sandboxclaims=lost*1", "pod", Success),
    ("api.create.sandboxclaims=delay(300ms)*1", "pod", Success),
    ("api.create.sandboxclaims=garbage*1", "pod", Success),
    ("api.watch.sandboxclaims=drop(1)*3", "pod", Success),
    ("api.watch.sandboxclaims=gone*2", "pod", Success),
    ("api.watch.sandboxclaims=split", "pod", Success),
    ("api.watch.sandboxclaims=stale(200ms)", "pod", Success),
    ("api.watch.sandboxclaims=500*1", "pod", Success),
    ("api.watch.sandboxclaims=reset*2", "pod", Success),
    ("api.watch.sandboxclaims=half-open(0)*1", "pod", Success),
    ("api.list.sandboxclaims=503*1", "pod", Success),
    ("api.get.portforward=500*1", "tunnel", Error("500")),
    (
        "api.get.portforward=reset*1",
        "tunnel",
        Error("port-forward"),
    ),
    ("router.execute=502*1", "router", Error("502")),
    ("router.execute=504*1", "router", Error("504")),
    ("router.execute=reset*1", "router", Error("connection")),
    ("runtime.execute=stall*1", "pod", Error("within")),
    ("runtime.execute=truncated*1", "pod", Error("")),
    ("runtime.execute=garbage*1", "pod", Error("not understood")),
    ("runtime.execute=500*1", "pod", Error("500")),
    ("runtime.execute=lost*1", "pod", Error("connection")),
];

async fn client(running: &Running, run: &str) -> Client {
    client_of(running, |builder| {
        builder.request_timeout(Duration::from_secs(2)).run_id(run)
    })
    .await
}

/// A whole life: create, wait, connect, execute; the error with all its causes.
async fn life(client: &Client, mode: &ConnectionMode) -> Result<(), String> {
    let source = ClaimSource::WarmPool("p".to_owned());
    let claim = client
        .create(CreateRequest::new(source))
        .await
        .map_err(chain)?;
    let ready = claim
        .wait_ready(Duration::from_secs(30))
        .await
        .map_err(chain)?;
    let sandbox = client.connect(&ready, mode).await.map_err(chain)?;
    let result = sandbox.commands().run("echo hello").await.map_err(chain)?;
    assert_eq!(
        result.stdout, "hello\n",
        "a fault never falsifies an answer"
    );
    Ok(())
}

fn chain(error: impl std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let texts = std::iter::once(error.to_string()).chain(causes.map(ToString::to_string));
    texts.collect::<Vec<_>>().join("; ")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_is_survived_or_told_and_leaves_nothing() {
    let place = Place::new();
    // Adoption takes a while, so that every claim is waited for.
    let mut config = ClusterConfig::default();
    config.delays.adoption = "100ms".parse().unwrap();
    let running = Running::start_with(&place, config).await;
    running.pool("p", 3, json!({})).await;
    let mut wrong = Vec::new();
    println!(
        "{:<44} {:<7} {:>6} {:>5}  the caller sees",
        "fault", "way", "played", "left"
    );
    for (number, (text, way, sees)) in TABLE.iter().enumerate() {
        let mode = match *way {
            "tunnel" => ConnectionMode::Tunnel(Tunnel::default()),
            "router" => ConnectionMode::Direct(Direct {
                url: format!("http://{}", running.cluster.router()),
                ..Direct::default()
            }),
            _ => ConnectionMode::InClusterPodIp(InClusterPodIp::default()),
        };
        let client = client(&running, &format!("fault-{number}")).await;
        running.cluster.set_faults(vec![text.parse().unwrap()]);
        let seen = life(&client, &mode).await;
        let played = running.cluster.faults_played()[0].1;
        running.cluster.set_faults(Vec::new());
        client.delete_claims_of_run().await.unwrap();
        let left = client.list_claims_of_run().await.unwrap().len();
        client.close().await;
        let open = client.open_connections() + client.open_tunnels();
        let as_expected = match (&seen, sees) {
            (Ok(()), Success) => true,
            (Err(error), Error(part)) => error.contains(part),
            (Ok(()), Error(_)) | (Err(_), Success) => false,
        };
        let shown = seen.err().unwrap_or_else(|| "success".to_owned());
        let row = format!(
            "{text:<44} {way:<7} {played:>6} {:>5}  {shown}",
            left + open
        );
        println!("{row}");
        if !as_expected || played == 0 || left + open > 0 {
            wrong.push(row);
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(running.cluster.shutdown().await.is_empty());
}
