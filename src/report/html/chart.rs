//! Line charts as SVG, drawn from the same points that the script shows: [`Chart`].

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::escape::e;
use super::scale::{Axis, number, time};

/// Size of a drawing, in its own units; a page scales it.
pub(super) const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 44.0;

/// How many colours and dashes there are; further series begin again.
pub(super) const STYLES: usize = 8;

/// What the values at an axis are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantity {
    /// Nanoseconds.
    Time,
    /// Per second.
    Rate,
    /// A number of things.
    Count,
    /// Decades of one minus a share: 2 is the 99th percentile.
    Percentile,
    /// Seconds from the start.
    Seconds,
}

/// One line.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) label: String,
    /// Which of the [`STYLES`] it has.
    pub(super) style: usize,
    pub(super) points: Vec<(f64, f64)>,
}

/// Lines over one another.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    pub(super) id: String,
    pub(super) title: String,
    /// What a reader who does not see it is told.
    pub(super) description: String,
    pub(super) x: (Quantity, &'static str),
    pub(super) y: (Quantity, &'static str),
    pub(super) lines: Vec<Line>,
}

impl Quantity {
    pub(super) fn label(self, value: f64) -> String {
        match self {
            Self::Time => time(value),
            Self::Rate => format!("{}/s", number(value)),
            Self::Count => number(value),
            Self::Percentile => percentile(value),
            Self::Seconds => time(value * 1e9),
        }
    }

    fn axis(self, values: impl Iterator<Item = f64>) -> Axis {
        match self {
            Self::Time => Axis::log(values),
            Self::Percentile => {
                let highest = values.fold(1.0, f64::max);
                Axis {
                    max: highest,
                    ..Axis::even(std::iter::empty())
                }
            }
            Self::Seconds => {
                let highest = values.fold(0.0, f64::max);
                Axis {
                    max: if highest > 0.0 { highest } else { 1.0 },
                    ..Axis::even(std::iter::empty())
                }
            }
            Self::Rate | Self::Count => Axis::even(values),
        }
    }

    fn ticks(self, axis: Axis) -> Vec<f64> {
        if self != Self::Percentile {
            return axis.ticks(5.0);
        }
        let shown = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999_999];
        let places = shown.iter().map(|share: &f64| -(1.0 - share).log10());
        places.filter(|place| *place <= axis.max + 1e-9).collect()
    }

    fn word(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Rate => "rate",
            Self::Count => "count",
            Self::Percentile => "percentile",
            Self::Seconds => "seconds",
        }
    }
}

/// `p99.9` of 3 decades.
fn percentile(decades: f64) -> String {
    let share = 100.0 * (1.0 - 10.0_f64.powf(-decades));
    let digits = if decades > 2.0 {
        decades.ceil() - 2.0
    } else {
        0.0
    };
    match digits {
        none if none < 0.5 => format!("p{share:.0}"),
        one if one < 1.5 => format!("p{share:.1}"),
        two if two < 2.5 => format!("p{share:.2}"),
        three if three < 3.5 => format!("p{share:.3}"),
        _ => format!("p{share:.4}"),
    }
}

impl Chart {
    /// The figure: its drawing, its legend, and the place for the script's.
    pub(super) fn figure(&self) -> String {
        let mut legend = String::new();
        if self.lines.len() > 1 {
            legend.push_str("<ul class=\"legend\">");
            for line in &self.lines {
                // Writing to a string cannot fail.
                let _infallible = write!(
                    legend,
                    "<li><svg class=\"swatch\" viewBox=\"0 0 24 6\" aria-hidden=\"true\"><path class=\"line s{}\" d=\"M0 3H24\"/></svg>{}</li>",
                    line.style % STYLES,
                    e(&line.label)
                );
            }
            legend.push_str("</ul>");
        }
        format!(
            "<figure class=\"chart\" id=\"{id}\"><figcaption>{}</figcaption>{}{legend}</figure>\n",
            e(&self.title),
            self.svg(),
            id = self.id,
        )
    }

    fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        self.lines
            .iter()
            .flat_map(|line| line.points.iter().copied())
    }

    fn svg(&self) -> String {
        let x = self.x.0.axis(self.points().map(|(x, _)| x));
        let y = self.y.0.axis(self.points().map(|(_, y)| y));
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        let place_x = |value: f64| LEFT + x.at(value) * (right - LEFT);
        let place_y = |value: f64| bottom - y.at(value) * (bottom - TOP);
        let mut out = format!(
            "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"{id}-d\"><desc id=\"{id}-d\">{}</desc>",
            e(&self.description),
            id = self.id,
        );
        for tick in self.y.0.ticks(y) {
            let at = place_y(tick);
            let _infallible = write!(
                out,
                "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right}\"/><text class=\"y\" x=\"{:.0}\" y=\"{:.1}\">{}</text>",
                LEFT - 6.0,
                at + 4.0,
                self.y.0.label(tick)
            );
        }
        for tick in self.x.0.ticks(x) {
            let at = place_x(tick);
            let _infallible = write!(
                out,
                "<path class=\"grid\" d=\"M{at:.1} {TOP}V{bottom}\"/><text class=\"x\" x=\"{at:.1}\" y=\"{:.0}\">{}</text>",
                bottom + 16.0,
                self.x.0.label(tick)
            );
        }
        let _infallible = write!(
            out,
            "<text class=\"x name\" x=\"{:.0}\" y=\"{:.0}\">{}</text>",
            f64::midpoint(LEFT, right),
            HEIGHT - 8.0,
            self.x.1
        );
        for line in &self.lines {
            let style = line.style % STYLES;
            if let [(one_x, one_y)] = line.points.as_slice() {
                let _infallible = write!(
                    out,
                    "<circle class=\"dot s{style}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\"/>",
                    place_x(*one_x),
                    place_y(*one_y)
                );
                continue;
            }
            let mut path = String::new();
            for (number, (at_x, at_y)) in line.points.iter().enumerate() {
                let letter = if number == 0 { 'M' } else { 'L' };
                let _infallible =
                    write!(path, "{letter}{:.1} {:.1}", place_x(*at_x), place_y(*at_y));
            }
            let _infallible = write!(out, "<path class=\"line s{style}\" d=\"{path}\"/>");
        }
        out.push_str("</svg>");
        out
    }

    /// The same for the script.
    pub(super) fn data(&self) -> Value {
        let lines: Vec<Value> = self
            .lines
            .iter()
            .map(|line| {
                let (xs, ys): (Vec<f64>, Vec<f64>) = line
                    .points
                    .iter()
                    .map(|(x, y)| (round(*x, 4), round(*y, 3)))
                    .unzip();
                json!({ "label": line.label, "style": line.style % STYLES, "xs": xs, "ys": ys })
            })
            .collect();
        json!({
            "id": self.id,
            "x": self.x.0.word(),
            "xName": self.x.1,
            "y": self.y.0.word(),
            "lines": lines,
        })
    }
}

fn round(value: f64, digits: i32) -> f64 {
    let factor = 10.0_f64.powi(digits);
    (value * factor).round() / factor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_named_with_the_digits_that_they_need() {
        let names = [0.0, 0.301, 1.0, 2.0, 3.0, 4.0].map(percentile);
        assert_eq!(names, ["p0", "p50", "p90", "p99", "p99.9", "p99.99"]);
    }

    #[test]
    fn a_chart_without_a_point_is_drawn_all_the_same() {
        let chart = Chart {
            id: "c".to_owned(),
            title: "<t>".to_owned(),
            description: "d".to_owned(),
            x: (Quantity::Seconds, "time"),
            y: (Quantity::Rate, "rate"),
            lines: vec![Line {
                label: "a".to_owned(),
                style: 9,
                points: Vec::new(),
            }],
        };
        let figure = chart.figure();
        assert!(
            figure.contains("&lt;t&gt;") && !figure.contains("NaN"),
            "{figure}"
        );
    }
}
