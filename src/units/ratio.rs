//! [`Ratio`]: a share between 0 and 1, written as a percentage.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::UnitError;

/// A share from 0.0 to 1.0. Reads and prints as a percentage (`5%`, `0.1%`).
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Ratio(f64);

impl Ratio {
    /// A ratio; `None` outside 0.0 to 1.0.
    pub fn new(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Self(share))
    }

    /// `part` of `whole`; zero when `whole` is zero.
    pub fn of(part: u64, whole: u64) -> Self {
        if whole == 0 {
            Self(0.0)
        } else {
            Self((part as f64 / whole as f64).clamp(0.0, 1.0))
        }
    }

    /// The share as a number from 0.0 to 1.0.
    pub fn as_f64(self) -> f64 {
        self.0
    }
}

impl FromStr for Ratio {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let Some(number) = text.trim().strip_suffix('%') else {
            return Err(UnitError::MissingUnit {
                text: text.to_owned(),
                example: format!("{}%", text.trim()),
            });
        };
        let percent: f64 = number.trim().parse().map_err(|_| UnitError::Malformed {
            text: text.to_owned(),
            quantity: "ratio",
            example: "5%",
        })?;
        Self::new(percent / 100.0).ok_or_else(|| UnitError::OutOfRange {
            text: text.to_owned(),
            quantity: "ratio",
        })
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", (self.0 * 100.0 * 1e9).round() / 1e9)
    }
}

impl Serialize for Ratio {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

impl<'de> Deserialize<'de> for Ratio {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let share = f64::deserialize(deserializer)?;
        Self::new(share).ok_or_else(|| serde::de::Error::custom("a ratio is between 0 and 1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_percentages_and_refuses_bare_numbers() {
        assert_eq!("5%".parse::<Ratio>().unwrap(), Ratio::of(5, 100));
        assert_eq!("0.1%".parse::<Ratio>().unwrap().to_string(), "0.1%");
        assert!("0.05".parse::<Ratio>().is_err());
        assert!("101%".parse::<Ratio>().is_err());
    }

    #[test]
    fn a_share_of_nothing_is_zero() {
        assert_eq!(Ratio::of(0, 0), Ratio::default());
        assert_eq!(Ratio::of(1, 4), "25%".parse().unwrap());
    }
}
