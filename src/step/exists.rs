//! `exists`: asks whether a file or directory exists.

use tokio::time::Instant;

use super::fields::{Place, SANDBOX};
use super::limit::{Limit, call_error, limited};
use super::{Measure, StepContext, StepError, StepOutcome};
use crate::expr::{Output, ValueKind};
use crate::source::yaml::Node;
use crate::source::{Field, Problems, Shape, Takes};

/// Asks whether a file exists.
#[derive(Debug, Clone)]
pub struct Exists {
    place: Place,
}

const SHAPE: Shape = Shape {
    what: "`exists`",
    fields: &[
        Field::required("path", Takes::Text, "the file or directory"),
        SANDBOX,
    ],
    later: &[],
    help: None,
};

impl Exists {
    /// What it takes.
    pub(super) const TAKES: Takes = Takes::Either(&[Takes::Text, Takes::Fields(&SHAPE)]);

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
        Place::of_file(node, &SHAPE, problems).map(|place| Self { place })
    }

    pub(super) async fn run(
        &self,
        context: &mut StepContext,
        limit: Option<Limit>,
    ) -> Result<StepOutcome, StepError> {
        let path = self.place.path.render(&context.bindings)?;
        let sandbox = context.connection("exists", self.place.sandbox.as_ref())?;
        let files = limited(sandbox.files(), limit);
        let started = Instant::now();
        let exists = files.exists(&path).await;
        let took = started.elapsed();
        let exists = exists.map_err(|error| call_error("exists", error, limit))?;
        Ok(
            StepOutcome::new(vec![("exists", exists.into()), ("duration", took.into())])
                .time(Measure::Exists, took),
        )
    }
}
