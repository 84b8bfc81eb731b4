//! What waiting for the end of a claim waits for.

use std::time::Duration;

use kube::api::{ListParams, Patch, PatchParams};
use sandbench::client::{ClaimSource, CreateRequest, VolumeRequest, WaitError};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::cluster::{Running, client_of};
use crate::program::Place;

const LIMIT: Duration = Duration::from_secs(20);

fn finalizers(names: &[&str]) -> Patch<Value> {
    Patch::Merge(json!({ "metadata": { "finalizers": names } }))
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_wait_for_an_end_share_a_watch() {
    const MANY: usize = 40;
    let place = Place::new();
    let running = Running::start(&place).await;
    running.pool("p", 0, json!({})).await;
    let client = client_of(&running, |builder| builder.run_id("gone-2")).await;
    let sandboxes = running.api("agents.x-k8s.io", "v1beta1", "Sandbox");
    let params = PatchParams::default();
    let mut claims = Vec::new();
    for _ in 0..MANY {
        let request = CreateRequest::new(ClaimSource::WarmPool("p".to_owned()));
        let claim = client.create(request).await.unwrap();
        let ready = claim.wait_ready(LIMIT).await.unwrap();
        let patch = finalizers(&["example.com/linger"]);
        let name = &ready.sandbox_name;
        sandboxes.patch(name, &params, &patch).await.unwrap();
        claims.push(ready);
    }
    let mut waiting = JoinSet::new();
    for ready in claims.clone() {
        let client = client.clone();
        waiting.spawn(async move {
            let (name, uid) = (&ready.claim_name, Some(ready.claim_uid.as_str()));
            client.delete_and_wait(name, uid, LIMIT).await.unwrap();
        });
    }
    // One for the claims of the run, and one for all Sandboxes.
    let mut most = 0;
    for _ in 0..200 {
        most = most.max(running.cluster.open_watches());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(most, 2);
    assert!(waiting.try_join_next().is_none(), "none is gone");
    for ready in claims {
        let patch = finalizers(&[]);
        let name = &ready.sandbox_name;
        sandboxes.patch(name, &params, &patch).await.unwrap();
    }
    while let Some(done) = waiting.join_next().await {
        done.unwrap();
    }
    client.close().await;
    assert!(running.cluster.shutdown().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_lingers_is_waited_for_and_named() {
    let place = Place::new();
    let running = Running::start(&place).await;
    let pod = json!({ "spec": { "containers": [{ "name": "c", "image": "i" }] } });
    let template = json!({ "podTemplate": pod, "volumeClaimTemplatesPolicy": "Overrides" });
    running.create("SandboxTemplate", "t", template).await;
    let pool = json!({ "replicas": 0, "sandboxTemplateRef": { "name": "t" } });
    running.create("SandboxWarmPool", "p", pool).await;
    let client = client_of(&running, |builder| builder.run_id("gone-1")).await;
    let mut request = CreateRequest::new(ClaimSource::WarmPool("p".to_owned()));
    request.volumes.push(VolumeRequest::new("data", "1Gi"));
    let claim = client.create(request).await.unwrap();
    let ready = claim.wait_ready(LIMIT).await.unwrap();
    assert_eq!(client.volumes(&ready).await.unwrap(), ["data"]);

    let volumes = running.core("PersistentVolumeClaim");
    let name = format!("data-{}", ready.sandbox_name);
    let patch = finalizers(&["example.com/backup"]);
    let params = PatchParams::default();
    volumes.patch(&name, &params, &patch).await.unwrap();

    let (claim, uid) = (claim.name(), Some(claim.uid()));
    client.delete(claim, uid).await.unwrap();
    let short = Duration::from_secs(1);
    match client.wait_gone(claim, uid, short).await.unwrap_err() {
        WaitError::Timeout { left, .. } => {
            assert_eq!(left, format!("the PersistentVolumeClaim `{name}`"));
        }
        other @ WaitError::Kube { .. } => panic!("{other}"),
    }

    let patch = finalizers(&[]);
    volumes.patch(&name, &params, &patch).await.unwrap();
    client.wait_gone(claim, uid, LIMIT).await.unwrap();
    let left = volumes.list(&ListParams::default()).await.unwrap();
    assert!(left.items.is_empty());
    client.close().await;
    assert!(running.cluster.shutdown().await.is_empty());
}
