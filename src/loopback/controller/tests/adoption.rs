//! How claims come to their sandboxes: warm ones, cold ones, and none.

use std::collections::HashSet;

use super::super::super::config::{ClusterConfig, Delays};
use super::super::super::json::json;
use super::super::super::testing::World;
use super::super::{condition, is_true};
use super::{history, ready, types};
use crate::api::{annotation, label, name_hash};

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one sequence, told once")]
async fn a_warm_claim_adopts_in_upstreams_order_of_writes() {
    let world = World::start().await;
    world.pool("pool", "python", 1);
    world.pool_is_ready("pool", 1).await;
    let warm = world.names("Sandbox").remove(0);
    assert!(warm.starts_with("pool-") && warm.len() == 10, "{warm}");
    let before = world.get("Sandbox", &warm).unwrap();
    assert_eq!(
        before.label(label::WARM_POOL_SANDBOX),
        Some(&name_hash("pool")[..])
    );
    let pod_before = world.get("Pod", &warm).unwrap();
    assert!(
        pod_before
            .annotation("cluster-autoscaler.kubernetes.io/safe-to-evict")
            .is_some()
    );

    let created = json!({
        "metadata": { "name": "c1", "labels": { label::CREATED_BY: "python-client" } },
        "spec": { "warmPoolRef": { "name": "pool" },
            "additionalPodMetadata": { "labels": { "sandbox.users.io/owner": "me" } } },
    });
    world.create("SandboxClaim", created);
    let claim = world.until_ready("SandboxClaim", "c1").await;
    world
        .until("SandboxClaim", "c1", |value| {
            value.is_some_and(|v| {
                v["metadata"]["annotations"][annotation::FIRST_READY_AT].is_string()
            })
        })
        .await;
    let steps: Vec<_> = history(&world, "SandboxClaim", "c1")
        .await
        .iter()
        .map(|event| {
            let value = &event.object.value;
            let has = |key: &str| u8::from(value["metadata"]["annotations"][key].is_string());
            let bound =
                u8::from(value["status"]["sandbox"]["name"].is_string() && is_true(value, "Ready"));
            [
                has(annotation::CONTROLLER_OBSERVED_AT),
                has(annotation::SANDBOX_NAME),
                bound,
                has(annotation::FIRST_READY_AT),
            ]
        })
        .collect();
    assert_eq!(
        steps,
        [
            [0, 0, 0, 0],
            [1, 0, 0, 0],
            [1, 1, 0, 0],
            [1, 1, 1, 0],
            [1, 1, 1, 1]
        ]
    );

    let adopted = world.get("Sandbox", &warm).unwrap();
    assert!(adopted.is_controlled_by(claim.uid()));
    assert_eq!(adopted.label(label::LAUNCH_TYPE), Some("warm"));
    assert_eq!(adopted.label(label::CLAIM_UID), Some(claim.uid()));
    assert_eq!(adopted.label(label::CREATED_BY), Some("python-client"));
    for gone in [
        label::WARM_POOL_SANDBOX,
        label::TEMPLATE_HASH,
        label::POD_TEMPLATE_HASH,
    ] {
        assert_eq!(adopted.label(gone), None, "{gone}");
    }
    assert_eq!(adopted.value["metadata"]["generation"], 2);
    assert_eq!(
        claim.value["status"]["sandbox"]["podIPs"],
        before.value["status"]["podIPs"]
    );
    assert_eq!(types(&claim.value), ["Ready"]);
    let inherited = &condition(&claim.value, "Ready").unwrap()["lastTransitionTime"];
    assert_eq!(
        inherited,
        &condition(&before.value, "Ready").unwrap()["lastTransitionTime"]
    );

    let pod = world
        .until("Pod", &warm, |pod| {
            pod.is_some_and(|pod| pod["metadata"]["labels"][label::WARM_POOL_SANDBOX].is_null())
        })
        .await
        .unwrap();
    assert_eq!(pod.uid(), pod_before.uid());
    assert_eq!(pod.label("sandbox.users.io/owner"), Some("me"));
    assert_eq!(pod.label(label::CLAIM_UID), None);
    assert_eq!(
        pod.annotation("cluster-autoscaler.kubernetes.io/safe-to-evict"),
        None
    );
    assert_eq!(
        pod.annotation("agents.x-k8s.io/propagated-labels"),
        Some("sandbox.users.io/owner,team")
    );
    let event = world.names("Event").remove(0);
    let event = world.get("Event", &event).unwrap();
    assert_eq!(event.value["reason"], "SandboxAdopted");
    assert_eq!(
        event.value["message"],
        format!("Adopted warm pool Sandbox \"{warm}\"")
    );
    world.end().await;
}

