//! Memory does not grow with the number of samples: `cargo run --release --example memory`.
//!
//! Ten virtual users record an hour's worth of iterations, a window is closed every ten thousand samples, as in
//! a run of a thousand seconds. Resident memory after ten million samples, or as many as are asked for, may be at
//! most 2 MiB above that after one million; otherwise it exits with 1.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

use std::process::ExitCode;
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use sandbench::metrics::{
    CellFacts, ClosedWindow, Metric, Recorder, SharedAggregate, StepIndex, Timeline,
};

const MIB: u64 = 1 << 20;
const ALLOWED: u64 = 2 * MIB;
const USERS: usize = 10;
/// Samples of a window.
const WINDOW: u64 = 10_000;
const FIRST: u64 = 1_000_000;
/// Samples in all, unless the first argument says how many.
const ALL: u64 = 10_000_000;

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

fn main() -> ExitCode {
    let facts = CellFacts {
        cell: "memory".to_owned(),
        scenario: "memory".to_owned(),
        matrix: std::collections::BTreeMap::new(),
        tags: std::collections::BTreeMap::new(),
        load: format!("{USERS} VUs"),
        planned: None,
        steps: (1..=4).map(|number| format!("step {number}")).collect(),
        started: Duration::ZERO,
        figures: SharedAggregate::default(),
    };
    let all = std::env::args().nth(1).and_then(|all| all.parse().ok());
    let all = all.unwrap_or(ALL);
    let mut recorders: Vec<Recorder> = (0..USERS)
        .map(|_| Recorder::new(facts.figures.clone()))
        .collect();
    let mut timeline = Timeline::new(Duration::from_secs(1));
    let mut random = StdRng::seed_from_u64(7);
    let metrics = [
        (Metric::SandboxReadyDuration, 0),
        (Metric::ExecDuration, 1),
        (Metric::WriteDuration, 2),
        (Metric::ReadDuration, 3),
    ];
    let (mut samples, mut second, mut at_first) = (0_u64, 0_u64, 0_u64);
    while samples < all {
        for turn in 0.. {
            let Some(recorder) = recorders.get_mut(turn % USERS) else {
                break;
            };
            for (metric, step) in metrics {
                let time = duration(&mut random);
                recorder.time(metric, Some(StepIndex(step)), time);
            }
            recorder.count(Metric::Iterations, None, 1);
            recorder.hand_over();
            samples += metrics.len() as u64;
            if samples % WINDOW == 0 {
                break;
            }
        }
        let (from, to) = (Duration::from_secs(second), Duration::from_secs(second + 1));
        timeline.add(&ClosedWindow::close(&facts, from, to));
        second += 1;
        if samples == FIRST {
            at_first = resident();
            println!("{samples:>10} samples: {:>7.2} MiB resident", mib(at_first));
        }
    }
    let at_end = resident();
    let grown = at_end.saturating_sub(at_first);
    println!(
        "{samples:>10} samples: {:>7.2} MiB resident, {:.2} MiB more",
        mib(at_end),
        mib(grown)
    );
    let (windows, width) = timeline.finish();
    println!("{} windows of {} s", windows.len(), width.as_secs());
    if grown > ALLOWED {
        eprintln!("memory grew with the samples");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Log-normal around 20 ms with a shape of 0.6: p99 is four times the median, as services have it. The normal
/// variable is the sum of twelve even ones (Irwin and Hall).
fn duration(random: &mut StdRng) -> Duration {
    let sum: f64 = (0..12).map(|_| random.random::<f64>()).sum();
    Duration::from_secs_f64(0.02 * (0.6 * (sum - 6.0)).exp())
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB as f64
}
