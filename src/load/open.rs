//! The open model: arrivals at planned times, whether or not earlier ones have ended.
//!
//! When arrival number `n` is due is a function of the model, the seed and `n` alone, counted from the
//! start of the cell: nothing that happens in a run can move it, and no error adds up.

use std::time::Duration;

use super::Profile;

/// Arrivals at planned times.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    /// Arrivals per second; warm-up included.
    pub rate: Profile,
    /// Arrivals in total, warm-up included; absent: until the profile ends.
    pub iterations: Option<u64>,
    /// How they are spread.
    pub arrival: Arrival,
    /// Iterations at the same time; an arrival beyond it is dropped and counted. At least 1.
    pub max_in_flight: u32,
}

/// How arrivals are spread over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Evenly: one per period.
    Constant,
    /// As independent users come: exponential gaps, drawn from the run's seed.
    Poisson,
}

impl Open {
    /// Every arrival's offset from the start of the cell, in order. Deterministic: the same model
    /// and seed give the same offsets.
    pub fn arrivals(&self, seed: u64) -> Arrivals<'_> {
        Arrivals {
            open: self,
            seed,
            index: 0,
            unit: 0,
            last: Duration::ZERO,
        }
    }

    /// How many arrivals there will be, if that is known without drawing them.
    pub fn planned(&self) -> Option<u64> {
        match (self.iterations, self.arrival, self.rate.end()) {
            (Some(total), ..) => Some(total),
            (None, Arrival::Constant, Some(end)) => Some(count(self.rate.integral(end))),
            (None, ..) => None,
        }
    }
}

/// A millionth of an arrival: what rounding may make of an integral.
const NOISE: f64 = 1e-6;

/// The smallest whole number that is not below, without the noise of the last digits.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an integral of a level is never negative"
)]
fn count(amount: f64) -> u64 {
    (amount - NOISE).ceil().max(0.0) as u64
}

/// The offsets of arrivals, in order; ends with the model.
#[derive(Debug, Clone)]
pub struct Arrivals<'a> {
    open: &'a Open,
    seed: u64,
    index: u64,
    /// Sum of the gaps in units of the mean gap, as a whole number of 2⁻³²: adding is exact.
    unit: u128,
    last: Duration,
}

impl Iterator for Arrivals<'_> {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if self
            .open
            .iterations
            .is_some_and(|total| self.index >= total)
        {
            return None;
        }
        let amount = match self.open.arrival {
            Arrival::Constant => self.index as f64,
            Arrival::Poisson => {
                self.unit += u128::from(gap(self.seed, self.index));
                self.unit as f64 / UNIT
            }
        };
        // The integral at the end has some noise in its last digits: what is due there is not one
        // more arrival.
        self.open.rate.reaches(amount + NOISE)?;
        let offset = self.open.rate.reaches(amount)?;
        self.index += 1;
        self.last = offset.max(self.last);
        Some(self.last)
    }
}

const UNIT: f64 = 4_294_967_296.0;

/// The gap before arrival `index` in units of 2⁻³² mean gaps, exponential with mean one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 0 to 37 times 2³²"
)]
fn gap(seed: u64, index: u64) -> u64 {
    let bits = mix(mix(seed).wrapping_add(index));
    // 53 bits, never zero, at most one.
    let share = ((bits >> 11) + 1) as f64 / 9_007_199_254_740_992.0;
    (-share.ln() * UNIT) as u64
}

/// `SplitMix64` (Steele, Lea and Flood, 2014).
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::load::Stage;

    fn open(rate: Profile, arrival: Arrival) -> Open {
        Open {
            rate,
            iterations: None,
            arrival,
            max_in_flight: 1,
        }
    }

    fn ramp(start: u32, targets: &[u32]) -> Profile {
        let stages: Vec<Stage> = targets
            .iter()
            .map(|target| Stage {
                target: f64::from(*target),
                duration: Duration::from_secs(7),
            })
            .collect();
        Profile::stages(f64::from(start), &stages)
    }

    #[test]
    fn ten_million_arrivals_do_not_drift() {
        let open = open(Profile::constant(1000.0, None), Arrival::Constant);
        let mut arrivals = open.arrivals(0);
        for index in 0..10_000_000_u64 {
            let offset = arrivals.next().unwrap();
            let exact = Duration::from_millis(index);
            assert!(offset.abs_diff(exact) <= Duration::from_nanos(1), "{index}");
        }
    }

    #[test]
    fn poisson_gaps_have_the_mean_and_the_spread_of_an_exponential() {
        let open = open(Profile::constant(100.0, None), Arrival::Poisson);
        let offsets: Vec<Duration> = open.arrivals(7).take(100_000).collect();
        let gaps = offsets
            .windows(2)
            .map(|pair| pair[1].abs_diff(pair[0]).as_secs_f64());
        let (mut sum, mut squares, mut n) = (0.0, 0.0, 0.0);
        for gap in gaps {
            sum += gap;
            squares += gap * gap;
            n += 1.0;
        }
        let mean: f64 = sum / n;
        let deviation = (squares / n - mean * mean).sqrt();
        assert!((mean - 0.01).abs() < 0.000_2, "{mean}");
        assert!((deviation - 0.01).abs() < 0.000_4, "{deviation}");
    }

    #[test]
    fn a_number_of_iterations_ends_the_arrivals() {
        for arrival in [Arrival::Constant, Arrival::Poisson] {
            let mut open = open(Profile::constant(5.0, None), arrival);
            open.iterations = Some(12);
            assert_eq!(open.arrivals(1).count(), 12);
            assert_eq!(open.planned(), Some(12));
        }
    }

    proptest! {
        #[test]
        fn the_count_over_any_interval_is_the_integral_of_the_rate(
            start in 0_u32..200, first in 0_u32..200, last in 1_u32..200,
            a in 0_u64..14_000, b in 0_u64..14_000,
        ) {
            let open = open(ramp(start, &[first, last]), Arrival::Constant);
            let (a, b) = (Duration::from_millis(a.min(b)), Duration::from_millis(a.max(b)));
            let found = open.arrivals(0).filter(|at| (a..b).contains(at)).count();
            let due = open.rate.integral(b) - open.rate.integral(a);
            prop_assert!((found as f64 - due).abs() <= 1.000_001, "{found} {due}");
            prop_assert_eq!(Some(open.arrivals(0).count() as u64), open.planned());
        }

        #[test]
        fn offsets_never_go_back_and_the_same_seed_gives_the_same(
            start in 0_u32..100, first in 0_u32..100, last in 1_u32..100, seed in any::<u64>(),
        ) {
            for arrival in [Arrival::Constant, Arrival::Poisson] {
                let open = open(ramp(start, &[first, last]), arrival);
                let offsets: Vec<Duration> = open.arrivals(seed).collect();
                prop_assert!(offsets.is_sorted());
                prop_assert!(offsets.iter().all(|at| *at <= Duration::from_secs(14)));
                let again: Vec<Duration> = open.arrivals(seed).collect();
                prop_assert_eq!(offsets, again);
            }
        }
    }

    #[test]
    fn another_seed_gives_other_arrivals() {
        let open = open(Profile::constant(10.0, None), Arrival::Poisson);
        let of = |seed| open.arrivals(seed).take(5).collect::<Vec<_>>();
        assert_ne!(of(1), of(2));
    }
}
