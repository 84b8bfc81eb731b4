//! [`Line`]: the claims that wait for a controller of a known capacity, first come, first served.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::units::Rate;

/// Claims in line. Each takes the controller for the same time; the first of an idle one is served at
/// once.
#[derive(Debug)]
pub(super) struct Line {
    each: Option<Duration>,
    free: Option<Instant>,
    /// When each claim that is known is served, by UID.
    turns: HashMap<String, Instant>,
}

impl Line {
    /// A line that is served at this rate; without one nobody waits.
    pub(super) fn new(capacity: Option<Rate>) -> Self {
        Self {
            each: capacity.map(Rate::period),
            free: None,
            turns: HashMap::new(),
        }
    }

    /// How long a claim still has to wait at this time; it joins the line when it first asks.
    pub(super) fn wait(&mut self, claim: &str, now: Instant) -> Duration {
        let Some(each) = self.each else {
            return Duration::ZERO;
        };
        let turn = self.turns.get(claim).copied().unwrap_or_else(|| {
            let turn = self.free.map_or(now, |free| free.max(now));
            // A capacity so small that the next turn never comes is that of one claim.
            self.free = Some(turn.checked_add(each).unwrap_or(turn));
            self.turns.insert(claim.to_owned(), turn);
            turn
        });
        turn.saturating_duration_since(now)
    }

    /// A claim is gone; the time that it would have taken is not given back.
    pub(super) fn leave(&mut self, claim: &str) {
        self.turns.remove(claim);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn without_a_capacity_nobody_waits() {
        let mut line = Line::new(None);
        let now = Instant::now();
        assert!((0..100).all(|claim| line.wait(&claim.to_string(), now).is_zero()));
    }

    #[test]
    fn claims_are_served_one_after_the_other_at_the_capacity() {
        let mut line = Line::new(Rate::per_second(50.0));
        let now = Instant::now();
        let waits: Vec<_> = ["a", "b", "c"]
            .iter()
            .map(|claim| line.wait(claim, now))
            .collect();
        assert_eq!(waits, [0, 20, 40].map(|millis| MS * millis));
        let later = now + 30 * MS;
        assert_eq!(line.wait("c", later), 10 * MS, "a place is kept");
        assert_eq!(line.wait("d", later), 30 * MS);
        line.leave("d");
        assert_eq!(line.wait("e", later), 50 * MS);
        assert!(line.wait("f", now + 1000 * MS).is_zero(), "it was idle");
        assert_eq!(line.turns.len(), 5);
    }
}
