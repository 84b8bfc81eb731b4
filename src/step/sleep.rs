//! `sleep`: waits for a time, the same or drawn anew.

use std::time::Duration;

use rand::{Rng, RngExt};

use super::fields::time;
use super::{StepContext, StepError, StepOutcome};
use crate::expr::Output;
use crate::source::yaml::Node;
use crate::source::{Code, Diagnostic, Fields, Problems, Shape};

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
            let time = time(node, problems)?;
            return Some(Self {
                shortest: time,
                longest: time,
            });
        }
        let fields = Fields::of(node, &SHAPE, problems)?;
        let shortest = fields.required_node("min", problems);
        let longest = fields.required_node("max", problems);
        let shortest = shortest.and_then(|node| time(node, problems));
        let longest = longest.and_then(|node| time(node, problems))?;
        let shortest = shortest?;
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
        tokio::time::sleep(self.draw(&mut context.rng)).await;
        Ok(StepOutcome::default())
    }

    fn draw(self, rng: &mut impl Rng) -> Duration {
        let share: f64 = rng.random();
        self.shortest + self.longest.saturating_sub(self.shortest).mul_f64(share)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::*;

    #[test]
    fn drawn_times_lie_between_the_ends_and_follow_the_seed() {
        let sleep = Sleep {
            shortest: Duration::from_secs(1),
            longest: Duration::from_secs(2),
        };
        let draw = |seed| {
            let mut rng = SmallRng::seed_from_u64(seed);
            [sleep.draw(&mut rng), sleep.draw(&mut rng)]
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        for time in draw(7) {
            assert!(time >= sleep.shortest && time <= sleep.longest, "{time:?}");
        }
    }
}
