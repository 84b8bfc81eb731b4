//! Comparisons against references of `SciPy`, and what they say of runs that are short, odd or not alike.

use std::collections::BTreeMap;

use super::*;
use crate::metrics::{Caveat, CellSummary, Comparison, Design, RoundSummary, Standing};

/// Values of baseline and cell, p and ratio; computed by `SciPy` 1.17.1 (`wilcoxon`, `mannwhitneyu`, both
/// exact) and the median of all averages or differences.
type Reference = (&'static [f64], &'static [f64], f64, f64);

const PAIRED: [Reference; 4] = [
    (
        &[100.01, 103.03, 97.3, 91.48, 95.56, 90.56],
        &[105.58, 118.97, 98.82, 92.08, 103.96, 97.61],
        0.03125,
        1.066_714_171_118_532_8,
    ),
    (
        &[101.06, 91.12, 99.71, 107.2, 87.42, 95.53, 82.69, 87.9],
        &[93.39, 94.23, 95.92, 114.86, 92.92, 99.12, 72.89, 88.99],
        0.945_312_5,
        0.998_238_868_084_942_3,
    ),
    (
        &[
            99.52, 101.14, 85.81, 95.33, 90.68, 92.23, 111.19, 92.24, 99.68, 109.25, 94.33, 98.89,
        ],
        &[
            105.43, 106.8, 82.8, 100.75, 104.84, 87.01, 124.14, 97.78, 100.19, 132.11, 104.6, 95.59,
        ],
        0.034_179_687_5,
        1.057_412_480_514_316_8,
    ),
    (
        &[
            100.75, 105.94, 98.13, 107.07, 99.34, 106.9, 115.47, 93.47, 102.05, 95.47, 101.28,
            88.81, 94.37, 98.06, 109.4,
        ],
        &[
            114.76, 101.52, 97.58, 117.77, 90.84, 108.8, 120.57, 107.3, 112.59, 98.09, 103.76,
            91.74, 110.37, 100.04, 112.59,
        ],
        0.018_066_406_25,
        1.037_599_821_267_265_7,
    ),
];

const INDEPENDENT: [Reference; 3] = [
    (
        &[103.59, 98.8, 98.05, 89.46],
        &[108.2, 103.63, 121.73, 115.64],
        0.028_571_428_571_428_57,
        1.164_404_489_822_741_3,
    ),
    (
        &[99.76, 106.91, 96.66, 111.09, 99.95, 106.01],
        &[
            95.21, 112.15, 91.5, 88.38, 105.08, 99.01, 110.12, 135.59, 99.68,
        ],
        0.606_993_006_993_007,
        0.990_911_219_803_701_7,
    ),
    (
        &[
            93.95, 102.08, 105.05, 98.25, 97.96, 107.28, 105.34, 90.18, 99.21, 100.35, 89.99,
            102.63,
        ],
        &[
            99.42, 119.39, 110.44, 109.3, 102.11, 107.05, 88.71, 96.74, 112.33, 87.56, 117.9, 90.97,
        ],
        0.318_585_170_382_185_15,
        1.045_068_285_260_784_9,
    ),
];

fn close(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-9
}

#[test]
fn tests_and_estimates_are_those_of_scipy() {
    for (baseline, values, p, ratio) in PAIRED {
        let pairs: Vec<(f64, f64)> = baseline
            .iter()
            .copied()
            .zip(values.iter().copied())
            .collect();
        let found = paired(&pairs).unwrap();
        assert!(close(found.p, p) && close(found.ratio, ratio), "{found:?}");
    }
    for (baseline, values, p, ratio) in INDEPENDENT {
        let found = independent(baseline, values).unwrap();
        assert!(close(found.p, p) && close(found.ratio, ratio), "{found:?}");
    }
}

