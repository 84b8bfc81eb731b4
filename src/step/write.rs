//! `write`: writes a file, with given content or with bytes made from a seed.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{Measure, StepContext, StepError, StepOutcome};
use crate::expr::{Output, Template, Value, ValueKind};
use crate::source::yaml::Node;
use crate::source::{Code, Diagnostic, Fields, FromNode, Problems, Shape};
use crate::units::ByteSize;

/// The largest file: what the runtime takes.
const LARGEST: ByteSize = ByteSize(256 << 20);

/// Writes a file.
#[derive(Debug, Clone)]
pub struct Write {
    path: Template,
    content: Content,
    sandbox: Option<Template>,
}

#[derive(Debug, Clone)]
enum Content {
    Text(Template),
    Made { size: Template, seed: u64 },
}

const SHAPE: Shape = Shape {
    what: "`write`",
    fields: &["path", "content", "size", "seed", "sandbox"],
    later: &["file", "mode"],
    help: None,
};

impl Write {
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
        let path = fields.required("path", problems);
        let sandbox = fields.optional("sandbox", problems);
        let content = match (fields.node("content"), fields.node("size")) {
            (Some(content), _) => Template::from_node(content, problems).map(Content::Text),
            (None, Some(size)) => {
                let seed = fields.optional("seed", problems).unwrap_or(0);
                let template = Template::from_node(size, problems)?;
                if let Some(text) = template.constant()
                    && let Err(error) = read_size(text)
                {
                    problems.push(Diagnostic::error(Code::BadValue, size.span, error));
                }
                Some(Content::Made {
                    size: template,
                    seed,
                })
            }
            (None, None) => {
                problems.push(
                    Diagnostic::error(
                        Code::MissingField,
                        fields.head(),
                        "`write` needs `content`, or `size` and `seed`",
                    )
                    .label("nothing to write"),
                );
                None
            }
        };
        Some(Self {
            path: path?,
            content: content?,
            sandbox,
        })
    }

    pub(super) async fn run(
        &self,
        context: &mut StepContext,
        timeout: Option<Duration>,
    ) -> Result<StepOutcome, StepError> {
        let path = self.path.render(&context.bindings)?;
        let content = self.content.bytes(context)?;
        let sandbox = context.connection("write", self.sandbox.as_ref())?;
        let mut files = sandbox.files();
        if let Some(timeout) = timeout {
            files = files.timeout(timeout);
        }
        let size = content.len() as u64;
        let digest = sha256(&content);
        let started = Instant::now();
        files.write(&path, content).await?;
        let took = started.elapsed();
        Ok(StepOutcome::new(vec![
            ("size", i64::try_from(size).unwrap_or(i64::MAX).into()),
            ("sha256", Value::text(digest)),
            ("duration", took.into()),
        ])
        .time(Measure::Write, took)
        .count(Measure::BytesWritten, size))
    }
}

impl Content {
    fn bytes(&self, context: &StepContext) -> Result<Bytes, StepError> {
        match self {
            Self::Text(template) => {
                let value = template.evaluate(&context.bindings)?;
                match value.as_bytes() {
                    Some(bytes) => Ok(Bytes::copy_from_slice(bytes)),
                    None => {
                        let text = template.render(&context.bindings)?;
                        Ok(Bytes::copy_from_slice(text.as_bytes()))
                    }
                }
            }
            Self::Made { size, seed } => {
                let text = size.render(&context.bindings)?;
                let size = read_size(&text).map_err(|_| StepError::Value {
                    action: "write",
                    value: text.to_string(),
                    what: "size such as `64KiB`, at most 256MiB",
                })?;
                Ok(made(size, *seed))
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

/// The same bytes for the same size and seed, on every machine.
fn made(size: ByteSize, seed: u64) -> Bytes {
    let mut bytes = vec![0; usize::try_from(size.0).unwrap_or(0)];
    SmallRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes.into()
}

/// SHA-256 as hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_bytes_depend_on_size_and_seed_alone() {
        assert_eq!(made(ByteSize(1000), 7), made(ByteSize(1000), 7));
        assert_ne!(made(ByteSize(1000), 7), made(ByteSize(1000), 8));
        assert_eq!(made(ByteSize(3), 7).len(), 3);
        assert!(read_size("1GiB").is_err());
    }

    #[test]
    fn digests_are_those_of_the_standard() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256(b""), empty);
    }
}
