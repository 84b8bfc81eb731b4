//! One HTTP request and its answer.
//!
//! A connection is driven beside its request, in the same task: when the step is cancelled it ends.
//! Between two requests it rests among the connections of the cell.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use crate::client::BoxError;
use crate::units::ByteSize;

/// The largest answer.
const ANSWER_LIMIT: ByteSize = ByteSize(16 << 20);

/// A connection that was idle for longer is not used again: some servers close theirs after 5 s, and
/// a request could meet the closing half-way.
const IDLE: Duration = Duration::from_secs(4);

/// What an answer is.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Where an exchange failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpStage {
    /// There is no connection.
    Connect,
    /// The request was not sent, or the answer is not whole.
    Exchange,
}

/// The connections of a cell to HTTP servers: each is used again, so that a request does not pay for
/// connecting. An idle one is not driven by any task; it is looked at when it is taken.
#[derive(Clone, Default)]
pub struct HttpConnections(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Trust in `https` servers: the roots that the system has, read when first needed.
    tls: OnceCell<TlsConnector>,
    /// The last used is used first.
    idle: Mutex<HashMap<Place, Vec<Open>>>,
}

impl fmt::Debug for HttpConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConnections").finish_non_exhaustive()
    }
}

/// Where a connection leads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    secure: bool,
    host: String,
    port: u16,
}

/// An open connection, and the work on it that somebody has to do.
struct Open {
    sender: SendRequest<Full<Bytes>>,
    connection: BoxFuture<'static, ()>,
    used: Instant,
}

impl HttpConnections {
    async fn tls(&self) -> Result<&TlsConnector, BoxError> {
        self.0
            .tls
            .get_or_try_init(|| async { tokio::task::spawn_blocking(native).await? })
            .await
    }

    fn take(&self, place: &Place) -> Option<Open> {
        let mut idle = self.idle();
        let idle = idle.get_mut(place)?;
        let last = idle.pop()?;
        if last.used.elapsed() < IDLE {
            return Some(last);
        }
        // All others have been idle for longer.
        idle.clear();
        None
    }

    fn give(&self, place: Place, open: Open) {
        let used = Instant::now();
        let open = Open { used, ..open };
        self.idle().entry(place).or_default().push(open);
    }

    fn idle(&self) -> MutexGuard<'_, HashMap<Place, Vec<Open>>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn dial(&self, place: &Place) -> Result<Open, BoxError> {
        let bare = place.host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((bare, place.port)).await?;
        stream.set_nodelay(true)?;
        if !place.secure {
            return handshake(stream).await;
        }
        let name = ServerName::try_from(bare.to_owned())?;
        handshake(self.tls().await?.connect(name, stream).await?).await
    }
}

async fn handshake<S>(stream: S) -> Result<Open, BoxError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Its error is that of the request.
    let connection = connection.map(drop).boxed();
    Ok(Open {
        sender,
        connection,
        used: Instant::now(),
    })
}

