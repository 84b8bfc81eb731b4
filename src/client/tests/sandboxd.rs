//! The client on a sandboxd that fails: shutting down, cut off in the middle of a stream, refusing.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::{self, StreamExt};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::StreamBody;
use http_body_util::combinators::BoxBody;
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::calls::{api_server, ready_claim};
use super::fake::{Act, Fake, answer as rest_answer, client};
use crate::api::sandboxd::{
    ExecuteResponse, InitEvent, ProcessEvent as Event, StartResponse, method,
};
use crate::client::connect::InClusterPodIp;
use crate::client::{
    CallError, Client, Command, ConnectionMode, Delivered, FileMode, ProcessEvent, ProcessRequest,
    Runtime, Sandbox, SandboxdPorts,
};

type Body = BoxBody<Bytes, Infallible>;

/// How a call is answered.
enum Reply {
    /// With this message.
    Message(Bytes),
    /// With these, and without an end.
    Open(Vec<Bytes>),
    /// With this code of gRPC, and no message.
    Status(u8),
}

/// A gRPC server that does what a test says.
struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
    cut: Arc<Notify>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Answers by the method's path and the number of the connection, from 0.
    async fn start(reply: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("bound").port();
        let connections = Arc::new(AtomicUsize::new(0));
        let cut = Arc::new(Notify::new());
        let (count, cutting) = (Arc::clone(&connections), Arc::clone(&cut));
        let reply = Arc::new(reply);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::Relaxed);
                let (reply, cut) = (Arc::clone(&reply), Arc::clone(&cutting));
                open.spawn(serve(stream, cut, move |path| reply(path, number)));
            }
        });
        Self {
            port,
            connections,
            cut,
            _tasks: tasks,
        }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// Serves one connection until it is cut.
async fn serve(stream: TcpStream, cut: Arc<Notify>, reply: impl Fn(&str) -> Reply) {
    let service = service_fn(|request: Request<Incoming>| {
        let answer = answer(reply(request.uri().path()));
        async move { Ok::<_, Infallible>(answer) }
    });
    let serving =
        http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = serving => {}
        () = cut.notified() => {}
    }
}

fn answer(reply: Reply) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let ended = stream::iter([Frame::trailers(trailers)]).boxed();
    let (messages, end) = match reply {
        Reply::Status(code) => {
            let mut response = Response::new(body(stream::empty().boxed()));
            let headers = response.headers_mut();
            headers.insert("content-type", HeaderValue::from_static("application/grpc"));
            headers.insert("grpc-status", HeaderValue::from(u16::from(code)));
            return response;
        }
        Reply::Message(message) => (vec![message], ended),
        Reply::Open(messages) => (messages, stream::pending().boxed()),
    };
    let messages = stream::iter(messages).map(|message| Frame::data(framed(&message)));
    let mut response = Response::new(body(messages.chain(end).boxed()));
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

fn body(frames: stream::BoxStream<'static, Frame<Bytes>>) -> Body {
    // A boxed body must be shareable between threads, which a boxed stream is not.
    let frames = Mutex::new(frames);
    let frames = stream::poll_fn(move |cx| {
        let mut frames = frames.lock().expect("not poisoned");
        frames.poll_next_unpin(cx).map(|frame| frame.map(Ok))
    });
    BoxBody::new(StreamBody::new(frames))
}

/// A message with its length before it, uncompressed.
fn framed(message: &Bytes) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("small"));
    frame.put_slice(message);
    frame.freeze()
}

fn ran(text: &'static str) -> Reply {
    let answer = ExecuteResponse {
        stdout: Bytes::from_static(text.as_bytes()),
        ..ExecuteResponse::default()
    };
    Reply::Message(answer.encode_to_vec().into())
}

fn event(event: Event) -> Bytes {
    StartResponse { event: Some(event) }.encode_to_vec().into()
}

fn begun() -> Bytes {
    event(Event::Init(InitEvent { process_id: 1 }))
}

async fn connected(grpc: u16, rest: Option<u16>) -> (Sandbox, Client, Fake) {
    let api = api_server().await;
    let client = client(api.address).await;
    let rest = rest.unwrap_or_else(|| api.address.port());
    let mode = ConnectionMode::InClusterPodIp(InClusterPodIp {
        runtime: Runtime::Sandboxd(SandboxdPorts { rest, grpc }),
        ..InClusterPodIp::default()
    });
    let sandbox = client.connect(&ready_claim(), &mode).await;
    (sandbox.expect("connected"), client, api)
}

