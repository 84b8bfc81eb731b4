//! Every fault that the loopback cluster plays, and what our client makes of it: what the caller
//! sees, how often the fault was met, and that nothing is left behind.

use std::time::Duration;

use sandbench::client::connect::{Direct, InClusterPodIp, Tunnel};
use sandbench::client::{ClaimSource, Client, ConnectionMode, CreateRequest, RetryPolicy};
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

/// The fault, the way to the sandbox, what comes of it if nothing is repeated, and what with up to
/// four attempts: commands and creations are not repeated then either, unless they were surely not
/// carried out.
const TABLE: &[(&str, &str, Sees, Sees)] = &[
    (
        "api.create.sandboxclaims=429(1s)*1",
        "pod",
        Error("429"),
        Success,
    ),
    (
        "api.create.sandboxclaims=409*1",
        "pod",
        Error("409"),
        Error("409"),
    ),
    (
        "api.create.sandboxclaims=500*1",
        "pod",
        Error("500"),
        Error("500"),
    ),
    (
        "api.create.sandboxclaims=503*1",
        "pod",
        Error("503"),
        Error("503"),
    ),
    ("api.create.sandboxclaims=lost*1", "pod", Success, Success),
    (
        "api.create.sandboxclaims=delay(300ms)*1",
        "pod",
        Success,
        Success,
    ),
    (
        "api.create.sandboxclaims=garbage*1",
        "pod",
        Success,
        Success,
    ),
    ("api.watch.sandboxclaims=drop(1)*3", "pod", Success, Success),
    ("api.watch.sandboxclaims=gone*2", "pod", Success, Success),
    ("api.watch.sandboxclaims=split", "pod", Success, Success),
    (
        "api.watch.sandboxclaims=stale(200ms)",
        "pod",
        Success,
        Success,
    ),
    ("api.watch.sandboxclaims=500*1", "pod", Success, Success),
    ("api.watch.sandboxclaims=reset*2", "pod", Success, Success),
    (
        "api.watch.sandboxclaims=half-open(0)*1",
        "pod",
        Success,
        Success,
    ),
    ("api.list.sandboxclaims=503*1", "pod", Success, Success),
    (
        "controller.claim=reason(AdoptionConflict)*2",
        "pod",
        Success,
        Success,
    ),
    (
        "controller.claim=reason(AdoptionPending)*2",
        "pod",
        Success,
        Success,
    ),
    (
        "controller.claim=reason(SandboxCreatePending)*2",
        "pod",
        Success,
        Success,
    ),
    (
        "controller.claim=reason(SandboxMissing)*2",
        "pod",
        Success,
        Success,
    ),
    (
        "controller.claim=reason(MultiplePods)*2",
        "pod",
        Success,
        Success,
    ),
    (
        "controller.claim=reason(InvalidConfiguration)*2",
        "pod",
        Error("InvalidConfiguration"),
        Error("InvalidConfiguration"),
    ),
    (
        "api.get.portforward=500*1",
        "tunnel",
        Error("500"),
        Error("500"),
    ),
    (
        "api.get.portforward=reset*1",
        "tunnel",
        Error("port-forward"),
        Error("port-forward"),
    ),
    ("router.execute=502*1", "router", Error("502"), Error("502")),
    ("router.execute=504*1", "router", Error("504"), Error("504")),
    (
        "router.execute=reset*1",
        "router",
        Error("connection"),
        Error("connection"),
    ),
    (
        "router.execute=truncated*1",
        "tunnel",
        Error("connection"),
        Error("connection"),
    ),
    (
        "router.execute=reset*1",
        "tunnel",
        Error("connection"),
        Error("connection"),
    ),
    ("router.exists=502*2", "router", Error("502"), Success),
    ("router.exists=503*1", "tunnel", Error("503"), Success),
    (
        "router.exists=reset*1",
        "tunnel",
        Error("connection"),
        Success,
    ),
    (
        "runtime.execute=stall*1",
        "pod",
        Error("within"),
        Error("within"),
    ),
    (
        "runtime.execute=truncated*1",
        "pod",
        Error("connection"),
        Error("connection"),
    ),
    (
        "runtime.execute=garbage*1",
        "pod",
        Error("not understood"),
        Error("not understood"),
    ),
    ("runtime.execute=500*1", "pod", Error("500"), Error("500")),
    (
        "runtime.execute=lost*1",
        "pod",
        Error("connection"),
        Error("connection"),
    ),
    ("runtime.exists=500*1", "pod", Error("500"), Success),
    (
        "runtime.exists=truncated*1",
        "pod",
        Error("connection"),
        Success,
    ),
    ("runtime.exists=lost*1", "pod", Error("connection"), Success),
];

async fn client(running: &Running, run: &str, retry: RetryPolicy) -> Client {
    client_of(running, |builder| {
        let builder = builder.request_timeout(Duration::from_secs(2));
        builder.retry(retry).run_id(run)
    })
    .await
}

/// A whole life: create, wait, connect, execute, look for a file; the error with all its causes.
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
    assert!(!sandbox.files().exists("a").await.map_err(chain)?);
    Ok(())
}

fn chain(error: impl std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let texts = std::iter::once(error.to_string()).chain(causes.map(ToString::to_string));
    texts.collect::<Vec<_>>().join("; ")
}

/// Plays one fault on a client with this policy; the row of the table, and whether it is as it
/// should be.
async fn row(
    running: &Running,
    (text, way, sees): (&str, &str, Sees),
    (run, retry): (&str, RetryPolicy),
) -> (String, bool) {
    let mode = match way {
        "tunnel" => ConnectionMode::Tunnel(Tunnel::default()),
        "router" => ConnectionMode::Direct(Direct {
            url: format!("http://{}", running.cluster.router()),
            ..Direct::default()
        }),
        _ => ConnectionMode::InClusterPodIp(InClusterPodIp::default()),
    };
    let client = client(running, run, retry).await;
    running.cluster.set_faults(vec![text.parse().unwrap()]);
    let seen = life(&client, &mode).await;
    let repeated = client.attempts().repeated;
    let played = running.cluster.faults_played()[0].1;
    running.cluster.set_faults(Vec::new());
    client.delete_claims_of_run().await.unwrap();
    let claims = client.list_claims_of_run().await.unwrap().len();
    client.close().await;
    let left = claims + client.open_connections() + client.open_tunnels();
    let as_expected = match (&seen, sees) {
        (Ok(()), Success) => true,
        (Err(error), Error(part)) => error.contains(part),
        (Ok(()), Error(_)) | (Err(_), Success) => false,
    };
    let may_repeat = retry.max_attempts > 1 || repeated == 0;
    let shown = seen.err().unwrap_or_else(|| "success".to_owned());
    let attempts = retry.max_attempts;
    let row =
        format!("{text:<48} {way:<7} {attempts:>7} {played:>6} {repeated:>8} {left:>4}  {shown}");
    (row, as_expected && may_repeat && played > 0 && left == 0)
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
        "{:<48} {:<7} {:>7} {:>6} {:>8} {:>4}  the caller sees",
        "fault", "way", "allowed", "played", "repeated", "left"
    );
    for (number, (text, way, once, patiently)) in TABLE.iter().enumerate() {
        for (sees, retry) in [
            (once, RetryPolicy::never()),
            (patiently, RetryPolicy::default()),
        ] {
            let run = format!("fault-{number}-{}", retry.max_attempts);
            let (row, right) = row(&running, (text, way, *sees), (&run, retry)).await;
            println!("{row}");
            if !right {
                wrong.push(row);
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(running.cluster.shutdown().await.is_empty());
}
