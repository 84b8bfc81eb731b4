//! `sleep`: waits for a time, the same or drawn anew.

use std::time::Duration;

use rand::RngExt;

use super::{StepContext, StepError, StepOutcome};
use crate::expr::Output;
use crate::source::yaml::Node;
use crate::source::{Code, Diagnostic, Fields, Problems, Shape, quantity};
use crate::units::HumanDuration;

/// Waits for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sleep {
    shortest: Duration,
    longest: Duration,
}

const SHAPE: Shape = Shape {
    what: "`sleep`",
    fields: &["min", "max"],
    later: &["distribution"],
    help: None,
};

impl Sleep {
    /// What `sleep` gives: nothing.
    pub const OUTPUTS: &'static [Output] = &[];

    pub(super) fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        if node.as_mapping().is_none() {
            let HumanDuration(time) = quantity(node, problems)?;
            return Some(Self {
                shortest: time,
                longest: time,
            });
        }
        let fields = Fields::of(node, &SHAPE, problems)?;
        fields.required_node("min", problems);
        fields.required_node("max", problems);
        let HumanDuration(shortest) = fields.quantity("min", problems)?;
        let HumanDuration(longest) = fields.quantity("max", problems)?;
        if shortest > longest {
            problems.push(
                Diagnostic::error(Code::BadValue, fields.head(), "`min` is longer than `max`")
                    .label("exchange the two"),
            );
            return None;
        }
        Some(Self { shortest, longest })
    }

    pub(super) async fn run(self, context: &mut StepContext) -> Result<StepOutcome, StepError> {
        let share: f64 = context.rng.random();
        tokio::time::sleep(self.shortest + (self.longest - self.shortest).mul_f64(share)).await;
        Ok(StepOutcome::default())
    }
}
