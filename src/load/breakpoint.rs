//! The `breakpoint` model: looks for the highest rate of arrivals that the system bears.
//!
//! Levels are tried one after the other: up a ramp, each `step` times the one before, until one breaks;
//! then between the highest that held and the lowest that broke, at their geometric mean, until the two
//! are no further apart than `tolerance`. [`Search`] knows neither time nor load: it is told what
//! became of a level and says which one is next.

use std::str::FromStr;
use std::time::Duration;

use super::decode::bad;
use super::{Arrival, Load, LoadModel, MAX_IN_FLIGHT, Open, Profile, Warmup};
use crate::source::yaml::Node;
use crate::source::{Code, Diagnostic, Field, Fields, Keyword, Problems, Shape, Takes, words};
use crate::units::{HumanDuration, Rate, Ratio};

/// Looks for the highest rate of arrivals that the system bears.
#[derive(Debug, Clone, PartialEq)]
pub struct Breakpoint {
    /// The first level.
    pub from: Rate,
    /// The last level of the ramp; more than `from`.
    pub to: Rate,
    /// Each level of the ramp to the one before; 1.01 to 10. Default: 1.5.
    pub step: f64,
    /// The begin of each level, whose samples are thrown away.
    pub settle: Duration,
    /// The rest of each level, by which it is judged; more than nothing.
    pub hold: Duration,
    /// How far apart the highest level that held and the lowest that broke may be, as a share of the
    /// former; 0.1 % to 50 %. Default: 5 %.
    pub tolerance: Ratio,
    /// How the arrivals of a level are spread.
    pub arrival: Arrival,
    /// Iterations at the same time; an arrival beyond it is dropped and counted. At least 1.
    pub max_in_flight: u32,
}

impl Breakpoint {
    /// A search that has tried nothing yet.
    pub fn search(&self) -> Search {
        Search {
            to: self.to,
            step: self.step,
            tolerance: self.tolerance,
            held: None,
            broke: None,
            next: Some(self.from),
        }
    }

    /// The arrivals of one level.
    pub fn level(&self, rate: Rate) -> Open {
        let lasts = self.settle.saturating_add(self.hold);
        Open {
            rate: Profile::constant(rate.as_per_second(), Some(lasts)),
            iterations: None,
            arrival: self.arrival,
            max_in_flight: self.max_in_flight,
        }
    }
}

/// What became of a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// Every limit held.
    Held,
    /// One did not.
    Broke,
}

/// A search for the breakpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    to: Rate,
    step: f64,
    tolerance: Ratio,
    held: Option<Rate>,
    broke: Option<Rate>,
    next: Option<Rate>,
}

impl Search {
    /// The level to try; `None` when the search is over.
    pub fn next(&self) -> Option<Rate> {
        self.next
    }

    /// The highest level that held below all that broke.
    pub fn held(&self) -> Option<Rate> {
        self.held
    }

    /// The lowest level that broke.
    pub fn broke(&self) -> Option<Rate> {
        self.broke
    }

    /// Takes what became of [`Search::next`], and moves on. Without effect when the search is over.
    pub fn tell(&mut self, tried: Tried) {
        let Some(rate) = self.next else { return };
        match tried {
            Tried::Held => self.held = Some(rate),
            Tried::Broke => self.broke = Some(rate),
        }
        self.next = match (self.held, self.broke) {
            (Some(held), None) => self.above(held),
            (Some(held), Some(broke)) => self.between(held, broke),
            (None, _) => None,
        };
    }

    /// The next level of the ramp.
    fn above(&self, held: Rate) -> Option<Rate> {
        if held >= self.to {
            return None;
        }
        let next = readable(held.as_per_second() * self.step);
        let next = Rate::per_second(next).filter(|next| *next < self.to);
        Some(next.unwrap_or(self.to))
    }

    fn between(&self, held: Rate, broke: Rate) -> Option<Rate> {
        let (low, high) = (held.as_per_second(), broke.as_per_second());
        if high - low <= low * self.tolerance.as_f64() {
            return None;
        }
        let middle = (low * high).sqrt();
        let round = readable(middle);
        let next = if low < round && round < high {
            round
        } else {
            middle
        };
        Rate::per_second(next)
    }
}

/// The same rate in three significant digits: `22/s` is easier to read and to say than `22.045408/s`.
fn readable(rate: f64) -> f64 {
    let scale = 10_f64.powf(2.0 - rate.log10().floor());
    (rate * scale).round() / scale
}

/// `x1.5`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Factor(f64);

impl FromStr for Factor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.trim().strip_prefix('x').map(str::parse);
        let Some(Ok(factor)) = number else {
            return Err(format!("`{text}` is no step; write for example `x1.5`"));
        };
        if (1.01..=10.0).contains(&factor) {
            Ok(Self(factor))
        } else {
            Err(format!("a step of `{text}`; from `x1.01` to `x10`"))
        }
    }
}

/// How levels are chosen; there is one way, which a file may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RampThenBisect;

impl Keyword for RampThenBisect {
    const WHAT: &'static str = "strategy";
    const WORDS: &'static [(&'static str, Self)] = &[("ramp-then-bisect", Self)];
}

