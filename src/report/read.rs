//! Reading a saved result. Pure: who opens the file says its name.

use serde::Deserialize;
use serde_json::Value;

use crate::metrics::{FORMAT_VERSION, Summary};

/// Why a text is no result.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It ends too early.
    #[error(
        "the file ends in the middle, at line {line} column {column}: it was not written whole"
    )]
    Truncated {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// It is empty.
    #[error("the file is empty")]
    Empty,
    /// It is no JSON.
    #[error("line {line} column {column} is no JSON")]
    NotJson {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// It is JSON of something else.
    #[error("this is JSON, but no result of sandbench: {what}")]
    Foreign {
        /// What is missing.
        what: String,
    },
    /// It has the format of another version.
    #[error("the result has format version {found}; this sandbench reads version {FORMAT_VERSION}")]
    Version {
        /// That of the file.
        found: u64,
    },
    /// It has the right version and the wrong fields.
    #[error("the result is damaged")]
    Damaged(#[source] serde_json::Error),
}

impl ReadError {
    /// What to do.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Version { found } if *found > u64::from(FORMAT_VERSION) => {
                Some("use the version of sandbench that wrote it, or a newer one")
            }
            Self::Version { .. } => Some("use the version of sandbench that wrote it"),
            Self::Empty | Self::NotJson { .. } | Self::Foreign { .. } => {
                Some("results are written by `sandbench run FILE --out json=PATH`")
            }
            Self::Truncated { .. } | Self::Damaged(_) => None,
        }
    }
}

/// Reads a result.
///
/// # Errors
/// [`ReadError`]: it is none, or one of another version.
pub fn read(text: &str) -> Result<Summary, ReadError> {
    if text.trim().is_empty() {
        return Err(ReadError::Empty);
    }
    let value: Value = serde_json::from_str(text).map_err(|source| {
        let (line, column) = (source.line(), source.column());
        if source.is_eof() {
            ReadError::Truncated { line, column }
        } else {
            ReadError::NotJson {
                line,
                column,
                source,
            }
        }
    })?;
    let foreign = |what: &str| {
        let what = what.to_owned();
        Err(ReadError::Foreign { what })
    };
    match value.as_object().map(|object| object.get("format_version")) {
        None => foreign("it is not an object"),
        Some(None) => foreign("it has no `format_version`"),
        Some(Some(version)) => match version.as_u64() {
            None => foreign("its `format_version` is no number"),
            Some(found) if found != u64::from(FORMAT_VERSION) => Err(ReadError::Version { found }),
            Some(_) => Summary::deserialize(value).map_err(ReadError::Damaged),
        },
    }
}
