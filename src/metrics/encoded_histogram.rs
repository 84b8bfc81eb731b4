//! [`EncodedHistogram`]: a histogram in HdrHistogram's format V2, deflate, which its libraries in other languages
//! read and write.
//!
//! Source of the format: HdrHistogram's `AbstractHistogram.encodeIntoCompressedByteBuffer` (Java). A header of eight
//! bytes, and deflated: a header of forty bytes and one number for each count, or for each row of empty buckets.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::io::{self, Read};

use base64::Engine;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use flate2::{Compress, Compression, FlushCompress, Status};
use serde::{Deserialize, Serialize};

use super::counts::{Bucket, Counts};

/// What the deflated form begins with.
const DEFLATED: u32 = 0x1c84_9314;
/// What the form in it begins with.
const PLAIN: u32 = 0x1c84_9313;
/// Bytes of the header of the form in it.
const HEADER: usize = 40;
/// Decimal digits.
const DIGITS: u32 = 3;
/// The most bytes of one number.
const LONGEST_NUMBER: usize = 9;
/// The most bytes that the counts can have: no two buckets take more than two numbers.
const MOST_BYTES: u64 = (Bucket::COUNT * LONGEST_NUMBER) as u64;

/// A histogram as it is kept in bulk: HdrHistogram V2, deflate. Written as base64 of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedHistogram(Box<[u8]>);

/// Bytes that are not a histogram of ours.
#[derive(Debug, thiserror::Error)]
#[error("read a histogram: {0}")]
pub struct HistogramError(String);

impl From<io::Error> for HistogramError {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

impl EncodedHistogram {
    pub(super) fn of(counts: &Counts) -> Self {
        let plain = plain(counts);
        let mut bytes = vec![0; 8];
        pack(&plain, &mut bytes);
        let length = u32::try_from(bytes.len() - 8).unwrap_or(u32::MAX);
        bytes[..4].copy_from_slice(&DEFLATED.to_be_bytes());
        bytes[4..8].copy_from_slice(&length.to_be_bytes());
        Self(bytes.into())
    }

    /// What was counted.
    pub(super) fn counts(&self) -> Result<Counts, HistogramError> {
        let mut bytes = &*self.0;
        if number_of_4(&mut bytes)? != DEFLATED {
            return Err(HistogramError("it is not of the format V2".to_owned()));
        }
        let length = u64::from(number_of_4(&mut bytes)?);
        let mut inner = ZlibDecoder::new(bytes.take(length));
        let mut header = [0; HEADER];
        inner.read_exact(&mut header)?;
        let mut header = header.as_slice();
        let begins = number_of_4(&mut header)?;
        let length = u64::from(number_of_4(&mut header)?);
        let (offset, digits) = (number_of_4(&mut header)?, number_of_4(&mut header)?);
        let lowest = number_of_8(&mut header)?;
        if (begins, offset, digits, lowest) != (PLAIN, 0, DIGITS, 1) {
            let what = "it is not one of nanoseconds with three digits";
            return Err(HistogramError(what.to_owned()));
        }
        let mut numbers = Vec::new();
        // To its end, where its checksum is.
        inner.take(MOST_BYTES + 1).read_to_end(&mut numbers)?;
        if numbers.len() as u64 != length {
            return Err(HistogramError("it is cut off, or too long".to_owned()));
        }
        counts_of(&numbers)
    }
}

thread_local! {
    /// Made once for each thread: to make one, a quarter of a megabyte of zeros, takes longer than to pack a histogram.
    static PACKER: RefCell<Compress> = RefCell::new(Compress::new(Compression::default(), true));
}

/// Deflates into a vector.
fn pack(plain: &[u8], into: &mut Vec<u8>) {
    PACKER.with_borrow_mut(|packer| {
        packer.reset();
        loop {
            into.reserve(plain.len() / 2 + 64);
            let done = usize::try_from(packer.total_in()).unwrap_or(plain.len());
            match packer.compress_vec(&plain[done..], into, FlushCompress::Finish) {
                Ok(Status::Ok | Status::BufError) => {}
                Ok(Status::StreamEnd) => return,
                Err(error) => unreachable!("a packer that was reset packs anything: {error}"),
            }
        }
    });
}

/// Header and numbers.
fn plain(counts: &Counts) -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    let mut next = 0;
    for (index, count) in counts.iter() {
        match index - next {
            0 => {}
            1 => put(&mut bytes, 0),
            empty => put(&mut bytes, -i64::try_from(empty).unwrap_or(i64::MAX)),
        }
        put(&mut bytes, i64::try_from(count).unwrap_or(i64::MAX));
        next = index + 1;
    }
    if next == 0 {
        put(&mut bytes, 0); // as the other libraries write an empty one
    }
    let length = u32::try_from(bytes.len() - HEADER).unwrap_or(u32::MAX);
    // The longest value that would have a bucket without more memory.
    let highest = Bucket::at(next.next_multiple_of(Bucket::ROW).max(2 * Bucket::ROW) - 1).highest;
    let header = [
        &PLAIN.to_be_bytes()[..],
        &length.to_be_bytes(),
        &0_u32.to_be_bytes(),
        &DIGITS.to_be_bytes(),
        &1_u64.to_be_bytes(),
        &highest.to_be_bytes(),
        &1_f64.to_be_bytes(),
    ];
    bytes[..HEADER].copy_from_slice(&header.concat());
    bytes
}

