//! Commands and files: the exact requests, and what is never done twice.

use std::time::Duration;

use futures::StreamExt;
use serde_json::json;
use tokio::time::Instant;

use super::fake::{Act, Fake, Recorded, answer, builder, client, discovery, ok};
use crate::client::connect::{self, ConnectionMode, InClusterPodIp};
use crate::client::{CallError, Client, Command, Delivered, LaunchType, ReadyClaim, Sandbox};
use crate::units::ByteSize;

pub(super) fn ready_claim() -> ReadyClaim {
    let now = Instant::now();
    ReadyClaim {
        claim_name: "a".to_owned(),
        claim_uid: "uid-a".to_owned(),
        sandbox_name: "warm-1".to_owned(),
        namespace: "default".to_owned(),
        pod_ips: vec!["127.0.0.1".parse().expect("an address")],
        launch_type: LaunchType::Warm,
        acknowledged: now,
        bound: now,
        ready: now,
    }
}

pub(super) async fn api_server() -> Fake {
    Fake::start(|request| discovery(request).unwrap_or_else(|| vec![Act::Hang])).await
}

/// A sandbox behind the fake, and its client.
pub(super) struct Target {
    pub(super) client: Client,
    pub(super) sandbox: Sandbox,
    _api: Fake,
}

/// Reached by a URL.
pub(super) async fn direct(fake: &Fake, path: &str) -> Target {
    let direct = connect::Direct {
        url: format!("{}{path}", fake.url()),
        ..connect::Direct::default()
    };
    reached(ConnectionMode::Direct(direct)).await
}

/// Reached by the address of its pod.
pub(super) async fn by_pod_ip(fake: &Fake) -> Target {
    let by_ip = InClusterPodIp {
        server_port: fake.address.port(),
        ..InClusterPodIp::default()
    };
    reached(ConnectionMode::InClusterPodIp(by_ip)).await
}

async fn reached(mode: ConnectionMode) -> Target {
    let api = api_server().await;
    let client = client(api.address).await;
    let sandbox = client
        .connect(&ready_claim(), &mode)
        .await
        .expect("connected");
    Target {
        client,
        sandbox,
        _api: api,
    }
}

/// The end of a connection is known once its task has ended.
pub(super) async fn until_open(client: &Client, connections: usize) {
    while client.open_connections() > connections {
        tokio::task::yield_now().await;
    }
    assert_eq!(client.open_connections(), connections);
}

pub(super) fn executed() -> Vec<Act> {
    ok(&json!({"stdout": "hi\n", "stderr": "", "exit_code": 3}))
}

/// The same, after which the peer closes the connection.
pub(super) fn executed_and_closed() -> Vec<Act> {
    let mut acts = executed();
    acts.push(Act::Close);
    acts
}

#[tokio::test]
async fn a_command_is_posted_once_with_the_routers_headers() {
    let fake = Fake::start(|_| executed()).await;
    let target = direct(&fake, "/pre/fix/").await;
    let sandbox = &target.sandbox;
    let command = Command::new("echo hi").timeout(Duration::from_secs(30));
    let result = sandbox.commands().run(command).await.expect("ran");
    assert_eq!((result.stdout.as_str(), result.exit_code), ("hi\n", 3));
    let [request]: [Recorded; 1] = fake.requests().try_into().expect("one request");
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("POST", "/pre/fix/execute")
    );
    assert_eq!(request.json(), json!({"command": "echo hi"}));
    let header = |name| request.header(name).unwrap_or_default();
    assert_eq!(header("host"), fake.address.to_string());
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("x-sandbox-id"), "warm-1");
    assert_eq!(header("x-sandbox-namespace"), "default");
    assert_eq!(header("x-sandbox-port"), "8888");
    assert_eq!(header("x-sandbox-pod-ip"), "127.0.0.1");
    let timeout: f64 = header("x-sandbox-timeout").parse().expect("a number");
    assert!(timeout > 0.0 && timeout <= 30.0, "{timeout}");
    let id = header("x-request-id");
    assert!(
        id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit()),
        "{id}"
    );
    assert_eq!(request.header("accept-encoding"), None);
}

#[tokio::test]
async fn a_sandbox_that_is_reached_directly_gets_no_router_headers() {
    let fake = Fake::start(|_| executed()).await;
    let target = by_pod_ip(&fake).await;
    let (client, sandbox) = (&target.client, &target.sandbox);
    sandbox.commands().run("true").await.expect("ran");
    let request = fake.requests().pop().expect("sent");
    let routed = request
        .headers
        .iter()
        .any(|(name, _)| name.starts_with("x-sandbox"));
    assert!(!routed, "{request:?}");
    assert_eq!(client.open_connections(), 2);
    sandbox.disconnect().await;
    assert_eq!(
        client.open_connections(),
        1,
        "only the one to the API server"
    );
    assert!(matches!(
        sandbox.commands().run("true").await,
        Err(CallError::Closed { .. })
    ));
}

