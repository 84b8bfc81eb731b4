//! Upload, download, list and exists, with the legacy runtime's answers.
//!
//! File work runs on the blocking pool. An upload is held in memory and written in place;
//! a download is streamed, and a single byte range of it can be asked for.

use std::io::{self, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use hyper::body::{Frame, Incoming};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::super::http::{Body, BoxError, full};
use super::path::{confine, decode};
use super::reply::{Fault, detail, json_reply, message, unprocessable};
use super::words;

/// Files up to this size are answered from memory, larger ones are streamed.
const AT_ONCE: u64 = 256 * 1024;
/// Bytes read at a time from a streamed file.
const CHUNK: usize = 128 * 1024;
/// What Python's `urllib.parse.quote` leaves alone.
const QUOTED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'_')
    .remove(b'.')
    .remove(b'-')
    .remove(b'~')
    .remove(b'/');

fn access_denied() -> Response<Body> {
    message(StatusCode::FORBIDDEN, "Access denied")
}

/// Python's `str()` of an `OSError` about a path.
fn os_error(error: &io::Error, path: &Path) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let code = error.raw_os_error().unwrap_or_default();
    format!(
        "[Errno {code}] {text}: {}",
        words::repr(&path.to_string_lossy())
    )
}

/// Runs file work where it may block. `None` only if the runtime is being shut down.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

fn gone() -> Response<Body> {
    detail(StatusCode::SERVICE_UNAVAILABLE, "The pod is terminating.")
}

// ---------------------------------------------------------------- upload

/// What the multipart form held in its part `file`.
enum Part {
    File { name: String, content: Vec<Bytes> },
    Text(String),
    Absent,
}

/// `POST /upload`.
pub(super) async fn upload(base: Arc<Path>, headers: &HeaderMap, body: Incoming) -> Response<Body> {
    let missing = || unprocessable(Fault::new("missing", Some("file"), "Field required"));
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let Ok(boundary) = multer::parse_boundary(content_type) else {
        return missing();
    };
    match read_part(boundary, body).await {
        Err(error) => {
            tracing::debug!(%error, "an upload could not be read");
            detail(
                StatusCode::BAD_REQUEST,
                "There was an error parsing the body",
            )
        }
        Ok(Part::Absent) => missing(),
        Ok(Part::Text(text)) => unprocessable(
            Fault::new(
                "value_error",
                Some("file"),
                "Value error, Expected UploadFile, received: <class 'str'>",
            )
            .input(text.into())
            .context(serde_json::json!({ "error": {} })),
        ),
        Ok(Part::File { name, content }) => store(base, name, content).await,
    }
}

async fn read_part(boundary: String, body: Incoming) -> multer::Result<Part> {
    let stream =
        BodyStream::new(body).try_filter_map(|frame| async move { Ok(frame.into_data().ok()) });
    let mut form = multer::Multipart::new(stream, boundary);
    let mut part = Part::Absent;
    while let Some(mut field) = form.next_field().await? {
        if field.name() != Some("file") {
            continue;
        }
        part = match field.file_name().map(ToOwned::to_owned) {
            None => Part::Text(field.text().await?),
            Some(name) => {
                let mut content = Vec::new();
                while let Some(chunk) = field.chunk().await? {
                    content.push(chunk);
                }
                Part::File { name, content }
            }
        };
    }
    Ok(part)
}

async fn store(base: Arc<Path>, name: String, content: Vec<Bytes>) -> Response<Body> {
    let path = decode(&name);
    let written = blocking(move || {
        let target = confine(&base, &path)?;
        Some(write(&target, &content).map_err(|error| os_error(&error, &target)))
    });
    match written.await {
        None => gone(),
        Some(None) => access_denied(),
        Some(Some(Ok(()))) => message(
            StatusCode::OK,
            &format!("File '{name}' uploaded successfully."),
        ),
        Some(Some(Err(text))) => message(
            StatusCode::INTERNAL_SERVER_ERROR,
            &format!("File upload failed: {text}"),
        ),
    }
}

