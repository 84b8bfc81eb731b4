//! `/v1/files/{path}`: read, list, write, delete.
//!
//! A write goes to a temporary file beside its target, which is renamed at its end, so that readers
//! see the old content or the new one. It is not synced to disk as upstream's is: the root goes
//! with its pod.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyStream;
use hyper::body::Incoming;
use tempfile::TempPath;
use tokio::io::AsyncWriteExt;

use super::super::http::Body;
use super::content::{Extent, seconds, send, timestamp};
use super::daemon::Shared;
use super::path::confine;
use super::reply::{Refusal, document, done, io_text};
use crate::api::sandboxd::{Entry, EntryType, Listing};

/// Runs file work where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or(Err(Refusal::ShuttingDown))
}

/// What stands at a path.
enum Found {
    File(File, Metadata),
    Entries(Vec<Entry>),
}

/// `GET` and `HEAD`.
pub(super) async fn get(
    shared: Arc<Shared>,
    path: PathBuf,
    request: &Request<Incoming>,
) -> Result<Response<Body>, Refusal> {
    let asked = path.clone();
    match blocking(move || find(shared.root(), &asked)).await? {
        Found::File(file, metadata) => {
            let extent = match *request.method() {
                Method::HEAD => Extent::HeadOnly,
                _ => Extent::Content,
            };
            send(file, &metadata, request.headers(), extent).await
        }
        Found::Entries(entries) => {
            let path = path.to_string_lossy();
            let slash = if path.starts_with('/') { "" } else { "/" };
            let path = format!("{slash}{path}");
            Ok(document(StatusCode::OK, &Listing { path, entries }))
        }
    }
}

fn find(root: &Path, path: &Path) -> Result<Found, Refusal> {
    let target = confine(root, path)?;
    let metadata = std::fs::metadata(&target).map_err(|error| absent_or(&error))?;
    if metadata.is_dir() {
        return entries(root, path, &target).map(Found::Entries);
    }
    if !metadata.is_file() {
        // Opening a named pipe would wait for its other end.
        return Err(Refusal::Internal("not a regular file".to_owned()));
    }
    let file = File::open(&target).map_err(|error| absent_or(&error))?;
    Ok(Found::File(file, metadata))
}

fn absent_or(error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::NotFound => Refusal::Absent,
        _ => Refusal::io("stat", error),
    }
}

fn entries(root: &Path, path: &Path, target: &Path) -> Result<Vec<Entry>, Refusal> {
    let broken = |error: io::Error| Refusal::Internal(format!("open: {}", io_text(&error)));
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(target).map_err(broken)? {
        let entry = entry.map_err(broken)?;
        // Gone meanwhile, or a link that is broken or leads outside: not shown.
        let Ok(mut metadata) = entry.metadata() else {
            continue;
        };
        if metadata.is_symlink() {
            let resolved = confine(root, &path.join(entry.file_name())).ok();
            match resolved.and_then(|resolved| std::fs::metadata(resolved).ok()) {
                Some(behind) => metadata = behind,
                None => continue,
            }
        }
        entries.push(Entry {
            name: entry.file_name().to_string_lossy().into_owned(),
            size: metadata.len(),
            kind: if metadata.is_dir() {
                EntryType::Directory
            } else {
                EntryType::File
            },
            modified_at: timestamp(seconds(&metadata)),
            mode: format!("{:04o}", metadata.permissions().mode() & 0o777),
        });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// `PUT`.
pub(super) async fn put(
    shared: Arc<Shared>,
    path: PathBuf,
    request: Request<Incoming>,
) -> Result<Response<Body>, Refusal> {
    let mode = mode(request.uri().query())?;
    let target = blocking(move || {
        let target = confine(shared.root(), &path)?;
        if target.is_dir() {
            return Err(Refusal::Invalid("target path is a directory".to_owned()));
        }
        Ok(target)
    });
    let target = target.await?;
    let (head, body) = request.into_parts();
    let content_type = head.headers.get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let body = BodyStream::new(body);
    let body = body.try_filter_map(|frame| async move { Ok(frame.into_data().ok()) });
    let form = content_type.filter(|kind| kind.to_lowercase().starts_with("multipart/form-data"));
    let Some(form) = form else {
        write(target, mode, body.map_err(|error| error.to_string())).await?;
        return Ok(done());
    };
    let invalid =
        |error: multer::Error| Refusal::Invalid(format!("invalid multipart body: {error}"));
    let boundary = multer::parse_boundary(form).map_err(invalid)?;
    let mut form = multer::Multipart::new(body, boundary);
    while let Some(field) = form.next_field().await.map_err(invalid)? {
        if field.name() == Some("file") {
            write(target, mode, field.map_err(|error| error.to_string())).await?;
            return Ok(done());
        }
    }
    let missing = "multipart body is missing the required \"file\" part";
    Err(Refusal::Invalid(missing.to_owned()))
}

/// One parameter of a query, decoded.
fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let pairs = query.unwrap_or_default().split('&');
    pairs
        .filter_map(|pair| pair.split_once('=').or(Some((pair, ""))))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| {
            let value = value.replace('+', " ");
            let decoded = percent_encoding::percent_decode_str(&value);
            decoded.decode_utf8_lossy().into_owned()
        })
        .filter(|value| !value.is_empty())
}