#[tokio::test]
async fn an_upload_is_one_part_named_file() {
    let fake = Fake::start(|_| answer("200 OK", "{}")).await;
    let target = direct(&fake, "").await;
    let sandbox = &target.sandbox;
    let content = b"line\r\n\x00end".to_vec();
    sandbox
        .files()
        .write("/dir/a \"b\".txt", content)
        .await
        .expect("written");
    let request = fake.requests().pop().expect("sent");
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("POST", "/upload")
    );
    let kind = request.header("content-type").expect("has one");
    let boundary = kind
        .strip_prefix("multipart/form-data; boundary=")
        .expect("has one");
    assert_eq!(boundary.len(), 32);
    let expected = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; \
         filename=\"dir/a %22b%22.txt\"\r\n\r\nline\r\n\x00end\r\n--{boundary}--\r\n"
    );
    assert_eq!(String::from_utf8_lossy(&request.body), expected);
}

#[tokio::test]
async fn paths_are_one_escaped_segment_and_dots_stay() {
    let fake = Fake::start(|request| match request.target.as_str() {
        target if target.starts_with("/list/") => ok(&json!([
            {"name": "a", "size": 2, "type": "file", "mod_time": 1.5},
            {"name": "d", "size": 0, "type": "directory", "mod_time": 2.0}])),
        target if target.starts_with("/exists/") => ok(&json!({"path": "x", "exists": true})),
        _ => answer("200 OK", "content"),
    })
    .await;
    let target = direct(&fake, "").await;
    let sandbox = &target.sandbox;
    let files = sandbox.files();
    assert_eq!(files.read("/dir/a b.txt").await.expect("read"), "content");
    assert_eq!(files.list(".").await.expect("listed").len(), 2);
    files.list("").await.expect("listed");
    files.list("..").await.expect("listed");
    assert!(files.exists("a/b%").await.expect("asked"));
    let targets: Vec<String> = fake.requests().into_iter().map(|r| r.target).collect();
    assert_eq!(
        targets,
        [
            "/download/dir%2Fa%20b.txt",
            "/list/%2E",
            "/list/%2E",
            "/list/%2E%2E",
            "/exists/a%2Fb%25"
        ]
    );
    let error = files.read("../x").await.expect_err("refused");
    assert_eq!(error.delivered(), Delivered::No);
    assert_eq!(fake.requests().len(), 5);
}

