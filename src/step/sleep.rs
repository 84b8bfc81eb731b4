//! `sleep`: waits for a time, the same or drawn anew.

use std::time::Duration;

use rand::{Rng, RngExt};

use super::fields::{LONGEST, time};
use super::{StepContext, StepError, StepOutcome};
use crate::expr::{Bindings, Output, Template};
use crate::source::yaml::Node;
use crate::source::{Code, Diagnostic, Field, Fields, FromNode as _, Problems, Shape, Takes};
use crate::units::HumanDuration;

/// Waits for a time.
#[derive(Debug, Clone)]
pub struct Sleep {
    shortest: Time,
    longest: Time,
}

/// A time that is written, or known when the step runs.
#[derive(Debug, Clone)]
enum Time {
    Known(Duration),
    Computed(Template),
}

const SHAPE: Shape = Shape {
    what: "`sleep`",
    fields: &[
        Field::required("min", Takes::Duration, "the shortest time"),
        Field::required(
            "max",
            Takes::Duration,
            "the longest time; one between the two is drawn",
        ),
    ],
    later: &["distribution"],
    help: None,
};

impl Sleep {
    /// What it takes.
    pub(super) const TAKES: Takes = Takes::Either(&[Takes::Duration, Takes::Fields(&SHAPE)]);

    /// What `sleep` gives: nothing.
    pub const OUTPUTS: &'static [Output] = &[];

    pub(super) fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        if node.as_mapping().is_none() {
            let time = Time::decode(node, problems)?;
            return Some(Self {
                shortest: time.clone(),
                longest: time,
            });
        }
        let fields = Fields::of(node, &SHAPE, problems)?;
        let shortest = fields.required_node("min", problems);
        let longest = fields.required_node("max", problems);
        let shortest = shortest.and_then(|node| Time::decode(node, problems));
        let longest = longest.and_then(|node| Time::decode(node, problems))?;
        let shortest = shortest?;
        if let (Time::Known(shortest), Time::Known(longest)) = (&shortest, &longest)
            && shortest > longest
        {
            problems.push(
                Diagnostic::error(Code::BadValue, fields.head(), "`min` is longer than `max`")
                    .label("exchange the two"),
            );
            return None;
        }
        Some(Self { shortest, longest })
    }

    pub(super) async fn run(&self, context: &mut StepContext) -> Result<StepOutcome, StepError> {
        let shortest = self.shortest.value(&context.bindings)?;
        let longest = self.longest.value(&context.bindings)?;
        if shortest > longest {
            return Err(StepError::Value {
                action: "sleep",
                value: HumanDuration(longest).to_string(),
                what: "time as long as `min`",
            });
        }
        let time = draw(shortest, longest, &mut context.rng);
        if time.is_zero() {
            // The runtime's timers would make a millisecond of it; others still have their turn now and then.
            tokio::task::coop::consume_budget().await;
        } else {
            tokio::time::sleep(time).await;
        }
        Ok(StepOutcome::default())
    }
}

impl Time {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let scalar = node.as_scalar();
        if scalar.is_some_and(|scalar| scalar.text.contains("${{")) {
            return Template::from_node(node, problems).map(Self::Computed);
        }
        time(node, problems).map(Self::Known)
    }

    fn value(&self, bindings: &Bindings) -> Result<Duration, StepError> {
        let template = match self {
            Self::Known(time) => return Ok(*time),
            Self::Computed(template) => template,
        };
        let text = template.render(bindings)?;
        let read: Option<HumanDuration> = text.parse().ok();
        let time = read.filter(|time| time.0 <= LONGEST);
        time.map(|time| time.0).ok_or_else(|| StepError::Value {
            action: "sleep",
            value: text.to_string(),
            what: "time such as `250ms`, at most 365d",
        })
    }
}

/// A time between the two, each as likely as the other.
fn draw(shortest: Duration, longest: Duration, rng: &mut impl Rng) -> Duration {
    let share: f64 = rng.random();
    shortest + longest.saturating_sub(shortest).mul_f64(share)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::*;
    use crate::source::Span;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn drawn_times_lie_between_the_ends_and_follow_the_seed() {
        let draw = |seed| {
            let mut rng = SmallRng::seed_from_u64(seed);
            [0, 1].map(|_| draw(SECOND, 2 * SECOND, &mut rng))
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        for time in draw(7) {
            assert!(time >= SECOND && time <= 2 * SECOND, "{time:?}");
        }
    }

    #[test]
    fn a_computed_time_needs_a_unit() {
        let time = Time::Computed(Template::constant_text("2s", Span::default()));
        assert_eq!(time.value(&Bindings::new()).unwrap(), 2 * SECOND);
        for wrong in ["2", "soon", "366d"] {
            let time = Time::Computed(Template::constant_text(wrong, Span::default()));
            let refused = time.value(&Bindings::new()).unwrap_err().to_string();
            assert!(refused.contains("is not a time such as"), "{refused}");
        }
    }
}
