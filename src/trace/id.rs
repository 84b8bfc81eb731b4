//! Ids of traces and spans, and the W3C trace context that carries them.
//!
//! Source: W3C Trace Context, level 1 (`traceparent`, version 00); the claim's annotation as upstream's
//! Go SDK writes it.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use rand::RngExt;

use crate::units::Ratio;

/// The id of a trace: 16 bytes, not all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId([u8; 16]);

/// The id of a span: 8 bytes, not all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId([u8; 8]);

/// Whether others are asked to record the trace too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sampled {
    /// They are: the flag on the wire is `01`.
    Yes,
    /// They are not: `00`.
    No,
    /// They are not even told of it: requests carry no context.
    Untold,
}

/// A place in a trace, as it goes over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanContext {
    /// The trace.
    pub trace: TraceId,
    /// The span that what follows belongs to.
    pub span: SpanId,
    /// Whether others are asked to record it.
    pub sampled: Sampled,
}

/// A text that is not a `traceparent`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a traceparent: it is written `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`"
)]
pub struct ContextError(String);

impl TraceId {
    /// 128 random bits.
    pub fn random() -> Self {
        Self(rand::rng().random::<u128>().max(1).to_be_bytes())
    }

    /// The id of these bytes; none of all zeros.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes = <[u8; 16]>::try_from(bytes).ok()?;
        bytes.iter().any(|byte| *byte != 0).then_some(Self(bytes))
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Whether a sampler of this ratio takes the trace: every sampler that looks at the last 7 bytes, as
    /// OpenTelemetry's `traceidratio` does, comes to the same answer.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "2^56 times a ratio fits"
    )]
    pub fn is_within(&self, ratio: Ratio) -> bool {
        const SPACE: f64 = (1_u64 << 56) as f64;
        let random = u128::from_be_bytes(self.0) as u64 & ((1 << 56) - 1);
        random < (ratio.as_f64() * SPACE) as u64
    }
}

impl SpanId {
    /// 64 random bits.
    pub fn random() -> Self {
        Self(rand::rng().random::<u64>().max(1).to_be_bytes())
    }

    /// The id of these bytes; none of all zeros.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes = <[u8; 8]>::try_from(bytes).ok()?;
        bytes.iter().any(|byte| *byte != 0).then_some(Self(bytes))
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl Sampled {
    /// As it stands on the wire.
    fn flags(self) -> &'static [u8; 2] {
        match self {
            Self::Yes => b"01",
            Self::No | Self::Untold => b"00",
        }
    }
}

impl SpanContext {
    /// The value of a claim's annotation `opentelemetry.io/trace-context`: a JSON object of W3C headers, without
    /// spaces as upstream's Go SDK writes it.
    pub fn annotation(&self) -> String {
        format!("{{\"traceparent\":\"{self}\"}}")
    }

    /// The value of the header `traceparent`: `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`. Every request
    /// carries one, so it is written without a look at a format.
    pub fn header(&self) -> [u8; 55] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_digits(&mut text[3..35], self.trace.as_bytes());
        write_digits(&mut text[36..52], self.span.as_bytes());
        text[53..].copy_from_slice(self.sampled.flags());
        text
    }
}

/// Two lower-case hexadecimal digits a byte.
fn write_digits(text: &mut [u8], bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

/// As the header `traceparent`.
impl fmt::Display for SpanContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.header()
            .iter()
            .try_for_each(|byte| f.write_char(char::from(*byte)))
    }
}

impl FromStr for SpanContext {
    type Err = ContextError;

    /// Reads a `traceparent`. A version after 00 may have more fields; they are ignored, as the standard asks.
    fn from_str(text: &str) -> Result<Self, ContextError> {
        parse(text).ok_or_else(|| ContextError(text.chars().take(80).collect()))
    }
}

fn parse(text: &str) -> Option<SpanContext> {
    let mut fields = text.split('-');
    let [version] = bytes::<1>(fields.next()?)?;
    let trace = TraceId::from_bytes(&bytes::<16>(fields.next()?)?)?;
    let span = SpanId::from_bytes(&bytes::<8>(fields.next()?)?)?;
    let [flags] = bytes::<1>(fields.next()?)?;
    if version == 0xff || (version == 0 && fields.next().is_some()) {
        return None;
    }
    let sampled = if flags & 1 == 1 {
        Sampled::Yes
    } else {
        Sampled::No
    };
    Some(SpanContext {
        trace,
        span,
        sampled,
    })
}

/// Lower-case hexadecimal digits only.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != N * 2 {
        return None;
    }
    let mut bytes = [0_u8; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

macro_rules! hexadecimal {
    ($($name:ident: $length:literal),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut digits = [0; 2 * size_of::<Self>()];
                write_digits(&mut digits, &self.0);
                digits.iter().try_for_each(|digit| f.write_char(char::from(*digit)))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ContextError;

            fn from_str(text: &str) -> Result<Self, ContextError> {
                bytes::<$length>(text)
                    .and_then(|bytes| Self::from_bytes(&bytes))
                    .ok_or_else(|| ContextError(text.chars().take(80).collect()))
            }
        }
    )*};
}

hexadecimal!(TraceId: 16, SpanId: 8);

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_reads_and_prints_the_same() {
        let context: SpanContext = PARENT.parse().unwrap();
        assert_eq!(context.sampled, Sampled::Yes);
        assert_eq!(context.to_string(), PARENT);
        assert_eq!(
            context.annotation(),
            format!("{{\"traceparent\":\"{PARENT}\"}}")
        );
        let later = PARENT.replacen("00-", "01-", 1) + "-more";
        assert_eq!(later.parse(), Ok(context));
    }

    #[test]
    fn what_the_standard_forbids_is_refused() {
        for text in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            assert!(text.parse::<SpanContext>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_ratio_takes_its_share_of_traces_and_the_ends_take_none_and_all() {
        let share = |percent: f64| Ratio::new(percent / 100.0).unwrap();
        let ids: Vec<TraceId> = (0..20_000).map(|_| TraceId::random()).collect();
        let taken = |ratio| ids.iter().filter(|id| id.is_within(ratio)).count();
        assert_eq!(taken(share(0.0)), 0);
        assert_eq!(taken(share(100.0)), ids.len());
        let tenth = taken(share(10.0));
        assert!((1_700..2_300).contains(&tenth), "{tenth}");
    }
}
