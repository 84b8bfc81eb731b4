//! The router over real sockets, with a runtime behind it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::super::fault::Faults;
use super::super::http::{BoxError, full};
use super::super::runtime::{LegacyRuntime, LegacySettings};
use super::super::testing::{Reply, call, execute, get, request};
use super::super::token::Token;
use super::*;
use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt, Full};

async fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

async fn router() -> (Router, SocketAddr) {
    router_that(RouterAuth::AllowAll).await
}

async fn router_that(auth: RouterAuth) -> (Router, SocketAddr) {
    let lookup: Lookup = Arc::new(|host| {
        (host == "known.team-a.svc.cluster.local").then(|| IpAddr::from([127, 0, 0, 1]))
    });
    let address = free_address().await;
    (
        Router::start(
            address,
            lookup,
            auth,
            (
                &Faults::default(),
                &SpanSink::default(),
                &Lifetime::default(),
            ),
        )
        .await
        .unwrap(),
        address,
    )
}

fn with(
    mut request: Request<Full<Bytes>>,
    headers: &[(&'static str, &str)],
) -> Request<Full<Bytes>> {
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    request
}

fn told(reply: &Reply) -> (u16, &str) {
    (reply.status.as_u16(), reply.text())
}

#[tokio::test]
async fn a_router_with_a_token_refuses_everybody_without_it() {
    let (router, address) = router_that(RouterAuth::Token(Token::new("t0ken"))).await;
    let missing = "{\"detail\":\"Missing or invalid Authorization header.\"}\n";
    let wrong = "{\"detail\":\"Invalid token.\"}\n";
    let passed = "{\"detail\":\"X-Sandbox-ID header is required.\"}\n";
    for (given, status, text) in [
        ("", 401, missing),
        ("Basic t0ken", 401, missing),
        ("Bearer other", 401, wrong),
        ("Bearer t0ken", 400, passed),
    ] {
        let request = with(get("/"), &[("authorization", given)]);
        let reply = call(address, request).await.unwrap();
        assert_eq!(told(&reply), (status, text), "{given}");
    }
    let healthy = call(address, get("/healthz")).await.unwrap();
    assert_eq!(healthy.status, StatusCode::OK);
    router.stop().await;
}

#[tokio::test]
async fn headers_are_checked_in_the_contracts_order() {
    let (router, address) = router().await;
    let long = "a".repeat(64);
    for (headers, text) in [
        (vec![], "X-Sandbox-ID header is required."),
        (
            vec![("x-sandbox-id", ""), ("x-sandbox-port", "x")],
            "X-Sandbox-ID header is required.",
        ),
        (
            vec![("x-sandbox-id", "A_b"), ("x-sandbox-port", "x")],
            "Invalid sandbox ID format.",
        ),
        (
            vec![("x-sandbox-id", &long[..])],
            "Invalid sandbox ID format.",
        ),
        (vec![("x-sandbox-id", "-a")], "Invalid sandbox ID format."),
        (
            vec![
                ("x-sandbox-id", "a"),
                ("x-sandbox-namespace", "a.b"),
                ("x-sandbox-port", "0"),
            ],
            "Invalid namespace format.",
        ),
        (
            vec![
                ("x-sandbox-id", "a"),
                ("x-sandbox-port", "65536"),
                ("x-sandbox-pod-ip", "x"),
            ],
            "Invalid port format.",
        ),
        (
            vec![("x-sandbox-id", "a"), ("x-sandbox-port", "0")],
            "Invalid port format.",
        ),
        (
            vec![("x-sandbox-id", "a"), ("x-sandbox-pod-ip", "x")],
            "Invalid target IP address.",
        ),
        (
            vec![("x-sandbox-id", "a"), ("x-sandbox-pod-ip", "169.254.0.1")],
            "Invalid target IP address.",
        ),
        (
            vec![("x-sandbox-id", "a"), ("x-sandbox-pod-ip", "224.0.0.1")],
            "Invalid target IP address.",
        ),
        (
            vec![("x-sandbox-id", "a"), ("x-sandbox-pod-ip", "0.0.0.0")],
            "Invalid target IP address.",
        ),
    ] {
        let reply = call(address, with(get("/"), &headers)).await.unwrap();
        let body = format!("{{\"detail\":\"{text}\"}}\n");
        assert_eq!(told(&reply), (400, &body[..]), "{headers:?}");
        assert_eq!(reply.header("content-type"), "application/json");
    }
    let health = call(address, get("/healthz")).await.unwrap();
    assert_eq!(told(&health), (200, "{\"status\":\"ok\"}\n"));
    router.stop().await;
}

#[tokio::test]
async fn calls_reach_the_pod_by_address_and_by_name() {
    let (router, address) = router().await;
    let pod = free_address().await;
    let root = tempfile::tempdir().unwrap();
    let settings = LegacySettings {
        name: "known".to_owned(),
        address: pod,
        directory: root.path().join("known"),
        faults: Faults::default(),
    };
    let runtime = LegacyRuntime::start(settings).await.unwrap();
    let port = pod.port().to_string();
    for target in [
        [("x-sandbox-id", "any"), ("x-sandbox-pod-ip", "127.0.0.1")],
        [("x-sandbox-id", "known"), ("x-sandbox-namespace", "team-a")],
    ] {
        let request = with(
            with(execute("echo hi"), &target),
            &[("x-sandbox-port", &port)],
        );
        let reply = call(address, request).await.unwrap();
        let body = r#"{"stdout":"hi\n","stderr":"","exit_code":0}"#;
        assert_eq!(told(&reply), (200, body));
    }
    runtime.end(Duration::ZERO).await;
    router.stop().await;
    assert!(call(address, get("/healthz")).await.is_err());
}

#[tokio::test]
async fn what_cannot_be_reached_is_a_502_and_what_takes_too_long_a_504() {
    let (router, address) = router().await;
    let closed = free_address().await.port().to_string();
    let unreachable = [
        ("x-sandbox-id", "sbx"),
        ("x-sandbox-pod-ip", "127.0.0.1"),
        ("x-sandbox-port", &closed),
    ];
    let reply = call(address, with(get("/"), &unreachable)).await.unwrap();
    let body = "{\"detail\":\"Could not connect to the backend sandbox: sbx\"}\n";
    assert_eq!(told(&reply), (502, body));
    let unknown = [("x-sandbox-id", "unknown")];
    let reply = call(address, with(get("/"), &unknown)).await.unwrap();
    let body = "{\"detail\":\"Could not connect to the backend sandbox: unknown\"}\n";
    assert_eq!(told(&reply), (502, body));

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let slow = [
        ("x-sandbox-id", "sbx"),
        ("x-sandbox-pod-ip", "127.0.0.1"),
        ("x-sandbox-port", &port),
        ("x-sandbox-timeout", "0.05"),
    ];
    let reply = call(address, with(get("/"), &slow)).await.unwrap();
    let body = "{\"detail\":\"Timed out waiting for the backend sandbox: sbx\"}\n";
    assert_eq!(told(&reply), (504, body));
    router.stop().await;
}

/// Answers with the request as it arrived, or with what the channel gives.
#[derive(Clone)]
struct Echo(Arc<tokio::sync::Mutex<mpsc::Receiver<Bytes>>>);

impl Echo {
    fn handle(&self, request: &Request<Incoming>) -> Response<Body> {
        if request.uri().path() == "/stream" {
            let receiver = Arc::clone(&self.0);
            let stream = futures::stream::unfold(receiver, |receiver| async move {
                let chunk = receiver.lock().await.recv().await?;
                Some((Ok::<_, Infallible>(Frame::data(chunk)), receiver))
            });
            let body =
                StreamBody::new(stream).map_err(|never: Infallible| -> BoxError { match never {} });
            return Response::new(body.boxed_unsync());
        }
        let mut lines: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        lines.insert(0, format!("{} {}", request.method(), request.uri()));
        Response::new(full(lines.join("\n")))
    }
}

fn echo(listener: TcpListener, receiver: mpsc::Receiver<Bytes>) -> Lifetime {
    let lifetime = Lifetime::default();
    let echo = Echo(Arc::new(tokio::sync::Mutex::new(receiver)));
    let handler = move |request| {
        let echo = echo.clone();
        async move { echo.handle(&request) }
    };
    serve(listener, None, handler, &lifetime);
    lifetime
}

#[tokio::test]
async fn headers_are_rewritten_and_the_path_is_left_alone() {
    let (router, address) = router().await;
    let backend = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pod = backend.local_addr().unwrap();
    let (_sender, receiver) = mpsc::channel(1);
    let tasks = echo(backend, receiver);
    let request = with(
        request(Method::PATCH, "/a%2Fb/%2E%2E/c?x=%20y", ""),
        &[
            ("x-sandbox-id", "sbx"),
            ("x-sandbox-pod-ip", "127.0.0.1"),
            ("x-sandbox-port", &pod.port().to_string()),
            ("authorization", "Bearer secret"),
            ("connection", "x-private"),
            ("x-private", "1"),
            ("te", "trailers"),
            ("x-forwarded-for", "1.2.3.4"),
            ("traceparent", "00-a-b-01"),
        ],
    );
    let reply = call(address, request).await.unwrap();
    let expected = format!(
        "PATCH /a%2Fb/%2E%2E/c?x=%20y\nhost: {pod}\ntraceparent: 00-a-b-01\nx-forwarded-for: 127.0.0.1\nx-forwarded-host: sandbox.test\nx-forwarded-proto: http\nx-sandbox-id: sbx\nx-sandbox-pod-ip: 127.0.0.1\nx-sandbox-port: {}",
        pod.port()
    );
    assert_eq!(reply.text(), expected);
    tasks.end().await;
    router.stop().await;
}

#[tokio::test]
async fn answers_are_passed_on_chunk_by_chunk() {
    let (router, address) = router().await;
    let backend = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pod = backend.local_addr().unwrap();
    let (sender, receiver) = mpsc::channel(1);
    let tasks = echo(backend, receiver);
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut connection, driver) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let mut driving = tokio::task::JoinSet::new();
    driving.spawn(driver);
    let request = with(
        get("/stream"),
        &[
            ("x-sandbox-id", "sbx"),
            ("x-sandbox-pod-ip", "127.0.0.1"),
            ("x-sandbox-port", &pod.port().to_string()),
        ],
    );
    let mut response = connection.send_request(request).await.unwrap();
    for chunk in ["one", "two", "three"] {
        // the next chunk is only sent when the last one has arrived
        sender.send(Bytes::from(chunk)).await.unwrap();
        let frame = response.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), chunk);
    }
    drop(sender);
    assert!(response.body_mut().frame().await.is_none());
    tasks.end().await;
    router.stop().await;
}

#[tokio::test]
async fn an_upgraded_connection_passes_through_in_both_directions() {
    let (router, address) = router().await;
    let backend = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = backend.local_addr().unwrap().port();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let (mut stream, _) = backend.accept().await.unwrap();
        let head = read_head(&mut stream).await.to_ascii_lowercase();
        assert!(
            head.contains("upgrade: echo") && head.contains("connection: upgrade"),
            "{head}"
        );
        let switch =
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
        stream.write_all(switch.as_bytes()).await.unwrap();
        let mut four = [0; 4];
        stream.read_exact(&mut four).await.unwrap();
        stream.write_all(&four).await.unwrap();
    });
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-Sandbox-ID: sbx\r\n\
         X-Sandbox-Pod-IP: 127.0.0.1\r\nX-Sandbox-Port: {port}\r\n\r\n"
    );
    client.write_all(request.as_bytes()).await.unwrap();
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    client.write_all(b"ping").await.unwrap();
    let mut four = [0; 4];
    client.read_exact(&mut four).await.unwrap();
    assert_eq!(&four, b"ping");
    tasks.join_next().await.unwrap().unwrap();
    router.stop().await;
}

async fn read_head(stream: &mut tokio::net::TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}
