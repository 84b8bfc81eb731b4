//! Whether a difference is real, how large it is, and from how many rounds: statistics without I/O.
//!
//! ```text
//! rounds of the cells ──► pairs of one round ──► test, estimate, interval ──► Holm ──► findings
//! whole results       ──► independent samples ──┘
//! ```
//!
//! **The unit is the round**, never the request: requests of one round share its warm caches, its pool
//! and its neighbours, and counting them one by one would make differences "certain" that the next
//! round takes back. Of a round one value is taken (its median, its p95), and its logarithm, since
//! costs act as factors.
//!
//! **Cells of one run** ran in the same rounds, in shuffled order: a randomised block design. Each
//! value is paired with the baseline's of its round, so that what changes over the run (drift, refilling
//! pools) falls out. The test is Wilcoxon's signed-rank test (Wilcoxon 1945), a permutation test of the
//! ranks, with its exact null distribution, ties and zeros included (Pratt 1959). It asks of the noise
//! only that it be symmetric about its centre, which the shuffled order gives when there is no difference.
//!
//! **Results of several runs** share no round: the two-sample analogue, the rank-sum test (Wilcoxon
//! 1945; Mann and Whitney 1947), exact up to 60 samples, beyond that its normal approximation with the
//! correction for ties. It is also the test of Go's `benchstat`.
//!
//! **The ratio** is estimated by Hodges and Lehmann (1963): the median of the averages of all pairs of
//! log ratios, or of all differences between the two sides. **Its interval** holds every ratio that the
//! test does not refuse at 5 % (Hollander, Wolfe and Chicken, "Nonparametric Statistical Methods", 3rd
//! edition, 3.3 and 4.3): so test and interval cannot contradict each other, and its coverage follows
//! from the exact distribution. A percentile bootstrap over 12 rounds covers too little; `cargo bench
//! --bench compare_truth` shows both.
//!
//! **Many tests** find something by chance. The p of every cell is corrected by Holm (1979) over all
//! tests of one table: its cells, metrics and rows together. So of tables without any difference at
//! most one in twenty shows one, at `alpha` 0.05. Intervals are not widened.
//!
//! A difference is shown when the corrected p is below `alpha` *and* the ratio is off by `minEffect` or
//! more. With n pairs no p is below 2/2ⁿ: where that, times the tests, is not below `alpha`, the finding
//! is "too few", with the number of rounds that it takes ([`needed`]).

mod caveats;
mod draft;
mod exact;
mod independent;
mod paired;
mod question;
mod results;
mod rounds;

pub use draft::{holm, needed};
pub use independent::independent;
pub use paired::{centre, paired};
pub use question::Question;
pub use results::{ResultsError, Side, results};
pub use rounds::{MOST_ROUNDS, rounds};

use crate::metrics::Interval;

/// `alpha` where nobody says it: as everywhere in the field.
pub const ALPHA: f64 = 0.05;
/// `minEffect` where nobody says it: below it a difference means little to a user, and some of it is
/// the histograms' own resolution (0.1 %).
pub const MIN_EFFECT: f64 = 0.01;

/// The confidence of every interval.
pub const CONFIDENCE: f64 = 0.95;

/// What a test of two columns says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The value divided by the baseline's.
    pub ratio: f64,
    /// Where the ratio is, with [`CONFIDENCE`]; nothing with too few samples for any interval.
    pub interval: Option<Interval>,
    /// Probability of a difference at least as large where there is none; both sides.
    pub p: f64,
    /// The smallest p that so many samples can have.
    pub least_p: f64,
    /// Samples, or pairs.
    pub samples: u32,
}

/// The middle of sorted values; nothing without any.
fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// The interval between the `place`-th value from either end, from 1; back from logarithms.
fn between(sorted: &[f64], place: usize) -> Option<Interval> {
    let low = place.checked_sub(1).and_then(|at| sorted.get(at))?;
    let high = sorted
        .len()
        .checked_sub(place)
        .and_then(|at| sorted.get(at))?;
    Some(Interval {
        low: low.exp(),
        high: high.exp(),
    })
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

#[cfg(test)]
mod tests;
