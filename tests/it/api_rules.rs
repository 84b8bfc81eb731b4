//! Rules of the API server that no client of upstream's meets, and any other may.

use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use crate::cluster::Running;
use crate::program::Place;

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_keeps_its_volumes_for_life() {
    let place = Place::new();
    let running = Running::start(&place).await;
    running.pool("p", 1, json!({})).await;
    let sandboxes = running.api("agents.x-k8s.io", "v1beta1", "Sandbox");
    let name = loop {
        let all = sandboxes.list(&ListParams::default()).await.unwrap().items;
        if let Some(first) = all.into_iter().next() {
            break first.metadata.name.unwrap();
        }
    };
    let params = PatchParams::default();
    let volume = json!({ "metadata": { "name": "data" }, "spec": {} });
    let volumes = json!({ "spec": { "volumeClaimTemplates": [volume] } });
    let patch = Patch::Merge(volumes);
    let refused = sandboxes.patch(&name, &params, &patch).await;
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("volumeClaimTemplates is immutable"),
        "{refused}"
    );
    let mode = json!({ "spec": { "operatingMode": "Suspended" } });
    let patch = Patch::Merge(mode);
    sandboxes.patch(&name, &params, &patch).await.unwrap();
    assert!(running.cluster.shutdown().await.is_empty());
}
