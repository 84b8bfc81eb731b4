//! `pods/portforward` over WebSocket channels (`v4.channel.k8s.io`).
//!
//! For port number *i* of the request, channel *2i* carries its bytes and channel *2i+1* an error text.
//! The first message on each is the port as two bytes, little endian. One TCP connection per port.

use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::SplitSink;
use futures::{SinkExt, StreamExt};
use http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
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
use super::status::Refusal;

const PROTOCOL: &str = "v4.channel.k8s.io";
/// The most ports of one request; channels are numbered with one byte.
const PORTS: usize = 64;
/// How much is read from a pod at once.
const CHUNK: usize = 32 << 10;
/// Messages to the client that wait to be written; then reading from the pod waits.
const BACKLOG: usize = 64;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Answers the upgrade and forwards until one side ends.
pub(super) fn upgrade(
    store: &Store,
    target: &ObjectPath,
    mut request: Request<Incoming>,
    lifetime: &Lifetime,
) -> Result<Response<Body>, Refusal> {
    let pod = store
        .get(target.kind, &target.namespace, &target.name)
        .ok_or_else(|| Refusal::not_found(target))?;
    let key = websocket_key(request.headers())?;
    let ip = pod.value["status"]["podIP"]
        .as_str()
        .and_then(|ip| ip.parse().ok());
    let ip: std::net::IpAddr = match ip {
        Some(ip) if pod.value["status"]["phase"] == "Running" => ip,
        _ => {
            let message = format!("unable to upgrade: pod {} is not running", target.name);
            return Err(Refusal::bad_request(&message));
        }
    };
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let ports: Option<Vec<u16>> = query
        .values("ports")
        .iter()
        .flat_map(|list| list.split(','))
        .map(|port| port.parse().ok().filter(|port| *port > 0))
        .collect();
    let Some(ports) = ports.filter(|ports| (1..=PORTS).contains(&ports.len())) else {
        return Err(Refusal::bad_request(
            "unable to upgrade: query parameter \"ports\" is required",
        ));
    };
    let upgraded = hyper::upgrade::on(&mut request);
    let stop = lifetime.stop.clone();
    lifetime.tasks.spawn(async move {
        let forwarding = async {
            let upgraded = upgraded.await.ok()?;
            let socket =
                WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
            let targets = ports
                .into_iter()
                .map(|port| SocketAddr::new(ip, port))
                .collect();
            forward(socket, targets).await;
            Some(())
        };
        tokio::select! {
            () = stop.cancelled() => {}
            _ = forwarding => {}
        }
    });
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    Ok(response)
}

fn websocket_key(headers: &HeaderMap) -> Result<String, Refusal> {
    let text = |name: HeaderName| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    if !text(UPGRADE).eq_ignore_ascii_case("websocket") {
        return Err(Refusal::bad_request(
            "unable to upgrade: only WebSocket upgrades are served",
        ));
    }
    let offered = text(SEC_WEBSOCKET_PROTOCOL);
    if !offered
        .split(',')
        .any(|protocol| protocol.trim() == PROTOCOL)
    {
        return Err(Refusal::bad_request(&format!(
            "unable to upgrade: none of the subprotocols {offered:?} is served; use {PROTOCOL}"
        )));
    }
    let key = text(SEC_WEBSOCKET_KEY);
    if key.is_empty() {
        return Err(Refusal::bad_request(
            "unable to upgrade: Sec-WebSocket-Key is missing",
        ));
    }
    Ok(key)
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
