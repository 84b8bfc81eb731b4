//! How exactly iterations start: actual minus planned start, with 2,000 in flight, and what it costs.
//!
//! `cargo bench --bench pacer` prints a row per rate, about a minute in all. The machine should have
//! nothing else to do. The CPU share is that of the generator, of one core.

#![expect(clippy::print_stdout, reason = "the table is for who runs it")]
#![expect(unreachable_pub, reason = "a program of its own")]

#[expect(dead_code, reason = "the other bench needs more of it")]
mod common;

use std::time::Duration;

use common::{Failure, Run};
use sandbench::metrics::{Histogram, Metric};

const IN_FLIGHT: u32 = 2_000;
const MEASURED: Duration = Duration::from_secs(10);

fn main() -> Result<(), Failure> {
    println!(
        "{:>9} {:>8} {:>9} {:>9} {:>9} {:>9} {:>6}",
        "arrivals", "n", "p50", "p99", "p99.9", "max", "CPU"
    );
    let idle = Run::start(
        "{ rate: 1/m, duration: 10s, gracefulStop: 0s }",
        "[{ sleep: 1ms }]",
    )?;
    let idle = idle.summary()?.generator.cpu_cores_mean;
    println!("{:>9} {:>62.1}%", "none", idle * 100.0);
    for rate in [100, 1_000, 5_000] {
        row(rate)?;
    }
    Ok(())
}

fn row(rate: u32) -> Result<(), Failure> {
    let stays = Duration::from_secs(u64::from(IN_FLIGHT)) / rate;
    let load = format!(
        "{{ rate: {rate}/s, warmup: {}ms, duration: {}s, maxInFlight: 5000, gracefulStop: 0s }}",
        stays.as_millis(),
        MEASURED.as_secs()
    );
    let steps = format!("[{{ sleep: {}ms }}]", stays.as_millis());
    let summary = Run::start(&load, &steps)?.summary()?;
    let cell = summary.cells.first().ok_or("a result without a cell")?;
    let delay = cell
        .metrics
        .iter()
        .find(|series| series.is(Metric::IterationStartDelay))
        .and_then(|series| series.statistics.as_ref())
        .ok_or("a result without start delays")?;
    let histogram = Histogram::decode(&delay.histogram)?;
    let micros = |time: Duration| format!("{}µs", time.as_micros());
    println!(
        "{:>9} {:>8} {:>9} {:>9} {:>9} {:>9} {:>5.1}%",
        format!("{rate}/s"),
        delay.n,
        micros(histogram.quantile(0.5)),
        micros(histogram.quantile(0.99)),
        micros(histogram.quantile(0.999)),
        micros(histogram.max()),
        summary.generator.cpu_cores_mean * 100.0
    );
    if cell.iterations_dropped > 0 {
        println!("          {} were dropped", cell.iterations_dropped);
    }
    Ok(())
}
