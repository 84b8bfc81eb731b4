//! REST under `/v1`: which call a request means, health and metadata.
//!
//! The path of a file is decoded once, after routing, so that an encoded slash is part of it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::header::LOCATION;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::super::http::{Body, with_type};
use super::daemon::Shared;
use super::files;
use super::reply::{Refusal, document, other_method, unknown};
use crate::api::sandboxd::Metadata;

const FILES: &str = "/v1/files/";
/// Variables whose names begin so are shown.
const SHOWN: &str = "SANDBOX_";
/// Variables whose names hold one of these are not.
const SECRET: [&str; 10] = [
    "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CRED", "KEY", "AUTH", "BEARER", "PRIVATE", "CERT",
];

/// Answers one request.
pub(super) async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path();
    if let Some(cleaned) = redirect(path) {
        return moved(&cleaned, request.uri().query());
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    match path {
        "/v1/health" if reads => health(&shared),
        "/v1/metadata" if reads => metadata(&shared),
        "/v1/health" | "/v1/metadata" => other_method("GET, HEAD"),
        _ => match path.strip_prefix(FILES) {
            Some(file) => {
                let file = decode(file);
                of_file(shared, file, request).await
            }
            None => unknown(),
        },
    }
}

async fn of_file(shared: Arc<Shared>, file: PathBuf, request: Request<Incoming>) -> Response<Body> {
    let answered = match *request.method() {
        Method::GET | Method::HEAD => files::get(shared, file, &request).await,
        Method::PUT => files::put(shared, file, request).await,
        Method::DELETE => files::delete(shared, file, request.uri().query()).await,
        _ => return other_method("DELETE, GET, HEAD, PUT"),
    };
    answered.unwrap_or_else(Refusal::into_response)
}

fn decode(path: &str) -> PathBuf {
    let bytes = percent_decode_str(path).collect();
    PathBuf::from(OsString::from_vec(bytes))
}

/// The path that the web framework sends the client to instead: without `.`, `..` and empty parts.
fn redirect(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut cleaned = format!("/{}", parts.join("/"));
    if cleaned != "/" && (path.ends_with('/') || cleaned == FILES.trim_end_matches('/')) {
        cleaned.push('/');
    }
    (cleaned != path).then_some(cleaned)
}

fn moved(path: &str, query: Option<&str>) -> Response<Body> {
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    let target = format!("{path}{query}");
    let text = format!("<a href=\"{target}\">Temporary Redirect</a>.\n\n");
    let status = StatusCode::TEMPORARY_REDIRECT;
    let mut response = with_type(status, "text/html; charset=utf-8", text);
    if let Ok(location) = HeaderValue::from_str(&target) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

fn health(shared: &Shared) -> Response<Body> {
    /// Whole seconds: upstream's clients decode an integer.
    #[derive(Serialize)]
    struct Health {
        status: &'static str,
        uptime_seconds: u64,
    }
    if !shared.ready.load(Ordering::Relaxed) {
        return Refusal::ShuttingDown.into_response();
    }
    let health = Health {
        status: "ok",
        uptime_seconds: shared.started.elapsed().as_secs(),
    };
    document(StatusCode::OK, &health)
}

fn metadata(shared: &Shared) -> Response<Body> {
    let shown = |name: &str| {
        let upper = name.to_uppercase();
        name.starts_with(SHOWN) && !SECRET.iter().any(|word| upper.contains(word))
    };
    let variables = shared.environment.iter();
    let env: BTreeMap<String, String> = variables
        .filter(|(name, _)| shown(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    document(StatusCode::OK, &Metadata { env })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_that_are_not_clean_are_redirected() {
        for (path, wanted) in [
            ("/v1/files/a/b", None),
            ("/v1/files/", None),
            ("/v1/files/a/", None),
            ("/v1/files/%2E%2E%2Fa", None),
            ("/v1/files", Some("/v1/files/")),
            ("/v1/files//a", Some("/v1/files/a")),
            ("/v1/files/a/../b", Some("/v1/files/b")),
            ("/v1/files/.", Some("/v1/files/")),
            ("/", None),
        ] {
            assert_eq!(redirect(path).as_deref(), wanted, "{path}");
        }
    }
}
