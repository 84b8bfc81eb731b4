//! [`Shards`]: the few connections over which all requests to the API server go.
//!
//! With HTTP/2 a connection carries many requests at once, but API servers limit how many (100 to
//! 250), and what is above waits unseen in the client. So requests spread over a second connection
//! when the first has enough, and so on; a client with few requests keeps to one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The most connections for requests.
pub(in crate::client) const SHARDS: usize = 8;
/// Requests under way on a connection from which on the next one is used.
const ENOUGH: usize = 64;

/// Connections for requests.
#[derive(Clone)]
pub(in crate::client) struct Shards(Arc<[Shard]>);

struct Shard {
    client: kube::Client,
    in_flight: AtomicUsize,
}

/// A connection that was picked for a request, which counts until this is dropped.
pub(super) struct Picked<'a>(&'a Shard);

impl Shards {
    /// These connections, the first ones preferred. There must be one.
    pub(in crate::client) fn new(clients: impl IntoIterator<Item = kube::Client>) -> Self {
        let shards = clients.into_iter().map(|client| Shard {
            client,
            in_flight: AtomicUsize::new(0),
        });
        Self(shards.collect())
    }

    /// The first connection that has room, or else the one with the fewest requests.
    pub(super) fn pick(&self) -> Picked<'_> {
        let load = |shard: &&Shard| shard.in_flight.load(Ordering::Relaxed);
        let free = self.0.iter().find(|shard| load(shard) < ENOUGH);
        let shard = free
            .or_else(|| self.0.iter().min_by_key(load))
            .expect("there is at least one connection");
        shard.in_flight.fetch_add(1, Ordering::Relaxed);
        Picked(shard)
    }
}

impl Picked<'_> {
    pub(super) fn client(&self) -> &kube::Client {
        &self.0.client
    }
}

impl Drop for Picked<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shards(count: usize) -> Shards {
        let config = kube::Config::new(http::Uri::from_static("http://127.0.0.1:1"));
        Shards::new((0..count).map(|_| {
            let service = tower::service_fn(|_: http::Request<kube::client::Body>| async {
                Ok::<_, std::io::Error>(http::Response::new(kube::client::Body::empty()))
            });
            kube::Client::new(service, &config.default_namespace)
        }))
    }

    #[tokio::test]
    async fn requests_keep_to_the_first_connection_until_it_has_enough() {
        let shards = shards(3);
        let loads = || -> Vec<usize> {
            let all = shards.0.iter();
            all.map(|shard| shard.in_flight.load(Ordering::Relaxed))
                .collect()
        };
        let mut picked: Vec<_> = (0..ENOUGH).map(|_| shards.pick()).collect();
        assert_eq!(loads(), [ENOUGH, 0, 0]);
        picked.push(shards.pick());
        assert_eq!(loads(), [ENOUGH, 1, 0]);
        picked.remove(0);
        picked.push(shards.pick());
        assert_eq!(loads(), [ENOUGH, 1, 0], "it has room again");
        picked.extend((0..3 * ENOUGH).map(|_| shards.pick()));
        let loads = loads();
        assert!(loads.iter().max() <= loads.iter().min().map(|least| least + 1).as_ref());
    }
}
