//! Snapshots in a running cluster: what triggers come to, what pods start from, what is left.

use std::path::PathBuf;

use super::super::controller::condition;
use super::super::json::{Value, json};
use super::super::testing::World;
use crate::api::label;
use crate::api::snapshot::{ORIGIN_POD, POD_RESTORED, RESTORE_FROM, TRIGGERED};

const TRIGGER: &str = "PodSnapshotManualTrigger";

impl World {
    /// A ready claim with a Sandbox of its name.
    async fn cold(&self, name: &str, fields: &Value) {
        if self.get("SandboxWarmPool", "cold").is_none() {
            self.pool("cold", "python", 0);
        }
        self.claim(name, "cold", fields);
        self.until_ready("SandboxClaim", name).await;
    }

    fn files(&self, pod: &str) -> PathBuf {
        let pod = self.get("Pod", pod).unwrap();
        let files = self.cluster.archive().pod(pod.uid());
        // A pod's directory is made when it is first needed, and this writes past its runtime.
        std::fs::create_dir_all(&files).unwrap();
        files
    }

    fn trigger(&self, name: &str, pod: &str) {
        let spec = json!({ "targetPod": pod });
        self.create(
            TRIGGER,
            json!({ "metadata": { "name": name }, "spec": spec }),
        );
    }

    /// The condition of a trigger once there is one, and the name of its snapshot.
    async fn answer(&self, trigger: &str) -> (Value, String) {
        let answered = |value: Option<&Value>| {
            value.is_some_and(|value| condition(value, TRIGGERED).is_some())
        };
        let found = self.until(TRIGGER, trigger, answered).await.unwrap();
        let name = found.value["status"]["snapshotCreated"]["name"].as_str();
        let condition = condition(&found.value, TRIGGERED).unwrap().clone();
        (condition, name.unwrap_or_default().to_owned())
    }

    async fn snapshot(&self, trigger: &str, pod: &str) -> String {
        self.trigger(trigger, pod);
        let (condition, name) = self.answer(trigger).await;
        assert_eq!(condition["status"], "True", "{condition}");
        assert_eq!(condition["reason"], "Complete");
        name
    }

    async fn switch(&self, sandbox: &str, mode: &str) {
        self.change("Sandbox", sandbox, |value| {
            value["spec"]["operatingMode"] = json!(mode);
        });
        if mode == "Suspended" {
            self.until_gone("Pod", sandbox).await;
        } else {
            self.until_ready("Pod", sandbox).await;
        }
    }

    fn restored(&self, pod: &str) -> Option<Value> {
        let pod = self.get("Pod", pod).unwrap();
        condition(&pod.value, POD_RESTORED).cloned()
    }
}

#[tokio::test]
async fn a_snapshot_says_of_which_pod_and_sandbox_it_is_and_a_trigger_for_no_pod_fails() {
    let world = World::start().await;
    world.cold("box", &json!({})).await;
    let name = world.snapshot("t1", "box").await;
    let snapshot = world.get("PodSnapshot", &name).unwrap();
    let hash = crate::api::name_hash("box");
    assert_eq!(snapshot.label(label::SANDBOX_NAME_HASH), Some(&hash[..]));
    assert_eq!(snapshot.annotation(ORIGIN_POD), Some("box"));
    assert_eq!(
        condition(&snapshot.value, "Ready").unwrap()["status"],
        "True"
    );
    world.trigger("t2", "nobody");
    let (failed, name) = world.answer("t2").await;
    assert_eq!(
        (&failed["status"], &failed["reason"]),
        (&json!("False"), &json!("Failed"))
    );
    assert_eq!(failed["message"], "pod \"nobody\" not found");
    assert_eq!(name, "");
    assert_eq!(world.cluster.leftovers().snapshots, 1);
    world.end().await;
}

#[tokio::test]
async fn the_copy_of_a_snapshot_goes_with_it_and_only_then() {
    let world = World::start().await;
    world.cold("box", &json!({})).await;
    let name = world.snapshot("t", "box").await;
    assert_eq!(
        world.cluster.archive().directories(),
        2,
        "the pod's and the copy"
    );
    world.delete("SandboxClaim", "box");
    world.until_gone("Pod", "box").await;
    assert_eq!(world.cluster.archive().directories(), 1, "the copy stays");
    world.delete("PodSnapshot", &name);
    while world.cluster.archive().directories() > 0 {
        tokio::task::yield_now().await;
    }
    world.end().await;
}

