//! Frames on the wire: what of SPDY/3.1 a port-forward needs.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::headers::{Packer, Unpacker};

const VERSION: u16 = 0x8003;
const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const FIN: u8 = 1;
/// Largest control frame; clients send a few hundred bytes.
const LARGEST_CONTROL: usize = 64 << 10;

/// Whether a side of a stream says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum More {
    Follows,
    Ends,
}

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    Open {
        stream: u32,
        headers: Vec<(String, String)>,
        more: More,
    },
    Reply {
        stream: u32,
    },
    Reset {
        stream: u32,
    },
    Ping {
        id: u32,
    },
    GoAway,
    Data {
        stream: u32,
        bytes: Bytes,
        more: More,
    },
}

/// Reads frames.
pub(super) struct Reader<R> {
    input: R,
    unpacker: Unpacker,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            unpacker: Unpacker::new(),
        }
    }

    /// The next frame of a known kind; `None` at the end.
    ///
    /// # Errors
    /// When the connection breaks or the peer speaks something else.
    pub(super) async fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            let mut head = [0; 8];
            match self.input.read_exact(&mut head).await {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                read => read?,
            };
            let mut head = &head[..];
            let (first, kind) = (head.get_u16(), head.get_u16());
            let (flags, length) = (head[0], head.get_u32() & 0x00ff_ffff);
            let more = if flags & FIN == 0 {
                More::Follows
            } else {
                More::Ends
            };
            let mut body = BytesMut::zeroed(usize::try_from(length).map_err(io::Error::other)?);
            let control = first & 0x8000 != 0;
            if control && (first != VERSION || body.len() > LARGEST_CONTROL) {
                return Err(strange("not a frame of SPDY/3"));
            }
            self.input.read_exact(&mut body).await?;
            if !control {
                let stream = (u32::from(first) << 16) | u32::from(kind);
                let bytes = body.freeze();
                return Ok(Some(Frame::Data {
                    stream,
                    bytes,
                    more,
                }));
            }
            if let Some(frame) = self.control(kind, more, body.freeze())? {
                return Ok(Some(frame));
            }
        }
    }

    /// A control frame; `None` if it is of a kind that means nothing here.
    fn control(&mut self, kind: u16, more: More, mut body: Bytes) -> io::Result<Option<Frame>> {
        let least = match kind {
            SYN_STREAM => 10,
            SYN_REPLY | RST_STREAM | PING => 4,
            GOAWAY => return Ok(Some(Frame::GoAway)),
            _ => return Ok(None),
        };
        if body.len() < least {
            return Err(strange("a frame is too short"));
        }
        let number = body.get_u32() & 0x7fff_ffff;
        Ok(Some(match kind {
            SYN_STREAM => {
                body.advance(6);
                let headers = self.unpacker.unpack(&body)?;
                Frame::Open {
                    stream: number,
                    headers,
                    more,
                }
            }
            SYN_REPLY => {
                self.unpacker.unpack(&body)?;
                Frame::Reply { stream: number }
            }
            RST_STREAM => Frame::Reset { stream: number },
            _ => Frame::Ping { id: number },
        }))
    }
}

fn strange(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Writes frames.
pub(super) struct Writer<W> {
    output: W,
    packer: Packer,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    pub(super) fn new(output: W) -> io::Result<Self> {
        let packer = Packer::new()?;
        Ok(Self { output, packer })
    }

    /// Writes a frame and flushes it.
    pub(super) async fn write(&mut self, frame: &Frame) -> io::Result<()> {
        let mut bytes = BytesMut::new();
        match frame {
            Frame::Open {
                stream,
                headers,
                more,
            } => {
                let pairs: Vec<(&str, &str)> = headers
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()))
                    .collect();
                let block = self.packer.pack(&pairs)?;
                control(&mut bytes, SYN_STREAM, *more, 10 + block.len());
                bytes.put_u32(*stream);
                bytes.put_bytes(0, 6);
                bytes.put_slice(&block);
            }
            Frame::Reply { stream } => {
                let block = self.packer.pack(&[])?;
                control(&mut bytes, SYN_REPLY, More::Follows, 4 + block.len());
                bytes.put_u32(*stream);
                bytes.put_slice(&block);
            }
            Frame::Reset { stream } => {
                control(&mut bytes, RST_STREAM, More::Follows, 8);
                bytes.put_u32(*stream);
                // CANCEL
                bytes.put_u32(5);
            }
            Frame::Ping { id } => {
                control(&mut bytes, PING, More::Follows, 4);
                bytes.put_u32(*id);
            }
            Frame::GoAway => {
                control(&mut bytes, GOAWAY, More::Follows, 8);
                bytes.put_u64(0);
            }
            Frame::Data {
                stream,
                bytes: data,
                more,
            } => {
                bytes.put_u32(*stream);
                put_length(&mut bytes, *more, data.len());
                bytes.put_slice(data);
            }
        }
        self.output.write_all(&bytes).await?;
        self.output.flush().await
    }
}

fn control(bytes: &mut BytesMut, kind: u16, more: More, length: usize) {
    bytes.put_u16(VERSION);
    bytes.put_u16(kind);
    put_length(bytes, more, length);
}

/// Flags, and the length in 24 bits.
fn put_length(bytes: &mut BytesMut, more: More, length: usize) {
    let flags = if more == More::Ends { FIN } else { 0 };
    let length = u32::try_from(length).unwrap_or(u32::MAX) & 0x00ff_ffff;
    bytes.put_u32((u32::from(flags) << 24) | length);
}
