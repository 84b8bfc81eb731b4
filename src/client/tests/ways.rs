//! The ways to a sandbox that need more than a URL: Gateway, port-forward, cluster names.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

use super::calls::{api_server, ready_claim};
use super::fake::{Act, Fake, builder, chunk, client, discovery, event, ok, status, stream_head};
use crate::client::connect::{ConnectionMode, Gateway, InCluster, Tunnel};
use crate::client::{ConnectError, Dns};

fn gateway(port: u16, version: &str, addresses: &Value) -> Value {
    json!({
        "metadata": {"name": "gw", "resourceVersion": version},
        "spec": {"listeners": [{"name": "http", "port": port, "protocol": "HTTP"}]},
        "status": {"addresses": addresses},
    })
}

fn through(name: &str) -> ConnectionMode {
    ConnectionMode::Gateway(Gateway {
        name: name.to_owned(),
        namespace: "edge".to_owned(),
        ready_timeout: Duration::from_secs(20),
        ..Gateway::default()
    })
}

#[tokio::test]
async fn a_gateway_is_waited_for_once_and_used_on_its_listeners_port() {
    let router = Fake::start(|_| ok(&json!({"exists": true}))).await;
    let port = router.address.port();
    let fake = Fake::start(move |request| {
        if let Some(found) = discovery(request) {
            return found;
        }
        if request.is_watch() {
            let programmed = gateway(port, "12", &json!([{"value": "127.0.0.1"}]));
            return vec![
                stream_head(),
                chunk(&event("MODIFIED", &programmed)),
                Act::Hang,
            ];
        }
        ok(&json!({"metadata": {"resourceVersion": "11"},
            "items": [gateway(port, "10", &json!([]))]}))
    })
    .await;
    let client = client(fake.address).await;
    for _ in 0..2 {
        let sandbox = client
            .connect(&ready_claim(), &through("gw"))
            .await
            .expect("connected");
        assert!(sandbox.files().exists("a").await.expect("asked"));
    }
    let asked: Vec<String> = fake
        .requests()
        .into_iter()
        .skip(2)
        .map(|r| r.target)
        .collect();
    let path = "/apis/gateway.networking.k8s.io/v1/namespaces/edge/gateways";
    assert_eq!(asked.len(), 2, "one list, one watch: {asked:?}");
    assert_eq!(
        asked[0],
        format!("{path}?limit=500&fieldSelector=metadata.name%3Dgw")
    );
    assert!(asked[1].starts_with(path) && asked[1].contains("resourceVersion=11"));
    let requests = router.requests();
    assert!(
        requests
            .iter()
            .all(|r| r.connection == 0 && r.header("x-sandbox-id") == Some("warm-1"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_gateway_without_address_ends_in_an_error_that_says_what_was_seen() {
    let fake = Fake::start(|request| {
        if let Some(found) = discovery(request) {
            return found;
        }
        if request.is_watch() {
            return vec![stream_head(), Act::Hang];
        }
        ok(&json!({"metadata": {"resourceVersion": "11"}, "items": [gateway(80, "10", &json!([]))]}))
    })
    .await;
    let client = client(fake.address).await;
    let error = client
        .connect(&ready_claim(), &through("gw"))
        .await
        .expect_err("no address");
    assert!(
        matches!(error, ConnectError::GatewayTimeout { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("it has no address"), "{error}");
}

/// Forwards WebSocket port-forwards to a TCP server; everything else goes to the fake.
///
/// The pod `router-0` takes one port-forward and is gone afterwards.
async fn forwarding(api: SocketAddr, target: SocketAddr) -> (SocketAddr, JoinSet<()>) {
    let died = Arc::new(AtomicBool::new(false));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("bound");
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let died = Arc::clone(&died);
            connections.spawn(async move {
                let mut head = [0; 4096];
                let length = stream.peek(&mut head).await.expect("a request");
                let head = String::from_utf8_lossy(&head[..length]).into_owned();
                let dead = head.contains("/router-0/") && died.swap(true, Ordering::Relaxed);
                if head.contains("/portforward") && !dead {
                    port_forward(stream, target).await;
                } else {
                    let mut stream = stream;
                    let mut other = TcpStream::connect(api).await.expect("the fake");
                    // Either side may end it at any time.
                    drop(tokio::io::copy_bidirectional(&mut stream, &mut other).await);
                }
            });
        }
    });
    (address, tasks)
}

#[expect(
    clippy::result_large_err,
    reason = "the callback's type is the library's"
)]
async fn port_forward(stream: TcpStream, target: SocketAddr) {
    let select = |request: &Request, mut response: Response| {
        let target = request.uri().to_string();
        let pods = "/api/v1/namespaces/agent-sandbox-system/pods/router-";
        assert!(target.starts_with(pods), "{target}");
        assert!(target.ends_with("/portforward?ports=8081"), "{target}");
        let protocol = "v4.channel.k8s.io".parse().expect("a value");
        response
            .headers_mut()
            .insert("sec-websocket-protocol", protocol);
        Ok(response)
    };
    let socket = tokio_tungstenite::accept_hdr_async(stream, select)
        .await
        .expect("upgrade");
    let (mut sink, mut messages) = socket.split();
    for channel in [0, 1] {
        let confirmation = vec![channel, 0x91, 0x1f];
        sink.send(Message::Binary(confirmation.into()))
            .await
            .expect("open");
    }
    let (mut read, mut write) = TcpStream::connect(target)
        .await
        .expect("the router")
        .into_split();
    let mut buffer = vec![0; 700];
    loop {
        tokio::select! {
            message = messages.next() => match message {
                Some(Ok(Message::Binary(bytes))) => {
                    assert_eq!(bytes[0], 0);
                    write.write_all(&bytes[1..]).await.expect("written");
                }
                Some(Ok(_)) => {}
                _ => return,
            },
            length = read.read(&mut buffer) => {
                let length = length.unwrap_or(0);
                if length == 0 {
                    return;
                }
                let mut message = vec![0];
                message.extend_from_slice(&buffer[..length]);
                if sink.send(Message::Binary(message.into())).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn slices(items: Value) -> Fake {
    Fake::start(move |request| {
        if let Some(found) = discovery(request) {
            return found;
        }
        if request.target.contains("endpointslices") {
            return ok(&json!({"metadata": {}, "items": items}));
        }
        status(404, "NotFound", "none")
    })
    .await
}

#[tokio::test]
async fn a_tunnel_carries_calls_to_a_ready_router_pod_and_is_shared() {
    let content: Vec<u8> = (0..300_000_u32).map(|i| (i % 253) as u8).collect();
    let stored = content.clone();
    let router = Fake::start(move |request| match request.method.as_str() {
        "GET" => super::fake::answer("200 OK", &stored),
        _ => super::fake::answer("200 OK", "{}"),
    })
    .await;
    let endpoint = |name: &str, ready: bool| {
        json!({"addresses": ["10.0.0.1"], "conditions": {"ready": ready},
            "targetRef": {"kind": "Pod", "name": name}})
    };
    let api = slices(json!([{
        "metadata": {}, "addressType": "IPv4", "ports": [{"port": 8081}],
        "endpoints": [endpoint("router-0", false), endpoint("router-1", true)]}]))
    .await;
    let (address, _tasks) = forwarding(api.address, router.address).await;
    let client = client(address).await;
    let mode = ConnectionMode::Tunnel(Tunnel::default());
    for _ in 0..2 {
        let sandbox = client
            .connect(&ready_claim(), &mode)
            .await
            .expect("connected");
        sandbox
            .files()
            .write("a", content.clone())
            .await
            .expect("written");
        assert_eq!(sandbox.files().read("a").await.expect("read"), content);
        assert_eq!(client.open_tunnels(), 1);
        sandbox.disconnect().await;
    }
    assert!(
        router
            .requests()
            .iter()
            .all(|request| request.connection == 0)
    );
    client.close().await;
    assert_eq!((client.open_tunnels(), client.open_connections()), (0, 0));
}

#[tokio::test]
async fn a_router_pod_that_died_is_replaced_by_another_one() {
    let router = Fake::start(|_| {
        let mut acts = ok(&json!({"exists": true}));
        acts.push(Act::Close);
        acts
    })
    .await;
    let listed = AtomicBool::new(false);
    let api = Fake::start(move |request| {
        if let Some(found) = discovery(request) {
            return found;
        }
        if !request.target.contains("endpointslices") {
            // Closed, since the forwarding server looks only at the first request.
            let gone = b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
            return vec![Act::Send(gone.to_vec()), Act::Close];
        }
        let pod = if listed.swap(true, Ordering::Relaxed) {
            "router-1"
        } else {
            "router-0"
        };
        ok(&json!({"metadata": {}, "items": [{
            "metadata": {}, "addressType": "IPv4", "ports": [{"port": 8081}],
            "endpoints": [{"addresses": [], "targetRef": {"kind": "Pod", "name": pod}}]}]}))
    })
    .await;
    let (address, _tasks) = forwarding(api.address, router.address).await;
    let client = client(address).await;
    let mode = ConnectionMode::Tunnel(Tunnel::default());
    let sandbox = client
        .connect(&ready_claim(), &mode)
        .await
        .expect("connected");
    for _ in 0..3 {
        assert!(sandbox.files().exists("a").await.expect("asked"));
        while client.open_tunnels() > 0 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(router.requests().len(), 3);
}

#[tokio::test]
async fn a_missing_router_names_the_namespaces_that_were_searched() {
    let api = slices(json!([])).await;
    let client = client(api.address).await;
    let mode = ConnectionMode::Tunnel(Tunnel::default());
    let error = client
        .connect(&ready_claim(), &mode)
        .await
        .expect_err("no router");
    assert!(
        error
            .to_string()
            .contains("agent-sandbox-system or default"),
        "{error}"
    );
    assert!(error.help().is_some());
}

/// A name server that knows one name, and says of every other that it does not exist.
async fn name_server(known: &'static str) -> (SocketAddr, JoinSet<()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bind");
    let address = socket.local_addr().expect("bound");
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
            let answer = dns_answer(&buffer[..length], known);
            socket.send_to(&answer, peer).await.expect("sent");
        }
    });
    (address, tasks)
}

fn dns_answer(query: &[u8], known: &str) -> Vec<u8> {
    let mut labels = Vec::new();
    let mut at = 12;
    while query[at] != 0 {
        let length = usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..=at + length]).to_lowercase());
        at += length + 1;
    }
    let question = &query[12..at + 5];
    let is_a = query[at + 2] == 1;
    let exists = labels.join(".") == known;
    let mut answer = query[..2].to_vec();
    let code = if exists { 0 } else { 3 };
    let count = u8::from(exists && is_a);
    answer.extend([0x85, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
    answer.extend(question);
    if count == 1 {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 127, 0, 0, 1]);
    }
    answer
}

