//! A scripted HTTP/1.1 server: it records requests and does with the connection what a test says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::client::{ClaimSource, Dns};
use crate::client::{Client, ClientBuilder, CreateRequest};

/// Longer than any test takes.
pub(in crate::client) const LONG: Duration = Duration::from_secs(30);
/// Where the claims are.
pub(in crate::client) const CLAIMS: &str =
    "/apis/extensions.agents.x-k8s.io/v1beta1/namespaces/default/sandboxclaims";

/// A request as it stood on the wire.
#[derive(Debug, Clone)]
pub(in crate::client) struct Recorded {
    pub(in crate::client) method: String,
    pub(in crate::client) target: String,
    pub(in crate::client) headers: Vec<(String, String)>,
    pub(in crate::client) body: Vec<u8>,
    /// Which connection, counted from 0.
    pub(in crate::client) connection: usize,
}

impl Recorded {
    pub(in crate::client) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(in crate::client) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    pub(in crate::client) fn is_watch(&self) -> bool {
        self.target.contains("watch=true")
    }

    pub(in crate::client) fn query(&self, key: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(k, _)| *k == key).map(|(_, value)| value)
    }
}

/// What to do with a connection.
#[derive(Debug, Clone)]
pub(in crate::client) enum Act {
    Send(Vec<u8>),
    Wait(Arc<Notify>),
    /// Close the connection in good order.
    Close,
    /// Reset it.
    Reset,
    /// Keep it open and say nothing more.
    Hang,
}

type Handler = dyn Fn(&Recorded) -> Vec<Act> + Send + Sync;

#[derive(Debug)]
pub(in crate::client) struct Fake {
    pub(in crate::client) address: SocketAddr,
    requests: Arc<Mutex<Vec<Recorded>>>,
    tasks: JoinSet<()>,
}

impl Fake {
    pub(in crate::client) async fn start(
        handler: impl Fn(&Recorded) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("bound");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&requests);
        let handler: Arc<Handler> = Arc::new(handler);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                stream.set_nodelay(true).expect("a socket option");
                let (record, handler) = (Arc::clone(&record), Arc::clone(&handler));
                connections.spawn(serve(stream, connection, record, handler));
            }
        });
        Self {
            address,
            requests,
            tasks,
        }
    }

    pub(in crate::client) fn requests(&self) -> Vec<Recorded> {
        self.requests.lock().expect("not poisoned").clone()
    }

    /// How many requests of this method came.
    pub(in crate::client) fn count(&self, method: &str) -> usize {
        let all = self.requests();
        all.iter()
            .filter(|request| request.method == method)
            .count()
    }

    /// Stops listening.
    pub(in crate::client) async fn stop(mut self) {
        self.tasks.shutdown().await;
    }

    pub(in crate::client) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    record: Arc<Mutex<Vec<Recorded>>>,
    handler: Arc<Handler>,
) {
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffer, connection).await {
        record.lock().expect("not poisoned").push(request.clone());
        for act in handler(&request) {
            match act {
                Act::Send(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Act::Wait(notify) => notify.notified().await,
                Act::Close => return,
                Act::Reset => {
                    stream.set_zero_linger().expect("a socket option");
                    return;
                }
                Act::Hang => std::future::pending().await,
            }
        }
    }
}

async fn read_request(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    connection: usize,
) -> Option<Recorded> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head: Vec<u8> = buffer.drain(..end).collect();
    let head = String::from_utf8(head).expect("an ASCII head");
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().expect("a number"));
    while buffer.len() < length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    Some(Recorded {
        method,
        target,
        headers,
        body: buffer.drain(..length).collect(),
        connection,
    })
}

/// A whole answer.
pub(in crate::client) fn answer(status: &str, body: impl AsRef<[u8]>) -> Vec<Act> {
    let body = body.as_ref();
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    vec![Act::Send(bytes)]
}

pub(in crate::client) fn ok(body: &Value) -> Vec<Act> {
    answer("200 OK", body.to_string())
}

pub(in crate::client) fn status(code: u16, reason: &str, message: &str) -> Vec<Act> {
    let body = json!({"kind": "Status", "code": code, "reason": reason, "message": message});
    answer(&format!("{code} {reason}"), body.to_string())
}

/// The head of a chunked answer.
pub(in crate::client) fn stream_head() -> Act {
    Act::Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec())
}

pub(in crate::client) fn chunk(text: &str) -> Act {
    Act::Send(format!("{:x}\r\n{text}\r\n", text.len()).into_bytes())
}

pub(in crate::client) fn last_chunk() -> Act {
    Act::Send(b"0\r\n\r\n".to_vec())
}

pub(in crate::client) fn event(kind: &str, object: &Value) -> String {
    format!("{}\n", json!({"type": kind, "object": object}))
}

pub(in crate::client) const RUN: &str = "run-1";

/// A claim as the fake API server shows it.
pub(in crate::client) fn claim(name: &str, version: u64, status: &Value) -> Value {
    json!({
        "apiVersion": "extensions.agents.x-k8s.io/v1beta1",
        "kind": "SandboxClaim",
        "metadata": {"name": name, "namespace": "default", "uid": format!("uid-{name}"),
            "resourceVersion": version.to_string(), "labels": {"sandbench.dev/run-id": RUN}},
        "status": status,
    })
}

pub(in crate::client) fn ready_status() -> Value {
    json!({
        "conditions": [{"type": "Ready", "status": "True", "reason": "DependenciesReady"}],
        "sandbox": {"name": "warm-1", "podIPs": ["127.0.0.1"]},
    })
}

/// Discovery of `v1beta1`, if the request asks for it.
pub(in crate::client) fn discovery(request: &Recorded) -> Option<Vec<Act>> {
    let group = request.target.strip_prefix("/apis/")?;
    (!group.contains('/'))
        .then(|| ok(&json!({"kind": "APIGroup", "versions": [{"version": "v1beta1"}]})))
}

pub(in crate::client) fn builder(address: SocketAddr) -> ClientBuilder {
    let url = format!("http://{address}").parse().expect("a URL");
    Client::builder()
        .kubernetes(kube::Config::new(url))
        .run_id(RUN)
        .dns(Dns::Server("127.0.0.1:9".parse().expect("an address")))
}

pub(in crate::client) async fn client(address: SocketAddr) -> Client {
    builder(address).build().await.expect("the fake answers")
}

pub(in crate::client) fn request(name: &str) -> CreateRequest {
    CreateRequest {
        name: Some(name.to_owned()),
        ..CreateRequest::new(ClaimSource::WarmPool("pool".to_owned()))
    }
}

/// A list of claims.
pub(in crate::client) fn list(version: u64, items: &[Value]) -> Vec<Act> {
    ok(&json!({"metadata": {"resourceVersion": version.to_string()}, "items": items}))
}

/// The watches among the requests so far.
pub(in crate::client) fn watches(fake: &Fake) -> Vec<Recorded> {
    let mut requests = fake.requests();
    requests.retain(Recorded::is_watch);
    requests
}
