//! The pod of a Sandbox: how upstream's controller builds it and keeps its metadata in line.
//!
//! Labels and annotations come from the pod template, without reserved keys; which ones did is
//! noted on the pod, so that one taken off the template is taken off the pod and others stay.

use super::super::json::{Map, Value, Word, json};
use super::super::store::Object;
use super::owned_by;
use crate::api::{EXTENSIONS_GROUP, annotation, label, name_hash};

const PROPAGATED_LABELS: &str = "agents.x-k8s.io/propagated-labels";
const PROPAGATED_ANNOTATIONS: &str = "agents.x-k8s.io/propagated-annotations";
const KNOWN_CREATORS: [&str; 3] = ["python-client", "go-client", "controller"];

/// A new pod for the Sandbox.
pub(super) fn pod_for(sandbox: &Object) -> Value {
    let mut spec = sandbox.value["spec"]["podTemplate"]["spec"].clone();
    for volume in volume_claim_templates(sandbox) {
        let name = volume["metadata"]["name"].as_str().unwrap_or_default();
        let mut volumes = spec["volumes"].as_array().cloned().unwrap_or_default();
        volumes.retain(|known| known["name"] != name);
        volumes.push(json!({ "name": name, "persistentVolumeClaim": {
            "claimName": format!("{name}-{}", sandbox.name()) } }));
        spec["volumes"] = Value::from(volumes);
    }
    let (labels, annotations) = wanted_metadata(sandbox);
    json!({
        "metadata": { "name": sandbox.name(), "labels": labels, "annotations": annotations,
            "ownerReferences": owned_by(sandbox) },
        "spec": spec,
    })
}

/// The Sandbox's volume claim templates.
pub(super) fn volume_claim_templates(sandbox: &Object) -> impl Iterator<Item = &Value> {
    let all = sandbox.value["spec"]["volumeClaimTemplates"].as_array();
    all.into_iter().flatten()
}

/// Whether labels or annotations of an existing pod are out of line with its Sandbox.
pub(super) fn differs(pod: &Object, sandbox: &Object) -> bool {
    let now = &pod.value["metadata"];
    let mut wanted = json!({ "labels": now["labels"], "annotations": now["annotations"] });
    sync_metadata(&mut wanted, sandbox);
    wanted["labels"] != now["labels"] || wanted["annotations"] != now["annotations"]
}

/// Brings labels and annotations of an existing pod in line with its Sandbox.
pub(super) fn sync_metadata(metadata: &mut Value, sandbox: &Object) {
    let (labels, annotations) = wanted_metadata(sandbox);
    let old = |list: &str| -> Vec<String> {
        let keys = metadata["annotations"][list].as_str().unwrap_or_default();
        keys.split(',')
            .filter(|key| !key.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let mut gone_labels = old(PROPAGATED_LABELS);
    gone_labels.push(label::WARM_POOL_SANDBOX.to_owned());
    let gone_annotations = old(PROPAGATED_ANNOTATIONS);
    if labels.get(label::CREATED_BY).is_none() {
        gone_labels.push(label::CREATED_BY.to_owned());
    }
    merge(&mut metadata["labels"], &gone_labels, labels);
    merge(&mut metadata["annotations"], &gone_annotations, annotations);
}

fn merge(target: &mut Value, gone: &[String], wanted: Map) {
    if !target.is_object() {
        *target = json!({});
    }
    let Some(target) = target.as_object_mut() else {
        return;
    };
    target.retain(|key, _| wanted.contains_key(key) || !gone.iter().any(|gone| *key == **gone));
    target.extend(wanted);
}

/// Labels and annotations that the pod should have.
fn wanted_metadata(sandbox: &Object) -> (Map, Map) {
    let template = &sandbox.value["spec"]["podTemplate"]["metadata"];
    let mut labels = unreserved(&template["labels"]);
    let mut annotations = unreserved(&template["annotations"]);
    let propagated = [joined(&labels), joined(&annotations)];
    let mut add = |key: &str, value: &str| labels.insert(key, json!(value));
    add(label::SANDBOX_NAME_HASH, &name_hash(sandbox.name()));
    let owner = sandbox.controller();
    let extension = owner
        .and_then(|owner| owner["apiVersion"].as_str())
        .is_some_and(|version| version.starts_with(EXTENSIONS_GROUP));
    if extension && let Some(hash) = sandbox.label(label::TEMPLATE_REF_HASH) {
        add(label::TEMPLATE_REF_HASH, hash);
    }
    let pooled = owner.is_some_and(|owner| owner["kind"] == "SandboxWarmPool");
    if pooled && let Some(hash) = sandbox.label(label::WARM_POOL_SANDBOX) {
        add(label::WARM_POOL_SANDBOX, hash);
    }
    if let Some(creator) = sandbox.label(label::CREATED_BY) {
        let known = KNOWN_CREATORS.contains(&creator);
        add(label::CREATED_BY, if known { creator } else { "unknown" });
    }
    let [of_labels, of_annotations] = propagated;
    annotations.insert(PROPAGATED_LABELS, json!(of_labels));
    annotations.insert(PROPAGATED_ANNOTATIONS, json!(of_annotations));
    (labels, annotations)
}

fn joined(map: &Map) -> String {
    let mut keys: Vec<&str> = map.keys().map(Word::as_str).collect();
    keys.sort_unstable();
    keys.join(",")
}

fn unreserved(values: &Value) -> Map {
    let reserved = |key: &str| {
        key.starts_with("agents.x-k8s.io/")
            || key.starts_with("extensions.agents.x-k8s.io/")
            || key == annotation::TRACE_CONTEXT
    };
    let entries = values.as_object().into_iter().flatten();
    entries
        .filter(|(key, _)| !reserved(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
