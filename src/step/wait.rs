//! `wait`: waits until the sandbox is ready, or gone.

use std::time::Duration;

use tokio::time::Instant;

use super::fields::{SANDBOX, limit};
use super::limit::{GONE, Limit, LimitSource, READY};
use super::{Measure, StepContext, StepError, StepOutcome};
use crate::expr::{Output, Template, ValueKind};
use crate::source::yaml::Node;
use crate::source::{Field, Fields, Keyword, Problems, Shape, Spanned, Takes, keyword, words};

/// How long a sandbox may take to go, where the step says nothing.
const GONE_LIMIT: Duration = Duration::from_mins(1);

/// Waits for a state of the sandbox.
#[derive(Debug, Clone)]
pub struct Wait {
    state: State,
    timeout: Option<Spanned<Duration>>,
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
    fields: &[
        Field::required("for", Takes::Word(words::<State>), "what is waited for"),
        Field::new(
            "timeout",
            Takes::Duration,
            "how long; default: that of the step, else 1m for `gone`, `readyTimeout` for `ready`",
        ),
        SANDBOX,
    ],
    later: &["condition"],
    help: Some("to wait for a time, use `sleep: 5s`"),
};

impl Wait {
    /// What it takes.
    pub(super) const TAKES: Takes =
        Takes::Either(&[Takes::Word(words::<State>), Takes::Fields(&SHAPE)]);

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
        let timeout = fields
            .node("timeout")
            .and_then(|node| limit(node, problems));
        let sandbox = fields.optional("sandbox", problems);
        let state = fields.required_node("for", problems)?;
        Some(Self {
            state: keyword(state, problems)?,
            timeout,
            sandbox,
        })
    }

    pub(super) async fn run(
        &self,
        context: &mut StepContext,
        limit: Option<Limit>,
    ) -> Result<StepOutcome, StepError> {
        let (client, target) = (context.client.clone(), context.target.clone());
        let held = context.sandbox("wait", self.sandbox.as_ref())?;
        let default = match self.state {
            State::Gone => (GONE_LIMIT, GONE),
            State::Ready => (target.ready_timeout, READY),
        };
        let limit = Limit::tighter(limit, self.timeout)
            .unwrap_or_else(|| Limit::new(default.0, LimitSource::Default(default.1)));
        let started = Instant::now();
        match self.state {
            State::Gone => {
                let claim = &held.claim;
                client
                    .wait_gone(&claim.claim_name, Some(&claim.claim_uid), limit.remaining())
                    .await
                    .map_err(|error| limit.wait_error("wait", error))?;
            }
            State::Ready => {
                let claim = client.claim(&held.claim.claim_name).await?;
                held.claim = claim
                    .wait_ready(limit.remaining())
                    .await
                    .map_err(|error| limit.ready_error("wait", error))?;
            }
        }
        let took = started.elapsed();
        Ok(StepOutcome::new(vec![("duration", took.into())]).time(Measure::Wait, took))
    }
}