fn write(target: &Path, content: &[Bytes]) -> io::Result<()> {
    use std::io::Write as _;
    let create = || std::fs::File::create(target);
    let mut file = match create() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(parent) = target.parent() {
                std::fs::create_dir_all(parent)?;
            }
            create()?
        }
        other => other?,
    };
    content.iter().try_for_each(|chunk| file.write_all(chunk))
}

// ---------------------------------------------------------------- download

/// An opened file: its facts, and its content if it is small.
struct Opened {
    file: std::fs::File,
    size: u64,
    modified: f64,
    etag: String,
}

/// `GET /download/{path}`; `path` is decoded once.
pub(super) async fn download(base: Arc<Path>, path: &str, headers: &HeaderMap) -> Response<Body> {
    let path = decode(path);
    let wanted = path.clone();
    let opened = blocking(move || confine(&base, &wanted).map(|target| open(&target)));
    match opened.await {
        None => gone(),
        Some(None) => access_denied(),
        Some(Some(Err(error))) => {
            tracing::trace!(%error, "a download found no file");
            message(StatusCode::NOT_FOUND, "File not found")
        }
        Some(Some(Ok(opened))) => send(opened, &path, headers.get(RANGE)).await,
    }
}

fn open(target: &Path) -> io::Result<Opened> {
    // the type first: opening a named pipe would block
    if !std::fs::metadata(target)?.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let file = std::fs::File::open(target)?;
    let metadata = file.metadata()?;
    Ok(Opened {
        size: metadata.len(),
        modified: seconds(&metadata),
        etag: format!("\"{:x}-{:x}\"", metadata.mtime_nsec(), metadata.mtime()),
        file,
    })
}

async fn send(opened: Opened, path: &str, range: Option<&HeaderValue>) -> Response<Body> {
    let range = range.and_then(|value| value.to_str().ok());
    let (status, start, length) = match range.map_or(Asked::Whole, |r| Asked::parse(r, opened.size))
    {
        Asked::Whole => (StatusCode::OK, 0, opened.size),
        Asked::Part { start, length } => (StatusCode::PARTIAL_CONTENT, start, length),
        Asked::Unsatisfiable => return unsatisfiable(opened.size),
    };
    let mut headers = HeaderMap::with_capacity(8);
    let mut insert = |name: HeaderName, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(name, value);
        }
    };
    insert(CONTENT_TYPE, "application/octet-stream");
    insert(CONTENT_DISPOSITION, &disposition(path));
    insert(CONTENT_LENGTH, &length.to_string());
    insert(LAST_MODIFIED, &http_date(opened.modified));
    insert(ETAG, &opened.etag);
    insert(ACCEPT_RANGES, "bytes");
    if status == StatusCode::PARTIAL_CONTENT {
        let text = format!("bytes {start}-{}/{}", start + length - 1, opened.size);
        insert(CONTENT_RANGE, &text);
    }
    let body = match content(opened.file, start, length).await {
        Ok(body) => body,
        Err(error) => {
            let text = format!("read failed: {error}");
            return detail(StatusCode::INTERNAL_SERVER_ERROR, &text);
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

async fn content(file: std::fs::File, start: u64, length: u64) -> io::Result<Body> {
    if length <= AT_ONCE {
        let read = blocking(move || {
            use std::io::{Read as _, Seek as _};
            let mut file = file;
            file.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
            file.take(length).read_to_end(&mut bytes)?;
            Ok::<_, io::Error>(bytes)
        });
        let bytes = read.await.unwrap_or_else(|| Ok(Vec::new()))?;
        return Ok(full(bytes));
    }
    let mut file = tokio::fs::File::from_std(file);
    file.set_max_buf_size(CHUNK);
    file.seek(SeekFrom::Start(start)).await?;
    let stream = ReaderStream::with_capacity(file.take(length), CHUNK);
    let frames = stream.map(|chunk| chunk.map(Frame::data).map_err(BoxError::from));
    Ok(StreamBody::new(frames).boxed_unsync())
}

/// What a `Range` header asks for. Several ranges at once are answered with the whole file.
#[derive(Debug, PartialEq)]
enum Asked {
    Whole,
    Part { start: u64, length: u64 },
    Unsatisfiable,
}

impl Asked {
    fn parse(text: &str, size: u64) -> Self {
        let Some((first, last)) = text
            .trim()
            .strip_prefix("bytes=")
            .filter(|ranges| !ranges.contains(','))
            .and_then(|range| range.split_once('-'))
        else {
            return Self::Whole;
        };
        let (start, end) = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
            (Ok(start), Ok(last)) if start <= last => (start, last.saturating_add(1).min(size)),
            (Ok(start), Err(_)) if last.trim().is_empty() => (start, size),
            (Err(_), Ok(suffix)) if first.trim().is_empty() => (size.saturating_sub(suffix), size),
            _ => return Self::Whole,
        };
        if start >= end {
            return Self::Unsatisfiable;
        }
        Self::Part {
            start,
            length: end - start,
        }
    }
}

fn unsatisfiable(size: u64) -> Response<Body> {
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
    if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
        response.headers_mut().insert(CONTENT_RANGE, value);
    }
    response
}

