//! `v1alpha1` to `v1beta1` and back, as upstream's conversion webhook does it.
//!
//! What `v1beta1` cannot hold of a `v1alpha1` object rides in an annotation of the stored object, so that
//! a `v1alpha1` reader gets back what was written. Source: kubernetes-sigs/agent-sandbox, conversion
//! of 0.5.

use super::json::{Map, Value, json};
use super::store::Kind;
use crate::api::ApiVersion;

/// Name of the pool that stands for "any pool of this template", before the template's name.
pub(super) const SHADOW_POOL: &str = "shadow-pool-";
/// Where a template's policy rides that `v1alpha1` does not know.
const VOLUMES_POLICY: &str = "api.agents.x-k8s.io/v1beta1-volume-claim-templates-policy";

/// The annotation that holds what a `v1alpha1` client wrote.
fn state_key(kind: &Kind) -> String {
    format!(
        "api.agents.x-k8s.io/v1alpha1-{}-state",
        kind.kind.to_lowercase()
    )
}

/// What a `v1alpha1` client wrote as the spec of a stored object.
pub(super) fn written_spec(kind: &Kind, stored: &Value) -> Option<Value> {
    let state = stored["metadata"]["annotations"][state_key(kind)].as_str()?;
    let mut state: Value = serde_json::from_str(state).ok()?;
    Some(state["spec"].take())
}

/// Makes a `v1alpha1` object one of `v1beta1`.
pub(super) fn up(kind: &Kind, value: &mut Value) {
    let state = json!({
        "apiVersion": format!("{}/{}", kind.group, ApiVersion::V1Alpha1), "kind": kind.kind,
        "metadata": { "name": value["metadata"]["name"] }, "spec": value["spec"],
    });
    let claims_pool = (kind.kind == "SandboxClaim").then(|| pool_of(value));
    value["apiVersion"] = json!(kind.api_version());
    if let Some(spec) = value["spec"].as_object_mut() {
        match kind.kind {
            "Sandbox" => {
                let suspended = spec.remove("replicas").is_some_and(|count| count == 0);
                let mode = if suspended { "Suspended" } else { "Running" };
                spec.insert("operatingMode", json!(mode));
            }
            "SandboxClaim" => {
                spec.remove("sandboxTemplateRef");
                spec.remove("warmpool");
                let pool = json!({ "name": claims_pool.unwrap_or_default() });
                spec.insert("warmPoolRef", pool);
            }
            _ => {}
        }
    }
    if kind.kind == "Sandbox"
        && let Some(status) = value["status"].as_object_mut()
    {
        status.remove("replicas");
    }
    if kind.kind == "SandboxTemplate" {
        let policy = annotations(value).remove(VOLUMES_POLICY);
        if let Some(policy) = policy {
            value["spec"]["volumeClaimTemplatesPolicy"] = policy;
        }
    }
    annotations(value).insert(state_key(kind), json!(state.to_string()));
}

/// Makes a stored object one of `v1alpha1`.
pub(super) fn down(kind: &Kind, value: &mut Value) {
    let written = written_spec(kind, value);
    value["apiVersion"] = json!(format!("{}/{}", kind.group, ApiVersion::V1Alpha1));
    match kind.kind {
        "Sandbox" => {
            let suspended = value["spec"]["operatingMode"] == "Suspended";
            let replicas = json!(u8::from(!suspended));
            if let Some(spec) = value["spec"].as_object_mut() {
                spec.remove("operatingMode");
                spec.insert("replicas", replicas.clone());
            }
            if let Some(status) = value["status"].as_object_mut() {
                status.remove("nodeName");
                status.insert("replicas", replicas);
            }
        }
        "SandboxClaim" => claim_down(value, written.as_ref()),
        "SandboxTemplate" => {
            let policy = value["spec"]
                .as_object_mut()
                .and_then(|spec| spec.remove("volumeClaimTemplatesPolicy"));
            if let Some(policy) = policy.filter(|policy| policy != "Disallowed") {
                annotations(value).insert(VOLUMES_POLICY, policy);
            }
        }
        _ => {}
    }
    if let Some(all) = value["metadata"]["annotations"].as_object_mut() {
        all.remove(&state_key(kind));
    }
}

