//! `connect`: finds the claim again and connects to its sandbox, as a second process would.

use tokio::time::Instant;

use super::{Measure, StepContext, StepError, StepOutcome};
use crate::expr::{Output, Template, Value, ValueKind};
use crate::source::yaml::Node;
use crate::source::{Fields, Problems, Shape};

/// Connects to the sandbox again.
#[derive(Debug, Clone)]
pub struct Connect {
    sandbox: Option<Template>,
}

const SHAPE: Shape = Shape {
    what: "`connect`",
    fields: &["sandbox"],
    later: &["claim", "mode"],
    help: None,
};

impl Connect {
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
            what: "until the connection could be used",
        },
    ];

    pub(super) fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let fields = Fields::of(node, &SHAPE, problems)?;
        Some(Self {
            sandbox: fields.optional("sandbox", problems),
        })
    }

    pub(super) async fn run(&self, context: &mut StepContext) -> Result<StepOutcome, StepError> {
        let (client, target) = (context.client.clone(), context.target.clone());
        let held = context.sandbox("connect", self.sandbox.as_ref())?;
        if let Some(old) = held.connection.take() {
            old.disconnect().await;
        }
        let started = Instant::now();
        let claim = client.claim(&held.claim.claim_name).await?;
        let ready = claim.wait_ready(target.ready_timeout).await?;
        let connection = client.connect(&ready, &target.mode).await?;
        let took = started.elapsed();
        held.claim = ready;
        held.connection = Some(connection);
        let name = Value::text(held.claim.sandbox_name.as_str());
        Ok(
            StepOutcome::new(vec![("sandbox", name), ("duration", took.into())])
                .time(Measure::Connect, took),
        )
    }
}
