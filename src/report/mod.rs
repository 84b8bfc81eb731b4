//! The summary in one format: pure functions of the [`Summary`].
//!
//! **Extension point.** To add a format: a file with `render`, and here a variant with the arms that the
//! compiler asks for. `--out <format>=PATH` and the golden test find it through [`Format::ALL`].
#![warn(clippy::wildcard_enum_match_arm)]

mod comparison;
mod json;
mod read;
mod side_by_side;
mod text;
mod write;

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
    pub const ALL: &'static [Self] = &[Self::Text, Self::Json];

    /// The word for it on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }

    /// The usual extension of its files.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Json => "json",
        }
    }

    /// The report.
    pub fn render(self, summary: &Summary, colour: Colour) -> String {
        match self {
            Self::Text => text::render(summary, colour),
            Self::Json => json::render(summary),
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
