//! `collect`: what a cluster knows of the iteration's sandboxes, for people who look for a cause.
//!
//! Mostly in `finally`, with `if: iteration.failed`. It also asks about claims that never became
//! ready. With `--artifacts DIR` the texts are files there; their ends are in the result either way.

use std::path::{Path, PathBuf};

use tokio::time::Instant;

use super::{StepContext, StepError, StepOutcome};
use crate::client::{Client, KubeError};
use crate::expr::{Output, Template, Value, ValueKind};
use crate::source::yaml::Node;
use crate::source::{
    Code, Diagnostic, Field, Fields, Keyword, Problems, Shape, Takes, keyword, words,
};

/// Collects what the cluster knows of sandboxes.
#[derive(Debug, Clone)]
pub struct Collect {
    what: Vec<What>,
    sandbox: Option<Template>,
}

/// A text that was collected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collected {
    /// `pod-logs`, `events` or `objects`.
    pub what: &'static str,
    /// `namespace/claim`.
    pub claim: String,
    /// All of it.
    pub text: String,
    /// Where it was written.
    pub file: Option<PathBuf>,
}

/// What there is to collect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    PodLogs,
    Events,
    Objects,
}

impl Keyword for What {
    const WHAT: &'static str = "thing to collect";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("pod-logs", Self::PodLogs),
        ("events", Self::Events),
        ("objects", Self::Objects),
    ];
}

impl What {
    fn word(self) -> &'static str {
        let mut words = Self::WORDS.iter();
        words
            .find(|(_, what)| *what == self)
            .map_or("", |(word, _)| word)
    }

    async fn of(self, client: &Client, claim: &str, sandbox: &str) -> Result<String, KubeError> {
        match self {
            Self::PodLogs => client.pod_logs(sandbox).await,
            Self::Events => client.events(claim, sandbox).await,
            Self::Objects => client.objects(claim, sandbox).await,
        }
    }
}

const SHAPE: Shape = Shape {
    what: "`collect`",
    fields: &[
        Field::required(
            "what",
            Takes::Either(&[
                Takes::Word(words::<What>),
                Takes::List(&Takes::Word(words::<What>)),
            ]),
            "what is collected: what the Pod wrote, the Events about claim, sandbox and Pod, or these objects as JSON",
        ),
        Field::new(
            "sandbox",
            Takes::Text,
            "id of the `create` step whose sandbox it is; default: all of the iteration",
        ),
    ],
    later: &[],
    help: Some("the short form is the list alone: `collect: [pod-logs, events]`"),
};

impl Collect {
    /// What it takes.
    pub(super) const TAKES: Takes = Takes::Either(&[
        Takes::List(&Takes::Word(words::<What>)),
        Takes::Word(words::<What>),
        Takes::Fields(&SHAPE),
    ]);

    /// What `collect` gives.
    pub const OUTPUTS: &'static [Output] = &[
        Output {
            name: "texts",
            kind: ValueKind::Texts,
            what: "what was collected, sandbox by sandbox",
        },
        Output {
            name: "files",
            kind: ValueKind::Texts,
            what: "the files that it is in, with `--artifacts`",
        },
        Output {
            name: "duration",
            kind: ValueKind::Duration,
            what: "until all of it was there",
        },
    ];

    pub(super) fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        if node.as_mapping().is_none() {
            return things(node, problems).map(|what| Self {
                what,
                sandbox: None,
            });
        }
        let fields = Fields::of(node, &SHAPE, problems)?;
        let sandbox = fields.optional("sandbox", problems);
        let what = fields.required_node("what", problems)?;
        Some(Self {
            what: things(what, problems)?,
            sandbox,
        })
    }

    pub(super) async fn run(&self, context: &mut StepContext) -> Result<StepOutcome, StepError> {
        let client = context.client.clone();
        let started = Instant::now();
        let mut collected = Vec::new();
        for (claim, sandbox) in context.claims(self.sandbox.as_ref())? {
            for what in &self.what {
                let asked = what.of(&client, &claim, &sandbox).await;
                let text = asked.map_err(|source| StepError::Collect {
                    what: what.word(),
                    source: Box::new(source),
                })?;
                let text = context.target.secrets.hide(&text);
                let file = match &context.target.artifacts {
                    None => None,
                    Some(directory) => Some(keep(directory, &claim, what.word(), &text).await?),
                };
                collected.push(Collected {
                    what: what.word(),
                    claim: format!("{}/{claim}", client.namespace()),
                    text,
                    file,
                });
            }
        }
        let took = started.elapsed();
        let texts = collected.iter().map(|one| Value::text(one.text.as_str()));
        let files = collected.iter().filter_map(|one| one.file.as_ref());
        let files = files.map(|file| Value::text(file.to_string_lossy()));
        let outputs = vec![
            ("texts", Value::List(texts.collect())),
            ("files", Value::List(files.collect())),
            ("duration", took.into()),
        ];
        let mut outcome = StepOutcome::new(outputs);
        outcome.collected = collected;
        Ok(outcome)
    }
}

/// Writes a text to a file of its own.
async fn keep(directory: &Path, claim: &str, what: &str, text: &str) -> Result<PathBuf, StepError> {
    let file = directory.join(format!("{claim}-{what}.txt"));
    let written = async {
        tokio::fs::create_dir_all(directory).await?;
        tokio::fs::write(&file, text).await
    };
    match written.await {
        Ok(()) => Ok(file),
        Err(source) => Err(StepError::Artifact { file, source }),
    }
}

fn things(node: &Node, problems: &mut Problems) -> Option<Vec<What>> {
    let Some(items) = node.as_sequence() else {
        return keyword(node, problems).map(|what| vec![what]);
    };
    if items.is_empty() {
        problems.push(
            Diagnostic::error(
                Code::BadValue,
                node.span,
                "`collect` has nothing to collect",
            )
            .label("empty")
            .help("for example `collect: [pod-logs, events]`"),
        );
        return None;
    }
    let mut things: Vec<What> = Vec::new();
    let mut all = true;
    for item in items {
        let Some(what) = keyword::<What>(item, problems) else {
            all = false;
            continue;
        };
        if things.contains(&what) {
            problems.push(
                Diagnostic::error(
                    Code::DuplicateName,
                    item.span,
                    format!("`{}` is collected twice", what.word()),
                )
                .label("already in the list"),
            );
        }
        things.push(what);
    }
    all.then_some(things)
}
