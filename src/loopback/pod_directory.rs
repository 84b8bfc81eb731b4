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
pub(super) struct PodDirectory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: Arc<Path>,
    made: OnceCell<()>,
}

impl PodDirectory {
    /// A directory of this path, which must have no link in it. It may be there.
    pub(super) fn new(path: impl Into<Arc<Path>>) -> Self {
        Self(Arc::new(Inner {
            path: path.into(),
            made: OnceCell::new(),
        }))
    }

    pub(super) fn path(&self) -> &Arc<Path> {
        &self.0.path
    }

    /// Makes it unless it is there, then answers the request; says why if it cannot be made.
    pub(super) async fn before<F: Future<Output = Response<Body>>>(
        &self,
        handle: impl FnOnce(Request<Incoming>) -> F,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let make = || tokio::fs::create_dir_all(&self.0.path);
        match self.0.made.get_or_try_init(make).await {
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
        let path = Arc::clone(&self.0.path);
        let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(path)).await;
        if let Ok(Err(error)) = removed
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!(%error, "a pod's directory was not removed");
        }
    }
}
