//! Creating a claim: the request body, and what to do when the answer is lost.
//!
//! The name is chosen here, not by the API server, and an annotation marks the request. So after
//! a lost answer one look tells whether the claim exists and whether it is ours.
//! Source of the body's shape: Python SDK 1.0.8 (`v1beta1`) and 0.4.6 (`v1alpha1`).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::RngExt;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::adopt;
use super::claim::{
    Claim, ClaimOrigin, ClaimSource, ClaimTimings, CreateRequest, EnvRequest, Existing,
    VolumeRequest, WarmStart, random_claim_name,
};
use super::core::Client;
use super::error::{CreateError, Delivered, KubeError};
use super::spans;
use super::validate::check;
use crate::api::claim::{
    ClaimSpec, EnvVar, Lifecycle, NameRef, PodMetadata, SandboxClaim, VolumeClaimTemplate,
};
use crate::api::metadata::Metadata;
use crate::api::warm_pool::SandboxWarmPool;
use crate::api::{ApiVersion, EXTENSIONS_GROUP, annotation, label};
use crate::trace::{self, Kind, Role};

/// Value of the created-by label.
const CREATED_BY: &str = "rust-client";
/// On a claim: marks the one request that made it.
const REQUEST: &str = "sandbench.dev/request";
/// `v1alpha1`: the word for "do not adopt from a pool".
const NEVER_WARM: &str = "none";
/// Pauses before looking for a claim whose answer was lost.
const LOOKS: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(200),
    Duration::from_secs(1),
];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    api_version: String,
    kind: &'static str,
    metadata: Metadata,
    spec: ClaimSpec,
}

/// Carries out a request.
pub(super) async fn create(client: &Client, request: CreateRequest) -> Result<Claim, CreateError> {
    let span = trace::operation("create_claim");
    let created = span.scope(send(client, request)).await;
    span.end_as(&created, spans::create_error);
    created
}

async fn send(client: &Client, request: CreateRequest) -> Result<Claim, CreateError> {
    let name = request.name.clone().unwrap_or_else(random_claim_name);
    trace::set("sandbox.claim.name", || name.clone());
    trace::set("sandbox.namespace", || client.namespace().to_owned());
    check(client.api_version(), &name, &request)?;
    let existing = request.existing;
    let subscription = client.subscribe(&name);
    let mark = format!("{:016x}", rand::rng().random::<u64>());
    let limit = client.request_timeout();
    // One time for the lookups and the creation, another one for what a lost answer makes necessary.
    let bounded = client.until(Instant::now() + limit);
    let spec = spec(&bounded, &name, &request).await?;
    let body = body(client, &name, &mark, request, spec.clone());
    let body = serde_json::to_vec(&body).expect("a claim has only text keys");
    let requested = Instant::now();
    let claims = client.claims();
    let post = trace::start("post", Role::Phase, Kind::Internal);
    let found = post.scope(async {
        let created: Result<SandboxClaim, KubeError> =
            bounded.api().create(&claims, &name, body).await;
        match created {
            Ok(object) => Ok(Found::Ours(object)),
            Err(error) => {
                let until = Instant::now() + limit;
                recover(client, until, (&name, &mark), error).await
            }
        }
    });
    let found = found.await;
    post.end_as(&found, spans::create_error);
    let found = found?;
    let acknowledged = Instant::now();
    let timings = ClaimTimings {
        requested,
        acknowledged,
    };
    let (object, origin) = match found {
        Found::Ours(object) => {
            client.remember(&object);
            (object, ClaimOrigin::Created)
        }
        Found::Foreign(object) if existing == Existing::Adopt => {
            adopt::check(&object, &spec)?;
            (object, ClaimOrigin::Found)
        }
        Found::Foreign(_) => return Err(CreateError::AlreadyExists { claim: name }),
    };
    // The shared watch does not show claims of others.
    let of_run = object.metadata.labels.get(label::RUN_ID);
    let shown = of_run.map(String::as_str) == client.run_id();
    let subscription = subscription.filter(|_| shown || origin == ClaimOrigin::Created);
    if let Some(subscription) = &subscription {
        subscription.confirm();
    }
    Ok(Claim::new(
        client.clone(),
        object,
        timings,
        subscription,
        origin,
    ))
}

