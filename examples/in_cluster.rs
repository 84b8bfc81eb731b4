//! From inside the cluster straight to the sandbox, without the router: by its name in the cluster
//! (its template must ask for a Service), or with `pod-ip` by its Pod's address.
//!
//! `cargo run --example in_cluster -- WARM_POOL [name | pod-ip] [NAME_SERVER]`

#![expect(clippy::print_stdout, reason = "an example shows what it got")]

use sandbench::client::connect::{InCluster, InClusterPodIp};
use sandbench::client::{BoxError, ClaimSource, Client, ConnectionMode, CreateRequest, Dns};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let pool = arguments.next().unwrap_or_else(|| "python".to_owned());
    let mode = match arguments.next().as_deref() {
        None | Some("name") => ConnectionMode::InCluster(InCluster::default()),
        Some("pod-ip") => ConnectionMode::InClusterPodIp(InClusterPodIp::default()),
        Some(other) => return Err(format!("`{other}` is neither `name` nor `pod-ip`").into()),
    };
    // In a Pod the system's name server knows the cluster's names.
    let dns = match arguments.next() {
        Some(address) => Dns::Server(address.parse()?),
        None => Dns::System,
    };

    let client = Client::builder().infer().dns(dns).build().await?;
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
    let result = sandbox
        .commands()
        .run("echo 'Hello from in-cluster!'")
        .await?;
    print!("{}", result.stdout);

    scope.close().await?;
    Ok(())
}
