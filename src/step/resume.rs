//! `resume`: starts a suspended sandbox again, waits until it is Ready and connects, as `create`
//! does. Its Pod is another one, with other addresses; its name and volumes are the same.

use tokio::time::Instant;

use super::fields::SANDBOX;
use super::limit::{Limit, LimitSource};
use super::suspend::DEFAULT;
use super::{Measure, StepContext, StepError, StepOutcome};
use crate::expr::{Output, Template, Value, ValueKind};
use crate::source::yaml::Node;
use crate::source::{Fields, Problems, Shape, Takes};

/// Resumes the sandbox.
#[derive(Debug, Clone)]
pub struct Resume {
    sandbox: Option<Template>,
}

const SHAPE: Shape = Shape {
    what: "`resume`",
    fields: &[SANDBOX],
    later: &["snapshot"],
    help: None,
};

impl Resume {
    /// What it takes.
    pub(super) const TAKES: Takes = Takes::Fields(&SHAPE);

    /// What `resume` gives.
    pub const OUTPUTS: &'static [Output] = &[
        Output {
            name: "podIps",
            kind: ValueKind::Texts,
            what: "addresses of its new Pod",
        },
        Output {
            name: "readyDuration",
            kind: ValueKind::Duration,
            what: "from asking for it to seeing it Ready",
        },
        Output {
            name: "duration",
            kind: ValueKind::Duration,
            what: "from asking for it to a usable connection",
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
            Limit::new(DEFAULT, LimitSource::Default("the default of `resume`"))
        });
        let (client, target) = (context.client.clone(), context.target.clone());
        let held = context.sandbox("resume", self.sandbox.as_ref())?;
        held.changes += 1;
        if held.deleted {
            return Err(StepError::SandboxDeleted { action: "resume" });
        }
        if let Some(old) = held.connection.take() {
            old.disconnect().await;
        }
        let started = Instant::now();
        let ready = client
            .resume(&held.claim, limit.remaining())
            .await
            .map_err(|error| limit.suspend_error("resume", error))?;
        let resumed = Instant::now();
        let connection = client.connect(&ready, &target.mode).await?;
        let done = Instant::now();
        let ips = ready.pod_ips.iter().map(|ip| Value::text(ip.to_string()));
        let ips = Value::List(ips.collect());
        held.claim = ready;
        held.connection = Some(connection);
        let since = |instant: Instant| instant.saturating_duration_since(started);
        Ok(StepOutcome::new(vec![
            ("podIps", ips),
            ("readyDuration", since(resumed).into()),
            ("duration", since(done).into()),
        ])
        .time(Measure::Resume, since(resumed))
        .time(Measure::Connect, done.saturating_duration_since(resumed)))
    }
}
