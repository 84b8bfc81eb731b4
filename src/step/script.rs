//! `script`: runs a program on the machine of sandbench, for what the language cannot say. What it
//! prints as JSON is the output `json`.
//!
//! No shell is involved: the text is split into words, a list is taken as it is. The program runs in
//! the directory of the scenario file. When its time is over, or the run is stopped, it is ended
//! with every process that it started.

use std::ffi::OsString;
use std::process::Stdio;

use tokio::time::Instant;

use super::fields::filled;
use super::program::{Ended, Program};
use super::words::words;
use super::{StepContext, StepError, StepOutcome};
use crate::expr::{Output, Template, Value, ValueKind};
use crate::source::yaml::{Key, Node};
use crate::source::{Code, Diagnostic, Field, Fields, FromNode, Problems, Shape, Takes, read_map};

/// Runs a local program. An exit code other than 0 fails the step unless `expect` names `exitCode`.
#[derive(Debug, Clone)]
pub struct Script {
    command: CommandLine,
    stdin: Option<Template>,
    env: Vec<(Key, Template)>,
}

#[derive(Debug, Clone)]
enum CommandLine {
    /// Split into words when the values are known.
    Text(Template),
    /// The program and its arguments.
    List(Vec<Template>),
}

const SHAPE: Shape = Shape {
    what: "`script`",
    fields: &[
        Field::required(
            "command",
            Takes::Either(&[Takes::Text, Takes::List(&Takes::Text)]),
            "a text, split into words as a shell does, or a list that is not split",
        ),
        Field::new("stdin", Takes::Text, "its standard input; default: nothing"),
        Field::new(
            "env",
            Takes::Map(&Takes::Text),
            "environment variables beside those of sandbench",
        ),
    ],
    later: &[],
    help: None,
};

impl Script {
    /// What it takes.
    pub(super) const TAKES: Takes = Takes::Either(&[
        Takes::Text,
        Takes::List(&Takes::Text),
        Takes::Fields(&SHAPE),
    ]);

    /// What `script` gives.
    pub const OUTPUTS: &'static [Output] = &[
        Output {
            name: "stdout",
            kind: ValueKind::Text,
            what: "what the program wrote",
        },
        Output {
            name: "stderr",
            kind: ValueKind::Text,
            what: "its error output",
        },
        Output {
            name: "json",
            kind: ValueKind::Any,
            what: "what it wrote, read as JSON; nothing if it is not JSON",
        },
        Output {
            name: "exitCode",
            kind: ValueKind::Int,
            what: "its exit code, negative: a signal",
        },
        Output {
            name: "duration",
            kind: ValueKind::Duration,
            what: "from its start to its end",
        },
    ];

    pub(super) fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        if node.as_mapping().is_none() {
            return Some(Self {
                command: CommandLine::decode(node, problems)?,
                stdin: None,
                env: Vec::new(),
            });
        }
        let fields = Fields::of(node, &SHAPE, problems)?;
        let env = fields
            .node("env")
            .and_then(|node| read_map(node, "environment variables", problems));
        let stdin = fields.optional("stdin", problems);
        let command = fields.required_node("command", problems)?;
        Some(Self {
            command: CommandLine::decode(command, problems)?,
            stdin,
            env: env.unwrap_or_default(),
        })
    }

    pub(super) async fn run(&self, context: &mut StepContext) -> Result<StepOutcome, StepError> {
        let bindings = &context.bindings;
        let mut words = self.command.words(context)?.into_iter();
        let name = words.next().unwrap_or_default();
        let mut command = tokio::process::Command::new(&name);
        command
            .args(words)
            .current_dir(&context.target.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (key, value) in &self.env {
            command.env(OsString::from(&*key.value), &*value.render(bindings)?);
        }
        let stdin = match &self.stdin {
            Some(text) => text.render(bindings)?.to_string(),
            None => String::new(),
        };
        let started = Instant::now();
        let Ended {
            exit_code,
            stdout,
            stderr,
        } = Program::start(command, name)?.finish(&stdin).await?;
        let took = started.elapsed();
        let json = serde_json::from_str::<serde_json::Value>(&stdout);
        Ok(StepOutcome::new(vec![
            ("stdout", Value::text(stdout)),
            ("stderr", Value::text(stderr)),
            ("json", json.map_or(Value::Null, Value::from)),
            ("exitCode", exit_code.into()),
            ("duration", took.into()),
        ]))
    }
}

impl CommandLine {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        if node.as_sequence().is_none() {
            let text = filled("command", Template::from_node(node, problems)?, problems)?;
            if let Some(Err(error)) = text.constant().map(|text| words(text)) {
                problems.push(
                    Diagnostic::error(
                        Code::BadValue,
                        node.span,
                        format!("the command cannot be split into words: {error}"),
                    )
                    .label("here")
                    .help("a list is not split: `script: { command: [printf, \"it's\"] }`"),
                );
                return None;
            }
            return Some(Self::Text(text));
        }
        let list: Vec<Template> = Vec::from_node(node, problems)?;
        if list.is_empty() {
            problems.push(
                Diagnostic::error(Code::BadValue, node.span, "the command is empty").label("empty"),
            );
            return None;
        }
        Some(Self::List(list))
    }

    fn words(&self, context: &StepContext) -> Result<Vec<String>, StepError> {
        let bad = |value: &str| StepError::Value {
            action: "script",
            value: value.to_owned(),
            what: "command with a program in it",
        };
        let words = match self {
            Self::Text(text) => {
                let text = text.render(&context.bindings)?;
                words(&text).map_err(|_| bad(&text))?
            }
            Self::List(list) => {
                let mut words = Vec::new();
                for word in list {
                    words.push(word.render(&context.bindings)?.to_string());
                }
                words
            }
        };
        if words.first().is_none_or(String::is_empty) {
            return Err(bad(""));
        }
        Ok(words)
    }
}
