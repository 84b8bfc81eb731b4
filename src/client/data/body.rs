//! Request bodies: up to three pieces of bytes in a row, sent without copying them together.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use serde::Serialize;

/// The body of a request, of known length.
#[derive(Debug, Clone, Default)]
pub(in crate::client) struct RequestBody {
    pieces: [Bytes; 3],
    next: usize,
}

impl RequestBody {
    /// These pieces, one after the other.
    pub(in crate::client) fn new(pieces: [Bytes; 3]) -> Self {
        Self { pieces, next: 0 }
    }

    /// A value as JSON.
    pub(in crate::client) fn json(value: &impl Serialize) -> Self {
        let text = serde_json::to_vec(value).expect("request bodies are text and numbers");
        Self::from(Bytes::from(text))
    }

    fn left(&self) -> u64 {
        self.pieces[self.next..]
            .iter()
            .map(|piece| piece.len() as u64)
            .sum()
    }
}

impl From<Bytes> for RequestBody {
    fn from(bytes: Bytes) -> Self {
        Self::new([bytes, Bytes::new(), Bytes::new()])
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        while self.next < self.pieces.len() {
            let at = self.next;
            self.next += 1;
            let piece = std::mem::take(&mut self.pieces[at]);
            if !piece.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}