pub(super) const SHAPE: Shape = Shape {
    what: "`breakpoint`",
    fields: &[
        Field::required(
            "rate",
            Takes::Fields(&RATE),
            "the first level and the last one of the ramp",
        ),
        Field::new(
            "strategy",
            Takes::Word(words::<RampThenBisect>),
            "up until a level breaks, then between the highest that held and the lowest that broke",
        ),
        Field::new(
            "step",
            Takes::Text,
            "each level of the ramp to the one before, from `x1.01` to `x10`; default: `x1.5`",
        ),
        Field::required(
            "settle",
            Takes::Duration,
            "the begin of each level, whose samples are thrown away",
        ),
        Field::required(
            "hold",
            Takes::Duration,
            "the rest of each level, by which alone it is judged",
        ),
        Field::new(
            "tolerance",
            Takes::Ratio,
            "how far apart the two levels of the answer may be, from 0.1% to 50%; default: 5%",
        ),
        Field::required(
            "holdsWhile",
            Takes::Map(&Takes::Either(&[Takes::Text, Takes::List(&Takes::Text)])),
            "what must hold in a level: metrics with conditions, as in `thresholds`",
        ),
    ],
    later: &[],
    help: None,
};

const RATE: Shape = Shape {
    what: "the rate of a breakpoint",
    fields: &[
        Field::required("from", Takes::Rate, "the first level"),
        Field::required(
            "to",
            Takes::Rate,
            "the last level of the ramp, more than `from`",
        ),
    ],
    later: &[],
    help: Some("for example `rate: { from: 5/s, to: 400/s }`"),
};

/// What makes no sense beside a breakpoint, and why.
const EXCLUDED: [(&str, &str); 6] = [
    ("vus", "a breakpoint is looked for with arrivals"),
    ("rate", "the rates stand in `breakpoint: { rate: … }`"),
    ("stages", "the levels are chosen by the search"),
    ("duration", "the search ends when it has found its answer"),
    ("iterations", "the search ends when it has found its answer"),
    ("warmup", "each level has its `settle`"),
];

impl Breakpoint {
    /// Reads a load with `breakpoint`; `holdsWhile` is read with the thresholds of the scenario.
    pub(super) fn decode(
        load: &Fields<'_>,
        graceful_stop: Duration,
        problems: &mut Problems,
    ) -> Option<Load> {
        for (name, why) in EXCLUDED {
            if let Some((key, _)) = load.entry(name) {
                let message = format!("load has both `breakpoint` and `{name}`");
                let problem = Diagnostic::error(Code::Combination, key.span, message);
                problems.push(problem.label("excludes `breakpoint`").help(why));
            }
        }
        let arrival = load.keyword("arrival", problems);
        let max_in_flight = load.optional("maxInFlight", problems);
        let fields = Fields::of(load.node("breakpoint")?, &SHAPE, problems)?;
        let _only: Option<RampThenBisect> = fields.keyword("strategy", problems);
        fields.required_node("holdsWhile", problems);
        let rates = fields.required_node("rate", problems);
        let rates = rates.and_then(|node| rates_of(node, problems));
        let step = fields.quantity("step", problems);
        let tolerance = tolerance(&fields, problems);
        let settle = time(&fields, "settle", problems);
        let hold = time(&fields, "hold", problems);
        if hold.is_some_and(|hold| hold.is_zero()) {
            problems
                .push(bad(fields.node("hold")?.span, "a hold of no time").label("judges nothing"));
            return None;
        }
        let ((from, to), settle, hold) = (rates?, settle?, hold?);
        let model = Self {
            from,
            to,
            step: step.map_or(1.5, |Factor(factor)| factor),
            settle,
            hold,
            tolerance: tolerance?,
            arrival: arrival.unwrap_or(Arrival::Constant),
            max_in_flight: max_in_flight.unwrap_or(MAX_IN_FLIGHT),
        };
        if from.as_per_second() * hold.as_secs_f64() < 1.0 {
            let message = format!("no arrival may fall into a hold of {}", HumanDuration(hold));
            let period = HumanDuration(from.period());
            let label = format!("one comes every {period} at the first level");
            problems.push(bad(fields.node("hold")?.span, message).label(label));
            return None;
        }
        Some(Load {
            model: LoadModel::Breakpoint(model),
            warmup: Warmup::None,
            graceful_stop,
        })
    }
}

fn rates_of(node: &Node, problems: &mut Problems) -> Option<(Rate, Rate)> {
    let fields = Fields::of(node, &RATE, problems)?;
    let mut rate = |name: &str| {
        let node = fields.required_node(name, problems)?;
        crate::source::quantity::<Rate>(node, problems)
    };
    let (from, to) = (rate("from"), rate("to"));
    let (from, to) = (from?, to?);
    if from >= to {
        let (key, _) = fields.entry("to")?;
        problems.push(bad(key.span, "`to` is not above `from`").label("nothing to search"));
        return None;
    }
    Some((from, to))
}

fn time(fields: &Fields<'_>, name: &str, problems: &mut Problems) -> Option<Duration> {
    let node = fields.required_node(name, problems)?;
    let HumanDuration(time) = crate::source::quantity(node, problems)?;
    Some(time)
}

fn tolerance(fields: &Fields<'_>, problems: &mut Problems) -> Option<Ratio> {
    let Some(node) = fields.node("tolerance") else {
        return Ratio::new(0.05);
    };
    let ratio: Ratio = crate::source::quantity(node, problems)?;
    if (0.001..=0.5).contains(&ratio.as_f64()) {
        return Some(ratio);
    }
    problems.push(bad(node.span, format!("a tolerance of {ratio}")).label("from 0.1% to 50%"));
    None
}

#[cfg(test)]
#[path = "breakpoint_tests.rs"]
mod tests;
