//! The HTTP servers of the loopback cluster: accept, serve, stop; and the bodies they answer with.
//!
//! Every task belongs to a tracker that the cluster joins; when the token is cancelled the listener
//! closes and every connection is dropped.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::fault::Abort;

pub(super) type BoxError = Box<dyn Error + Send + Sync>;
pub(super) type Body = UnsyncBoxBody<Bytes, BoxError>;

/// Who ends a server's tasks and who joins them.
#[derive(Debug, Clone, Default)]
pub(super) struct Lifetime {
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl Lifetime {
    /// A lifetime that ends with this one, or before; joined by whoever made it.
    pub(super) fn own(&self) -> Self {
        Self {
            stop: self.stop.child_token(),
            tasks: TaskTracker::new(),
        }
    }

    /// Starts a task that is dropped when the lifetime ends.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(work).await;
        });
    }

    /// Ends all tasks and waits until they are gone, their sockets closed.
    ///
    /// # Cancel safety
    /// The tasks end even if this is dropped.
    pub(super) async fn end(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Runs the streams of an HTTP/2 connection as tasks of the lifetime.
impl<F> hyper::rt::Executor<F> for Lifetime
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        self.spawn(async move { drop(stream.await) });
    }
}

/// A body that is there already.
pub(super) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// A JSON answer.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    let text = serde_json::to_vec(value).unwrap_or_default();
    with_type(status, "application/json", text)
}

/// An answer of some content type.
pub(super) fn with_type(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Why a request's body could not be read.
#[derive(Debug)]
pub(super) enum BodyError {
    TooLarge,
    Broken,
}

/// Reads a whole request body of at most `limit` bytes.
pub(super) async fn read_body(body: Incoming, limit: usize) -> Result<Bytes, BodyError> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(BodyError::TooLarge),
        Err(_) => Err(BodyError::Broken),
    }
}

/// Accepts connections until the lifetime ends, answering each request with `handler`. The peer's
/// [`SocketAddr`] is an extension of the request.
pub(super) fn serve<H, F>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    handler: H,
    lifetime: &Lifetime,
) where
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let owner = lifetime.clone();
    let Lifetime { stop, tasks } = lifetime.clone();
    lifetime.tasks.spawn(async move {
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let (handler, tls) = (handler.clone(), tls.clone());
                    let (stop, owner) = (stop.clone(), owner.clone());
                    tasks.spawn(async move {
                        tokio::select! {
                            () = stop.cancelled() => {}
                            result = connection(stream, tls, from(peer, handler), owner) => {
                                if let Err(error) = result {
                                    tracing::debug!(%error, "connection ended");
                                }
                            }
                        }
                    });
                }
                Err(error) => {
                    // Out of descriptors: the listener stays, the peer sees a delay.
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            }
        }
    });
}

/// Adds the peer to each request.
fn from<H, F>(
    peer: SocketAddr,
    handler: H,
) -> impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
{
    move |mut request| {
        request.extensions_mut().insert(peer);
        handler(request)
    }
}

async fn connection<H, F>(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    handler: H,
    owner: Lifetime,
) -> Result<(), BoxError>
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    stream.set_nodelay(true)?;
    match tls {
        Some(tls) => requests(tls.accept(stream).await?, handler, owner).await,
        None => requests(stream, handler, owner).await,
    }
}

async fn requests<S, H, F>(stream: S, handler: H, owner: Lifetime) -> Result<(), BoxError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answer = handler(request);
        async move {
            let answer = answer.await;
            match answer.extensions().get::<Abort>() {
                None => Ok(answer),
                // hyper closes the connection, or resets the stream, without an answer.
                Some(Abort) => Err("a fault closes the connection"),
            }
        }
    });
    let mut builder = Builder::new(owner);
    // No limit on reading a head: it would also close idle connections that a pool still trusts.
    builder.http1().header_read_timeout(None);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(10_000);
    builder
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .await
}
