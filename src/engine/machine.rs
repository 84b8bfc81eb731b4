//! [`Ticks`]: what became of the time of all processors of the machine. Linux only: elsewhere nothing is known.

use std::time::Duration;

use crate::metrics::Machine;

/// Ticks of all processors since the machine started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ticks {
    all: u64,
    idle: u64,
    stolen: u64,
}

impl Ticks {
    pub(super) fn read() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/stat").ok()?)
    }

    /// The line `cpu`: user, nice, system, idle, iowait, irq, softirq, steal, guest, `guest_nice`; the
    /// last two are part of the first two. Source: proc(5).
    fn parse(text: &str) -> Option<Self> {
        let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let ticks: Vec<u64> = line
            .split_ascii_whitespace()
            .map_while(|ticks| ticks.parse().ok())
            .collect();
        let at = |place: usize| ticks.get(place).copied().unwrap_or(0);
        (ticks.len() >= 5).then(|| Self {
            all: ticks.iter().take(8).sum(),
            idle: at(3) + at(4),
            stolen: at(7),
        })
    }

    /// What became of the time since then, of which this program used so much on so many cores.
    pub(super) fn since(
        self,
        earlier: Self,
        (own, cores): (Duration, f64),
        of: Duration,
    ) -> Option<Machine> {
        let all = self.all.checked_sub(earlier.all).filter(|all| *all > 0)? as f64;
        let share = |now: u64, then: u64| now.saturating_sub(then) as f64 / all;
        let idle = share(self.idle, earlier.idle);
        let stolen = share(self.stolen, earlier.stolen);
        let own = own.as_secs_f64() / (of.as_secs_f64() * cores.max(1.0)).max(f64::MIN_POSITIVE);
        Some(Machine {
            idle,
            stolen,
            others: (1.0 - idle - stolen - own).max(0.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_machine_is_shared_out() {
        let before = Ticks::parse("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3\n").unwrap();
        let after = Ticks::parse("cpu  160 0 70 890 60 0 0 20 7 0\n").unwrap();
        let own = (Duration::from_millis(500), 2.0);
        let machine = after.since(before, own, Duration::from_secs(1)).unwrap();
        let near = |share: f64, wanted: f64| (share - wanted).abs() < 1e-9;
        assert!(near(machine.idle, 0.5), "{machine:?}");
        assert!(near(machine.stolen, 0.1), "{machine:?}");
        assert!(near(machine.others, 0.15), "{machine:?}");
        assert_eq!(after.since(after, own, Duration::from_secs(1)), None);
    }

    #[test]
    fn texts_that_are_none_of_it_give_nothing() {
        assert_eq!(Ticks::parse("intr 1 2 3\n"), None);
        assert_eq!(Ticks::parse("cpu  1 2\n"), None);
    }
}
