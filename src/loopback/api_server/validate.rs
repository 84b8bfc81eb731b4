//! Defaults and rules of the served kinds.
//!
//! Source: the custom resource definitions of Agent Sandbox (v1beta1) and the API server's defaults
//! of built-in kinds.

use super::super::json::{Value, json};
use super::super::store::Kind;
use super::object_path::ObjectPath;
use super::request::Query;
use super::status::Refusal;

/// The fields of a `v1alpha1` spec where they differ from those of `v1beta1`.
fn old_spec_fields(kind: &str) -> Option<&'static [&'static str]> {
    match kind {
        "SandboxClaim" => Some(&[
            "sandboxTemplateRef",
            "warmpool",
            "lifecycle",
            "additionalPodMetadata",
            "env",
        ]),
        "Sandbox" => Some(&[
            "podTemplate",
            "volumeClaimTemplates",
            "service",
            "replicas",
            "shutdownTime",
            "shutdownPolicy",
        ]),
        "SandboxTemplate" => Some(&[
            "podTemplate",
            "volumeClaimTemplates",
            "service",
            "networkPolicyManagement",
            "networkPolicy",
            "envVarsInjectionPolicy",
        ]),
        _ => spec_fields(kind),
    }
}

/// The fields of a custom resource's spec; with strict validation others are refused.
fn spec_fields(kind: &str) -> Option<&'static [&'static str]> {
    match kind {
        "SandboxClaim" => Some(&[
            "warmPoolRef",
            "lifecycle",
            "additionalPodMetadata",
            "env",
            "volumeClaimTemplates",
        ]),
        "Sandbox" => Some(&[
            "podTemplate",
            "volumeClaimTemplates",
            "service",
            "operatingMode",
            "shutdownTime",
            "shutdownPolicy",
        ]),
        "SandboxTemplate" => Some(&[
            "podTemplate",
            "volumeClaimTemplates",
            "service",
            "networkPolicyManagement",
            "networkPolicy",
            "envVarsInjectionPolicy",
            "volumeClaimTemplatesPolicy",
        ]),
        "SandboxWarmPool" => Some(&["replicas", "sandboxTemplateRef", "updateStrategy"]),
        _ => None,
    }
}

/// The object in the body must be the one in the URL.
pub(super) fn matches_path(target: &ObjectPath, value: &Value) -> Result<(), Refusal> {
    if !value.is_object() {
        return Err(Refusal::bad_request("the object is not a JSON object"));
    }
    let kind = value["kind"].as_str().unwrap_or(target.kind.kind);
    if kind != target.kind.kind && target.subresource.is_none() {
        return Err(Refusal::bad_request(&format!(
            "the object provided is a {kind}, not a {}",
            target.kind.kind
        )));
    }
    let version = value["apiVersion"].as_str().unwrap_or_default();
    let expected = target.view.api_version();
    if !version.is_empty() && version != expected && target.subresource.is_none() {
        return Err(Refusal::bad_request(&format!(
            "the API version in the data ({version}) does not match the expected API version \
             ({expected})"
        )));
    }
    let namespace = value["metadata"]["namespace"].as_str().unwrap_or_default();
    if !namespace.is_empty() && namespace != target.namespace {
        return Err(Refusal::bad_request(&format!(
            "the namespace of the provided object does not match the namespace sent on the request \
             ({namespace:?} and {:?})",
            target.namespace
        )));
    }
    let name = value["metadata"]["name"].as_str().unwrap_or_default();
    if !target.name.is_empty() && name != target.name {
        return Err(Refusal::bad_request(&format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            target.name
        )));
    }
    Ok(())
}

/// Applies the kind's defaults and rules to a new object.
pub(super) fn new_object(
    kind: &'static Kind,
    value: &mut Value,
    query: &Query,
) -> Result<(), Refusal> {
    defaults(kind, value);
    rules(kind, value, query)
}

/// Applies them again after a patch.
pub(super) fn patched(
    kind: &'static Kind,
    value: &mut Value,
    query: &Query,
) -> Result<(), Refusal> {
    new_object(kind, value, query)
}

/// Applies the defaults and rules of `v1alpha1`, before the conversion.
pub(super) fn old_object(
    kind: &'static Kind,
    value: &mut Value,
    query: &Query,
) -> Result<(), Refusal> {
    prune(old_spec_fields(kind.kind), value, query)?;
    let name = value["metadata"]["name"].as_str().unwrap_or_default();
    let invalid =
        |field: &str, message: &str| Err(Refusal::invalid_object(kind, name, field, message));
    let spec = &value["spec"];
    match kind.kind {
        "SandboxClaim" if !spec["sandboxTemplateRef"]["name"].is_string() => {
            return invalid("spec.sandboxTemplateRef", "Required value");
        }
        "Sandbox"
            if !spec["replicas"].is_null() && spec["replicas"].as_u64().is_none_or(|n| n > 1) =>
        {
            return invalid("spec.replicas", "Invalid value: should be 0 or 1");
        }
        _ => {}
    }
    match kind.kind {
        "SandboxClaim" => default(&mut value["spec"], "warmpool", json!("default")),
        "Sandbox" => default(&mut value["spec"], "replicas", json!(1)),
        _ => {}
    }
    Ok(())
}

