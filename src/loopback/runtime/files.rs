//! Upload, list and exists, with the legacy runtime's answers.
//!
//! File work runs on the blocking pool. An upload is held in memory and written in place, as
//! upstream does it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use futures::TryStreamExt;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyStream;
use hyper::body::Incoming;
use serde::Serialize;

use super::super::http::Body;
use super::path::{confine, decode};
use super::reply::{Fault, detail, json_reply, message, unprocessable};
use super::words;

pub(super) fn access_denied() -> Response<Body> {
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
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

pub(super) fn gone() -> Response<Body> {
    detail(StatusCode::SERVICE_UNAVAILABLE, "The pod is terminating.")
}

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

/// Modification time as Python's `st_mtime`.
pub(super) fn seconds(metadata: &std::fs::Metadata) -> f64 {
    let after = |time: std::time::SystemTime| time.duration_since(UNIX_EPOCH).ok();
    metadata
        .modified()
        .ok()
        .and_then(after)
        .map_or(0.0, |time| time.as_secs_f64())
}

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
