//! [`Arrival`]: an answer whose body is read piece by piece.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Response};
use hyper::body::{Body, Incoming};
use tokio::time::{Instant, Sleep, sleep_until};

use super::dial::Sender;
use super::pool::Pool;
use crate::client::error::{CallError, Delivered};

/// A successful answer whose body is on its way: a stream of its pieces, which ends after the first
/// error. Dropping it before the end closes the connection.
#[derive(Debug)]
pub(in crate::client) struct Arrival {
    operation: String,
    headers: HeaderMap,
    body: Incoming,
    /// To be given back at the end.
    connection: Option<(Arc<Pool>, Sender)>,
    timeout: Duration,
    deadline: Pin<Box<Sleep>>,
}

impl Arrival {
    pub(super) fn new(
        operation: String,
        response: Response<Incoming>,
        connection: (Arc<Pool>, Sender),
        (timeout, deadline): (Duration, Instant),
    ) -> Self {
        let (head, body) = response.into_parts();
        Self {
            operation,
            headers: head.headers,
            body,
            connection: Some(connection),
            timeout,
            deadline: Box::pin(sleep_until(deadline)),
        }
    }

    /// Value of the header `Content-Type`.
    pub(in crate::client) fn content_type(&self) -> Option<&HeaderValue> {
        self.headers.get(header::CONTENT_TYPE)
    }

    /// Ends it before its end: nothing more comes, and the connection closes.
    pub(in crate::client) fn stop(&mut self) {
        self.connection = None;
    }

    /// Length of the body in bytes, if the server tells.
    pub(in crate::client) fn length(&self) -> Option<u64> {
        let length = self.headers.get(header::CONTENT_LENGTH)?;
        length.to_str().ok()?.parse().ok()
    }
}

impl Stream for Arrival {
    type Item = Result<Bytes, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.connection.is_none() {
            return Poll::Ready(None);
        }
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                ready!(self.deadline.as_mut().poll(cx));
                self.stop();
                return Poll::Ready(Some(Err(CallError::Timeout {
                    operation: self.operation.clone(),
                    after: self.timeout,
                    delivered: Delivered::Yes,
                })));
            };
            match frame {
                None => {
                    if let Some((pool, sender)) = self.connection.take() {
                        pool.give(sender);
                    }
                    return Poll::Ready(None);
                }
                Some(Err(error)) => {
                    self.stop();
                    return Poll::Ready(Some(Err(CallError::Transport {
                        operation: self.operation.clone(),
                        delivered: Delivered::Yes,
                        source: error.into(),
                    })));
                }
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
            }
        }
    }
}
