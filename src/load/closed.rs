//! The closed model: VUs, each running one iteration after the other, constant or in stages, until a
//! number of iterations or a time is over.

use std::time::Duration;

use super::{End, Profile, VuCurve};

/// VUs, each running one iteration after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Closed {
    /// How many VUs there are at a time; warm-up included.
    pub vus: Profile,
    /// Iterations in total, shared by the VUs, warm-up included; absent: until the profile ends.
    pub iterations: Option<u64>,
}

impl VuCurve for Closed {
    fn vus(&self, elapsed: Duration) -> u32 {
        whole(self.vus.level(elapsed).unwrap_or(0.0))
    }

    fn most(&self) -> u32 {
        whole(self.vus.highest())
    }

    fn admits(&self, index: u64, elapsed: Duration) -> bool {
        self.iterations.is_none_or(|total| index < total) && self.vus.level(elapsed).is_some()
    }

    fn end(&self) -> End {
        match (self.iterations, self.vus.end()) {
            (Some(total), _) => End::Iterations(total),
            (None, Some(at)) => End::At(at),
            // A profile without an end and without a count cannot be decoded.
            (None, None) => End::Iterations(0),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a level is never negative, and numbers of VUs are read as `u32`"
)]
fn whole(level: f64) -> u32 {
    level.round() as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::load::Stage;

    proptest! {
        #[test]
        fn exactly_the_planned_iterations_are_admitted(total in 1_u64..500, vus in 1_u32..50) {
            let closed = Closed {
                vus: Profile::constant(f64::from(vus), None),
                iterations: Some(total),
            };
            let admitted = (0..1000).filter(|index| closed.admits(*index, Duration::ZERO)).count();
            prop_assert_eq!(admitted as u64, total);
            prop_assert_eq!(closed.end(), End::Iterations(total));
            prop_assert_eq!(closed.vus(Duration::from_secs(1_000_000)), vus);
        }

        #[test]
        fn a_duration_ends_and_never_comes_back(seconds in 1_u64..100) {
            let end = Duration::from_secs(seconds);
            let closed = Closed { vus: Profile::constant(3.0, Some(end)), iterations: None };
            prop_assert!(closed.admits(u64::MAX, Duration::from_nanos(seconds * 1_000_000_000 - 1)));
            for after in 0..5 {
                let late = end + Duration::from_secs(after);
                prop_assert!(!closed.admits(0, late) && closed.vus(late) == 0);
            }
        }

        #[test]
        fn stages_never_have_more_vus_than_the_most(start in 0_u32..50, first in 0_u32..50, last in 0_u32..50, at in 0_u64..30_000) {
            let stage = |target| Stage { target: f64::from(target), duration: Duration::from_secs(10) };
            let closed = Closed {
                vus: Profile::stages(f64::from(start), &[stage(first), stage(last)]),
                iterations: None,
            };
            prop_assert!(closed.vus(Duration::from_millis(at)) <= closed.most());
            prop_assert_eq!(closed.most(), start.max(first).max(last));
            prop_assert_eq!(closed.admits(0, Duration::from_millis(at)), at < 20_000);
        }
    }
}
