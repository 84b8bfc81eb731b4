//! [`SourceFile`]: a text file, read within limits, with an index of its lines.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::span::{Location, Span};
use crate::units::ByteSize;

/// The largest scenario file. A real one is a few KiB; beyond this a mistake is more likely.
pub(crate) const SIZE_LIMIT: ByteSize = ByteSize(4 << 20);

/// A text file and where its lines start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    path: PathBuf,
    text: String,
    lines: Vec<usize>,
}

/// Why a source file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file cannot be opened or read.
    #[error("read `{path}`")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The path names something else.
    #[error("read `{path}`: it is not a regular file")]
    NotAFile {
        /// Which path.
        path: PathBuf,
    },
    /// The file is larger than [`SIZE_LIMIT`].
    #[error("read `{path}`: it is larger than {SIZE_LIMIT}")]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// The file is not text.
    #[error("read `{path}`: byte {offset} is not UTF-8")]
    NotUtf8 {
        /// Which file.
        path: PathBuf,
        /// The first byte that is not.
        offset: usize,
    },
}

impl SourceFile {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, is larger than 4 MiB, is not a regular file or not UTF-8.
    pub fn load(path: &Path) -> Result<Self, SourceError> {
        let read = |source| SourceError::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(read)?;
        if !file.metadata().map_err(read)?.is_file() {
            return Err(SourceError::NotAFile {
                path: path.to_owned(),
            });
        }
        let mut bytes = Vec::new();
        file.take(SIZE_LIMIT.0 + 1)
            .read_to_end(&mut bytes)
            .map_err(read)?;
        if bytes.len() as u64 > SIZE_LIMIT.0 {
            return Err(SourceError::TooLarge {
                path: path.to_owned(),
            });
        }
        let text = String::from_utf8(bytes).map_err(|error| SourceError::NotUtf8 {
            path: path.to_owned(),
            offset: error.utf8_error().valid_up_to(),
        })?;
        Ok(Self::from_text(path, text))
    }

    /// A file that is in memory already.
    pub fn from_text(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        let text = text.into();
        let lines = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self {
            path: path.into(),
            text,
            lines,
        }
    }

    /// The path as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text at a place; empty when the place is not in this file.
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.start..span.end).unwrap_or("")
    }

    /// Line and column of a byte.
    pub fn location(&self, offset: usize) -> Location {
        let offset = offset.min(self.text.len());
        let index = self
            .lines
            .partition_point(|start| *start <= offset)
            .saturating_sub(1);
        let start = self.lines.get(index).copied().unwrap_or(0);
        let column = self
            .text
            .get(start..offset)
            .map_or(0, |before| before.chars().count());
        Location {
            line: index + 1,
            column: column + 1,
        }
    }

    /// A line without its end; lines count from 1.
    pub fn line(&self, number: usize) -> &str {
        let Some(start) = number
            .checked_sub(1)
            .and_then(|index| self.lines.get(index))
        else {
            return "";
        };
        let end = self
            .lines
            .get(number)
            .map_or(self.text.len(), |next| next - 1);
        self.text
            .get(*start..end)
            .unwrap_or("")
            .trim_end_matches('\r')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_and_in_characters() {
        let file = SourceFile::from_text("a.yaml", "ä: 1\r\nb: 2");
        assert_eq!(file.location(0), Location { line: 1, column: 1 });
        assert_eq!(file.location(4), Location { line: 1, column: 4 });
        assert_eq!(file.location(7), Location { line: 2, column: 1 });
        assert_eq!(file.line(1), "ä: 1");
        assert_eq!(file.line(2), "b: 2");
        assert_eq!(file.line(3), "");
    }

    #[test]
    fn unreadable_files_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.yaml");
        assert!(matches!(
            SourceFile::load(&path),
            Err(SourceError::Read { .. })
        ));
        assert!(matches!(
            SourceFile::load(directory.path()),
            Err(SourceError::NotAFile { .. } | SourceError::Read { .. })
        ));
        std::fs::write(&path, b"a: \xff").unwrap();
        assert!(matches!(
            SourceFile::load(&path),
            Err(SourceError::NotUtf8 { offset: 3, .. })
        ));
        let size = usize::try_from(SIZE_LIMIT.0).unwrap() + 1;
        std::fs::write(&path, vec![b' '; size]).unwrap();
        assert!(matches!(
            SourceFile::load(&path),
            Err(SourceError::TooLarge { .. })
        ));
    }
}