fn claim_down(value: &mut Value, written: Option<&Value>) {
    let pool = value["spec"]["warmPoolRef"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let restored = written.filter(|spec| {
        let as_written = json!({
            "metadata": { "name": value["metadata"]["name"] }, "spec": spec,
            "status": value["status"],
        });
        pool_of(&as_written) == pool || shadow_of(spec) == pool
    });
    let (template, policy) = match (restored, pool.strip_prefix(SHADOW_POOL)) {
        (Some(spec), _) => (spec["sandboxTemplateRef"].clone(), spec["warmpool"].clone()),
        (None, Some(template)) => (json!({ "name": template }), json!("default")),
        (None, None) => (json!({ "name": pool }), json!(pool)),
    };
    if let Some(spec) = value["spec"].as_object_mut() {
        spec.remove("warmPoolRef");
        spec.remove("volumeClaimTemplates");
        spec.insert("sandboxTemplateRef", template);
        spec.insert("warmpool", policy);
    }
}

fn shadow_of(spec: &Value) -> String {
    let template = spec["sandboxTemplateRef"]["name"].as_str();
    format!("{SHADOW_POOL}{}", template.unwrap_or_default())
}

/// The pool of a `v1alpha1` claim: the named one; else the one that its Sandbox's name tells; else
/// the template's shadow pool.
fn pool_of(claim: &Value) -> String {
    let policy = claim["spec"]["warmpool"].as_str().unwrap_or_default();
    if !["", "default", "none"].contains(&policy) {
        return policy.to_owned();
    }
    let name = claim["metadata"]["name"].as_str();
    let bound = claim["status"]["sandbox"]["name"].as_str();
    let warm = bound.filter(|bound| Some(*bound) != name);
    match warm.and_then(|sandbox| sandbox.rsplit_once('-')) {
        Some((pool, _)) => pool.to_owned(),
        None => shadow_of(&claim["spec"]),
    }
}

fn annotations(value: &mut Value) -> &mut Map {
    let all = &mut value["metadata"]["annotations"];
    if !all.is_object() {
        *all = json!({});
    }
    all.as_object_mut().expect("it was made an object above")
}

#[cfg(test)]
mod tests {
    use super::super::store::kind;
    use super::*;

    fn claim(spec: &Value) -> Value {
        json!({ "apiVersion": "extensions.agents.x-k8s.io/v1alpha1", "kind": "SandboxClaim",
            "metadata": { "name": "c", "annotations": {} }, "spec": spec })
    }

    #[test]
    fn a_claim_comes_back_as_it_was_written() {
        for (policy, pool) in [
            ("default", "shadow-pool-t"),
            ("none", "shadow-pool-t"),
            ("p", "p"),
        ] {
            let written =
                claim(&json!({ "sandboxTemplateRef": { "name": "t" }, "warmpool": policy }));
            let mut value = written.clone();
            up(kind("SandboxClaim"), &mut value);
            assert_eq!(value["spec"], json!({ "warmPoolRef": { "name": pool } }));
            assert_eq!(value["apiVersion"], "extensions.agents.x-k8s.io/v1beta1");
            down(kind("SandboxClaim"), &mut value);
            assert_eq!(value, written);
        }
    }

    #[test]
    fn a_claim_of_v1beta1_shows_its_pool_as_template_and_pool() {
        for (pool, template, policy) in [("p", "p", "p"), ("shadow-pool-t", "t", "default")] {
            let mut value = claim(&json!({ "warmPoolRef": { "name": pool } }));
            down(kind("SandboxClaim"), &mut value);
            let spec = json!({ "sandboxTemplateRef": { "name": template }, "warmpool": policy });
            assert_eq!(value["spec"], spec);
        }
    }

    #[test]
    fn a_bound_claim_names_the_pool_of_its_sandbox() {
        let mut value =
            claim(&json!({ "sandboxTemplateRef": { "name": "t" }, "warmpool": "default" }));
        value["status"] = json!({ "sandbox": { "name": "some-pool-x7k2p" } });
        up(kind("SandboxClaim"), &mut value);
        assert_eq!(value["spec"]["warmPoolRef"]["name"], "some-pool");
    }

    #[test]
    fn replicas_are_the_operating_mode() {
        for (replicas, mode) in [
            (json!(0), "Suspended"),
            (json!(1), "Running"),
            (Value::Null, "Running"),
        ] {
            let mut value = json!({ "metadata": { "name": "s" }, "spec": { "replicas": replicas },
                "status": { "nodeName": "n", "replicas": 1 } });
            up(kind("Sandbox"), &mut value);
            assert_eq!(value["spec"]["operatingMode"], mode);
            down(kind("Sandbox"), &mut value);
            let expected = u8::from(mode == "Running");
            assert_eq!(value["spec"], json!({ "replicas": expected }));
            assert_eq!(value["status"], json!({ "replicas": expected }));
        }
    }

    #[test]
    fn a_policy_that_v1alpha1_does_not_know_survives_its_writes() {
        let stored = json!({ "metadata": { "name": "t", "annotations": {} },
            "spec": { "volumeClaimTemplatesPolicy": "Overrides" } });
        let mut value = stored.clone();
        down(kind("SandboxTemplate"), &mut value);
        assert!(value["spec"]["volumeClaimTemplatesPolicy"].is_null());
        up(kind("SandboxTemplate"), &mut value);
        assert_eq!(value["spec"], stored["spec"]);
    }
}
