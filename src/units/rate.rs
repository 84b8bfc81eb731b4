//! [`Rate`]: `50/s`, `90/m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::UnitError;

/// How often something happens: a count per second, minute or hour. Always finite and positive.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Rate {
    per_second: f64,
}

// Always finite.
impl Eq for Rate {}

impl Rate {
    /// A rate from a count per second; `None` when it is not a finite number above zero.
    pub fn per_second(count: f64) -> Option<Self> {
        (count.is_finite() && count > 0.0).then_some(Self { per_second: count })
    }

    /// The count in one second.
    pub fn as_per_second(self) -> f64 {
        self.per_second
    }

    /// The time between two arrivals.
    pub fn period(self) -> Duration {
        Duration::try_from_secs_f64(1.0 / self.per_second).unwrap_or(Duration::MAX)
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let malformed = || UnitError::Malformed {
            text: text.to_owned(),
            quantity: "rate",
            example: "50/s",
        };
        let Some((count, unit)) = text.trim().split_once('/') else {
            let count = text.trim();
            return Err(if count.parse::<f64>().is_ok() {
                UnitError::MissingUnit {
                    text: text.to_owned(),
                    example: format!("{count}/s"),
                }
            } else {
                malformed()
            });
        };
        let seconds = match unit.trim() {
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            other => {
                return Err(UnitError::UnknownUnit {
                    unit: other.to_owned(),
                    quantity: "rate",
                    known: "`/s`, `/m`, `/h`",
                });
            }
        };
        let count: f64 = count.trim().parse().map_err(|_| malformed())?;
        Self::per_second(count / seconds).ok_or_else(|| UnitError::OutOfRange {
            text: text.to_owned(),
            quantity: "rate",
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.per_second)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_counts_per_second_minute_and_hour() {
        assert_eq!(
            "50/s".parse::<Rate>().unwrap().period(),
            Duration::from_millis(20)
        );
        assert_eq!("90/m".parse::<Rate>().unwrap().to_string(), "1.5/s");
        assert_eq!("7200/h".parse::<Rate>().unwrap().to_string(), "2/s");
    }

    #[test]
    fn zero_negative_and_unitless_rates_are_refused() {
        for text in ["0/s", "-1/s", "50", "x/s", "NaN/s", "1/day"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
