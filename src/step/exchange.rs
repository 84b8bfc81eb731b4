//! One HTTP request and its answer on a connection of its own, which ends with them.
//!
//! The connection is driven beside the request, in the same task: nothing stays when the step is
//! cancelled.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

use crate::client::BoxError;
use crate::units::ByteSize;

/// The largest answer.
const ANSWER_LIMIT: ByteSize = ByteSize(16 << 20);

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

/// Trust in `https` servers: the roots that the system has, read when first needed.
#[derive(Clone, Default)]
pub struct Https(Arc<OnceCell<TlsConnector>>);

impl fmt::Debug for Https {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Https").finish_non_exhaustive()
    }
}

impl Https {
    async fn connector(&self) -> Result<&TlsConnector, BoxError> {
        self.0
            .get_or_try_init(|| async { tokio::task::spawn_blocking(native).await? })
            .await
    }
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

fn connect_failed(error: impl Into<BoxError>) -> Failed {
    (HttpStage::Connect, error.into())
}

fn exchange_failed(error: impl Into<BoxError>) -> Failed {
    (HttpStage::Exchange, error.into())
}

/// Sends a request to where its URL says.
pub(super) async fn exchange(mut request: Request<Bytes>, https: &Https) -> Result<Answer, Failed> {
    let url = std::mem::take(request.uri_mut());
    let host = url.host().unwrap_or_default();
    let secure = url.scheme() == Some(&Scheme::HTTPS);
    let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
    prepare(&mut request, &url).map_err(exchange_failed)?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, port))
        .await
        .map_err(connect_failed)?;
    stream.set_nodelay(true).map_err(connect_failed)?;
    if !secure {
        return talk(request, stream).await;
    }
    let name = ServerName::try_from(bare.to_owned()).map_err(connect_failed)?;
    let connector = https.connector().await.map_err(connect_failed)?;
    let stream = connector
        .connect(name, stream)
        .await
        .map_err(connect_failed)?;
    talk(request, stream).await
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

async fn talk<S>(request: Request<Bytes>, stream: S) -> Result<Answer, Failed>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(connect_failed)?;
    let asking = async move {
        let answer = sender
            .send_request(request.map(Full::new))
            .await
            .map_err(exchange_failed)?;
        let (parts, body) = answer.into_parts();
        let limit = usize::try_from(ANSWER_LIMIT.0).unwrap_or(usize::MAX);
        let body = Limited::new(body, limit).collect().await;
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.map_err(exchange_failed)?.to_bytes(),
        })
    };
    // The connection ends with its sender; its error is that of the request.
    let (answer, _connection) = tokio::join!(asking, connection);
    answer
}
