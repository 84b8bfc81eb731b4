//! What the parts of the hot path cost: `cargo bench --bench hot_path`. How often they allocate is a
//! test, `tests/it/allocations.rs`, since that does not depend on the machine.

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};
use sandbench::api::claim::SandboxClaim;
use sandbench::client::connect::Direct;
use sandbench::client::{
    ClaimSource, Client, ConnectionMode, CreateRequest, Sandbox, TemplateRequest, WarmPoolRequest,
};
use sandbench::expr::{Bindings, Expression, Template};
use sandbench::load::{Arrival, Open, Profile};
use sandbench::loopback::{Cluster, ClusterConfig};
use sandbench::metrics::{Histogram, Metric, Recorder, SharedAggregate, StepIndex};
use sandbench::scenario;
use sandbench::source::{SourceFile, Span};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// A claim as a watch sends it, ready.
const CLAIM: &str = include_str!("data/claim.json");

fn metrics(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("metrics");
    let mut recorder = Recorder::new(SharedAggregate::default());
    let took = Duration::from_micros(730);
    group.bench_function("record a sample, histogram included", |bencher| {
        bencher.iter(|| recorder.time(Metric::ExecDuration, Some(StepIndex(1)), black_box(took)));
    });
    let (mut whole, mut part) = (Histogram::default(), Histogram::default());
    for micros in 1..10_000 {
        part.record(Duration::from_micros(micros));
    }
    group.bench_function("merge a histogram", |bencher| {
        bencher.iter(|| whole.merge(black_box(&part)));
    });
    group.finish();
}

fn pacing(criterion: &mut Criterion) {
    let open = Open {
        rate: Profile::constant(5_000.0, Some(Duration::from_secs(1))),
        arrival: Arrival::Poisson,
        iterations: None,
        max_in_flight: 1_000,
    };
    let mut group = criterion.benchmark_group("load");
    group.throughput(Throughput::Elements(5_000));
    group.bench_function("Poisson arrivals of one second at 5,000/s", |bencher| {
        bencher.iter(|| open.arrivals(black_box(7)).count());
    });
    group.finish();
}

fn expressions(criterion: &mut Criterion) {
    let mut bindings = Bindings::new();
    bindings.set("vars", "greeting", "hello");
    bindings.set("iteration", "number", 41_i64);
    let mut group = criterion.benchmark_group("expr");
    let template = Template::parse("echo ${{ vars.greeting }}", Span::default())
        .expect("the template is valid");
    group.bench_function("render a template", |bencher| {
        bencher.iter(|| template.render(black_box(&bindings)));
    });
    let expression =
        Expression::compile("iteration.number % 10 == 1").expect("the expression is valid");
    group.bench_function("evaluate a CEL expression", |bencher| {
        bencher.iter(|| expression.evaluate(black_box(&bindings)));
    });
    group.finish();
}

fn language(criterion: &mut Criterion) {
    let head = "version: 1\nname: long\ntarget: { warmPool: p, mode: direct, apiUrl: http://r }\n\
                scenarios:\n  long:\n    steps:\n      - create: {}\n";
    let step = "      - exec: echo ${{ iteration.number }}\n        \
                expect: { exitCode: 0, duration: { lt: 5s } }\n";
    let file = SourceFile::from_text("long.yaml", [head, &step.repeat(199)].concat());
    let (found, problems) = scenario::parse(&file);
    assert!(found.is_some() && problems.is_empty(), "{problems:?}");
    criterion.bench_function("scenario/check 200 steps", |bencher| {
        bencher.iter(|| scenario::parse(black_box(&file)));
    });
}

fn wire(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wire");
    group.throughput(Throughput::Bytes(CLAIM.len() as u64));
    group.bench_function("decode a claim of a watch event", |bencher| {
        bencher.iter(|| serde_json::from_str::<SandboxClaim>(black_box(CLAIM)));
    });
    group.finish();
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    drop(request.into_body().collect().await);
    let nothing = json!({ "stdout": "", "stderr": "", "exit_code": 0 });
    Ok(Response::new(Full::new(nothing.to_string().into())))
}

/// A runtime that does nothing, a sandbox that is reached there, and what must outlive both.
async fn sandbox(tasks: &mut JoinSet<()>) -> (Cluster, Client, Sandbox) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let service = service_fn(answer);
                let io = TokioIo::new(stream);
                drop(http1::Builder::new().serve_connection(io, service).await);
            });
        }
    });
    let cluster = Cluster::start(ClusterConfig::default())
        .await
        .expect("a cluster");
    let kubeconfig = Kubeconfig::from_yaml(&cluster.kubeconfig()).expect("a kubeconfig");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .expect("its only context");
    let client = Client::builder().kubernetes(config).build().await;
    let client = client.expect("a client");
    let containers = json!({ "spec": { "containers": [{ "name": "c", "image": "python" }] } });
    let template = TemplateRequest::new("t", containers);
    client.create_template(template).await.expect("a template");
    let pool = WarmPoolRequest::new("p", "t");
    client.create_warm_pool(pool).await.expect("a pool");
    let mode = ConnectionMode::Direct(Direct {
        url: format!("http://{address}"),
        ..Direct::default()
    });
    let request = CreateRequest::new(ClaimSource::WarmPool("p".to_owned()));
    let claim = client.create(request).await.expect("a claim");
    let ready = claim
        .wait_ready(client.ready_timeout())
        .await
        .expect("a sandbox");
    let sandbox = client.connect(&ready, &mode).await.expect("a connection");
    (cluster, client, sandbox)
}

fn call(criterion: &mut Criterion) {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let runtime = Runtime::new().expect("a runtime");
    let mut tasks = JoinSet::new();
    let (cluster, client, sandbox) = runtime.block_on(sandbox(&mut tasks));
    criterion.bench_function("client/a command, round trip on one machine", |bencher| {
        bencher.iter(|| runtime.block_on(async { sandbox.commands().run("true").await }));
    });
    runtime.block_on(async {
        client.close().await;
        assert!(cluster.shutdown().await.is_empty());
    });
    drop(tasks);
}

criterion_group!(benches, metrics, pacing, expressions, language, wire, call);
criterion_main!(benches);
