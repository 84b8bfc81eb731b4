//! `list`: lists a directory.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::{Measure, StepContext, StepError, StepOutcome};
use crate::api::runtime::FileType;
use crate::client::FileEntry;
use crate::expr::{Output, Template, Value, ValueKind};
use crate::source::yaml::Node;
use crate::source::{Fields, FromNode, Problems, Shape};

/// Lists a directory.
#[derive(Debug, Clone)]
pub struct List {
    path: Template,
    sandbox: Option<Template>,
}

const SHAPE: Shape = Shape {
    what: "`list`",
    fields: &["path", "sandbox"],
    later: &["recursive"],
    help: None,
};

impl List {
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
        let sandbox = context.connection("list", self.sandbox.as_ref())?;
        let mut files = sandbox.files();
        if let Some(timeout) = timeout {
            files = files.timeout(timeout);
        }
        let started = Instant::now();
        let mut entries = files.list(&path).await?;
        let took = started.elapsed();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let names: Vec<Value> = entries
            .iter()
            .map(|entry| Value::text(entry.name.as_str()))
            .collect();
        let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
        Ok(StepOutcome::new(vec![
            ("names", Value::List(names)),
            (
                "entries",
                Value::List(entries.iter().map(value_of).collect()),
            ),
            ("count", count.into()),
            ("duration", took.into()),
        ])
        .time(Measure::List, took))
    }
}

fn value_of(entry: &FileEntry) -> Value {
    let kind = match entry.kind {
        FileType::File => "file",
        FileType::Directory => "directory",
    };
    Value::Map(BTreeMap::from([
        ("name".to_owned(), Value::text(entry.name.as_str())),
        (
            "size".to_owned(),
            i64::try_from(entry.size).unwrap_or(i64::MAX).into(),
        ),
        ("type".to_owned(), kind.into()),
    ]))
}
