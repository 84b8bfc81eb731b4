//! `read`: reads a file.

use std::time::Duration;

use tokio::time::Instant;

use super::write::sha256;
use super::{Measure, StepContext, StepError, StepOutcome};
use crate::expr::{Output, Template, Value, ValueKind};
use crate::source::yaml::Node;
use crate::source::{Fields, FromNode, Problems, Shape};

/// Reads a file.
#[derive(Debug, Clone)]
pub struct Read {
    path: Template,
    sandbox: Option<Template>,
}

const SHAPE: Shape = Shape {
    what: "`read`",
    fields: &["path", "sandbox"],
    later: &["to"],
    help: None,
};

impl Read {
    /// What `read` gives.
    pub const OUTPUTS: &'static [Output] = &[
        Output {
            name: "content",
            kind: ValueKind::Bytes,
            what: "what the file holds",
        },
        Output {
            name: "size",
            kind: ValueKind::Size,
            what: "bytes read",
        },
        Output {
            name: "sha256",
            kind: ValueKind::Text,
            what: "of what was read, hexadecimal",
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
        let sandbox = context.connection("read", self.sandbox.as_ref())?;
        let mut files = sandbox.files();
        if let Some(timeout) = timeout {
            files = files.timeout(timeout);
        }
        let started = Instant::now();
        let content = files.read(&path).await?;
        let took = started.elapsed();
        let size = content.len() as u64;
        let digest = sha256(&content);
        let content = match std::str::from_utf8(&content) {
            Ok(text) => Value::text(text),
            Err(_) => Value::Bytes(content),
        };
        Ok(StepOutcome::new(vec![
            ("content", content),
            ("size", i64::try_from(size).unwrap_or(i64::MAX).into()),
            ("sha256", Value::text(digest)),
            ("duration", took.into()),
        ])
        .time(Measure::Read, took)
        .count(Measure::BytesRead, size))
    }
}
