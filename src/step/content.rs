//! File content: bytes made from a seed, and the outputs that `write` and `read` share.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::outcome::whole;
use crate::expr::Value;
use crate::units::ByteSize;

/// The content of a file that was written or read, and how long that took.
#[derive(Debug, Clone)]
pub(super) struct Content {
    pub(super) bytes: Bytes,
    pub(super) took: Duration,
}

impl Content {
    pub(super) fn output(&self, name: &str) -> Value {
        match name {
            "content" => match std::str::from_utf8(&self.bytes) {
                Ok(text) => Value::text(text),
                Err(_) => Value::Bytes(self.bytes.clone()),
            },
            "size" => whole(self.bytes.len()),
            "sha256" => Value::text(sha256(&self.bytes)),
            "duration" => self.took.into(),
            _ => Value::Null,
        }
    }
}

/// The same bytes for the same size and seed, on every machine and in every version: the numbers
/// of `SplitMix64`, little end first.
///
/// Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (2014), with
/// the constants of Java's `SplittableRandom`.
pub(super) fn made(size: ByteSize, seed: u64) -> Bytes {
    let mut bytes = vec![0; usize::try_from(size.0).unwrap_or(0)];
    let mut state = seed;
    for chunk in bytes.chunks_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = state;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^= number >> 31;
        chunk.copy_from_slice(&number.to_le_bytes()[..chunk.len()]);
    }
    bytes.into()
}

/// SHA-256 as hexadecimal digits.
fn sha256(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_bytes_are_the_published_numbers_of_the_generator() {
        let bytes = made(ByteSize(16), 0);
        assert_eq!(bytes[..8], 0xe220_a839_7b1d_cdaf_u64.to_le_bytes());
        assert_eq!(bytes[8..], 0x6e78_9e6a_a1b9_65f4_u64.to_le_bytes());
        assert_eq!(
            made(ByteSize(8), 1_234_567)[..],
            6_457_827_717_110_365_317_u64.to_le_bytes()
        );
    }

    #[test]
    fn made_bytes_depend_on_size_and_seed_alone() {
        assert_eq!(made(ByteSize(1000), 7), made(ByteSize(1000), 7));
        assert_ne!(made(ByteSize(1000), 7), made(ByteSize(1000), 8));
        assert_eq!(made(ByteSize(3), 7), made(ByteSize(1000), 7)[..3]);
        assert!(made(ByteSize(0), 7).is_empty());
    }

    #[test]
    fn digests_are_those_of_the_standard() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256(b""), empty);
    }

    #[test]
    fn content_is_text_where_it_can_be() {
        let content = |bytes: &'static [u8]| Content {
            bytes: Bytes::from_static(bytes),
            took: Duration::from_millis(3),
        };
        assert_eq!(content(b"42").output("content"), Value::text("42"));
        assert_eq!(
            content(b"\xff").output("content"),
            Value::Bytes(Bytes::from_static(b"\xff"))
        );
        assert_eq!(content(b"42").output("size"), Value::Int(2));
        assert_eq!(content(b"42").output("nothing"), Value::Null);
    }
}
