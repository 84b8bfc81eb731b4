//! The legacy sandbox runtime, one per pod, on the pod's own address.
//!
//! Byte for byte the answers of upstream's `python-runtime`: `/execute` splits the command as a shell
//! would but runs no shell; files are confined to the pod's directory.

mod execute;
mod files;
mod processes;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use http::header::{ALLOW, LOCATION};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;
use tokio::net::TcpListener;

pub(super) use processes::Processes;

use super::http::{Body, Lifetime, json as answer, serve};
use crate::api::RUNTIME_PORT;

/// A running runtime.
#[derive(Debug)]
pub(super) struct Runtime {
    lifetime: Lifetime,
    processes: Arc<Processes>,
}

/// What the handlers of one pod share.
#[derive(Debug)]
struct Pod {
    name: String,
    directory: PathBuf,
    processes: Arc<Processes>,
}

impl Runtime {
    /// Listens on the pod's address; when this returns, connections are accepted.
    pub(super) async fn start(
        address: Ipv4Addr,
        name: &str,
        directory: PathBuf,
        lifetime: &Lifetime,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind((address, RUNTIME_PORT)).await?;
        let lifetime = lifetime.child();
        let processes = Arc::new(Processes::default());
        let pod = Arc::new(Pod {
            name: name.to_owned(),
            directory,
            processes: Arc::clone(&processes),
        });
        serve(
            listener,
            None,
            move |request| handle(Arc::clone(&pod), request),
            &lifetime,
        );
        Ok(Self {
            lifetime,
            processes,
        })
    }

    /// Closes the listener and its connections and kills every command with all that it started.
    pub(super) fn stop(&self) {
        self.lifetime.stop.cancel();
        self.processes.kill_all();
    }

    /// How many process groups still live.
    pub(super) fn live_processes(&self) -> usize {
        self.processes.live()
    }
}

async fn handle(pod: Arc<Pod>, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let (allowed, rest) = match path
        .split_once('/')
        .map(|(_, rest)| rest)
        .unwrap_or_default()
    {
        "" => (Method::GET, ""),
        "execute" => (Method::POST, ""),
        "upload" => (Method::POST, ""),
        "list" => (Method::GET, ""),
        other => match other.split_once('/') {
            Some(("download" | "list" | "exists", rest)) => (Method::GET, rest),
            _ => return answer(StatusCode::NOT_FOUND, &json!({ "detail": "Not Found" })),
        },
    };
    if method != allowed {
        let mut response = answer(
            StatusCode::METHOD_NOT_ALLOWED,
            &json!({ "detail": "Method Not Allowed" }),
        );
        let value = if allowed == Method::GET {
            "GET"
        } else {
            "POST"
        };
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static(value));
        return response;
    }
    match path
        .trim_start_matches('/')
        .split('/')
        .next()
        .unwrap_or_default()
    {
        "execute" => execute::execute(&pod, request).await,
        "upload" => files::upload(&pod, request).await,
        "download" => files::download(&pod, rest).await,
        "list" if path == "/list" => {
            let mut response = answer(StatusCode::TEMPORARY_REDIRECT, &json!({}));
            response
                .headers_mut()
                .insert(LOCATION, HeaderValue::from_static("/list/"));
            response
        }
        "list" => files::list(&pod, rest).await,
        "exists" => files::exists(&pod, rest).await,
        _ => answer(
            StatusCode::OK,
            &json!({ "status": "ok", "message": "Sandbox Runtime is active." }),
        ),
    }
}

#[cfg(test)]
mod tests;
