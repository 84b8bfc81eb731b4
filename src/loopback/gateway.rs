//! Gateways: for each Gateway object a listener on an address of its own, in front of the router.
//!
//! The object's status tells the address, and in its `Programmed` condition why there is none.
//! A changed spec opens the listeners anew; a deleted Gateway closes them and frees the address.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http::header::HOST;
use http::{Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use tokio::net::TcpListener;

use super::address::AddressPlan;
use super::http::{Body, Lifetime, serve, with_type};
use super::json::json;
use super::store::{Event, EventKind, Object, Part, Store, kind, now_seconds};
use super::upstream::{Dial, Upstream};

/// What an Envoy gateway answers when its backend cannot be reached.
const UNAVAILABLE: &str = "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure";

/// The gateways of a cluster.
struct Gateways {
    store: Store,
    plan: AddressPlan,
    router: SocketAddr,
    lifetime: Lifetime,
    open: HashMap<String, Open>,
}

/// A Gateway whose listeners are open, or could not be opened.
struct Open {
    generation: u64,
    address: Option<Ipv4Addr>,
    lifetime: Lifetime,
}

/// Follows the Gateway objects until the lifetime ends.
pub(super) fn start(store: Store, plan: AddressPlan, router: SocketAddr, lifetime: &Lifetime) {
    let Ok(mut events) = store.watch(kind("Gateway"), 0) else {
        return;
    };
    let mut gateways = Gateways {
        store,
        plan,
        router,
        lifetime: lifetime.clone(),
        open: HashMap::new(),
    };
    lifetime.spawn(async move {
        while let Ok(batch) = events.next().await {
            for event in batch {
                gateways.follow(event).await;
            }
        }
    });
}

impl Gateways {
    async fn follow(&mut self, event: Event) {
        let gateway = event.object;
        let generation = gateway.value["metadata"]["generation"]
            .as_u64()
            .unwrap_or(1);
        let known = self.open.get(gateway.uid()).map(|open| open.generation);
        if event.kind != EventKind::Deleted && known == Some(generation) {
            return;
        }
        let mut address = None;
        if let Some(old) = self.open.remove(gateway.uid()) {
            old.lifetime.end().await;
            address = old.address;
        }
        if event.kind == EventKind::Deleted {
            return;
        }
        let address = address.or_else(|| self.free_address());
        let lifetime = self.lifetime.own();
        let failure = match address {
            None => Some("no address is left for a gateway".to_owned()),
            Some(address) => self.listen(&gateway, address, &lifetime).await.err(),
        };
        let open = Open {
            generation,
            address,
            lifetime,
        };
        self.open.insert(gateway.uid().to_owned(), open);
        self.tell(
            &gateway,
            address.filter(|_| failure.is_none()),
            failure.as_deref(),
        );
    }

    fn free_address(&self) -> Option<Ipv4Addr> {
        let taken = |ip: &Ipv4Addr| self.open.values().any(|open| open.address == Some(*ip));
        self.plan.gateways().find(|ip| !taken(ip))
    }

    /// Opens all HTTP listeners or none.
    async fn listen(
        &self,
        gateway: &Object,
        address: Ipv4Addr,
        lifetime: &Lifetime,
    ) -> Result<(), String> {
        let mut bound = Vec::new();
        let listeners = gateway.value["spec"]["listeners"].as_array();
        for listener in listeners.into_iter().flatten() {
            let port = listener["port"]
                .as_u64()
                .and_then(|port| u16::try_from(port).ok());
            let (Some(port), Some("HTTP")) = (port, listener["protocol"].as_str()) else {
                continue;
            };
            let opened = TcpListener::bind((address, port)).await;
            bound.push(opened.map_err(|error| format!("listen on {address}:{port}: {error}"))?);
        }
        if bound.is_empty() {
            return Err("no listener has the protocol HTTP and a port".to_owned());
        }
        let dial = Dial {
            lookup: Arc::new(|_| None),
            pauses: &[],
        };
        let proxy = Proxy {
            upstream: Upstream::new(dial, lifetime.clone()),
            router: self.router,
        };
        for listener in bound {
            let proxy = proxy.clone();
            let handler = move |request| {
                let proxy = proxy.clone();
                async move { proxy.handle(request).await }
            };
            serve(listener, None, handler, lifetime);
        }
        Ok(())
    }

    fn tell(&self, gateway: &Object, address: Option<Ipv4Addr>, failure: Option<&str>) {
        let place = (gateway.namespace(), gateway.name());
        let programmed = match failure {
            None => (
                "True",
                "Programmed",
                "the gateway's address accepts connections",
            ),
            Some(failure) => ("False", "AddressNotUsable", failure),
        };
        let written = self
            .store
            .update(kind("Gateway"), place, Part::Status, |value| {
                let generation = value["metadata"]["generation"].clone();
                let condition = |name: &str, (status, reason, message): (&str, &str, &str)| {
                    json!({ "type": name, "status": status, "reason": reason, "message": message,
                    "observedGeneration": generation, "lastTransitionTime": now_seconds() })
                };
                let accepted = (
                    "True",
                    "Accepted",
                    "the gateway is served by the loopback cluster",
                );
                let mut status = json!({ "conditions": [
                condition("Accepted", accepted), condition("Programmed", programmed),
            ] });
                if let Some(address) = address {
                    status["addresses"] = json!([{ "type": "IPAddress", "value": address }]);
                }
                value["status"] = status;
                Ok(())
            });
        if let Err(error) = written {
            tracing::debug!(%error, gateway = gateway.name(), "the gateway went meanwhile");
        }
    }
}

/// Sends every request on to the router.
#[derive(Clone)]
struct Proxy {
    upstream: Upstream,
    router: SocketAddr,
}

impl Proxy {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        let answer = match self.point(request) {
            Some(request) => self.upstream.send(request).await.ok(),
            None => None,
        };
        answer.unwrap_or_else(|| {
            with_type(StatusCode::SERVICE_UNAVAILABLE, "text/plain", UNAVAILABLE)
        })
    }

    /// Keeps path, query and `Host` as they came.
    fn point(&self, mut request: Request<Incoming>) -> Option<Request<Incoming>> {
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str());
        let uri = Uri::builder()
            .scheme("http")
            .authority(self.router.to_string())
            .path_and_query(path)
            .build()
            .ok()?;
        let host = request.headers().get(HOST).cloned();
        *request.uri_mut() = uri;
        if let Some(host) = host {
            request.headers_mut().insert(HOST, host);
        }
        Some(request)
    }
}
