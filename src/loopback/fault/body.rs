//! [`Faulty`]: a body that comes late, in pieces, in part or not at all.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;

use super::super::http::{Body, BoxError};

/// Bytes per piece: few, and yet not so few that HTTP/2 takes it for an attack.
const PIECE: usize = 97;

/// What is wrong with a body.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trouble {
    /// After so many frames it breaks off.
    Break { after: u64 },
    /// After so many frames nothing comes any more, not even an end.
    Silence { after: u64 },
    /// It breaks off in the middle of its first frame.
    Half,
    /// Every frame is late.
    Late { by: Duration },
    /// Frames come in pieces.
    Pieces,
}

pub(super) struct Faulty {
    inner: Body,
    trouble: Trouble,
    frames: u64,
    /// What is still to be sent of a frame.
    rest: BytesMut,
    /// The frame that waits, and until when.
    late: Option<(Pin<Box<Sleep>>, Frame<Bytes>)>,
    broken: bool,
}

impl Faulty {
    pub(super) fn new(inner: Body, trouble: Trouble) -> Self {
        Self {
            inner,
            trouble,
            frames: 0,
            rest: BytesMut::new(),
            late: None,
            broken: false,
        }
    }

    /// What becomes of a frame; `None` if the body now breaks off.
    fn changed(&mut self, frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
        self.frames += 1;
        match (self.trouble, frame.into_data()) {
            (Trouble::Half, Ok(data)) => {
                self.broken = true;
                Some(Frame::data(data.slice(..data.len() / 2)))
            }
            (Trouble::Break { after }, Ok(_)) if self.frames > after => None,
            (_, Ok(data)) => Some(Frame::data(data)),
            (_, Err(trailers)) => Some(trailers),
        }
    }
}

fn breaks() -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
    Poll::Ready(Some(Err("the loopback cluster breaks off".into())))
}

impl HttpBody for Faulty {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if this.broken {
            return breaks();
        }
        if !this.rest.is_empty() {
            let length = PIECE.min(this.rest.len());
            return Poll::Ready(Some(Ok(Frame::data(this.rest.split_to(length).freeze()))));
        }
        if let Some((sleep, _)) = &mut this.late {
            ready!(sleep.as_mut().poll(context));
            return Poll::Ready(this.late.take().map(|(_, frame)| Ok(frame)));
        }
        if let Trouble::Silence { after } = this.trouble
            && this.frames >= after
        {
            // Nobody is woken: the peer alone can end this.
            return Poll::Pending;
        }
        let Some(frame) = ready!(Pin::new(&mut this.inner).poll_frame(context)) else {
            return Poll::Ready(None);
        };
        let Some(frame) = this.changed(frame?) else {
            return breaks();
        };
        match this.trouble {
            Trouble::Late { by } => {
                this.late = Some((Box::pin(tokio::time::sleep(by)), frame));
                self.poll_frame(context)
            }
            Trouble::Pieces => match frame.into_data() {
                Ok(data) => {
                    this.rest.extend_from_slice(&data);
                    self.poll_frame(context)
                }
                Err(trailers) => Poll::Ready(Some(Ok(trailers))),
            },
            Trouble::Break { .. } | Trouble::Silence { .. } | Trouble::Half => {
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        false
    }

    /// As announced by the body, so that a cut can be seen.
    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
