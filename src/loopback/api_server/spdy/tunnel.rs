//! SPDY inside the binary messages of a WebSocket; how the bytes are cut into messages means nothing.

use std::net::IpAddr;

use bytes::Bytes;
use futures::{Sink, SinkExt, Stream, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Bytes on their way between the WebSocket and the session.
const PIPE: usize = 64 << 10;
/// Largest message sent.
const MESSAGE: usize = 32 << 10;

/// Forwards as [`super::forward`] does.
pub(in super::super) async fn forward_in_websocket<S>(socket: S, ip: IpAddr)
where
    S: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Send,
{
    let (near, far) = tokio::io::duplex(PIPE);
    let (from_session, to_session) = tokio::io::split(near);
    let (sink, source) = socket.split();
    // The first end ends all: the client closes, or the session does.
    tokio::select! {
        () = receive(source, to_session) => {}
        () = async { tokio::join!(super::forward(far, ip), send(from_session, sink)); } => {}
    }
}

async fn receive<S>(mut source: S, mut session: WriteHalf<DuplexStream>)
where
    S: Stream<Item = Result<Message, Error>> + Unpin,
{
    while let Some(Ok(message)) = source.next().await {
        match message {
            Message::Binary(bytes) => {
                if session.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Message::Ping(_) | Message::Pong(_) => {}
            Message::Text(_) | Message::Close(_) | Message::Frame(_) => return,
        }
    }
}

async fn send<S>(mut session: ReadHalf<DuplexStream>, mut sink: S)
where
    S: Sink<Message, Error = Error> + Unpin,
{
    let mut chunk = vec![0; MESSAGE];
    while let Ok(length @ 1..) = session.read(&mut chunk).await {
        let bytes = Bytes::copy_from_slice(&chunk[..length]);
        if sink.send(Message::Binary(bytes)).await.is_err() {
            return;
        }
    }
    // Whoever is gone needs no farewell.
    let _gone = sink.close().await.is_err();
}
