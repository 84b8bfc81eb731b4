//! `write`: writes a file, with given content or with bytes made from a seed.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::time::Instant;

use super::content::{Content, made};
use super::fields::{SANDBOX, filled};
use super::limit::{Limit, call_error, limited};
use super::{Measure, StepContext, StepError, StepOutcome};
use crate::expr::{Output, Template, Value, ValueKind};
use crate::source::yaml::Node;
use crate::source::{Code, Diagnostic, Field, Fields, FromNode, Problems, Shape, Takes};
use crate::units::ByteSize;

/// The largest file: what the runtime takes.
const LARGEST: ByteSize = ByteSize(256 << 20);

/// Writes a file.
#[derive(Debug, Clone)]
pub struct Write {
    path: Template,
    content: Source,
    sandbox: Option<Template>,
}

#[derive(Debug, Clone)]
enum Source {
    Text(Template),
    Made {
        size: Template,
        seed: u64,
        /// The first bytes made, so that they are not made again in every iteration.
        first: Arc<OnceLock<Bytes>>,
    },
}

const SHAPE: Shape = Shape {
    what: "`write`",
    fields: &[
        Field::required("path", Takes::Text, "the file"),
        Field::new("content", Takes::Text, "what is written"),
        Field::new(
            "size",
            Takes::Text,
            "in place of `content`: so many bytes that are made, `1MiB`, at most 256 MiB",
        ),
        Field::new(
            "seed",
            Takes::Whole(0, i64::MAX),
            "of the bytes that are made, the same for the same seed; default: 0",
        ),
        SANDBOX,
    ],
    later: &["file", "mode"],
    help: None,
};

impl Write {
    /// What it takes.
    pub(super) const TAKES: Takes = Takes::Fields(&SHAPE);

    /// What `write` gives.
    pub const OUTPUTS: &'static [Output] = &[
        Output {
            name: "size",
            kind: ValueKind::Size,
            what: "bytes written",
        },
        Output {
            name: "sha256",
            kind: ValueKind::Text,
            what: "of what was written, hexadecimal",
        },
        Output {
            name: "duration",
            kind: ValueKind::Duration,
            what: "request to answer",
        },
    ];

    pub(super) fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let fields = Fields::of(node, &SHAPE, problems)?;
        fields.at_most_one_of(&["content", "size"], problems);
        fields.at_most_one_of(&["content", "seed"], problems);
        let path = fields.required("path", problems);
        let path = path.and_then(|path| filled("path", path, problems));
        let sandbox = fields.optional("sandbox", problems);
        let content = Source::decode(&fields, problems);
        Some(Self {
            path: path?,
            content: content?,
            sandbox,
        })
    }

    pub(super) async fn run(
        &self,
        context: &mut StepContext,
        limit: Option<Limit>,
    ) -> Result<StepOutcome, StepError> {
        let path = self.path.render(&context.bindings)?;
        let bytes = self.content.bytes(context)?;
        let sandbox = context.connection("write", self.sandbox.as_ref())?;
        let files = limited(sandbox.files(), limit);
        let size = bytes.len() as u64;
        let started = Instant::now();
        let written = files.write(&path, bytes.clone()).await;
        let took = started.elapsed();
        written.map_err(|error| call_error("write", error, limit))?;
        Ok(StepOutcome::of(Content { bytes, took })
            .time(Measure::Write, took)
            .count(Measure::BytesWritten, size))
    }
}

impl Source {
    fn decode(fields: &Fields<'_>, problems: &mut Problems) -> Option<Self> {
        if let Some(content) = fields.node("content") {
            return Template::from_node(content, problems).map(Self::Text);
        }
        let Some(node) = fields.node("size") else {
            problems.push(
                Diagnostic::error(
                    Code::MissingField,
                    fields.head(),
                    "`write` needs `content`, or `size` and `seed`",
                )
                .label("nothing to write"),
            );
            return None;
        };
        let seed = fields.optional("seed", problems).unwrap_or(0);
        let size = Template::from_node(node, problems)?;
        if let Some(text) = size.constant()
            && let Err(error) = read_size(text)
        {
            problems.push(Diagnostic::error(Code::BadValue, node.span, error));
            return None;
        }
        Some(Self::Made {
            size,
            seed,
            first: Arc::default(),
        })
    }

    fn bytes(&self, context: &StepContext) -> Result<Bytes, StepError> {
        match self {
            Self::Text(template) => {
                let value = template.evaluate(&context.bindings)?;
                if let Value::Bytes(bytes) = value {
                    return Ok(bytes);
                }
                // A list or a map has no text: rendering says so.
                let text = value
                    .to_text()
                    .map_or_else(|| template.render(&context.bindings), Ok)?;
                Ok(Bytes::copy_from_slice(text.as_bytes()))
            }
            Self::Made { size, seed, first } => {
                let text = size.render(&context.bindings)?;
                let size = read_size(&text).map_err(|_| StepError::Value {
                    action: "write",
                    value: text.to_string(),
                    what: "size such as `64KiB`, at most 256MiB",
                })?;
                let bytes = first.get_or_init(|| made(size, *seed));
                // The size can differ by cell and iteration.
                if bytes.len() as u64 == size.0 {
                    Ok(bytes.clone())
                } else {
                    Ok(made(size, *seed))
                }
            }
        }
    }
}

fn read_size(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text
        .parse()
        .map_err(|error: crate::units::UnitError| error.to_string())?;
    if size > LARGEST {
        Err(format!("`{text}` is more than {LARGEST}"))
    } else {
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit_and_fits() {
        assert_eq!(read_size("64KiB"), Ok(ByteSize(64 << 10)));
        assert_eq!(read_size("256MiB"), Ok(LARGEST));
        assert_eq!(
            read_size("1GiB"),
            Err("`1GiB` is more than 256MiB".to_owned())
        );
        assert!(read_size("64").is_err());
    }
}
