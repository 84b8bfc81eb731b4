//! The cluster's name server: UDP, address records of Services, nothing else.
//!
//! `<service>.<namespace>.svc.cluster.local` and the short forms `<service>.<namespace>.svc` and
//! `<service>.<namespace>` are answered with the addresses of the Service (a headless one: its
//! ready pods). Any other name does not exist; another record type of a known name has no data.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};
use tokio::net::UdpSocket;

use super::http::Lifetime;

/// Largest message that is read; queries are far smaller.
const MAX_MESSAGE: usize = 4096;
/// Seconds that a record may be cached, as in cluster DNS for headless Services.
const TTL: u32 = 5;

/// Addresses of a Service by namespace and name; `None` if the name does not exist.
pub(crate) type ServiceAddresses = Arc<dyn Fn(&str, &str) -> Option<Vec<IpAddr>> + Send + Sync>;

/// A running name server.
#[derive(Debug)]
pub(crate) struct NameServer {
    lifetime: Lifetime,
}

impl NameServer {
    /// Binds the address and answers until it is stopped or `lifetime` ends.
    ///
    /// # Errors
    /// The system's error if the address cannot be bound.
    pub(crate) async fn start(
        address: SocketAddr,
        services: ServiceAddresses,
        lifetime: &Lifetime,
    ) -> io::Result<Self> {
        let socket = UdpSocket::bind(address).await?;
        let lifetime = lifetime.own();
        lifetime.spawn(async move { serve(&socket, &services).await });
        Ok(Self { lifetime })
    }

    /// Closes the socket.
    pub(crate) async fn stop(self) {
        self.lifetime.end().await;
    }
}

async fn serve(socket: &UdpSocket, services: &ServiceAddresses) {
    let mut buffer = [0; MAX_MESSAGE];
    loop {
        let sent = match socket.recv_from(&mut buffer).await {
            Ok((length, peer)) => match answer(&buffer[..length], services) {
                Some(reply) => socket.send_to(&reply, peer).await.map(drop),
                None => Ok(()),
            },
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            // an unreachable peer is reported on the socket; the next one may be fine
            tracing::debug!(%error, "a name query was not answered");
        }
    }
}

/// The reply to one message; `None` for what is not a query.
fn answer(message: &[u8], services: &ServiceAddresses) -> Option<Vec<u8>> {
    let request = Message::from_vec(message).ok()?;
    if request.metadata.message_type != MessageType::Query {
        return None;
    }
    let mut reply = Message::response(request.metadata.id, request.metadata.op_code);
    reply.metadata.recursion_desired = request.metadata.recursion_desired;
    reply.metadata.recursion_available = true;
    reply.metadata.authoritative = true;
    if request.edns.is_some() {
        reply.set_edns(Edns::new());
    }
    match (request.metadata.op_code, request.queries.as_slice()) {
        (OpCode::Query, [query]) => {
            reply.add_query(query.clone());
            match find(query, services) {
                None => reply.metadata.response_code = ResponseCode::NXDomain,
                Some(addresses) => {
                    let record = |ip: Ipv4Addr| {
                        Record::from_rdata(query.name().clone(), TTL, RData::A(ip.into()))
                    };
                    reply.add_answers(addresses.into_iter().map(record));
                }
            }
        }
        (OpCode::Query, _) => reply.metadata.response_code = ResponseCode::FormErr,
        _ => reply.metadata.response_code = ResponseCode::NotImp,
    }
    reply.to_vec().ok()
}

/// Addresses for an `A` query, none for another type; `None` if the name does not exist.
fn find(query: &Query, services: &ServiceAddresses) -> Option<Vec<Ipv4Addr>> {
    let name = query.name().to_ascii().to_ascii_lowercase();
    let (service, namespace) = split_service_name(&name)?;
    let addresses = services(namespace, service)?;
    if query.query_type() != RecordType::A {
        return Some(Vec::new());
    }
    let v4 = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    };
    Some(addresses.into_iter().filter_map(v4).collect())
}

/// Service and namespace of any of the three forms, with or without the dot at the end.
pub(crate) fn split_service_name(name: &str) -> Option<(&str, &str)> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let name = name.strip_suffix(".cluster.local").unwrap_or(name);
    let name = name.strip_suffix(".svc").unwrap_or(name);
    name.split_once('.')
        .filter(|(service, namespace)| !service.is_empty() && !namespace.contains('.'))
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use hickory_proto::rr::Name;

    use super::*;

    async fn ask(server: SocketAddr, name: &str, kind: RecordType) -> Message {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut query = Message::query();
        query.add_query(Query::query(Name::from_str(name).unwrap(), kind));
        query.set_edns(Edns::new());
        socket
            .send_to(&query.to_vec().unwrap(), server)
            .await
            .unwrap();
        let mut buffer = [0; MAX_MESSAGE];
        let (length, _) = socket.recv_from(&mut buffer).await.unwrap();
        let reply = Message::from_vec(&buffer[..length]).unwrap();
        assert_eq!(reply.metadata.id, query.metadata.id);
        reply
    }

    #[tokio::test]
    async fn services_are_found_by_all_three_forms_and_other_names_do_not_exist() {
        let services: ServiceAddresses = Arc::new(|namespace, service| {
            ((namespace, service) == ("team-a", "web"))
                .then(|| vec![IpAddr::from([127, 9, 1, 1]), IpAddr::from([127, 9, 1, 2])])
        });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let socket = UdpSocket::bind(address).await.unwrap();
        let address = socket.local_addr().unwrap();
        drop(socket);
        let server = NameServer::start(address, services, &Lifetime::default())
            .await
            .unwrap();
        for name in [
            "web.team-a.svc.cluster.local.",
            "web.team-a.svc",
            "WEB.team-a",
        ] {
            let reply = ask(address, name, RecordType::A).await;
            assert_eq!(
                reply.metadata.response_code,
                ResponseCode::NoError,
                "{name}"
            );
            assert_eq!(reply.answers.len(), 2, "{name}");
        }
        let none = ask(address, "web.team-a.svc", RecordType::AAAA).await;
        assert_eq!(none.metadata.response_code, ResponseCode::NoError);
        assert!(none.answers.is_empty());
        for name in ["web.team-b.svc", "web", "a.web.team-a.svc", "example.com."] {
            let reply = ask(address, name, RecordType::A).await;
            assert_eq!(
                reply.metadata.response_code,
                ResponseCode::NXDomain,
                "{name}"
            );
        }
        server.stop().await;
        UdpSocket::bind(address)
            .await
            .expect("the socket is closed");
    }

    #[test]
    fn nonsense_is_not_answered() {
        let services: ServiceAddresses = Arc::new(|_, _| None);
        for message in [&b""[..], b"x", &[0xff; 12], &[0; 600]] {
            let reply = answer(message, &services);
            let code = reply.map(|reply| Message::from_vec(&reply).unwrap().metadata.response_code);
            assert!(code.is_none_or(|code| code != ResponseCode::NoError));
        }
    }
}