#[test]
fn many_independent_samples_with_ties_have_the_normal_p_of_scipy() {
    let baseline = [
        11, 9, 11, 10, 9, 11, 12, 10, 10, 10, 9, 11, 9, 10, 9, 9, 9, 11, 10, 11, 10, 9, 10, 9, 10,
        10, 10, 9, 9, 12, 9, 9, 10, 12, 9, 10, 9, 8, 11, 10,
    ];
    let values = [
        11, 10, 11, 10, 10, 10, 9, 12, 10, 11, 11, 10, 10, 11, 10, 10, 11, 12, 11, 11, 10, 9, 12,
        12, 10, 11, 11, 12, 12, 10, 12, 9, 12, 11, 12, 13, 12, 9, 9, 12,
    ];
    let found = independent(&baseline.map(f64::from), &values.map(f64::from)).unwrap();
    assert!((found.p - 0.000_490_509_142).abs() < 1e-9, "{found:?}");
    assert_eq!(found.samples, 40);
}

/// Whether an interval leaves 1 out, and whether the test refuses 1.
fn verdicts(estimate: &Estimate) -> (bool, bool) {
    let interval = estimate.interval.unwrap();
    let outside = interval.low > 1.0 || interval.high < 1.0;
    (outside, estimate.p <= 1.0 - CONFIDENCE)
}

proptest::proptest! {
    #[test]
    fn the_interval_leaves_out_what_the_test_refuses(
        ratios in proptest::collection::vec(-0.2_f64..0.25, 6..20),
    ) {
        let pairs: Vec<(f64, f64)> = ratios.iter().map(|ratio| (100.0, 100.0 * ratio.exp())).collect();
        let (outside, refused) = verdicts(&paired(&pairs).unwrap());
        proptest::prop_assert_eq!(outside, refused);
        let (one, other) = ratios.split_at(ratios.len() / 2);
        if one.len() >= 4 {
            let exp = |values: &[f64]| values.iter().map(|value| value.exp()).collect::<Vec<_>>();
            let (outside, refused) = verdicts(&independent(&exp(one), &exp(other)).unwrap());
            proptest::prop_assert_eq!(outside, refused);
        }
    }

    #[test]
    fn a_factor_on_both_sides_changes_nothing_and_on_one_side_the_ratio(
        values in proptest::collection::vec((50.0_f64..150.0, 50.0_f64..150.0), 6..14),
        factor in 0.1_f64..10.0,
    ) {
        let plain = paired(&values).unwrap();
        let both: Vec<(f64, f64)> = values.iter().map(|(a, b)| (a * factor, b * factor)).collect();
        let one: Vec<(f64, f64)> = values.iter().map(|(a, b)| (*a, b * factor)).collect();
        proptest::prop_assert!((paired(&both).unwrap().ratio / plain.ratio - 1.0).abs() < 1e-9);
        proptest::prop_assert!((paired(&one).unwrap().ratio / plain.ratio / factor - 1.0).abs() < 1e-9);
    }

    #[test]
    fn holm_keeps_the_order_and_lies_between_p_and_bonferroni(
        p in proptest::collection::vec(0.0_f64..1.0, 1..30),
    ) {
        let corrected = holm(&p);
        for (own, corrected) in p.iter().zip(&corrected) {
            proptest::prop_assert!(own <= corrected && *corrected <= (own * p.len() as f64).min(1.0) + 1e-12);
        }
        let both: Vec<(&f64, &f64)> = p.iter().zip(&corrected).collect();
        for (p, corrected) in &both {
            proptest::prop_assert!(both.iter().all(|(other, then)| other < p || then >= corrected));
        }
    }
}

#[test]
fn holm_is_that_of_the_paper() {
    let corrected = holm(&[0.01, 0.04, 0.03, 0.005]);
    let expected = [0.03, 0.06, 0.06, 0.02];
    assert!(
        corrected.iter().zip(expected).all(|(a, b)| close(*a, b)),
        "{corrected:?}"
    );
}

#[test]
fn equal_values_are_no_difference_and_few_give_no_interval() {
    let same = paired(&[(5.0, 5.0); 12]).unwrap();
    assert!(close(same.p, 1.0) && close(same.ratio, 1.0));
    let few = paired(&[(1.0, 2.0); 5]).unwrap();
    assert_eq!(few.interval, None);
    assert!(close(few.least_p, 2.0 / 32.0) && close(few.p, few.least_p));
    assert!(paired(&[]).is_none() && independent(&[], &[1.0]).is_none());
    assert!(independent(&[1.0], &[2.0]).unwrap().interval.is_none());
}

