//! `exec`: runs a command and waits for its end. Never repeated.
//!
//! The runtime splits the command like a shell but starts it without one: pipes and variables need
//! `sh -c '…'`. A limit ends the call; a command that was started keeps running.

use std::time::Duration;

use tokio::time::Instant;

use super::fields::{SANDBOX, filled, limit};
use super::limit::{Limit, call_error};
use super::{Measure, StepContext, StepError, StepOutcome};
use crate::client::{Command, ExecutionResult};
use crate::expr::{Output, Template, Value, ValueKind};
use crate::source::yaml::Node;
use crate::source::{Field, Fields, FromNode, Problems, Shape, Spanned, Takes};

/// Runs a command. An exit code other than 0 fails the step unless `expect` names `exitCode`.
#[derive(Debug, Clone)]
pub struct Exec {
    command: Template,
    timeout: Option<Spanned<Duration>>,
    sandbox: Option<Template>,
}

/// What a command left.
#[derive(Debug, Clone)]
pub(super) struct Executed {
    result: ExecutionResult,
    took: Duration,
}

impl Executed {
    pub(super) fn output(&self, name: &str) -> Value {
        match name {
            "stdout" => Value::text(self.result.stdout.as_str()),
            "stderr" => Value::text(self.result.stderr.as_str()),
            "exitCode" => self.result.exit_code.into(),
            "timedOut" => self.result.timed_out.into(),
            "duration" => self.took.into(),
            _ => Value::Null,
        }
    }
}

const SHAPE: Shape = Shape {
    what: "`exec`",
    fields: &[
        Field::required(
            "command",
            Takes::Text,
            "the command; split into words as a shell does, started without one",
        ),
        Field::new(
            "timeout",
            Takes::Duration,
            "how long it may take; default: that of the step, else 1m",
        ),
        SANDBOX,
    ],
    later: &["argv", "shell", "env", "cwd", "stdin"],
    help: None,
};

impl Exec {
    /// What it takes.
    pub(super) const TAKES: Takes = Takes::Either(&[Takes::Text, Takes::Fields(&SHAPE)]);

    /// What `exec` gives.
    pub const OUTPUTS: &'static [Output] = &[
        Output {
            name: "stdout",
            kind: ValueKind::Text,
            what: "what the command wrote",
        },
        Output {
            name: "stderr",
            kind: ValueKind::Text,
            what: "its error output",
        },
        Output {
            name: "exitCode",
            kind: ValueKind::Int,
            what: "its exit code, negative: a signal",
        },
        Output {
            name: "timedOut",
            kind: ValueKind::Bool,
            what: "whether the runtime ended it",
        },
        Output {
            name: "duration",
            kind: ValueKind::Duration,
            what: "request to answer",
        },
    ];

    pub(super) fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        if node.as_mapping().is_none() {
            let command = Template::from_node(node, problems)?;
            return Some(Self {
                command: filled("command", command, problems)?,
                timeout: None,
                sandbox: None,
            });
        }
        let fields = Fields::of(node, &SHAPE, problems)?;
        let sandbox = fields.optional("sandbox", problems);
        let timeout = fields
            .node("timeout")
            .and_then(|node| limit(node, problems));
        let command = fields.required("command", problems)?;
        Some(Self {
            command: filled("command", command, problems)?,
            timeout,
            sandbox,
        })
    }

    pub(super) async fn run(
        &self,
        context: &mut StepContext,
        limit: Option<Limit>,
    ) -> Result<StepOutcome, StepError> {
        let limit = Limit::tighter(limit, self.timeout);
        let command = self.command.render(&context.bindings)?;
        let sandbox = context.connection("exec", self.sandbox.as_ref())?;
        let mut command = Command::new(&*command);
        if let Some(limit) = limit {
            command = command.timeout(limit.remaining());
        }
        let started = Instant::now();
        let result = sandbox.commands().run(command).await;
        let ended = Instant::now();
        let took = ended.saturating_duration_since(started);
        let result = result.map_err(|error| call_error("exec", error, limit))?;
        let held = context.sandbox("exec", self.sandbox.as_ref())?;
        let first = !held.executed && result.exit_code == 0;
        held.executed |= first;
        let (requested, launched) = (held.requested, held.claim.launch_type);
        let outcome = StepOutcome::of(Executed { result, took }).time(Measure::Exec, took);
        Ok(if first {
            let since = ended.saturating_duration_since(requested);
            outcome.time(Measure::FirstExec, since).launched(launched)
        } else {
            outcome
        })
    }
}