#[tokio::test]
async fn a_sandboxd_that_shuts_down_is_told_and_the_next_call_has_a_new_connection() {
    let server = Server::start(|_, connection| match connection {
        0 => Reply::Status(14),
        _ => ran("back"),
    })
    .await;
    let (sandbox, client, _api) = connected(server.port, None).await;
    let commands = sandbox.commands();
    let error = commands.run("true").await.expect_err("it shuts down");
    assert!(
        matches!(
            error,
            CallError::Grpc {
                code: "UNAVAILABLE",
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.delivered(), Delivered::Yes, "it is not repeated");
    assert!(
        error
            .help()
            .is_some_and(|help| help.contains("shutting down"))
    );
    assert_eq!(commands.run("true").await.expect("back").stdout, "back");
    assert_eq!(server.connections(), 2);
    client.close().await;
}

#[tokio::test]
async fn a_process_whose_connection_is_cut_ends_in_an_error_and_not_in_an_exit() {
    let server = Server::start(|path, connection| match (path, connection) {
        (method::START, 0) => Reply::Open(vec![
            begun(),
            event(Event::Stdout(Bytes::from_static(b"one\n"))),
        ]),
        _ => ran("again"),
    })
    .await;
    let (sandbox, client, _api) = connected(server.port, None).await;
    let started = sandbox.processes().start(ProcessRequest::argv(["a"])).await;
    let mut process = started.expect("started");
    let first = process.next().await.expect("an event").expect("output");
    assert_eq!(first, ProcessEvent::Stdout(Bytes::from_static(b"one\n")));
    server.cut.notify_one();
    let error = process.next().await.expect("an event").expect_err("cut");
    assert!(matches!(error, CallError::Transport { .. }), "{error}");
    assert_ne!(error.delivered(), Delivered::No);
    assert!(process.next().await.is_none());
    // What follows has a connection of its own.
    let run = sandbox.commands().run("true").await.expect("connected");
    assert_eq!((run.stdout.as_str(), server.connections()), ("again", 2));
    client.close().await;
    assert_eq!(client.open_connections(), 0);
}

#[tokio::test]
async fn many_calls_after_a_loss_make_one_connection() {
    let server = Server::start(|path, connection| match (path, connection) {
        (method::START, 0) => Reply::Open(vec![begun()]),
        _ => ran("ok"),
    })
    .await;
    let (sandbox, client, _api) = connected(server.port, None).await;
    let started = sandbox.processes().start(ProcessRequest::argv(["a"])).await;
    let mut process = started.expect("started");
    server.cut.notify_one();
    process.next().await.expect("an event").expect_err("cut");
    let commands = sandbox.commands();
    let runs = futures::future::join_all((0..20).map(|_| commands.run("true"))).await;
    for run in runs {
        assert_eq!(run.expect("run").stdout, "ok");
    }
    assert_eq!(server.connections(), 2);
    client.close().await;
}

#[tokio::test]
async fn what_sandboxd_could_not_take_is_refused_before_anything_is_sent() {
    let server = Server::start(|_, _| ran("")).await;
    let (sandbox, client, _api) = connected(server.port, None).await;
    let commands = sandbox.commands();
    let nothing: [&str; 0] = [];
    let mut errors = Vec::new();
    for command in [
        Command::argv(nothing),
        Command::argv([""]),
        Command::argv(["a", "b\0"]),
        Command::new("true").env("", "x"),
        Command::new("true").env("A=B", "x"),
        Command::new("true").cwd("a\0"),
    ] {
        errors.push(commands.run(command).await.expect_err("invalid"));
    }
    let mode = FileMode(0o1777);
    let written = sandbox.files().write_with_mode("a", "", mode).await;
    errors.push(written.expect_err("invalid"));
    for error in errors {
        assert!(matches!(error, CallError::Invalid { .. }), "{error}");
        assert_eq!(error.delivered(), Delivered::No);
    }
    client.close().await;
}

#[tokio::test]
async fn paths_are_one_segment_and_a_refusal_is_told() {
    let rest = Fake::start(|request| {
        if request.method == "PUT" {
            return rest_answer("403 Forbidden", r#"{"code":"PERMISSION_DENIED"}"#);
        }
        let listing = r#"{"path":"/","entries":[{"name":"a","size":1,"type":"file",
                "modified_at":"yesterday","mode":"0644"}]}"#;
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json";
        let length = listing.len();
        let text = format!("{head}\r\nContent-Length: {length}\r\n\r\n{listing}");
        vec![Act::Send(text.into_bytes())]
    })
    .await;
    let server = Server::start(|_, _| ran("")).await;
    let (sandbox, client, _api) = connected(server.port, Some(rest.address.port())).await;
    let files = sandbox.files();
    let denied = files.write("../a b/ü", "x").await.expect_err("denied");
    assert_eq!(denied.status(), Some(403));
    let odd = files.list("").await.expect_err("no time");
    assert!(matches!(odd, CallError::Decode { .. }), "{odd}");
    let targets: Vec<_> = rest.requests().into_iter().map(|r| r.target).collect();
    assert_eq!(targets, ["/v1/files/..%2Fa%20b%2F%C3%BC", "/v1/files/%2E"]);
    client.close().await;
}
