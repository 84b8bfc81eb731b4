//! Upload, download, list and exists, confined to the pod's directory.
//!
//! Source: upstream's python-runtime, which decodes a path twice (framework and handler) and treats
//! an absolute path as relative to its base directory.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::super::http::{Body, full, json as answer};
use super::Pod;

/// The largest upload: what the Go client allows.
const UPLOAD_LIMIT: u64 = 256 << 20;

fn message(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    answer(status, &json!({ "message": text.into() }))
}

fn denied() -> Response<Body> {
    message(StatusCode::FORBIDDEN, "Access denied")
}

/// A path as it came in the URL, decoded twice.
fn decoded(path: &str) -> String {
    let once = percent_decode_str(path).decode_utf8_lossy().into_owned();
    percent_decode_str(&once).decode_utf8_lossy().into_owned()
}

/// Where a path leads inside the pod's directory; `None` when it leads out of it.
fn confine(base: &Path, path: &str) -> Option<PathBuf> {
    if path.contains('\0') {
        return None;
    }
    let mut lexical = PathBuf::new();
    for component in Path::new(path.trim_start_matches('/')).components() {
        match component {
            Component::Normal(part) => lexical.push(part),
            Component::ParentDir => {
                if !lexical.pop() {
                    return None;
                }
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    let full = base.join(&lexical);
    // The nearest ancestor that exists decides where symbolic links lead.
    let existing = full
        .ancestors()
        .find(|ancestor| ancestor.symlink_metadata().is_ok())?;
    let resolved = existing.canonicalize().ok()?;
    let base = base.canonicalize().ok()?;
    resolved
        .starts_with(&base)
        .then(|| match full.strip_prefix(existing) {
            Ok(rest) if rest.as_os_str().is_empty() => resolved,
            Ok(rest) => resolved.join(rest),
            Err(_) => resolved,
        })
}

/// Runs file work where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

pub(super) async fn upload(pod: &Pod, request: Request<Incoming>) -> Response<Body> {
    let missing = || {
        let detail = json!([{
            "type": "missing", "loc": ["body", "file"], "msg": "Field required", "input": null,
        }]);
        answer(
            StatusCode::UNPROCESSABLE_ENTITY,
            &json!({ "detail": detail }),
        )
    };
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let Some(boundary) = content_type.and_then(|value| multer::parse_boundary(value).ok()) else {
        return missing();
    };
    let limits = multer::SizeLimit::new().whole_stream(UPLOAD_LIMIT + (1 << 20));
    let constraints = multer::Constraints::new().size_limit(limits);
    let stream = request.into_body().into_data_stream();
    let mut parts = multer::Multipart::with_constraints(stream, boundary, constraints);
    while let Ok(Some(part)) = parts.next_field().await {
        if part.name() != Some("file") {
            continue;
        }
        let Some(name) = part.file_name().map(unescaped) else {
            return missing();
        };
        let content = match part.bytes().await {
            Ok(content) => content,
            Err(error) => return upload_failed(&error.to_string()),
        };
        let Some(path) = confine(&pod.directory, &decoded(&name)) else {
            return denied();
        };
        let written = blocking(move || {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(&path, content)
        })
        .await;
        return match written {
            Ok(()) => message(
                StatusCode::OK,
                format!("File '{name}' uploaded successfully."),
            ),
            Err(error) => upload_failed(&error.to_string()),
        };
    }
    missing()
}

/// Quotes and line ends of a file name, as browsers and `requests` escape them.
fn unescaped(name: &str) -> String {
    name.replace("%22", "\"")
        .replace("%0D", "\r")
        .replace("%0A", "\n")
}

fn upload_failed(reason: &str) -> Response<Body> {
    message(
        StatusCode::INTERNAL_SERVER_ERROR,
        format!("File upload failed: {reason}"),
    )
}

pub(super) async fn download(pod: &Pod, path: &str) -> Response<Body> {
    let path = decoded(path);
    let Some(target) = confine(&pod.directory, &path) else {
        return denied();
    };
    match blocking(move || std::fs::read(target)).await {
        Ok(content) => {
            let mut response = Response::new(full(content));
            let headers = response.headers_mut();
            headers.insert(
                CONTENT_TYPE,
                HeaderValue::from_static("application/octet-stream"),
            );
            let name = path.replace(['"', '\r', '\n'], "_");
            if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
                headers.insert(CONTENT_DISPOSITION, value);
            }
            response
        }
        Err(_) => message(StatusCode::NOT_FOUND, "File not found"),
    }
}

pub(super) async fn list(pod: &Pod, path: &str) -> Response<Body> {
    let Some(target) = confine(&pod.directory, &decoded(path)) else {
        return denied();
    };
    if !target.is_dir() {
        return message(StatusCode::NOT_FOUND, "Path is not a directory");
    }
    match blocking(move || entries(&target)).await {
        Ok(entries) => answer(StatusCode::OK, &Value::Array(entries)),
        Err(error) => message(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("List files failed: {error}"),
        ),
    }
}

fn entries(directory: &Path) -> io::Result<Vec<Value>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        // A link that leads nowhere has no size; upstream's listing fails on it, ours leaves it out.
        let Ok(metadata) = std::fs::metadata(entry.path()) else {
            continue;
        };
        let modified = metadata
            .modified()?
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        entries.push(json!({
            "name": entry.file_name().to_string_lossy(),
            "size": metadata.len(),
            "type": if metadata.is_dir() { "directory" } else { "file" },
            "mod_time": modified.as_secs_f64(),
        }));
    }
    Ok(entries)
}

pub(super) async fn exists(pod: &Pod, path: &str) -> Response<Body> {
    let path = decoded(path);
    let Some(target) = confine(&pod.directory, &path) else {
        return denied();
    };
    let exists = blocking(move || target.try_exists()).await.unwrap_or(false);
    answer(StatusCode::OK, &json!({ "path": path, "exists": exists }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside_also_through_links_and_double_encoding() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().canonicalize().unwrap();
        std::os::unix::fs::symlink("/etc", base.join("link")).unwrap();
        assert_eq!(confine(&base, "/a/b.txt"), Some(base.join("a/b.txt")));
        assert_eq!(confine(&base, "a/../b"), Some(base.join("b")));
        assert_eq!(confine(&base, "."), Some(base.clone()));
        assert_eq!(confine(&base, ""), Some(base.clone()));
        for path in ["../x", "a/../../x", "link/passwd", "link", "a\0b"] {
            assert_eq!(confine(&base, path), None, "{path}");
        }
        assert_eq!(decoded("%252e%252e%2fx"), "../x");
    }
}
