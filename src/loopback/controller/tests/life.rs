//! What becomes of sandboxes: suspended, lost, at their time, deleted.

use super::super::super::Leftovers;
use super::super::super::json::{Value, json};
use super::super::super::testing::World;
use super::super::{condition, is_true};
use super::{history, ready, types};
use crate::api::annotation;

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
    assert_eq!(world.cluster.leftovers(), Leftovers::default());
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