/// A count, or less than nothing for so many empty buckets: the sign in the last bit, seven bits per byte, lowest
/// first, the ninth byte whole.
fn put(bytes: &mut Vec<u8>, number: i64) {
    let mut left = ((number << 1) ^ (number >> 63)).cast_unsigned();
    for _ in 1..LONGEST_NUMBER {
        let [low, ..] = left.to_le_bytes();
        left >>= 7;
        if left == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
    bytes.extend(left.to_le_bytes().first());
}

fn counts_of(numbers: &[u8]) -> Result<Counts, HistogramError> {
    let (mut counts, mut index) = (Counts::default(), 0_usize);
    let mut bytes = numbers.iter().copied();
    while bytes.len() > 0 {
        let number = take(&mut bytes)?;
        let found = if number < 0 {
            // so many empty ones
            usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX)
        } else {
            1
        };
        if number > 0 && index < Bucket::COUNT {
            counts.add(index, number.unsigned_abs());
        }
        index = index.saturating_add(found);
    }
    if index > Bucket::COUNT {
        return Err(HistogramError(
            "it has more buckets than there are".to_owned(),
        ));
    }
    Ok(counts)
}

/// The inverse of [`put`].
fn take(bytes: &mut impl Iterator<Item = u8>) -> Result<i64, HistogramError> {
    let mut number = 0_u64;
    for place in 0..LONGEST_NUMBER {
        let byte = bytes
            .next()
            .ok_or_else(|| HistogramError("it ends in the middle of a number".to_owned()))?;
        let last = place == LONGEST_NUMBER - 1;
        let bits = if last { byte } else { byte & 0x7f };
        number |= u64::from(bits) << (7 * place);
        if last || byte < 0x80 {
            break;
        }
    }
    Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
}

fn number_of_4(bytes: &mut &[u8]) -> io::Result<u32> {
    let mut number = [0; 4];
    bytes.read_exact(&mut number)?;
    Ok(u32::from_be_bytes(number))
}

fn number_of_8(bytes: &mut &[u8]) -> io::Result<u64> {
    let mut number = [0; 8];
    bytes.read_exact(&mut number)?;
    Ok(u64::from_be_bytes(number))
}

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
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[(u64, u64)]) -> (Counts, Histogram<u64>) {
        let (mut ours, mut theirs) = (Counts::default(), Histogram::new(3).unwrap());
        for (value, count) in values {
            ours.add(Bucket::index_of(*value), *count);
            theirs.record_n(*value, *count).unwrap();
        }
        (ours, theirs)
    }

    fn read(encoded: &EncodedHistogram) -> Histogram<u64> {
        Deserializer::new().deserialize(&mut &*encoded.0).unwrap()
    }

    fn recorded(histogram: &Histogram<u64>) -> Vec<(u64, u64)> {
        let all = histogram.iter_recorded();
        all.map(|found| (found.value_iterated_to(), found.count_at_value()))
            .collect()
    }

    fn buckets(counts: &Counts) -> Vec<(u64, u64)> {
        let all = counts.iter();
        all.map(|(index, count)| (Bucket::at(index).highest, count))
            .collect()
    }

    #[test]
    fn one_without_values_is_written_and_read() {
        let encoded = EncodedHistogram::of(&Counts::default());
        assert_eq!(read(&encoded).len(), 0);
        assert_eq!(encoded.counts().unwrap().total(), 0);
    }

    #[test]
    fn bytes_that_are_none_of_ours_are_refused_and_take_no_memory() {
        let good = EncodedHistogram::of(&of(&[(5_000_000, 3), (7_000_000, 1)]).0);
        for length in 0..good.0.len() {
            let cut = EncodedHistogram(good.0[..length].into());
            assert!(cut.counts().is_err(), "{length}");
        }
        let packed = |plain: &[u8]| {
            let mut bytes = [DEFLATED.to_be_bytes(), u32::MAX.to_be_bytes()].concat();
            pack(plain, &mut bytes);
            EncodedHistogram(bytes.into())
        };
        let mut two_digits = plain(&Counts::default());
        two_digits[15] = 2;
        let mut endless = plain(&Counts::default());
        endless.extend(vec![2; 50_000_000]);
        endless[4..8].copy_from_slice(&50_000_001_u32.to_be_bytes());
        let mut beyond = plain(&Counts::default());
        put(&mut beyond, i64::MIN + 1);
        beyond[7] = u8::try_from(beyond.len() - HEADER).unwrap();
        for bytes in [&two_digits, &endless, &beyond, &vec![0; 60]] {
            assert!(packed(bytes).counts().is_err());
        }
    }

    proptest! {
        #[test]
        fn the_reference_reads_ours_and_we_read_its(
            values in proptest::collection::vec((1..3_600_000_000_000_u64, 1..5_u64), 1..80),
            shift in 0_u32..40,
            most in 1..i64::MAX as u64 / 100,
        ) {
            let mut values = values;
            for (value, _) in &mut values {
                *value = (*value >> shift).max(1);
            }
            values[0].1 = most;
            let (ours, theirs) = of(&values);
            let encoded = EncodedHistogram::of(&ours);
            prop_assert_eq!(recorded(&read(&encoded)), recorded(&theirs));
            let mut bytes = Vec::new();
            V2DeflateSerializer::new().serialize(&theirs, &mut bytes).unwrap();
            let decoded = EncodedHistogram(bytes.into()).counts().unwrap();
            prop_assert_eq!(buckets(&decoded), buckets(&ours));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(0..=u8::MAX, 0..200)) {
            drop(counts_of(&bytes));
            drop(EncodedHistogram(bytes.into()).counts());
        }
    }
}
