//! Our client in a loop, without engine or reports, as the peers' SDKs are measured.
//!
//! ```text
//! client_loop run URL COUNT AT_ONCE        commands through URL, in one sandbox
//! client_loop read URL COUNT AT_ONCE       a file read through URL, in one sandbox
//! client_loop read-tunnel - COUNT AT_ONCE  a file read through a tunnel, in one sandbox
//! client_loop claims - COUNT AT_ONCE       sandboxes: create, wait until Ready, delete
//! client_loop ready - COUNT RATE           claims at a rate; when each was seen Ready; nothing is deleted
//! ```
//!
//! Sandboxes come from the pool `python-sandbox-pool` of kubeconfig's current context. Prints how many
//! operations took how long, and of `read` and `ready` each one's figure, as JSON.

#![expect(clippy::print_stdout, reason = "the figures are for the caller")]
#![expect(
    clippy::disallowed_methods,
    reason = "what is seen here is compared with what another process wrote, by the machine's clock"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sandbench::client::connect::{Direct, Tunnel};
use sandbench::client::{BoxError, ClaimSource, Client, ConnectionMode, CreateRequest, Sandbox};
use serde_json::{Map, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

const POOL: &str = "python-sandbox-pool";
const FILE: &str = "read.bin";
const CONTENT: [u8; 16 << 10] = [b'x'; 16 << 10];

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [what, url, count, at_once] = words.as_slice() else {
        return Err(
            "usage: client_loop run|read|read-tunnel|claims|ready URL COUNT AT_ONCE".into(),
        );
    };
    let (count, at_once): (u64, u64) = (count.parse()?, at_once.parse()?);
    let run_id = format!("peers-{}", std::process::id());
    let client = Client::builder().infer().run_id(run_id).build().await?;
    if what == "ready" {
        // Whoever reads the claims afterwards deletes them.
        println!("{}", ready(&client, (count, at_once)).await?);
        return Ok(());
    }
    let direct = ConnectionMode::Direct(Direct {
        url: url.to_owned(),
        ..Direct::default()
    });
    let done = match what.as_str() {
        "run" => run(&client, &direct, (count, at_once)).await,
        "read" => read(&client, &direct, (count, at_once)).await,
        "read-tunnel" => {
            let tunnel = ConnectionMode::Tunnel(Tunnel::default());
            read(&client, &tunnel, (count, at_once)).await
        }
        "claims" => claims(&client, (count, at_once)).await,
        _ => Err("the first word is `run`, `read`, `read-tunnel`, `claims` or `ready`".into()),
    };
    client.close().await;
    let Figures { seconds, latencies } = done?;
    println!(
        "{}",
        json!({ "operations": count, "seconds": seconds, "latencies_ms": latencies })
    );
    Ok(())
}

/// What a loop came to.
struct Figures {
    seconds: f64,
    /// Of each operation, in milliseconds; empty where they are not asked for.
    latencies: Vec<f64>,
}

/// Carries out an operation so often, so many at a time; how many seconds that took, and what each gave.
async fn repeat<T, F>(
    (count, at_once): (u64, u64),
    operation: impl Fn() -> F + Clone + Send + 'static,
) -> Result<(f64, Vec<T>), BoxError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, BoxError>> + Send,
{
    let began = Instant::now();
    let next = Arc::new(AtomicU64::new(0));
    let mut running = JoinSet::new();
    for _ in 0..at_once {
        let (operation, next) = (operation.clone(), Arc::clone(&next));
        running.spawn(async move {
            let mut given = Vec::new();
            while next.fetch_add(1, Ordering::Relaxed) < count {
                given.push(operation().await?);
            }
            Ok::<_, BoxError>(given)
        });
    }
    let mut given = Vec::new();
    while let Some(ended) = running.join_next().await {
        given.extend(ended??);
    }
    Ok((began.elapsed().as_secs_f64(), given))
}

async fn run(
    client: &Client,
    mode: &ConnectionMode,
    load: (u64, u64),
) -> Result<Figures, BoxError> {
    let scope = client.scope();
    let sandbox: Sandbox = scope.open(from_pool(), mode).await?;
    let operation = move || {
        let sandbox = sandbox.clone();
        async move {
            sandbox.commands().run("true").await?;
            Ok(())
        }
    };
    let (seconds, _) = repeat(load, operation).await?;
    scope.close().await?;
    Ok(Figures {
        seconds,
        latencies: Vec::new(),
    })
}

async fn read(
    client: &Client,
    mode: &ConnectionMode,
    load: (u64, u64),
) -> Result<Figures, BoxError> {
    let scope = client.scope();
    let sandbox: Sandbox = scope.open(from_pool(), mode).await?;
    sandbox.files().write(FILE, CONTENT.as_slice()).await?;
    let operation = move || {
        let sandbox = sandbox.clone();
        async move {
            let started = Instant::now();
            let content = sandbox.files().read(FILE).await?;
            if content.len() != CONTENT.len() {
                return Err("a part of the file".into());
            }
            Ok(started.elapsed().as_secs_f64() * 1000.0)
        }
    };
    let (seconds, latencies) = repeat(load, operation).await?;
    scope.close().await?;
    Ok(Figures { seconds, latencies })
}

fn from_pool() -> CreateRequest {
    CreateRequest::new(ClaimSource::WarmPool(POOL.to_owned()))
}

/// When each claim was seen Ready, by the clock of the machine in nanoseconds since 1970.
async fn ready(client: &Client, (count, rate): (u64, u64)) -> Result<serde_json::Value, BoxError> {
    let began = Instant::now();
    let mut running = JoinSet::new();
    for number in 0..count {
        let planned = began + Duration::from_nanos(number * 1_000_000_000 / rate);
        tokio::time::sleep_until(planned).await;
        let client = client.clone();
        running.spawn(async move {
            let claim = client.create(from_pool()).await?;
            claim.wait_ready(client.ready_timeout()).await?;
            let seen = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
            Ok::<_, BoxError>((claim.name().to_owned(), u64::try_from(seen)?))
        });
    }
    let mut seen = Map::new();
    while let Some(ended) = running.join_next().await {
        let (name, at) = ended??;
        seen.insert(name, at.into());
    }
    let seconds = began.elapsed().as_secs_f64();
    Ok(json!({ "operations": count, "seconds": seconds, "seen_ns": seen }))
}

async fn claims(client: &Client, load: (u64, u64)) -> Result<Figures, BoxError> {
    let client = client.clone();
    let operation = move || {
        let client = client.clone();
        async move {
            let claim = client.create(from_pool()).await?;
            claim.wait_ready(client.ready_timeout()).await?;
            client.delete(claim.name(), Some(claim.uid())).await?;
            Ok(())
        }
    };
    let (seconds, _) = repeat(load, operation).await?;
    Ok(Figures {
        seconds,
        latencies: Vec::new(),
    })
}
