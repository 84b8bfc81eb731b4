//! Traces and metrics of the built program, as a receiver gets them.

mod tests {
    use std::collections::{HashMap, HashSet};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use sandbench::metrics::{Summary, TelemetrySummary};
    use sandbench::telemetry::{
        About, CellPlan, Compression, Keep, OperationPlan, Protocol, Settings, Telemetry, resolve,
    };
    use sandbench::trace::{CellTracer, Finished, Kind, Role, Span, SpanId, Tracer};
    use sandbench::units::Ratio;
    use tonic::Code;

    use crate::authority::Authority;
    use crate::program::{Ended, Place, ended};
    use crate::receiver::{Manner, Receiver, Seen, points_of};

    const LIFE: &str = r"version: 1
name: life
target: { warmPool: p }
scenarios:
  life:
    matrix: { mode: [tunnel] }
    steps:
      - create: {}
      - exec: echo s3cret-argument
        name: say
      - write: { path: a.txt, content: s3cret-content }
      - read: a.txt
      - delete: {}
";

    /// Runs a scenario that sends to a receiver; gives how it ended and its result.
    async fn run(place: &Place, yaml: &str, arguments: &[&str]) -> (Ended, Summary) {
        let file = place.file("scenario.yaml", yaml);
        let result = place.path("result.json");
        let mut command = place.command();
        command
            .args(["run", file.to_str().unwrap(), "--out"])
            .arg(format!("json={}", result.display()))
            .args(arguments);
        let ended = ended(command).await;
        let text = std::fs::read_to_string(&result);
        let text = text.unwrap_or_else(|error| panic!("{error}: {ended:?}"));
        let summary = serde_json::from_str(&text).unwrap();
        (ended, summary)
    }

    async fn check(place: &Place, url: &str, arguments: &[&String]) -> Ended {
        let mut command = place.command();
        command.args(["telemetry", "check", "--otlp-endpoint", url]);
        command.args(arguments);
        ended(command).await
    }

    fn told(summary: &Summary) -> &TelemetrySummary {
        let told = summary.telemetry.as_ref().unwrap();
        assert!(told.spans.is_complete(), "{:?}", told.spans);
        told
    }

    /// Asserts that the spans are one tree, and gives it with a line per span.
    fn one_tree(spans: &[Seen]) -> String {
        let traces: HashSet<&[u8]> = spans.iter().map(|seen| &*seen.span.trace_id).collect();
        assert_eq!(traces.len(), 1, "{spans:?}");
        let ids: HashSet<&[u8]> = spans.iter().map(|seen| &*seen.span.span_id).collect();
        assert_eq!(ids.len(), spans.len(), "ids are distinct");
        let mut below: HashMap<&[u8], Vec<&Seen>> = HashMap::new();
        let mut roots = Vec::new();
        for seen in spans {
            let parent: &[u8] = &seen.span.parent_span_id;
            if parent.is_empty() {
                roots.push(seen);
            } else {
                assert!(ids.contains(parent), "{} hangs in the air", seen.span.name);
                below.entry(parent).or_default().push(seen);
            }
        }
        assert_eq!(roots.len(), 1);
        let mut lines = Vec::new();
        draw(roots[0], &below, 0, &mut lines);
        assert_eq!(lines.len(), spans.len(), "no circle");
        lines.join("\n")
    }

