//! The calls behind [`Files`]: what each runtime is sent for it, and how it answers.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderValue, Method};
use rand::RngExt;

use super::data::{Call, Operation, Repeat, RequestBody, decode};
use super::encode;
use super::error::{CallError, Delivered};
use super::files::{FileEntry, Files};
use super::runtime::Runtime;
use crate::api::runtime::FileType;
use crate::api::sandboxd::{EntryType, Listing};
use crate::units::ByteSize;

/// Largest file that is held in memory, unless the caller says. Source: the Go SDK.
const FILE_LIMIT: ByteSize = ByteSize(256 << 20);
/// Largest answer to anything else. Source: the Go SDK.
pub(super) const LIST_LIMIT: ByteSize = ByteSize(8 << 20);
/// Content type of a file.
const BYTES: &str = "application/octet-stream";

impl Files<'_> {
    /// The call that writes a file. What stands before and after the content is the runtime's.
    pub(super) fn writing<'a>(
        &'a self,
        path: &'a str,
        body: impl FnOnce(Bytes, Bytes) -> RequestBody,
    ) -> Result<Call<'a>, CallError> {
        match self.sandbox.runtime() {
            Runtime::Legacy => self.post(path, body),
            Runtime::Sandboxd(_) => self.put(path, body(Bytes::new(), Bytes::new())),
        }
    }

    pub(super) fn put<'a>(
        &'a self,
        path: &'a str,
        body: RequestBody,
    ) -> Result<Call<'a>, CallError> {
        let operation = self.operation("write", path);
        let target = sandboxd_path(path, operation)?;
        let mut call = self.get(operation, target, LIST_LIMIT);
        call.method = Method::PUT;
        call.content_type = Some(HeaderValue::from_static(BYTES));
        call.body = body;
        Ok(call)
    }

    fn post<'a>(
        &'a self,
        path: &'a str,
        body: impl FnOnce(Bytes, Bytes) -> RequestBody,
    ) -> Result<Call<'a>, CallError> {
        let operation = self.operation("write", path);
        let name = encode::multipart_name(&relative(path, operation)?);
        let boundary = format!("{:032x}", rand::rng().random::<u128>());
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"
        );
        let tail = format!("\r\n--{boundary}--\r\n");
        let kind = format!("multipart/form-data; boundary={boundary}");
        let mut call = self.get(operation, "/upload", LIST_LIMIT);
        call.method = Method::POST;
        call.content_type = HeaderValue::from_str(&kind).ok();
        call.body = body(head.into(), tail.into());
        Ok(call)
    }

    /// The call that reads a file.
    pub(super) fn reading<'a>(&'a self, path: &'a str) -> Result<Call<'a>, CallError> {
        let operation = self.operation("read", path);
        let target = match self.sandbox.runtime() {
            Runtime::Sandboxd(_) => sandboxd_path(path, operation)?,
            Runtime::Legacy => {
                let relative = relative(path, operation)?;
                format!("/download/{}", encode::file_path(&relative))
            }
        };
        Ok(self.get(operation, target, self.limit()))
    }

    pub(super) async fn list_on_sandboxd(
        &self,
        path: &str,
        operation: Operation<'_>,
    ) -> Result<Vec<FileEntry>, CallError> {
        let target = sandboxd_path(path, operation)?;
        let call = self.get(operation, target, LIST_LIMIT);
        let answer = self.sandbox.fetch(call).await?;
        if kind_of(answer.content_type.as_ref()) == FileType::File {
            return Err(operation.not_a(FileType::Directory));
        }
        let listing: Listing = decode(&answer.body, operation)?;
        let entries = listing.entries.into_iter().map(|entry| {
            let modified: Result<jiff::Timestamp, _> = entry.modified_at.parse();
            let modified = modified.map_err(|error| CallError::Decode {
                operation: operation.to_string(),
                body: entry.modified_at.into(),
                source: serde::de::Error::custom(error),
            })?;
            Ok(FileEntry {
                name: entry.name,
                size: entry.size,
                kind: match entry.kind {
                    EntryType::File => FileType::File,
                    EntryType::Directory => FileType::Directory,
                },
                modified: modified.as_second() as f64,
            })
        });
        entries.collect()
    }

    pub(super) fn only_sandboxd(
        &self,
        verb: &'static str,
        path: &str,
        problem: &'static str,
    ) -> Result<(), CallError> {
        match self.sandbox.runtime() {
            Runtime::Sandboxd(_) => Ok(()),
            Runtime::Legacy => {
                let operation = self.operation(verb, path);
                Err(operation.unsupported(Runtime::Legacy, problem))
            }
        }
    }

    /// Largest file that is held in memory.
    pub(super) fn limit(&self) -> ByteSize {
        self.max_size.unwrap_or(FILE_LIMIT)
    }

    pub(super) fn operation<'a>(&'a self, verb: &'static str, subject: &'a str) -> Operation<'a> {
        Operation {
            verb,
            subject,
            sandbox: self.sandbox.name(),
        }
    }

    pub(super) fn get<'a>(
        &self,
        operation: Operation<'a>,
        path: impl Into<Cow<'static, str>>,
        limit: ByteSize,
    ) -> Call<'a> {
        Call {
            operation,
            method: Method::GET,
            path: path.into(),
            content_type: None,
            body: RequestBody::default(),
            limit,
            timeout: self.timeout.unwrap_or_else(|| self.sandbox.timeout()),
            repeat: Repeat::Harmless,
        }
    }
}

/// What a sandboxd answer holds: it sends a file as bytes, a directory as JSON.
pub(super) fn kind_of(content_type: Option<&HeaderValue>) -> FileType {
    let json = |value: &HeaderValue| value.as_bytes().starts_with(b"application/json");
    if content_type.is_some_and(json) {
        FileType::Directory
    } else {
        FileType::File
    }
}

pub(super) fn within(
    limit: ByteSize,
    content: &Bytes,
    operation: Operation<'_>,
) -> Result<(), CallError> {
    if content.len() as u64 <= limit.0 {
        return Ok(());
    }
    Err(CallError::TooLarge {
        operation: operation.to_string(),
        limit,
        delivered: Delivered::No,
    })
}

/// The path as sandboxd takes it: one segment, confined to the root by the server, which also knows
/// absolute paths below its root.
pub(super) fn sandboxd_path(path: &str, operation: Operation<'_>) -> Result<String, CallError> {
    if path.chars().any(|c| c < ' ' || c == '\u{7f}') {
        return Err(CallError::Invalid {
            operation: operation.to_string(),
            value: path.to_owned(),
            problem: "it has control characters",
        });
    }
    Ok(format!("/v1/files/{}", encode::file_path(path)))
}

/// The path relative to the runtime's directory.
pub(super) fn relative(path: &str, operation: Operation<'_>) -> Result<String, CallError> {
    encode::relative_path(path).map_err(|problem| CallError::Invalid {
        operation: operation.to_string(),
        value: path.to_owned(),
        problem,
    })
}
