//! Where a claim's Sandbox comes from: its template, and the pools that it may adopt from.

use std::sync::Arc;

use super::super::conversion::written_spec;
use super::super::served::ServedVersions;
use super::super::store::{Object, Selector, Store, kind};
use super::adoption::Pool;
use super::claim_rules::Refusal;
use crate::api::name_hash;

/// A claim's template and pools, the first to be asked first.
pub(super) struct Source {
    pub(super) template: Arc<Object>,
    pub(super) pools: Vec<Pool>,
}

/// Looks up the template and the pools of a claim.
pub(super) fn source_of(
    store: &Store,
    claim: &Object,
    served: ServedVersions,
) -> Result<Source, Refusal> {
    if served == ServedVersions::V1Alpha1 {
        return by_template(store, claim);
    }
    let namespace = claim.namespace();
    let pool_name = claim.value["spec"]["warmPoolRef"]["name"]
        .as_str()
        .unwrap_or_default();
    let pool = store
        .get(kind("SandboxWarmPool"), namespace, pool_name)
        .ok_or_else(|| missing("WarmPoolNotFound", "SandboxWarmPool", pool_name))?;
    let name = pool.value["spec"]["sandboxTemplateRef"]["name"].as_str();
    Ok(Source {
        template: template(store, namespace, name.unwrap_or_default())?,
        pools: vec![(namespace.to_owned(), name_hash(pool_name))],
    })
}

/// The rule of controllers up to 0.4: the claim names a template; it adopts from any pool of it, from
/// the one that it names, or, with `none`, from no pool.
fn by_template(store: &Store, claim: &Object) -> Result<Source, Refusal> {
    let namespace = claim.namespace();
    let spec = written_spec(claim.kind, &claim.value).unwrap_or_default();
    let name = spec["sandboxTemplateRef"]["name"]
        .as_str()
        .unwrap_or_default();
    let template = template(store, namespace, name)?;
    let pools = match spec["warmpool"].as_str() {
        Some("none") => Vec::new(),
        None | Some("" | "default") => {
            let all = Selector::default();
            let (pools, _) = store.list(kind("SandboxWarmPool"), Some(namespace), &all);
            let uses = |pool: &&Arc<Object>| {
                pool.value["spec"]["sandboxTemplateRef"]["name"] == template.name()
            };
            let names = pools.iter().filter(uses).map(|pool| pool.name().to_owned());
            names.collect()
        }
        Some(named) => vec![named.to_owned()],
    };
    let pools = pools.into_iter();
    Ok(Source {
        template,
        pools: pools
            .map(|pool| (namespace.to_owned(), name_hash(&pool)))
            .collect(),
    })
}

fn template(store: &Store, namespace: &str, name: &str) -> Result<Arc<Object>, Refusal> {
    store
        .get(kind("SandboxTemplate"), namespace, name)
        .ok_or_else(|| missing("TemplateNotFound", "SandboxTemplate", name))
}

fn missing(reason: &'static str, kind: &str, name: &str) -> Refusal {
    Refusal::new(reason, format!("{kind} \"{name}\" not found"))
}
