//! `wait`: waits until the sandbox is ready, or gone.

use std::time::Duration;

use tokio::time::Instant;

use super::{Measure, StepContext, StepError, StepOutcome};
use crate::expr::{Output, Template, ValueKind};
use crate::source::yaml::Node;
use crate::source::{Fields, Keyword, Problems, Shape, keyword};
use crate::units::HumanDuration;

/// How long a sandbox may take to go, where the step says nothing.
const GONE_LIMIT: Duration = Duration::from_secs(60);

/// Waits for a state of the sandbox.
#[derive(Debug, Clone)]
pub struct Wait {
    state: State,
    timeout: Option<Duration>,
    sandbox: Option<Template>,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    Gone,
}

impl Keyword for State {
    const WHAT: &'static str = "state to wait for";
    const WORDS: &'static [(&'static str, Self)] = &[("ready", Self::Ready), ("gone", Self::Gone)];
}

const SHAPE: Shape = Shape {
    what: "`wait`",
    fields: &["for", "timeout", "sandbox"],
    later: &["condition"],
    help: Some("to wait for a time, use `sleep: 5s`"),
};

impl Wait {
    /// What `wait` gives.
    pub const OUTPUTS: &'static [Output] = &[Output {
        name: "duration",
        kind: ValueKind::Duration,
        what: "until it was so",
    }];

    pub(super) fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        if node.as_mapping().is_none() {
            return keyword(node, problems).map(|state| Self {
                state,
                timeout: None,
                sandbox: None,
            });
        }
        let fields = Fields::of(node, &SHAPE, problems)?;
        let timeout = fields.quantity::<HumanDuration>("timeout", problems);
        let sandbox = fields.optional("sandbox", problems);
        let state = fields.required_node("for", problems)?;
        Some(Self {
            state: keyword(state, problems)?,
            timeout: timeout.map(|timeout| timeout.0),
            sandbox,
        })
    }

    pub(super) async fn run(
        &self,
        context: &mut StepContext,
        step_timeout: Option<Duration>,
    ) -> Result<StepOutcome, StepError> {
        let (client, target) = (context.client.clone(), context.target.clone());
        let held = context.sandbox("wait", self.sandbox.as_ref())?;
        let limit = self.timeout.or(step_timeout);
        let started = Instant::now();
        match self.state {
            State::Gone => {
                let claim = &held.claim;
                let limit = limit.unwrap_or(GONE_LIMIT);
                client
                    .wait_gone(&claim.claim_name, Some(&claim.claim_uid), limit)
                    .await?;
            }
            State::Ready => {
                let claim = client.claim(&held.claim.claim_name).await?;
                held.claim = claim
                    .wait_ready(limit.unwrap_or(target.ready_timeout))
                    .await?;
            }
        }
        let took = started.elapsed();
        Ok(StepOutcome::new(vec![("duration", took.into())]).time(Measure::Wait, took))
    }
}
