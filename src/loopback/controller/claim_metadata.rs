//! What a bound claim says about its pod reaches the Sandbox's pod template: additional labels and
//! annotations may change, or go, at any time.
//!
//! As upstream's controller does it, the metadata is made anew from the template as it is now; a
//! template that is gone matters only to a claim that asks for something.

use super::super::json::json;
use super::super::store::{Object, Part, Store, StoreError};
use super::adoption::pod_metadata;
use super::claim::Failure;
use super::claim_rules::{Refusal, check_metadata};
use super::claim_source::Source;
use super::sandboxes;
use crate::api::name_hash;

/// Brings the metadata of the Sandbox's pod template in line with its claim.
pub(super) fn propagate(
    store: &Store,
    claim: &Object,
    sandbox: &str,
    source: Result<Source, Refusal>,
) -> Result<(), Failure> {
    let asked = &claim.value["spec"]["additionalPodMetadata"];
    let asks = ["labels", "annotations"]
        .iter()
        .any(|part| asked[part].as_object().is_some_and(|all| !all.is_empty()));
    let template = match source {
        Ok(source) => source.template,
        Err(refusal) if asks => {
            let why = format_args!(
                "failed to get template for metadata propagation: {}",
                refusal.message
            );
            return Err(Refusal::error(why).into());
        }
        Err(_) => return Ok(()),
    };
    check_metadata(claim, &template)?;
    let known = &template.value["spec"]["podTemplate"]["metadata"];
    let wanted = pod_metadata(known, claim, json!(name_hash(template.name())));
    let place = (claim.namespace(), sandbox);
    let found = store.get(sandboxes(), place.0, place.1);
    if found.is_none_or(|found| found.value["spec"]["podTemplate"]["metadata"] == wanted) {
        return Ok(());
    }
    store.update(sandboxes(), place, Part::Main, |value| {
        let owned = value["metadata"]["ownerReferences"][0]["uid"] == claim.uid();
        if !owned {
            return Err(StoreError::NotFound);
        }
        value["spec"]["podTemplate"]["metadata"] = wanted;
        Ok(())
    })?;
    Ok(())
}
