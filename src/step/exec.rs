//! `exec`: runs a command and waits for its end. Never repeated.

use std::time::Duration;

use tokio::time::Instant;

use super::{Measure, StepContext, StepError, StepOutcome};
use crate::client::Command;
use crate::expr::{Output, Template, Value, ValueKind};
use crate::source::yaml::Node;
use crate::source::{Fields, FromNode, Problems, Shape};

/// Runs a command. An exit code other than 0 fails the step unless `expect` names `exitCode`.
#[derive(Debug, Clone)]
pub struct Exec {
    command: Template,
    sandbox: Option<Template>,
}

const SHAPE: Shape = Shape {
    what: "`exec`",
    fields: &["command", "sandbox"],
    later: &["argv", "shell", "env", "cwd", "stdin"],
    help: Some("the step's own `timeout` limits the command"),
};

impl Exec {
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
            return Template::from_node(node, problems).map(|command| Self {
                command,
                sandbox: None,
            });
        }
        let fields = Fields::of(node, &SHAPE, problems)?;
        let sandbox = fields.optional("sandbox", problems);
        Some(Self {
            command: fields.required("command", problems)?,
            sandbox,
        })
    }

    pub(super) async fn run(
        &self,
        context: &mut StepContext,
        timeout: Option<Duration>,
    ) -> Result<StepOutcome, StepError> {
        let command = self.command.render(&context.bindings)?;
        let sandbox = context.connection("exec", self.sandbox.as_ref())?;
        let mut command = Command::new(&*command);
        if let Some(timeout) = timeout {
            command = command.timeout(timeout);
        }
        let started = Instant::now();
        let result = sandbox.commands().run(command).await?;
        let ended = Instant::now();
        let took = ended.saturating_duration_since(started);
        let held = context.sandbox("exec", self.sandbox.as_ref())?;
        let first = !held.executed && result.exit_code == 0;
        held.executed |= first;
        let requested = held.requested;
        let outcome = StepOutcome::new(vec![
            ("stdout", Value::text(result.stdout)),
            ("stderr", Value::text(result.stderr)),
            ("exitCode", result.exit_code.into()),
            ("timedOut", result.timed_out.into()),
            ("duration", took.into()),
        ])
        .time(Measure::Exec, took);
        Ok(if first {
            outcome.time(
                Measure::FirstExec,
                ended.saturating_duration_since(requested),
            )
        } else {
            outcome
        })
    }
}
