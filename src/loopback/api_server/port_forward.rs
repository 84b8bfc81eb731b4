//! `pods/portforward`: over SPDY/3.1, plain or in a WebSocket ([`super::spdy`]), and over WebSocket
//! channels (`v4.channel.k8s.io`), which this file speaks itself.
//!
//! For port number *i* of the request, channel *2i* carries its bytes and channel *2i+1* an error text.
//! The first message on each is the port as two bytes, little endian. One TCP connection per port.

use std::net::{IpAddr, SocketAddr};

use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::SplitSink;
use futures::{SinkExt, StreamExt};
use http::header::{
    CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role};

use super::super::http::{Body, Lifetime, full};
use super::super::store::Store;
use super::object_path::ObjectPath;
use super::request::Query;
use super::spdy;
use super::status::Refusal;

const CHANNELS: &str = "v4.channel.k8s.io";
const SPDY: &str = "SPDY/3.1";
const SPDY_IN_WEBSOCKET: &str = "SPDY/3.1+portforward.k8s.io";
/// The most ports of one request; channels are numbered with one byte.
const PORTS: usize = 64;
/// How much is read from a pod at once.
const CHUNK: usize = 32 << 10;
/// Messages to the client that wait to be written; then reading from the pod waits.
const BACKLOG: usize = 64;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// How the client and this server speak after the upgrade.
enum Speech {
    /// SPDY/3.1 on the bare connection.
    Spdy,
    /// SPDY/3.1 in a WebSocket; its key.
    SpdyInWebSocket(String),
    /// Channels in a WebSocket; its key, and the ports of the channels.
    Channels(String, Vec<u16>),
}

/// Answers the upgrade and forwards until one side ends.
pub(super) fn upgrade(
    store: &Store,
    target: &ObjectPath,
    mut request: Request<Incoming>,
    lifetime: &Lifetime,
) -> Result<Response<Body>, Refusal> {
    let ip = pod_ip(store, target)?;
    let speech = Speech::of(&request)?;
    let response = speech.answer();
    let upgraded = hyper::upgrade::on(&mut request);
    let stop = lifetime.stop.clone();
    lifetime.tasks.spawn(async move {
        let forwarding = async {
            match upgraded.await {
                Ok(upgraded) => speech.forward(TokioIo::new(upgraded), ip).await,
                Err(error) => tracing::debug!(%error, "an upgrade came to nothing"),
            }
        };
        stop.run_until_cancelled(forwarding).await;
    });
    Ok(response)
}

/// Address of a pod that runs.
fn pod_ip(store: &Store, target: &ObjectPath) -> Result<IpAddr, Refusal> {
    let pod = store
        .get(target.kind, &target.namespace, &target.name)
        .ok_or_else(|| Refusal::not_found(target))?;
    let ip = pod.value["status"]["podIP"].as_str();
    match ip.and_then(|ip| ip.parse().ok()) {
        Some(ip) if pod.value["status"]["phase"] == "Running" => Ok(ip),
        _ => {
            let message = format!("unable to upgrade: pod {} is not running", target.name);
            Err(Refusal::bad_request(&message))
        }
    }
}

