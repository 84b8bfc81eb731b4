//! Repetitions: what is sent again, what is not, and that all of it is told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use super::calls::{api_server, ready_claim};
use super::fake::{Act, Fake, answer, builder, discovery, ok, request, status};
use crate::client::connect::{self, ConnectionMode};
use crate::client::{
    Attempt, AttemptObserver, AttemptOutcome, AttemptTarget, CallError, CallOptions, Client,
    Deleted, Delivered, RetryPolicy, Sandbox,
};

/// Writes down attempts.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl AttemptObserver for Log {
    fn attempt(&self, attempt: &Attempt<'_>) {
        if attempt.target == AttemptTarget::Sandbox {
            let how = match attempt.outcome {
                AttemptOutcome::Done => "done".to_owned(),
                AttemptOutcome::Failed { error, retry_in } => {
                    format!("{error}; again: {}", retry_in.is_some())
                }
            };
            let line = format!("{} {}: {how}", attempt.number, attempt.operation);
            self.0.lock().expect("not poisoned").push(line);
        }
    }
}

fn quick(max_attempts: u32) -> RetryPolicy {
    RetryPolicy {
        max_attempts,
        initial_delay: Duration::from_millis(1),
        max_delay: Duration::from_millis(2),
        attempt_timeout: None,
    }
}

/// Fails so many times, then answers.
fn failing(times: usize, code: &'static str) -> impl Fn() -> Vec<Act> + Send + Sync {
    let left = AtomicUsize::new(times);
    move || {
        let fail = left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            })
            .is_ok();
        if fail {
            answer(code, "")
        } else {
            ok(&json!({"exists": true, "stdout": "", "stderr": "", "exit_code": 0}))
        }
    }
}

async fn sandbox(router: &Fake, policy: RetryPolicy, log: Log) -> (Sandbox, Client, Fake) {
    let api = api_server().await;
    let client = builder(api.address)
        .retry(policy)
        .seed(1)
        .attempt_observer(log)
        .build()
        .await
        .expect("built");
    let mode = ConnectionMode::Direct(connect::Direct {
        url: router.url(),
        ..connect::Direct::default()
    });
    let sandbox = client.connect(&ready_claim(), &mode).await;
    (sandbox.expect("connected"), client, api)
}

#[tokio::test]
async fn reading_is_repeated_and_every_attempt_is_told_and_has_the_same_id() {
    let script = failing(2, "503 Service Unavailable");
    let router = Fake::start(move |_| script()).await;
    let log = Log::default();
    let (sandbox, client, _api) = sandbox(&router, quick(4), log.clone()).await;
    let before = client.attempts();
    assert!(sandbox.files().exists("a").await.expect("at last"));
    let lines = log.0.lock().expect("not poisoned").clone();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("1 look for `a`"), "{lines:?}");
    assert!(lines[0].ends_with("again: true"), "{lines:?}");
    assert!(lines[2].ends_with("done"), "{lines:?}");
    let counts = client.attempts();
    assert_eq!(counts.attempts - before.attempts, 3);
    assert_eq!(counts.repeated - before.repeated, 2);
    let requests = router.requests();
    let ids: Vec<_> = requests.iter().map(|r| r.header("x-request-id")).collect();
    assert!(ids[0].is_some() && ids.iter().all(|id| *id == ids[0]));
}

#[tokio::test]
async fn the_last_failure_tells_how_many_attempts_there_were() {
    let router = Fake::start(|_| answer("502 Bad Gateway", "no")).await;
    let (sandbox, _client, _api) = sandbox(&router, quick(3), Log::default()).await;
    let error = sandbox.files().read("a").await.expect_err("always 502");
    assert!(error.to_string().ends_with("gave up after 3 attempts"));
    assert_eq!((error.attempts(), error.status()), (3, Some(502)));
    assert_eq!(router.requests().len(), 3);
    let missing = Fake::start(|_| answer("404 Not Found", "")).await;
    let (sandbox, _client, _api) = self::sandbox(&missing, quick(3), Log::default()).await;
    let error = sandbox.files().read("a").await.expect_err("none");
    assert_eq!((error.attempts(), error.status()), (1, Some(404)));
}

