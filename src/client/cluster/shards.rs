//! [`Shards`]: the few connections over which all requests to the API server go.
//!
//! With HTTP/2 a connection carries many requests at once, but API servers limit how many (100 to
//! 250), and what is above would wait unseen in the connection. So requests spread over a second
//! connection when the first has enough, and so on; a client with few requests keeps to one. What is
//! more than all connections together surely take waits here, in the order of arrival, where it is
//! seen and measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

/// The most connections for requests.
pub(in crate::client) const SHARDS: usize = 8;
/// Requests under way on a connection from which on the next one is used.
const ENOUGH: usize = 64;
/// Requests that every API server takes at once on an HTTP/2 connection. Source: the smallest value
/// in use of `--http2-max-streams-per-connection` and of Go's own default.
const STREAMS: usize = 100;

/// Connections for requests.
#[derive(Clone)]
pub(in crate::client) struct Shards {
    shards: Arc<[Shard]>,
    /// Room for requests; without limit over HTTP/1, which opens a connection for each.
    room: Option<Arc<Semaphore>>,
}

struct Shard {
    client: kube::Client,
    in_flight: AtomicUsize,
}

/// A connection that was picked for a request, which counts until this is dropped.
pub(super) struct Picked<'a> {
    shard: &'a Shard,
    _room: Option<SemaphorePermit<'a>>,
}

impl Shards {
    /// One client whose connections carry one request each.
    pub(in crate::client) fn http1(client: kube::Client) -> Self {
        Self::of([client], None)
    }

    /// HTTP/2 connections, the first ones preferred. There must be one.
    pub(in crate::client) fn http2(clients: impl IntoIterator<Item = kube::Client>) -> Self {
        Self::of(clients, Some(STREAMS))
    }

    fn of(clients: impl IntoIterator<Item = kube::Client>, streams: Option<usize>) -> Self {
        let shards = clients.into_iter().map(|client| Shard {
            client,
            in_flight: AtomicUsize::new(0),
        });
        let shards: Arc<[Shard]> = shards.collect();
        let room = streams.map(|streams| Arc::new(Semaphore::new(streams * shards.len())));
        Self { shards, room }
    }

    /// The first connection that has enough room, or else the one with the fewest requests; waits if
    /// none has room at all.
    pub(super) async fn pick(&self) -> Picked<'_> {
        let room = match &self.room {
            // It is never closed, so that this does not fail.
            Some(room) => room.acquire().await.ok(),
            None => None,
        };
        let load = |shard: &&Shard| shard.in_flight.load(Ordering::Relaxed);
        let free = self.shards.iter().find(|shard| load(shard) < ENOUGH);
        let shard = free
            .or_else(|| self.shards.iter().min_by_key(load))
            .expect("there is at least one connection");
        shard.in_flight.fetch_add(1, Ordering::Relaxed);
        Picked { shard, _room: room }
    }
}

impl Picked<'_> {
    pub(super) fn client(&self) -> &kube::Client {
        &self.shard.client
    }
}

impl Drop for Picked<'_> {
    fn drop(&mut self) {
        self.shard.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures::future::{FutureExt as _, join_all};

    use super::*;

    fn shards(count: usize, streams: Option<usize>) -> Shards {
        let config = kube::Config::new(http::Uri::from_static("http://127.0.0.1:1"));
        let clients = (0..count).map(|_| {
            let service = tower::service_fn(|_: http::Request<kube::client::Body>| async {
                Ok::<_, std::io::Error>(http::Response::new(kube::client::Body::empty()))
            });
            kube::Client::new(service, &config.default_namespace)
        });
        Shards::of(clients, streams)
    }

    #[tokio::test]
    async fn requests_keep_to_the_first_connection_until_it_has_enough() {
        let shards = shards(3, None);
        let loads = || -> Vec<usize> {
            let all = shards.shards.iter();
            all.map(|shard| shard.in_flight.load(Ordering::Relaxed))
                .collect()
        };
        let pick = async |count: usize| join_all((0..count).map(|_| shards.pick())).await;
        let mut picked = pick(ENOUGH).await;
        assert_eq!(loads(), [ENOUGH, 0, 0]);
        picked.push(shards.pick().await);
        assert_eq!(loads(), [ENOUGH, 1, 0]);
        picked.remove(0);
        picked.push(shards.pick().await);
        assert_eq!(loads(), [ENOUGH, 1, 0], "it has room again");
        picked.extend(pick(3 * ENOUGH).await);
        let loads = loads();
        assert!(loads.iter().max() <= loads.iter().min().map(|least| least + 1).as_ref());
    }

    #[tokio::test]
    async fn a_request_beyond_the_streams_of_all_connections_waits_for_room() {
        let shards = shards(2, Some(1));
        let first = shards.pick().await;
        let second = shards.pick().await;
        assert!(shards.pick().now_or_never().is_none(), "no room");
        drop(first);
        assert!(shards.pick().now_or_never().is_some(), "room again");
        drop(second);
    }
}
