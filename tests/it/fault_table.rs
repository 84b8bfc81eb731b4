//! Every fault that the loopback cluster plays, and what our client makes of it: what the caller
//! sees, how often the fault was met and attempts were repeated, and that nothing is left behind.

use std::time::Duration;

use kube::api::{DeleteParams, DynamicObject};
use sandbench::client::connect::{Direct, Gateway, InClusterPodIp, PodTunnel, Tunnel};
use sandbench::client::{
    ClaimSource, Client, ConnectionMode, CreateRequest, ProcessRequest, ReadyClaim, RetryPolicy,
    Runtime, Sandbox, SandboxdPorts,
};
use sandbench::loopback::ClusterConfig;
use serde_json::{Value, json};

use crate::cluster::{Running, client_of};
use crate::moves;
use crate::program::Place;

/// The fault; the way to the sandbox; what the caller of a whole life sees if nothing is repeated, and
/// with up to four attempts: `ok`, or an error with this text in it or in its causes.
///
/// Commands, writing and creations are not repeated even then, unless they were surely not carried
/// out; deletions are, where the API server has not carried them out.
const TABLE: &str = "
    api.create.sandboxclaims=429(1s)*1       | pod        | 429           | ok
    api.create.sandboxclaims=409*1           | pod        | 409           | 409
    api.create.sandboxclaims=500*1           | pod        | 500           | 500
    api.create.sandboxclaims=503*1           | pod        | 503           | 503
    api.create.sandboxclaims=504*1           | pod        | 504           | 504
    api.create.sandboxclaims=reset*1         | pod        | connection    | connection
    api.create.sandboxclaims=lost*1          | pod        | ok            | ok
    api.create.sandboxclaims=delay(300ms)*1  | pod        | ok            | ok
    api.create.sandboxclaims=delay(3s)*1     | pod        | within        | within
    api.create.sandboxclaims=stall*1         | pod        | ok            | ok
    api.create.sandboxclaims=truncated*1     | pod        | ok            | ok
    api.create.sandboxclaims=garbage*1       | pod        | ok            | ok

    api.watch.sandboxclaims=drop(1)*3        | pod        | ok            | ok
    api.watch.sandboxclaims=half-open(0)*1   | pod        | ok            | ok
    api.watch.sandboxclaims=stale(200ms)     | pod        | ok            | ok
    api.watch.sandboxclaims=split            | pod        | ok            | ok
    api.watch.sandboxclaims=gone*2           | pod        | ok            | ok
    api.watch.sandboxclaims=410*1            | pod        | ok            | ok
    api.watch.sandboxclaims=429(1s)*1        | pod        | ok            | ok
    api.watch.sandboxclaims=500*1            | pod        | ok            | ok
    api.watch.sandboxclaims=reset*2          | pod        | ok            | ok
    api.watch.sandboxclaims=garbage*1        | pod        | ok            | ok
    api.list.sandboxclaims=410*1             | pod        | ok            | ok
    api.list.sandboxclaims=503*1             | pod        | ok            | ok
    api.list.sandboxclaims=garbage*1         | pod        | ok            | ok

    api.delete.sandboxclaims=429(1s)*1       | pod        | 429           | ok
    api.delete.sandboxclaims=409*1           | pod        | another one   | another one
    api.delete.sandboxclaims=500*1           | pod        | 500           | 500
    api.delete.sandboxclaims=503*1           | pod        | 503           | ok
    api.delete.sandboxclaims=lost*1          | pod        | connection    | connection
    api.get.sandboxes=403*1                  | pod-tunnel | ok            | ok
    api.get.sandboxes=500*1                  | pod-tunnel | 500           | ok
    api.get.sandboxes=503*1                  | pod-tunnel | 503           | ok
    api.get.sandboxes=reset*1                | pod-tunnel | connection    | ok
    api.get.portforward=500*1                | tunnel     | 500           | 500
    api.get.portforward=reset*1              | tunnel     | port-forward  | port-forward
    api.get.portforward=403*1                | pod-tunnel | 403           | 403

    router.execute=502*1                     | router     | 502           | 502
    router.execute=504*1                     | router     | 504           | 504
    router.execute=reset*1                   | router     | connection    | connection
    router.execute=truncated*1               | tunnel     | connection    | connection
    router.execute=reset*1                   | tunnel     | connection    | connection
    router.exists=429(1s)*1                  | router     | 429           | ok
    router.exists=502*2                      | router     | 502           | ok
    router.exists=503*1                      | tunnel     | 503           | ok
    router.exists=504*1                      | router     | 504           | ok
    router.exists=reset*1                    | tunnel     | connection    | ok

    runtime.execute=stall*1                  | pod        | within        | within
    runtime.execute=truncated*1              | pod        | connection    | connection
    runtime.execute=garbage*1                | pod        | not understood| not understood
    runtime.execute=500*1                    | pod        | 500           | 500
    runtime.execute=lost*1                   | pod        | connection    | connection
    runtime.exists=500*1                     | pod        | 500           | ok
    runtime.exists=truncated*1               | pod        | connection    | ok
    runtime.exists=lost*1                    | pod        | connection    | ok
    runtime.exists=garbage*1                 | pod        | not understood| not understood

    runtime.execute=503*1                    | sandboxd   | 503           | 503
    runtime.execute=reset*1                  | sandboxd   | connection    | connection
    runtime.execute=lost*1                   | sandboxd   | connection    | connection
    runtime.execute=stall*1                  | sandboxd   | within        | within
    runtime.start=503*1                      | sandboxd   | 503           | 503
    runtime.start=stall*1                    | sandboxd   | within        | within
    runtime.start=truncated*1                | sandboxd   | connection    | connection
    runtime.files=500*1                      | sandboxd   | 500           | ok
    runtime.files=reset*1                    | sandboxd   | connection    | ok
    runtime.files=reset*1                    | pod-tunnel | connection    | ok
