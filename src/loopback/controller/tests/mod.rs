//! The controllers in a running cluster: what they write, in which order, and what they leave.

mod adoption;
mod life;

use super::super::config::ClusterConfig;
use super::super::conversion::up;
use super::super::json::{Value, json};
use super::super::served::ServedVersions;
use super::super::store::{Event, EventKind, kind};
use super::super::testing::World;
use super::condition;
use crate::api::{label, name_hash};

/// All events of one object so far.
async fn history(world: &World, kind_name: &str, name: &str) -> Vec<Event> {
    let mut events = world.store.watch(kind(kind_name), 0).unwrap();
    let all = events.next().await.unwrap();
    all.into_iter()
        .filter(|event| event.object.name() == name)
        .collect()
}

fn ready(value: &Value) -> (&str, &str, &str) {
    let found = condition(value, "Ready").unwrap();
    let text = |field: &str| found[field].as_str().unwrap();
    (text("status"), text("reason"), text("message"))
}

fn types(value: &Value) -> Vec<&str> {
    let all = value["status"]["conditions"].as_array().unwrap();
    all.iter()
        .map(|found| found["type"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_recreate_pool_replaces_its_members_when_the_template_changes() {
    let world = World::start().await;
    let spec = json!({ "replicas": 2, "sandboxTemplateRef": { "name": "python" },
        "updateStrategy": { "type": "Recreate" } });
    world.create(
        "SandboxWarmPool",
        json!({ "metadata": { "name": "pool" }, "spec": spec }),
    );
    world.pool_is_ready("pool", 2).await;
    let old = world.names("Sandbox");
    world.change("SandboxTemplate", "python", |v| {
        v["spec"]["podTemplate"]["spec"]["containers"][0]["image"] = json!("python:2");
    });
    for name in &old {
        world.until_gone("Sandbox", name).await;
    }
    world.pool_is_ready("pool", 2).await;
    for name in world.names("Sandbox") {
        let pod = world.get("Pod", &name).unwrap();
        assert_eq!(pod.value["spec"]["containers"][0]["image"], "python:2");
    }
    world.end().await;
}

#[tokio::test]
async fn a_new_namespace_gets_the_router_and_a_template_its_label() {
    let config = ClusterConfig {
        namespaces: vec!["team-a".to_owned()],
        ..ClusterConfig::default()
    };
    let world = World::start_with(config).await;
    world
        .store
        .create(
            kind("Namespace"),
            "",
            json!({ "metadata": { "name": "team-b" } }),
        )
        .unwrap();
    world
        .until("SandboxTemplate", "python", |v| {
            v.is_some_and(|v| {
                v["metadata"]["labels"][label::TEMPLATE_REF_HASH] == name_hash("python")
            })
        })
        .await;
    let mut events = world.store.watch(kind("EndpointSlice"), 0).unwrap();
    for namespace in ["default", "agent-sandbox-system", "team-a", "team-b"] {
        let slice = "sandbox-router-svc-loopback";
        while world
            .store
            .get(kind("EndpointSlice"), namespace, slice)
            .is_none()
        {
            events.next().await.unwrap();
        }
        let router = json!(world.cluster.router().ip());
        let slice = world
            .store
            .get(kind("EndpointSlice"), namespace, slice)
            .unwrap();
        assert_eq!(
            slice.value["endpoints"][0]["addresses"][0], router,
            "{namespace}"
        );
        let service = world
            .store
            .get(kind("Service"), namespace, "sandbox-router-svc")
            .unwrap();
        assert_eq!(service.value["spec"]["clusterIP"], router);
    }
    let deleted = history(&world, "Pod", "sandbox-router").await;
    assert!(deleted.iter().all(|event| event.kind != EventKind::Deleted));
    world.end().await;
}

/// A claim as a `v1alpha1` client writes it, in the form in which the API server stores it.
fn old_claim(world: &World, name: &str, policy: &str) {
    let mut value = json!({ "metadata": { "name": name },
        "spec": { "sandboxTemplateRef": { "name": "python" }, "warmpool": policy } });
    up(kind("SandboxClaim"), &mut value);
    world.create("SandboxClaim", value);
}

#[tokio::test]
async fn a_claim_on_an_old_server_adopts_from_any_pool_of_its_template_unless_it_says_none() {
    let world = World::start_with(ClusterConfig {
        served: ServedVersions::V1Alpha1,
        ..ClusterConfig::default()
    })
    .await;
    world.pool("pool", "python", 2);
    world.pool_is_ready("pool", 2).await;
    for (policy, launch) in [("default", "warm"), ("pool", "warm"), ("none", "cold")] {
        old_claim(&world, policy, policy);
        let claim = world.until_ready("SandboxClaim", policy).await;
        let sandbox = claim.value["status"]["sandbox"]["name"].as_str().unwrap();
        let sandbox = world.get("Sandbox", sandbox).unwrap();
        assert_eq!(sandbox.label(label::LAUNCH_TYPE), Some(launch), "{policy}");
        world.pool_is_ready("pool", 2).await;
    }
    world.end().await;
}

#[tokio::test]
async fn a_server_of_both_versions_serves_old_claims_from_shadow_pools() {
    let world = World::start_with(ClusterConfig {
        served: ServedVersions::Both,
        ..ClusterConfig::default()
    })
    .await;
    let shadow = |value: Option<&Value>| value.is_some();
    let pool = world
        .until("SandboxWarmPool", "shadow-pool-python", shadow)
        .await
        .unwrap();
    assert_eq!(pool.value["spec"]["replicas"], 0);
    old_claim(&world, "old", "default");
    let claim = world.until_ready("SandboxClaim", "old").await;
    assert_eq!(claim.value["status"]["sandbox"]["name"], "old", "cold");
    world.end().await;
}