    fn draw(
        seen: &Seen,
        below: &HashMap<&[u8], Vec<&Seen>>,
        depth: usize,
        lines: &mut Vec<String>,
    ) {
        let indent = "  ".repeat(depth);
        lines.push(format!("{indent}{} ({})", seen.span.name, seen.service));
        let mut children = below.get(&*seen.span.span_id).cloned().unwrap_or_default();
        children.sort_by_key(|seen| seen.span.start_time_unix_nano);
        for child in children {
            draw(child, below, depth + 1, lines);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_lifecycle_arrives_as_one_tree_from_the_step_to_the_controller() {
        let place = Place::new();
        let receiver = Receiver::start(Manner::Takes).await;
        let (ended, summary) = run(&place, LIFE, &["--otlp-endpoint", &receiver.url()]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let spans = receiver.spans();
        let tree = one_tree(&spans);
        println!("{tree}");
        for line in [
            "iteration (sandbench)",
            "  create (sandbench)",
            "    post (sandbench)",
            "      POST sandboxclaims (sandbench)",
            "    ReconcileSandboxClaim (agent-sandbox-controller)",
            "    ReconcileSandbox (agent-sandbox-controller)",
            "      reconcilePod (agent-sandbox-controller)",
            "    bound (sandbench)",
            "    ready (sandbench)",
            "    connect (sandbench)",
            "  exec (sandbench)",
            "    POST /execute (sandbench)",
            "      HTTP POST (sandbox-router)",
            "  read (sandbench)",
            "    GET /download/{path} (sandbench)",
            "  delete (sandbench)",
            "    DELETE sandboxclaims (sandbench)",
        ] {
            assert!(tree.lines().any(|found| found == line), "{line}\n{tree}");
        }
        let exec = spans.iter().find(|seen| seen.span.name == "exec").unwrap();
        let executable = exec.attribute("sandbox.command.executable");
        assert_eq!(executable.as_deref(), Some("echo"));
        assert_eq!(exec.attribute("sandbox.exit_code").as_deref(), Some("0"));
        assert_eq!(exec.attribute("sandbench.step").as_deref(), Some("say"));
        let all = format!("{spans:?} {:?}", receiver.metrics());
        assert!(!all.contains("s3cret"), "nothing of arguments and contents");
        let told = told(&summary);
        let own = spans.iter().filter(|seen| seen.service == "sandbench");
        assert_eq!(told.spans.sent, own.count() as u64);
        assert_eq!(told.spans.lost(), 0);
        assert_eq!(told.kept.get("first"), Some(&1));
        place.assert_nothing_left();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn metrics_are_the_reports_own_figures_with_traces_for_their_buckets() {
        let place = Place::new();
        let receiver = Receiver::start(Manner::Takes).await;
        let arguments = [
            "--otlp-endpoint",
            &receiver.url(),
            "--otlp-protocol",
            "http/protobuf",
            "--otlp-compression",
            "gzip",
            "--otlp-header",
            "x-tenant=seven",
        ];
        let (ended, summary) = run(&place, LIFE, &arguments).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let tenants = receiver.headers();
        // The loopback cluster's own process is told the headers too.
        assert!(tenants.iter().all(|headers| headers["x-tenant"] == "seven"));
        let metrics = receiver.metrics();
        let points: usize = metrics.iter().map(points_of).sum();
        assert_eq!(told(&summary).points.sent, points as u64);
        let steps = metrics
            .iter()
            .find(|metric| metric.name == "sandbench.step_duration");
        let Some(Data::ExponentialHistogram(steps)) = &steps.unwrap().data else {
            panic!("{steps:?}")
        };
        assert_eq!(steps.data_points.len(), 5, "one series per step");
        let traces: HashSet<Vec<u8>> = receiver
            .spans()
            .into_iter()
            .map(|seen| seen.span.trace_id)
            .collect();
        for point in &steps.data_points {
            assert_eq!(point.count, 1);
            let exemplar = point.exemplars.first().expect("an exemplar");
            assert!(traces.contains(&exemplar.trace_id), "its trace was sent");
        }
        let links = &told(&summary).links;
        assert!(
            links
                .iter()
                .any(|link| link.figure == "p99" && link.step == "say")
        );
    }

    const FAILS: &str = r#"version: 1
name: fails
target: { warmPool: p }
scenarios:
  fails:
    matrix: { mode: [tunnel] }
    load: { vus: 2, iterations: 20 }
    steps:
      - create: {}
      - exec: echo hello
        expect: { stdout: "other\n" }
"#;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_signal_that_is_off_is_not_made_and_nothing_leads_to_it() {
        let place = Place::new();
        let receiver = Receiver::start(Manner::Takes).await;
        let url = receiver.url();
        let all = [
            "--otlp-endpoint",
            &url,
            "--trace-sample=100%",
            "--otlp-signals",
        ];
        let (ended, summary) = run(&place, LIFE, &[&all[..], &["metrics"]].concat()).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let of_metrics = told(&summary);
        assert_eq!(of_metrics.spans.made, 0, "{:?}", of_metrics.spans);
        assert!(of_metrics.kept.is_empty() && of_metrics.links.is_empty());
        assert!(of_metrics.points.sent > 0 && receiver.spans().is_empty());
        let (ended, summary) = run(&place, LIFE, &[&all[..], &["traces"]].concat()).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let of_traces = told(&summary);
        assert_eq!(of_traces.points.made, 0, "{:?}", of_traces.points);
        assert!(of_traces.spans.sent > 0 && !of_traces.links.is_empty());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_fails_is_sent_at_a_share_of_nothing_and_the_report_leads_to_it() {
        let place = Place::new();
        let receiver = Receiver::start(Manner::Takes).await;
        let arguments = [
            "--otlp-endpoint",
            &receiver.url(),
            "--trace-sample",
            "0%",
            "--trace-keep",
            "failed",
            "--trace-url",
            "http://jaeger:16686",
        ];
        let (ended, summary) = run(&place, FAILS, &arguments).await;
        assert_eq!(ended.code, Some(100), "{ended:?}");
        let roots = receiver.spans();
        let roots = roots.iter().filter(|seen| seen.span.name == "iteration");
        let roots: Vec<&Seen> = roots.collect();
        assert_eq!(roots.len(), 20);
        for root in &roots {
            assert_eq!(root.attribute("sandbench.keep").as_deref(), Some("failed"));
            assert_eq!(root.attribute("sandbench.partial").as_deref(), Some("true"));
            assert_eq!(root.span.status.as_ref().unwrap().code, 2);
        }
        // Router and controller were not asked to record anything.
        assert!(
            receiver
                .spans()
                .iter()
                .all(|seen| seen.service == "sandbench")
        );
        let traces = &summary.failures[0].traces;
        assert_eq!(traces.len(), 20);
        let line = format!("= trace   {}  http://jaeger:16686/trace/{0}", traces[0]);
        assert!(ended.stdout.contains(&line), "{}", ended.stdout);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_receiver_that_is_dead_or_refuses_costs_no_iteration_and_is_told_with_what_to_do() {
        let place = Place::new();
        let receiver = Receiver::start(Manner::Refuses(Code::PermissionDenied, "not you")).await;
        let (ended, summary) = run(&place, LIFE, &["--otlp-endpoint", &receiver.url()]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let refused = told(&summary);
        assert_eq!(refused.spans.sent, 0);
        assert!(refused.spans.failed > 0 && refused.points.failed > 0);
        let error = &refused.errors[0];
        assert_eq!(
            (&*error.code, &*error.message),
            ("PermissionDenied", "not you")
        );
        assert!(ended.stdout.contains("not you"), "{}", ended.stdout);

        let begun = Instant::now();
        let (ended, summary) = run(&place, LIFE, &["--otlp-endpoint", "http://127.0.0.1:1"]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let dead = told(&summary);
        assert_eq!(dead.spans.sent, 0);
        assert!(dead.spans.failed + dead.spans.unsent > 0);
        let help = dead.errors[0].help.clone().unwrap_or_default();
        assert!(help.contains("nothing listens there"), "{:?}", dead.errors);
        assert!(dead.flush_ms < 10_000 && begun.elapsed() < Duration::from_mins(1));
        place.assert_nothing_left();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_receiver_rejects_of_a_request_is_not_counted_as_sent() {
        let place = Place::new();
        let receiver = Receiver::start(Manner::Rejects(3)).await;
        let (ended, summary) = run(&place, LIFE, &["--otlp-endpoint", &receiver.url()]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let told = told(&summary);
        assert!(told.spans.rejected >= 3 && told.spans.rejected.is_multiple_of(3));
        assert!(
            told.errors
                .iter()
                .any(|error| error.message == "some are not wanted")
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn spans_of_router_and_controller_are_received_joined_and_passed_on() {
        let place = Place::new();
        let receiver = Receiver::start(Manner::Takes).await;
        let arguments = [
            "--otlp-endpoint",
            &receiver.url(),
            "--otlp-listen",
            "127.0.0.1:0",
        ];
        let (ended, summary) = run(&place, LIFE, &arguments).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let told = told(&summary);
        assert!(told.spans.received > 0);
        let spans = receiver.spans();
        assert_eq!(told.spans.sent, spans.len() as u64);
        one_tree(&spans);
        let hops: Vec<&str> = told.hops.iter().map(|hop| &*hop.name).collect();
        for hop in ["router", "network", "claim-controller"] {
            assert!(hops.contains(&hop), "{hops:?}");
        }
        assert!(ended.stdout.contains("  router  "), "{}", ended.stdout);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_check_says_what_is_wrong_in_plain_words() {
        let place = Place::new();
        let takes = Receiver::start(Manner::Takes).await;
        let ended = check(&place, &takes.url(), &[]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!((takes.spans().len(), takes.metrics().len()), (1, 1));
        let refuses = Receiver::start(Manner::Refuses(Code::Unauthenticated, "who are you")).await;
        for (url, words) in [
            (refuses.url(), "--otlp-header"),
            ("http://127.0.0.1:1".to_owned(), "nothing listens there"),
            (format!("https://{}", takes.address), "http://"),
        ] {
            let ended = check(&place, &url, &[]).await;
            assert_eq!(ended.code, Some(96), "{url} {ended:?}");
            assert!(ended.stdout.contains(words), "{url} {ended:?}");
        }
        let ended = check(&place, "127.0.0.1:4317", &[]).await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("http://127.0.0.1:4317"), "{ended:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_receiver_behind_tls_gets_our_certificate_if_it_asks_for_one() {
        let place = Place::new();
        let authority = Authority::new();
        let files = [
            ("ca.pem", &authority.pem),
            ("me.pem", &authority.client.0),
            ("me.key", &authority.client.1),
        ];
        let [ca, certificate, key] =
            files.map(|(name, text)| place.file(name, text).display().to_string());
        let receiver = Receiver::start_with(Manner::Takes, Some(authority.mutual.clone())).await;
        let url = format!("https://localhost:{}", receiver.address.port());
        for protocol in ["--otlp-protocol=grpc", "--otlp-protocol=http/protobuf"] {
            let protocol = protocol.to_owned();
            let ours = [
                &protocol,
                &format!("--otlp-ca={ca}"),
                &format!("--otlp-client-certificate={certificate}"),
                &format!("--otlp-client-key={key}"),
            ];
            let ended = check(&place, &url, &ours).await;
            assert_eq!(ended.code, Some(0), "{protocol} {ended:?}");
            let ended = check(&place, &url, &ours[..2]).await;
            assert_eq!(ended.code, Some(96), "{protocol} {ended:?}");
            let ended = check(&place, &url, &ours[..1]).await;
            assert!(ended.stdout.contains("--otlp-ca"), "{protocol} {ended:?}");
        }
        assert_eq!((receiver.spans().len(), receiver.metrics().len()), (2, 2));
    }

    /// An iteration of one `exec` that took so long, without waiting for it.
    fn iteration(
        tracer: &dyn CellTracer,
        number: u64,
        took: Duration,
        error: Option<&'static str>,
    ) -> Finished {
        let mut trace = tracer.begin(number).finish();
        let root = &mut trace.spans[0];
        root.ended = root.started + took;
        root.error = error.map(Into::into);
        let exec = Span {
            name: "exec".into(),
            role: Role::Operation,
            kind: Kind::Internal,
            id: SpanId::random(),
            parent: Some(root.id),
            ..root.clone()
        };
        trace.spans.push(exec);
        trace
    }

    fn small_plan() -> About {
        let operation = |name| OperationPlan { name, limit: None };
        About {
            run_id: "r-1".to_owned(),
            attributes: Vec::new(),
            cells: vec![CellPlan {
                name: "cell".to_owned(),
                expectations: Vec::new(),
                operations: vec![operation("iteration"), operation("exec")],
            }],
        }
    }

    async fn sending_to(url: String, keep: Keep) -> Telemetry {
        let settings = Settings {
            endpoint: Some(url),
            sample: Some(Ratio::default()),
            keep: Some(keep),
            protocol: Some(Protocol::Grpc),
            compression: Some(Compression::Gzip),
            ..Settings::default()
        };
        let config = resolve(&settings, &std::collections::BTreeMap::new());
        let config = config.unwrap().expect("an endpoint");
        Telemetry::start(config, small_plan()).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_a_hundred_thousand_operations_every_failed_one_and_the_slowest_are_sent() {
        const ALL: u64 = 100_000;
        let receiver = Receiver::start(Manner::Slow(Duration::from_millis(20))).await;
        let keep = "failed,slow:20".parse().unwrap();
        let telemetry = sending_to(receiver.url(), keep).await;
        let cell = telemetry.tracer().cell("cell");
        let (mut failed, mut slow) = (HashSet::new(), HashSet::new());
        for number in 0..ALL {
            // Planted: one in a thousand fails, one in five thousand is slow; no two take the same time.
            let fails = number % 1_000 == 77;
            let is_slow = number % 5_000 == 2_500;
            let usual = Duration::from_nanos(1_000_000 + number * 7 % 999_983);
            let took = if is_slow {
                Duration::from_millis(500) + usual
            } else {
                usual
            };
            let trace = iteration(&*cell, number, took, fails.then_some("failed"));
            if fails {
                failed.insert(trace.id);
            }
            if is_slow {
                slow.insert(trace.id);
            }
            cell.finish(number, trace, &|_| {});
            // No machine makes operations faster than it chooses among their traces; this loop could.
            while telemetry.waiting() > 1_000 {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!((failed.len(), slow.len()), (100, 20));
        let told = telemetry.close().await;
        assert!(told.spans.is_complete(), "{:?}", told.spans);
        assert_eq!(told.spans.lost(), 0, "{:?}", told.spans);
        let got: HashSet<Vec<u8>> = receiver
            .spans()
            .into_iter()
            .map(|seen| seen.span.trace_id)
            .collect();
        for id in failed.iter().chain(&slow) {
            assert!(got.contains(id.as_bytes().as_slice()), "{id}");
        }
        assert_eq!(got.len(), 120, "and nothing else");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_flood_into_a_dead_receiver_is_bounded_and_every_span_is_accounted_for() {
        let keep = Keep {
            first: u64::MAX,
            ..Keep::NOTHING
        };
        let telemetry = sending_to("http://127.0.0.1:1".to_owned(), keep).await;
        let cell = telemetry.tracer().cell("cell");
        let begun = Instant::now();
        for number in 0..30_000 {
            let trace = iteration(&*cell, number, Duration::from_millis(1), None);
            cell.finish(number, trace, &|_| {});
        }
        let told = telemetry.close().await;
        assert!(told.spans.is_complete(), "{:?}", told.spans);
        assert_eq!((told.spans.made, told.spans.sent), (60_000, 0));
        assert_eq!(told.spans.lost(), 60_000);
        assert!(told.spans.dropped_rate > 0, "{:?}", told.spans);
        assert!(begun.elapsed() < Duration::from_secs(30));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_round_trip_of_200_ms_loses_nothing() {
        let receiver = Receiver::start(Manner::Slow(Duration::from_millis(200))).await;
        let keep = Keep {
            first: u64::MAX,
            ..Keep::NOTHING
        };
        let telemetry = sending_to(receiver.url(), keep).await;
        let cell = telemetry.tracer().cell("cell");
        for number in 0..4_000 {
            let trace = iteration(&*cell, number, Duration::from_millis(1), None);
            cell.finish(number, trace, &|_| {});
            if number % 64 == 0 {
                tokio::task::yield_now().await;
            }
        }
        let told = telemetry.close().await;
        assert_eq!((told.spans.sent, told.spans.lost()), (8_000, 0));
        assert_eq!(receiver.spans().len(), 8_000);
        assert!(receiver.requests() >= 8_000 / 512);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_end_of_the_run_waits_for_no_receiver_longer_than_allowed() {
        let receiver = Receiver::start(Manner::Slow(Duration::from_mins(10))).await;
        let settings = Settings {
            endpoint: Some(receiver.url()),
            flush: Some(Duration::from_millis(300)),
            ..Settings::default()
        };
        let config = resolve(&settings, &std::collections::BTreeMap::new()).unwrap();
        let telemetry = Telemetry::start(config.unwrap(), small_plan())
            .await
            .unwrap();
        let tracer: Arc<dyn Tracer> = telemetry.tracer();
        let cell = tracer.cell("cell");
        let trace = iteration(&*cell, 0, Duration::from_millis(1), None);
        cell.finish(0, trace, &|_| {});
        let begun = Instant::now();
        let told = telemetry.close().await;
        assert!(begun.elapsed() < Duration::from_secs(30));
        assert_eq!((told.spans.unsent, told.spans.made), (2, 2));
    }
}
