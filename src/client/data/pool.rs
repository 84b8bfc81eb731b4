//! Connections to one target, used again in the order last in, first out.
//!
//! A connection carries one call at a time. One that its peer has closed is never handed out, as
//! far as that can be known; the rest is told by the call's error.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http::Uri;
use tokio::time::Instant;

use super::dial::{Host, Network, Route, Sender};
use super::grpc::Channel;
use crate::client::connect::port_forward::PodPort;
use crate::client::connect::{Scheme, TlsSettings};
use crate::client::error::ConnectError;
use crate::client::tasks::Tasks;

/// Connections that were idle for longer are closed.
const IDLE: Duration = Duration::from_mins(1);
/// Requests that must not be sent twice avoid connections that were idle for longer: some
/// runtimes close theirs after 5 s, and the request could meet the closing half-way. Connections to a
/// pod are closed after that, as the asynchronous Python SDK does (after 5 s): thousands of sandboxes may
/// live at a time, and each connection takes some 30 KiB.
const YOUNG: Duration = Duration::from_secs(4);
/// Between two searches for connections that were idle for long.
const SWEEP: Duration = Duration::from_secs(2);
/// How many targets are searched before others may run.
const SWEPT_AT_ONCE: usize = 256;

/// Which connections may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// Any that is open.
    Any,
    /// One that was used just now, or a new one.
    Young,
    /// Only a new one.
    New,
}

/// Whether a connection has been used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// It has.
    Reused,
    /// It was made for this call.
    Dialled,
}

/// The connections to one target.
#[derive(Debug)]
pub(in crate::client) struct Pool {
    route: Route,
    network: Arc<Network>,
    tasks: Tasks,
    /// How long a connection may be idle.
    limit: Duration,
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    sender: Sender,
    since: Instant,
}

