//! `create`: asks for a sandbox, waits until it is Ready, connects.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::context::Held;
use super::fields::limit;
use super::later::Later;
use super::limit::{Limit, LimitSource, READY};
use super::{Measure, StepContext, StepError, StepOutcome};
use crate::api::annotation;
use crate::client::{
    Claim, ClaimSource, CreateError, CreateRequest, LaunchType, ReadyClaim, VolumeRequest,
    random_claim_name,
};
use crate::expr::{Output, Template, Value, ValueKind};
use crate::source::yaml::{Key, Node};
use crate::source::{Field, Fields, FromNode, Problems, Shape, Takes, read_map};

/// Asks for a sandbox and waits until it can be used.
#[derive(Debug, Clone)]
pub struct Create {
    warm_pool: Option<Template>,
    template: Option<Template>,
    name: Option<Template>,
    labels: Vec<(Key, Template)>,
    time_to_live: Option<Duration>,
    volumes: Vec<Volume>,
}

/// A volume of the sandbox's own.
#[derive(Debug, Clone)]
struct Volume {
    name: Template,
    storage: Template,
    storage_class: Option<Template>,
}

const VOLUME: Shape = Shape {
    what: "a volume",
    fields: &[
        Field::required("name", Takes::Text, "name of the volume in the template"),
        Field::required(
            "storage",
            Takes::Text,
            "its size as Kubernetes writes it, `1Gi`",
        ),
        Field::new(
            "storageClass",
            Takes::Text,
            "its storage class; default: the cluster's",
        ),
    ],
    later: &["accessModes"],
    help: None,
};

impl FromNode for Volume {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        let fields = Fields::of(node, &VOLUME, problems)?;
        let (name, storage) = (
            fields.required("name", problems),
            fields.required("storage", problems),
        );
        let storage_class = fields.optional("storageClass", problems);
        Some(Self {
            name: name?,
            storage: storage?,
            storage_class,
        })
    }
}

const SHAPE: Shape = Shape {
    what: "`create`",
    fields: &[
        Field::new(
            "warmPool",
            Takes::Text,
            "the warm pool; default: that of the target",
        ),
        Field::new(
            "template",
            Takes::Text,
            "the template, in place of a warm pool; default: that of the target",
        ),
        Field::new(
            "name",
            Takes::Text,
            "name of the claim; default: a random one",
        ),
        Field::new(
            "labels",
            Takes::Map(&Takes::Text),
            "labels of the claim, beside those of sandbench",
        ),
        Field::new(
            "timeToLive",
            Takes::Duration,
            "after which the claim goes by itself; default: `timeout` of the scenario plus 10m",
        ),
        Field::new(
            "volumes",
            Takes::List(&Takes::Fields(&VOLUME)),
            "volumes of the sandbox's own",
        ),
    ],
    later: &["env", "annotations", "podLabels", "podAnnotations", "adopt"],
    help: None,
};

impl Create {
    /// What it takes.
    pub(super) const TAKES: Takes = Takes::Fields(&SHAPE);

