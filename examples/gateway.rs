//! Through a Gateway and the router, as in production.
//!
//! `cargo run --example gateway -- WARM_POOL GATEWAY`

#![expect(clippy::print_stdout, reason = "an example shows what it got")]

use sandbench::client::connect::Gateway;
use sandbench::client::{BoxError, ClaimSource, Client, ConnectionMode, CreateRequest};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let pool = arguments.next().unwrap_or_else(|| "python".to_owned());
    let gateway = arguments.next();

    let client = Client::builder().infer().build().await?;
    let mode = ConnectionMode::Gateway(Gateway {
        name: gateway.unwrap_or_else(|| "external-http-gateway".to_owned()),
        ..Gateway::default()
    });
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
    let result = sandbox.commands().run("echo 'Hello from Cloud!'").await?;
    print!("{}", result.stdout);

    scope.close().await?;
    Ok(())
}
