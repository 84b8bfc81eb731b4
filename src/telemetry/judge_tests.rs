//! The judge of traces: whose spans count, under which step, and what becomes of those without room.

use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::ScopeSpans;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tokio::time::Instant;

use super::super::cell::{CellPlan, Cells};
use super::super::encode::text;
use super::super::keep::Sampling;
use super::*;
use crate::metrics::{Outcome, Presence};
use crate::trace::{Kind, Role};

const CONTROLLER: &str = "agent-sandbox-controller";

fn span(name: &str, under: Option<&str>, took: &str) -> TraceExpectation {
    TraceExpectation {
        what: Expected::Span {
            name: name.to_owned(),
            service: None,
            under: under.map(|step| Under::Step(step.to_owned())),
            presence: Presence::Every,
        },
        took: (!took.is_empty()).then(|| took.parse().unwrap()),
    }
}

fn judge(expectations: Vec<TraceExpectation>) -> Judge {
    let plan = CellPlan {
        name: "cell".to_owned(),
        operations: Vec::new(),
        expectations,
    };
    let (intake, _) = tokio::sync::mpsc::channel(1);
    let cells = Cells::new(vec![plan], Sampling::default(), &intake, &Arc::default());
    Judge::new(cells.all().to_vec(), Clock::now())
}

/// A span of ours of so many milliseconds.
fn ours(name: &'static str, role: Role, parent: Option<SpanId>, millis: u64) -> Span {
    let started = Instant::now();
    Span {
        name: name.into(),
        role,
        kind: Kind::Internal,
        id: SpanId::random(),
        parent,
        started,
        ended: started + Duration::from_millis(millis),
        attributes: Vec::new(),
        error: None,
    }
}

/// An iteration with the steps `box` (`create`) and `say` (`exec`), each with an attempt.
fn iteration() -> Finished {
    let root = ours("iteration", Role::Root, None, 100);
    let step = |name: &'static str, id: &'static str| {
        let mut span = ours(name, Role::Operation, Some(root.id), 50);
        span.attributes.push((STEP, Arc::<str>::from(id).into()));
        span
    };
    let (create, exec) = (step("create", "box"), step("exec", "say"));
    let post = ours("POST sandboxclaims", Role::Attempt, Some(create.id), 10);
    let attempt = ours("POST /execute", Role::Attempt, Some(exec.id), 30);
    Finished {
        id: TraceId::random(),
        sampled: Sampled::Yes,
        spans: vec![root, create, post, exec, attempt],
        left_out: 0,
    }
}

fn candidate(trace: &Finished) -> Candidate {
    Candidate {
        cell: 0,
        trace: trace.clone(),
        reasons: vec![Reason::Ratio],
    }
}

/// A span of another's below one of ours.
fn theirs(trace: &Finished, parent: SpanId, name: &str, millis: u64) -> otlp::Span {
    otlp::Span {
        trace_id: trace.id.as_bytes().to_vec(),
        span_id: SpanId::random().as_bytes().to_vec(),
        parent_span_id: parent.as_bytes().to_vec(),
        name: name.to_owned(),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: 0,
        end_time_unix_nano: millis * 1_000_000,
        ..otlp::Span::default()
    }
}

