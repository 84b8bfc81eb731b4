//! `disconnect`: drops the connection; claim and sandbox stay.

use super::fields::SANDBOX;
use super::{StepContext, StepError, StepOutcome};
use crate::expr::{Output, Template};
use crate::source::yaml::Node;
use crate::source::{Fields, Problems, Shape, Takes};

/// Drops the connection, not the sandbox.
#[derive(Debug, Clone)]
pub struct Disconnect {
    sandbox: Option<Template>,
}

const SHAPE: Shape = Shape {
    what: "`disconnect`",
    fields: &[SANDBOX],
    later: &[],
    help: None,
};

impl Disconnect {
    /// What it takes.
    pub(super) const TAKES: Takes = Takes::Fields(&SHAPE);

    /// What `disconnect` gives: nothing.
    pub const OUTPUTS: &'static [Output] = &[];

    pub(super) fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let fields = Fields::of(node, &SHAPE, problems)?;
        Some(Self {
            sandbox: fields.optional("sandbox", problems),
        })
    }

    pub(super) async fn run(&self, context: &mut StepContext) -> Result<StepOutcome, StepError> {
        let held = context.sandbox("disconnect", self.sandbox.as_ref())?;
        held.changes += 1;
        if let Some(connection) = held.connection.take() {
            connection.disconnect().await;
        }
        Ok(StepOutcome::default())
    }
}