#[test]
fn the_number_of_rounds_that_it_takes_grows_with_the_tests() {
    let of = |tests| needed(tests, 0.05, Design::Paired);
    assert_eq!([of(1), of(4), of(24), of(100)], [6, 8, 10, 12]);
    assert_eq!(needed(1, 0.05, Design::Independent), 4);
    assert_eq!(needed(24, 0.05, Design::Independent), 7);
}

fn round(number: u32, value: Option<f64>) -> RoundSummary {
    RoundSummary {
        round: number,
        position: 1,
        started_ms: 0,
        duration_ms: 10,
        passed: 5,
        failed: 0,
        whole: true,
        warm: 5,
        cold: 0,
        not_applicable: None,
        trends: Vec::new(),
        asked: vec![value],
    }
}

fn cell(mode: &str, values: impl Iterator<Item = f64>) -> CellSummary {
    let text = serde_json::json!({
        "scenario": "turn", "cell": format!("turn[mode={mode}]"), "matrix": { "mode": mode },
        "verdict": "passed", "load": "2 VUs", "vus": 2, "iterations_planned": 60,
        "iterations_passed": 60, "iterations_failed": 0, "iterations_interrupted": 0,
        "duration_ms": 100, "metrics": [],
    });
    let mut cell: CellSummary = serde_json::from_value(text).unwrap();
    cell.rounds = (1..)
        .zip(values)
        .map(|(number, value)| round(number, Some(value)))
        .collect();
    cell
}

fn question(rounds: u32) -> Question {
    Question {
        scenario: "turn".to_owned(),
        across: "mode".to_owned(),
        baseline: "pod".to_owned(),
        rounds,
        metrics: vec!["exec_duration p95".parse().unwrap()],
        alpha: 0.05,
        min_effect: 0.05,
    }
}

/// Round noise that no two cells share.
fn noise(salt: u32) -> impl Iterator<Item = f64> {
    (1..=12_u32).map(move |round| 1.0 + f64::from(round * salt * 7919 % 101) / 5000.0)
}

fn ask(cells: &[CellSummary]) -> Comparison {
    rounds(&question(12), cells).unwrap()
}

fn standings(comparison: &Comparison) -> Vec<(&str, Standing)> {
    let cells = comparison.rows.iter().flat_map(|row| &row.cells);
    cells
        .map(|cell| (cell.column.as_str(), cell.standing))
        .collect()
}

#[test]
fn the_baseline_comes_first_and_each_cell_stands_to_it() {
    let cells = [
        cell("gateway", noise(3).map(|noise| 130.0 * noise)),
        cell("pod", noise(5).map(|noise| 100.0 * noise)),
        cell("fast", noise(7).map(|noise| 80.0 * noise)),
        cell("same", noise(11).map(|noise| 100.5 * noise)),
    ];
    let comparison = ask(&cells);
    assert_eq!(
        standings(&comparison),
        [
            ("pod", Standing::Baseline),
            ("gateway", Standing::Worse),
            ("fast", Standing::Better),
            ("same", Standing::NotShown)
        ]
    );
    assert_eq!(
        (comparison.tests, comparison.needed, comparison.done),
        (3, 7, 12)
    );
    assert!(comparison.has_regression() && comparison.caveats.is_empty());
    let gateway = &comparison.rows[0].cells[1];
    let interval = gateway.ratio_interval.unwrap();
    assert!(1.28 < interval.low && interval.low < interval.high && interval.high < 1.33);
    assert!(close(gateway.p_holm.unwrap(), 3.0 * gateway.p.unwrap()));
}

#[test]
fn a_small_difference_is_not_shown_however_certain() {
    let cells = [
        cell("pod", noise(5).map(|_| 100.0)),
        cell("gateway", noise(5).map(|_| 104.0)),
    ];
    let comparison = ask(&cells);
    let gateway = &comparison.rows[0].cells[1];
    assert!(gateway.p_holm.unwrap() < 0.001);
    assert_eq!(gateway.standing, Standing::NotShown);
}

