//! How often the hot path allocates: exact counts, the same on every machine. A number here is a
//! ceiling that may only fall; what it costs in time is `benches/hot_path.rs`.

use std::convert::Infallible;
use std::time::Duration;

use allocation_counter::measure;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sandbench::client::connect::Direct;
use sandbench::client::{ClaimSource, ConnectionMode, CreateRequest, Sandbox};
use sandbench::expr::{Bindings, Expression, Template};
use sandbench::metrics::{Histogram, Metric, Recorder, SharedAggregate, StepIndex};
use sandbench::source::Span;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::cluster::{Running, client_of};
use crate::program::Place;

/// Of one command through the client, its answer included, on a connection that is open.
const PER_COMMAND: u64 = 18;

#[test]
fn recording_ten_thousand_samples_allocates_nothing() {
    let mut recorder = Recorder::new(SharedAggregate::default());
    let mut record = || {
        for micros in 0..10_000 {
            let took = Duration::from_micros(micros);
            recorder.time(Metric::ExecDuration, Some(StepIndex(1)), took);
            recorder.count(Metric::Attempts, Some(StepIndex(1)), 1);
            recorder.hand_over();
        }
    };
    // The first round makes the series.
    record();
    assert_eq!(measure(record).count_total, 0);
}

#[test]
fn merging_histograms_of_the_same_range_allocates_nothing() {
    let mut part = Histogram::default();
    for micros in 1..1_000 {
        part.record(Duration::from_micros(micros));
    }
    let mut whole = part.clone();
    assert_eq!(measure(|| whole.merge(&part)).count_total, 0);
}

#[test]
fn a_text_without_expressions_is_rendered_without_an_allocation() {
    let bindings = Bindings::new();
    let template = Template::parse("echo hello", Span::default()).unwrap();
    let rendered = measure(|| drop(template.render(&bindings)));
    assert_eq!(rendered.count_total, 0);
}

#[test]
fn templates_and_expressions_allocate_no_more_than_they_did() {
    let mut bindings = Bindings::new();
    bindings.set("vars", "greeting", "hello");
    bindings.set("iteration", "number", 41_i64);
    let template = Template::parse("echo ${{ vars.greeting }}", Span::default()).unwrap();
    let expression = Expression::compile("iteration.number % 10 == 1").unwrap();
    // The first evaluation makes the table of functions.
    drop(expression.evaluate(&bindings));
    let rendered = measure(|| drop(template.render(&bindings))).count_total;
    let evaluated = measure(|| drop(expression.evaluate(&bindings))).count_total;
    println!("a template: {rendered}, an expression: {evaluated}");
    assert!(rendered <= 3, "a template: {rendered}");
    assert!(evaluated <= 5, "an expression: {evaluated}");
}

#[test]
fn a_command_allocates_no_more_than_it_did() {
    let place = Place::new();
    // The other side has threads of its own: only this thread's allocations are counted.
    let others = Runtime::new().unwrap();
    let running = others.block_on(Running::start(&place));
    others.block_on(running.pool("p", 1, json!({})));
    let mut serving = JoinSet::new();
    let url = others.block_on(noop_runtime(&mut serving));
    let own = Builder::new_current_thread().enable_all().build().unwrap();
    let (client, sandbox) = own.block_on(async {
        let client = client_of(&running, |builder| builder).await;
        let request = CreateRequest::new(ClaimSource::WarmPool("p".to_owned()));
        let claim = client.create(request).await.unwrap();
        let ready = claim.wait_ready(Duration::from_mins(1)).await.unwrap();
        let mode = ConnectionMode::Direct(Direct {
            url,
            ..Direct::default()
        });
        let sandbox = client.connect(&ready, &mode).await.unwrap();
        (client, sandbox)
    });
    let commands = |many: u64| own.block_on(repeat(&sandbox, many));
    // The first ones open the connection and fill caches.
    commands(10);
    let each = measure(|| commands(1_000)).count_total / 1_000;
    println!("a command: {each} allocations");
    assert!(each <= PER_COMMAND, "a command: {each} allocations");
    own.block_on(async {
        client.delete_claims_of_run().await.ok();
        client.close().await;
    });
    assert!(others.block_on(running.cluster.shutdown()).is_empty());
}

async fn repeat(sandbox: &Sandbox, many: u64) {
    for _ in 0..many {
        sandbox.commands().run("true").await.unwrap();
    }
}

/// A runtime that does nothing, and its URL.
async fn noop_runtime(tasks: &mut JoinSet<()>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let io = TokioIo::new(stream);
                let service = service_fn(nothing);
                drop(http1::Builder::new().serve_connection(io, service).await);
            });
        }
    });
    url
}

async fn nothing(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    drop(request.into_body().collect().await);
    let answer = json!({ "stdout": "", "stderr": "", "exit_code": 0 });
    Ok(Response::new(Full::new(answer.to_string().into())))
}
