//! [`Histogram`]: an HDR histogram of durations.
//!
//! Whole nanoseconds, three significant digits, from 1 ns to 1 h; a longer duration is counted as
//! 1 h and the counting of that is kept.

use std::time::Duration;

use super::counts::{Bucket, Counts};
use super::encoded_histogram::{EncodedHistogram, HistogramError};

/// The longest duration that is told apart.
const LONGEST: Duration = Duration::from_hours(1);

/// A distribution of durations.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    counts: Counts,
    clamped: u64,
}

/// Whole nanoseconds, as results and OTLP have them; 584 years at most.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Histogram {
    /// Counts a duration.
    pub fn record(&mut self, duration: Duration) {
        if duration > LONGEST {
            self.clamped += 1;
        }
        let value = nanos(duration.min(LONGEST)).max(1);
        self.counts.add(Bucket::index_of(value), 1);
    }

    /// Adds all values of another one.
    pub fn merge(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
        self.clamped += other.clamped;
    }

    /// Forgets all values and keeps the memory for the next ones.
    pub fn clear(&mut self) {
        self.counts.clear();
        self.clamped = 0;
    }

    /// What was counted since an earlier copy was taken.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut later = self.clone();
        later.counts.subtract(&earlier.counts);
        later.clamped = later.clamped.saturating_sub(earlier.clamped);
        later
    }

    /// The same with a number of longer durations, which the encoded form does not have.
    #[must_use]
    pub fn with_clamped(mut self, clamped: u64) -> Self {
        self.clamped = clamped;
        self
    }

    /// Every value that occurs, shortest first, and how often: values that are not told apart are
    /// one, the longest of them.
    pub fn values(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let all = self.buckets();
        all.map(|(value, count)| (Duration::from_nanos(value), count))
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.counts.total()
    }

    /// How many were longer than 1 h.
    pub fn clamped(&self) -> u64 {
        self.clamped
    }

    /// The duration at a quantile from 0.0 to 1.0; zero when empty.
    pub fn quantile(&self, quantile: f64) -> Duration {
        if quantile <= 0.0 {
            return self.min();
        }
        Duration::from_nanos(self.longest_at(quantile))
    }

    /// The longest value of the bucket at a quantile; 0 when empty.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a number of samples"
    )]
    fn longest_at(&self, quantile: f64) -> u64 {
        let wanted = (quantile.min(1.0) * self.count() as f64).ceil() as u64;
        let mut left = wanted.max(1);
        let found = self.buckets().find(|(_, count)| {
            let here = left <= *count;
            left = left.saturating_sub(*count);
            here
        });
        // Rounding may ask for one more than there are.
        found.map_or(nanos(self.max()), |(value, _)| value)
    }

    /// About how many more values there would be if, instead of each that is longer than twice the
    /// median, its place had been taken by values of the median: what a generator that waits for
    /// each answer did not ask meanwhile.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a sum of positive terms; beyond `u64` it saturates"
    )]
    pub fn hidden(&self) -> u64 {
        let median = self.longest_at(0.5).max(1);
        let longer = self.buckets().filter(|(value, _)| *value > 2 * median);
        let hidden = longer.map(|(value, count)| {
            let places = value as f64 / median as f64;
            (places - 1.0) * count as f64
        });
        hidden.sum::<f64>() as u64
    }

    /// Every value that was counted, in nanoseconds and as far as values are told apart, with its count; ascending.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        let all = self.counts.iter();
        all.map(|(index, count)| (Bucket::at(index).highest, count))
    }

    /// The shortest; zero when empty.
    pub fn min(&self) -> Duration {
        let first = self.counts.iter().next();
        first.map_or(Duration::ZERO, |(index, _)| {
            Duration::from_nanos(Bucket::at(index).lowest)
        })
    }

    /// The longest; zero when empty.
    pub fn max(&self) -> Duration {
        let last = self.counts.iter().next_back();
        last.map_or(Duration::ZERO, |(index, _)| {
            Duration::from_nanos(Bucket::at(index).highest)
        })
    }

    /// The mean; zero when empty.
    pub fn mean(&self) -> Duration {
        let total = self.count() as f64;
        let shares = self
            .counts
            .iter()
            .map(|(index, count)| Bucket::at(index).middle() as f64 * count as f64 / total);
        // From 0, since the sum of nothing is -0.
        let mean = shares.fold(0.0, |sum, share| sum + share);
        Duration::try_from_secs_f64(mean / 1e9).unwrap_or_default()
    }

    /// HdrHistogram V2, deflate.
    pub fn encode(&self) -> EncodedHistogram {
        EncodedHistogram::of(&self.counts)
    }

    /// Reads what [`Histogram::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not an HdrHistogram V2 of nanoseconds with three digits.
    pub fn decode(encoded: &EncodedHistogram) -> Result<Self, HistogramError> {
        let counts = encoded.counts()?;
        Ok(Self { counts, clamped: 0 })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(micros: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for value in micros {
            histogram.record(Duration::from_micros(*value));
        }
        histogram
    }

    fn shape(histogram: &Histogram) -> Vec<Duration> {
        [0.0, 0.5, 0.9, 0.95, 0.99, 1.0]
            .map(|q| histogram.quantile(q))
            .to_vec()
    }

    #[test]
    fn an_empty_histogram_is_all_zero() {
        let empty = Histogram::default();
        assert_eq!(
            (empty.count(), empty.max(), empty.mean()),
            (0, Duration::ZERO, Duration::ZERO)
        );
    }

    #[test]
    fn what_a_waiting_generator_did_not_ask_is_estimated() {
        assert_eq!(of(&[10; 100]).hidden(), 0);
        let mut values = [10_000_u64; 99].to_vec();
        values.push(1_000_000);
        let hidden = of(&values).hidden();
        assert!((97..=101).contains(&hidden), "{hidden}");
    }

    #[test]
    fn what_is_longer_than_an_hour_is_counted_and_told() {
        let mut histogram = Histogram::default();
        histogram.record(Duration::from_secs(10_000));
        histogram.record(Duration::MAX);
        assert_eq!((histogram.count(), histogram.clamped()), (2, 2));
    }

    proptest! {
        #[test]
        fn merging_parts_gives_the_whole(
            a in proptest::collection::vec(0_u64..10_000_000, 0..60),
            b in proptest::collection::vec(0_u64..10_000_000, 0..60),
        ) {
            let mut merged = of(&a);
            merged.merge(&of(&b));
            let whole = of(&[a, b].concat());
            prop_assert_eq!(merged.count(), whole.count());
            prop_assert_eq!(shape(&merged), shape(&whole));
        }

        #[test]
        fn writing_and_reading_keeps_the_quantiles(
            values in proptest::collection::vec(0_u64..10_000_000, 1..80),
        ) {
            let histogram = of(&values);
            let read = Histogram::decode(&histogram.encode()).unwrap();
            prop_assert_eq!(shape(&read), shape(&histogram));
        }
    }
    /// The reference: what others read and write.
    fn reference(micros: &[u64]) -> hdrhistogram::Histogram<u64> {
        let mut histogram = hdrhistogram::Histogram::new(3).unwrap();
        for value in micros {
            histogram.record((value * 1_000).max(1)).unwrap();
        }
        histogram
    }

    proptest! {
        #[test]
        fn every_figure_is_that_of_the_reference(
            values in proptest::collection::vec(0_u64..3_600_000_000, 0..80),
            shift in 0_u32..24,
            quantile in 0.0..=1.0,
        ) {
            let values: Vec<u64> = values.iter().map(|value| value >> shift).collect();
            let (ours, theirs) = (of(&values), reference(&values));
            for quantile in [0.0, 0.5, 0.99, 1.0, quantile] {
                let wanted = theirs.value_at_quantile(quantile).min(theirs.max());
                prop_assert_eq!(nanos(ours.quantile(quantile)), wanted, "{}", quantile);
            }
            let wanted = Duration::try_from_secs_f64(theirs.mean() / 1e9).unwrap();
            prop_assert_eq!(ours.mean(), wanted);
            prop_assert_eq!(nanos(ours.max()), theirs.max());
            let wanted = if theirs.is_empty() { 0 } else { theirs.min() };
            prop_assert_eq!(nanos(ours.min()), wanted);
            let wanted: Vec<(u64, u64)> = theirs
                .iter_recorded()
                .map(|found| (found.value_iterated_to(), found.count_at_value()))
                .collect();
            prop_assert_eq!(ours.buckets().collect::<Vec<_>>(), wanted);
        }
    }
}
