//! The client's background tasks and open sockets: every one has an owner and is counted.
//!
//! [`Tasks`] starts tasks that end when the client closes; closing waits for them. [`Gauge`]
//! counts what is open by handing out guards, and [`Counted`] ties such a guard to a socket.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures::FutureExt as _;
use hyper::rt::{Executor, Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio_util::future::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A group of tasks with one end. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Tasks {
    tracker: TaskTracker,
    /// The group that this one is part of.
    parent: Option<TaskTracker>,
    end: CancellationToken,
}

impl Tasks {
    /// Runs a future until it is done or the group ends.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        // No `async` block around it: that would keep room for the future twice.
        let task = future.with_cancellation_token_owned(self.end.clone());
        let task = self.tracker.track_future(task.map(drop));
        self.parent.as_ref().unwrap_or(&self.tracker).spawn(task);
    }

    /// A group that ends with this one, or before it. Closing this one waits for it too.
    pub(super) fn child(&self) -> Self {
        Self {
            tracker: TaskTracker::new(),
            parent: Some(self.parent.as_ref().unwrap_or(&self.tracker).clone()),
            end: self.end.child_token(),
        }
    }

    /// Whether the end has come.
    pub(super) fn is_ended(&self) -> bool {
        self.end.is_cancelled()
    }

    /// Resolves when the end has come.
    pub(super) async fn ended(&self) {
        self.end.cancelled().await;
    }

    /// Ends all tasks; they stop at their next suspension.
    pub(super) fn end(&self) {
        self.end.cancel();
    }

    /// Ends all tasks and waits for them.
    pub(super) async fn close(&self) {
        self.end.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

impl<F> Executor<F> for Tasks
where
    F: Future + Send + 'static,
{
    fn execute(&self, future: F) {
        self.spawn(future.map(drop));
    }
}

/// Counts what is open. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Gauge(Arc<AtomicUsize>);

impl Gauge {
    /// Counts one more until the guard is dropped.
    pub(super) fn enter(&self) -> GaugeGuard {
        self.0.fetch_add(1, Ordering::Relaxed);
        GaugeGuard(Arc::clone(&self.0))
    }

    /// How many are open.
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Stands for one open thing.
#[derive(Debug)]
pub(super) struct GaugeGuard(Arc<AtomicUsize>);

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream that counts as open while it exists.
#[derive(Debug)]
pub(super) struct Counted<T> {
    io: T,
    _guard: GaugeGuard,
}

impl<T> Counted<T> {
    /// Counts the stream in the gauge.
    pub(super) fn new(io: T, gauge: &Gauge) -> Self {
        Self {
            io,
            _guard: gauge.enter(),
        }
    }
}

impl<T: Read + Unpin> Read for Counted<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: Write + Unpin> Write for Counted<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}

impl<T: Connection> Connection for Counted<T> {
    fn connected(&self) -> Connected {
        self.io.connected()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn closing_ends_tasks_that_would_wait_for_ever() {
        let tasks = Tasks::default();
        let gauge = Gauge::default();
        let guard = gauge.enter();
        tasks.spawn(async move {
            std::future::pending::<()>().await;
            drop(guard);
        });
        assert_eq!(gauge.count(), 1);
        tasks.close().await;
        assert_eq!(gauge.count(), 0);
    }

    #[tokio::test]
    async fn a_child_ends_alone_but_not_after_its_parent() {
        let parent = Tasks::default();
        let first = parent.child();
        let second = parent.child();
        first.close().await;
        assert!(!parent.is_ended() && !second.is_ended());
        parent.end();
        assert!(second.is_ended());
    }
}
