//! Load models: how many iterations start, and when. Pure functions of time and count.
//!
//! **Extension point.** A closed model says how many VUs run at a time ([`VuCurve`]); the engine knows
//! the trait and no model. To add one: a file, a variant and the arms that the compiler asks for.
#![warn(clippy::wildcard_enum_match_arm)]

mod closed;

pub use closed::{Closed, Limit};

use std::time::Duration;

use crate::source::yaml::Node;
use crate::source::{Code, Diagnostic, Fields, Problems, Shape, Spanned};
use crate::units::HumanDuration;

/// How a scenario loads the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadModel {
    /// A fixed number of VUs, each running one iteration after the other.
    Closed(Closed),
}

/// A closed load model as the engine sees it.
pub trait VuCurve {
    /// How many VUs run after `elapsed`; 0: the model is over.
    fn vus(&self, elapsed: Duration) -> u32;

    /// Whether iteration number `index` (from 0) may still start after `elapsed`.
    fn admits(&self, index: u64, elapsed: Duration) -> bool;

    /// How many iterations were asked for, if a number was.
    fn planned(&self) -> Option<u64>;
}

const SHAPE: Shape = Shape {
    what: "load",
    fields: &["vus", "iterations", "duration", "gracefulStop"],
    later: &[
        "rate",
        "stages",
        "arrival",
        "maxInFlight",
        "warmup",
        "breakpoint",
    ],
    help: Some(
        "a closed model uses `vus`; `iterations` is the total of the cell, shared by its VUs",
    ),
};

/// How long iterations in flight may go on after a stop, where the file says nothing (as in k6).
const GRACEFUL_STOP: Duration = Duration::from_secs(30);

impl LoadModel {
    /// One VU, one iteration: a scenario without `load`.
    pub fn once() -> Self {
        Self::Closed(Closed {
            vus: 1,
            limit: Limit::Iterations(1),
            graceful_stop: GRACEFUL_STOP,
        })
    }

    /// The model as a curve.
    pub fn curve(&self) -> &dyn VuCurve {
        match self {
            Self::Closed(closed) => closed,
        }
    }

    /// How long iterations in flight may go on after a stop.
    pub fn graceful_stop(&self) -> Duration {
        match self {
            Self::Closed(closed) => closed.graceful_stop,
        }
    }

    /// Reads `load`; everything that is wrong with it is reported.
    pub fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let fields = Fields::of(node, &SHAPE, problems)?;
        fields.at_most_one_of(&["iterations", "duration"], problems);
        let graceful_stop = fields
            .quantity::<HumanDuration>("gracefulStop", problems)
            .map_or(GRACEFUL_STOP, |duration| duration.0);
        let vus: Option<Spanned<u32>> = fields.required("vus", problems);
        let iterations: Option<Spanned<u64>> = fields.optional("iterations", problems);
        let duration = fields.quantity::<HumanDuration>("duration", problems);
        for (name, node) in [
            ("vus", fields.node("vus")),
            ("iterations", fields.node("iterations")),
        ] {
            if let Some(node) =
                node.filter(|node| node.as_scalar().is_some_and(|s| &*s.text == "0"))
            {
                let message = format!("`{name}: 0` does nothing");
                problems.push(Diagnostic::error(Code::BadValue, node.span, message));
                return None;
            }
        }
        let vus = vus?;
        if let Some(iterations) =
            iterations.filter(|iterations| u64::from(vus.value) > iterations.value)
        {
            problems.push(
                Diagnostic::error(
                    Code::Combination,
                    iterations.span,
                    format!(
                        "{} VUs share {} iterations: some VUs would never run",
                        vus.value, iterations.value
                    ),
                )
                .label("fewer than `vus`")
                .help("`iterations` is the total of the cell: for 10 each, write 10 × `vus`"),
            );
            return None;
        }
        let limit = match (iterations, duration) {
            (Some(iterations), _) => Limit::Iterations(iterations.value),
            (None, Some(duration)) => Limit::Duration(duration.0),
            (None, None) if fields.has("iterations") || fields.has("duration") => return None,
            (None, None) => Limit::Iterations(u64::from(vus.value)),
        };
        Some(Self::Closed(Closed {
            vus: vus.value,
            limit,
            graceful_stop,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{SourceFile, yaml};

    fn decode(text: &str) -> (Option<LoadModel>, Vec<String>) {
        let file = SourceFile::from_text("t.yaml", text);
        let mut problems = Problems::new();
        let node = yaml::parse(&file, &mut problems);
        let load = node.and_then(|node| LoadModel::decode(&node, &mut problems));
        (
            load,
            problems
                .iter()
                .map(|problem| problem.message.clone())
                .collect(),
        )
    }

    #[test]
    fn vus_with_iterations_or_a_duration_are_read() {
        let closed = |text: &str| match decode(text) {
            (Some(LoadModel::Closed(closed)), problems) => {
                assert_eq!(problems, Vec::<String>::new());
                closed
            }
            (None, problems) => panic!("{problems:?}"),
        };
        assert_eq!(
            closed("{ vus: 20, iterations: 100 }").limit,
            Limit::Iterations(100)
        );
        assert_eq!(
            closed("{ vus: 2, duration: 1m }").limit,
            Limit::Duration(Duration::from_secs(60))
        );
        assert_eq!(closed("{ vus: 3 }").limit, Limit::Iterations(3));
        assert_eq!(
            closed("{ vus: 3, gracefulStop: 5s }").graceful_stop,
            Duration::from_secs(5)
        );
    }

    #[test]
    fn what_cannot_be_is_told() {
        for (text, problem) in [
            ("{ iterations: 5 }", "load needs the field `vus`"),
            ("{ vus: 0 }", "`vus: 0` does nothing"),
            (
                "{ vus: 9, iterations: 5 }",
                "9 VUs share 5 iterations: some VUs would never run",
            ),
            (
                "{ vus: 1, iterations: 5, duration: 1s }",
                "load has both `iterations` and `duration`",
            ),
            ("{ rate: 5/s }", "`rate` is not supported yet in load"),
            (
                "{ vus: 1, duration: 5 }",
                "`5` has no unit",
            ),
        ] {
            let (_, problems) = decode(text);
            assert!(
                problems.iter().any(|found| found == problem),
                "{text}: {problems:?}"
            );
        }
    }
}
