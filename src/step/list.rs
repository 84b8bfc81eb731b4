//! `list`: lists a directory.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::fields::{Place, SANDBOX};
use super::limit::{Limit, call_error, limited};
use super::outcome::whole;
use super::{Measure, StepContext, StepError, StepOutcome};
use crate::api::runtime::FileType;
use crate::client::FileEntry;
use crate::expr::{Output, Value, ValueKind};
use crate::source::yaml::Node;
use crate::source::{Field, Problems, Shape, Takes};

/// Lists a directory.
#[derive(Debug, Clone)]
pub struct List {
    place: Place,
}

const SHAPE: Shape = Shape {
    what: "`list`",
    fields: &[
        Field::required("path", Takes::Text, "the directory"),
        SANDBOX,
    ],
    later: &["recursive"],
    help: None,
};

impl List {
    /// What it takes.
    pub(super) const TAKES: Takes = Takes::Either(&[Takes::Text, Takes::Fields(&SHAPE)]);

    /// What `list` gives.
    pub const OUTPUTS: &'static [Output] = &[
        Output {
            name: "names",
            kind: ValueKind::Texts,
            what: "names of the entries, sorted",
        },
        Output {
            name: "entries",
            kind: ValueKind::Any,
            what: "the entries, each with `name`, `size` and `type`",
        },
        Output {
            name: "count",
            kind: ValueKind::Int,
            what: "number of entries",
        },
        Output {
            name: "duration",
            kind: ValueKind::Duration,
            what: "request to answer",
        },
    ];

    pub(super) fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        Place::decode(node, &SHAPE, problems).map(|place| Self { place })
    }

    pub(super) async fn run(
        &self,
        context: &mut StepContext,
        limit: Option<Limit>,
    ) -> Result<StepOutcome, StepError> {
        let path = self.place.path.render(&context.bindings)?;
        let sandbox = context.connection("list", self.place.sandbox.as_ref())?;
        let files = limited(sandbox.files(), limit);
        let started = Instant::now();
        let entries = files.list(&path).await;
        let took = started.elapsed();
        let mut entries = entries.map_err(|error| call_error("list", error, limit))?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(StepOutcome::of(Listed { entries, took }).time(Measure::List, took))
    }
}

/// What a directory holds, sorted by name.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    entries: Vec<FileEntry>,
    took: Duration,
}

impl Listed {
    pub(super) fn output(&self, name: &str) -> Value {
        let entries = self.entries.iter();
        match name {
            "names" => Value::List(
                entries
                    .map(|entry| Value::text(entry.name.as_str()))
                    .collect(),
            ),
            "entries" => Value::List(entries.map(value_of).collect()),
            "count" => whole(self.entries.len()),
            "duration" => self.took.into(),
            _ => Value::Null,
        }
    }
}

fn value_of(entry: &FileEntry) -> Value {
    let kind = match entry.kind {
        FileType::File => "file",
        FileType::Directory => "directory",
    };
    let size = i64::try_from(entry.size).unwrap_or(i64::MAX);
    Value::Map(BTreeMap::from([
        ("name".to_owned(), Value::text(entry.name.as_str())),
        ("size".to_owned(), size.into()),
        ("type".to_owned(), kind.into()),
    ]))
}
