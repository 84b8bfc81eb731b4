//! Many sandboxes at once over one client: they share one watch and a few connections. Ctrl-C or an
//! error deletes all of them.
//!
//! `cargo run --example many_at_once -- WARM_POOL [HOW_MANY]`

#![expect(clippy::print_stdout, reason = "an example shows what it got")]

use std::time::Duration;

use sandbench::client::connect::Tunnel;
use sandbench::client::{
    BoxError, ClaimSource, Client, ConnectionMode, CreateRequest, SandboxScope,
};
use tokio::task::JoinSet;
use tokio::time::Instant;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let pool = arguments.next().unwrap_or_else(|| "python".to_owned());
    let many = match arguments.next() {
        Some(number) => number.parse()?,
        None => 20,
    };

    // What has a run id is watched together.
    let run_id = format!("many-at-once-{}", std::process::id());
    let client = Client::builder().infer().run_id(run_id).build().await?;
    let began = Instant::now();
    let done = tokio::select! {
        done = all(&client, &pool, many) => done,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
    };
    // Ends what is not ended yet, and waits for it.
    client.close().await;
    println!("{} sandboxes in {:.2?}", done?, began.elapsed());
    Ok(())
}

async fn all(client: &Client, pool: &str, many: usize) -> Result<usize, BoxError> {
    let mut running = JoinSet::new();
    for number in 0..many {
        running.spawn(one(client.scope(), pool.to_owned(), number));
    }
    let mut done = 0;
    while let Some(ended) = running.join_next().await {
        ended??;
        done += 1;
    }
    Ok(done)
}

async fn one(scope: SandboxScope, pool: String, number: usize) -> Result<(), BoxError> {
    let mut request = CreateRequest::new(ClaimSource::WarmPool(pool));
    // Should this program be killed, the cluster deletes the sandbox.
    request.time_to_live = Some(Duration::from_mins(10));
    let mode = ConnectionMode::Tunnel(Tunnel::default());
    let sandbox = scope.open(request, &mode).await?;
    let answer = sandbox.commands().run(format!("echo {number}")).await?;
    assert_eq!(answer.stdout, format!("{number}\n"));
    scope.close().await?;
    Ok(())
}
