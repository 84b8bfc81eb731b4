//! The programs in `examples/`, each run as its first lines say, against a loopback cluster.

use std::path::Path;
use std::process::Output;

use kube::api::{DynamicObject, ListParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::json;
use tokio::process::Command;

use crate::cluster::Running;
use crate::program::Place;

/// Runs an example with these arguments; `cargo test` has built it, with `--test it` that is up to
/// `cargo build --examples`.
async fn run(running: &Running, name: &str, arguments: &[&str]) -> Output {
    let examples = Path::new(env!("CARGO_BIN_EXE_sandbench"))
        .with_file_name("examples")
        .join(name);
    let mut command = Command::new(&examples);
    command.env("KUBECONFIG", &running.kubeconfig);
    command.args(arguments).output().await.unwrap()
}

/// The claims that are not being deleted.
async fn claims(running: &Running) -> usize {
    let claims = running.api("extensions.agents.x-k8s.io", "v1beta1", "SandboxClaim");
    let claims = claims.list(&ListParams::default()).await.unwrap().items;
    let stays = |claim: &&DynamicObject| claim.metadata.deletion_timestamp.is_none();
    claims.iter().filter(stays).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_does_what_it_says_and_leaves_nothing() {
    let place = Place::new();
    let running = Running::start(&place).await;
    running.pool("python", 3, json!({})).await;
    for (name, port, service) in [("node", 3000, false), ("named", 8888, true)] {
        let pod = json!({ "spec": { "containers": [
            { "name": "c", "image": "i", "ports": [{ "containerPort": port }] }] } });
        let template = json!({ "podTemplate": pod, "service": service });
        running.create("SandboxTemplate", name, template).await;
        let pool = json!({ "replicas": 1, "sandboxTemplateRef": { "name": name } });
        running.create("SandboxWarmPool", name, pool).await;
    }
    gateway(&running, "external-http-gateway").await;
    let router = format!("http://{}", running.cluster.router());
    let dns = running.cluster.dns_server().to_string();

    for (name, arguments, shown) in [
        ("gateway", vec!["python"], "Hello from Cloud!"),
        ("tunnel", vec!["python"], "Hello from Local!"),
        (
            "in_cluster",
            vec!["named", "name", &dns],
            "Hello from in-cluster!",
        ),
        (
            "in_cluster",
            vec!["python", "pod-ip"],
            "Hello from in-cluster!",
        ),
        ("direct", vec!["python", &router], "done"),
        ("custom_port", vec!["node"], "port 3000: ok"),
        ("many_at_once", vec!["python", "10"], "10 sandboxes in"),
    ] {
        let output = run(&running, name, &arguments).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {errors}");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.contains(shown), "{name}: {printed}");
        assert_eq!(claims(&running).await, 0, "{name}");
    }
    let nowhere = ["python", "http://127.64.9.9:9"];
    assert!(!run(&running, "direct", &nowhere).await.status.success());
    assert_eq!(claims(&running).await, 0, "an error leaves nothing either");
    assert!(running.cluster.shutdown().await.is_empty());
}

async fn gateway(running: &Running, name: &str) {
    let gvk = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "Gateway");
    let spec = json!({ "spec": { "gatewayClassName": "loopback", "listeners": [
        { "name": "http", "port": 80, "protocol": "HTTP" }] } });
    let object = DynamicObject::new(name, &ApiResource::from_gvk(&gvk)).data(spec);
    let api = running.api("gateway.networking.k8s.io", "v1", "Gateway");
    api.create(&PostParams::default(), &object).await.unwrap();
}