#[tokio::test]
async fn a_pod_starts_from_the_named_snapshot_else_from_the_newest_and_says_so() {
    let world = World::start().await;
    world.cold("box", &json!({})).await;
    assert_eq!(world.restored("box"), None);
    let mut names = Vec::new();
    for state in ["old", "new"] {
        std::fs::write(world.files("box").join("state"), state).unwrap();
        names.push(world.snapshot(state, "box").await);
    }
    let state = || std::fs::read_to_string(world.files("box").join("state"));
    let name_in_claim = |name: Value| {
        world.change("SandboxClaim", "box", |value| {
            value["spec"]["additionalPodMetadata"]["annotations"] = json!({ RESTORE_FROM: name });
        });
    };
    for (named, content, status) in [
        (None, Some("new"), "True"),
        (Some(names[0].as_str()), Some("old"), "True"),
        (Some("nothing"), None, "False"),
    ] {
        world.switch("box", "Suspended").await;
        if let Some(named) = named {
            name_in_claim(json!(named));
            let has = |value: Option<&Value>| {
                let metadata = &value.unwrap()["spec"]["podTemplate"]["metadata"];
                metadata["annotations"][RESTORE_FROM] == named
            };
            world.until("Sandbox", "box", has).await;
        }
        world.switch("box", "Running").await;
        assert_eq!(state().ok().as_deref(), content);
        let said = world.restored("box").unwrap();
        assert_eq!(said["status"], status, "{said}");
        let wanted = named.unwrap_or(&names[1]);
        assert!(said["message"].as_str().unwrap().contains(wanted), "{said}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_snapshot_that_somebody_made_by_hand_restores_nothing() {
    let world = World::start().await;
    world.cold("box", &json!({})).await;
    let labels = json!({ label::SANDBOX_NAME_HASH: crate::api::name_hash("box") });
    world.create(
        "PodSnapshot",
        json!({ "metadata": { "name": "mine", "labels": labels } }),
    );
    world.switch("box", "Suspended").await;
    world.switch("box", "Running").await;
    assert_eq!(world.restored("box"), None);
    world.delete("PodSnapshot", "mine");
    world.end().await;
}

#[tokio::test]
async fn both_directories_of_a_pod_with_both_runtimes_come_back() {
    let world = World::start().await;
    let container = |name: &str, port: u16| json!({ "name": name, "image": name, "ports": [{ "containerPort": port }] });
    let pod = json!({ "spec": { "containers": [container("a", 8888), container("b", 9090)] } });
    world.template("both", &json!({}), &json!({ "podTemplate": pod }));
    world.pool("both", "both", 0);
    world.claim("box", "both", &json!({}));
    world.until_ready("SandboxClaim", "box").await;
    let of_sandboxd = |path: PathBuf| format!("{}-sandboxd", path.display());
    std::fs::write(world.files("box").join("a"), "a").unwrap();
    let root = of_sandboxd(world.files("box"));
    std::fs::create_dir(&root).unwrap();
    std::fs::write(format!("{root}/b"), "b").unwrap();
    world.snapshot("t", "box").await;
    world.switch("box", "Suspended").await;
    world.switch("box", "Running").await;
    assert_eq!(std::fs::read(world.files("box").join("a")).unwrap(), b"a");
    let other = format!("{}/b", of_sandboxd(world.files("box")));
    assert_eq!(std::fs::read(other).unwrap(), b"b");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_in_the_middle_of_copies_leaves_nothing() {
    let world = World::start().await;
    world.cold("box", &json!({})).await;
    let files = world.files("box");
    for name in 0..2000 {
        std::fs::write(files.join(name.to_string()), "content").unwrap();
    }
    for name in 0..8 {
        world.trigger(&format!("t{name}"), "box");
    }
    while world.cluster.archive().directories() < 2 {
        tokio::task::yield_now().await;
    }
    world.end().await;
}

#[tokio::test]
async fn a_bound_claim_passes_on_what_it_adds_to_its_pod_and_takes_it_back() {
    let world = World::start().await;
    world.cold("box", &json!({})).await;
    let set = |annotations: Value| {
        world.change("SandboxClaim", "box", |value| {
            value["spec"]["additionalPodMetadata"]["annotations"] = annotations;
        });
    };
    let is = |wanted: Value| {
        move |value: Option<&Value>| {
            value.unwrap()["metadata"]["annotations"]["example.org/a"] == wanted
        }
    };
    set(json!({ "example.org/a": "1" }));
    world.until("Pod", "box", is(json!("1"))).await;
    set(json!({ "example.org/a": "2" }));
    world.until("Pod", "box", is(json!("2"))).await;
    let labels =
        &world.get("Sandbox", "box").unwrap().value["spec"]["podTemplate"]["metadata"]["labels"];
    assert_eq!(labels["team"], "a", "the template's own stay");
    set(json!({}));
    world.until("Pod", "box", is(Value::Null)).await;
    set(json!({ "x.k8s.io/y": "z" }));
    world
        .until_reason("SandboxClaim", "box", "InvalidMetadata")
        .await;
    world.end().await;
}