impl Pool {
    fn new(route: Route, sharing: Sharing, network: Arc<Network>, tasks: Tasks) -> Self {
        let of_pod = matches!(route, Route::Tcp { .. } | Route::Tls { .. });
        let limit = if of_pod && sharing == Sharing::Private {
            YOUNG
        } else {
            IDLE
        };
        Self {
            route,
            network,
            tasks,
            limit,
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Where it leads.
    pub(in crate::client) fn route(&self) -> &Route {
        &self.route
    }

    /// Makes sure that there is an open connection, and keeps it for the next call.
    pub(in crate::client) async fn prove(&self) -> Result<(), ConnectError> {
        let (sender, _) = self.take(Age::Any).await?;
        self.give(sender);
        Ok(())
    }

    /// A connection that is ready for a request.
    pub(super) async fn take(&self, age: Age) -> Result<(Sender, Origin), ConnectError> {
        if self.tasks.is_ended() {
            return Err(ConnectError::Closed {
                target: self.route.describe(),
            });
        }
        while let Some(mut sender) = self.pop(age) {
            // Waits for the end of the previous answer; fails if the peer has closed.
            if poll_fn(|cx| sender.poll_ready(cx)).await.is_ok() && !sender.is_closed() {
                return Ok((sender, Origin::Reused));
            }
        }
        // Large and seldom: not a part of every call's future.
        let sender = Box::pin(self.network.dial(&self.route, &self.tasks)).await?;
        Ok((sender, Origin::Dialled))
    }

    /// Takes back a connection whose answer has been read completely.
    pub(super) fn give(&self, sender: Sender) {
        if sender.is_closed() || self.tasks.is_ended() {
            return;
        }
        let since = Instant::now();
        let mut idle = self.idle();
        drop_old(&mut idle, since, self.limit);
        idle.push(Idle { sender, since });
    }

    /// Closes the connections that were idle for long.
    fn sweep(&self, now: Instant) {
        let mut idle = self.idle();
        drop_old(&mut idle, now, self.limit);
        if idle.is_empty() {
            idle.shrink_to_fit();
        }
    }

    /// Closes all connections and waits for their end.
    pub(in crate::client) async fn close(&self) {
        self.tasks.end();
        self.idle().clear();
        self.tasks.close().await;
    }

    fn pop(&self, age: Age) -> Option<Sender> {
        let limit = match age {
            Age::Any => self.limit,
            Age::Young => YOUNG,
            Age::New => return None,
        };
        let now = Instant::now();
        let mut idle = self.idle();
        while let Some(last) = idle.last() {
            if now.duration_since(last.since) > limit {
                // All others have been idle for longer still. A new one takes its place.
                idle.pop();
                return None;
            }
            let sender = idle.pop()?.sender;
            if !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// They stand in the order in which they became idle.
fn drop_old(idle: &mut Vec<Idle>, now: Instant, limit: Duration) {
    let old = idle
        .iter()
        .take_while(|idle| now.duration_since(idle.since) > limit)
        .count();
    idle.drain(..old);
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.tasks.end();
    }
}

/// Whether a target serves many sandboxes or one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::client) enum Sharing {
    /// Many: its connections live as long as the client.
    Shared,
    /// One: its connections end with the last handle.
    Private,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Tcp(Host, u16, Scheme),
    Tls(Host, u16, Arc<TlsSettings>),
    Tunnel(Vec<String>),
    Pod(PodPort),
}

#[derive(Debug)]
enum Kept {
    Shared(Arc<Pool>),
    Private(Weak<Pool>),
}

impl Kept {
    fn get(&self) -> Option<Arc<Pool>> {
        match self {
            Self::Shared(pool) => Some(Arc::clone(pool)),
            Self::Private(pool) => pool.upgrade(),
        }
    }
}

/// All pools of a client, one per target.
#[derive(Debug)]
pub(in crate::client) struct Pools {
    network: Arc<Network>,
    tasks: Tasks,
    by_target: Arc<Mutex<HashMap<Key, Kept>>>,
    /// Whether somebody closes what was idle for long.
    swept: AtomicBool,
}

impl Pools {
    pub(in crate::client) fn new(network: Arc<Network>, tasks: Tasks) -> Self {
        Self {
            network,
            tasks,
            by_target: Arc::default(),
            swept: AtomicBool::new(false),
        }
    }

    /// What connections are made with.
    pub(in crate::client) fn network(&self) -> &Network {
        &self.network
    }

    /// The pool for a target.
    pub(in crate::client) fn get(&self, route: Route, sharing: Sharing) -> Arc<Pool> {
        let key = match &route {
            Route::Tcp { host, port, scheme } => Key::Tcp(host.clone(), *port, *scheme),
            Route::Tls { host, port, tls } => Key::Tls(host.clone(), *port, Arc::clone(tls)),
            Route::Tunnel(router) => Key::Tunnel(router.namespaces.clone()),
            Route::Pod(pod) => Key::Pod(pod.clone()),
        };
        let mut pools = self
            .by_target
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let open = pools.get(&key).and_then(Kept::get);
        if let Some(pool) = open.filter(|pool| !pool.tasks.is_ended()) {
            return pool;
        }
        if pools.len() == pools.capacity() {
            // About to grow: first drop what has ended.
            pools.retain(|_, kept| kept.get().is_some());
        }
        let network = Arc::clone(&self.network);
        let pool = Arc::new(Pool::new(route, sharing, network, self.tasks.child()));
        if !self.swept.swap(true, Ordering::Relaxed) {
            self.tasks.spawn(sweep(Arc::clone(&self.by_target)));
        }
        let kept = match sharing {
            Sharing::Shared => Kept::Shared(Arc::clone(&pool)),
            Sharing::Private => Kept::Private(Arc::downgrade(&pool)),
        };
        pools.insert(key, kept);
        pool
    }

    /// A gRPC connection of its own to a target.
    pub(in crate::client) fn channel(&self, route: Route, origin: Uri) -> Channel {
        let network = Arc::clone(&self.network);
        Channel::new(route, origin, network, self.tasks.child())
    }

    /// Forgets all pools; their connections end.
    pub(in crate::client) fn clear(&self) {
        self.by_target
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// Closes what was idle for long, for ever.
async fn sweep(pools: Arc<Mutex<HashMap<Key, Kept>>>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let open: Vec<Arc<Pool>> = {
            let pools = pools.lock().unwrap_or_else(PoisonError::into_inner);
            pools.values().filter_map(Kept::get).collect()
        };
        let now = Instant::now();
        for some in open.chunks(SWEPT_AT_ONCE) {
            for pool in some {
                pool.sweep(now);
            }
            tokio::task::yield_now().await;
        }
    }
}
