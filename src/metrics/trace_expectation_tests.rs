//! Expectations on traces: how they are read, told, judged and added up.

use super::*;

fn expectation(presence: Presence, took: &str) -> TraceExpectation {
    TraceExpectation {
        what: Expected::Span {
            name: "ReconcileSandbox".to_owned(),
            service: Some("controller".to_owned()),
            under: Some(Under::Action("create".to_owned())),
            presence,
        },
        took: (!took.is_empty()).then(|| took.parse().unwrap()),
    }
}

/// Traces `t0`, `t1`, … with spans of so many milliseconds.
fn judged(expected: &TraceExpectation, traces: &[&[u64]]) -> TraceResult {
    let mut found = Found::default();
    for (number, times) in traces.iter().enumerate() {
        let times: Vec<Duration> = times.iter().copied().map(Duration::from_millis).collect();
        found.add(expected, format_args!("t{number}"), &times);
    }
    expected.judge("cell", &found)
}

#[test]
fn what_is_expected_is_told_as_a_sentence() {
    assert_eq!(
        expectation(Presence::Every, "<50ms").to_string(),
        "span ReconcileSandbox of controller under create in every trace: took < 50ms"
    );
    let hop = TraceExpectation {
        what: Expected::Hop(HopKind::Router),
        took: Some("p99.9 <= 1m30s".parse().unwrap()),
    };
    assert_eq!(hop.to_string(), "hop router: took p99.9 <= 1m30s");
}

#[test]
fn a_limit_is_a_time_with_its_unit_and_a_statistic_that_times_have() {
    for text in ["< 50ms", "p95 < 50ms", "avg>=1s", "max != 2m"] {
        assert!(text.parse::<Took>().is_ok(), "{text}");
    }
    for text in [
        "",
        "50ms",
        "< 50",
        "< 5%",
        "count < 5",
        "rate < 1s",
        "p95",
        "p0 < 1s",
    ] {
        assert!(text.parse::<Took>().is_err(), "{text}");
    }
}

#[test]
fn every_means_every_trace_and_some_means_one() {
    let traces: [&[u64]; 3] = [&[3], &[], &[5, 9]];
    let every = judged(&expectation(Presence::Every, ""), &traces);
    assert_eq!(every.outcome, Outcome::Failed);
    assert_eq!((every.judged, every.without, every.n), (3, 1, 3));
    assert_eq!(every.example.as_deref(), Some("t1"), "the first without it");
    let some = judged(&expectation(Presence::Some, ""), &traces);
    assert_eq!(some.outcome, Outcome::Held);
    assert_eq!(some.longest_ns, Some(9_000_000));
    let none = judged(&expectation(Presence::Some, ""), &[&[], &[]]);
    assert_eq!((none.outcome, none.longest_ns), (Outcome::Failed, None));
}

#[test]
fn each_span_is_judged_or_all_together() {
    let traces: [&[u64]; 3] = [&[3, 4], &[60], &[5]];
    let each = judged(&expectation(Presence::Every, "< 50ms"), &traces);
    assert_eq!((each.outcome, each.beyond), (Outcome::Failed, 1));
    assert_eq!(each.example.as_deref(), Some("t1"), "that of the longest");
    let median = judged(&expectation(Presence::Every, "p50 < 50ms"), &traces);
    assert_eq!((median.outcome, median.beyond), (Outcome::Held, 0));
    assert!(matches!(median.measured, Some(Quantity::Nanoseconds(_))));
    let most = judged(&expectation(Presence::Every, "max <= 60ms"), &traces);
    assert_eq!(most.measured, Some(Quantity::Nanoseconds(60e6)), "exactly");
    let tail = judged(&expectation(Presence::Every, "p99 < 50ms"), &traces);
    assert_eq!(tail.outcome, Outcome::Failed);
    let lower = judged(&expectation(Presence::Every, "> 3ms"), &traces);
    assert_eq!((lower.outcome, lower.beyond), (Outcome::Failed, 1));
    assert_eq!(lower.example.as_deref(), Some("t0"), "that of the shortest");
}

#[test]
fn without_a_trace_nothing_holds() {
    for presence in [Presence::Every, Presence::Some] {
        let result = judged(&expectation(presence, "p95 < 1h"), &[]);
        assert_eq!(result.outcome, Outcome::NoSamples);
        assert!(result.is_failed());
    }
}

#[test]
fn spans_of_others_are_needed_unless_it_says_sandbench() {
    let mut expected = expectation(Presence::Every, "");
    assert!(expected.needs_others());
    let Expected::Span { service, .. } = &mut expected.what else {
        unreachable!()
    };
    *service = None;
    let anybodys = expected.needs_others();
    let Expected::Span { service, .. } = &mut expected.what else {
        unreachable!()
    };
    *service = Some(OWN_SERVICE.to_owned());
    assert!(anybodys && !expected.needs_others());
}

#[test]
fn results_of_several_generators_add_up_and_a_miss_stays_one() {
    let expected = expectation(Presence::Every, "< 50ms");
    let held = judged(&expected, &[&[3], &[7]]);
    let missed = judged(&expected, &[&[80]]);
    let nothing = judged(&expected, &[]);
    let sum = |one: &TraceResult, other: &TraceResult| {
        let mut sum = one.clone();
        sum.add(other.clone());
        sum
    };
    for whole in [sum(&held, &missed), sum(&missed, &held)] {
        assert_eq!(whole.outcome, Outcome::Failed);
        assert_eq!((whole.judged, whole.n, whole.beyond), (3, 3, 1));
        assert_eq!(whole.longest_ns, Some(80_000_000));
        assert_eq!(whole.example, missed.example);
    }
    assert_eq!(sum(&nothing, &held).outcome, Outcome::Held);
    assert_eq!(sum(&nothing, &nothing).outcome, Outcome::NoSamples);
}
