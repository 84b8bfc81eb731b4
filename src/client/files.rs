//! [`Files`]: read, write, list and delete files of a sandbox, on either runtime.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method};
use rand::RngExt;

use super::data::{Call, Operation, Repeat, RequestBody, decode};
use super::encode;
use super::error::{CallError, Delivered};
use super::runtime::Runtime;
use super::sandbox::Sandbox;
use crate::api::runtime::{ExistsResponse, FileType, ListEntry};
use crate::api::sandboxd::{EntryType, Listing};
use crate::units::ByteSize;

/// Largest file that is written or read. Source: the Go SDK.
const FILE_LIMIT: ByteSize = ByteSize(256 << 20);
/// Content type of a file.
const BYTES: &str = "application/octet-stream";
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

/// Permission bits of a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileMode(
    /// As in `0o644`; the highest allowed is `0o777`.
    pub u16,
);

/// Whether what is in a directory is deleted with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Recursive {
    /// It is.
    Yes,
    /// It is not: only a file or an empty directory can be deleted.
    No,
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
    /// directory. At most 256 MiB. sandboxd replaces a file in one step, the legacy runtime in place.
    ///
    /// ```no_run
    /// # async fn example(sandbox: sandbench::client::Sandbox)
    /// # -> Result<(), sandbench::client::CallError> {
    /// sandbox.files().write("data/in.txt", "hello").await?;
    /// assert_eq!(sandbox.files().read("data/in.txt").await?, "hello");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`CallError`].
    ///
    /// # Cancel safety
    /// If dropped, the file may or may not have been written.
    pub async fn write(&self, path: &str, content: impl Into<Bytes>) -> Result<(), CallError> {
        let content = content.into();
        within_limit(&content, self.operation("write", path))?;
        let call = self.writing(path, |head, tail| RequestBody::new([head, content, tail]))?;
        self.sandbox.call(call).await.map(drop)
    }

    /// Writes a file with these permissions; otherwise as [`write`](Self::write). Only sandboxd.
    ///
    /// # Errors
    /// [`CallError`]; [`CallError::Unsupported`] on the legacy runtime.
    ///
    /// # Cancel safety
    /// If dropped, the file may or may not have been written.
    pub async fn write_with_mode(
        &self,
        path: &str,
        content: impl Into<Bytes>,
        mode: FileMode,
    ) -> Result<(), CallError> {
        self.only_sandboxd("write", path, "takes no permissions with a file")?;
        let operation = self.operation("write", path);
        let FileMode(mode) = mode;
        if mode > 0o777 {
            return Err(CallError::Invalid {
                operation: operation.to_string(),
                value: format!("{mode:#o}"),
                problem: "the highest permission bits are 0o777",
            });
        }
        let content = content.into();
        within_limit(&content, operation)?;
        let mut call = self.put(path, RequestBody::from(content))?;
        call.path = format!("{}?mode=0{mode:03o}", call.path);
        self.sandbox.call(call).await.map(drop)
    }

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

    fn put<'a>(&'a self, path: &'a str, body: RequestBody) -> Result<Call<'a>, CallError> {
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
        let mut call = self.get(operation, "/upload".to_owned(), LIST_LIMIT);
        call.method = Method::POST;
        call.content_type = HeaderValue::from_str(&kind).ok();
        call.body = body(head.into(), tail.into());
        Ok(call)
    }

    /// Reads a file of at most 256 MiB.
    ///
    /// # Errors
    /// [`CallError`]; status 404 if there is none, for a directory [`CallError::WrongKind`]
    /// (sandboxd) or status 404 (legacy).
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn read(&self, path: &str) -> Result<Bytes, CallError> {
        let call = self.reading(path)?;
        let operation = call.operation;
        let answer = self.sandbox.fetch(call).await?;
        let is_sandboxd = matches!(self.sandbox.runtime(), Runtime::Sandboxd(_));
        if is_sandboxd && kind_of(answer.content_type.as_ref()) == FileType::Directory {
            return Err(operation.not_a(FileType::File));
        }
        Ok(answer.body)
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
        Ok(self.get(operation, target, FILE_LIMIT))
    }

    /// Lists a directory; an empty path is the runtime's directory.
    ///
    /// ```no_run
    /// # async fn example(sandbox: sandbench::client::Sandbox)
    /// # -> Result<(), sandbench::client::CallError> {
    /// for entry in sandbox.files().list("data").await? {
    ///     println!("{} {}", entry.name, entry.size);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`CallError`]; status 404 if there is none, for a file [`CallError::WrongKind`] (sandboxd)
    /// or status 404 (legacy).
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn list(&self, path: &str) -> Result<Vec<FileEntry>, CallError> {
        let operation = self.operation("list", path);
        if let Runtime::Sandboxd(_) = self.sandbox.runtime() {
            return self.list_on_sandboxd(path, operation).await;
        }
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
        if let Runtime::Sandboxd(_) = self.sandbox.runtime() {
            let target = sandboxd_path(path, operation)?;
            let mut call = self.get(operation, target, LIST_LIMIT);
            call.method = Method::HEAD;
            return match self.sandbox.call(call).await {
                Ok(_) => Ok(true),
                Err(error) if error.status() == Some(404) => Ok(false),
                Err(error) => Err(error),
            };
        }
        let target = format!("/exists/{}", encode::file_path(path));
        let answer = self
            .sandbox
            .call(self.get(operation, target, LIST_LIMIT))
            .await?;
        let response: ExistsResponse = decode(&answer, operation)?;
        Ok(response.exists)
    }

    /// Deletes a file or directory. Only sandboxd. The root itself stays, with
    /// [`Recursive::Yes`] it is emptied.
    ///
    /// # Errors
    /// [`CallError`]; status 404 if there is none, 409 if a directory has content,
    /// [`CallError::Unsupported`] on the legacy runtime.
    ///
    /// # Cancel safety
    /// If dropped, it may or may not have been deleted.
    pub async fn delete(&self, path: &str, recursive: Recursive) -> Result<(), CallError> {
        self.only_sandboxd("delete", path, "deletes no files; run `rm` instead")?;
        let operation = self.operation("delete", path);
        let mut target = sandboxd_path(path, operation)?;
        if recursive == Recursive::Yes {
            target.push_str("?recursive=true");
        }
        let mut call = self.get(operation, target, LIST_LIMIT);
        call.method = Method::DELETE;
        call.repeat = Repeat::Harmful;
        self.sandbox.call(call).await.map(drop)
    }

    async fn list_on_sandboxd(
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

    fn only_sandboxd(
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

/// What a sandboxd answer holds: it sends a file as bytes, a directory as JSON.
pub(super) fn kind_of(content_type: Option<&HeaderValue>) -> FileType {
    let json = |value: &HeaderValue| value.as_bytes().starts_with(b"application/json");
    if content_type.is_some_and(json) {
        FileType::Directory
    } else {
        FileType::File
    }
}

fn within_limit(content: &Bytes, operation: Operation<'_>) -> Result<(), CallError> {
    if content.len() as u64 <= FILE_LIMIT.0 {
        return Ok(());
    }
    Err(CallError::TooLarge {
        operation: operation.to_string(),
        limit: FILE_LIMIT,
        delivered: Delivered::No,
    })
}

/// The path as sandboxd takes it: one segment, confined to the root by the server, which also knows
/// absolute paths below its root.
fn sandboxd_path(path: &str, operation: Operation<'_>) -> Result<String, CallError> {
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
fn relative(path: &str, operation: Operation<'_>) -> Result<String, CallError> {
    encode::relative_path(path).map_err(|problem| CallError::Invalid {
        operation: operation.to_string(),
        value: path.to_owned(),
        problem,
    })
}
