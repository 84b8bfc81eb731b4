//! Runs that never were: cells whose true differences are known, for the truth of comparisons.
//!
//! A latency is `base × drift(round) × disturbance(cell, round) × lognormal`. The drift is a random walk
//! that all cells of a round share; the disturbance is what a round does to one cell alone. Of each
//! round and cell the statistics are taken from its latencies, as a run does.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sandbench::compare::{Question, rounds};
use sandbench::metrics::{CellSummary, ComparedCell, Comparison, RoundSummary};

/// The columns; the first is the baseline.
pub(crate) const MODES: [&str; 5] = [
    "in-cluster-pod-ip",
    "in-cluster",
    "direct",
    "gateway",
    "tunnel",
];
/// The rows.
pub(crate) const METRICS: [&str; 3] = ["exec_duration", "exec_duration p95", "write_duration"];

/// What the world of a simulation is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct World {
    pub(crate) rounds: u32,
    /// Latencies per round and cell.
    pub(crate) iterations: usize,
    /// Spread of the logarithm of a latency.
    pub(crate) spread: f64,
    /// Spread of the logarithm of what a round does to one cell alone.
    pub(crate) disturbance: f64,
    /// Share of rounds of a cell that are disturbed much more: on average by 30 %.
    pub(crate) hiccups: f64,
    /// Step of the shared random walk.
    pub(crate) drift: f64,
}

/// A run, with every latency of the last mode longer by this factor.
pub(crate) fn run(world: &World, seed: u64, factor: f64) -> Comparison {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut cells: Vec<CellSummary> = MODES.iter().map(|mode| cell(mode)).collect();
    let mut drift = 0.0;
    for round in 1..=world.rounds {
        drift += world.drift * normal(&mut rng);
        for (place, cell) in cells.iter_mut().enumerate() {
            let mut own = drift + world.disturbance * normal(&mut rng);
            if rng.random::<f64>() < world.hiccups {
                own += (1.0 - 0.3 * (1.0 - rng.random::<f64>()).ln()).ln();
            }
            let shift = if place + 1 == MODES.len() {
                factor.ln()
            } else {
                0.0
            };
            let mut draw = |base: f64| {
                let latency = |rng: &mut StdRng| (own + shift + world.spread * normal(rng)).exp();
                let mut all: Vec<f64> = (0..world.iterations)
                    .map(|_| base * latency(&mut rng))
                    .collect();
                all.sort_by(f64::total_cmp);
                all
            };
            let (exec, write) = (draw(2e6), draw(9e5));
            let asked = [
                quantile(&exec, 0.5),
                quantile(&exec, 0.95),
                quantile(&write, 0.5),
            ];
            cell.rounds.push(summary(round, &asked));
        }
    }
    rounds(&question(world), &cells).expect("the cells are those of the question")
}

/// A row's cell of the last mode.
pub(crate) fn shifted(comparison: &Comparison, row: usize) -> &ComparedCell {
    comparison.rows[row]
        .cells
        .last()
        .expect("every row has its cells")
}

fn question(world: &World) -> Question {
    let metrics = METRICS
        .iter()
        .map(|metric| metric.parse().expect("a metric"));
    Question {
        scenario: "turn".to_owned(),
        across: "mode".to_owned(),
        baseline: MODES[0].to_owned(),
        rounds: world.rounds,
        metrics: metrics.collect(),
        alpha: 0.05,
        // No least effect: a false alarm is one however small.
        min_effect: 0.0,
    }
}

fn cell(mode: &str) -> CellSummary {
    let cell = serde_json::json!({
        "scenario": "turn", "cell": format!("turn[mode={mode}]"),
        "matrix": BTreeMap::from([("mode", mode)]),
        "verdict": "passed", "load": "1 VU", "vus": 1, "iterations_planned": null,
        "iterations_passed": 1, "iterations_failed": 0, "iterations_interrupted": 0,
        "duration_ms": 1, "metrics": [],
    });
    serde_json::from_value(cell).expect("the form of a cell")
}

fn summary(round: u32, asked: &[f64]) -> RoundSummary {
    RoundSummary {
        round,
        position: 1,
        started_ms: 0,
        duration_ms: 1,
        passed: 1,
        failed: 0,
        whole: true,
        warm: 0,
        cold: 0,
        not_applicable: None,
        trends: Vec::new(),
        asked: asked.iter().copied().map(Some).collect(),
    }
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in the list"
    )]
    let place = (share * sorted.len() as f64).ceil() as usize;
    sorted[place.max(1) - 1]
}

/// Box and Muller.
fn normal(rng: &mut StdRng) -> f64 {
    let (one, other): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - one).ln()).sqrt() * (std::f64::consts::TAU * other).cos()
}
