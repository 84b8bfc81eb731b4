//! [`Files`]: read, write and list files of a sandbox.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method};
use rand::RngExt;

use super::data::{Call, Operation, Repeat, RequestBody, decode};
use super::encode;
use super::error::{CallError, Delivered};
use super::sandbox::Sandbox;
use crate::api::runtime::{ExistsResponse, FileType, ListEntry};
use crate::units::ByteSize;

/// Largest file that is written or read. Source: the Go SDK.
const FILE_LIMIT: ByteSize = ByteSize(256 << 20);
/// Largest answer to anything else. Source: the Go SDK.
const LIST_LIMIT: ByteSize = ByteSize(8 << 20);

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
        let content = content.into();
        let operation = self.operation("write", path);
        if content.len() as u64 > FILE_LIMIT.0 {
            return Err(CallError::TooLarge {
                operation: operation.to_string(),
                limit: FILE_LIMIT,
                delivered: Delivered::No,
            });
        }
        let name = encode::multipart_name(&relative(path, operation)?);
        let boundary = format!("{:032x}", rand::rng().random::<u128>());
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"
        );
        let tail = format!("\r\n--{boundary}--\r\n");
        let kind = format!("multipart/form-data; boundary={boundary}");
        let mut call = self.get(operation, "/upload".to_owned(), LIST_LIMIT);
        call.method = Method::POST;
        call.content_type = HeaderValue::from_str(&kind).ok();
        call.body = RequestBody::new([head.into(), content, tail.into()]);
        self.sandbox.call(call).await.map(drop)
    }

    /// Reads a file of at most 256 MiB.
    ///
    /// # Errors
    /// [`CallError`]; status 404 if there is none.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn read(&self, path: &str) -> Result<Bytes, CallError> {
        let operation = self.operation("read", path);
        let target = format!(
            "/download/{}",
            encode::file_path(&relative(path, operation)?)
        );
        self.sandbox
            .call(self.get(operation, target, FILE_LIMIT))
            .await
    }

    /// Lists a directory; an empty path is the runtime's directory.
    ///
    /// # Errors
    /// [`CallError`]; status 404 if it is not a directory.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn list(&self, path: &str) -> Result<Vec<FileEntry>, CallError> {
        let operation = self.operation("list", path);
        let target = format!("/list/{}", encode::file_path(path));
        let answer = self
            .sandbox
            .call(self.get(operation, target, LIST_LIMIT))
            .await?;
        if answer.is_empty() {
            return Ok(Vec::new());
        }
        let entries: Option<Vec<ListEntry>> = decode(&answer, operation)?;
        let entries = entries.unwrap_or_default().into_iter();
        Ok(entries
            .map(|entry| FileEntry {
                name: entry.name,
                size: entry.size,
                kind: entry.kind,
                modified: entry.mod_time,
            })
            .collect())
    }

    /// Whether a file or directory exists.
    ///
    /// # Errors
    /// [`CallError`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn exists(&self, path: &str) -> Result<bool, CallError> {
        let operation = self.operation("look for", path);
        let target = format!("/exists/{}", encode::file_path(path));
        let answer = self
            .sandbox
            .call(self.get(operation, target, LIST_LIMIT))
            .await?;
        let response: ExistsResponse = decode(&answer, operation)?;
        Ok(response.exists)
    }

    fn operation<'a>(&'a self, verb: &'static str, subject: &'a str) -> Operation<'a> {
        Operation {
            verb,
            subject,
            sandbox: self.sandbox.name(),
        }
    }

    fn get<'a>(&self, operation: Operation<'a>, path: String, limit: ByteSize) -> Call<'a> {
        Call {
            operation,
            method: Method::GET,
            path,
            content_type: None,
            body: RequestBody::default(),
            limit,
            timeout: self.timeout.unwrap_or_else(|| self.sandbox.timeout()),
            repeat: Repeat::Harmless,
        }
    }
}

/// The path relative to the runtime's directory.
fn relative(path: &str, operation: Operation<'_>) -> Result<String, CallError> {
    encode::relative_path(path).map_err(|problem| CallError::Invalid {
        operation: operation.to_string(),
        value: path.to_owned(),
        problem,
    })
}
