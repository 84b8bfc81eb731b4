//! Port-forward over a WebSocket: one TCP connection to a port of a pod, through the API server.
//!
//! Binary messages begin with a channel byte: 0 is data, 1 is an error text. The first message on
//! each channel repeats the port. Source: `v4.channel.k8s.io` as the Kubernetes API server speaks
//! it. There is no task: reading and writing drive the socket, also its pings.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures::{Sink, Stream};
use http::Request;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use crate::api::{ROUTER_PORT, ROUTER_SERVICE};
use crate::client::cluster::{Api, Resource, Selector};
use crate::client::encode;
use crate::client::error::{ConnectError, KubeError};

/// Largest message sent.
const MESSAGE: usize = 64 << 10;
const DATA: u8 = 0;
const ERROR: u8 = 1;
/// Channel on which `v5` tells that another channel is closed.
const CLOSE: u8 = 255;

const SLICES: Resource = Resource {
    group: "discovery.k8s.io",
    version: "v1",
    plural: "endpointslices",
};

/// A port of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::client) struct PodPort {
    pub(in crate::client) namespace: String,
    pub(in crate::client) name: String,
    pub(in crate::client) port: u16,
}

/// A ready pod of the router, in the first namespace that has one.
pub(in crate::client) async fn find_router(
    api: &Api,
    namespaces: &[String],
) -> Result<PodPort, ConnectError> {
    let selector = Selector::Labels(format!("kubernetes.io/service-name={ROUTER_SERVICE}"));
    let mut refused: Option<KubeError> = None;
    for namespace in namespaces {
        let listed = api
            .list::<EndpointSlice>(&SLICES.of(namespace), Some(&selector))
            .await;
        match listed {
            Ok(slices) => {
                if let Some(pod) = slices
                    .items
                    .iter()
                    .find_map(|slice| ready(slice, namespace))
                {
                    return Ok(pod);
                }
            }
            Err(error) => {
                refused.get_or_insert(error);
            }
        }
    }
    match refused {
        Some(source) => Err(ConnectError::Kube {
            place: format!("the Service `{ROUTER_SERVICE}`"),
            source: Box::new(source),
        }),
        None => Err(ConnectError::NoRouter {
            namespaces: namespaces.to_vec(),
        }),
    }
}

/// The first pod of a slice that is ready, or does not say.
fn ready(slice: &EndpointSlice, namespace: &str) -> Option<PodPort> {
    let port = slice
        .ports
        .iter()
        .flatten()
        .find_map(|port| u16::try_from(port.port?).ok())
        .unwrap_or(ROUTER_PORT);
    let endpoints = slice.endpoints.iter();
    let mut pods = endpoints.filter_map(|endpoint| {
        let ready = endpoint.conditions.as_ref().and_then(|c| c.ready);
        let target = endpoint.target_ref.as_ref()?;
        (ready != Some(false))
            .then(|| target.name.clone())
            .flatten()
    });
    Some(PodPort {
        namespace: namespace.to_owned(),
        name: pods.next()?,
        port,
    })
}

/// Opens a port-forward and waits until the API server has confirmed the port.
pub(in crate::client) async fn open(api: &Api, pod: &PodPort) -> Result<PortStream, ConnectError> {
    let failed = |source: crate::client::error::BoxError| ConnectError::PortForward {
        pod: pod.name.clone(),
        namespace: pod.namespace.clone(),
        source,
    };
    let target = format!(
        "/api/v1/namespaces/{}/pods/{}/portforward?ports={}",
        encode::component(&pod.namespace),
        encode::component(&pod.name),
        pod.port
    );
    let request = Request::get(target)
        .body(Vec::new())
        .map_err(|error| failed(error.into()))?;
    let connection = api
        .upgrades()
        .connect(request)
        .await
        .map_err(|error| failed(error.into()))?;
    let mut stream = PortStream {
        socket: connection.into_stream(),
        received: Bytes::new(),
        confirmed: [false; 2],
        ended: false,
    };
    stream
        .confirmed()
        .await
        .map_err(|error| failed(error.into()))?;
    Ok(stream)
}

/// The data channel of a port-forward as a stream of bytes.
#[derive(Debug)]
pub(in crate::client) struct PortStream {
    socket: WebSocketStream<TokioIo<Upgraded>>,
    /// What was received and not yet read.
    received: Bytes,
    /// Whether the first message of each channel has come.
    confirmed: [bool; 2],
    ended: bool,
}

impl PortStream {
    async fn confirmed(&mut self) -> io::Result<()> {
        while !self.confirmed[usize::from(DATA)] {
            if self.ended {
                return Err(io::Error::other("it was closed before it was confirmed"));
            }
            std::future::poll_fn(|cx| self.poll_message(cx)).await?;
        }
        Ok(())
    }

    /// Takes in one message.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let message = match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
            Some(Ok(message)) => message,
            None | Some(Err(SocketError::ConnectionClosed | SocketError::AlreadyClosed)) => {
                self.ended = true;
                return Poll::Ready(Ok(()));
            }
            Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
        };
        match message {
            Message::Binary(mut bytes) if !bytes.is_empty() => {
                let channel = bytes.get_u8();
                Poll::Ready(self.take_in(channel, bytes))
            }
            Message::Close(_) => {
                self.ended = true;
                Poll::Ready(Ok(()))
            }
            _ => Poll::Ready(Ok(())),
        }
    }

    fn take_in(&mut self, channel: u8, bytes: Bytes) -> io::Result<()> {
        match channel {
            DATA | ERROR if !self.confirmed[usize::from(channel)] => {
                self.confirmed[usize::from(channel)] = true;
            }
            DATA => self.received = bytes,
            ERROR => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                return Err(io::Error::new(io::ErrorKind::ConnectionReset, text));
            }
            CLOSE if bytes.first() == Some(&DATA) => self.ended = true,
            _ => {}
        }
        Ok(())
    }

    /// Sends pieces of data as one message; tells how much was taken.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(io::Error::other)?;
        let whole: usize = pieces.iter().map(|piece| piece.len()).sum();
        let length = whole.min(MESSAGE);
        let mut message = Vec::with_capacity(length + 1);
        message.push(DATA);
        for piece in pieces {
            let room = length + 1 - message.len();
            message.extend_from_slice(&piece[..piece.len().min(room)]);
        }
        Pin::new(&mut self.socket)
            .start_send(Message::Binary(message.into()))
            .map_err(io::Error::other)?;
        Poll::Ready(Ok(length))
    }
}

impl Read for PortStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        while self.received.is_empty() && !self.ended {
            ready!(self.poll_message(cx))?;
        }
        let length = self.received.len().min(buf.remaining());
        buf.put_slice(&self.received.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl Write for PortStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, &[io::IoSlice::new(buf)])
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket)
            .poll_flush(cx)
            .map_err(io::Error::other)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.socket).poll_close(cx)) {
            Ok(()) | Err(SocketError::ConnectionClosed | SocketError::AlreadyClosed) => {
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(io::Error::other(error))),
        }
    }
}
