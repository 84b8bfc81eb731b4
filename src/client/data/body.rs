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

/// The body of a request. Small, as requests are passed on often.
#[derive(Debug, Clone, Default)]
pub(in crate::client) struct RequestBody {
    first: Bytes,
    rest: Option<Box<Rest>>,
}

/// What comes after the first piece.
#[derive(Debug, Clone)]
struct Rest {
    /// Comes first. The length is unknown while there is one.
    stream: Option<Once>,
    pieces: [Bytes; 2],
}

impl RequestBody {
    /// These pieces, one after the other.
    pub(in crate::client) fn new([first, second, third]: [Bytes; 3]) -> Self {
        Self::of(first, None, [second, third])
    }

    /// A stream between two pieces. A copy of the body continues where the other has stopped, so
    /// it must not be sent again once a part of it was.
    pub(in crate::client) fn streamed(
        head: Bytes,
        stream: BoxStream<'static, Result<Bytes, BoxError>>,
        tail: Bytes,
    ) -> Self {
        let stream = Once(Arc::new(Mutex::new(stream)));
        Self::of(head, Some(stream), [tail, Bytes::new()])
    }

    fn of(first: Bytes, stream: Option<Once>, pieces: [Bytes; 2]) -> Self {
        Self {
            first,
            rest: Some(Box::new(Rest { stream, pieces })),
        }
    }

    /// A value as JSON.
    pub(in crate::client) fn json(value: &impl Serialize) -> Self {
        let text = serde_json::to_vec(value).expect("request bodies are text and numbers");
        Self::from(Bytes::from(text))
    }

    /// How much is left, if that is known.
    fn left(&self) -> Option<u64> {
        let mut left = self.first.len();
        if let Some(rest) = &self.rest {
            if rest.stream.is_some() {
                return None;
            }
            left += rest.pieces.iter().map(Bytes::len).sum::<usize>();
        }
        Some(left as u64)
    }
}

impl From<Bytes> for RequestBody {
    fn from(first: Bytes) -> Self {
        Self { first, rest: None }
    }
}

impl Rest {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        if let Some(Once(stream)) = &self.stream {
            let next = {
                let mut stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
                ready!(stream.poll_next_unpin(cx))
            };
            if next.is_some() {
                return Poll::Ready(next);
            }
            self.stream = None;
        }
        let piece = self.pieces.iter_mut().find(|piece| !piece.is_empty());
        Poll::Ready(piece.map(|piece| Ok(std::mem::take(piece))))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if !self.first.is_empty() {
            let piece = std::mem::take(&mut self.first);
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let Some(rest) = &mut self.rest else {
            return Poll::Ready(None);
        };
        let piece = ready!(rest.poll_piece(cx));
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left()
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
