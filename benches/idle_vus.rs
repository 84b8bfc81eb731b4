//! What a VU costs that does nothing: resident memory of the generator with 1 and with 10,000 of them,
//! all asleep in the middle of an iteration.
//!
//! `cargo bench --bench idle_vus`, about half a minute.

#![expect(clippy::print_stdout, reason = "the table is for who runs it")]
#![expect(unreachable_pub, reason = "a program of its own")]

mod common;

use std::time::Duration;

use common::{Failure, Run};

const MANY: u32 = 10_000;

fn main() -> Result<(), Failure> {
    let one = peak("{ vus: 1, duration: 8s, gracefulStop: 0s }")?;
    println!("{:>18} {one:>8} KiB", "1 VU");
    for (name, load) in [
        (
            "VUs",
            format!("{{ vus: {MANY}, duration: 8s, gracefulStop: 0s }}"),
        ),
        (
            "arrivals in flight",
            format!(
                "{{ rate: {}/s, duration: 6s, maxInFlight: {MANY}, gracefulStop: 2s }}",
                MANY / 5
            ),
        ),
    ] {
        let many = peak(&load)?;
        let each = (many - one) as f64 / f64::from(MANY);
        println!("{MANY:>6} {name}  {many:>8} KiB   {each:.2} KiB each");
    }
    Ok(())
}

/// The most resident memory of a run, in KiB.
fn peak(load: &str) -> Result<u64, Failure> {
    let mut run = Run::start(load, "[{ sleep: 1h }]")?;
    let status = format!("/proc/{}/status", run.id());
    let mut peak = 0;
    while !run.is_over()? {
        let resident = std::fs::read_to_string(&status).ok().and_then(|status| {
            let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        });
        peak = peak.max(resident.unwrap_or(0));
        wait(Duration::from_millis(50));
    }
    run.summary()?;
    Ok(peak)
}

#[expect(
    clippy::disallowed_methods,
    reason = "there is no runtime whose thread this would block"
)]
fn wait(time: Duration) {
    std::thread::sleep(time);
}