#[tokio::test]
async fn a_claim_on_an_empty_pool_starts_cold_under_its_own_name() {
    let world = World::start().await;
    world.pool("pool", "python", 0);
    world.claim("c1", "pool", &json!({}));
    let claim = world.until_ready("SandboxClaim", "c1").await;
    assert_eq!(claim.value["status"]["sandbox"]["name"], "c1");
    let sandbox = world.get("Sandbox", "c1").unwrap();
    assert_eq!(sandbox.label(label::LAUNCH_TYPE), Some("cold"));
    assert_eq!(sandbox.annotation(annotation::TEMPLATE_REF), Some("python"));
    assert_eq!(sandbox.annotation(annotation::POD_NAME), Some("c1"));
    assert_eq!(
        types(&sandbox.value),
        ["Suspended", "PodScheduled", "Ready"]
    );
    assert_eq!(
        ready(&sandbox.value),
        ("True", "DependenciesReady", "Pod is Ready")
    );
    let first = history(&world, "Sandbox", "c1").await;
    let status = first
        .iter()
        .find(|event| event.object.value["status"].is_object())
        .unwrap();
    let (status, reason, message) = ready(&status.object.value);
    assert_eq!((status, reason), ("False", "DependenciesNotReady"));
    assert!(message.starts_with("Pod exists with phase: "), "{message}");
    let pod = world.get("Pod", "c1").unwrap();
    assert_eq!(pod.value["spec"]["dnsPolicy"], "None");
    assert_eq!(pod.value["spec"]["automountServiceAccountToken"], false);
    let reasons: Vec<_> = world
        .names("Event")
        .iter()
        .map(|name| world.get("Event", name).unwrap().value["reason"].clone())
        .collect();
    assert_eq!(reasons, ["SandboxProvisioned"]);
    world.end().await;
}

#[tokio::test]
async fn claims_recover_when_their_pool_and_template_appear() {
    let world = World::start().await;
    world.claim("c1", "pool", &json!({}));
    let missing = world
        .until_reason("SandboxClaim", "c1", "WarmPoolNotFound")
        .await;
    assert_eq!(missing["message"], "SandboxWarmPool \"pool\" not found");
    world.pool("pool", "later", 0);
    let missing = world
        .until_reason("SandboxClaim", "c1", "TemplateNotFound")
        .await;
    assert_eq!(missing["message"], "SandboxTemplate \"later\" not found");
    world.template("later", &json!({}), &json!({}));
    world.until_ready("SandboxClaim", "c1").await;
    world.end().await;
}

#[tokio::test]
async fn each_warm_sandbox_is_adopted_once_and_the_pool_fills_up_again() {
    let world = World::start().await;
    world.pool("pool", "python", 20);
    world.pool_is_ready("pool", 20).await;
    let warm: HashSet<String> = world.names("Sandbox").into_iter().collect();
    for i in 0..40 {
        world.claim(&format!("c{i}"), "pool", &json!({}));
    }
    let mut bound = HashSet::new();
    for i in 0..40 {
        let claim = world.until_ready("SandboxClaim", &format!("c{i}")).await;
        let name = claim.value["status"]["sandbox"]["name"]
            .as_str()
            .unwrap()
            .to_owned();
        let sandbox = world.get("Sandbox", &name).unwrap();
        assert!(sandbox.is_controlled_by(claim.uid()));
        assert!(bound.insert(name), "a sandbox was given away twice");
    }
    assert!(warm.is_subset(&bound));
    world.pool_is_ready("pool", 20).await;
    world.change("SandboxWarmPool", "pool", |pool| {
        pool["spec"]["replicas"] = json!(3);
    });
    world.pool_is_ready("pool", 3).await;
    assert_eq!(world.names("Sandbox").len(), 43);
    world.delete("SandboxWarmPool", "pool");
    for name in world.names("Sandbox") {
        if name.starts_with("pool-") && !bound.contains(&name) {
            world.until_gone("Sandbox", &name).await;
        }
    }
    assert_eq!(world.names("Sandbox").len(), 40);
    world.end().await;
}

