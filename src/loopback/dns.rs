//! Cluster DNS: A records of Services, as in-cluster clients look them up.
//!
//! A headless Service resolves to the addresses of its ready pods, others to their one address.
//! `<service>.<namespace>.svc.cluster.local` and its short forms are answered; anything else does
//! not exist (NXDOMAIN). Records live for one second, so that a moved pod is noticed.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record, RecordType};
use tokio::net::UdpSocket;

use super::http::Lifetime;
use super::store::{LabelSelector, Selector, Store, kind};

/// The largest query that is read: what fits into a UDP datagram without fragments.
const QUERY_LIMIT: usize = 1_500;
const TIME_TO_LIVE_SECONDS: u32 = 1;
const DOMAIN: &str = "cluster.local";

/// Starts the name server.
pub(super) async fn start(
    address: SocketAddr,
    store: Store,
    lifetime: &Lifetime,
) -> io::Result<()> {
    let socket = Arc::new(UdpSocket::bind(address).await?);
    let stop = lifetime.stop.clone();
    lifetime.tasks.spawn(async move {
        let mut buffer = [0_u8; QUERY_LIMIT];
        loop {
            let received = tokio::select! {
                () = stop.cancelled() => return,
                received = socket.recv_from(&mut buffer) => received,
            };
            let Ok((length, peer)) = received else {
                continue;
            };
            let Some(answer) = buffer.get(..length).and_then(|query| answer(&store, query)) else {
                continue;
            };
            if let Err(error) = socket.send_to(&answer, peer).await {
                tracing::debug!(%error, "could not answer a DNS query");
            }
        }
    });
    Ok(())
}

/// The answer to a query; `None` when it is not one.
fn answer(store: &Store, query: &[u8]) -> Option<Vec<u8>> {
    let query = Message::from_vec(query).ok()?;
    if query.metadata.message_type != MessageType::Query {
        return None;
    }
    let question = query.queries.first()?.clone();
    let mut answer = Message::response(query.metadata.id, OpCode::Query);
    answer.metadata.recursion_desired = query.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.metadata.authoritative = true;
    answer.add_query(question.clone());
    let name = question.name().to_ascii().to_lowercase();
    match addresses(store, name.trim_end_matches('.')) {
        None => answer.metadata.response_code = ResponseCode::NXDomain,
        Some(addresses) if question.query_type() == RecordType::A => {
            for address in addresses {
                let data = RData::A(A(address));
                let record =
                    Record::from_rdata(question.name().clone(), TIME_TO_LIVE_SECONDS, data);
                answer.add_answer(record);
            }
        }
        Some(_) => {}
    }
    answer.to_vec().ok()
}

/// The addresses behind a Service's name; `None` when there is no such Service or no ready pod.
pub(super) fn addresses(store: &Store, name: &str) -> Option<Vec<Ipv4Addr>> {
    let name = name
        .strip_suffix(DOMAIN)
        .map_or(name, |name| name.trim_end_matches('.'));
    let name = name.strip_suffix(".svc").unwrap_or(name);
    let (service, namespace) = name.split_once('.')?;
    let service = store.get(kind("Service"), namespace, service)?;
    let selector = service.value["spec"]["selector"].as_object()?;
    let labels: Vec<String> = selector
        .iter()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    let selector = Selector {
        labels: LabelSelector::parse(&labels.join(",")).ok()?,
        ..Selector::default()
    };
    let (pods, _) = store.list(kind("Pod"), Some(namespace), &selector);
    let addresses: Vec<Ipv4Addr> = pods
        .iter()
        .filter(|pod| super::controller::is_true(&pod.value, "Ready"))
        .filter_map(|pod| pod.value["status"]["podIP"].as_str()?.parse().ok())
        .collect();
    (!addresses.is_empty()).then_some(addresses)
}