/// Takes unknown fields off a spec; with strict validation they are refused.
fn prune(
    known: Option<&'static [&'static str]>,
    value: &mut Value,
    query: &Query,
) -> Result<(), Refusal> {
    if let Some(known) = known
        && let Some(spec) = value["spec"].as_object_mut()
    {
        let unknown = spec
            .keys()
            .find(|key| !known.contains(&key.as_str()))
            .cloned();
        if let Some(unknown) = unknown.filter(|_| query.is_strict()) {
            return Err(Refusal::bad_request(&format!(
                "strict decoding error: unknown field \"spec.{unknown}\""
            )));
        }
        spec.retain(|key, _| known.contains(&key.as_str()));
    }
    Ok(())
}

fn rules(kind: &'static Kind, value: &mut Value, query: &Query) -> Result<(), Refusal> {
    prune(spec_fields(kind.kind), value, query)?;
    let name = value["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let invalid =
        |field: &str, message: &str| Err(Refusal::invalid_object(kind, &name, field, message));
    let spec = &value["spec"];
    match kind.kind {
        "SandboxClaim" if !spec["warmPoolRef"]["name"].is_string() => {
            invalid("spec.warmPoolRef", "Required value")
        }
        "SandboxWarmPool" if !spec["sandboxTemplateRef"]["name"].is_string() => {
            invalid("spec.sandboxTemplateRef", "Required value")
        }
        "SandboxWarmPool"
            if spec["replicas"]
                .as_u64()
                .is_none_or(|count| count > 100_000) =>
        {
            invalid(
                "spec.replicas",
                "Invalid value: should be a number from 0 to 100000",
            )
        }
        "Sandbox" | "SandboxTemplate"
            if spec["podTemplate"]["spec"]["containers"]
                .as_array()
                .is_none_or(Vec::is_empty) =>
        {
            invalid("spec.podTemplate.spec.containers", "Required value")
        }
        "Sandbox"
            if ["Running", "Suspended"]
                .iter()
                .all(|mode| spec["operatingMode"] != *mode) =>
        {
            invalid(
                "spec.operatingMode",
                "Unsupported value: use \"Running\" or \"Suspended\"",
            )
        }
        "PodSnapshotManualTrigger" if spec["targetPod"].as_str().is_none_or(str::is_empty) => {
            invalid("spec.targetPod", "Required value")
        }
        "Pod" if spec["containers"].as_array().is_none_or(Vec::is_empty) => {
            invalid("spec.containers", "Required value")
        }
        _ => Ok(()),
    }
}

/// A Sandbox has its volumes for life: the one rule over time that its definition has.
pub(super) fn volumes_stay(
    target: &ObjectPath,
    before: &Value,
    after: &Value,
) -> Result<(), Refusal> {
    if target.kind.kind != "Sandbox" || after["spec"]["volumeClaimTemplates"] == *before {
        return Ok(());
    }
    let message = "Invalid value: \"object\": volumeClaimTemplates is immutable";
    Err(Refusal::invalid(target, "spec", message))
}

fn default(value: &mut Value, field: &str, wanted: Value) {
    if value[field].is_null() {
        value[field] = wanted;
    }
}

fn defaults(kind: &Kind, value: &mut Value) {
    let spec = &mut value["spec"];
    match kind.kind {
        "SandboxClaim" if spec["lifecycle"].is_object() => {
            default(&mut spec["lifecycle"], "shutdownPolicy", json!("Retain"));
        }
        "Sandbox" => {
            default(spec, "operatingMode", json!("Running"));
            default(spec, "shutdownPolicy", json!("Retain"));
        }
        "SandboxTemplate" => {
            default(spec, "networkPolicyManagement", json!("Managed"));
            default(spec, "envVarsInjectionPolicy", json!("Disallowed"));
            default(spec, "volumeClaimTemplatesPolicy", json!("Disallowed"));
        }
        "SandboxWarmPool" => {
            default(spec, "replicas", json!(1));
            if spec["updateStrategy"].is_null() {
                spec["updateStrategy"] = json!({});
            }
            default(&mut spec["updateStrategy"], "type", json!("OnReplenish"));
        }
        "Namespace" => {
            let name = value["metadata"]["name"].clone();
            value["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
            if value["spec"].is_null() {
                value["spec"] = json!({ "finalizers": ["kubernetes"] });
            }
        }
        _ => {}
    }
}

/// The `Scale` view of a warm pool.
pub(super) fn scale(pool: &Value) -> Value {
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": pool["metadata"]["name"], "namespace": pool["metadata"]["namespace"],
            "uid": pool["metadata"]["uid"], "resourceVersion": pool["metadata"]["resourceVersion"],
            "creationTimestamp": pool["metadata"]["creationTimestamp"],
        },
        "spec": { "replicas": pool["spec"]["replicas"] },
        "status": { "replicas": pool["status"]["replicas"].as_u64().unwrap_or(0),
            "selector": pool["status"]["selector"].as_str().unwrap_or_default() },
    })
}
