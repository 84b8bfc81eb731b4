//! `connect`: finds the claim again and connects to its sandbox, as a second process would.

use tokio::time::Instant;

use super::fields::SANDBOX;
use super::limit::{Limit, LimitSource, READY};
use super::{Measure, StepContext, StepError, StepOutcome};
use crate::expr::{Output, Template, Value, ValueKind};
use crate::source::yaml::Node;
use crate::source::{Fields, Problems, Shape, Takes};

/// Connects to the sandbox again.
#[derive(Debug, Clone)]
pub struct Connect {
    sandbox: Option<Template>,
}

const SHAPE: Shape = Shape {
    what: "`connect`",
    fields: &[SANDBOX],
    later: &["claim", "mode"],
    help: None,
};

impl Connect {
    /// What it takes.
    pub(super) const TAKES: Takes = Takes::Fields(&SHAPE);

    /// What `connect` gives.
    pub const OUTPUTS: &'static [Output] = &[
        Output {
            name: "sandbox",
            kind: ValueKind::Text,
            what: "name of the sandbox",
        },
        Output {
            name: "duration",
            kind: ValueKind::Duration,
            what: "from looking the claim up to a usable connection",
        },
    ];

    pub(super) fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let fields = Fields::of(node, &SHAPE, problems)?;
        Some(Self {
            sandbox: fields.optional("sandbox", problems),
        })
    }

    pub(super) async fn run(
        &self,
        context: &mut StepContext,
        limit: Option<Limit>,
    ) -> Result<StepOutcome, StepError> {
        let limit = limit.unwrap_or_else(|| {
            Limit::new(context.target.ready_timeout, LimitSource::Default(READY))
        });
        let (client, target) = (context.client.clone(), context.target.clone());
        let held = context.sandbox("connect", self.sandbox.as_ref())?;
        held.changes += 1;
        if let Some(old) = held.connection.take() {
            old.disconnect().await;
        }
        let started = Instant::now();
        let claim = client.claim(&held.claim.claim_name).await?;
        let ready = claim
            .wait_ready(limit.remaining())
            .await
            .map_err(|error| limit.ready_error("connect", error))?;
        // From here on the metric counts, as it does in `create`.
        let connecting = Instant::now();
        let connection = client.connect(&ready, &target.mode).await?;
        let done = Instant::now();
        held.claim = ready.clone();
        held.connection = Some(connection);
        held.deleted = false;
        context.bind_sandbox(&ready);
        Ok(StepOutcome::new(vec![
            ("sandbox", Value::text(ready.sandbox_name)),
            ("duration", done.saturating_duration_since(started).into()),
        ])
        .time(Measure::Connect, done.saturating_duration_since(connecting)))
    }
}
