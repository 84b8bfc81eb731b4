//! Two sides that share no round: the rank-sum test, Hodges and Lehmann's shift and its interval.

use statrs::distribution::{ContinuousCDF, Normal};

use super::exact::{both_sides, chosen, doubled_ranks, refused};
use super::{CONFIDENCE, Estimate, between, median, sorted};

/// Up to so many samples of both sides together the distribution is exact; beyond, the normal one
/// differs from it in the third digit of p.
const EXACT: usize = 60;

/// Compares the values of two sides, the baseline's first; all above zero. Nothing where a side has
/// none.
pub fn independent(baseline: &[f64], values: &[f64]) -> Option<Estimate> {
    let logarithms = |values: &[f64]| values.iter().map(|value| value.ln()).collect::<Vec<_>>();
    let (baseline, values) = (logarithms(baseline), logarithms(values));
    let shifts = values
        .iter()
        .flat_map(|value| baseline.iter().map(move |from| value - from));
    let shifts = sorted(shifts.collect());
    let ratio = median(&shifts)?.exp();
    let samples = baseline.len().min(values.len());
    Some(Estimate {
        ratio,
        interval: between(&shifts, place(baseline.len(), values.len())),
        p: rank_sum(&baseline, &values),
        least_p: least_p(baseline.len(), values.len()),
        samples: u32::try_from(samples).unwrap_or(u32::MAX),
    })
}

/// The smallest p of so many samples: one side wholly above the other.
pub(super) fn least_p(one: usize, other: usize) -> f64 {
    let ways = (1..=one.min(other)).fold(1.0, |ways, taken| {
        ways * (one.max(other) + taken) as f64 / taken as f64
    });
    (2.0 / ways).min(1.0)
}

fn rank_sum(baseline: &[f64], values: &[f64]) -> f64 {
    let all = [baseline, values].concat();
    let ranks = doubled_ranks(&all);
    let sum: usize = ranks[baseline.len()..].iter().sum();
    if all.len() <= EXACT {
        return both_sides(&chosen(&ranks, values.len()), sum);
    }
    let (one, other) = (baseline.len() as f64, values.len() as f64);
    let count = one + other;
    let middle = other * (count + 1.0) / 2.0;
    // The variance of the ranks themselves holds the correction for ties.
    let mean = f64::midpoint(1.0, count);
    let spread: f64 = ranks
        .iter()
        .map(|rank| (*rank as f64 / 2.0 - mean).powi(2))
        .sum();
    let variance = one * other / count * spread / (count - 1.0);
    if variance <= 0.0 {
        return 1.0;
    }
    let off = ((sum as f64 / 2.0 - middle).abs() - 0.5).max(0.0);
    (2.0 * Normal::standard().sf(off / variance.sqrt())).min(1.0)
}

/// The place of the interval's ends among the sorted shifts.
fn place(one: usize, other: usize) -> usize {
    if one + other <= EXACT {
        let ranks: Vec<usize> = (1..=one + other).collect();
        let least = other * (other + 1) / 2;
        return refused(&chosen(&ranks, other)[least..], 1.0 - CONFIDENCE);
    }
    let (one, other) = (one as f64, other as f64);
    let quantile = Normal::standard().inverse_cdf(f64::midpoint(1.0, CONFIDENCE));
    let spread = (one * other * (one + other + 1.0) / 12.0).sqrt();
    let place = (one * other / 2.0 - quantile * spread).floor();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at least 0 and at most half the number of shifts"
    )]
    let place = place.max(0.0) as usize;
    place
}
