//! One HTTP/1.1 server for runtimes, router and gateways: accept, set `TCP_NODELAY`, serve.
//!
//! Every connection is a task of the given tracker and ends when the token is cancelled, in the
//! middle of a request if need be: that is how a pod or a router dies.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A body that is either at hand or streamed.
pub(crate) type Body = BoxBody<Bytes, io::Error>;

/// Pause after an accept that failed for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// What answers the requests of a listener.
pub(crate) trait Handler: Clone + Send + Sync + 'static {
    /// Answers one request that came from `peer`.
    fn handle(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// The tasks of one listener and the token that ends them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tasks {
    pub(crate) tracker: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Tasks {
    /// Ends all tasks and waits until they are gone, their sockets closed.
    pub(crate) async fn end(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// Accepts connections until the token is cancelled. Returns at once; the work is done in `tasks`.
pub(crate) fn listen<H: Handler>(listener: TcpListener, tasks: &Tasks, handler: H) {
    let inner = tasks.clone();
    tasks.tracker.spawn(async move {
        let accepting = accept(&listener, &inner, &handler);
        inner.stop.run_until_cancelled(accepting).await;
    });
}

async fn accept<H: Handler>(listener: &TcpListener, tasks: &Tasks, handler: &H) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let stop = tasks.stop.clone();
                let handler = handler.clone();
                tasks.tracker.spawn(async move {
                    stop.run_until_cancelled(serve(stream, peer, handler)).await;
                });
            }
            Err(error) => {
                tracing::debug!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve<H: Handler>(stream: TcpStream, peer: SocketAddr, handler: H) {
    if stream.set_nodelay(true).is_err() {
        return; // the peer is gone already
    }
    let service = service_fn(move |request| {
        let handler = handler.clone();
        async move { Ok::<_, Infallible>(handler.handle(request, peer).await) }
    });
    let connection = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::trace!(%error, "connection ended early");
    }
}

/// A body that is at hand.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed()
}
