//! A session: pairs of streams, each pair a TCP connection to a port of the pod.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::frame::{Frame, More, Reader, Writer};

/// How much is read from a pod at once.
const CHUNK: usize = 32 << 10;
/// Frames that wait; then whoever makes them waits too.
const BACKLOG: usize = 64;
/// The most connections at once in one session.
const PAIRS: usize = 4096;

/// What a client has asked for with one `requestid`.
#[derive(Debug, Default)]
struct Pair {
    error: Option<u32>,
    data: Option<u32>,
    port: u16,
}

struct Session {
    ip: IpAddr,
    outgoing: mpsc::Sender<Frame>,
    /// Pairs of which one stream is not there yet.
    halves: HashMap<String, Pair>,
    /// Where the bytes of a data stream go.
    inputs: HashMap<u32, mpsc::Sender<Bytes>>,
    tasks: JoinSet<u32>,
}

/// Forwards connections to ports of the pod at `ip` until the client goes.
pub(in super::super) async fn forward<S>(stream: S, ip: IpAddr)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (input, output) = tokio::io::split(stream);
    let Ok(writer) = Writer::new(output) else {
        return;
    };
    let (outgoing, queue) = mpsc::channel(BACKLOG);
    let mut writing = JoinSet::new();
    writing.spawn(write_frames(writer, queue));
    let mut session = Session {
        ip,
        outgoing,
        halves: HashMap::new(),
        inputs: HashMap::new(),
        tasks: JoinSet::new(),
    };
    let mut reader = Reader::new(BufReader::new(input));
    loop {
        match reader.next().await {
            Ok(Some(Frame::GoAway) | None) => break,
            Ok(Some(frame)) => {
                if session.take(frame).await.is_none() {
                    break;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "a port-forward ended");
                break;
            }
        }
        while let Some(ended) = session.tasks.try_join_next() {
            if let Ok(stream) = ended {
                session.inputs.remove(&stream);
            }
        }
    }
    session.tasks.shutdown().await;
    writing.shutdown().await;
}

async fn write_frames<W: AsyncWrite + Unpin>(
    mut writer: Writer<W>,
    mut queue: mpsc::Receiver<Frame>,
) {
    while let Some(frame) = queue.recv().await {
        if let Err(error) = writer.write(&frame).await {
            tracing::debug!(%error, "a port-forward's client went away");
            return;
        }
    }
}

impl Session {
    /// `None` if the session is over.
    async fn take(&mut self, frame: Frame) -> Option<()> {
        match frame {
            Frame::Open {
                stream, headers, ..
            } => self.open(stream, &headers).await,
            Frame::Data {
                stream,
                bytes,
                more,
            } => {
                if let Some(input) = self.inputs.get(&stream)
                    && !bytes.is_empty()
                {
                    // Waiting here is the back-pressure: the socket is not read meanwhile. A pod
                    // that is gone takes nothing; its end is told by its own task.
                    let _gone = input.send(bytes).await.is_err();
                }
                if more == More::Ends {
                    self.inputs.remove(&stream);
                }
                Some(())
            }
            Frame::Reset { stream } => {
                self.inputs.remove(&stream);
                Some(())
            }
            Frame::Ping { id } => self.outgoing.send(Frame::Ping { id }).await.ok(),
            Frame::Reply { .. } | Frame::GoAway => Some(()),
        }
    }

    async fn open(&mut self, stream: u32, headers: &[(String, String)]) -> Option<()> {
        let header = |wanted: &str| {
            let mut found = headers.iter().filter(|(name, _)| name == wanted);
            found.next().map_or("", |(_, value)| value.as_str())
        };
        let port = header("port").parse().ok().filter(|port| *port > 0);
        let (Some(port), kind @ ("error" | "data")) = (port, header("streamtype")) else {
            return self.outgoing.send(Frame::Reset { stream }).await.ok();
        };
        if self.halves.len() + self.tasks.len() >= PAIRS {
            return self.outgoing.send(Frame::Reset { stream }).await.ok();
        }
        self.outgoing.send(Frame::Reply { stream }).await.ok()?;
        let id = header("requestid").to_owned();
        let pair = self.halves.entry(id.clone()).or_default();
        pair.port = port;
        match kind {
            "error" => pair.error = Some(stream),
            _ => pair.data = Some(stream),
        }
        if let Pair {
            error: Some(error),
            data: Some(data),
            port,
        } = *pair
        {
            self.halves.remove(&id);
            let (input, bytes) = mpsc::channel(BACKLOG);
            self.inputs.insert(data, input);
            let connection = Connection {
                target: SocketAddr::new(self.ip, port),
                error,
                data,
                outgoing: self.outgoing.clone(),
            };
            self.tasks.spawn(connection.run(bytes));
        }
        Some(())
    }
}

/// One pair of streams and its TCP connection.
struct Connection {
    target: SocketAddr,
    error: u32,
    data: u32,
    outgoing: mpsc::Sender<Frame>,
}

impl Connection {
    /// Copies both ways until the pod has said everything; the data stream's number.
    async fn run(self, input: mpsc::Receiver<Bytes>) -> u32 {
        let text = match TcpStream::connect(self.target).await {
            Ok(stream) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "no TCP_NODELAY on a forwarded connection");
                }
                let (reader, writer) = stream.into_split();
                let mut writing = JoinSet::new();
                writing.spawn(write_pod(writer, input));
                self.read_pod(reader).await;
                writing.shutdown().await;
                Bytes::new()
            }
            Err(error) => {
                let port = self.target.port();
                format!("error forwarding port {port} to pod: {error}").into()
            }
        };
        // Nobody may be there any more to be told.
        self.tell(self.data, Bytes::new()).await;
        self.tell(self.error, text).await;
        self.data
    }

    /// The last that a stream says.
    async fn tell(&self, stream: u32, bytes: Bytes) {
        let more = More::Ends;
        let _gone = self
            .outgoing
            .send(Frame::Data {
                stream,
                bytes,
                more,
            })
            .await
            .is_err();
    }

    async fn read_pod(&self, mut reader: OwnedReadHalf) {
        let mut chunk = vec![0; CHUNK];
        while let Ok(length @ 1..) = reader.read(&mut chunk).await {
            let frame = Frame::Data {
                stream: self.data,
                bytes: Bytes::copy_from_slice(&chunk[..length]),
                more: More::Follows,
            };
            if self.outgoing.send(frame).await.is_err() {
                return;
            }
        }
    }
}

/// Writes what the client sends; closes the pod's side when the client has said everything.
async fn write_pod(mut writer: OwnedWriteHalf, mut input: mpsc::Receiver<Bytes>) {
    while let Some(bytes) = input.recv().await {
        if writer.write_all(&bytes).await.is_err() {
            return;
        }
    }
    // A pod that has closed already needs no farewell.
    let _closed = writer.shutdown().await.is_err();
}
