//! [`Histogram`]: an HDR histogram of durations.
//!
//! Whole nanoseconds, three significant digits, from 1 ns to 1 h; a longer duration is counted as
//! 1 h and the counting of that is kept. Serialized as HdrHistogram V2, deflate, base64, which the
//! HdrHistogram libraries of other languages read.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram as Hdr;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

/// The longest duration that is told apart.
const LONGEST: Duration = Duration::from_hours(1);

/// A distribution of durations.
#[derive(Debug, Clone)]
pub struct Histogram {
    hdr: Hdr<u64>,
    clamped: u64,
}

/// Bytes that are not a histogram.
#[derive(Debug, thiserror::Error)]
#[error("read a histogram: {0}")]
pub struct HistogramError(String);

impl Default for Histogram {
    fn default() -> Self {
        let mut hdr = Hdr::new(3).expect("3 significant digits are valid");
        hdr.auto(true);
        Self { hdr, clamped: 0 }
    }
}

/// Whole nanoseconds, as results and OTLP have them; 584 years at most.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Histogram {
    /// Counts a duration.
    #[expect(
        clippy::missing_panics_doc,
        reason = "the histogram grows up to its longest value"
    )]
    pub fn record(&mut self, duration: Duration) {
        if duration > LONGEST {
            self.clamped += 1;
        }
        let value = nanos(duration.min(LONGEST)).max(1);
        self.hdr
            .record(value)
            .expect("the histogram grows up to its longest value");
    }

    /// Adds all values of another one.
    #[expect(
        clippy::missing_panics_doc,
        reason = "the histogram grows up to its longest value"
    )]
    pub fn merge(&mut self, other: &Self) {
        self.hdr
            .add(&other.hdr)
            .expect("the histogram grows up to its longest value");
        self.clamped += other.clamped;
    }

    /// Forgets all values and keeps the memory for the next ones.
    pub fn clear(&mut self) {
        self.hdr.reset();
        self.clamped = 0;
    }

    /// What was counted since an earlier copy was taken.
    #[expect(
        clippy::missing_panics_doc,
        reason = "a copy has nothing that the original has not"
    )]
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut later = self.clone();
        later
            .hdr
            .subtract(&earlier.hdr)
            .expect("a copy has nothing that the original has not");
        later.clamped -= earlier.clamped;
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
        self.hdr.iter_recorded().map(|found| {
            let value = found.value_iterated_to();
            (Duration::from_nanos(value), found.count_at_value())
        })
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.hdr.len()
    }

    /// How many were longer than 1 h.
    pub fn clamped(&self) -> u64 {
        self.clamped
    }

    /// The duration at a quantile from 0.0 to 1.0; zero when empty.
    pub fn quantile(&self, quantile: f64) -> Duration {
        Duration::from_nanos(self.hdr.value_at_quantile(quantile).min(self.hdr.max()))
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
        let median = self.hdr.value_at_quantile(0.5).max(1);
        let longer = self.hdr.iter_recorded();
        let longer = longer.filter(|value| value.value_iterated_to() > 2 * median);
        let hidden = longer.map(|value| {
            let places = value.value_iterated_to() as f64 / median as f64;
            (places - 1.0) * value.count_at_value() as f64
        });
        hidden.sum::<f64>() as u64
    }

    /// Every value that was counted, in nanoseconds and as far as values are told apart, with its count; ascending.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        let recorded = self.hdr.iter_recorded();
        recorded.map(|value| (value.value_iterated_to(), value.count_at_value()))
    }

    /// The shortest; zero when empty.
    pub fn min(&self) -> Duration {
        if self.hdr.is_empty() {
            Duration::ZERO
        } else {
            Duration::from_nanos(self.hdr.min())
        }
    }

    /// The longest; zero when empty.
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.hdr.max())
    }

    /// The mean; zero when empty.
    pub fn mean(&self) -> Duration {
        Duration::try_from_secs_f64(self.hdr.mean() / 1e9).unwrap_or_default()
    }

    /// HdrHistogram V2, deflate.
    #[expect(clippy::missing_panics_doc, reason = "writing to memory cannot fail")]
    pub fn encode(&self) -> EncodedHistogram {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.hdr, &mut bytes)
            .expect("writing to memory cannot fail");
        EncodedHistogram(bytes.into())
    }

    /// Reads what [`Histogram::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not an HdrHistogram V2.
    pub fn decode(encoded: &EncodedHistogram) -> Result<Self, HistogramError> {
        let mut hdr: Hdr<u64> = Deserializer::new()
            .deserialize(&mut &*encoded.0)
            .map_err(|error| HistogramError(error.to_string()))?;
        hdr.auto(true);
        Ok(Self { hdr, clamped: 0 })
    }
}

/// A histogram as it is kept in bulk: HdrHistogram V2, deflate. Written as base64 of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedHistogram(Box<[u8]>);

impl fmt::Display for EncodedHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Base64Display::new(&self.0, &STANDARD).fmt(f)
    }
}

impl Serialize for EncodedHistogram {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EncodedHistogram {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let bytes = STANDARD
            .decode(&*text)
            .map_err(|error| serde::de::Error::custom(format_args!("read a histogram: {error}")))?;
        Ok(Self(bytes.into()))
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
}
