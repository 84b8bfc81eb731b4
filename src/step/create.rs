//! `create`: asks for a sandbox, waits until it is Ready, connects.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::context::Held;
use super::{Measure, StepContext, StepError, StepOutcome};
use crate::client::{ClaimSource, CreateRequest, LaunchType, VolumeRequest, random_claim_name};
use crate::expr::{Output, Template, Value, ValueKind};
use crate::source::yaml::{Key, Node};
use crate::source::{Fields, FromNode, Problems, Shape, read_map};
use crate::units::HumanDuration;

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
    fields: &["name", "storage", "storageClass"],
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
        "warmPool",
        "template",
        "name",
        "labels",
        "timeToLive",
        "volumes",
    ],
    later: &["env", "annotations", "podLabels", "podAnnotations", "adopt"],
    help: None,
};

impl Create {
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
                .quantity::<HumanDuration>("timeToLive", problems)
                .map(|duration| duration.0),
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
                name: render(&volume.name)?,
                storage: render(&volume.storage)?,
                storage_class: volume.storage_class.as_ref().map(render).transpose()?,
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
        context.target.source.clone().ok_or(StepError::Value {
            action: "create",
            value: String::new(),
            what: "warm pool or template: name one in `target` or in the step",
        })
    }

    pub(super) async fn run(
        &self,
        context: &mut StepContext,
        id: Option<&Arc<str>>,
        timeout: Option<Duration>,
    ) -> Result<StepOutcome, StepError> {
        let name = match &self.name {
            Some(name) => name.render(&context.bindings)?.to_string(),
            None => random_claim_name(),
        };
        let mut labels = BTreeMap::new();
        for (key, value) in &self.labels {
            labels.insert(
                key.value.to_string(),
                value.render(&context.bindings)?.to_string(),
            );
        }
        let request = CreateRequest {
            name: Some(name.clone()),
            labels,
            time_to_live: Some(self.time_to_live.unwrap_or(context.target.time_to_live)),
            volumes: self.volumes(context)?,
            ..CreateRequest::new(self.source(context)?)
        };
        context.registrar.add(&name);
        let claim = context.client.create(request).await?;
        context.registrar.set_uid(&name, claim.uid());
        let requested = claim.timings().requested;
        let ready = claim
            .wait_ready(timeout.unwrap_or(context.target.ready_timeout))
            .await?;
        let connecting = Instant::now();
        context.held.push(Held {
            id: id.cloned(),
            claim: ready.clone(),
            connection: None,
            requested,
            executed: false,
        });
        for (name, value) in [
            ("name", ready.sandbox_name.as_str()),
            ("claim", ready.claim_name.as_str()),
            ("namespace", ready.namespace.as_str()),
        ] {
            context.bindings.set("sandbox", name, value);
        }
        let volumes = if self.volumes.is_empty() {
            Vec::new()
        } else {
            context.client.volumes(&ready).await?
        };
        let sandbox = context.client.connect(&ready, &context.target.mode).await?;
        let done = Instant::now();
        if let Some(held) = context.held.last_mut() {
            held.connection = Some(sandbox);
        }
        let since = |instant: Instant| instant.saturating_duration_since(requested);
        let launched = match ready.launch_type {
            LaunchType::Warm => Measure::WarmHit,
            LaunchType::Cold => Measure::ColdStart,
        };
        let ips: Vec<Value> = ready
            .pod_ips
            .iter()
            .map(|ip| Value::text(ip.to_string()))
            .collect();
        Ok(StepOutcome::new(vec![
            ("launchType", ready.launch_type.as_str().into()),
            ("sandbox", Value::text(ready.sandbox_name.as_str())),
            ("claim", Value::text(ready.claim_name.as_str())),
            ("podIps", Value::List(ips)),
            (
                "volumes",
                Value::List(volumes.into_iter().map(Value::text).collect()),
            ),
            (
                "requestedAt",
                claim.requested_at().map_or(Value::Null, Value::text),
            ),
            ("readyDuration", since(ready.ready).into()),
            ("duration", since(done).into()),
        ])
        .time(Measure::CreateAck, since(ready.acknowledged))
        .time(Measure::Bound, since(ready.bound))
        .time(Measure::Ready, since(ready.ready))
        .time(Measure::Connect, done.saturating_duration_since(connecting))
        .count(launched, 1))
    }
}