#[tokio::test]
async fn a_command_is_not_sent_again_after_a_reset() {
    for end in [Act::Reset, Act::Close] {
        let fake = Fake::start(move |_| vec![end.clone()]).await;
        let target = direct(&fake, "").await;
        let sandbox = &target.sandbox;
        let error = sandbox.commands().run("touch x").await.expect_err("reset");
        assert!(matches!(error, CallError::Transport { .. }), "{error}");
        assert_eq!(error.delivered(), Delivered::Unknown);
        assert_eq!(fake.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_refused_connection_is_surely_not_delivered() {
    let fake = Fake::start(|_| executed_and_closed()).await;
    let target = direct(&fake, "").await;
    let (client, sandbox) = (&target.client, &target.sandbox);
    sandbox.commands().run("true").await.expect("ran");
    drop(fake);
    until_open(client, 1).await;
    let error = sandbox.commands().run("true").await.expect_err("refused");
    assert!(matches!(error, CallError::Connect { .. }), "{error}");
    assert_eq!(error.delivered(), Delivered::No);
}

#[tokio::test]
async fn a_redirect_is_an_error_and_not_followed() {
    let fake = Fake::start(|_| {
        vec![Act::Send(
            b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
                .to_vec(),
        )]
    })
    .await;
    let target = direct(&fake, "").await;
    let sandbox = &target.sandbox;
    let error = sandbox.files().read("a").await.expect_err("redirect");
    assert!(
        matches!(&error, CallError::Redirect { status: 307, location, .. } if location == "/elsewhere"),
        "{error}"
    );
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn a_failure_keeps_its_status_and_64_kib_of_its_body() {
    let fake = Fake::start(|_| answer("502 Bad Gateway", vec![b'x'; 100_000])).await;
    let target = direct(&fake, "").await;
    let sandbox = &target.sandbox;
    let error = sandbox.commands().run("true").await.expect_err("failed");
    assert_eq!(error.status(), Some(502));
    assert_eq!(error.body().map(bytes::Bytes::len), Some(64 << 10));
    assert_eq!(error.delivered(), Delivered::Yes);
    assert!(error.help().is_some());
}

#[tokio::test]
async fn an_answer_that_is_not_understood_is_shown() {
    let fake = Fake::start(|_| answer("200 OK", "<html>")).await;
    let target = direct(&fake, "").await;
    let sandbox = &target.sandbox;
    let error = sandbox.commands().run("true").await.expect_err("not JSON");
    assert!(error.to_string().contains("<html>"), "{error}");
}

#[tokio::test]
async fn an_empty_answer_to_a_command_is_a_result_without_exit_code() {
    // T14 of the Python SDK's checks.
    let fake = Fake::start(|_| ok(&json!({}))).await;
    let target = direct(&fake, "").await;
    let result = target.sandbox.commands().run("true").await.expect("ran");
    assert_eq!((result.stdout.as_str(), result.exit_code), ("", -1));
}

#[tokio::test]
async fn an_entry_that_is_neither_file_nor_directory_is_not_understood() {
    // T15 of the Python SDK's checks.
    let entry = json!([{"name": "a", "size": 0, "type": "socket", "mod_time": 0.0}]);
    let fake = Fake::start(move |_| ok(&entry)).await;
    let target = direct(&fake, "").await;
    let error = target.sandbox.files().list("").await.expect_err("odd");
    assert!(matches!(error, CallError::Decode { .. }), "{error}");
    assert!(error.to_string().contains("socket"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn one_deadline_bounds_the_whole_call() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".to_vec();
    for (acts, delivered) in [
        (vec![Act::Hang], Delivered::Unknown),
        (vec![Act::Send(head), Act::Hang], Delivered::Yes),
    ] {
        let fake = Fake::start(move |_| acts.clone()).await;
        let target = direct(&fake, "").await;
        let sandbox = &target.sandbox;
        let started = Instant::now();
        let files = sandbox.files().timeout(Duration::from_secs(2));
        let error = files.read("a").await.expect_err("late");
        assert!(matches!(error, CallError::Timeout { .. }), "{error}");
        assert_eq!(error.delivered(), delivered);
        assert!(started.elapsed() < Duration::from_secs(3));
        // The connection of an unfinished call cannot be used again.
        until_open(&target.client, 1).await;
    }
}

#[tokio::test]
async fn a_large_file_survives_both_ways() {
    let content: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    let stored = content.clone();
    let fake = Fake::start(move |request| match request.method.as_str() {
        "GET" => answer("200 OK", &stored),
        _ => answer("200 OK", "{}"),
    })
    .await;
    let target = direct(&fake, "").await;
    let sandbox = &target.sandbox;
    sandbox
        .files()
        .write("a", content.clone())
        .await
        .expect("written");
    assert_eq!(sandbox.files().read("a").await.expect("read"), content);
    let sent = fake.requests().swap_remove(0).body;
    assert!(sent.windows(1000).any(|window| window == &content[..1000]));
    assert!(sent.len() > content.len());
}

#[tokio::test]
async fn a_file_that_is_larger_than_wanted_is_refused() {
    const LIMIT: ByteSize = ByteSize(7);
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n";
    for (acts, first) in [
        (answer("200 OK", "helloworld"), None),
        (vec![Act::Send(chunks.into())], Some("hello")),
    ] {
        let fake = Fake::start(move |_| acts.clone()).await;
        let target = direct(&fake, "").await;
        let files = target.sandbox.files().max_size(LIMIT);
        let error = files.read("a").await.expect_err("too large");
        assert!(matches!(error, CallError::TooLarge { limit: LIMIT, .. }));
        let error = match first {
            None => files.download("a").await.expect_err("its size is told"),
            Some(first) => {
                let mut pieces = files.download("a").await.expect("begins");
                let piece = pieces.next().await.expect("comes").expect("fits");
                assert_eq!(piece, first);
                let error = pieces.next().await.expect("more comes");
                assert!(pieces.next().await.is_none(), "an error is the end");
                error.expect_err("too large")
            }
        };
        assert!(matches!(error, CallError::TooLarge { limit: LIMIT, .. }));
        let error = files.write("a", "helloworld").await.expect_err("too large");
        assert_eq!(error.delivered(), Delivered::No);
        target.sandbox.files().read("a").await.expect("no limit");
    }
}

#[tokio::test(start_paused = true)]
async fn connecting_is_bounded_as_a_whole() {
    // The address of the Pod is asked for, and no answer comes.
    let api = api_server().await;
    let builder = builder(api.address).request_timeout(Duration::from_secs(2));
    let client = builder.build().await.expect("answers");
    let claim = ReadyClaim {
        pod_ips: Vec::new(),
        ..ready_claim()
    };
    let started = Instant::now();
    let mode = ConnectionMode::InClusterPodIp(InClusterPodIp::default());
    client.connect(&claim, &mode).await.expect_err("no answer");
    assert!(started.elapsed() < Duration::from_secs(3));
}
