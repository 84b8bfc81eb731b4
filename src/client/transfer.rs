//! Large files piece by piece: none of them is held in memory.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::HeaderValue;

use super::attempt::{Effect, Plan, Request};
use super::data::{Arrival, Attachments, Call, RequestBody, open};
use super::error::{BoxError, CallError, Delivered};
use super::file_calls::kind_of;
use super::files::Files;
use super::runtime::Runtime;
use super::sandbox::Sandbox;
use crate::api::runtime::FileType;
use crate::units::ByteSize;

/// A file that is being read: a [`Stream`] of its pieces, which ends after the first error. The
/// call's time covers all of it. Dropping it ends the transfer.
#[derive(Debug)]
pub struct Download {
    arrival: Arrival,
    limit: Option<Limit>,
}

/// How much of a file may still come.
#[derive(Debug)]
struct Limit {
    whole: ByteSize,
    left: u64,
    /// For the error.
    operation: String,
}

impl Download {
    /// Size of the file, if the runtime tells.
    pub fn size(&self) -> Option<ByteSize> {
        self.arrival.length().map(ByteSize)
    }
}

impl Stream for Download {
    type Item = Result<Bytes, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = ready!(self.arrival.poll_next_unpin(cx));
        let Some(limit) = &mut self.limit else {
            return Poll::Ready(piece);
        };
        if let Some(Ok(piece)) = &piece {
            let Some(left) = limit.left.checked_sub(piece.len() as u64) else {
                let error = limit.exceeded();
                self.arrival.stop();
                return Poll::Ready(Some(Err(error)));
            };
            limit.left = left;
        }
        Poll::Ready(piece)
    }
}

impl Limit {
    fn exceeded(&self) -> CallError {
        CallError::TooLarge {
            operation: self.operation.clone(),
            limit: self.whole,
            delivered: Delivered::Yes,
        }
    }
}

/// A call whose answer is not read yet.
#[derive(Debug)]
struct Opening<'a>(Call<'a>);

impl Request for Opening<'_> {
    type Answer = Arrival;

    fn name(&self) -> std::borrow::Cow<'static, str> {
        self.0.name()
    }

    async fn send(
        &self,
        sandbox: &Sandbox,
        limit: Duration,
        id: &HeaderValue,
    ) -> Result<Arrival, CallError> {
        let attachments = Attachments {
            headers: &sandbox.options().headers,
            id,
        };
        open(&sandbox.endpoint(), &self.0, limit, attachments).await
    }
}

impl Files<'_> {
    /// Reads a file of any size piece by piece. The call's time
    /// ([`timeout`](Self::timeout)) covers the whole transfer; only its start is ever repeated.
    ///
    /// ```no_run
    /// # async fn example(sandbox: sandbench::client::Sandbox)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// use futures::StreamExt;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// let mut download = sandbox.files().download("model.bin").await?;
    /// let mut file = tokio::fs::File::create("model.bin").await?;
    /// while let Some(piece) = download.next().await {
    ///     file.write_all(&piece?).await?;
    /// }
    /// file.flush().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As of [`read`](Self::read), but for the size: [`CallError::TooLarge`] only if
    /// [`max_size`](Self::max_size) is set, before anything of the file comes where the runtime tells
    /// its size, else as soon as more than that comes.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn download(&self, path: &str) -> Result<Download, CallError> {
        let call = self.reading(path)?;
        let operation = call.operation;
        let plan = Plan {
            operation,
            timeout: call.timeout,
            effect: Effect::None,
        };
        let arrival = self.sandbox.attempt(plan, &Opening(call)).await?;
        let is_sandboxd = matches!(self.sandbox.runtime(), Runtime::Sandboxd(_));
        if is_sandboxd && kind_of(arrival.content_type()) == FileType::Directory {
            return Err(operation.not_a(FileType::File));
        }
        let limit = self.max_size.map(|whole| Limit {
            whole,
            left: whole.0,
            operation: operation.to_string(),
        });
        if let (Some(limit), Some(length)) = (&limit, arrival.length())
            && length > limit.left
        {
            return Err(limit.exceeded());
        }
        Ok(Download { arrival, limit })
    }

    /// Writes a file of any size from a stream of pieces; otherwise as [`write`](Self::write). It
    /// is repeated only if no connection came about. An error of the stream ends the transfer.
    ///
    /// ```no_run
    /// # async fn example(sandbox: sandbench::client::Sandbox)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// use futures::{StreamExt, stream};
    ///
    /// let lines = stream::iter(0..1_000_000).map(|number| Ok(format!("{number}\n").into()));
    /// sandbox.files().upload("numbers.txt", lines).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`CallError`]; [`CallError::Transport`] with the stream's own error as its cause.
    ///
    /// # Cancel safety
    /// If dropped, sandboxd keeps what was there before; on the legacy runtime the file may be
    /// incomplete.
    pub async fn upload(
        &self,
        path: &str,
        content: impl Stream<Item = Result<Bytes, BoxError>> + Send + 'static,
    ) -> Result<(), CallError> {
        let content = content.boxed();
        let call = self.writing(path, |head, tail| {
            RequestBody::streamed(head, content, tail)
        })?;
        self.sandbox.call(call).await.map(drop)
    }
}
