//! Addresses: each cluster takes a free 127.X.0.0/16, each pod an address of its own in it.
//!
//! | what | address |
//! |---|---|
//! | API server | 127.X.0.1:6443 |
//! | router | 127.X.0.2:8080 |
//! | DNS | 127.X.0.10:5353 |
//! | gateways | 127.X.0.20 and up, on their listener's port |
//! | sandbox pods | 127.X.1.1 to 127.X.254.254 |
//!
//! Holding the API server's port is what makes a block taken, so that several clusters can run at
//! once and no file has to be cleaned up.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};

use rand::RngExt;
use tokio::net::TcpListener;

const API_PORT: u16 = 6443;
const DNS_PORT: u16 = 5353;
const BLOCKS: std::ops::RangeInclusive<u8> = 64..=254;
const PODS: u16 = 254 * 254;

/// A cluster's block of addresses.
#[derive(Debug, Clone)]
pub(super) struct AddressPlan {
    block: u8,
    pods: Arc<Mutex<Pool>>,
    gateways: Arc<Mutex<u8>>,
}

#[derive(Debug, Default)]
struct Pool {
    next: u16,
    taken: BTreeSet<u16>,
}

impl AddressPlan {
    /// Takes a free block by binding its API server's port.
    pub(super) async fn claim() -> io::Result<(Self, TcpListener)> {
        let first = rand::rng().random_range(BLOCKS);
        let mut last_error = None;
        for block in (first..=*BLOCKS.end()).chain(*BLOCKS.start()..first) {
            let address = SocketAddrV4::new(Ipv4Addr::new(127, block, 0, 1), API_PORT);
            match TcpListener::bind(address).await {
                Ok(listener) => {
                    let plan = Self {
                        block,
                        pods: Arc::default(),
                        gateways: Arc::new(Mutex::new(20)),
                    };
                    return Ok((plan, listener));
                }
                Err(error) => last_error = Some(error),
            }
        }
        Err(last_error.unwrap_or_else(|| io::Error::from(io::ErrorKind::AddrInUse)))
    }

    pub(super) fn router(&self) -> Ipv4Addr {
        Ipv4Addr::new(127, self.block, 0, 2)
    }

    pub(super) fn dns(&self) -> SocketAddr {
        SocketAddrV4::new(Ipv4Addr::new(127, self.block, 0, 10), DNS_PORT).into()
    }

    /// An address for one more gateway.
    pub(super) fn gateway(&self) -> Option<Ipv4Addr> {
        let mut next = self.gateways.lock().unwrap_or_else(PoisonError::into_inner);
        let host = *next;
        *next = next.checked_add(1)?;
        Some(Ipv4Addr::new(127, self.block, 0, host))
    }

    /// An address for a pod; the one that was given back longest ago comes last.
    pub(super) fn take_pod(&self) -> Option<Ipv4Addr> {
        let mut pool = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.taken.len() >= usize::from(PODS) {
            return None;
        }
        while pool.taken.contains(&pool.next) {
            pool.next = (pool.next + 1) % PODS;
        }
        let index = pool.next;
        pool.taken.insert(index);
        pool.next = (index + 1) % PODS;
        let (high, low) = (index / 254 + 1, index % 254 + 1);
        let part = |number: u16| u8::try_from(number).unwrap_or(u8::MAX);
        Some(Ipv4Addr::new(127, self.block, part(high), part(low)))
    }

    /// Gives a pod's address back.
    pub(super) fn release_pod(&self, address: Ipv4Addr) {
        let [_, _, high, low] = address.octets();
        let index = (u16::from(high).saturating_sub(1)) * 254 + u16::from(low).saturating_sub(1);
        self.pods
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .taken
            .remove(&index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn two_clusters_get_different_blocks_and_pods_different_addresses() {
        let (a, _a) = AddressPlan::claim().await.unwrap();
        let (b, _b) = AddressPlan::claim().await.unwrap();
        assert_ne!(a.block, b.block);
        let first = a.take_pod().unwrap();
        let second = a.take_pod().unwrap();
        assert_ne!(first, second);
        a.release_pod(first);
        assert_ne!(a.take_pod(), Some(second));
    }

    #[tokio::test]
    async fn addresses_run_out_and_come_back() {
        let (plan, _listener) = AddressPlan::claim().await.unwrap();
        let all: Vec<Ipv4Addr> = std::iter::from_fn(|| plan.take_pod()).collect();
        assert_eq!(all.len(), usize::from(PODS));
        plan.release_pod(all[7]);
        assert_eq!(plan.take_pod(), Some(all[7]));
    }
}