/// Permission bits of a file that is written.
fn mode(query: Option<&str>) -> Result<u32, Refusal> {
    let Some(text) = parameter(query, "mode") else {
        return Ok(0o644);
    };
    let fits = text.len() == 4 && text.starts_with('0');
    let mode = u32::from_str_radix(&text, 8).ok().filter(|_| fits);
    mode.filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
        .ok_or_else(|| Refusal::Invalid(format!("mode {text:?} must match ^0[0-7]{{3}}$")))
}

async fn write(
    target: PathBuf,
    mode: u32,
    content: impl Stream<Item = Result<Bytes, String>>,
) -> Result<(), Refusal> {
    let place = target.clone();
    let (file, temporary) = blocking(move || beside(&place, mode)).await?;
    let mut file = tokio::fs::File::from_std(file);
    let failed = |error: io::Error| Refusal::io("failed to write file contents", &error);
    let mut content = std::pin::pin!(content);
    while let Some(chunk) = content.next().await {
        let chunk = chunk.map_err(|error| {
            Refusal::Internal(format!("failed to write file contents: {error}"))
        })?;
        file.write_all(&chunk).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    blocking(move || {
        let renamed = temporary.persist(&target);
        renamed.map_err(|error| Refusal::io("failed to move file into place", &error.error))
    })
    .await
}

/// A temporary file in the target's directory, which is made if need be.
fn beside(target: &Path, mode: u32) -> Result<(File, TempPath), Refusal> {
    let directory = target.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(directory)
        .map_err(|error| Refusal::io("failed to create parent directory", &error))?;
    let made = tempfile::Builder::new()
        .prefix(".sandboxd-tmp-")
        .tempfile_in(directory)
        .map_err(|error| Refusal::io("failed to create temp file", &error))?;
    made.as_file()
        .set_permissions(std::fs::Permissions::from_mode(mode))
        .map_err(|error| Refusal::io("failed to set file mode", &error))?;
    Ok(made.into_parts())
}

/// How much a deletion takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    One,
    Whole,
}

/// `DELETE`.
pub(super) async fn delete(
    shared: Arc<Shared>,
    path: PathBuf,
    query: Option<&str>,
) -> Result<Response<Body>, Refusal> {
    let depth = depth(query);
    blocking(move || {
        let target = confine(shared.root(), &path)?;
        let metadata = std::fs::symlink_metadata(&target).map_err(|error| absent_or(&error))?;
        match (depth?, target == shared.root()) {
            (Depth::One, true) => Err(Refusal::Conflict(
                "cannot delete the sandbox root; pass recursive=true to clear its contents",
            )),
            (Depth::Whole, true) => clear(&target),
            (depth, false) => remove(&target, &metadata, depth),
        }
    })
    .await?;
    Ok(done())
}

/// As upstream's language reads a boolean.
fn depth(query: Option<&str>) -> Result<Depth, Refusal> {
    match parameter(query, "recursive").as_deref() {
        None | Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(Depth::One),
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(Depth::Whole),
        Some(other) => Err(Refusal::Invalid(format!(
            "recursive {other:?} must be a boolean"
        ))),
    }
}

fn clear(root: &Path) -> Result<(), Refusal> {
    let failed = |error: io::Error| Refusal::Internal(io_text(&error));
    for entry in std::fs::read_dir(root).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let metadata = entry.metadata().map_err(failed)?;
        remove(&entry.path(), &metadata, Depth::Whole)?;
    }
    Ok(())
}

fn remove(target: &Path, metadata: &Metadata, depth: Depth) -> Result<(), Refusal> {
    let removed = match (metadata.is_dir(), depth) {
        (false, _) => std::fs::remove_file(target),
        (true, Depth::One) => std::fs::remove_dir(target),
        (true, Depth::Whole) => std::fs::remove_dir_all(target),
    };
    removed.map_err(|error| match error.kind() {
        io::ErrorKind::DirectoryNotEmpty => {
            Refusal::Conflict("directory is not empty; pass recursive=true to remove it")
        }
        _ => Refusal::io("remove", &error),
    })
}