    /// What `create` gives.
    pub const OUTPUTS: &'static [Output] = &[
        Output {
            name: "launchType",
            kind: ValueKind::Word(&["warm", "cold"]),
            what: "whether the sandbox came from a warm pool",
        },
        Output {
            name: "sandbox",
            kind: ValueKind::Text,
            what: "name of the sandbox",
        },
        Output {
            name: "claim",
            kind: ValueKind::Text,
            what: "name of the claim",
        },
        Output {
            name: "podIps",
            kind: ValueKind::Texts,
            what: "addresses of its pod",
        },
        Output {
            name: "volumes",
            kind: ValueKind::Texts,
            what: "names of its volumes, if the step asks for some",
        },
        Output {
            name: "requestedAt",
            kind: ValueKind::Text,
            what: "the claim's own word on when it was asked for, RFC 3339",
        },
        Output {
            name: "readyDuration",
            kind: ValueKind::Duration,
            what: "from sending the claim to seeing it Ready",
        },
        Output {
            name: "duration",
            kind: ValueKind::Duration,
            what: "from sending the claim to a usable connection",
        },
    ];

    /// Whether it says itself where the sandbox comes from, instead of the target.
    pub fn names_its_source(&self) -> bool {
        self.warm_pool.is_some() || self.template.is_some()
    }

    pub(super) fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let fields = Fields::of(node, &SHAPE, problems)?;
        fields.at_most_one_of(&["warmPool", "template"], problems);
        let labels = fields
            .node("labels")
            .and_then(|node| read_map(node, "labels", problems));
        Some(Self {
            warm_pool: fields.optional("warmPool", problems),
            template: fields.optional("template", problems),
            name: fields.optional("name", problems),
            labels: labels.unwrap_or_default(),
            time_to_live: fields
                .node("timeToLive")
                .and_then(|node| limit(node, problems))
                .map(|time| time.value),
            volumes: fields.optional("volumes", problems).unwrap_or_default(),
        })
    }

    fn volumes(&self, context: &StepContext) -> Result<Vec<VolumeRequest>, StepError> {
        let render = |template: &Template| {
            template
                .render(&context.bindings)
                .map(|text| text.to_string())
        };
        let mut volumes = Vec::new();
        for volume in &self.volumes {
            volumes.push(VolumeRequest {
                storage_class: volume.storage_class.as_ref().map(render).transpose()?,
                ..VolumeRequest::new(render(&volume.name)?, render(&volume.storage)?)
            });
        }
        Ok(volumes)
    }

    fn source(&self, context: &StepContext) -> Result<ClaimSource, StepError> {
        let render = |template: &Template| template.render(&context.bindings);
        if let Some(pool) = &self.warm_pool {
            return Ok(ClaimSource::WarmPool(render(pool)?.to_string()));
        }
        if let Some(template) = &self.template {
            return Ok(ClaimSource::Template(render(template)?.to_string()));
        }
        context.target.source.clone().ok_or(StepError::NoSource)
    }

    fn request(&self, context: &StepContext) -> Result<CreateRequest, StepError> {
        let name = match &self.name {
            Some(name) => name.render(&context.bindings)?.to_string(),
            None => random_claim_name(),
        };
        let mut labels = BTreeMap::new();
        for (key, value) in &self.labels {
            let value = value.render(&context.bindings)?;
            labels.insert(key.value.to_string(), value.to_string());
        }
        Ok(CreateRequest {
            name: Some(name),
            labels,
            annotations: self.renewal(context.target.time_to_live),
            time_to_live: Some(self.time_to_live.unwrap_or(context.target.time_to_live)),
            volumes: self.volumes(context)?,
            ..CreateRequest::new(self.source(context)?)
        })
    }

    /// Lets the claim be renewed, unless the step says when it ends.
    fn renewal(&self, time_to_live: Duration) -> BTreeMap<String, String> {
        let seconds = time_to_live.as_millis().div_ceil(1000);
        let asked = (annotation::TIME_TO_LIVE.to_owned(), format!("{seconds}s"));
        let asked = self.time_to_live.is_none().then_some(asked);
        asked.into_iter().collect()
    }

    /// Sends the claim, which is registered before it can exist.
    async fn claim(&self, context: &StepContext) -> Result<Claim, StepError> {
        let request = self.request(context)?;
        let name = request.name.clone().unwrap_or_default();
        context.registrar.add(&name);
        match context.client.create(request).await {
            Ok(claim) => {
                context.registrar.set_uid(&name, claim.uid());
                Ok(claim)
            }
            Err(error) => {
                if !may_exist(&error) {
                    context.registrar.remove(&name);
                }
                Err(error.into())
            }
        }
    }

    pub(super) async fn run(
        &self,
        context: &mut StepContext,
        id: Option<&Arc<str>>,
        limit: Option<Limit>,
    ) -> Result<StepOutcome, StepError> {
        let limit = limit.unwrap_or_else(|| {
            Limit::new(context.target.ready_timeout, LimitSource::Default(READY))
        });
        let claim = self.claim(context).await?;
        let requested = claim.timings().requested;
        let ready = claim
            .wait_ready(limit.remaining())
            .await
            .map_err(|error| limit.ready_error("create", error))?;
        let phases = claim.phases(&ready);
        context.bind_sandbox(&ready);
        context.held.push(Held {
            id: id.cloned(),
            claim: ready.clone(),
            connection: None,
            requested,
            executed: false,
            deleted: false,
            changes: 0,
        });
        let volumes = if self.volumes.is_empty() {
            Vec::new()
        } else {
            context.client.volumes(&ready).await?
        };
        let connecting = Instant::now();
        let sandbox = context.client.connect(&ready, &context.target.mode).await?;
        let done = Instant::now();
        if let Some(held) = context.held.last_mut() {
            held.connection = Some(sandbox);
        }
        let made = Made {
            volumes,
            requested_at: claim.requested_at().map(str::to_owned),
            requested,
            connect: connecting..done,
        };
        let later = Later {
            phases,
            requested,
            launched: ready.launch_type,
        };
        Ok(outcome(&ready, made).and_later(later))
    }
}

