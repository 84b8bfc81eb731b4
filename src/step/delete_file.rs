//! `deleteFile`: deletes a file or a directory in the sandbox. Only sandboxd can; on the legacy
//! runtime the cell is not applicable, and a scenario for both runs `rm` instead.

use tokio::time::Instant;

use super::fields::{Place, SANDBOX, filled};
use super::limit::{Limit, call_error, limited};
use super::{Measure, StepContext, StepError, StepOutcome};
use crate::client::Recursive;
use crate::expr::{Output, ValueKind};
use crate::source::yaml::Node;
use crate::source::{Field, Fields, Problems, Shape, Takes};

/// Deletes a file, or a directory.
#[derive(Debug, Clone)]
pub struct DeleteFile {
    place: Place,
    recursive: Recursive,
}

const SHAPE: Shape = Shape {
    what: "`deleteFile`",
    fields: &[
        Field::required("path", Takes::Text, "the file or directory"),
        Field::new(
            "recursive",
            Takes::Bool,
            "a directory with what is in it; default: false",
        ),
        SANDBOX,
    ],
    later: &[],
    help: None,
};

impl DeleteFile {
    /// What it takes.
    pub(super) const TAKES: Takes = Takes::Either(&[Takes::Text, Takes::Fields(&SHAPE)]);

    /// What `deleteFile` gives.
    pub const OUTPUTS: &'static [Output] = &[Output {
        name: "duration",
        kind: ValueKind::Duration,
        what: "request to answer",
    }];

    pub(super) fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Place { path, sandbox } = Place::decode(node, &SHAPE, problems)?;
        let path = filled("path", path, problems);
        let mut recursive = Recursive::No;
        // What is wrong with the fields was reported with the path.
        if node.as_mapping().is_some()
            && let Some(fields) = Fields::of(node, &SHAPE, &mut Problems::new())
            && fields.optional("recursive", problems) == Some(true)
        {
            recursive = Recursive::Yes;
        }
        Some(Self {
            place: Place {
                path: path?,
                sandbox,
            },
            recursive,
        })
    }

    pub(super) async fn run(
        &self,
        context: &mut StepContext,
        limit: Option<Limit>,
    ) -> Result<StepOutcome, StepError> {
        let path = self.place.path.render(&context.bindings)?;
        let sandbox = context.connection("deleteFile", self.place.sandbox.as_ref())?;
        let files = limited(sandbox.files(), limit);
        let started = Instant::now();
        let deleted = files.delete(&path, self.recursive).await;
        let took = started.elapsed();
        deleted.map_err(|error| call_error("deleteFile", error, limit))?;
        Ok(StepOutcome::new(vec![("duration", took.into())]).time(Measure::DeleteFile, took))
    }
}
