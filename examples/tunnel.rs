//! Through a port-forward of the API server to the router: for development and CI, no public address
//! and no `kubectl` needed.
//!
//! `cargo run --example tunnel -- WARM_POOL`

#![expect(clippy::print_stdout, reason = "an example shows what it got")]

use sandbench::client::connect::Tunnel;
use sandbench::client::{BoxError, ClaimSource, Client, ConnectionMode, CreateRequest};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let pool = arguments.next().unwrap_or_else(|| "python".to_owned());

    let client = Client::builder().infer().build().await?;
    let mode = ConnectionMode::Tunnel(Tunnel::default());
    let done = hello(&client, &pool, &mode).await;
    // Waits until everything is deleted, also after an error.
    client.close().await;
    done
}

async fn hello(client: &Client, pool: &str, mode: &ConnectionMode) -> Result<(), BoxError> {
    // What is created in a scope ends with it.
    let scope = client.scope();
    let request = CreateRequest::new(ClaimSource::WarmPool(pool.to_owned()));
    let sandbox = scope.open(request, mode).await?;

    let files = sandbox.files();
    files.write("greeting.txt", "Hello from Local!\n").await?;
    let result = sandbox.commands().run("cat greeting.txt").await?;
    print!("{}", result.stdout);

    scope.close().await?;
    Ok(())
}
