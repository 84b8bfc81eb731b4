//! [`SourceFile`]: the text of one file, its path as the user wrote it, and an index of its lines.
//!
//! Loading refuses what cannot be a scenario before it is read: a directory, a file above
//! [`SIZE_LIMIT`], bytes that are not UTF-8. The path is only ever shown, never opened again.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::others::Other;
use super::span::{Location, Span};

/// The largest scenario file that is read: 4 MiB. Larger ones are refused by their size.
pub const SIZE_LIMIT: u64 = 4 << 20;

/// One file's text. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SourceFile {
    path: Arc<str>,
    text: Arc<str>,
    /// Byte offset at which each line starts; the first is 0.
    lines: Arc<[usize]>,
    /// The files that it uses, and those that they use.
    pub(super) others: Arc<[Other]>,
}

/// Why a file could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file cannot be opened or read.
    #[error("read {}", path.display())]
    Read {
        /// The path as given.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The path names a directory.
    #[error("read {}: it is a directory", path.display())]
    Directory {
        /// The path as given.
        path: PathBuf,
    },
    /// The file is larger than [`SIZE_LIMIT`].
    #[error("read {}: a scenario file has at most {limit} bytes, this one has {}", path.display(),
        .size.map_or_else(|| "more".to_owned(), |size| size.to_string()))]
    TooLarge {
        /// The path as given.
        path: PathBuf,
        /// Its size in bytes, where the system knows it.
        size: Option<u64>,
        /// The limit in bytes.
        limit: u64,
    },
    /// The file is not UTF-8.
    #[error("read {}:{location}: the byte 0x{byte:02x} is not UTF-8", path.display())]
    NotUtf8 {
        /// The path as given.
        path: PathBuf,
        /// Where the first bad byte is.
        location: Location,
        /// The first bad byte.
        byte: u8,
    },
}

impl SourceError {
    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Some("give the path of a scenario file, for example `scenarios/lifecycle.yaml`".to_owned())
            }
            Self::Read { .. } => None,
            Self::Directory { .. } => Some("give the path of one scenario file in it".to_owned()),
            Self::TooLarge { .. } => Some(
                "is this a scenario? payloads are made by the tool: `write: { path: a.bin, size: 10MiB }`"
                    .to_owned(),
            ),
            Self::NotUtf8 { byte: 0xff | 0xfe, .. } => {
                Some("the file looks like UTF-16; save it as UTF-8".to_owned())
            }
            Self::NotUtf8 { .. } => Some("save the file as UTF-8".to_owned()),
        }
    }
}

impl SourceFile {
    /// Reads a file of at most [`SIZE_LIMIT`] bytes.
    ///
    /// # Errors
    /// [`SourceError`]: it cannot be read, is a directory, is too large or is not UTF-8.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, SourceError> {
        let path = path.as_ref();
        let read_error = |source| SourceError::Read {
            path: path.to_owned(),
            source,
        };
        let too_large = |size| SourceError::TooLarge {
            path: path.to_owned(),
            size,
            limit: SIZE_LIMIT,
        };
        let file = File::open(path).map_err(read_error)?;
        let metadata = file.metadata().map_err(read_error)?;
        if metadata.is_dir() {
            return Err(SourceError::Directory {
                path: path.to_owned(),
            });
        }
        if metadata.len() > SIZE_LIMIT {
            return Err(too_large(Some(metadata.len())));
        }
        let mut bytes = Vec::new();
        file.take(SIZE_LIMIT + 1)
            .read_to_end(&mut bytes)
            .map_err(read_error)?;
        if bytes.len() as u64 > SIZE_LIMIT {
            return Err(too_large(None));
        }
        let text = String::from_utf8(bytes).map_err(|error| not_utf8(path, &error))?;
        Ok(Self::from_text(path.to_string_lossy(), text))
    }

    /// A file from text in memory. `path` is only shown.
    pub fn from_text(path: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let lines = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self {
            path: path.into(),
            text,
            lines,
            others: Arc::new([]),
        }
    }

    /// The path as the user wrote it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How many lines the text has.
    pub fn line_count(&self) -> usize {
        self.lines.len()
    }

    /// The text of a line (from 1) without its line break; empty past the end.
    pub fn line(&self, line: usize) -> &str {
        let range = self.line_range(line);
        self.text
            .get(range.start..range.end)
            .unwrap_or_default()
            .trim_end_matches(['\n', '\r'])
    }

    /// The bytes of a line (from 1) with its line break.
    pub fn line_range(&self, line: usize) -> Span {
        let size = self.text.len();
        let start = line.checked_sub(1).and_then(|at| self.lines.get(at));
        let end = self.lines.get(line);
        Span::new(start.copied().unwrap_or(size), end.copied().unwrap_or(size))
    }

    /// Line and column of a byte offset. An offset past the end, or inside a character, is moved
    /// back to the nearest character. For a place in a file that this one uses, see
    /// [`SourceFile::holding`].
    pub fn location(&self, offset: usize) -> Location {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.lines.partition_point(|start| *start <= offset).max(1);
        let start = self.line_range(line).start;
        let before = &self.text[start..offset];
        // A byte order mark at the start of the file is no column.
        let before = before.strip_prefix('\u{feff}').unwrap_or(before);
        Location {
            line,
            column: before.chars().count() + 1,
        }
    }

    /// The text that a span covers; empty when it is not a range of this file.
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }
}

fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> SourceError {
    let valid = error.utf8_error().valid_up_to();
    let bytes = error.as_bytes();
    let line_start = bytes[..valid]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let column = String::from_utf8_lossy(&bytes[line_start..valid])
        .chars()
        .count()
        + 1;
    let breaks = bytes[..valid].split(|byte| *byte == b'\n').skip(1).count();
    SourceError::NotUtf8 {
        path: path.to_owned(),
        location: Location {
            line: breaks + 1,
            column,
        },
        byte: bytes.get(valid).copied().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_become_lines_and_columns_in_characters() {
        let file = SourceFile::from_text("a.yaml", "ab\r\nçé: x\n");
        let at = |offset| file.location(offset).to_string();
        assert_eq!(at(0), "1:1");
        assert_eq!(at(4), "2:1");
        assert_eq!(at(8), "2:3");
        assert_eq!(at(5), "2:1", "inside a character");
        assert_eq!(at(999), "3:1");
        assert_eq!(file.line(1), "ab");
        assert_eq!(file.line(2), "çé: x");
        assert_eq!(file.line(99), "");
    }

    #[test]
    fn a_file_above_the_limit_is_refused_by_its_size() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("big.yaml");
        File::create(&path).unwrap().set_len(100 << 20).unwrap();
        let error = SourceFile::load(&path).unwrap_err();
        assert!(
            matches!(
                error,
                SourceError::TooLarge {
                    size: Some(104_857_600),
                    ..
                }
            ),
            "{error}"
        );
        assert!(error.help().is_some());
    }

    #[test]
    fn bytes_that_are_not_utf8_are_named_with_their_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("latin.yaml");
        std::fs::write(&path, b"name: a\nvars: caf\xe9\n").unwrap();
        let error = SourceFile::load(&path).unwrap_err().to_string();
        assert!(
            error.ends_with("latin.yaml:2:10: the byte 0xe9 is not UTF-8"),
            "{error}"
        );
        let error = SourceFile::load(directory.path()).unwrap_err();
        assert!(matches!(error, SourceError::Directory { .. }));
        let error = SourceFile::load(directory.path().join("none")).unwrap_err();
        assert!(matches!(error, SourceError::Read { .. }));
    }
}
