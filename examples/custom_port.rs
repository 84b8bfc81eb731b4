//! A runtime that does not listen on 8888, for example a Node.js program on 3000.
//!
//! `cargo run --example custom_port -- WARM_POOL [PORT]`

#![expect(clippy::print_stdout, reason = "an example shows what it got")]

use sandbench::client::connect::Tunnel;
use sandbench::client::{BoxError, ClaimSource, Client, ConnectionMode, CreateRequest};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let pool = arguments.next().unwrap_or_else(|| "node".to_owned());
    let server_port = match arguments.next() {
        Some(port) => port.parse()?,
        None => 3000,
    };

    let client = Client::builder().infer().build().await?;
    let mode = ConnectionMode::Tunnel(Tunnel {
        server_port,
        ..Tunnel::default()
    });
    let done = hello(&client, &pool, &mode, server_port).await;
    // Waits until everything is deleted, also after an error.
    client.close().await;
    done
}

async fn hello(
    client: &Client,
    pool: &str,
    mode: &ConnectionMode,
    server_port: u16,
) -> Result<(), BoxError> {
    // What is created in a scope ends with it.
    let scope = client.scope();
    let request = CreateRequest::new(ClaimSource::WarmPool(pool.to_owned()));
    let sandbox = scope.open(request, mode).await?;
    println!("port {server_port}: {}", sandbox.health().await?.status);

    scope.close().await?;
    Ok(())
}
