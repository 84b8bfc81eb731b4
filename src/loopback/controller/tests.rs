//! The controllers in a running cluster: what they write, in which order, and what they leave.

use std::collections::HashSet;

use super::super::config::ClusterConfig;
use super::super::conversion::up;
use super::super::json::{Value, json};
use super::super::served::ServedVersions;
use super::super::store::{Event, EventKind, kind};
use super::super::testing::World;
use super::{condition, is_true};
use crate::api::{annotation, label, name_hash};

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
        delays: super::super::config::Delays {
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
async fn a_pod_that_never_becomes_ready_keeps_its_claim_waiting() {
    let world = World::start().await;
    world.template(
        "never",
        &json!({ "loopback.sandbench.dev/ready": "never" }),
        &json!({}),
    );
    world.pool("pool", "never", 0);
    world.claim("c1", "pool", &json!({}));
    let said = |value: Option<&Value>| {
        value.is_some_and(|value| {
            condition(value, "Ready")
                .is_some_and(|c| c["message"] == "Pod is Running but not Ready")
        })
    };
    let claim = world.until("SandboxClaim", "c1", said).await.unwrap();
    assert_eq!(ready(&claim.value).1, "DependenciesNotReady");
    world.end().await;
}

#[tokio::test]
async fn suspending_takes_the_pod_away_and_resuming_brings_another() {
    let world = World::start().await;
    world.pool("pool", "python", 0);
    world.claim("c1", "pool", &json!({}));
    world.until_ready("SandboxClaim", "c1").await;
    let first = world.get("Pod", "c1").unwrap();
    world.change("Sandbox", "c1", |v| {
        v["spec"]["operatingMode"] = json!("Suspended");
    });
    let suspended = |value: Option<&Value>| value.is_some_and(|value| is_true(value, "Suspended"));
    let sandbox = world.until("Sandbox", "c1", suspended).await.unwrap();
    assert_eq!(
        ready(&sandbox.value),
        ("False", "SandboxSuspended", "Sandbox is suspended")
    );
    assert_eq!(types(&sandbox.value), ["Suspended", "Ready"]);
    assert!(sandbox.value["status"]["podIPs"].is_null());
    assert_eq!(sandbox.annotation(annotation::POD_NAME), None);
    assert!(world.get("Pod", "c1").is_none());
    let reasons: Vec<_> = history(&world, "Sandbox", "c1")
        .await
        .iter()
        .filter_map(|event| {
            Some(
                condition(&event.object.value, "Suspended")?["reason"]
                    .as_str()?
                    .to_owned(),
            )
        })
        .collect();
    assert!(
        reasons.contains(&"PodTerminating".to_owned()),
        "{reasons:?}"
    );
    world
        .until_reason("SandboxClaim", "c1", "SandboxSuspended")
        .await;

    world.change("Sandbox", "c1", |v| {
        v["spec"]["operatingMode"] = json!("Running");
    });
    world.until_ready("SandboxClaim", "c1").await;
    let second = world.get("Pod", "c1").unwrap();
    assert_ne!(first.uid(), second.uid());
    assert_ne!(
        first.value["status"]["podIP"],
        second.value["status"]["podIP"]
    );
    world.end().await;
}

#[tokio::test]
async fn a_lost_pod_comes_again_with_another_address() {
    let world = World::start().await;
    world.pool("pool", "python", 0);
    world.claim("c1", "pool", &json!({}));
    world.until_ready("SandboxClaim", "c1").await;
    let first = world.get("Pod", "c1").unwrap();
    world.delete("Pod", "c1");
    let other = |value: Option<&Value>| {
        value.is_some_and(|v| v["metadata"]["uid"] != first.uid() && is_true(v, "Ready"))
    };
    let second = world.until("Pod", "c1", other).await.unwrap();
    let ip = second.value["status"]["podIP"].clone();
    assert_ne!(ip, first.value["status"]["podIP"]);
    let told = |value: Option<&Value>| {
        value
            .is_some_and(|v| v["status"]["sandbox"]["podIPs"] == json!([ip]) && is_true(v, "Ready"))
    };
    world.until("SandboxClaim", "c1", told).await;
    world.end().await;
}

#[tokio::test]
async fn claims_end_at_their_time_by_their_policy() {
    let world = World::start().await;
    world.pool("pool", "python", 0);
    let past = "2020-01-01T00:00:00Z";
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(300);
    for (name, time, policy) in [
        ("deleted", soon.to_string(), "Delete"),
        ("foreground", soon.to_string(), "DeleteForeground"),
        ("kept", soon.to_string(), "Retain"),
        ("late", past.to_owned(), "Retain"),
    ] {
        let lifecycle = json!({ "shutdownTime": time, "shutdownPolicy": policy });
        world.claim(name, "pool", &json!({ "lifecycle": lifecycle }));
    }
    for name in ["deleted", "foreground"] {
        world.until_gone("SandboxClaim", name).await;
        world.until_gone("Sandbox", name).await;
        world.until_gone("Pod", name).await;
    }
    for name in ["kept", "late"] {
        let expired = world
            .until_reason("SandboxClaim", name, "ClaimExpired")
            .await;
        assert_eq!(
            expired["message"],
            "Claim expired. Sandbox cleanup initiated."
        );
        world.until_gone("Pod", name).await;
        let unbound = |v: Option<&Value>| v.is_some_and(|v| v["status"]["sandbox"].is_null());
        world.until("SandboxClaim", name, unbound).await;
        assert!(world.get("Sandbox", name).is_none());
    }
    world.end().await;
}

#[tokio::test]
async fn a_sandbox_ends_at_its_time_and_stays_if_it_is_to_be_retained() {
    let world = World::start().await;
    let pod = json!({ "spec": { "containers": [{ "name": "main", "image": "python" }] } });
    for (name, policy) in [("kept", "Retain"), ("deleted", "Delete")] {
        let spec = json!({ "podTemplate": pod, "shutdownPolicy": policy, "service": true });
        world.create(
            "Sandbox",
            json!({ "metadata": { "name": name }, "spec": spec }),
        );
        world.until_ready("Sandbox", name).await;
        world.change("Sandbox", name, |v| {
            v["spec"]["shutdownTime"] = json!("2020-01-01T00:00:00Z");
        });
    }
    world
        .until_reason("Sandbox", "kept", "SandboxExpired")
        .await;
    world.until_gone("Pod", "kept").await;
    world.until_gone("Service", "kept").await;
    world.until_gone("Sandbox", "deleted").await;
    world.until_gone("Pod", "deleted").await;
    let kept = world.get("Sandbox", "kept").unwrap();
    assert_eq!(
        ready(&kept.value),
        ("False", "SandboxExpired", "Sandbox has expired")
    );
    assert_eq!(types(&kept.value), ["Suspended", "Ready"]);
    let fields: Vec<_> = kept.value["status"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["conditions"]);
    world.end().await;
}

#[tokio::test]
async fn deleting_a_claim_takes_everything_of_it_away() {
    let world = World::start().await;
    world.template("full", &json!({}), &json!({
        "service": true,
        "volumeClaimTemplates": [{ "metadata": { "name": "data" }, "spec": { "accessModes": ["ReadWriteOnce"] } }],
    }));
    world.pool("pool", "full", 0);
    world.claim("c1", "pool", &json!({}));
    world.until_ready("SandboxClaim", "c1").await;
    world
        .until("EndpointSlice", "c1-loopback", |v| {
            v.is_some_and(|v| v["endpoints"][0]["conditions"]["ready"] == true)
        })
        .await;
    assert_eq!(world.names("PersistentVolumeClaim"), ["data-c1"]);
    let sandbox = world.get("Sandbox", "c1").unwrap();
    assert_eq!(ready(&sandbox.value).2, "Pod is Ready; Service Exists");
    assert_eq!(
        sandbox.value["status"]["serviceFQDN"],
        "c1.default.svc.cluster.local"
    );
    let service = world.get("Service", "c1").unwrap();
    assert_eq!(
        service.value["spec"]["ports"],
        json!([
            { "name": "p-8888-tcp", "port": 8888, "targetPort": 8888, "protocol": "TCP" }
        ])
    );
    world.delete("SandboxClaim", "c1");
    for (kind_name, name) in [
        ("Sandbox", "c1"),
        ("Pod", "c1"),
        ("Service", "c1"),
        ("EndpointSlice", "c1-loopback"),
        ("PersistentVolumeClaim", "data-c1"),
    ] {
        world.until_gone(kind_name, name).await;
    }
    assert_eq!(
        world.cluster.leftovers(),
        super::super::Leftovers::default()
    );
    world.end().await;
}

#[tokio::test]
async fn a_claim_under_a_name_that_an_old_sandbox_has_heals_when_it_is_gone() {
    let world = World::start().await;
    world.pool("pool", "python", 0);
    let pod = json!({ "spec": { "containers": [{ "name": "main", "image": "python" }] } });
    world.create(
        "Sandbox",
        json!({ "metadata": { "name": "c1" }, "spec": { "podTemplate": pod } }),
    );
    world.claim("c1", "pool", &json!({}));
    let error = world
        .until_reason("SandboxClaim", "c1", "ReconcilerError")
        .await;
    assert_eq!(
        error["message"],
        "Error seen: sandbox \"c1\" is not controlled by claim \"c1\". Please use a different claim name or delete the sandbox manually"
    );
    world.delete("Sandbox", "c1");
    world.until_ready("SandboxClaim", "c1").await;
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
        delays: super::super::config::Delays {
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
