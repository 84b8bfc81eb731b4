//! `suspend`: ends the sandbox's Pod; claim, name and volumes stay. `resume` starts another one.
//!
//! The connection is dropped first, as the Pod it leads to ends.

use std::time::Duration;

use tokio::time::Instant;

use super::fields::SANDBOX;
use super::limit::{Limit, LimitSource};
use super::{Measure, StepContext, StepError, StepOutcome};
use crate::expr::{Output, Template, ValueKind};
use crate::source::yaml::Node;
use crate::source::{Fields, Problems, Shape, Takes};

/// How long it may take, where the step says nothing: as in the Python SDK 1.0.8.
pub(super) const DEFAULT: Duration = Duration::from_mins(3);

/// Suspends the sandbox.
#[derive(Debug, Clone)]
pub struct Suspend {
    sandbox: Option<Template>,
}

const SHAPE: Shape = Shape {
    what: "`suspend`",
    fields: &[SANDBOX],
    later: &["snapshot"],
    help: None,
};

impl Suspend {
    /// What it takes.
    pub(super) const TAKES: Takes = Takes::Fields(&SHAPE);

    /// What `suspend` gives.
    pub const OUTPUTS: &'static [Output] = &[Output {
        name: "duration",
        kind: ValueKind::Duration,
        what: "from asking for it until the controller says it is so",
    }];

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
            Limit::new(DEFAULT, LimitSource::Default("the default of `suspend`"))
        });
        let client = context.client.clone();
        let held = context.sandbox("suspend", self.sandbox.as_ref())?;
        held.changes += 1;
        if held.deleted {
            return Err(StepError::SandboxDeleted { action: "suspend" });
        }
        if let Some(connection) = held.connection.take() {
            connection.disconnect().await;
        }
        let started = Instant::now();
        let suspended = client.suspend(&held.claim, limit.remaining()).await;
        let took = started.elapsed();
        suspended.map_err(|error| limit.suspend_error("suspend", error))?;
        Ok(StepOutcome::new(vec![("duration", took.into())]).time(Measure::Suspend, took))
    }
}
