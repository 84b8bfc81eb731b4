//! [`LegacyRuntime`]: the legacy runtime of one pod, its routes and its end.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, LOCATION};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Serialize;
use tokio::net::TcpListener;

use super::super::fault::{Faults, Server};
use super::super::http::{Body, Lifetime, full, serve};
use super::super::pod_directory::PodDirectory;
use super::download::download;
use super::execute::Execute;
use super::files;
use super::path::decode;
use super::process::{Groups, Place};
use super::reply::{detail, json_reply, method_not_allowed, not_found, unprocessable};

/// What a pod's runtime needs to start.
#[derive(Debug, Clone)]
pub(crate) struct LegacySettings {
    /// Name of the pod; commands see it as `HOSTNAME`.
    pub(crate) name: String,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its directory, without links in its path; made when it is first spoken to unless it is there, removed at
    /// the end.
    pub(crate) directory: PathBuf,
    /// What goes wrong in it.
    pub(crate) faults: Faults,
}

/// The runtime of one pod. Call [`end`](Self::end); dropping it alone leaves its tasks.
#[derive(Debug)]
pub(crate) struct LegacyRuntime {
    directory: PodDirectory,
    groups: Groups,
    lifetime: Lifetime,
}

impl LegacyRuntime {
    /// Listens; it accepts connections when this returns.
    ///
    /// # Errors
    /// The system's error if it cannot listen; nothing is left then.
    pub(crate) async fn start(settings: LegacySettings) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.address).await?;
        let directory = PodDirectory::new(settings.directory);
        let runtime = Self {
            directory: directory.clone(),
            groups: Groups::default(),
            lifetime: Lifetime::default(),
        };
        let shared = Shared {
            place: Place {
                directory: Arc::clone(directory.path()),
                host: settings.name.into(),
            },
            groups: runtime.groups.clone(),
            lifetime: runtime.lifetime.clone(),
        };
        let legacy = Handler(Arc::new(shared));
        let handler = move |request| {
            let (legacy, directory) = (legacy.clone(), directory.clone());
            async move {
                directory
                    .before(|request| legacy.handle(request), request)
                    .await
            }
        };
        let handler = settings.faults.around(Server::Runtime, handler);
        serve(listener, None, handler, &runtime.lifetime);
        Ok(runtime)
    }

    /// Process groups of commands that may still be alive.
    pub(crate) fn processes(&self) -> usize {
        self.groups.count()
    }

    /// Kills the commands and closes all sockets, without waiting for anything.
    pub(crate) fn kill(&self) {
        self.groups.kill();
        self.lifetime.stop.cancel();
    }

    /// Ends the commands (SIGTERM, after `grace` SIGKILL), closes listener and connections and
    /// removes the directory.
    ///
    /// # Cancel safety
    /// Not cancel safe: what was not ended yet is left. Run it to its end.
    pub(crate) async fn end(&self, grace: Duration) {
        self.groups.end(grace).await;
        self.lifetime.end().await;
        // commands that were started in between are in `groups` too, and dead
        self.directory.remove().await;
    }
}

struct Shared {
    place: Place,
    groups: Groups,
    lifetime: Lifetime,
}

#[derive(Clone)]
struct Handler(Arc<Shared>);

/// One of the runtime's calls; `path` is decoded once.
#[derive(Debug, PartialEq)]
enum Route {
    Health,
    Execute,
    Upload,
    Download(String),
    List(String),
    Exists(String),
    /// The framework adds or drops the slash at the end.
    Redirect(String),
    Unknown,
}

impl Route {
    fn find(raw_path: &str) -> Self {
        let path = decode(raw_path);
        match path.as_str() {
            "/" => return Self::Health,
            "/execute" => return Self::Execute,
            "/upload" => return Self::Upload,
            "/download" | "/list" | "/exists" => return Self::Redirect(format!("{path}/")),
            "/execute/" | "/upload/" => {
                return Self::Redirect(path.trim_end_matches('/').to_owned());
            }
            _ => {}
        }
        if let Some(rest) = path.strip_prefix("/download/") {
            Self::Download(rest.to_owned())
        } else if let Some(rest) = path.strip_prefix("/list/") {
            Self::List(rest.to_owned())
        } else if let Some(rest) = path.strip_prefix("/exists/") {
            Self::Exists(rest.to_owned())
        } else {
            Self::Unknown
        }
    }

    fn method(&self) -> Option<Method> {
        match self {
            Self::Execute | Self::Upload => Some(Method::POST),
            Self::Health | Self::Download(_) | Self::List(_) | Self::Exists(_) => Some(Method::GET),
            Self::Redirect(_) | Self::Unknown => None,
        }
    }
}

impl Handler {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        let route = Route::find(request.uri().path());
        if let Some(allowed) = route.method().filter(|allowed| allowed != request.method()) {
            return method_not_allowed(&allowed);
        }
        let base = Arc::clone(&self.0.place.directory);
        match route {
            Route::Health => health(),
            Route::Execute => self.execute(request).await,
            Route::Upload => {
                let (head, body) = request.into_parts();
                files::upload(base, &head.headers, body).await
            }
            Route::Download(path) => download(base, &path, request.headers()).await,
            Route::List(path) => files::list(base, &path).await,
            Route::Exists(path) => files::exists(base, &path).await,
            Route::Redirect(path) => redirect(&path, request.headers().get(HOST)),
            Route::Unknown => not_found(),
        }
    }
}

impl Handler {
    async fn execute(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let Ok(body) = body.collect().await else {
            return detail(
                StatusCode::BAD_REQUEST,
                "There was an error parsing the body",
            );
        };
        let execute = match Execute::decode(&head.headers, &body.to_bytes()) {
            Ok(execute) => execute,
            Err(fault) => return unprocessable(fault),
        };
        // A task of the pod's own: the command goes on if the caller hangs up, as upstream's does.
        let shared = &self.0;
        let running = execute.run(
            shared.place.clone(),
            shared.groups.clone(),
            shared.lifetime.stop.clone(),
        );
        let joined = shared.lifetime.tasks.spawn(running).await;
        joined
            .unwrap_or_else(|_| detail(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"))
    }
}

fn health() -> Response<Body> {
    #[derive(Serialize)]
    struct Health {
        status: &'static str,
        message: &'static str,
    }
    json_reply(
        StatusCode::OK,
        &Health {
            status: "ok",
            message: "Sandbox Runtime is active.",
        },
    )
}

fn redirect(path: &str, host: Option<&HeaderValue>) -> Response<Body> {
    let mut response = Response::new(full(""));
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    if let Ok(location) = HeaderValue::from_str(&format!("http://{host}{path}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}
