//! [`ByteSize`]: `64KiB`, `1MB`, `10B`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{UnitError, split_number};

/// A number of bytes, written with a unit: `B`, `KiB`, `MiB`, `GiB`, `KB`, `MB`, `GB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(pub u64);

const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split_number(text.trim());
        let malformed = || UnitError::Malformed {
            text: text.to_owned(),
            quantity: "size",
            example: "64KiB",
        };
        if number.is_empty() {
            return Err(malformed());
        }
        if unit.is_empty() {
            return Err(UnitError::MissingUnit {
                text: text.to_owned(),
                example: format!("{number}B"),
            });
        }
        let factor = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, n)| *n)
            .ok_or_else(|| UnitError::UnknownUnit {
                unit: unit.to_owned(),
                quantity: "size",
                known: "`B`, `KiB`, `MiB`, `GiB`, `KB`, `MB`, `GB`",
            })?;
        let count: u64 = number.parse().map_err(|_| malformed())?;
        count
            .checked_mul(factor)
            .map(Self)
            .ok_or_else(|| UnitError::OutOfRange {
                text: text.to_owned(),
                quantity: "size",
            })
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) = UNITS
            .iter()
            .find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor))
            .unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_binary_and_decimal_units() {
        assert_eq!("64KiB".parse(), Ok(ByteSize(65_536)));
        assert_eq!("2MB".parse(), Ok(ByteSize(2_000_000)));
        assert!("64".parse::<ByteSize>().is_err());
        assert!("64kb".parse::<ByteSize>().is_err());
        assert!("99999999999GiB".parse::<ByteSize>().is_err());
    }

    proptest! {
        #[test]
        fn printing_and_reading_gives_the_same_size(bytes in 0_u64..) {
            prop_assert_eq!(ByteSize(bytes).to_string().parse(), Ok(ByteSize(bytes)));
        }
    }
}
