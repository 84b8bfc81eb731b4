//! [`Out`]: where a report goes. A path that cannot be written fails before the run, and a file
//! appears whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::Format;

/// A report that is to be written.
#[derive(Debug)]
pub struct Out {
    /// Its format.
    pub format: Format,
    target: Target,
}

#[derive(Debug)]
enum Target {
    Stdout,
    /// What is no regular file (a device, a pipe) is written to, not replaced.
    Stream {
        path: PathBuf,
        file: File,
    },
    File {
        path: PathBuf,
        file: NamedTempFile,
    },
}

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum OutError {
    /// No such format.
    #[error("write a report of the kind `{word}`; use one of {}", words())]
    UnknownFormat {
        /// What was asked for.
        word: String,
    },
    /// The path cannot be written.
    #[error("write the report {}", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

fn words() -> String {
    Format::ALL
        .iter()
        .map(|format| format!("`{}`", format.word()))
        .collect::<Vec<_>>()
        .join(", ")
}

impl Out {
    /// Prepares a report of a format; `-` means standard output.
    ///
    /// # Errors
    /// When there is no such format, or no file can be made beside the path.
    pub fn prepare(word: &str, path: &str) -> Result<Self, OutError> {
        let format = Format::ALL
            .iter()
            .copied()
            .find(|format| format.word() == word)
            .ok_or_else(|| OutError::UnknownFormat {
                word: word.to_owned(),
            })?;
        if path == "-" {
            return Ok(Self {
                format,
                target: Target::Stdout,
            });
        }
        let path = PathBuf::from(path);
        let fail = |source| OutError::Write {
            path: path.clone(),
            source,
        };
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or_else(|| Path::new("."));
        if path.is_dir() {
            return Err(fail(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
            let file = OpenOptions::new().write(true).open(&path).map_err(fail)?;
            return Ok(Self {
                format,
                target: Target::Stream { path, file },
            });
        }
        fs::create_dir_all(parent).map_err(fail)?;
        let file = NamedTempFile::with_prefix_in(".sandbench-", parent).map_err(fail)?;
        Ok(Self {
            format,
            target: Target::File { path, file },
        })
    }

    /// Whether the report goes to standard output, which then must hold nothing else.
    pub fn is_stdout(&self) -> bool {
        matches!(self.target, Target::Stdout)
    }

    /// The file that the report will be; none for standard output, a device or a pipe.
    pub fn path(&self) -> Option<&Path> {
        match &self.target {
            Target::File { path, .. } => Some(path),
            Target::Stdout | Target::Stream { .. } => None,
        }
    }

    /// Writes the report; what is to go to standard output is given back.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn write(self, report: String) -> Result<Option<String>, OutError> {
        let (path, mut file) = match self.target {
            Target::Stdout => return Ok(Some(report)),
            Target::Stream { path, mut file } => {
                return file
                    .write_all(report.as_bytes())
                    .map(|()| None)
                    .map_err(|source| OutError::Write { path, source });
            }
            Target::File { path, file } => (path, file),
        };
        let fail = |source| OutError::Write {
            path: path.clone(),
            source,
        };
        file.write_all(report.as_bytes()).map_err(fail)?;
        file.as_file().sync_all().map_err(fail)?;
        // Temporary files are private; a report is as readable as other files.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).map_err(fail)?;
        }
        file.persist(&path).map_err(|error| fail(error.error))?;
        Ok(None)
    }
}