impl Speech {
    fn of<B>(request: &Request<B>) -> Result<Self, Refusal> {
        let text = |name: HeaderName| {
            let value = request.headers().get(name);
            value
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        let upgrade = text(UPGRADE);
        if upgrade.eq_ignore_ascii_case(SPDY) {
            return Ok(Self::Spdy);
        }
        if !upgrade.eq_ignore_ascii_case("websocket") {
            return Err(Refusal::bad_request(&format!(
                "unable to upgrade: {upgrade:?} is not served; use {SPDY} or websocket"
            )));
        }
        let key = text(SEC_WEBSOCKET_KEY);
        if key.is_empty() {
            return Err(Refusal::bad_request(
                "unable to upgrade: Sec-WebSocket-Key is missing",
            ));
        }
        let offered = text(SEC_WEBSOCKET_PROTOCOL);
        for protocol in offered.split(',').map(str::trim) {
            if protocol == SPDY_IN_WEBSOCKET {
                return Ok(Self::SpdyInWebSocket(key.to_owned()));
            }
            if protocol == CHANNELS {
                return Ok(Self::Channels(key.to_owned(), ports(request)?));
            }
        }
        Err(Refusal::bad_request(&format!(
            "unable to upgrade: none of the subprotocols {offered:?} is served; use {CHANNELS} or \
             {SPDY_IN_WEBSOCKET}"
        )))
    }

    /// `101 Switching Protocols`.
    fn answer(&self) -> Response<Body> {
        let mut response = Response::new(full(Bytes::new()));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        let (key, protocol) = match self {
            Self::Spdy => {
                headers.insert(UPGRADE, HeaderValue::from_static(SPDY));
                let version = HeaderName::from_static("x-stream-protocol-version");
                headers.insert(version, HeaderValue::from_static("portforward.k8s.io"));
                return response;
            }
            Self::SpdyInWebSocket(key) => (key, SPDY_IN_WEBSOCKET),
            Self::Channels(key, _) => (key, CHANNELS),
        };
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
        if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        response
    }

    async fn forward(self, upgraded: TokioIo<Upgraded>, ip: IpAddr) {
        let socket = |upgraded| WebSocketStream::from_raw_socket(upgraded, Role::Server, None);
        match self {
            Self::Spdy => spdy::forward(upgraded, ip).await,
            Self::SpdyInWebSocket(_) => {
                spdy::forward_in_websocket(socket(upgraded).await, ip).await;
            }
            Self::Channels(_, ports) => {
                let targets = ports.into_iter().map(|port| SocketAddr::new(ip, port));
                forward(socket(upgraded).await, targets.collect()).await;
            }
        }
    }
}

fn ports<B>(request: &Request<B>) -> Result<Vec<u16>, Refusal> {
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let ports: Option<Vec<u16>> = query
        .values("ports")
        .iter()
        .flat_map(|list| list.split(','))
        .map(|port| port.parse().ok().filter(|port| *port > 0))
        .collect();
    ports
        .filter(|ports| (1..=PORTS).contains(&ports.len()))
        .ok_or_else(|| {
            Refusal::bad_request("unable to upgrade: query parameter \"ports\" is required")
        })
}

fn message(channel: usize, payload: &[u8]) -> Message {
    let mut bytes = BytesMut::with_capacity(payload.len() + 1);
    bytes.put_u8(u8::try_from(channel).unwrap_or(u8::MAX));
    bytes.put_slice(payload);
    Message::Binary(bytes.freeze())
}

async fn forward(socket: Socket, targets: Vec<SocketAddr>) {
    let (sink, mut source) = socket.split();
    let (outgoing, queue) = mpsc::channel(BACKLOG);
    let mut tasks = JoinSet::new();
    let writer = tasks.spawn(write_messages(sink, queue)).id();
    let mut writers: Vec<Option<OwnedWriteHalf>> = Vec::new();
    for (index, target) in targets.into_iter().enumerate() {
        for channel in [2 * index, 2 * index + 1] {
            if outgoing
                .send(message(channel, &target.port().to_le_bytes()))
                .await
                .is_err()
            {
                return;
            }
        }
        match TcpStream::connect(target).await {
            Ok(stream) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "no TCP_NODELAY on a forwarded connection");
                }
                let (reader, writer) = stream.into_split();
                writers.push(Some(writer));
                tasks.spawn(read_pod(reader, index, outgoing.clone()));
            }
            Err(error) => {
                let text = format!("error forwarding port {} to pod: {error}", target.port());
                let _gone = outgoing
                    .send(message(2 * index + 1, text.as_bytes()))
                    .await
                    .is_err();
                writers.push(None);
            }
        }
    }
    let alive = writers.iter().any(Option::is_some);
    drop(outgoing);
    if alive {
        loop {
            tokio::select! {
                received = source.next() => match received {
                    Some(Ok(Message::Binary(bytes))) => {
                        if !write_pod(&mut writers, &bytes).await {
                            break;
                        }
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                    Some(Ok(_)) => {}
                },
                // The pod ended its last connection and everything it said was written.
                Some(ended) = tasks.join_next_with_id() => match ended {
                    Ok((id, ())) if id != writer => {}
                    _ => break,
                },
            }
        }
        tasks.shutdown().await;
    } else {
        // The error texts and the close frame still have to go out.
        while tasks.join_next().await.is_some() {}
    }
}

/// Writes what a client sends on a data channel; `false` when the pod does not take it.
async fn write_pod(writers: &mut [Option<OwnedWriteHalf>], bytes: &[u8]) -> bool {
    let Some((channel, payload)) = bytes.split_first() else {
        return true;
    };
    let (port, is_data) = (usize::from(channel / 2), channel % 2 == 0);
    match writers.get_mut(port).and_then(Option::as_mut) {
        Some(writer) if is_data => writer.write_all(payload).await.is_ok(),
        _ => true,
    }
}

async fn read_pod(mut reader: OwnedReadHalf, index: usize, outgoing: mpsc::Sender<Message>) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(length) = reader.read(&mut chunk).await {
        let Some(bytes) = chunk.get(..length).filter(|bytes| !bytes.is_empty()) else {
            return;
        };
        if outgoing.send(message(2 * index, bytes)).await.is_err() {
            return;
        }
    }
}

async fn write_messages(mut sink: SplitSink<Socket, Message>, mut queue: mpsc::Receiver<Message>) {
    while let Some(message) = queue.recv().await {
        if sink.send(message).await.is_err() {
            return;
        }
    }
    // Whoever is gone needs no farewell.
    let _gone = sink.close().await.is_err();
}