#[test]
fn a_cell_that_failed_has_no_value_and_the_rounds_are_named() {
    let mut tunnel = cell("tunnel", noise(3));
    tunnel.iterations_failed = 3;
    tunnel.rounds[1].failed = 1;
    tunnel.rounds[4].failed = 2;
    let comparison = ask(&[cell("pod", noise(5)), tunnel]);
    let tunnel = &comparison.rows[0].cells[1];
    assert_eq!(
        (tunnel.standing, tunnel.value),
        (Standing::NotApplicable, None)
    );
    assert_eq!(
        tunnel.reason.as_deref(),
        Some("3 of 63 iterations failed, in rounds 2, 5")
    );
    assert_eq!(comparison.tests, 0);
}

#[test]
fn rounds_that_one_of_the_two_did_not_end_are_left_out() {
    let mut tunnel = cell("tunnel", noise(3).take(8).map(|noise| 150.0 * noise));
    tunnel.rounds[7].whole = false;
    let comparison = ask(&[
        cell("pod", noise(5).take(8).map(|noise| 100.0 * noise)),
        tunnel,
    ]);
    assert_eq!(
        (comparison.done, comparison.rows[0].cells[1].samples),
        (7, 7)
    );
    assert_eq!(
        comparison.caveats,
        [Caveat::Stopped {
            rounds: 7,
            planned: 12
        }]
    );
    assert_eq!(comparison.rows[0].cells[1].standing, Standing::Worse);
}

#[test]
fn with_too_few_rounds_nothing_is_said_but_how_many_it_takes() {
    let few = |salt| noise(salt).take(4);
    let comparison = ask(&[
        cell("pod", few(5)),
        cell("gateway", few(3).map(|noise| 9.0 * noise)),
    ]);
    let gateway = &comparison.rows[0].cells[1];
    assert_eq!((gateway.standing, comparison.needed), (Standing::TooFew, 6));
    assert!(gateway.ratio.unwrap() > 8.0 && gateway.ratio_interval.is_none());
}

#[test]
fn a_round_without_samples_is_no_zero() {
    let mut gateway = cell("gateway", noise(3));
    gateway.rounds[2].asked = vec![None];
    let comparison = ask(&[cell("pod", noise(5)), gateway]);
    let reason = comparison.rows[0].cells[1].reason.as_deref();
    assert_eq!(reason, Some("no samples in round 3"));
    let mut broken = cell("pod", noise(5));
    broken.not_applicable("the runtime deletes no files");
    let comparison = ask(&[broken, cell("gateway", noise(3))]);
    assert_eq!(
        comparison.rows[0].cells[1].reason.as_deref(),
        Some("the baseline has no value: the runtime deletes no files")
    );
}

#[test]
fn other_axes_become_rows_and_a_cell_that_did_not_run_is_told() {
    let with = |mut cell: CellSummary, size: &str| {
        cell.matrix.insert("size".to_owned(), size.to_owned());
        cell
    };
    let cells = [
        with(cell("pod", noise(5)), "1KiB"),
        with(cell("pod", noise(3)), "1MiB"),
        with(cell("gateway", noise(7)), "1KiB"),
    ];
    let comparison = ask(&cells);
    let matrix = |size: &str| BTreeMap::from([("size".to_owned(), size.to_owned())]);
    assert_eq!(comparison.rows[0].matrix, matrix("1KiB"));
    assert_eq!(comparison.rows[1].matrix, matrix("1MiB"));
    let missing = &comparison.rows[1].cells[1];
    assert_eq!(missing.reason.as_deref(), Some("did not run"));
    assert!(
        rounds(
            &Question {
                scenario: "other".to_owned(),
                ..question(12)
            },
            &cells
        )
        .is_none()
    );
}