#[tokio::test]
async fn a_sandbox_is_found_by_its_cluster_name_or_its_missing_service_is_told() {
    let runtime = Fake::start(|_| ok(&json!({"exists": true}))).await;
    let (dns, _tasks) = name_server("warm-1.default.svc.cluster.local").await;
    let api = api_server().await;
    let client = builder(api.address)
        .dns(Dns::Server(dns))
        .build()
        .await
        .expect("built");
    let mode = ConnectionMode::InCluster(InCluster {
        server_port: runtime.address.port(),
        ..InCluster::default()
    });
    let sandbox = client
        .connect(&ready_claim(), &mode)
        .await
        .expect("connected");
    assert!(sandbox.files().exists("a").await.expect("asked"));
    let request = runtime.requests().pop().expect("sent");
    let host = format!(
        "warm-1.default.svc.cluster.local:{}",
        runtime.address.port()
    );
    assert_eq!(request.header("host"), Some(host.as_str()));

    let mut other = ready_claim();
    other.sandbox_name = "warm-2".to_owned();
    let error = client.connect(&other, &mode).await.expect_err("no Service");
    assert!(matches!(error, ConnectError::NoService { .. }), "{error:?}");
    assert!(
        error
            .help()
            .is_some_and(|help| help.contains("service: true"))
    );
}