";

/// Reasons that pass by themselves. Source: the controller's, as the SDKs take them.
const TRANSIENT: [&str; 9] = [
    "AdoptionConflict",
    "AdoptionPending",
    "SandboxCreatePending",
    "SandboxMissing",
    "SandboxNotReady",
    "DependenciesNotReady",
    "SandboxSuspended",
    "MultiplePods",
    "ReconcilerError",
];

/// One line of the table.
#[derive(Debug, Clone, Copy)]
struct Row<'a> {
    what: &'a str,
    way: &'a str,
    once: &'a str,
    patiently: &'a str,
}

fn rows() -> Vec<Row<'static>> {
    let lines = TABLE.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [what, way, once, patiently] = cells[..] else {
                panic!("four cells: {line}")
            };
            Row {
                what,
                way,
                once,
                patiently,
            }
        })
        .collect()
}

fn policies(row: Row<'_>) -> [(RetryPolicy, &str); 2] {
    [
        (RetryPolicy::never(), row.once),
        (RetryPolicy::default(), row.patiently),
    ]
}

/// What is found wrong while the table is printed.
struct Table(Vec<String>);

impl Table {
    /// The names of the columns.
    fn head() -> String {
        format!(
            "{:<52} {:<10} {:>7} {:>6} {:>8} {:>4}  the caller sees",
            "what goes wrong", "way", "allowed", "played", "repeated", "left"
        )
    }

