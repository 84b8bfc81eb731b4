//! The summary in one format: pure functions of the [`Summary`].
//!
//! **Extension point.** To add a format: a file with `render`, and here a variant with the arms that the
//! compiler asks for. `--out <format>=PATH` and the golden test find it through [`Format::ALL`].
#![warn(clippy::wildcard_enum_match_arm)]

mod comparison;
mod csv;
mod github;
mod hlog;
mod html;
mod json;
mod jsonl;
mod junit;
mod levels;
mod markdown;
mod prom;
mod read;
mod rows;
mod side_by_side;
mod telemetry;
mod text;
mod traces;
mod words;
mod write;

pub use github::{ANNOTATIONS, annotations};
pub use jsonl::{CellLine, Line, RunLine, WindowLine};
pub use read::{ReadError, read};
pub use write::{Out, OutError};

use crate::metrics::{Comparison, Summary};

/// A report format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// For people, in a terminal.
    Text,
    /// Everything, with the histograms; what later reports are made from.
    Json,
    /// The same as lines: facts, windows, failures, the summary.
    Jsonl,
    /// A page with charts that needs nothing else.
    Html,
    /// JUnit XML, for CI systems.
    Junit,
    /// Markdown, for the summary of a GitHub step.
    Markdown,
    /// A line per series.
    Csv,
    /// The Prometheus text format.
    Prom,
    /// An HdrHistogram interval log.
    Hlog,
}

/// Whether escape sequences for colour are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Off,
    /// ANSI colours.
    On,
}

impl Format {
    /// Every format.
    pub const ALL: &'static [Self] = &[
        Self::Text,
        Self::Json,
        Self::Jsonl,
        Self::Html,
        Self::Junit,
        Self::Markdown,
        Self::Csv,
        Self::Prom,
        Self::Hlog,
    ];

    /// The word for it on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Html => "html",
            Self::Junit => "junit",
            Self::Markdown => "md",
            Self::Csv => "csv",
            Self::Prom => "prom",
            Self::Hlog => "hlog",
        }
    }

    /// The usual extension of its files.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Html => "html",
            Self::Junit => "xml",
            Self::Markdown => "md",
            Self::Csv => "csv",
            Self::Prom => "prom",
            Self::Hlog => "hlog",
        }
    }

    /// The report.
    pub fn render(self, summary: &Summary, colour: Colour) -> String {
        match self {
            Self::Text => text::render(summary, colour),
            Self::Json => json::render(summary),
            Self::Jsonl => jsonl::render(summary),
            Self::Html => html::render(summary),
            Self::Junit => junit::render(summary),
            Self::Markdown => markdown::render(summary),
            Self::Csv => csv::render(summary),
            Self::Prom => prom::render(summary),
            Self::Hlog => hlog::render(summary),
        }
    }
}

/// The tables of comparisons alone, for a terminal.
pub fn comparisons(comparisons: &[Comparison], colour: Colour) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _infallible = comparison::write(&mut out, comparisons, colour);
    out
}

#[cfg(test)]
mod tests;
