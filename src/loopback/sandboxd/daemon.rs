//! [`Sandboxd`]: the daemon of one pod, its listeners and its end.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::super::fault::{Faults, Server};
use super::super::http::{Body, Lifetime, serve};
use super::super::pod_directory::PodDirectory;
use super::super::runtime::{Groups, PATH, end_strays};
use super::grpc::handle as handle_grpc;
use super::processes::Processes;
use super::rest::handle as handle_rest;

/// What a pod's sandboxd needs to start.
#[derive(Debug, Clone)]
pub(in crate::loopback) struct SandboxdSettings {
    /// Name of the pod; processes see it as `HOSTNAME`.
    pub(in crate::loopback) name: String,
    /// Where it listens.
    pub(in crate::loopback) ip: IpAddr,
    /// Port of the REST API.
    pub(in crate::loopback) rest_port: u16,
    /// Port of the gRPC API.
    pub(in crate::loopback) grpc_port: u16,
    /// Its root, without links in its path; made when it is first spoken to unless it is there, removed at the
    /// end.
    pub(in crate::loopback) directory: PathBuf,
    /// Variables of the pod's container, over those that every pod has.
    pub(in crate::loopback) environment: BTreeMap<String, String>,
    /// What goes wrong in it.
    pub(in crate::loopback) faults: Faults,
}

/// The sandboxd of one pod. Call [`end`](Self::end); dropping it alone leaves its tasks.
#[derive(Debug)]
pub(in crate::loopback) struct Sandboxd(Arc<Shared>);

/// What both APIs work with.
#[derive(Debug)]
pub(super) struct Shared {
    directory: PodDirectory,
    /// The daemon's own environment.
    pub(super) environment: BTreeMap<String, String>,
    /// When it started.
    pub(super) started: Instant,
    /// Cleared when it begins to shut down.
    pub(super) ready: AtomicBool,
    /// Whether a terminal was ever opened: what ran on it may have groups of its own.
    pub(super) had_terminal: AtomicBool,
    /// What runs.
    pub(super) processes: Processes,
    pub(super) groups: Groups,
    pub(super) lifetime: Lifetime,
}

impl Shared {
    /// The root, without links in its path.
    pub(super) fn root(&self) -> &Path {
        self.directory.path()
    }
}

impl Sandboxd {
    /// Listens; it accepts connections when this returns.
    ///
    /// # Errors
    /// The system's error if it cannot listen; nothing is left then.
    pub(in crate::loopback) async fn start(settings: SandboxdSettings) -> io::Result<Self> {
        let at = |port| TcpListener::bind(SocketAddr::new(settings.ip, port));
        let (rest, grpc) = (at(settings.rest_port).await?, at(settings.grpc_port).await?);
        let directory = PodDirectory::new(settings.directory.clone());
        let shared = Arc::new(Shared {
            environment: environment(directory.path(), &settings),
            directory,
            started: Instant::now(),
            ready: AtomicBool::new(true),
            had_terminal: AtomicBool::new(false),
            processes: Processes::default(),
            groups: Groups::default(),
            lifetime: Lifetime::default(),
        });
        let of_rest = Arc::clone(&shared);
        let handler = move |request| handled(Arc::clone(&of_rest), handle_rest, request);
        let handler = settings.faults.around(Server::Runtime, handler);
        serve(rest, None, handler, &shared.lifetime);
        let of_grpc = Arc::clone(&shared);
        let handler = move |request| handled(Arc::clone(&of_grpc), handle_grpc, request);
        let handler = settings.faults.around(Server::Runtime, handler);
        serve(grpc, None, handler, &shared.lifetime);
        Ok(Self(shared))
    }

    /// Process groups that may still be alive.
    pub(in crate::loopback) fn processes(&self) -> usize {
        self.0.groups.count()
    }

    /// Kills the processes and closes all sockets, without waiting for anything.
    pub(in crate::loopback) fn kill(&self) {
        self.0.groups.kill();
        self.0.lifetime.stop.cancel();
    }

    /// Ends the processes (SIGTERM, after `grace` SIGKILL) while health says that it shuts down,
    /// then closes listeners and connections and removes the root.
    ///
    /// # Cancel safety
    /// Not cancel safe: what was not ended yet is left. Run it to its end.
    pub(in crate::loopback) async fn end(&self, grace: Duration) {
        let shared = &self.0;
        shared.ready.store(false, Ordering::Relaxed);
        shared.groups.end(grace).await;
        shared.lifetime.end().await;
        // Processes that were started in between are in `groups` too, and dead.
        if shared.had_terminal.load(Ordering::Relaxed) {
            end_strays(shared.root()).await;
        }
        shared.directory.remove().await;
    }
}

/// What an API answers, once there is a root.
async fn handled<F: Future<Output = Response<Body>>>(
    shared: Arc<Shared>,
    handle: fn(Arc<Shared>, Request<Incoming>) -> F,
    request: Request<Incoming>,
) -> Response<Body> {
    let directory = shared.directory.clone();
    let handle = |request| handle(shared, request);
    directory.before(handle, request).await
}

fn environment(root: &Path, settings: &SandboxdSettings) -> BTreeMap<String, String> {
    let own = [
        ("PATH", PATH.to_owned()),
        ("HOME", root.to_string_lossy().into_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("HOSTNAME", settings.name.clone()),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value));
    let given = settings.environment.clone();
    own.into_iter().chain(given).collect()
}
