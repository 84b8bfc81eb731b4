//! [`OwnHealth`]: watches the generator itself while the cells run: processor time, how late the runtime
//! wakes a task, open descriptors.
//!
//! One task that wakes ten times a second; its figures are the grounds for doubting all others.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::machine::Ticks;
use super::ports::Ports;
use crate::metrics::{Generator, Histogram, Machine, nanos};

/// How often it looks.
const PERIOD: Duration = Duration::from_millis(100);
/// Looks per reading of processor time and descriptors.
const SECOND: u32 = 10;

/// The watch; ends with [`OwnHealth::finish`].
#[derive(Debug)]
pub(super) struct OwnHealth {
    tasks: JoinSet<Generator>,
    over: CancellationToken,
}

impl OwnHealth {
    pub(super) fn start() -> Self {
        let over = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(watch(over.clone()));
        Self { tasks, over }
    }

    /// Ends the watch and gives what it saw.
    pub(super) async fn finish(mut self) -> Generator {
        self.over.cancel();
        match self.tasks.join_next().await {
            Some(Ok(seen)) => seen,
            Some(Err(_)) | None => Generator::default(),
        }
    }
}

async fn watch(over: CancellationToken) -> Generator {
    let mut late = Histogram::default();
    let (started, cpu_at_start) = (Instant::now(), cpu_time());
    let (mut second, mut cpu) = (started, cpu_at_start);
    let ticks_at_start = Ticks::read();
    let mut ticks = ticks_at_start;
    let mut headroom = None;
    let mut ports = Ports::new();
    let mut seen = Generator {
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as f64,
        descriptors_limit: descriptor_limit(),
        descriptors_peak: descriptors(),
        ..Generator::default()
    };
    for look in 1_u32.. {
        let due = Instant::now() + PERIOD;
        tokio::select! {
            () = over.cancelled() => break,
            () = tokio::time::sleep_until(due) => {}
        }
        let now = Instant::now();
        late.record(now.saturating_duration_since(due));
        if look % SECOND == 0 {
            let used = cpu_time().saturating_sub(ports.spent());
            let (own, took) = (
                used.saturating_sub(cpu),
                now.saturating_duration_since(second),
            );
            let ticks_now = Ticks::read();
            let machine = since(ticks_now, ticks, (own, seen.cores), took);
            let left = left(&seen, share(own, took), machine);
            headroom = Some(headroom.map_or(left, |least: f64| least.min(left)));
            seen.cpu_cores_peak = seen.cpu_cores_peak.max(share(own, took));
            (second, cpu, ticks) = (now, used, ticks_now);
            seen.descriptors_peak = seen.descriptors_peak.max(descriptors());
            ports.look();
        }
    }
    let used = cpu_time().saturating_sub(cpu_at_start + ports.spent());
    let took = started.elapsed();
    seen.cpu_cores_mean = share(used, took);
    seen.cpu_cores_peak = seen.cpu_cores_peak.max(seen.cpu_cores_mean);
    let machine = since(Ticks::read(), ticks_at_start, (used, seen.cores), took);
    seen.cpu_cores_headroom = headroom.unwrap_or_else(|| left(&seen, seen.cpu_cores_mean, machine));
    // A tick is ten milliseconds: in less than some of them nothing can be told.
    seen.machine = machine.filter(|_| took >= PERIOD * SECOND);
    seen.poll_delay_p99_ns = nanos(late.quantile(0.99));
    (seen.ports_peak, seen.ports_limit) = ports.finish().await;
    seen
}

fn since(
    now: Option<Ticks>,
    then: Option<Ticks>,
    own: (Duration, f64),
    took: Duration,
) -> Option<Machine> {
    now?.since(then?, own, took)
}

/// What is left of the cores after this use, and no more than what is idle on the machine.
fn left(seen: &Generator, used: f64, machine: Option<Machine>) -> f64 {
    let idle = machine.map_or(f64::INFINITY, |machine| machine.idle * seen.cores);
    (seen.cores - used).max(0.0).min(idle)
}

fn share(used: Duration, of: Duration) -> f64 {
    if of.is_zero() {
        return 0.0;
    }
    used.as_secs_f64() / of.as_secs_f64()
}

/// Processor time of the whole process, user and system.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

fn descriptors() -> u64 {
    std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64)
}

fn descriptor_limit() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_sees_its_own_process() {
        let health = OwnHealth::start();
        tokio::task::yield_now().await;
        let seen = health.finish().await;
        assert!(seen.cores >= 1.0 && seen.cpu_cores_peak >= seen.cpu_cores_mean);
        assert!(seen.descriptors_peak > 0);
        assert!(seen.cpu_cores_headroom >= 0.0 && seen.cpu_cores_headroom <= seen.cores);
        assert!(seen.ports_limit == 0 || seen.ports_limit > 1_000);
    }
}