#[tokio::test]
async fn young_claims_wait_for_a_pool_that_is_filling_and_go_cold_after_two_seconds() {
    let config = ClusterConfig {
        delays: Delays {
            pod_start: "300ms".parse().unwrap(),
            ..Default::default()
        },
        ..ClusterConfig::default()
    };
    let world = World::start_with(config).await;
    world.pool("pool", "python", 2);
    world
        .until("SandboxWarmPool", "pool", |v| {
            v.is_some_and(|v| v["status"]["replicas"] == 2)
        })
        .await;
    world.claim("c1", "pool", &json!({}));
    let claim = world.until_ready("SandboxClaim", "c1").await;
    let name = claim.value["status"]["sandbox"]["name"].as_str().unwrap();
    assert!(name.starts_with("pool-"), "{name}");

    world.template(
        "stuck",
        &json!({ "loopback.sandbench.dev/phase": "Failed" }),
        &json!({}),
    );
    world.pool("stuck", "stuck", 1);
    world
        .until("SandboxWarmPool", "stuck", |v| {
            v.is_some_and(|v| v["status"]["replicas"] == 1)
        })
        .await;
    world.claim("c2", "stuck", &json!({}));
    let failed = world.until_reason("SandboxClaim", "c2", "PodFailed").await;
    assert_eq!(failed["message"], "Pod failed");
    let claim = world.get("SandboxClaim", "c2").unwrap();
    assert_eq!(claim.value["status"]["sandbox"]["name"], "c2");
    assert_eq!(types(&claim.value), ["Finished", "Ready"]);
    world.end().await;
}

#[tokio::test]
async fn claims_that_ask_for_too_much_are_refused_with_upstreams_reasons() {
    let world = World::start().await;
    let volume = json!({ "metadata": { "name": "data" }, "spec": {} });
    world.template(
        "open",
        &json!({}),
        &json!({
            "envVarsInjectionPolicy": "Allowed", "volumeClaimTemplatesPolicy": "Allowed",
            "volumeClaimTemplates": [volume],
        }),
    );
    world.pool("closed", "python", 1);
    world.pool("open", "open", 0);
    let env = json!([{ "name": "A", "value": "1" }]);
    for (name, pool, fields, reason) in [
        (
            "env",
            "closed",
            json!({ "env": env }),
            "EnvVarsInjectionRejected",
        ),
        (
            "container",
            "open",
            json!({ "env": [{ "name": "A", "value": "1", "containerName": "x" }] }),
            "ReconcilerError",
        ),
        (
            "volume",
            "closed",
            json!({ "volumeClaimTemplates": [volume] }),
            "VolumeClaimTemplatesError",
        ),
        (
            "same-volume",
            "open",
            json!({ "volumeClaimTemplates": [volume] }),
            "VolumeClaimTemplatesError",
        ),
        (
            "no-name",
            "open",
            json!({ "volumeClaimTemplates": [{ "spec": {} }] }),
            "VolumeClaimTemplatesError",
        ),
        (
            "label",
            "closed",
            json!({ "additionalPodMetadata": { "labels": { "team": "b" } } }),
            "InvalidMetadata",
        ),
        (
            "router",
            "closed",
            json!({ "additionalPodMetadata": { "labels": { "app": "sandbox-router" } } }),
            "InvalidMetadata",
        ),
        (
            "annotation",
            "closed",
            json!({ "additionalPodMetadata": { "annotations": { "x.k8s.io/y": "z" } } }),
            "InvalidMetadata",
        ),
    ] {
        world.claim(name, pool, &fields);
        world.until_reason("SandboxClaim", name, reason).await;
        assert!(world.get("Sandbox", name).is_none(), "{name}");
    }
    world.claim("allowed", "open", &json!({ "env": env }));
    world.until_ready("SandboxClaim", "allowed").await;
    let pod = world.get("Pod", "allowed").unwrap();
    assert_eq!(pod.value["spec"]["containers"][0]["env"], env);
    world.end().await;
}

#[tokio::test]
async fn an_adoption_delay_holds_a_warm_claim_back_and_no_cold_one() {
    let config = ClusterConfig {
        delays: Delays {
            adoption: "400ms".parse().unwrap(),
            ..Default::default()
        },
        ..ClusterConfig::default()
    };
    let world = World::start_with(config).await;
    world.pool("pool", "python", 1);
    world.pool("empty", "python", 0);
    world.pool_is_ready("pool", 1).await;
    world.claim("warm", "pool", &json!({}));
    world.claim("cold", "empty", &json!({}));
    world.until_ready("SandboxClaim", "cold").await;
    assert!(!is_true(
        &world.get("SandboxClaim", "warm").unwrap().value,
        "Ready"
    ));
    world.until_ready("SandboxClaim", "warm").await;
    world.end().await;
}