#[tokio::test]
async fn a_command_or_a_file_that_may_have_arrived_is_not_sent_again() {
    for act in [
        answer("502 Bad Gateway", ""),
        answer("503 Service Unavailable", ""),
        vec![Act::Close],
        vec![Act::Reset],
    ] {
        let router = Fake::start(move |_| act.clone()).await;
        let (sandbox, _client, _api) = sandbox(&router, quick(4), Log::default()).await;
        sandbox.commands().run("true").await.expect_err("failed");
        sandbox.files().write("a", "b").await.expect_err("failed");
        assert_eq!(router.requests().len(), 2);
    }
}

#[tokio::test]
async fn a_command_that_surely_did_not_arrive_is_sent_again() {
    let last =
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 15\r\n\r\n{\"exists\":true}";
    let router = Fake::start(move |_| vec![Act::Send(last.into()), Act::Close]).await;
    let (sandbox, _client, _api) = sandbox(&router, quick(3), Log::default()).await;
    sandbox.files().exists("a").await.expect("answered");
    router.stop().await;
    // Nobody listens any more: every attempt fails before anything is sent.
    let error = sandbox.commands().run("true").await.expect_err("refused");
    assert!(
        matches!(&error, CallError::Exhausted { attempts: 3, source, .. }
            if matches!(**source, CallError::Connect { .. })),
        "{error:?}"
    );
    assert_eq!(error.delivered(), Delivered::No);
}

#[tokio::test]
async fn one_call_can_have_a_policy_of_its_own() {
    let router = Fake::start(|_| answer("503 Service Unavailable", "")).await;
    let (sandbox, _client, _api) = sandbox(&router, RetryPolicy::never(), Log::default()).await;
    sandbox.files().exists("a").await.expect_err("once");
    assert_eq!(router.requests().len(), 1);
    let options = CallOptions {
        retry: Some(quick(2)),
        ..CallOptions::default()
    };
    let other = sandbox.with(options);
    other.files().exists("a").await.expect_err("twice");
    assert_eq!(router.requests().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_more_time_than_there_is_is_not_asked_again() {
    let wait = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 61\r\nContent-Length: 0\r\n\r\n";
    let router = Fake::start(move |_| vec![Act::Send(wait.into())]).await;
    let (sandbox, _client, _api) = sandbox(&router, quick(4), Log::default()).await;
    let error = sandbox.files().exists("a").await.expect_err("no time");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(61)));
    assert_eq!(router.requests().len(), 1);
}

#[tokio::test]
async fn an_api_server_that_limits_the_rate_is_asked_again_as_it_says() {
    let left = AtomicUsize::new(2);
    let api = Fake::start(move |request| {
        if let Some(found) = discovery(request) {
            return found;
        }
        let limited = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(1)
        });
        if limited.is_ok() {
            return status(429, "TooManyRequests", "slow down");
        }
        ok(&json!({"kind": "Status", "status": "Success"}))
    })
    .await;
    let client = builder(api.address).retry(quick(4)).build().await;
    let client = client.expect("built");
    let deleted = client.delete("a", None).await.expect("at last");
    assert_eq!(deleted, Deleted::Accepted);
    assert_eq!(api.count("DELETE"), 3);
}

#[tokio::test]
async fn a_creation_that_may_have_happened_is_looked_up_and_not_repeated() {
    let api = Fake::start(|request| {
        discovery(request).unwrap_or_else(|| match request.method.as_str() {
            "POST" => status(503, "ServiceUnavailable", "busy"),
            _ => status(404, "NotFound", "none"),
        })
    })
    .await;
    let client = builder(api.address).retry(quick(4)).build().await;
    let client = client.expect("built");
    client.create(request("a")).await.expect_err("busy");
    assert_eq!(api.count("POST"), 1);
}
