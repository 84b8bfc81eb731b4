//! The address plan: one 127.X.0.0/16 for each cluster, and the pod addresses in it.
//!
//! | what | address |
//! |---|---|
//! | API server (TLS) | 127.X.0.1 |
//! | router pod | 127.X.0.2 |
//! | name server (UDP) | 127.X.0.10 |
//! | gateways | 127.X.0.20 to 127.X.0.254, each on its listener's port |
//! | sandbox pods | 127.X.1.1 to 127.X.254.254 |
//!
//! X is taken by binding the API server's port exclusively, so that several clusters can run at once.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpListener;

use super::error::LoopbackError;

/// First and last X that a cluster may take.
const NETWORKS: std::ops::RangeInclusive<u8> = 64..=254;
/// Number of pod addresses: 254 × 254.
const POD_ADDRESSES: u16 = 254 * 254;
const FIRST_GATEWAY: u8 = 20;

/// The addresses of one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AddressPlan {
    network: u8,
}

impl AddressPlan {
    /// Takes the first free network and returns the API server's listener with it.
    ///
    /// # Errors
    /// [`LoopbackError::NoFreeNetwork`] if the port cannot be bound in any network, with the last cause.
    pub(crate) async fn claim(api_port: u16) -> Result<(Self, TcpListener), LoopbackError> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for network in NETWORKS {
            let plan = Self { network };
            match TcpListener::bind(SocketAddr::from((plan.api_server(), api_port))).await {
                Ok(listener) => return Ok((plan, listener)),
                Err(error) => last = error,
            }
        }
        Err(LoopbackError::NoFreeNetwork {
            port: api_port,
            source: last,
        })
    }

    /// Address of the API server.
    pub(crate) fn api_server(self) -> Ipv4Addr {
        self.fixed(1)
    }

    /// Address of the router pod.
    pub(crate) fn router(self) -> Ipv4Addr {
        self.fixed(2)
    }

    /// Address of the name server.
    pub(crate) fn dns(self) -> Ipv4Addr {
        self.fixed(10)
    }

    /// Addresses that gateways may take, in order.
    pub(crate) fn gateways(self) -> impl Iterator<Item = Ipv4Addr> {
        (FIRST_GATEWAY..=254).map(move |host| self.fixed(host))
    }

    fn fixed(self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.network, 0, host)
    }

    /// The `index`-th pod address, 0 to [`POD_ADDRESSES`] exclusive.
    fn pod(self, index: u16) -> Ipv4Addr {
        let part = |number: u16| u8::try_from(number % 254 + 1).unwrap_or(u8::MAX);
        Ipv4Addr::new(127, self.network, part(index / 254), part(index))
    }
}

/// Hands out pod addresses. One that was given back is reused last, as a cluster's network does,
/// so that a pod that comes again has another address.
#[derive(Debug, Clone)]
pub(crate) struct PodAddresses(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    plan: AddressPlan,
    free: Mutex<Free>,
}

#[derive(Debug)]
struct Free {
    untouched: u16,
    returned: VecDeque<u16>,
}

impl PodAddresses {
    pub(crate) fn new(plan: AddressPlan) -> Self {
        Self(Arc::new(Shared {
            plan,
            free: Mutex::new(Free {
                untouched: 0,
                returned: VecDeque::new(),
            }),
        }))
    }

    /// Takes an address, or `None` if all are in use.
    pub(crate) fn take(&self) -> Option<PodAddress> {
        let mut free = self.0.free.lock().unwrap_or_else(PoisonError::into_inner);
        let index = if free.untouched < POD_ADDRESSES {
            free.untouched += 1;
            free.untouched - 1
        } else {
            free.returned.pop_front()?
        };
        Some(PodAddress {
            index,
            owner: self.clone(),
        })
    }
}

/// An address of a pod; given back when dropped.
#[derive(Debug)]
pub(crate) struct PodAddress {
    index: u16,
    owner: PodAddresses,
}

impl PodAddress {
    pub(crate) fn ip(&self) -> Ipv4Addr {
        self.owner.0.plan.pod(self.index)
    }
}

impl Drop for PodAddress {
    fn drop(&mut self) {
        self.owner
            .0
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .returned
            .push_back(self.index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pod_addresses_cover_all_254_by_254_without_network_or_broadcast_parts() {
        let plan = AddressPlan { network: 77 };
        assert_eq!(plan.pod(0), Ipv4Addr::new(127, 77, 1, 1));
        assert_eq!(plan.pod(253), Ipv4Addr::new(127, 77, 1, 254));
        assert_eq!(plan.pod(254), Ipv4Addr::new(127, 77, 2, 1));
        assert_eq!(
            plan.pod(POD_ADDRESSES - 1),
            Ipv4Addr::new(127, 77, 254, 254)
        );
    }

    #[test]
    fn addresses_are_unique_and_a_returned_one_is_reused_last() {
        let addresses = PodAddresses::new(AddressPlan { network: 77 });
        let first = addresses.take().unwrap().ip();
        let all: Vec<_> = std::iter::from_fn(|| addresses.take()).collect();
        assert_eq!(all.len(), usize::from(POD_ADDRESSES));
        assert_eq!(all.last().unwrap().ip(), first);
        assert!(addresses.take().is_none());
        drop(all);
        assert!(addresses.take().is_some());
    }

    #[tokio::test]
    async fn two_clusters_take_different_networks() {
        let (one, first) = AddressPlan::claim(6443).await.unwrap();
        let (two, second) = AddressPlan::claim(6443).await.unwrap();
        assert_ne!(one, two);
        assert_eq!(
            first.local_addr().unwrap(),
            SocketAddr::from((one.api_server(), 6443))
        );
        drop((first, second));
    }
}
