//! Gateways: for each Gateway object a listener on an address of its own, in front of the router.
//!
//! The object's status tells the address (`Programmed`), or why there is none.

use std::collections::HashMap;
use std::net::SocketAddr;

use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::address::AddressPlan;
use super::http::{Lifetime, json as answer, serve};
use super::router::{Patience, relayed, rewritten, upstream};
use super::store::{EventKind, Object, Part, Store, kind, now_seconds};

/// Follows the Gateway objects until the lifetime ends.
pub(super) fn start(store: Store, plan: AddressPlan, router: SocketAddr, lifetime: &Lifetime) {
    let lifetime = lifetime.clone();
    let tasks = lifetime.tasks.clone();
    let Ok(mut events) = store.watch(kind("Gateway"), 0) else {
        return;
    };
    tasks.spawn(async move {
        let mut listening: HashMap<String, Lifetime> = HashMap::new();
        loop {
            let batch = tokio::select! {
                () = lifetime.stop.cancelled() => return,
                batch = events.next() => batch,
            };
            let Ok(batch) = batch else { return };
            for event in batch {
                let uid = event.object.uid().to_owned();
                if event.kind == EventKind::Deleted {
                    if let Some(gone) = listening.remove(&uid) {
                        gone.stop.cancel();
                    }
                } else if !listening.contains_key(&uid) {
                    let own = lifetime.child();
                    open(&store, &plan, router, (&event.object, &own)).await;
                    listening.insert(uid, own);
                }
            }
        }
    });
}

async fn open(
    store: &Store,
    plan: &AddressPlan,
    router: SocketAddr,
    (gateway, lifetime): (&Object, &Lifetime),
) {
    let mut addresses = Vec::new();
    let mut failure = None;
    let ports: Vec<u16> = gateway.value["spec"]["listeners"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|listener| listener["protocol"] == "HTTP")
        .filter_map(|listener| u16::try_from(listener["port"].as_u64()?).ok())
        .collect();
    match plan.gateway() {
        None => failure = Some("the cluster has no address left for a gateway".to_owned()),
        Some(_) if ports.is_empty() => {
            failure = Some("no listener with protocol HTTP and a port".to_owned());
        }
        Some(address) => {
            for port in ports {
                match TcpListener::bind((address, port)).await {
                    Ok(listener) => proxy(listener, router, lifetime),
                    Err(error) => failure = Some(format!("listen on {address}:{port}: {error}")),
                }
            }
            addresses.push(json!({ "type": "IPAddress", "value": address.to_string() }));
        }
    }
    let condition = |kind: &str, holds: bool, message: &str| {
        json!({
            "type": kind, "status": if holds { "True" } else { "False" },
            "reason": if holds { kind } else { "AddressNotAssigned" }, "message": message,
            "lastTransitionTime": now_seconds(),
        })
    };
    let message = failure.as_deref().unwrap_or_default();
    let mut status: Value = json!({ "conditions": [
        condition("Accepted", true, ""), condition("Programmed", failure.is_none(), message),
    ] });
    if failure.is_none() {
        status["addresses"] = json!(addresses);
    }
    let place = (gateway.namespace(), gateway.name());
    let written = store.update(kind("Gateway"), place, Part::Status, |value| {
        value["status"] = status;
        Ok(())
    });
    if let Err(error) = written {
        tracing::debug!(%error, gateway = gateway.name(), "the gateway went while it was opened");
    }
}

fn proxy(listener: TcpListener, router: SocketAddr, lifetime: &Lifetime) {
    let upstream = upstream(Patience::Once);
    let handler = move |request| {
        let upstream = upstream.clone();
        async move {
            let unavailable = || {
                let body = json!({ "detail": "no healthy upstream" });
                answer(StatusCode::SERVICE_UNAVAILABLE, &body)
            };
            let Some(request) = rewritten(request, router) else {
                return unavailable();
            };
            match upstream.request(request).await {
                Ok(response) => relayed(response),
                Err(_) => unavailable(),
            }
        }
    };
    serve(listener, None, handler, lifetime);
}
