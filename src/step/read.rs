//! `read`: reads a file.

use tokio::time::Instant;

use super::content::Content;
use super::fields::{Place, SANDBOX};
use super::limit::{Limit, call_error, limited};
use super::{Measure, StepContext, StepError, StepOutcome};
use crate::expr::{Output, ValueKind};
use crate::source::yaml::Node;
use crate::source::{Field, Problems, Shape, Takes};

/// Reads a file.
#[derive(Debug, Clone)]
pub struct Read {
    place: Place,
}

const SHAPE: Shape = Shape {
    what: "`read`",
    fields: &[Field::required("path", Takes::Text, "the file"), SANDBOX],
    later: &["to"],
    help: None,
};

impl Read {
    /// What it takes.
    pub(super) const TAKES: Takes = Takes::Either(&[Takes::Text, Takes::Fields(&SHAPE)]);

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
        Place::of_file(node, &SHAPE, problems).map(|place| Self { place })
    }

    pub(super) async fn run(
        &self,
        context: &mut StepContext,
        limit: Option<Limit>,
    ) -> Result<StepOutcome, StepError> {
        let path = self.place.path.render(&context.bindings)?;
        let sandbox = context.connection("read", self.place.sandbox.as_ref())?;
        let files = limited(sandbox.files(), limit);
        let started = Instant::now();
        let content = files.read(&path).await;
        let took = started.elapsed();
        let content = content.map_err(|error| call_error("read", error, limit))?;
        let size = content.len() as u64;
        let content = Content {
            bytes: content,
            took,
        };
        Ok(StepOutcome::of(content)
            .time(Measure::Read, took)
            .count(Measure::BytesRead, size))
    }
}
