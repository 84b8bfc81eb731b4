//! [`Files`]: read, write, list and delete files of a sandbox, on either runtime.

use std::time::Duration;

use bytes::Bytes;
use http::Method;

use super::data::{Repeat, RequestBody, decode};
use super::encode;
use super::error::CallError;
use super::file_calls::{LIST_LIMIT, kind_of, sandboxd_path, within};
use super::runtime::Runtime;
use super::sandbox::Sandbox;
use crate::api::runtime::{ExistsResponse, FileType, ListEntry};
use crate::units::ByteSize;

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
    pub(super) max_size: Option<ByteSize>,
}

impl Files<'_> {
    /// The same, with this time for each call. Default: the client's request timeout.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The same, for files of at most this size; a larger one is [`CallError::TooLarge`]. Default:
    /// 256 MiB, and no limit for [`download`](Self::download) and [`upload`](Self::upload), which
    /// hold no file in memory. Uploads have none in any case: their stream is the caller's.
    ///
    /// ```no_run
    /// # async fn example(sandbox: sandbench::client::Sandbox)
    /// # -> Result<(), sandbench::client::CallError> {
    /// use sandbench::units::ByteSize;
    ///
    /// let report = sandbox.files().max_size(ByteSize(1 << 20)).read("report.json").await?;
    /// assert!(report.len() <= 1 << 20);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn max_size(mut self, limit: ByteSize) -> Self {
        self.max_size = Some(limit);
        self
    }

    /// Writes a file and the directories above it. `path` is taken relative to the runtime's
    /// directory. At most 256 MiB, or what
    /// [`max_size`](Self::max_size) says. sandboxd replaces a file in one step, the legacy runtime in place.
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
        within(self.limit(), &content, self.operation("write", path))?;
        let call = self.writing(path, |head, tail| RequestBody::new([head, content, tail]))?;
        self.sandbox.call(call).await.map(drop)
    }

    /// Writes a file with these permissions; otherwise as [`write`](Self::write). Only sandboxd.
    ///
    /// ```no_run
    /// # async fn example(sandbox: sandbench::client::Sandbox)
    /// # -> Result<(), sandbench::client::CallError> {
    /// use sandbench::client::FileMode;
    ///
    /// let script = "#!/bin/sh\necho built\n";
    /// sandbox.files().write_with_mode("bin/build", script, FileMode(0o755)).await?;
    /// # Ok(())
    /// # }
    /// ```
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
        within(self.limit(), &content, operation)?;
        let mut call = self.put(path, RequestBody::from(content))?;
        call.path = format!("{}?mode=0{mode:03o}", call.path).into();
        self.sandbox.call(call).await.map(drop)
    }

    /// Reads a file of at most 256 MiB, or what [`max_size`](Self::max_size) says.
    ///
    /// ```no_run
    /// # async fn example(sandbox: sandbench::client::Sandbox)
    /// # -> Result<(), sandbench::client::CallError> {
    /// match sandbox.files().read("result.txt").await {
    ///     Ok(content) => println!("{}", String::from_utf8_lossy(&content)),
    ///     Err(error) if error.status() == Some(404) => println!("no result yet"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(())
    /// # }
    /// ```
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
    /// ```no_run
    /// # async fn example(sandbox: sandbench::client::Sandbox)
    /// # -> Result<(), sandbench::client::CallError> {
    /// assert!(!sandbox.files().exists("no-such-file").await?);
    /// # Ok(())
    /// # }
    /// ```
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
    /// ```no_run
    /// # async fn example(sandbox: sandbench::client::Sandbox)
    /// # -> Result<(), sandbench::client::CallError> {
    /// use sandbench::client::Recursive;
    ///
    /// sandbox.files().delete("build", Recursive::Yes).await?;
    /// # Ok(())
    /// # }
    /// ```
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
}
