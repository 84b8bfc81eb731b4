//! [`PodDirectory`]: where the files of a pod's runtime are.
//!
//! It is made when somebody first speaks to the runtime: many a pod of a large pool goes before
//! anybody does, and directories are what costs such a pod the most.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::sync::OnceCell;

use super::http::{Body, with_type};

/// A directory that is made when it is first needed. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct PodDirectory {
    path: Arc<Path>,
    made: Arc<OnceCell<()>>,
}

impl PodDirectory {
    /// A directory of this path, which must have no link in it. It may be there.
    pub(super) fn new(path: impl Into<Arc<Path>>) -> Self {
        Self {
            path: path.into(),
            made: Arc::default(),
        }
    }

    pub(super) fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// Makes it unless it is there.
    ///
    /// # Errors
    /// The system's error.
    pub(super) async fn make(&self) -> io::Result<()> {
        let make = || tokio::fs::create_dir_all(&self.path);
        self.made.get_or_try_init(make).await.copied()
    }

    /// Makes it unless it is there, then answers the request; says why if it cannot be made.
    pub(super) async fn before<F: Future<Output = Response<Body>>>(
        &self,
        handle: impl FnOnce(Request<Incoming>) -> F,
        request: Request<Incoming>,
    ) -> Response<Body> {
        match self.make().await {
            Ok(()) => handle(request).await,
            Err(error) => {
                let text = format!("the pod's directory cannot be made: {error}");
                with_type(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "text/plain",
                    Bytes::from(text),
                )
            }
        }
    }

    /// Removes it and what is in it, if it is there.
    ///
    /// # Cancel safety
    /// If dropped, it is removed with nobody waiting.
    pub(super) async fn remove(&self) {
        // A look costs much less than the way to another thread, and most have nothing to remove.
        if matches!(self.path.try_exists(), Ok(false)) {
            return;
        }
        let path = Arc::clone(&self.path);
        let removing = tokio::task::spawn_blocking(move || remove_directory(&path));
        if removing.await.is_err() {
            tracing::debug!("a pod's directory was not removed: the runtime is going");
        }
    }
}

/// Removes a directory and what is in it, if it is there. Blocks.
pub(super) fn remove_directory(path: &Path) {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::debug!(%error, "a directory was not removed");
        }
        _ => {}
    }
}
