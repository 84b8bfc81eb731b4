//! `data`: a file with one row per iteration, which is `${{ data.COLUMN }}` in its steps.
//!
//! Only what is written is here; the file is read when the plan is made.

use crate::expr::Reference;
use crate::source::yaml::Node;
use crate::source::{
    Code, Diagnostic, Field, Fields, FromNode, Keyword, Problems, Shape, Span, Spanned, Takes,
    words,
};

/// Rows for the iterations of a scenario.
#[derive(Debug, Clone)]
pub struct Data {
    /// Path of the file, relative to the scenario file.
    pub file: Spanned<String>,
    /// What the file is.
    pub format: DataFormat,
    /// Which row an iteration gets. Default: `sequential`.
    pub order: DataOrder,
    /// What happens after the last row. Default: `recycle`.
    pub on_end: DataEnd,
    /// The columns that the steps use, and where.
    pub used: Vec<Reference>,
    /// The whole field.
    pub span: Span,
}

/// What a data file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataFormat {
    /// Comma-separated values (RFC 4180), the first line names the columns. Every value is text.
    Csv,
    /// A list of objects.
    Json,
    /// One object per line.
    JsonLines,
}

/// Which row an iteration gets. All iterations of a cell draw from the same rows, by their number,
/// whichever VU runs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataOrder {
    /// One after the other, as in the file.
    Sequential,
    /// Any, drawn anew for each iteration; it may come more than once.
    Random,
    /// One after the other, in an order that is drawn once per cell.
    Shuffle,
}

/// What happens after the last row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataEnd {
    /// They begin again.
    Recycle,
    /// No further iteration begins.
    Stop,
}

impl Keyword for DataFormat {
    const WHAT: &'static str = "format";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("csv", Self::Csv),
        ("json", Self::Json),
        ("jsonl", Self::JsonLines),
    ];
}

impl Keyword for DataOrder {
    const WHAT: &'static str = "order";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("sequential", Self::Sequential),
        ("random", Self::Random),
        ("shuffle", Self::Shuffle),
    ];
}

impl Keyword for DataEnd {
    const WHAT: &'static str = "word for the end of the data";
    const WORDS: &'static [(&'static str, Self)] =
        &[("recycle", Self::Recycle), ("stop", Self::Stop)];
}

/// The fields of `data`.
pub(super) const SHAPE: Shape = Shape {
    what: "`data`",
    fields: &[
        Field::required(
            "file",
            Takes::Text,
            "path of the file, relative to the scenario file: CSV, JSON or JSON Lines, at most 64 MiB",
        ),
        Field::new(
            "format",
            Takes::Word(words::<DataFormat>),
            "what the file is, where its ending does not say it",
        ),
        Field::new(
            "order",
            Takes::Word(words::<DataOrder>),
            "which row an iteration gets, by its number; `random` may take one more than once; default: `sequential`",
        ),
        Field::new(
            "onEnd",
            Takes::Word(words::<DataEnd>),
            "after the last row: begin again, or begin no further iteration; default: `recycle`",
        ),
    ],
    later: &[],
    help: Some("the short form is the path alone: `data: tasks.csv`"),
};

impl Data {
    pub(super) fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        if node.as_mapping().is_none() {
            let file = path(node, problems)?;
            return Some(Self {
                format: format_of(&file, problems)?,
                file,
                order: DataOrder::Sequential,
                on_end: DataEnd::Recycle,
                used: Vec::new(),
                span: node.span,
            });
        }
        let fields = Fields::of(node, &SHAPE, problems)?;
        let written = fields.node("format").is_some();
        let format = fields.keyword("format", problems);
        let order = fields.keyword("order", problems);
        let on_end = fields.keyword("onEnd", problems);
        if order == Some(DataOrder::Random)
            && on_end == Some(DataEnd::Stop)
            && let Some((key, _)) = fields.entry("onEnd")
        {
            problems.push(
                Diagnostic::error(Code::Combination, key.span, "`order: random` has no end")
                    .label("never comes about")
                    .help("`order: shuffle` takes each row once, in any order"),
            );
        }
        let file = path(fields.required_node("file", problems)?, problems)?;
        let format = if written {
            format?
        } else {
            format_of(&file, problems)?
        };
        Some(Self {
            file,
            format,
            order: order.unwrap_or(DataOrder::Sequential),
            on_end: on_end.unwrap_or(DataEnd::Recycle),
            used: Vec::new(),
            span: node.span,
        })
    }
}

fn path(node: &Node, problems: &mut Problems) -> Option<Spanned<String>> {
    let path = Spanned::<String>::from_node(node, problems)?;
    let problem = if path.value.contains("${{") {
        "the path of a data file is fixed: it is read before the run"
    } else if path.value.trim().is_empty() {
        "the path of the data file is empty"
    } else {
        return Some(path);
    };
    problems.push(Diagnostic::error(Code::BadValue, node.span, problem).label("not a path"));
    None
}

/// The format that a path's ending stands for.
fn format_of(file: &Spanned<String>, problems: &mut Problems) -> Option<DataFormat> {
    let ending = file.value.rsplit_once('.').map(|(_, ending)| ending);
    match ending.map(str::to_ascii_lowercase).as_deref() {
        Some("csv") => Some(DataFormat::Csv),
        Some("json") => Some(DataFormat::Json),
        Some("jsonl" | "ndjson") => Some(DataFormat::JsonLines),
        _ => {
            problems.push(
                Diagnostic::error(
                    Code::BadValue,
                    file.span,
                    format!("the format of `{}` is not known", file.value),
                )
                .label("ends neither in `.csv`, `.json` nor `.jsonl`")
                .help("say it: `data: { file: …, format: csv }`"),
            );
            None
        }
    }
}
