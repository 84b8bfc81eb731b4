//! Pairs of one round: Wilcoxon's signed-rank test, Hodges and Lehmann's estimate and its interval.

use super::exact::{both_sides, doubled_ranks, refused, signed};
use super::{CONFIDENCE, Estimate, between, median, sorted};
use crate::metrics::Interval;

/// Compares values with those of the baseline in the same round, `(baseline, value)` each; all above
/// zero. Nothing without pairs.
pub fn paired(pairs: &[(f64, f64)]) -> Option<Estimate> {
    let ratios: Vec<f64> = pairs
        .iter()
        .map(|(baseline, value)| (value / baseline).ln())
        .collect();
    let (ratio, interval) = centre_of_logarithms(&ratios)?;
    let samples = u32::try_from(pairs.len()).unwrap_or(u32::MAX);
    Some(Estimate {
        ratio,
        interval,
        p: signed_rank(&ratios),
        least_p: least_p(samples),
        samples,
    })
}

/// The centre of values above zero, and where it is; nothing without values.
pub fn centre(values: &[f64]) -> Option<(f64, Option<Interval>)> {
    let logarithms: Vec<f64> = values.iter().map(|value| value.ln()).collect();
    centre_of_logarithms(&logarithms)
}

/// The smallest p of so many pairs: all signs alike.
pub(super) fn least_p(pairs: u32) -> f64 {
    (2.0 * 0.5_f64.powf(f64::from(pairs))).min(1.0)
}

fn centre_of_logarithms(values: &[f64]) -> Option<(f64, Option<Interval>)> {
    let mut averages = Vec::with_capacity(values.len() * (values.len() + 1) / 2);
    for (at, one) in values.iter().enumerate() {
        averages.extend(values[at..].iter().map(|other| f64::midpoint(*one, *other)));
    }
    let averages = sorted(averages);
    let centre = median(&averages)?.exp();
    // Without ties the ranks are 1 to n; not doubled, each sum is the number of averages on one side.
    let ranks: Vec<usize> = (1..=values.len()).collect();
    let place = refused(&signed(&ranks), 1.0 - CONFIDENCE);
    Some((centre, between(&averages, place)))
}

/// The p of both sides. A zero has a rank, so that many of them weigh against a difference, but is on
/// neither side (Pratt).
fn signed_rank(ratios: &[f64]) -> f64 {
    let sizes: Vec<f64> = ratios.iter().map(|ratio| ratio.abs()).collect();
    let ranks = doubled_ranks(&sizes);
    let sided = ranks.iter().zip(ratios).filter(|(_, ratio)| **ratio != 0.0);
    let all: Vec<usize> = sided.clone().map(|(rank, _)| *rank).collect();
    let above = sided.filter(|(_, ratio)| **ratio > 0.0);
    let above: usize = above.map(|(rank, _)| rank).sum();
    both_sides(&signed(&all), above)
}
