//! [`Sliding`]: the figures of the last stretch of a run, for thresholds with a `window`.
//!
//! Series only grow. What happened in a window is the difference of two looks at them, so that
//! nothing is recorded twice and the load does not know of windows.

use std::collections::VecDeque;
use std::time::Duration;

use super::threshold::Observed;

/// How many looks there are in a window: it ends at most a tenth of itself late.
const LOOKS: u32 = 10;
/// Bounds of the time between two looks.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// The figures since the start, as they were at a time.
#[derive(Debug, Clone)]
struct Look {
    at: Duration,
    figures: Observed,
}

/// The last stretch of a run.
#[derive(Debug)]
pub struct Sliding {
    window: Duration,
    /// Oldest first; the first one is the newest that is at least a window old.
    past: VecDeque<Look>,
}

impl Sliding {
    /// Of this length, more than nothing.
    pub fn new(window: Duration) -> Self {
        let begin = Look {
            at: Duration::ZERO,
            figures: Observed::default(),
        };
        Self {
            window,
            past: VecDeque::from([begin]),
        }
    }

    /// How long to wait between two looks.
    pub fn pause(&self) -> Duration {
        (self.window / LOOKS).clamp(SHORTEST, LONGEST)
    }

    /// Takes the figures since the start, at a time since the start; gives those of the last window,
    /// once there is a whole one, and when it began.
    pub fn look(&mut self, at: Duration, figures: Observed) -> Option<(Observed, Duration)> {
        let old = |look: &Look| look.at + self.window <= at;
        while self.past.get(1).is_some_and(old) {
            self.past.pop_front();
        }
        let first = self.past.front().filter(|look| old(look));
        let last = first.map(|first| (figures.since(&first.figures), first.at));
        self.past.push_back(Look { at, figures });
        last
    }
}

impl Observed {
    /// What was added since these figures of the same series were taken.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            histogram: self.histogram.since(&earlier.histogram),
            sum: self.sum.saturating_sub(earlier.sum),
            iterations: self.iterations.saturating_sub(earlier.iterations),
            elapsed: self.elapsed.saturating_sub(earlier.elapsed),
            rate: self.rate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::histogram::Histogram;
    use super::super::threshold::{OnFail, Outcome, Threshold};
    use super::*;

    fn threshold(selector: &str, condition: &str) -> Threshold {
        Threshold {
            selector: selector.parse().expect("a selector"),
            condition: condition.parse().expect("a condition"),
            window: Some(Duration::from_secs(10)),
            on_fail: OnFail::GoOn,
        }
    }

    /// 100 samples a second: 10 ms each, but 500 ms each from second 20 to 25.
    fn at(second: u64) -> Observed {
        let mut histogram = Histogram::default();
        for sample in 0..second * 100 {
            let slow = (2000..2500).contains(&sample);
            histogram.record(Duration::from_millis(if slow { 500 } else { 10 }));
        }
        Observed {
            histogram,
            sum: 0,
            iterations: second * 100,
            elapsed: Duration::from_secs(second),
            rate: None,
        }
    }

    #[test]
    fn a_slow_stretch_is_seen_in_the_windows_that_touch_it_and_no_others() {
        let limit = threshold("exec_duration", "p90 < 100ms");
        let mut sliding = Sliding::new(Duration::from_secs(10));
        let mut missed = Vec::new();
        for second in 0..=60 {
            let seen = sliding.look(Duration::from_secs(second), at(second));
            assert_eq!(seen.is_some(), second >= 10, "at {second}");
            let Some((figures, from)) = seen else {
                continue;
            };
            assert_eq!(from, Duration::from_secs(second - 10));
            assert_eq!(figures.histogram.count(), 1000);
            if limit.evaluate(&figures).0 == Outcome::Failed {
                missed.push(second);
            }
        }
        // From more than a tenth of a window being slow to the last window with more than that.
        assert_eq!(missed, (22..=33).collect::<Vec<_>>());
        // Over the whole run it would have held: a twelfth of it was slow.
        assert_eq!(limit.evaluate(&at(60)).0, Outcome::Held);
    }

    #[test]
    fn what_is_kept_does_not_grow_with_the_run() {
        let mut sliding = Sliding::new(Duration::from_secs(10));
        for second in 0..1000 {
            sliding.look(Duration::from_secs(second), Observed::default());
        }
        assert!(sliding.past.len() <= 12, "{}", sliding.past.len());
    }

    #[test]
    fn late_looks_make_a_window_longer_and_never_shorter() {
        let mut sliding = Sliding::new(Duration::from_secs(10));
        assert!(sliding.look(Duration::from_secs(4), at(4)).is_none());
        let (figures, from) = sliding.look(Duration::from_secs(13), at(13)).expect("full");
        assert_eq!((figures.histogram.count(), from), (1300, Duration::ZERO));
        let (figures, from) = sliding.look(Duration::from_secs(15), at(15)).expect("full");
        assert_eq!(
            (figures.histogram.count(), from),
            (1100, Duration::from_secs(4))
        );
    }
}
