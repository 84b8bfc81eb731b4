//! Frames there and back, and a session driven by hand.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::frame::{Frame, More, Reader, Writer};
use super::headers::{Packer, Unpacker, dictionary};

fn data(stream: u32, bytes: &'static [u8], more: More) -> Frame {
    let bytes = Bytes::from_static(bytes);
    Frame::Data {
        stream,
        bytes,
        more,
    }
}

fn open(stream: u32, kind: &str, port: u16, id: &str, more: More) -> Frame {
    let port = port.to_string();
    let pairs = [("streamtype", kind), ("port", &port), ("requestid", id)];
    let headers = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Frame::Open {
        stream,
        headers: headers.to_vec(),
        more,
    }
}

#[test]
fn the_dictionary_is_the_one_of_the_draft() {
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in dictionary() {
        a = (a + u32::from(byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    assert_eq!((dictionary().len(), (b << 16) | a), (1423, 0xe3c6_a7c2));
}

#[test]
fn header_blocks_share_one_context_and_come_back() {
    let (mut packer, mut unpacker) = (Packer::new().unwrap(), Unpacker::new());
    let long = "x".repeat(5000);
    for value in ["8080", "8081", "", &long, "9"] {
        let packed = packer
            .pack(&[("port", value), ("streamtype", "data")])
            .unwrap();
        let block = unpacker.unpack(&packed).unwrap();
        assert_eq!(block[0], ("port".to_owned(), value.to_owned()));
        assert_eq!(block[1].1, "data");
    }
}

#[test]
fn a_block_that_is_nonsense_or_a_bomb_is_refused() {
    assert!(Unpacker::new().unpack(b"nonsense").is_err());
    let mut packer = Packer::new().unwrap();
    let bomb = packer.pack(&[("a", &"y".repeat(1 << 20))]).unwrap();
    assert!(bomb.len() < 64 << 10, "{}", bomb.len());
    assert!(Unpacker::new().unpack(&bomb).is_err());
}

#[tokio::test]
async fn frames_come_back_however_they_are_cut() {
    let frames = [
        open(1, "error", 80, "0", More::Ends),
        open(3, "data", 80, "0", More::Follows),
        Frame::Reply { stream: 1 },
        Frame::Reset { stream: 9 },
        Frame::Ping { id: 7 },
        data(3, b"hello", More::Follows),
        data(3, b"", More::Ends),
        Frame::GoAway,
    ];
    let (near, far) = tokio::io::duplex(3);
    let mut writing = JoinSet::new();
    let sent = frames.clone();
    writing.spawn(async move {
        let mut writer = Writer::new(near).unwrap();
        for frame in &sent {
            writer.write(frame).await.unwrap();
        }
    });
    let mut reader = Reader::new(far);
    for frame in frames {
        assert_eq!(reader.next().await.unwrap(), Some(frame));
    }
    assert_eq!(reader.next().await.unwrap(), None);
}

#[tokio::test]
async fn what_is_not_spdy_is_an_error() {
    let mut reader = Reader::new(&b"GET / HTTP/1.1\r\n\r\n"[..]);
    // The first bytes look like a data frame that never comes whole.
    assert!(reader.next().await.is_err());
    let mut reader = Reader::new(&[0x80, 9, 0, 1, 0, 0, 0, 0][..]);
    assert!(reader.next().await.is_err());
}

struct Client {
    reader: Reader<ReadHalf<DuplexStream>>,
    writer: Writer<WriteHalf<DuplexStream>>,
    _session: JoinSet<()>,
}

/// A session to a server that sends back what it gets until its input ends.
async fn session() -> (Client, SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = JoinSet::new();
    server.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let mut bytes = Vec::new();
                stream.read_to_end(&mut bytes).await.unwrap();
                stream.write_all(&bytes).await.unwrap();
            });
        }
    });
    let (near, far) = tokio::io::duplex(1024);
    let mut serving = JoinSet::new();
    serving.spawn(super::forward(far, address.ip()));
    let (read, write) = tokio::io::split(near);
    let client = Client {
        reader: Reader::new(read),
        writer: Writer::new(write).unwrap(),
        _session: serving,
    };
    (client, address, server)
}

impl Client {
    async fn say(&mut self, frame: &Frame) {
        self.writer.write(frame).await.unwrap();
    }

    async fn hear(&mut self) -> Frame {
        self.reader.next().await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn two_connections_share_a_session_and_end_one_by_one() {
    let (mut client, server, _serving) = session().await;
    for (error, id) in [(1, "0"), (5, "1")] {
        client
            .say(&open(error, "error", server.port(), id, More::Ends))
            .await;
        assert_eq!(client.hear().await, Frame::Reply { stream: error });
        client
            .say(&open(error + 2, "data", server.port(), id, More::Follows))
            .await;
        assert_eq!(client.hear().await, Frame::Reply { stream: error + 2 });
    }
    client.say(&Frame::Ping { id: 1 }).await;
    assert_eq!(client.hear().await, Frame::Ping { id: 1 });
    for (stream, text) in [(7, &b"second"[..]), (3, &b"first"[..])] {
        client.say(&data(stream, text, More::Ends)).await;
        assert_eq!(client.hear().await, data(stream, text, More::Follows));
        assert_eq!(client.hear().await, data(stream, b"", More::Ends));
        assert_eq!(client.hear().await, data(stream - 2, b"", More::Ends));
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_told_on_the_error_stream() {
    let (mut client, server, mut serving) = session().await;
    serving.shutdown().await;
    client
        .say(&open(1, "error", server.port(), "0", More::Ends))
        .await;
    client
        .say(&open(3, "data", server.port(), "0", More::Follows))
        .await;
    client.hear().await;
    client.hear().await;
    assert_eq!(client.hear().await, data(3, b"", More::Ends));
    let Frame::Data {
        stream: 1,
        bytes,
        more: More::Ends,
    } = client.hear().await
    else {
        panic!("no error");
    };
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(text.contains(&format!("port {}", server.port())), "{text}");
}

#[tokio::test]
async fn a_stream_of_an_unknown_kind_is_reset() {
    let (mut client, server, _serving) = session().await;
    client
        .say(&open(1, "video", server.port(), "0", More::Follows))
        .await;
    assert_eq!(client.hear().await, Frame::Reset { stream: 1 });
}
