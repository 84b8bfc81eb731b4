//! What a claim may ask for beside its pool: pod metadata, environment, volumes.
//!
//! Each rule either changes the spec of the cold Sandbox or refuses the claim with upstream's reason.

use std::borrow::Cow;

use super::super::json::{Value, json};
use super::super::store::Object;

/// The domain that pod labels of a claim may have, with its sub-domains.
const LABEL_DOMAIN: &str = "sandbox.users.io";
/// Domains that pod annotations of a claim may not have, with their sub-domains.
const RESERVED_DOMAINS: [&str; 3] = ["kubernetes.io", "k8s.io", "agents.x-k8s.io"];
/// The one annotation of a reserved domain that is allowed.
const SAFE_TO_EVICT: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict";

/// Why a claim is not served: reason and message of its `Ready` condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: Cow<'static, str>,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            message: message.into(),
        }
    }

    /// `ReconcilerError`, which upstream retries.
    pub(super) fn error(message: impl std::fmt::Display) -> Self {
        Self::new("ReconcilerError", format!("Error seen: {message}"))
    }
}

/// What a template lets a claim do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    Disallowed,
    Allowed,
    Overrides,
}

impl Policy {
    fn of(template: &Object, field: &str) -> Self {
        match template.value["spec"][field].as_str() {
            Some("Allowed") => Self::Allowed,
            Some("Overrides") => Self::Overrides,
            _ => Self::Disallowed,
        }
    }
}

/// Whether a claim asks for what no pooled Sandbox has.
pub(super) fn needs_own(claim: &Object) -> bool {
    !items(claim, "env").is_empty() || !items(claim, "volumeClaimTemplates").is_empty()
}

fn items<'a>(claim: &'a Object, field: &str) -> &'a [Value] {
    claim.value["spec"][field]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

fn is_in(domain: &str, parent: &str) -> bool {
    domain == parent
        || domain
            .strip_suffix(parent)
            .is_some_and(|rest| rest.ends_with('.'))
}

/// Checks the pod labels and annotations that a claim adds.
pub(super) fn check_metadata(claim: &Object, template: &Object) -> Result<(), Refusal> {
    let invalid = |message: String| Err(Refusal::new("InvalidMetadata", message));
    let wanted = &claim.value["spec"]["additionalPodMetadata"];
    let known = &template.value["spec"]["podTemplate"]["metadata"];
    for (key, value) in wanted["labels"].as_object().into_iter().flatten() {
        if key == "app" && value == "sandbox-router" {
            return invalid("label app=sandbox-router is reserved".to_owned());
        }
        let domain = key.split_once('/').map_or("", |(domain, _)| domain);
        if !is_in(domain, LABEL_DOMAIN) {
            return invalid(format!(
                "label key \"{key}\" is not in an allowed domain ({LABEL_DOMAIN})"
            ));
        }
    }
    for (key, _) in wanted["annotations"].as_object().into_iter().flatten() {
        let domain = key.split_once('/').map_or("", |(domain, _)| domain);
        if key != SAFE_TO_EVICT && RESERVED_DOMAINS.iter().any(|parent| is_in(domain, parent)) {
            return invalid(format!("annotation key \"{key}\" is in a reserved domain"));
        }
    }
    for part in ["labels", "annotations"] {
        for (key, value) in wanted[part].as_object().into_iter().flatten() {
            let own = &known[part][key.as_str()];
            if !own.is_null() && own != value {
                return Err(Refusal::error(format_args!(
                    "additionalPodMetadata conflicts with the template in {part} \"{key}\""
                )));
            }
        }
    }
    Ok(())
}

/// Adds the claim's environment variables to the Sandbox's spec, as far as the template lets it.
pub(super) fn add_env(spec: &mut Value, claim: &Object, template: &Object) -> Result<(), Refusal> {
    let variables = items(claim, "env");
    if variables.is_empty() {
        return Ok(());
    }
    let policy = Policy::of(template, "envVarsInjectionPolicy");
    let rejected = |message: &str| Err(Refusal::new("EnvVarsInjectionRejected", message));
    if policy == Policy::Disallowed {
        return rejected("environment variable injection is not allowed by the SandboxTemplate");
    }
    let Some(containers) = spec["podTemplate"]["spec"]["containers"].as_array_mut() else {
        return Err(Refusal::error("the template has no containers"));
    };
    for variable in variables {
        let name = variable["containerName"]
            .as_str()
            .filter(|name| !name.is_empty());
        let found = match name {
            None => containers.first_mut(),
            Some(name) => containers.iter_mut().find(|known| known["name"] == name),
        };
        let Some(container) = found else {
            let name = name.unwrap_or_default();
            return Err(Refusal::error(format_args!(
                "container \"{name}\" not found"
            )));
        };
        let from = container["envFrom"]
            .as_array()
            .is_some_and(|all| !all.is_empty());
        if policy == Policy::Allowed && from {
            return rejected(
                "environment variable injection into a container with envFrom needs the policy Overrides",
            );
        }
        let mut env = container["env"].as_array().cloned().unwrap_or_default();
        let replaces = env.iter().any(|known| known["name"] == variable["name"]);
        if policy == Policy::Allowed && replaces {
            return Err(Refusal::error(format_args!(
                "environment variable {} exists already and the policy is Allowed",
                variable["name"]
            )));
        }
        env.retain(|known| known["name"] != variable["name"]);
        env.push(json!({ "name": variable["name"], "value": variable["value"] }));
        container["env"] = Value::from(env);
    }
    Ok(())
}

/// Adds the claim's volumes to the template's; under `Overrides` one of the same name replaces it.
pub(super) fn merge_volumes(
    spec: &mut Value,
    claim: &Object,
    template: &Object,
) -> Result<(), Refusal> {
    let wanted = items(claim, "volumeClaimTemplates");
    if wanted.is_empty() {
        return Ok(());
    }
    let wrong = |message: String| Err(Refusal::new("VolumeClaimTemplatesError", message));
    let policy = Policy::of(template, "volumeClaimTemplatesPolicy");
    if policy == Policy::Disallowed {
        return wrong("volumeClaimTemplates are not allowed by the SandboxTemplate".to_owned());
    }
    let mut volumes = spec["volumeClaimTemplates"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let of_template = volumes.len();
    for volume in wanted {
        let name = volume["metadata"]["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            return wrong("a volumeClaimTemplate has no name".to_owned());
        }
        let same = |known: &Value| known["metadata"]["name"] == name;
        match volumes.iter().position(same) {
            None => volumes.push(volume.clone()),
            Some(at) if at >= of_template => {
                return wrong(format!("volumeClaimTemplate \"{name}\" is given twice"));
            }
            Some(at) if policy == Policy::Overrides => volumes[at] = volume.clone(),
            Some(_) => {
                return wrong(format!(
                    "volumeClaimTemplate \"{name}\" exists in the template"
                ));
            }
        }
    }
    spec["volumeClaimTemplates"] = Value::from(volumes);
    Ok(())
}