/// Whether a claim can exist, or come to exist, after this failure.
fn may_exist(error: &CreateError) -> bool {
    match error {
        CreateError::Invalid { .. }
        | CreateError::AlreadyExists { .. }
        | CreateError::NotAdoptable { .. }
        | CreateError::PoolNotFound { .. }
        | CreateError::NoPoolForTemplate { .. } => false,
        CreateError::Kube { .. } | CreateError::Lost { .. } => true,
    }
}

/// What `create` knows beyond the ready claim.
struct Made {
    volumes: Vec<String>,
    requested_at: Option<String>,
    /// When the claim was sent.
    requested: Instant,
    connect: Range<Instant>,
}

fn outcome(ready: &ReadyClaim, made: Made) -> StepOutcome {
    let Made {
        requested, connect, ..
    } = made;
    let since = |instant: Instant| instant.saturating_duration_since(requested);
    let volumes = made.volumes.into_iter().map(Value::text);
    let launched = match ready.launch_type {
        LaunchType::Warm => Measure::WarmHit,
        LaunchType::Cold => Measure::ColdStart,
    };
    let ips = ready.pod_ips.iter().map(|ip| Value::text(ip.to_string()));
    StepOutcome::new(vec![
        ("launchType", ready.launch_type.as_str().into()),
        ("sandbox", Value::text(ready.sandbox_name.as_str())),
        ("claim", Value::text(ready.claim_name.as_str())),
        ("podIps", Value::List(ips.collect())),
        ("volumes", Value::List(volumes.collect())),
        (
            "requestedAt",
            made.requested_at.map_or(Value::Null, Value::text),
        ),
        ("readyDuration", since(ready.ready).into()),
        ("duration", since(connect.end).into()),
    ])
    .time(Measure::CreateAck, since(ready.acknowledged))
    .time(Measure::Bound, since(ready.bound))
    .time(Measure::Ready, since(ready.ready))
    .time(
        Measure::Connect,
        connect.end.saturating_duration_since(connect.start),
    )
    .count(launched, 1)
    .launched(ready.launch_type)
}

#[cfg(test)]
mod tests {
    use super::super::{Measured, Measurement};
    use super::*;

    #[test]
    fn times_run_from_the_request_and_the_launch_is_counted() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut ready = ReadyClaim {
            claim_name: "c".to_owned(),
            claim_uid: "u".to_owned(),
            sandbox_name: "s".to_owned(),
            namespace: "default".to_owned(),
            pod_ips: vec![[10, 0, 0, 5].into()],
            launch_type: LaunchType::Warm,
            acknowledged: at(3),
            bound: at(5),
            ready: at(7),
        };
        let made = || Made {
            volumes: vec!["v".to_owned()],
            requested_at: None,
            requested: start,
            connect: at(8)..at(10),
        };
        let seen = outcome(&ready, made());
        let time = |measure, millis| Measurement {
            measure,
            value: Measured::Time(Duration::from_millis(millis)),
        };
        let warm = Measurement {
            measure: Measure::WarmHit,
            value: Measured::Count(1),
        };
        assert_eq!(
            seen.measurements,
            [
                time(Measure::CreateAck, 3),
                time(Measure::Bound, 5),
                time(Measure::Ready, 7),
                time(Measure::Connect, 2),
                warm
            ]
        );
        assert_eq!(seen.output("launchType"), "warm".into());
        assert_eq!(seen.output("duration"), Duration::from_millis(10).into());
        assert_eq!(seen.output("podIps"), Value::List(vec!["10.0.0.5".into()]));
        ready.launch_type = LaunchType::Cold;
        assert_eq!(seen.output("volumes"), Value::List(vec!["v".into()]));
        assert_eq!(seen.output("requestedAt"), Value::Null);
        let cold = outcome(&ready, made());
        assert_eq!(
            cold.measurements.last().map(|last| last.measure),
            Some(Measure::ColdStart)
        );
    }

    #[test]
    fn only_a_claim_that_surely_is_not_ours_is_forgotten() {
        let claim = || "c".to_owned();
        assert!(!may_exist(&CreateError::AlreadyExists { claim: claim() }));
        assert!(!may_exist(&CreateError::PoolNotFound {
            claim: claim(),
            pool: "p".to_owned(),
        }));
    }
}