/// The body of a request, under a name of its own, as it would be sent.
pub(super) async fn prepare(
    client: &Client,
    request: CreateRequest,
) -> Result<(String, Vec<u8>), CreateError> {
    let name = request.name.clone().unwrap_or_else(random_claim_name);
    check(client.api_version(), &name, &request)?;
    let spec = spec(client, &name, &request).await?;
    let body = body(client, &name, "", request, spec);
    let body = serde_json::to_vec(&body).expect("a claim has only text keys");
    Ok((name, body))
}

/// A claim that was there when it was looked for.
enum Found {
    /// Made by this very request.
    Ours(SandboxClaim),
    /// Made by another one.
    Foreign(SandboxClaim),
}

/// What the claim asks for, in the words of the cluster's version.
async fn spec(
    client: &Client,
    name: &str,
    request: &CreateRequest,
) -> Result<ClaimSpec, CreateError> {
    let mut spec = ClaimSpec {
        lifecycle: request
            .time_to_live
            .map(|time_to_live| lifecycle(client.server_now(), time_to_live)),
        volume_claim_templates: request.volumes.iter().map(volume).collect(),
        additional_pod_metadata: pod_metadata(request),
        env: request.env.iter().map(variable).collect(),
        ..ClaimSpec::default()
    };
    let reference = |name: String| Some(NameRef { name });
    match (client.api_version(), &request.source) {
        (ApiVersion::V1Beta1, ClaimSource::WarmPool(pool)) => {
            spec.warm_pool_ref = reference(pool.clone());
        }
        (ApiVersion::V1Beta1, ClaimSource::Template(template)) => {
            let pool = pool_of(client, name, template).await?;
            spec.warm_pool_ref = reference(pool);
        }
        (ApiVersion::V1Alpha1, ClaimSource::Template(template)) => {
            spec.sandbox_template_ref = reference(template.clone());
        }
        (ApiVersion::V1Alpha1, ClaimSource::WarmPool(pool)) => {
            let template = template_of(client, name, pool).await?;
            spec.sandbox_template_ref = reference(template);
            spec.warmpool = Some(pool.clone());
        }
    }
    if request.warm_start == WarmStart::Never {
        spec.warmpool = Some(NEVER_WARM.to_owned());
    }
    Ok(spec)
}

fn pod_metadata(request: &CreateRequest) -> Option<PodMetadata> {
    let metadata = PodMetadata {
        labels: request.pod_labels.clone(),
        annotations: request.pod_annotations.clone(),
    };
    (metadata != PodMetadata::default()).then_some(metadata)
}

fn variable(variable: &EnvRequest) -> EnvVar {
    EnvVar {
        name: variable.name.clone(),
        value: variable.value.clone(),
        container_name: variable.container.clone(),
    }
}

fn volume(volume: &VolumeRequest) -> VolumeClaimTemplate {
    let modes: Vec<&str> = volume
        .access_modes
        .iter()
        .map(|mode| mode.as_str())
        .collect();
    let mut spec = serde_json::json!({
        "accessModes": modes,
        "resources": { "requests": { "storage": volume.storage } },
    });
    if let Some(class) = &volume.storage_class {
        spec["storageClassName"] = serde_json::json!(class);
    }
    VolumeClaimTemplate {
        metadata: NameRef {
            name: volume.name.clone(),
        },
        spec,
    }
}

fn lifecycle(now: Timestamp, time_to_live: Duration) -> Lifecycle {
    Lifecycle {
        shutdown_time: Some(end_of_life(now, time_to_live)),
        shutdown_policy: Some("Delete".to_owned()),
        ttl_seconds_after_finished: None,
    }
}

