//! The closed model: a fixed number of VUs, until a number of iterations or a time is over.

use std::time::Duration;

use super::VuCurve;

/// A fixed number of VUs, each running one iteration after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Virtual users; at least 1.
    pub vus: u32,
    /// When it is over.
    pub limit: Limit,
    /// How long iterations in flight may go on after a stop.
    pub graceful_stop: Duration,
}

/// When a closed model is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// After this many iterations in total, shared by the VUs.
    Iterations(u64),
    /// After this time; iterations in flight end.
    Duration(Duration),
}

impl VuCurve for Closed {
    fn vus(&self, elapsed: Duration) -> u32 {
        match self.limit {
            Limit::Duration(duration) if elapsed >= duration => 0,
            Limit::Duration(_) | Limit::Iterations(_) => self.vus,
        }
    }

    fn admits(&self, index: u64, elapsed: Duration) -> bool {
        match self.limit {
            Limit::Iterations(total) => index < total,
            Limit::Duration(duration) => elapsed < duration,
        }
    }

    fn planned(&self) -> Option<u64> {
        match self.limit {
            Limit::Iterations(total) => Some(total),
            Limit::Duration(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn exactly_the_planned_iterations_are_admitted(total in 1_u64..500, vus in 1_u32..50) {
            let closed = Closed {
                vus,
                limit: Limit::Iterations(total),
                graceful_stop: Duration::ZERO,
            };
            let admitted = (0..1000).filter(|index| closed.admits(*index, Duration::ZERO)).count();
            prop_assert_eq!(admitted as u64, total);
            prop_assert_eq!(closed.planned(), Some(total));
        }

        #[test]
        fn a_duration_ends_and_never_comes_back(seconds in 1_u64..100) {
            let end = Duration::from_secs(seconds);
            let closed =
                Closed { vus: 3, limit: Limit::Duration(end), graceful_stop: Duration::ZERO };
            prop_assert!(closed.admits(u64::MAX, Duration::from_nanos(seconds * 1_000_000_000 - 1)));
            for after in 0..5 {
                let late = end + Duration::from_secs(after);
                prop_assert!(!closed.admits(0, late) && closed.vus(late) == 0);
            }
        }
    }
}
