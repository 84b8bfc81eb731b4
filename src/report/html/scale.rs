//! Axes: values to places, and the values that get a label.

/// An axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) spacing: Spacing,
}

/// How values are spread over an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spacing {
    Even,
    /// By powers; all values are more than 0.
    Log,
}

impl Axis {
    /// From 0 to a round number that holds all values.
    pub(super) fn even(values: impl Iterator<Item = f64>) -> Self {
        let highest = values.fold(0.0, f64::max);
        let step = step(highest.max(f64::MIN_POSITIVE), 5.0);
        let max = if highest > 0.0 {
            (highest / step).ceil() * step
        } else {
            1.0
        };
        Self {
            min: 0.0,
            max,
            spacing: Spacing::Even,
        }
    }

    /// By powers, from the round number below all values to the one above.
    pub(super) fn log(values: impl Iterator<Item = f64>) -> Self {
        let positive = values.filter(|value| *value > 0.0);
        let (low, high) = positive.fold((f64::INFINITY, 0.0_f64), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        if high <= 0.0 {
            return Self {
                min: 1.0,
                max: 10.0,
                spacing: Spacing::Log,
            };
        }
        let min = round_below(low);
        let max = round_above(high);
        let max = if max <= min { min * 10.0 } else { max };
        Self {
            min,
            max,
            spacing: Spacing::Log,
        }
    }

    /// Where a value is: 0 at the begin of the axis, 1 at its end.
    pub(super) fn at(&self, value: f64) -> f64 {
        let place = match self.spacing {
            Spacing::Even => (value - self.min) / (self.max - self.min),
            Spacing::Log => {
                let value = value.max(self.min);
                (value / self.min).ln() / (self.max / self.min).ln()
            }
        };
        place.clamp(0.0, 1.0)
    }

    /// The values with a label, about `count` of them.
    pub(super) fn ticks(&self, count: f64) -> Vec<f64> {
        match self.spacing {
            Spacing::Even => {
                let step = step(self.max - self.min, count);
                let mut ticks = Vec::new();
                let mut number = (self.min / step).ceil();
                while number * step <= self.max + step * 1e-9 {
                    ticks.push(number * step);
                    number += 1.0;
                }
                ticks
            }
            Spacing::Log => {
                let decades = (self.max / self.min).log10();
                let digits: &[f64] = match decades {
                    few if few <= 2.2 => &[1.0, 2.0, 5.0],
                    _ => &[1.0],
                };
                let mut power = 10.0_f64.powf(self.min.log10().floor());
                let mut ticks = Vec::new();
                while power <= self.max * 1.000_001 {
                    let here = digits.iter().map(|digit| digit * power);
                    ticks.extend(here.filter(|value| {
                        *value >= self.min * 0.999_999 && *value <= self.max * 1.000_001
                    }));
                    power *= 10.0;
                }
                ticks
            }
        }
    }
}

/// A round step: 1, 2 or 5 times a power of ten.
fn step(span: f64, count: f64) -> f64 {
    round_above(span / count)
}

fn round_above(value: f64) -> f64 {
    let power = 10.0_f64.powf(value.log10().floor());
    let digits = [1.0, 2.0, 5.0, 10.0];
    let found = digits.iter().map(|digit| digit * power);
    found
        .into_iter()
        .find(|round| *round >= value * 0.999_999)
        .unwrap_or(power * 10.0)
}

fn round_below(value: f64) -> f64 {
    let power = 10.0_f64.powf(value.log10().floor());
    let digits = [5.0, 2.0, 1.0];
    let found = digits.iter().map(|digit| digit * power);
    found
        .into_iter()
        .find(|round| *round <= value * 1.000_001)
        .unwrap_or(power)
}

/// A time at an axis: `250µs`, `1.5s`.
pub(super) fn time(nanos: f64) -> String {
    let (value, unit) = match nanos {
        small if small < 1e3 => (nanos, "ns"),
        small if small < 1e6 => (nanos / 1e3, "µs"),
        small if small < 1e9 => (nanos / 1e6, "ms"),
        small if small < 60e9 => (nanos / 1e9, "s"),
        small if small < 3600e9 => (nanos / 60e9, "m"),
        _ => (nanos / 3600e9, "h"),
    };
    format!("{}{unit}", number(value))
}

/// A number without digits that say nothing.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text.is_empty() || text == "-0" {
        "0".to_owned()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_holds_all_values_and_has_round_ticks() {
        let axis = Axis::even([3.0, 47.0].into_iter());
        assert_eq!((axis.min, axis.max), (0.0, 50.0));
        assert_eq!(axis.ticks(5.0), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
        let axis = Axis::log([3.2e6, 4.1e7].into_iter());
        assert_eq!((axis.min, axis.max), (2e6, 5e7));
        assert_eq!(axis.ticks(5.0), [2e6, 5e6, 1e7, 2e7, 5e7]);
        assert!(axis.at(2e6) < 1e-9 && axis.at(5e7) > 1.0 - 1e-9);
    }

    #[test]
    fn nothing_to_show_is_an_axis_all_the_same() {
        for axis in [Axis::even(std::iter::empty()), Axis::log([0.0].into_iter())] {
            assert!(axis.max > axis.min);
            assert!(axis.at(0.0).is_finite());
            assert!(!axis.ticks(5.0).is_empty());
        }
        let one = Axis::log([1e6].into_iter());
        assert!(one.max > one.min);
    }

    #[test]
    fn times_at_an_axis_are_short() {
        let shown = [500.0, 2e4, 1e6, 1.5e9, 1.2e11].map(time);
        assert_eq!(shown, ["500ns", "20µs", "1ms", "1.5s", "2m"]);
    }
}
