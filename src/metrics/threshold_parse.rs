//! Reading thresholds: `metric{tag:value}`, `p95 < 250ms` and the limit in it.

use std::str::FromStr;

use super::metric::Metric;
use super::threshold::{Condition, Operator, Quantity, Selector, Statistic, ThresholdError, error};
use crate::units::{ByteSize, HumanDuration, Rate, Ratio};

impl FromStr for Quantity {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        if let Ok(number) = text.parse::<f64>()
            && number.is_finite()
            && text.starts_with(|c: char| c.is_ascii_digit())
        {
            return Ok(Self::Count(number));
        }
        if let Ok(HumanDuration(time)) = text.parse() {
            return Ok(Self::Nanoseconds(time.as_nanos() as f64));
        }
        if let Ok(share) = text.parse::<Ratio>() {
            return Ok(Self::Share(share.as_f64()));
        }
        if let Ok(rate) = text.parse::<Rate>() {
            return Ok(Self::PerSecond(rate.as_per_second()));
        }
        match text.parse::<ByteSize>() {
            Ok(size) => Ok(Self::Bytes(size.0 as f64)),
            Err(_) => error(format!(
                "`{text}` is not a limit; write for example `250ms`, `1%`, `5/s`, `1MiB` or `0`"
            )),
        }
    }
}

impl FromStr for Statistic {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        Ok(match text {
            "avg" => Self::Avg,
            "min" => Self::Min,
            "med" => Self::Med,
            "max" => Self::Max,
            "count" => Self::Count,
            "rate" => Self::Rate,
            "value" => Self::Value,
            _ => {
                let percent = text.strip_prefix('p').and_then(|digits| {
                    let plain = digits.starts_with(|c: char| c.is_ascii_digit());
                    digits.parse::<f64>().ok().filter(|_| plain)
                });
                match percent {
                    Some(percent) if percent > 0.0 && percent < 100.0 => Self::Percentile(percent),
                    _ => {
                        return Err(ThresholdError {
                            message: format!("unknown statistic `{text}`"),
                            words: ["avg", "min", "med", "max", "count", "rate", "value", "p95"]
                                .map(str::to_owned)
                                .into(),
                        });
                    }
                }
            }
        })
    }
}

impl FromStr for Condition {
    type Err = ThresholdError;

    /// `STATISTIC OPERATOR LIMIT`.
    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        let found = Operator::WORDS
            .into_iter()
            .find_map(|(word, operator)| Some((text.split_once(word)?, operator)));
        let Some(((statistic, limit), operator)) = found else {
            return error(format!(
                "`{text}` is not a condition; write for example `p95 < 250ms`"
            ));
        };
        Ok(Self {
            statistic: statistic.trim().parse()?,
            operator,
            limit: limit.trim().parse()?,
        })
    }
}

impl FromStr for Selector {
    type Err = ThresholdError;

    /// `metric` or `metric{tag:value,…}`.
    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        let (name, filters) = match text.split_once('{') {
            None => (text, None),
            Some((name, rest)) => match rest.strip_suffix('}') {
                Some(filters) => (name, Some(filters)),
                None => return error(format!("`{text}` has a `{{` without `}}`")),
            },
        };
        let metric = Metric::ALL.iter().find(|metric| metric.name() == name);
        let Some(metric) = metric else {
            return Err(ThresholdError {
                message: format!("unknown metric `{name}`"),
                words: Metric::ALL
                    .iter()
                    .map(|metric| metric.name().to_owned())
                    .collect(),
            });
        };
        let mut tags = Vec::new();
        for filter in filters.into_iter().flat_map(|filters| filters.split(',')) {
            match filter.split_once(':') {
                Some((tag, value)) if !tag.trim().is_empty() && !value.trim().is_empty() => {
                    tags.push((tag.trim().to_owned(), value.trim().to_owned()));
                }
                _ => return error(format!("`{filter}` is not a filter; write `tag:value`")),
            }
        }
        Ok(Self {
            metric: *metric,
            tags,
        })
    }
}