fn disposition(path: &str) -> String {
    let quoted = utf8_percent_encode(path, QUOTED).to_string();
    if quoted == path {
        format!("attachment; filename=\"{path}\"")
    } else {
        format!("attachment; filename*=utf-8''{quoted}")
    }
}

fn http_date(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "whole seconds are wanted")]
    jiff::Timestamp::from_second(seconds as i64)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

/// Modification time as Python's `st_mtime`.
fn seconds(metadata: &std::fs::Metadata) -> f64 {
    let after = |time: std::time::SystemTime| time.duration_since(UNIX_EPOCH).ok();
    metadata
        .modified()
        .ok()
        .and_then(after)
        .map_or(0.0, |time| time.as_secs_f64())
}

// ---------------------------------------------------------------- list, exists

/// An entry of a directory, keys in upstream's order.
#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    size: u64,
    #[serde(rename = "type")]
    kind: &'static str,
    mod_time: f64,
}

/// `GET /list/{path}`; `path` is decoded once.
pub(super) async fn list(base: Arc<Path>, path: &str) -> Response<Body> {
    let path = decode(path);
    let listed = blocking(move || confine(&base, &path).map(|target| entries(&target)));
    match listed.await {
        None => gone(),
        Some(None) => access_denied(),
        Some(Some(Ok(Some(entries)))) => json_reply(StatusCode::OK, &entries),
        Some(Some(Ok(None))) => message(StatusCode::NOT_FOUND, "Path is not a directory"),
        Some(Some(Err(text))) => message(
            StatusCode::INTERNAL_SERVER_ERROR,
            &format!("List files failed: {text}"),
        ),
    }
}

fn entries(target: &PathBuf) -> Result<Option<Vec<Entry>>, String> {
    if !target.is_dir() {
        return Ok(None);
    }
    let describe = |path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| os_error(&error, &path)
    };
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(target).map_err(describe(target))? {
        let entry = entry.map_err(describe(target))?;
        let path = entry.path();
        let metadata = std::fs::metadata(&path).map_err(describe(&path))?;
        entries.push(Entry {
            name: entry.file_name().to_string_lossy().into_owned(),
            size: metadata.len(),
            kind: if metadata.is_dir() {
                "directory"
            } else {
                "file"
            },
            mod_time: seconds(&metadata),
        });
    }
    Ok(Some(entries))
}

/// `GET /exists/{path}`; `path` is decoded once.
pub(super) async fn exists(base: Arc<Path>, path: &str) -> Response<Body> {
    #[derive(Serialize)]
    struct Exists {
        path: String,
        exists: bool,
    }
    let path = decode(path);
    let wanted = path.clone();
    match blocking(move || confine(&base, &wanted).map(|target| target.exists())).await {
        None => gone(),
        Some(None) => access_denied(),
        Some(Some(exists)) => json_reply(StatusCode::OK, &Exists { path, exists }),
    }
}