fn of_service(service: &str, spans: Vec<otlp::Span>) -> ResourceSpans {
    ResourceSpans {
        resource: Some(Resource {
            attributes: vec![text("service.name", service)],
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans {
            spans,
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    }
}

/// Its only result.
fn only(judge: &Judge) -> TraceResult {
    let [result] = judge.judge(0).try_into().unwrap();
    result
}

#[tokio::test(start_paused = true)]
async fn spans_join_whichever_side_comes_first() {
    let mut judge = judge(vec![span("Reconcile", Some("box"), "< 5ms")]);
    let (early, late) = (iteration(), iteration());
    let of = |trace: &Finished| theirs(trace, trace.spans[2].id, "Reconcile", 3);
    judge.received(&of_service(CONTROLLER, vec![of(&early)]));
    judge.own(&candidate(&early));
    judge.own(&candidate(&late));
    assert_eq!(only(&judge).without, 1, "it is still under way");
    judge.received(&of_service(CONTROLLER, vec![of(&late)]));
    let result = only(&judge);
    assert_eq!(result.outcome, Outcome::Held, "{result:?}");
    assert_eq!((result.judged, result.without, result.n), (2, 0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_span_counts_under_its_own_step_alone_at_any_depth() {
    let trace = iteration();
    let [box_, exec] = [&trace.spans[1], &trace.spans[3]];
    let outer = theirs(&trace, box_.id, "outer", 1);
    let mut inner = theirs(&trace, box_.id, "inner", 1);
    inner.parent_span_id.clone_from(&outer.span_id);
    let elsewhere = theirs(&trace, exec.id, "elsewhere", 1);
    // Two that are each below the other.
    let mut circle = [
        theirs(&trace, box_.id, "circle", 1),
        theirs(&trace, box_.id, "circle", 1),
    ];
    circle[0].parent_span_id = circle[1].span_id.clone();
    circle[1].parent_span_id = circle[0].span_id.clone();
    let all: Vec<otlp::Span> = [outer, inner, elsewhere]
        .into_iter()
        .chain(circle)
        .collect();
    for (name, outcome) in [
        ("outer", Outcome::Held),
        ("inner", Outcome::Held),
        ("POST sandboxclaims", Outcome::Held),
        ("elsewhere", Outcome::Failed),
        ("circle", Outcome::Failed),
        ("create", Outcome::Failed),
    ] {
        for under in ["box", "create"] {
            let mut expected = span(name, Some(under), "");
            if let Expected::Span { under: step, .. } = &mut expected.what
                && under == "create"
            {
                *step = Some(Under::Action("create".to_owned()));
            }
            let mut judge = judge(vec![expected]);
            judge.received(&of_service(CONTROLLER, all.clone()));
            judge.own(&candidate(&trace));
            assert_eq!(only(&judge).outcome, outcome, "{name} under {under}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_is_told_from_others_and_from_us() {
    let trace = iteration();
    for (service, n) in [
        (Some(CONTROLLER), 1),
        (Some(OWN_SERVICE), 1),
        (Some("x"), 0),
        (None, 2),
    ] {
        let mut expected = span("exec", None, "");
        if let Expected::Span { service: of, .. } = &mut expected.what {
            *of = service.map(str::to_owned);
        }
        let mut judge = judge(vec![expected]);
        let theirs = theirs(&trace, trace.spans[4].id, "exec", 1);
        judge.received(&of_service(CONTROLLER, vec![theirs]));
        judge.own(&candidate(&trace));
        assert_eq!(only(&judge).n, n, "{service:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hop_is_measured_as_the_report_measures_it() {
    let hop = |hop: HopKind, took: &str| TraceExpectation {
        what: Expected::Hop(hop),
        took: Some(took.parse().unwrap()),
    };
    let mut judge = judge(vec![
        hop(HopKind::Router, "p95 < 15ms"),
        hop(HopKind::Network, "< 10ms"),
        hop(HopKind::ClaimController, "< 1h"),
    ]);
    let trace = iteration();
    let router = theirs(&trace, trace.spans[4].id, "HTTP POST", 12);
    judge.received(&of_service("sandbox-router", vec![router]));
    judge.own(&candidate(&trace));
    let [router, network, claim] = judge.judge(0).try_into().unwrap();
    assert_eq!(router.outcome, Outcome::Held);
    assert_eq!(router.longest_ns, Some(12_000_000));
    assert_eq!((network.outcome, network.beyond), (Outcome::Failed, 1));
    assert_eq!(network.longest_ns, Some(18_000_000));
    assert_eq!((claim.outcome, claim.without), (Outcome::Failed, 1));
}

#[tokio::test(start_paused = true)]
async fn only_iterations_that_ended_well_and_were_chosen_at_their_start_are_judged() {
    let mut judge = judge(vec![span("exec", None, "")]);
    let mut failed = iteration();
    failed.spans[0].error = Some("failed".into());
    let unsampled = Finished {
        sampled: Sampled::No,
        ..iteration()
    };
    let of_failed = theirs(&failed, failed.spans[1].id, "exec", 1);
    judge.received(&of_service(CONTROLLER, vec![of_failed]));
    judge.own(&candidate(&failed));
    judge.own(&candidate(&unsampled));
    judge.own(&Candidate {
        reasons: vec![Reason::Slow, Reason::Threshold],
        ..candidate(&iteration())
    });
    assert_eq!(only(&judge).outcome, Outcome::NoSamples);
    assert_eq!(judge.spans, 0, "nothing is kept of them");
    judge.own(&candidate(&iteration()));
    assert_eq!(only(&judge).judged, 1);
}

#[tokio::test(start_paused = true)]
async fn a_trace_without_room_is_counted_and_never_judged_by_a_part_of_it() {
    let mut judge = judge(vec![span("Reconcile", Some("box"), "")]);
    judge.most = 12;
    let traces: Vec<Finished> = (0..6).map(|_| iteration()).collect();
    let of = |trace: &Finished| theirs(trace, trace.spans[1].id, "Reconcile", 1);
    for trace in &traces {
        judge.own(&candidate(trace));
    }
    // Those that have their place get what belongs to them.
    for trace in &traces {
        judge.received(&of_service(CONTROLLER, vec![of(trace)]));
    }
    let result = only(&judge);
    assert_eq!((result.judged, result.no_room, result.without), (3, 3, 0));
    assert_eq!(result.outcome, Outcome::Held);
    assert!(judge.spans <= 2 * judge.most, "{}", judge.spans);
    // A flood for one trace takes its place away, and no more.
    let flood = vec![of(&traces[0]); 1_000];
    judge.received(&of_service(CONTROLLER, flood));
    let result = only(&judge);
    assert_eq!((result.judged, result.no_room, result.without), (2, 4, 0));
    assert!(judge.spans <= 2 * judge.most, "{}", judge.spans);
}

#[tokio::test(start_paused = true)]
async fn room_that_is_free_again_is_not_taken_by_a_trace_that_has_lost_something() {
    let mut judge = judge(vec![span("Reconcile", Some("box"), "")]);
    judge.most = 5;
    let (mut failing, trace) = (iteration(), iteration());
    let own = |trace: &Finished| theirs(trace, trace.spans[1].id, "Reconcile", 1);
    judge.received(&of_service(CONTROLLER, vec![own(&failing); 5]));
    judge.received(&of_service(CONTROLLER, vec![own(&trace)]));
    failing.spans[0].error = Some("failed".into());
    judge.own(&candidate(&failing));
    assert_eq!(judge.spans, 0);
    judge.own(&candidate(&trace));
    let result = only(&judge);
    assert_eq!((result.outcome, result.no_room), (Outcome::NoSamples, 1));
}

#[tokio::test(start_paused = true)]
async fn an_iteration_whose_own_spans_are_cut_is_not_judged() {
    let mut judge = judge(vec![span("missing", None, "")]);
    judge.own(&candidate(&Finished {
        left_out: 1,
        ..iteration()
    }));
    let result = only(&judge);
    assert_eq!((result.outcome, result.no_room), (Outcome::NoSamples, 1));
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_of_others_is_told_with_every_result() {
    let judge = judge(vec![span("a", None, ""), span("b", None, "")]);
    assert!(judge.judge(7).iter().all(|result| result.others_lost == 7));
}

#[test]
fn where_nobody_has_judged_everything_is_missed() {
    let judge = judge(vec![span("a", None, ""), span("b", None, "")]);
    let results = unjudged(&judge.cells);
    assert_eq!(results.len(), 2);
    assert!(results.iter().all(TraceResult::is_failed));
}
