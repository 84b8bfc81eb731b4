//! Our client in a loop, without engine or reports, as the peers' SDKs are measured.
//!
//! ```text
//! client_loop run URL COUNT AT_ONCE        commands through URL, in one sandbox
//! client_loop claims - COUNT AT_ONCE       sandboxes: create, wait until Ready, delete
//! ```
//!
//! Sandboxes come from the pool `python-sandbox-pool` of kubeconfig's current context. Prints how many
//! operations took how long, as JSON.

#![expect(clippy::print_stdout, reason = "the figures are for the caller")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sandbench::client::connect::Direct;
use sandbench::client::{BoxError, ClaimSource, Client, ConnectionMode, CreateRequest, Sandbox};
use tokio::task::JoinSet;
use tokio::time::Instant;

const POOL: &str = "python-sandbox-pool";

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [what, url, count, at_once] = words.as_slice() else {
        return Err("usage: client_loop run|claims URL COUNT AT_ONCE".into());
    };
    let (count, at_once): (u64, u64) = (count.parse()?, at_once.parse()?);
    let run_id = format!("peers-{}", std::process::id());
    let client = Client::builder().infer().run_id(run_id).build().await?;
    let done = match what.as_str() {
        "run" => run(&client, url, (count, at_once)).await,
        "claims" => claims(&client, (count, at_once)).await,
        _ => Err("the first word is `run` or `claims`".into()),
    };
    client.close().await;
    let seconds = done?;
    println!("{{\"operations\":{count},\"seconds\":{seconds}}}");
    Ok(())
}

async fn run(client: &Client, url: &str, load: (u64, u64)) -> Result<f64, BoxError> {
    let scope = client.scope();
    let request = CreateRequest::new(ClaimSource::WarmPool(POOL.to_owned()));
    let mode = ConnectionMode::Direct(Direct {
        url: url.to_owned(),
        ..Direct::default()
    });
    let sandbox: Sandbox = scope.open(request, &mode).await?;
    let began = Instant::now();
    let next = Arc::new(AtomicU64::new(0));
    let mut running = JoinSet::new();
    for _ in 0..load.1 {
        let (sandbox, next) = (sandbox.clone(), Arc::clone(&next));
        running.spawn(async move {
            while next.fetch_add(1, Ordering::Relaxed) < load.0 {
                sandbox.commands().run("true").await?;
            }
            Ok::<_, BoxError>(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    let seconds = began.elapsed().as_secs_f64();
    scope.close().await?;
    Ok(seconds)
}

async fn claims(client: &Client, load: (u64, u64)) -> Result<f64, BoxError> {
    let began = Instant::now();
    let next = Arc::new(AtomicU64::new(0));
    let mut running = JoinSet::new();
    for _ in 0..load.1 {
        let (client, next) = (client.clone(), Arc::clone(&next));
        running.spawn(async move {
            while next.fetch_add(1, Ordering::Relaxed) < load.0 {
                let request = CreateRequest::new(ClaimSource::WarmPool(POOL.to_owned()));
                let claim = client.create(request).await?;
                claim.wait_ready(client.ready_timeout()).await?;
                client.delete(claim.name(), Some(claim.uid())).await?;
            }
            Ok::<_, BoxError>(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(began.elapsed().as_secs_f64())
}
