//! `GET /download/{path}`: a file as it is, streamed if it is large, or one byte range of it.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

use super::super::http::{Body, BoxError, full};
use super::files::{access_denied, blocking, gone, seconds};
use super::path::{confine, decode};
use super::reply::{detail, message};

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

/// An opened file: its facts, and what is asked of it.
struct Opened {
    size: u64,
    modified: f64,
    etag: String,
    asked: Asked,
    content: io::Result<Content>,
}

/// What is sent of a file.
enum Content {
    /// Little: it has been read.
    Read(Vec<u8>),
    /// Much: from here it is read while it is sent.
    Open(std::fs::File),
}

/// `GET /download/{path}`; `path` is decoded once.
pub(super) async fn download(base: Arc<Path>, path: &str, headers: &HeaderMap) -> Response<Body> {
    let path = decode(path);
    let wanted = path.clone();
    let range = headers.get(RANGE).cloned();
    // All in one: each way to the threads for blocking work and back costs more than a small file.
    let opened = blocking(move || {
        let range = range.as_ref().and_then(|value| value.to_str().ok());
        confine(&base, &wanted).map(|target| open(&target, range))
    });
    match opened.await {
        None => gone(),
        Some(None) => access_denied(),
        Some(Some(Err(error))) => {
            tracing::trace!(%error, "a download found no file");
            message(StatusCode::NOT_FOUND, "File not found")
        }
        Some(Some(Ok(opened))) => send(opened, &path),
    }
}

fn open(target: &Path, range: Option<&str>) -> io::Result<Opened> {
    // the type first: opening a named pipe would block
    if !std::fs::metadata(target)?.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let file = std::fs::File::open(target)?;
    let metadata = file.metadata()?;
    let size = metadata.len();
    let asked = range.map_or(Asked::Whole, |range| Asked::parse(range, size));
    Ok(Opened {
        size,
        modified: seconds(&metadata),
        etag: format!("\"{:x}-{:x}\"", metadata.mtime_nsec(), metadata.mtime()),
        content: content(file, asked.extent(size)),
        asked,
    })
}

/// Where the bytes stand that are asked for; those of a small file are read at once. Blocks on the file system.
fn content(mut file: std::fs::File, (start, length): (u64, u64)) -> io::Result<Content> {
    file.seek(SeekFrom::Start(start))?;
    if length > AT_ONCE {
        return Ok(Content::Open(file));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    file.take(length).read_to_end(&mut bytes)?;
    Ok(Content::Read(bytes))
}

fn send(opened: Opened, path: &str) -> Response<Body> {
    let (status, start, length) = match opened.asked {
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
    let body = match opened.content {
        Ok(Content::Read(bytes)) => full(bytes),
        Ok(Content::Open(file)) => stream(file, length),
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

/// What is left of a file, read while it is sent.
fn stream(file: std::fs::File, length: u64) -> Body {
    let mut file = tokio::fs::File::from_std(file);
    file.set_max_buf_size(CHUNK);
    let stream = ReaderStream::with_capacity(file.take(length), CHUNK);
    let frames = stream.map(|chunk| chunk.map(Frame::data).map_err(BoxError::from));
    StreamBody::new(frames).boxed_unsync()
}

/// What a `Range` header asks for. Several ranges at once are answered with the whole file.
#[derive(Debug, PartialEq)]
enum Asked {
    Whole,
    Part { start: u64, length: u64 },
    Unsatisfiable,
}

impl Asked {
    /// From where and how many bytes of a file of this size.
    fn extent(&self, size: u64) -> (u64, u64) {
        match *self {
            Self::Whole => (0, size),
            Self::Part { start, length } => (start, length),
            Self::Unsatisfiable => (0, 0),
        }
    }

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
