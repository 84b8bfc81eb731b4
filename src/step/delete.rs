//! `delete`: deletes the claim and with it the sandbox; `wait: { for: gone }` waits for the end.

use std::sync::Arc;

use tokio::time::Instant;

use super::fields::SANDBOX;
use super::{Measure, StepContext, StepError, StepOutcome};
use crate::client::Deleted;
use crate::expr::{Output, Template, ValueKind};
use crate::source::yaml::Node;
use crate::source::{Fields, Problems, Shape, Takes};

/// Deletes the sandbox.
#[derive(Debug, Clone)]
pub struct Delete {
    sandbox: Option<Template>,
}

const SHAPE: Shape = Shape {
    what: "`delete`",
    fields: &[SANDBOX],
    later: &["all"],
    help: None,
};

impl Delete {
    /// What it takes.
    pub(super) const TAKES: Takes = Takes::Fields(&SHAPE);

    /// What `delete` gives.
    pub const OUTPUTS: &'static [Output] = &[
        Output {
            name: "existed",
            kind: ValueKind::Bool,
            what: "whether there was a claim",
        },
        Output {
            name: "duration",
            kind: ValueKind::Duration,
            what: "request to answer",
        },
    ];

    pub(super) fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let fields = Fields::of(node, &SHAPE, problems)?;
        Some(Self {
            sandbox: fields.optional("sandbox", problems),
        })
    }

    pub(super) async fn run(&self, context: &mut StepContext) -> Result<StepOutcome, StepError> {
        let client = context.client.clone();
        let registrar = Arc::clone(&context.registrar);
        let held = context.sandbox("delete", self.sandbox.as_ref())?;
        held.changes += 1;
        if let Some(connection) = held.connection.take() {
            connection.disconnect().await;
        }
        let started = Instant::now();
        let deleted = client
            .delete(&held.claim.claim_name, Some(&held.claim.claim_uid))
            .await?;
        let took = started.elapsed();
        held.deleted = true;
        registrar.remove(&held.claim.claim_name);
        Ok(StepOutcome::new(vec![
            ("existed", (deleted == Deleted::Accepted).into()),
            ("duration", took.into()),
        ])
        .time(Measure::Delete, took))
    }
}
