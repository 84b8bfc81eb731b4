//! What comparisons are worth, measured on runs whose truth is known: how often a difference is seen where
//! there is none, how often one of 10 % is found, and how often the interval holds the true ratio.
//!
//! `cargo bench --bench compare_truth` prints the table of the README. Everything is seeded.
#![expect(clippy::print_stdout, reason = "it prints a table")]

#[path = "compare/simulation.rs"]
mod simulation;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sandbench::metrics::{Comparison, Design, Standing};

use simulation::{METRICS, MODES, World, run, shifted};

/// Simulated comparisons of each kind.
const RUNS: u32 = 200;
/// The difference that is planted.
const FACTOR: f64 = 1.1;

const WORLDS: [(&str, World); 3] = [
    (
        "quiet: rounds ± 2 %",
        World {
            rounds: 12,
            iterations: 100,
            spread: 0.15,
            disturbance: 0.02,
            hiccups: 0.0,
            drift: 0.05,
        },
    ),
    (
        "as measured: rounds ± 3 %",
        World {
            rounds: 12,
            iterations: 100,
            spread: 0.25,
            disturbance: 0.03,
            hiccups: 0.02,
            drift: 0.05,
        },
    ),
    (
        "loud: rounds ± 6 %, hiccups",
        World {
            rounds: 12,
            iterations: 100,
            spread: 0.4,
            disturbance: 0.06,
            hiccups: 0.1,
            drift: 0.1,
        },
    ),
];

fn main() {
    println!(
        "{} cells × {} metrics, 12 rounds, alpha 0.05 after Holm over {} tests; {RUNS} runs each\n",
        MODES.len(),
        METRICS.len(),
        (MODES.len() - 1) * METRICS.len()
    );
    println!(
        "{:<28} {:>13} {:>14} {:>14} {:>10} {:>10}",
        "noise", "false alarms", "10 % found p50", "10 % found p95", "coverage", "bootstrap"
    );
    for (place, (name, world)) in (0_u64..).zip(&WORLDS) {
        let seed = |run: u32| place << 32 | u64::from(run);
        let same: Vec<Comparison> = (0..RUNS).map(|at| run(world, seed(at), 1.0)).collect();
        let differ: Vec<Comparison> = (0..RUNS)
            .map(|at| run(world, seed(at + RUNS), FACTOR))
            .collect();
        let alarms = same
            .iter()
            .filter(|comparison| is_shown(comparison))
            .count();
        let found = |row: usize| {
            let found = differ.iter().filter(|comparison| {
                let cell = shifted(comparison, row);
                cell.standing == Standing::Worse
            });
            found.count()
        };
        println!(
            "{:<28} {:>13} {:>14} {:>14} {:>10} {:>10}",
            name,
            share(alarms, RUNS as usize),
            share(found(0), RUNS as usize),
            share(found(1), RUNS as usize),
            coverage(&same, &differ),
            bootstrap(world.disturbance, seed(2 * RUNS)),
        );
    }
    println!("\nrounds that it takes: {}", needed());
}

/// Whether any cell of any row is shown to differ.
fn is_shown(comparison: &Comparison) -> bool {
    let mut cells = comparison.rows.iter().flat_map(|row| &row.cells);
    cells.any(|cell| matches!(cell.standing, Standing::Worse | Standing::Better))
}

fn share(part: usize, whole: usize) -> String {
    format!("{:.1} %", 100.0 * part as f64 / whole as f64)
}

/// How often the interval holds the true ratio: of all cells without a difference, and of those with.
fn coverage(same: &[Comparison], differ: &[Comparison]) -> String {
    let mut held = 0;
    let mut all = 0;
    for (comparisons, factor) in [(same, 1.0), (differ, FACTOR)] {
        for cells in comparisons.iter().flat_map(|comparison| &comparison.rows) {
            let last = cells.cells.len() - 1;
            for (at, cell) in cells.cells.iter().enumerate().skip(1) {
                let truth = if at == last { factor } else { 1.0 };
                let interval = cell.ratio_interval.expect("12 rounds give an interval");
                all += 1;
                held += usize::from(interval.low <= truth && truth <= interval.high);
            }
        }
    }
    share(held, all)
}

/// The coverage of a percentile bootstrap of the mean over 12 rounds, for the sake of comparison.
fn bootstrap(spread: f64, seed: u64) -> String {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut held = 0;
    for _ in 0..RUNS * 5 {
        // A sum of twelve uniform numbers less six is near enough to normal here.
        let mut normal = || (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
        let pairs: Vec<f64> = (0..12).map(|_| spread * (normal() - normal())).collect();
        let mut means: Vec<f64> = (0..1000)
            .map(|_| (0..12).map(|_| pairs[rng.random_range(0..12)]).sum::<f64>() / 12.0)
            .collect();
        means.sort_by(f64::total_cmp);
        held += usize::from(means[24] <= 0.0 && 0.0 <= means[975]);
    }
    share(held, RUNS as usize * 5)
}

fn needed() -> String {
    let tests = [1, 4, 12, 24, 100];
    let of = |tests: &u32| {
        let rounds = sandbench::compare::needed(*tests, 0.05, Design::Paired);
        format!("{rounds} for {tests}")
    };
    tests.iter().map(of).collect::<Vec<_>>().join(", ") + " tests"
}
