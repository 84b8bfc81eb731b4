//! Expectations on traces: `traces` of a scenario file, judged in a run of the built program.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use sandbench::metrics::{Expected, Outcome, Presence, Summary, TraceExpectation, Verdict};
use sandbench::telemetry::{About, CellPlan, Others, Settings, Telemetry, resolve};
use sandbench::trace::{SpanContext, SpanId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::cluster::Running;
use crate::program::{Ended, Place, ended};

/// A life of a sandbox, with these lines below `expect`.
fn scenario(expect: &[&str]) -> String {
    let lines = expect.join("\n    - ");
    format!(
        "version: 1\nname: traces\ntarget: {{ warmPool: p, mode: tunnel }}\ntraces:\n  expect:\n    - {lines}\n\
         scenarios:\n  life:\n    steps:\n      - create: {{}}\n      - exec: echo hello\n        id: say\n"
    )
}

/// Runs the scenario; gives how it ended, its result and its JUnit report.
async fn run(
    place: &Place,
    expect: &[&str],
    (arguments, environment): (&[&str], &[(&str, &str)]),
) -> (Ended, Summary, String) {
    let file = place.file("scenario.yaml", &scenario(expect));
    let (result, junit) = (place.path("result.json"), place.path("junit.xml"));
    let mut command = place.command();
    command
        .args(["run", file.to_str().unwrap(), "--out"])
        .arg(format!("json={}", result.display()))
        .arg("--out")
        .arg(format!("junit={}", junit.display()))
        .args(arguments)
        .envs(environment.iter().copied());
    let ended = ended(command).await;
    let read = |path| std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{e}: {ended:?}"));
    let (summary, junit) = (serde_json::from_str(&read(&result)).unwrap(), read(&junit));
    (ended, summary, junit)
}

const CLAIM: &str = "{ span: ReconcileSandboxClaim, service: agent-sandbox-controller, under: create, took: < 60s }";
const ROUTER: &str = "{ hop: router, took: p95 < 250ms }";

#[tokio::test(flavor = "multi_thread")]
async fn traces_as_expected_pass_on_the_loopback_cluster_without_a_flag() {
    let place = Place::new();
    let own = "{ span: exec, service: sandbench, took: < 60s }";
    let answered = "{ span: HTTP POST, service: sandbox-router, under: say, in: some }";
    let expect = [
        CLAIM,
        own,
        answered,
        "{ hop: claim-controller, took: max < 60s }",
    ];
    let (ended, summary, junit) = run(&place, &expect, (&[], &[])).await;
    ended.assert_code(0).assert_says("1 of 1 iterations judged");
    assert_eq!(summary.traces.len(), 4);
    for result in &summary.traces {
        assert_eq!((result.outcome, result.judged), (Outcome::Held, 1));
        assert!(result.longest_ns.is_some(), "{result:?}");
        assert!(junit.contains("in every trace"), "{junit}");
    }
    assert!(!junit.contains("<failure"), "{junit}");
    place.assert_nothing_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_slow_hop_is_found_and_ends_with_99_and_its_trace() {
    let place = Place::new();
    let slow = [("SANDBENCH_FAULT", "runtime.execute=delay(300ms)")];
    let url = ["--trace-url", "http://jaeger:16686"];
    let (ended, summary, junit) = run(&place, &[CLAIM, ROUTER], (&url, &slow)).await;
    ended
        .assert_code(99)
        .assert_says("MISSED hop router: took p95 < 250ms");
    let [claim, router] = summary.traces.as_slice() else {
        panic!("{:?}", summary.traces)
    };
    assert_eq!(claim.outcome, Outcome::Held);
    assert_eq!(router.outcome, Outcome::Failed);
    assert!(router.longest_ns.unwrap() >= 300_000_000, "{router:?}");
    assert_eq!(summary.verdict, Verdict::Failed);
    let trace = router.example.as_ref().unwrap();
    ended.assert_says(&format!("= trace http://jaeger:16686/trace/{trace}"));
    assert!(
        junit.contains("<failure") && junit.contains(trace.as_str()),
        "{junit}"
    );
    // The iteration itself passed.
    assert_eq!(summary.cells[0].verdict, Verdict::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_that_is_missing_ends_with_99() {
    let place = Place::new();
    let elsewhere = "{ span: ReconcileSandboxClaim, under: say }";
    let (ended, summary, _) = run(&place, &["span: Recon", elsewhere], (&[], &[])).await;
    ended.assert_code(99).assert_says("0 found, none in 1");
    for result in &summary.traces {
        assert_eq!((result.outcome, result.without), (Outcome::Failed, 1));
        assert!(result.example.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_traced_iteration_nothing_is_passed_silently() {
    let place = Place::new();
    let none = ["--trace-sample", "0%", "--trace-keep", "none"];
    let (ended, summary, _) = run(&place, &[CLAIM], (&none, &[])).await;
    ended
        .assert_code(99)
        .assert_says("nothing to judge")
        .assert_says("raise `--trace-sample`");
    assert_eq!(summary.traces[0].outcome, Outcome::NoSamples);
    assert_eq!(
        (summary.traces[0].iterations, summary.traces[0].judged),
        (1, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_real_cluster_spans_of_others_need_an_address_before_anything_is_created() {
    let place = Place::new();
    let file = place.file("others.yaml", &scenario(&[ROUTER]));
    let cluster = ["--cluster", "context:there-is-none"];
    let refused = place.run(&[&["run", file.to_str().unwrap()], &cluster[..]].concat());
    refused
        .assert_code(2)
        .assert_says("add `--otlp-listen ADDRESS`");

    // Our own spans need nobody else, and no receiver.
    let running = Running::start(&place).await;
    running.pool("p", 1, serde_json::json!({})).await;
    let own = "{ span: create, service: sandbench, took: < 60s }";
    let file = place.file("own.yaml", &scenario(&[own]));
    let mut command = place.command();
    command
        .args(["run", file.to_str().unwrap(), "--cluster", "current"])
        .env("KUBECONFIG", &running.kubeconfig);
    let ended = ended(command).await;
    ended
        .assert_code(0)
        .assert_says("held span create of sandbench in every trace: took < 1m");
}

#[test]
fn a_dry_run_shows_what_is_expected_and_the_address_that_it_needs() {
    let place = Place::new();
    let file = place.file("f.yaml", &scenario(&[CLAIM, ROUTER]));
    let file = file.to_str().unwrap();
    let shown = place.run(&["run", file, "--dry-run"]);
    shown
        .assert_code(0)
        .assert_says("hop router: took p95 < 250ms")
        .assert_says("in every trace: took < 1m");
    let line = |of: &Ended| {
        let mut lines = of.stdout.lines();
        let found = lines.find(|line| line.contains("--otlp-listen"));
        found
            .unwrap()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(line(&shown), "--otlp-listen 127.0.0.1:0 traces.expect");
    let real = place.run(&["run", file, "--dry-run", "--cluster", "current"]);
    assert_eq!(line(&real), "--otlp-listen none default");
}

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

/// Sends a span of the controller's below ours, over HTTP.
async fn send(to: std::net::SocketAddr, parent: SpanContext) {
    let span = Span {
        trace_id: parent.trace.as_bytes().to_vec(),
        span_id: SpanId::random().as_bytes().to_vec(),
        parent_span_id: parent.span.as_bytes().to_vec(),
        name: "Reconcile".to_owned(),
        end_time_unix_nano: 5,
        ..Span::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![attribute("service.name", "controller")],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans: vec![span],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    let body = request.encode_to_vec();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: here\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream
        .write_all(&[head.as_bytes(), &body].concat())
        .await
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
}

/// Judges one iteration whose span of another's comes so long after the end of the run.
async fn judged(late: Duration) -> (Summary, Duration) {
    const CELL: &str = "full-life[mode=gateway]";
    let example = include_str!("../../reports/example.json");
    let mut summary: Summary = serde_json::from_str(example).unwrap();
    summary.traces.clear();
    let settings = Settings {
        listen: Some("127.0.0.1:0".parse().unwrap()),
        judge: true,
        ..Settings::default()
    };
    let config = resolve(&settings, &std::collections::BTreeMap::new());
    let expectation = TraceExpectation {
        what: Expected::Span {
            name: "Reconcile".to_owned(),
            service: Some("controller".to_owned()),
            under: None,
            presence: Presence::Every,
        },
        took: None,
    };
    let about = About {
        cells: vec![CellPlan {
            name: CELL.to_owned(),
            operations: Vec::new(),
            expectations: vec![expectation],
        }],
        ..About::default()
    };
    let telemetry = Telemetry::start(config.unwrap().unwrap(), about)
        .await
        .unwrap();
    let cell = telemetry.tracer().cell(CELL);
    let trace = cell.begin(0);
    let parent = trace.context();
    cell.finish(0, trace.finish(), &|_| {});
    let address = telemetry.listens_on().unwrap();
    let sending = async {
        tokio::time::sleep(late).await;
        send(address, parent).await;
    };
    let begun = Instant::now();
    let finishing = async {
        telemetry.finish(&mut summary, Others::MayBeUnderWay).await;
        begun.elapsed()
    };
    tokio::pin!(sending);
    let took = tokio::select! {
        took = finishing => took,
        took = async {
            sending.await;
            std::future::pending().await
        } => took,
    };
    (summary, took)
}

#[tokio::test(start_paused = true)]
async fn spans_that_are_under_way_when_the_run_is_over_are_waited_for_and_no_longer_than_that() {
    let (summary, _) = judged(Duration::from_secs(5)).await;
    let [result] = summary.traces.as_slice() else {
        panic!("{:?}", summary.traces)
    };
    assert_eq!((result.outcome, result.n), (Outcome::Held, 1));
    let (summary, took) = judged(Duration::from_hours(1)).await;
    assert_eq!(summary.traces[0].outcome, Outcome::Failed);
    assert_eq!(summary.traces[0].without, 1);
    assert!(took < Duration::from_secs(12), "{took:?}");
}
