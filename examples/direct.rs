//! To a router at a known URL, without any discovery: a custom domain, or the router's Service.
//!
//! `cargo run --example direct -- WARM_POOL URL`; a token in `ROUTER_AUTH_TOKEN` is sent along.

#![expect(clippy::print_stdout, reason = "an example shows what it got")]
#![expect(
    clippy::disallowed_methods,
    reason = "a token has no place among the arguments"
)]

use sandbench::client::connect::{Direct, Secret};
use sandbench::client::{BoxError, ClaimSource, Client, ConnectionMode, CreateRequest};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let pool = arguments.next().unwrap_or_else(|| "python".to_owned());
    let url = arguments.next().unwrap_or_else(|| {
        "http://sandbox-router-svc.agent-sandbox-system.svc.cluster.local:8080".to_owned()
    });

    let client = Client::builder().infer().build().await?;
    let mode = ConnectionMode::Direct(Direct {
        url,
        bearer_token: std::env::var("ROUTER_AUTH_TOKEN").ok().map(Secret::new),
        ..Direct::default()
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
    let listed = sandbox.commands().run_shell("ls -la && echo done").await?;
    print!("{}", listed.stdout);

    scope.close().await?;
    Ok(())
}