/// When a claim is to end: whole seconds, rounded up.
pub(super) fn end_of_life(now: Timestamp, time_to_live: Duration) -> String {
    let ttl = SignedDuration::try_from(time_to_live).unwrap_or(SignedDuration::MAX);
    let end = now
        .checked_add(ttl)
        .unwrap_or(Timestamp::MAX)
        .as_nanosecond();
    let seconds = i64::try_from(end.div_euclid(1_000_000_000) + 1).unwrap_or(i64::MAX);
    let end = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A pool that uses the template; upstream's migration calls it `shadow-pool-<template>`.
async fn pool_of(client: &Client, claim: &str, template: &str) -> Result<String, CreateError> {
    let pools = client
        .api()
        .list::<SandboxWarmPool>(&client.warm_pools(), None)
        .await
        .map_err(|source| kube(claim, source))?;
    let shadow = format!("shadow-pool-{template}");
    let mut names: Vec<String> = pools
        .items
        .into_iter()
        .filter(|pool| pool.spec.sandbox_template_ref.name == template)
        .map(|pool| pool.metadata.name)
        .collect();
    names.sort_by_key(|name| *name != shadow);
    names
        .into_iter()
        .next()
        .ok_or_else(|| CreateError::NoPoolForTemplate {
            claim: claim.to_owned(),
            template: template.to_owned(),
        })
}

/// The template that a pool uses.
async fn template_of(client: &Client, claim: &str, pool: &str) -> Result<String, CreateError> {
    let found: Result<SandboxWarmPool, KubeError> =
        client.api().get(&client.warm_pools(), pool).await;
    match found {
        Ok(found) => Ok(found.spec.sandbox_template_ref.name),
        Err(error) if error.is_not_found() => Err(CreateError::PoolNotFound {
            claim: claim.to_owned(),
            pool: pool.to_owned(),
        }),
        Err(error) => Err(kube(claim, error)),
    }
}

fn body(client: &Client, name: &str, mark: &str, request: CreateRequest, spec: ClaimSpec) -> Body {
    let mut labels: BTreeMap<String, String> = request.labels;
    labels.insert(label::CREATED_BY.to_owned(), CREATED_BY.to_owned());
    if let Some(run_id) = client.run_id() {
        labels.insert(label::RUN_ID.to_owned(), run_id.to_owned());
    }
    let mut annotations = request.annotations;
    annotations.insert(REQUEST.to_owned(), mark.to_owned());
    spans::annotate(&mut annotations);
    annotations
        .entry(annotation::FIRST_REQUESTED_AT.to_owned())
        .or_insert_with(|| Timestamp::now().to_string());
    Body {
        api_version: format!("{EXTENSIONS_GROUP}/{}", client.api_version()),
        kind: "SandboxClaim",
        metadata: Metadata {
            name: name.to_owned(),
            labels,
            annotations,
            ..Metadata::default()
        },
        spec,
    }
}

/// Looks whether the claim was created although the answer is missing or a failure; at the latest
/// then it is over.
async fn recover(
    client: &Client,
    until: Instant,
    (name, mark): (&str, &str),
    error: KubeError,
) -> Result<Found, CreateError> {
    let client = client.until(until);
    let doubtful = match error.code() {
        Some(code) => code >= 500 || code == 409,
        None => error.delivered() != Delivered::No,
    };
    if !doubtful {
        return Err(kube(name, error));
    }
    let conflict = error.code() == Some(409);
    let mut last = None;
    for pause in LOOKS {
        if Instant::now() + pause >= until {
            break;
        }
        sleep(pause).await;
        let found: Result<SandboxClaim, KubeError> = client.api().get(&client.claims(), name).await;
        match found {
            Ok(claim)
                if claim
                    .metadata
                    .annotations
                    .get(REQUEST)
                    .is_some_and(|m| m == mark) =>
            {
                return Ok(Found::Ours(claim));
            }
            Ok(claim) => return Ok(Found::Foreign(claim)),
            Err(missing) if missing.is_not_found() => last = None,
            Err(failure) => last = Some(failure),
        }
        if conflict {
            break;
        }
    }
    match last {
        Some(source) => Err(CreateError::Lost {
            claim: name.to_owned(),
            source: Box::new(source),
        }),
        None => Err(kube(name, error)),
    }
}

fn kube(claim: &str, source: KubeError) -> CreateError {
    CreateError::Kube {
        claim: claim.to_owned(),
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_life_is_in_whole_seconds_and_never_too_early() {
        let before = Timestamp::now();
        let text = end_of_life(before, Duration::from_millis(1500));
        assert_eq!(text.len(), "2026-01-01T00:00:00Z".len());
        let end: Timestamp = text.parse().expect("RFC 3339");
        assert!(end >= before + SignedDuration::from_millis(1500), "{text}");
    }

    #[test]
    fn an_absurd_time_to_live_does_not_overflow() {
        assert!(!end_of_life(Timestamp::now(), Duration::MAX).is_empty());
    }
}
