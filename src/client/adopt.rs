//! Whether a claim that exists already can be used in place of a new one.
//!
//! Compared is what the claim is made from, and that it is not being deleted; labels, end of life,
//! environment and volumes are not. Source: Python SDK 1.0.8.

use super::error::CreateError;
use crate::api::claim::{ClaimSpec, SandboxClaim};

/// `v1alpha1`: what the API server fills in if a claim does not say which pool.
const ANY_POOL: &str = "default";

/// Refuses a claim that is not what `wanted` asks for.
pub(super) fn check(found: &SandboxClaim, wanted: &ClaimSpec) -> Result<(), CreateError> {
    let metadata = &found.metadata;
    let pool = |spec: &ClaimSpec| spec.warmpool.clone().unwrap_or_else(|| ANY_POOL.to_owned());
    let problem = if metadata.deletion_timestamp.is_some() {
        "it is being deleted"
    } else if found.spec.warm_pool_ref != wanted.warm_pool_ref {
        "it is made from another warm pool"
    } else if found.spec.sandbox_template_ref != wanted.sandbox_template_ref {
        "it is made from another template"
    } else if wanted.sandbox_template_ref.is_some() && pool(&found.spec) != pool(wanted) {
        "it has another warm-pool policy"
    } else if metadata.uid.is_empty() || metadata.resource_version.is_empty() {
        "the API server gave no UID or no version for it"
    } else {
        return Ok(());
    };
    Err(CreateError::NotAdoptable {
        claim: metadata.name.clone(),
        problem,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::claim::NameRef;
    use crate::api::metadata::Metadata;

    fn spec(pool: &str) -> ClaimSpec {
        ClaimSpec {
            warm_pool_ref: Some(NameRef {
                name: pool.to_owned(),
            }),
            ..ClaimSpec::default()
        }
    }

    fn old(template: &str, warmpool: Option<&str>) -> ClaimSpec {
        ClaimSpec {
            sandbox_template_ref: Some(NameRef {
                name: template.to_owned(),
            }),
            warmpool: warmpool.map(str::to_owned),
            ..ClaimSpec::default()
        }
    }

    fn claim(spec: ClaimSpec) -> SandboxClaim {
        SandboxClaim {
            metadata: Metadata {
                name: "a".to_owned(),
                uid: "u".to_owned(),
                resource_version: "1".to_owned(),
                ..Metadata::default()
            },
            spec,
            status: None,
        }
    }

    #[test]
    fn a_claim_from_the_same_pool_is_adopted_and_one_from_another_is_not() {
        assert!(check(&claim(spec("p")), &spec("p")).is_ok());
        assert!(check(&claim(spec("q")), &spec("p")).is_err());
    }

    #[test]
    fn the_default_policy_of_v1alpha1_may_be_written_or_not() {
        assert!(check(&claim(old("t", Some("default"))), &old("t", None)).is_ok());
        assert!(check(&claim(old("t", Some("default"))), &old("t", Some("none"))).is_err());
        assert!(check(&claim(old("u", None)), &old("t", None)).is_err());
    }

    #[test]
    fn a_claim_that_is_being_deleted_or_has_no_identity_is_not_adopted() {
        let mut ending = claim(spec("p"));
        ending.metadata.deletion_timestamp = Some("2026-01-01T00:00:00Z".to_owned());
        assert!(check(&ending, &spec("p")).is_err());
        let mut nameless = claim(spec("p"));
        nameless.metadata.uid.clear();
        assert!(check(&nameless, &spec("p")).is_err());
    }
}
