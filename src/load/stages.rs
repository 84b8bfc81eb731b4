//! The stages of a load as they are written: `{ target: 50/s, duration: 2m }`.
//!
//! A target with a unit is a rate, a plain whole number is VUs; a list has targets of one kind.

use std::fmt;
use std::str::FromStr;

use super::Stage;
use super::decode::bad;
use crate::source::yaml::Node;
use crate::source::{
    Code, Diagnostic, Field, Fields, Problems, Shape, Takes, quantity, wrong_type,
};
use crate::units::{HumanDuration, Rate, UnitError};

pub(super) const STAGE: Shape = Shape {
    what: "a stage",
    fields: &[
        Field::required(
            "target",
            Takes::Either(&[Takes::Whole(0, 4_294_967_295), Takes::Rate]),
            "what the stage goes to, in a straight line: VUs (`20`) or a rate (`50/s`)",
        ),
        Field::required(
            "duration",
            Takes::Duration,
            "how long it takes to get there",
        ),
    ],
    later: &[],
    help: Some("for example `{ target: 50/s, duration: 2m }`, or `target: 20` for VUs"),
};

/// The target of a stage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Level {
    Vus(u32),
    PerSecond(f64),
}

/// Why a target could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum LevelError {
    #[error("{0}")]
    Unit(#[from] UnitError),
    #[error("`{0}` is no number of VUs; write a whole number, or a rate like `50/s`")]
    Vus(String),
}

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, LevelError> {
        if let Some((count, unit)) = text.split_once('/') {
            // A ramp may begin or end at nothing, which is no rate of its own.
            if count.trim().parse() == Ok(0.0_f64) && ["s", "m", "h"].contains(&unit.trim()) {
                return Ok(Self::PerSecond(0.0));
            }
            return Ok(Self::PerSecond(text.parse::<Rate>()?.as_per_second()));
        }
        let count = text.trim().parse();
        count
            .map(Self::Vus)
            .map_err(|_| LevelError::Vus(text.to_owned()))
    }
}

impl Level {
    pub(super) fn number(self) -> f64 {
        match self {
            Self::Vus(count) => f64::from(count),
            Self::PerSecond(rate) => rate,
        }
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Vus(_) => Kind::Closed,
            Self::PerSecond(_) => Kind::Open,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Closed,
    Open,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "VUs",
            Self::Open => "a rate",
        })
    }
}

/// Reads `stages`: the stages and what their targets are of.
pub(super) fn stages(node: &Node, problems: &mut Problems) -> Option<(Kind, Vec<Stage>)> {
    let Some(items) = node.as_sequence() else {
        wrong_type(node, "a list of stages", problems);
        return None;
    };
    if items.is_empty() {
        problems.push(bad(node.span, "`stages` has no stage").label("empty"));
        return None;
    }
    let mut kinds: Vec<Kind> = Vec::new();
    let mut read = Vec::new();
    for item in items {
        let fields = Fields::of(item, &STAGE, problems)?;
        let target = fields.required_node("target", problems);
        let target = target.and_then(|node| quantity::<Level>(node, problems));
        let duration = fields.required_node("duration", problems);
        let duration = duration.and_then(|node| quantity::<HumanDuration>(node, problems));
        let (Some(target), Some(duration)) = (target, duration) else {
            continue;
        };
        if duration.0.is_zero() {
            problems
                .push(bad(fields.head(), "a stage of no duration").help("write at least `1ms`"));
            continue;
        }
        kinds.push(target.kind());
        let stage = Stage {
            target: target.number(),
            duration: duration.0,
        };
        read.push(stage);
    }
    if read.len() < items.len() {
        return None;
    }
    if kinds.windows(2).any(|pair| pair[0] != pair[1]) {
        problems.push(
            Diagnostic::error(
                Code::Combination,
                node.span,
                "the stages have VUs and rates as targets",
            )
            .help("a closed model has VUs (`target: 20`), an open one a rate (`target: 20/s`)"),
        );
        return None;
    }
    if read.iter().all(|stage| stage.target <= 0.0) {
        problems.push(bad(node.span, "no stage has a target above zero"));
        return None;
    }
    let kind = kinds.first().copied()?;
    Some((kind, read))
}
