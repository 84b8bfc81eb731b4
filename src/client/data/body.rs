//! Request bodies: up to three pieces of bytes in a row, sent without copying them together, and
//! between them, for uploads, a stream.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use hyper::body::{Body, Frame, SizeHint};
use serde::Serialize;

use crate::client::error::BoxError;

/// A stream that is read once, by whichever copy of the body is sent first.
#[derive(Clone)]
struct Once(Arc<Mutex<BoxStream<'static, Result<Bytes, BoxError>>>>);

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Once")
    }
}

/// The body of a request.
#[derive(Debug, Clone, Default)]
pub(in crate::client) struct RequestBody {
    pieces: [Bytes; 3],
    next: usize,
    /// Stands for the second piece. The length is unknown then.
    stream: Option<Once>,
}

impl RequestBody {
    /// These pieces, one after the other.
    pub(in crate::client) fn new(pieces: [Bytes; 3]) -> Self {
        Self {
            pieces,
            next: 0,
            stream: None,
        }
    }

    /// A stream between two pieces. A copy of the body continues where the other has stopped, so
    /// it must not be sent again once a part of it was.
    pub(in crate::client) fn streamed(
        head: Bytes,
        stream: BoxStream<'static, Result<Bytes, BoxError>>,
        tail: Bytes,
    ) -> Self {
        Self {
            pieces: [head, Bytes::new(), tail],
            next: 0,
            stream: Some(Once(Arc::new(Mutex::new(stream)))),
        }
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
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        while self.next < self.pieces.len() {
            let at = self.next;
            if let (1, Some(Once(stream))) = (at, &self.stream) {
                let mut stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(piece) = ready!(stream.poll_next_unpin(cx)) {
                    return Poll::Ready(Some(piece.map(Frame::data)));
                }
            }
            self.next += 1;
            let piece = std::mem::take(&mut self.pieces[at]);
            if !piece.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_none() && self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        match self.stream {
            None => SizeHint::with_exact(self.left()),
            Some(_) => SizeHint::default(),
        }
    }
}
