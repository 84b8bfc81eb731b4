//! `exists`: asks whether a file or directory exists.

use std::time::Duration;

use tokio::time::Instant;

use super::{Measure, StepContext, StepError, StepOutcome};
use crate::expr::{Output, Template, ValueKind};
use crate::source::yaml::Node;
use crate::source::{Fields, FromNode, Problems, Shape};

/// Asks whether a file exists.
#[derive(Debug, Clone)]
pub struct Exists {
    path: Template,
    sandbox: Option<Template>,
}

const SHAPE: Shape = Shape {
    what: "`exists`",
    fields: &["path", "sandbox"],
    later: &[],
    help: None,
};

impl Exists {
    /// What `exists` gives.
    pub const OUTPUTS: &'static [Output] = &[
        Output {
            name: "exists",
            kind: ValueKind::Bool,
            what: "whether it exists",
        },
        Output {
            name: "duration",
            kind: ValueKind::Duration,
            what: "request to answer",
        },
    ];

    pub(super) fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        if node.as_mapping().is_none() {
            return Template::from_node(node, problems).map(|path| Self {
                path,
                sandbox: None,
            });
        }
        let fields = Fields::of(node, &SHAPE, problems)?;
        let sandbox = fields.optional("sandbox", problems);
        Some(Self {
            path: fields.required("path", problems)?,
            sandbox,
        })
    }

    pub(super) async fn run(
        &self,
        context: &mut StepContext,
        timeout: Option<Duration>,
    ) -> Result<StepOutcome, StepError> {
        let path = self.path.render(&context.bindings)?;
        let sandbox = context.connection("exists", self.sandbox.as_ref())?;
        let mut files = sandbox.files();
        if let Some(timeout) = timeout {
            files = files.timeout(timeout);
        }
        let started = Instant::now();
        let exists = files.exists(&path).await?;
        let took = started.elapsed();
        Ok(
            StepOutcome::new(vec![("exists", exists.into()), ("duration", took.into())])
                .time(Measure::Exists, took),
        )
    }
}