/// Reads some hundred files.
fn native() -> Result<TlsConnector, BoxError> {
    let mut roots = RootCertStore::empty();
    // What is not a certificate is left out, as browsers do.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

type Failed = (HttpStage, BoxError);

/// Why a request on an open connection came to nothing.
enum Trouble {
    /// The connection had ended before anything was sent; the request is whole.
    Unsent(Box<Request<Full<Bytes>>>, BoxError),
    Broken(BoxError),
}

fn exchange_failed(error: impl Into<BoxError>) -> Failed {
    (HttpStage::Exchange, error.into())
}

/// Sends a request to where its URL says.
pub(super) async fn exchange(
    mut request: Request<Bytes>,
    connections: &HttpConnections,
) -> Result<Answer, Failed> {
    let url = std::mem::take(request.uri_mut());
    let secure = url.scheme() == Some(&Scheme::HTTPS);
    let place = Place {
        secure,
        host: url.host().unwrap_or_default().to_owned(),
        port: url.port_u16().unwrap_or(if secure { 443 } else { 80 }),
    };
    prepare(&mut request, &url).map_err(exchange_failed)?;
    let mut request = request.map(Full::new);
    loop {
        let idle = connections.take(&place);
        let fresh = idle.is_none();
        let mut open = if let Some(open) = idle {
            open
        } else {
            // Large and seldom: not a part of every request's future.
            let dialled = connections.dial(&place).boxed().await;
            dialled.map_err(|error| (HttpStage::Connect, error))?
        };
        match talk(&mut open, request).await {
            Ok((answer, Lasts::On)) => {
                connections.give(place, open);
                return Ok(answer);
            }
            Ok((answer, Lasts::Ended)) => return Ok(answer),
            // It had ended while it was idle: that is no repetition.
            Err(Trouble::Unsent(whole, _)) if !fresh => request = *whole,
            Err(Trouble::Unsent(_, error) | Trouble::Broken(error)) => {
                return Err((HttpStage::Exchange, error));
            }
        }
    }
}

/// The target as a server wants it, and who is asked.
fn prepare(request: &mut Request<Bytes>, url: &Uri) -> Result<(), BoxError> {
    let target = url.path_and_query().map_or("/", |target| target.as_str());
    *request.uri_mut() = target.parse()?;
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit('@').next().unwrap_or_default();
    if !request.headers().contains_key(http::header::HOST) {
        let host = HeaderValue::from_str(host)?;
        request.headers_mut().insert(http::header::HOST, host);
    }
    Ok(())
}

/// Whether a connection can be used again.
enum Lasts {
    On,
    Ended,
}

/// One request and its answer.
async fn talk(open: &mut Open, request: Request<Full<Bytes>>) -> Result<(Answer, Lasts), Trouble> {
    let Open {
        sender, connection, ..
    } = open;
    let asking = async {
        let sent = match sender.ready().await {
            Ok(()) => sender.try_send_request(request).await,
            Err(error) => return Err(Trouble::Unsent(Box::new(request), error.into())),
        };
        let answer = sent.map_err(|mut failure| match failure.take_message() {
            Some(whole) => Trouble::Unsent(Box::new(whole), failure.into_error().into()),
            None => Trouble::Broken(failure.into_error().into()),
        })?;
        let (parts, body) = answer.into_parts();
        let limit = usize::try_from(ANSWER_LIMIT.0).unwrap_or(usize::MAX);
        let body = Limited::new(body, limit).collect().await;
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.map_err(Trouble::Broken)?.to_bytes(),
        })
    };
    tokio::pin!(asking);
    // The connection first: so it is known in time that its peer has closed it.
    tokio::select! {
        biased;
        () = connection => asking.await.map(|answer| (answer, Lasts::Ended)),
        answer = &mut asking => answer.map(|answer| (answer, Lasts::On)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use super::*;

    struct Server {
        url: String,
        opened: Arc<AtomicUsize>,
        closed: Arc<AtomicUsize>,
        _tasks: JoinSet<()>,
    }

    impl Server {
        /// Answers so many requests on each connection, with this header, and closes it.
        async fn start(requests: usize, header: &'static str) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
            let url = format!("http://{}/", listener.local_addr().expect("bound"));
            let (opened, closed) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
            let (opening, closing) = (Arc::clone(&opened), Arc::clone(&closed));
            let mut tasks = JoinSet::new();
            tasks.spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    opening.fetch_add(1, Ordering::Relaxed);
                    answer(stream, requests, header).await;
                    closing.fetch_add(1, Ordering::Relaxed);
                }
            });
            Self {
                url,
                opened,
                closed,
                _tasks: tasks,
            }
        }

        fn opened(&self) -> usize {
            self.opened.load(Ordering::Relaxed)
        }

        async fn has_closed(&self, number: usize) {
            while self.closed.load(Ordering::Relaxed) < number {
                tokio::task::yield_now().await;
            }
        }
    }

    async fn answer(mut stream: TcpStream, requests: usize, header: &str) {
        let mut buffer = [0; 4096];
        for _ in 0..requests {
            if stream
                .read(&mut buffer)
                .await
                .is_ok_and(|length| length == 0)
            {
                return;
            }
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{header}\r\nok");
            stream.write_all(answer.as_bytes()).await.expect("written");
        }
    }

    async fn get(url: &str, connections: &HttpConnections) -> Bytes {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = url.parse().expect("a URL");
        let answer = exchange(request, connections).await;
        answer.map_err(|(_, error)| error).expect("answered").body
    }

    #[tokio::test]
    async fn a_connection_is_used_again() {
        let server = Server::start(usize::MAX, "").await;
        let connections = HttpConnections::default();
        for _ in 0..5 {
            assert_eq!(get(&server.url, &connections).await, "ok");
        }
        assert_eq!(server.opened(), 1);
    }

    #[tokio::test]
    async fn a_connection_that_its_peer_has_closed_is_replaced_without_an_error() {
        let server = Server::start(1, "").await;
        let connections = HttpConnections::default();
        for number in 1..=5 {
            assert_eq!(get(&server.url, &connections).await, "ok");
            server.has_closed(number).await;
        }
        assert_eq!(server.opened(), 5);
    }

    #[tokio::test]
    async fn a_connection_that_is_announced_to_close_is_not_kept() {
        let server = Server::start(1, "Connection: close\r\n").await;
        let connections = HttpConnections::default();
        for _ in 0..3 {
            assert_eq!(get(&server.url, &connections).await, "ok");
        }
        assert_eq!(server.opened(), 3);
        let idle = connections.idle().values().map(Vec::len).sum::<usize>();
        assert_eq!(idle, 0);
    }
}
