//! `create`: asks for a sandbox, waits until it is Ready, connects.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::context::Held;
use super::{Measure, StepContext, StepError, StepOutcome};
use crate::client::{ClaimSource, CreateRequest, LaunchType, random_claim_name};
use crate::expr::{Output, Template, Value, ValueKind};
use crate::source::yaml::{Key, Node};
use crate::source::{Fields, Problems, Shape, read_map};
use crate::units::HumanDuration;

/// Asks for a sandbox and waits until it can be used.
#[derive(Debug, Clone)]
pub struct Create {
    warm_pool: Option<Template>,
    template: Option<Template>,
    name: Option<Template>,
    labels: Vec<(Key, Template)>,
    time_to_live: Option<Duration>,
}

const SHAPE: Shape = Shape {
    what: "`create`",
    fields: &["warmPool", "template", "name", "labels", "timeToLive"],
    later: &[
        "env",
        "annotations",
        "podLabels",
        "podAnnotations",
        "volumeClaimTemplates",
        "adopt",
    ],
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
        })
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