fn result(cells: Vec<CellSummary>) -> crate::metrics::Summary {
    let text = serde_json::json!({
        "format_version": 1, "verdict": "passed", "cells": [], "failures": [], "warnings": [],
        "leaks": { "claims": 0, "sandboxes": 0, "pods": 0, "connections": 0, "local": 0 },
        "run": { "id": "r-1", "name": "t", "file": "t.yaml", "file_sha256": "ab", "seed": 1,
            "version": "0.1.0", "started_at": "", "duration_ms": 1, "cluster": "loopback",
            "api_version": "v1beta1", "namespace": "default", "machine": "linux", "cores": 2,
            "vars": {} },
    });
    let mut summary: crate::metrics::Summary = serde_json::from_value(text).unwrap();
    summary.comparisons = rounds(&question(12), &cells).into_iter().collect();
    summary.cells = cells;
    summary
}

fn side(name: &str, results: Vec<crate::metrics::Summary>) -> Side {
    Side {
        name: name.to_owned(),
        results,
    }
}

fn versus(old: Side, new: Side) -> Comparison {
    results(&[old, new], &[], (0.05, 0.01)).unwrap().remove(0)
}

#[test]
fn two_results_are_compared_over_their_rounds_and_told_to_be_one_run_each() {
    let old = result(vec![cell("pod", noise(5).map(|noise| 100.0 * noise))]);
    let mut new = result(vec![cell("pod", noise(3).map(|noise| 110.0 * noise))]);
    let comparison = versus(
        side("old", vec![old.clone()]),
        side("new", vec![new.clone()]),
    );
    let pod = &comparison.rows[0].cells[1];
    assert_eq!((pod.standing, pod.samples), (Standing::Worse, 12));
    assert_eq!(comparison.design, Design::Independent);
    assert_eq!(comparison.caveats, [Caveat::OneRunEach]);
    new.run.seed = 2;
    new.run.cores = 4;
    new.cells[0].load = "9 VUs".to_owned();
    let comparison = versus(side("old", vec![old]), side("new", vec![new]));
    let told: Vec<String> = comparison.caveats.iter().map(ToString::to_string).collect();
    assert_eq!(
        told[..3],
        [
            "new: another seed: 2; the baseline's: 1",
            "new: another number of cores: 4; the baseline's: 2",
            "new: turn[mode=pod] ran with 9 VUs, 5 iterations, the baseline with 2 VUs, 5 iterations",
        ]
    );
}

#[test]
fn results_without_rounds_are_one_sample_and_several_of_them_are_runs() {
    let run = |value: u64| {
        let mut cell = cell("pod", std::iter::empty());
        cell.metrics = serde_json::from_value(serde_json::json!([{
            "metric": "exec_duration", "kind": "trend", "unit": "nanoseconds",
            "statistics": { "n": 60, "min_ns": 1, "mean_ns": value, "p50_ns": value, "p90_ns": value,
                "p95_ns": value, "p99_ns": value, "max_ns": value, "histogram": "" },
        }]))
        .unwrap();
        let mut result = result(vec![cell]);
        result.comparisons.clear();
        result
    };
    let one = versus(side("old", vec![run(100)]), side("new", vec![run(150)]));
    let pod = &one.rows[0].cells[1];
    assert_eq!((pod.standing, one.needed), (Standing::TooFew, 4));
    assert!(one.caveats.contains(&Caveat::NoRounds {
        column: "new".to_owned()
    }));
    let old = side("old", [100, 101, 102, 103].map(run).to_vec());
    let new = side("new", [150, 151, 152, 153].map(run).to_vec());
    let several = versus(old.clone(), new);
    assert_eq!(several.rows[0].cells[1].standing, Standing::Worse);
    assert!(!several.caveats.contains(&Caveat::OneRunEach));
    let uneven = results(&[old, side("new", vec![run(150)])], &[], (0.05, 0.01));
    assert_eq!(uneven.unwrap_err(), ResultsError::Uneven);
}

#[test]
fn results_that_share_nothing_are_refused() {
    let old = result(vec![cell("pod", noise(5))]);
    let mut other = cell("pod", noise(5));
    other.scenario = "other".to_owned();
    let new = result(vec![other]);
    let refused = results(
        &[side("old", vec![old]), side("new", vec![new])],
        &[],
        (0.05, 0.01),
    );
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("`old` has `turn[mode=pod]`"), "{refused}");
}
