//! [`HumanDuration`]: `1m30s`, `250ms`, `1.5h`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{UnitError, split_number};

/// A span of time that reads and writes as people do: `1h2m3s`, `250ms`, `12us`, `7ns`.
///
/// Parts may be fractions (`1.5s`) and are added up. A bare number is refused, except `0`.
/// Resolution: one nanosecond. Range: as [`Duration`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct HumanDuration(pub Duration);

const UNITS: [(&str, u64); 8] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
];

impl FromStr for HumanDuration {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let malformed = || UnitError::Malformed {
            text: text.to_owned(),
            quantity: "duration",
            example: "1m30s",
        };
        let range = || UnitError::OutOfRange {
            text: text.to_owned(),
            quantity: "duration",
        };
        let mut rest = text.trim();
        if rest == "0" {
            return Ok(Self::default());
        }
        if rest.is_empty() {
            return Err(malformed());
        }
        let mut total = 0.0_f64;
        let mut whole = 0_u128;
        while !rest.is_empty() {
            let (number, after) = split_number(rest);
            if number.is_empty() {
                return Err(malformed());
            }
            let end = after
                .find(|c: char| c.is_ascii_digit() || c == '.' || c.is_whitespace())
                .unwrap_or(after.len());
            let (unit, next) = after.split_at(end);
            if unit.is_empty() {
                return Err(UnitError::MissingUnit {
                    text: text.to_owned(),
                    example: format!("{number}s"),
                });
            }
            let nanos = UNITS
                .iter()
                .find(|(name, _)| *name == unit)
                .map(|(_, n)| *n)
                .ok_or_else(|| UnitError::UnknownUnit {
                    unit: unit.to_owned(),
                    quantity: "duration",
                    known: "`d`, `h`, `m`, `s`, `ms`, `us`, `ns`",
                })?;
            if let Ok(count) = number.parse::<u64>() {
                whole += u128::from(count) * u128::from(nanos);
            } else {
                total += number.parse::<f64>().map_err(|_| malformed())? * nanos as f64;
            }
            rest = next.trim_start();
        }
        let fraction = Duration::try_from_secs_f64(total / 1e9).map_err(|_| range())?;
        let seconds = u64::try_from(whole / 1_000_000_000).map_err(|_| range())?;
        let nanos = u32::try_from(whole % 1_000_000_000).map_err(|_| range())?;
        Duration::new(seconds, nanos)
            .checked_add(fraction)
            .map(Self)
            .ok_or_else(range)
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_nanos();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, nanos) in UNITS.iter().filter(|(unit, _)| *unit != "µs") {
            let count = rest / u128::from(*nanos);
            if count > 0 {
                write!(f, "{count}{unit}")?;
                rest %= u128::from(*nanos);
            }
        }
        Ok(())
    }
}

impl From<Duration> for HumanDuration {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl From<HumanDuration> for Duration {
    fn from(duration: HumanDuration) -> Self {
        duration.0
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
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

    fn nanos(text: &str) -> u128 {
        text.parse::<HumanDuration>().unwrap().0.as_nanos()
    }

    #[test]
    fn reads_compound_and_fractional_durations() {
        assert_eq!(nanos("1m30s"), 90_000_000_000);
        assert_eq!(nanos("1.5s"), 1_500_000_000);
        assert_eq!(nanos("250ms"), 250_000_000);
        assert_eq!(nanos("1h 5m"), 3_900_000_000_000);
        assert_eq!(nanos("0"), 0);
    }

    #[test]
    fn a_bare_number_is_refused_with_an_example() {
        let error = "30".parse::<HumanDuration>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`30` has no unit; write for example `30s`"
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "s",
            "-1s",
            "1 fortnight",
            "1s x",
            "1.2.3s",
            "99999999999999999999d",
        ] {
            assert!(text.parse::<HumanDuration>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn printing_and_reading_gives_the_same_duration(nanos in 0_u64..) {
            let duration = HumanDuration(Duration::from_nanos(nanos));
            prop_assert_eq!(duration.to_string().parse::<HumanDuration>().unwrap(), duration);
        }
    }
}