    /// Ends a client and compares with what was expected; gives the line to print.
    async fn add(
        &mut self,
        (row, retry, expected): (Row<'_>, RetryPolicy, &str),
        client: Client,
        (seen, played): (Result<(), String>, u64),
    ) -> String {
        let repeated = client.attempts().repeated;
        client.delete_claims_of_run().await.unwrap();
        let claims = client.list_claims_of_run().await.unwrap().len();
        client.close().await;
        let left = claims + client.open_connections() + client.open_tunnels();
        let as_expected = match &seen {
            Ok(()) => expected == "ok",
            Err(error) => expected != "ok" && error.contains(expected),
        };
        let repeats_well = match (row.once, expected) {
            _ if retry.max_attempts == 1 => repeated == 0,
            // Only repetition can have helped.
            (once, "ok") if once != "ok" => repeated == played,
            (_, "ok") => true,
            _ => repeated == 0,
        };
        let shown = seen.err().unwrap_or_else(|| "success".to_owned());
        let line = format!(
            "{:<52} {:<10} {:>7} {played:>6} {repeated:>8} {left:>4}  {shown}",
            row.what, row.way, retry.max_attempts
        );
        if !(as_expected && repeats_well && played > 0 && left == 0) {
            self.0.push(line.clone());
        }
        line
    }
}

async fn client(running: &Running, run: &str, retry: RetryPolicy) -> Client {
    client_of(running, |builder| {
        let builder = builder.request_timeout(Duration::from_secs(2));
        builder.retry(retry).run_id(run)
    })
    .await
}

fn mode(running: &Running, way: &str) -> ConnectionMode {
    match way {
        "tunnel" => ConnectionMode::Tunnel(Tunnel::default()),
        "router" => ConnectionMode::Direct(Direct {
            url: format!("http://{}", running.cluster.router()),
            ..Direct::default()
        }),
        "pod-tunnel" => ConnectionMode::PodTunnel(PodTunnel::default()),
        "sandboxd" => ConnectionMode::InClusterPodIp(InClusterPodIp {
            runtime: Runtime::Sandboxd(SandboxdPorts::default()),
            ..InClusterPodIp::default()
        }),
        _ => ConnectionMode::InClusterPodIp(InClusterPodIp::default()),
    }
}

/// A whole life: create, wait, connect, execute, look for a file, delete; the error with all its
/// causes.
async fn life(client: &Client, mode: &ConnectionMode) -> Result<(), String> {
    let limit = Duration::from_secs(30);
    let is_sandboxd = matches!(mode.runtime(), Runtime::Sandboxd(_));
    let pool = if is_sandboxd { "sandboxd" } else { "p" };
    let request = CreateRequest::new(ClaimSource::WarmPool(pool.to_owned()));
    let claim = client.create(request).await.map_err(chain)?;
    let ready = claim.wait_ready(limit).await.map_err(chain)?;
    let sandbox = client.connect(&ready, mode).await.map_err(chain)?;
    let result = sandbox.commands().run("echo hello").await.map_err(chain)?;
    let truth = "a fault never falsifies an answer";
    assert_eq!(result.stdout, "hello\n", "{truth}");
    if is_sandboxd {
        let mut echo = ProcessRequest::argv(["echo", "hello"]);
        echo.start_timeout = Some(Duration::from_secs(2));
        let process = sandbox.processes().start(echo).await.map_err(chain)?;
        let output = process.output().await.map_err(chain)?;
        assert_eq!(output.stdout, "hello\n", "{truth}");
    }
    assert!(!sandbox.files().exists("a").await.map_err(chain)?);
    let deleted = client.delete_and_wait(claim.name(), Some(claim.uid()), limit);
    deleted.await.map(drop).map_err(chain)
}

fn chain(error: impl std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let texts = std::iter::once(error.to_string()).chain(causes.map(ToString::to_string));
    texts.collect::<Vec<_>>().join("; ")
}

/// Plays one fault on a client with this policy; gives the line to print.
async fn play(
    table: &mut Table,
    running: &Running,
    (row, retry, expected): (Row<'_>, RetryPolicy, &str),
    run: &str,
) -> String {
    let client = client(running, run, retry).await;
    running.cluster.set_faults(vec![row.what.parse().unwrap()]);
    let seen = life(&client, &mode(running, row.way)).await;
    let played = running.cluster.faults_played()[0].1;
    running.cluster.set_faults(Vec::new());
    table
        .add((row, retry, expected), client, (seen, played))
        .await
}

/// A cluster with a pool of each runtime. Adoption takes a while, so that every claim is waited for.
async fn cluster(place: &Place) -> Running {
    let mut config = ClusterConfig::default();
    config.delays.adoption = "100ms".parse().unwrap();
    let running = Running::start_with(place, config).await;
    running.pool("p", 3, json!({})).await;
    let ports = json!([{ "containerPort": 8080 }, { "containerPort": 9090 }]);
    let pod = json!({ "spec": { "containers": [
        { "name": "c", "image": "sandboxd", "ports": ports }] } });
    let template = json!({ "podTemplate": pod });
    running
        .create("SandboxTemplate", "sandboxd", template)
        .await;
    let pool = json!({ "replicas": 2, "sandboxTemplateRef": { "name": "sandboxd" } });
    running.create("SandboxWarmPool", "sandboxd", pool).await;
    running
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_is_survived_or_told_and_leaves_nothing() {
    let place = Place::new();
    let running = cluster(&place).await;
    let mut table = Table(Vec::new());
    println!("{}", Table::head());
    for (number, row) in rows().into_iter().enumerate() {
        for (retry, expected) in policies(row) {
            let run = format!("fault-{number}-{}", retry.max_attempts);
            let line = play(&mut table, &running, (row, retry, expected), &run).await;
            println!("{line}");
        }
    }
    assert_eq!(table.0, Vec::<String>::new());
    assert!(running.cluster.shutdown().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reason_of_the_controller_is_waited_out_or_told_at_once() {
    let place = Place::new();
    let running = cluster(&place).await;
    let mut table = Table(Vec::new());
    println!("{}", Table::head());
    let passing = TRANSIENT.map(|reason| (reason, "ok"));
    let lasting = sandbench::api::TERMINAL_REASONS.map(|reason| (reason, reason));
    for (reason, seen) in passing.into_iter().chain(lasting) {
        let row = Row {
            what: &format!("controller.claim=reason({reason})*2"),
            way: "pod",
            once: seen,
            patiently: seen,
        };
        for (retry, expected) in policies(row) {
            let run = format!("{}-{}", reason.to_lowercase(), retry.max_attempts);
            let line = play(&mut table, &running, (row, retry, expected), &run).await;
            println!("{line}");
        }
    }
    assert_eq!(table.0, Vec::<String>::new());
    assert!(running.cluster.shutdown().await.is_empty());
}

/// Whether a pod says that it is ready.
fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// What moves away under an open handle.
#[derive(Debug, Clone, Copy)]
enum Moves {
    GatewayAddress,
    PodAddressAfterResume,
    PodDeleted,
    RouterRestarts,
}

impl Moves {
    /// What moves, the way, and what the first call after that sees if nothing is repeated.
    const ALL: [(Self, &str, &str, &str); 4] = [
        (
            Self::GatewayAddress,
            "gateway address changes",
            "gateway",
            "connect",
        ),
        (
            Self::PodAddressAfterResume,
            "pod address changes after resume",
            "pod",
            "ok",
        ),
        (
            Self::PodDeleted,
            "pod is deleted and comes again",
            "pod",
            "connect",
        ),
        (Self::RouterRestarts, "router restarts", "tunnel", "ok"),
    ];

    async fn play(self, running: &Running, client: &Client, ready: &ReadyClaim) {
        let limit = Duration::from_secs(20);
        match self {
            Self::GatewayAddress => moves::move_gateway(running, "main").await,
            Self::PodAddressAfterResume => {
                client.suspend(ready, limit).await.unwrap();
                // Another pod takes the address.
                let request = CreateRequest::new(ClaimSource::WarmPool("cold".to_owned()));
                let other = client.create(request).await.unwrap();
                other.wait_ready(limit).await.unwrap();
                let resumed = client.resume(ready, limit).await.unwrap();
                assert_ne!(resumed.pod_ips, ready.pod_ips);
            }
            Self::PodDeleted => {
                let pods = running.core("Pod");
                let name = &ready.sandbox_name;
                let before = pods.get(name).await.unwrap().metadata.uid;
                pods.delete(name, &DeleteParams::default()).await.unwrap();
                let is_again =
                    |pod: &DynamicObject| pod.metadata.uid != before && is_ready(&pod.data);
                while !pods
                    .get_opt(name)
                    .await
                    .unwrap()
                    .as_ref()
                    .is_some_and(is_again)
                {}
            }
            Self::RouterRestarts => {
                running.cluster.stop_router().await;
                // The dead tunnel is noticed without a call.
                let noticed = async {
                    while client.open_tunnels() > 0 {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::time::timeout(limit, noticed).await.unwrap();
                running.cluster.start_router().await.unwrap();
            }
        }
    }
}

/// Reads, lets it move, and reads again.
async fn read_twice(
    running: &Running,
    client: &Client,
    (moves, sandbox): (Moves, &Sandbox),
) -> Result<(), String> {
    assert!(!sandbox.files().exists("a").await.map_err(chain)?);
    moves.play(running, client, sandbox.claim()).await;
    let seen = sandbox.files().exists("a").await.map_err(chain);
    // Whatever the first call met, later ones go to the new place.
    let mut later = sandbox.files().exists("a").await;
    for _ in 0..3 {
        if later.is_err() {
            later = sandbox.files().exists("a").await;
        }
    }
    assert!(!later.unwrap());
    seen.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_away_is_found_again() {
    let place = Place::new();
    let running = cluster(&place).await;
    running.pool("cold", 0, json!({})).await;
    moves::gateway(&running, "main").await;
    let mut table = Table(Vec::new());
    println!("{}", Table::head());
    for (moves, what, way, once) in Moves::ALL {
        let row = Row {
            what,
            way,
            once,
            patiently: "ok",
        };
        for (retry, expected) in policies(row) {
            let run = format!("{}-{}", what.replace(' ', "-"), retry.max_attempts);
            let client = client(&running, &run, retry).await;
            let mode = match way {
                "gateway" => ConnectionMode::Gateway(Gateway {
                    name: "main".to_owned(),
                    ..Gateway::default()
                }),
                way => mode(&running, way),
            };
            let request = CreateRequest::new(ClaimSource::WarmPool("p".to_owned()));
            let claim = client.create(request).await.unwrap();
            let ready = claim.wait_ready(Duration::from_secs(20)).await.unwrap();
            let sandbox = client.connect(&ready, &mode).await.unwrap();
            let seen = read_twice(&running, &client, (moves, &sandbox)).await;
            drop(sandbox);
            // It moves once.
            let played = client.attempts().repeated.max(1);
            let line = table
                .add((row, retry, expected), client, (seen, played))
                .await;
            println!("{line}");
        }
    }
    assert_eq!(table.0, Vec::<String>::new());
    assert!(running.cluster.shutdown().await.is_empty());
}
