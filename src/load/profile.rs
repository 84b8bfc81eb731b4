//! [`Profile`]: a level (VUs, or arrivals per second) that changes linearly from one time to the next.
//!
//! Its integral is the number of arrivals that are due; the inverse of the integral is when the nth of
//! them is. Every segment starts from an exact time, so that no rounding adds up over a long run.

use std::time::Duration;

/// A stage: from the level before it to `target`, linearly, in `duration`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// The level at its end; VUs, or arrivals per second.
    pub target: f64,
    /// How long it takes; more than zero.
    pub duration: Duration,
}

/// One linear piece.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Segment {
    from: f64,
    to: f64,
    begins: Duration,
    /// Absent: it never ends.
    lasts: Option<Duration>,
    /// The integral before it.
    before: f64,
}

/// A level over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    segments: Vec<Segment>,
}

impl Profile {
    /// One level, for ever or for a time.
    pub fn constant(level: f64, lasts: Option<Duration>) -> Self {
        let segment = Segment {
            from: level,
            to: level,
            begins: Duration::ZERO,
            lasts,
            before: 0.0,
        };
        Self {
            segments: vec![segment],
        }
    }

    /// From `start` through the stages.
    pub fn stages(start: f64, stages: &[Stage]) -> Self {
        let (mut from, mut begins, mut before) = (start, Duration::ZERO, 0.0);
        let mut segments = Vec::with_capacity(stages.len());
        for stage in stages {
            let segment = Segment {
                from,
                to: stage.target,
                begins,
                lasts: Some(stage.duration),
                before,
            };
            before += segment.area(stage.duration.as_secs_f64());
            begins = begins.saturating_add(stage.duration);
            from = stage.target;
            segments.push(segment);
        }
        Self { segments }
    }

    /// The same with its first level held for `warmup` before it.
    #[must_use]
    pub fn after(self, warmup: Duration) -> Self {
        let Some(first) = self.segments.first().copied() else {
            return self;
        };
        if warmup.is_zero() {
            return self;
        }
        let area = first.from * warmup.as_secs_f64();
        let head = Segment {
            to: first.from,
            lasts: Some(warmup),
            ..first
        };
        let moved = self.segments.into_iter().map(|segment| Segment {
            begins: segment.begins.saturating_add(warmup),
            before: segment.before + area,
            ..segment
        });
        Self {
            segments: std::iter::once(head).chain(moved).collect(),
        }
    }

    /// The level at a time; `None` when the profile is over.
    pub fn level(&self, at: Duration) -> Option<f64> {
        let segment = self.segments.iter().find(|segment| segment.holds(at))?;
        let inside = at.saturating_sub(segment.begins).as_secs_f64();
        Some(segment.from + segment.slope() * inside)
    }

    /// The highest level.
    pub fn highest(&self) -> f64 {
        let ends = self.segments.iter().flat_map(|s| [s.from, s.to]);
        ends.fold(0.0, f64::max)
    }

    /// Whether the level never changes.
    pub fn is_constant(&self) -> bool {
        let highest = self.highest();
        let mut ends = self.segments.iter().flat_map(|s| [s.from, s.to]);
        ends.all(|level| level >= highest)
    }

    /// When it is over; `None`: never.
    pub fn end(&self) -> Option<Duration> {
        let last = self.segments.last()?;
        Some(last.begins.saturating_add(last.lasts?))
    }

    /// How much is due up to a time: the integral of the level.
    pub fn integral(&self, to: Duration) -> f64 {
        let begun = self.segments.iter().rev().find(|s| s.begins <= to);
        begun.map_or(0.0, |segment| {
            let inside = to.saturating_sub(segment.begins);
            let inside = segment.lasts.map_or(inside, |lasts| inside.min(lasts));
            segment.before + segment.area(inside.as_secs_f64())
        })
    }

    /// When the integral reaches `amount`; `None` if it never does before the end.
    pub fn reaches(&self, amount: f64) -> Option<Duration> {
        let segment = self
            .segments
            .iter()
            .find(|segment| segment.lasts.is_none() || amount < segment.total())?;
        let inside = segment.when((amount - segment.before).max(0.0));
        let inside = Duration::try_from_secs_f64(inside).ok()?;
        segment.begins.checked_add(inside)
    }
}

impl Segment {
    fn slope(&self) -> f64 {
        match self.lasts {
            Some(lasts) => (self.to - self.from) / lasts.as_secs_f64(),
            None => 0.0,
        }
    }

    fn holds(&self, at: Duration) -> bool {
        self.lasts
            .is_none_or(|lasts| at < self.begins.saturating_add(lasts))
    }

    fn area(&self, inside: f64) -> f64 {
        inside * (self.from + self.slope() * inside / 2.0)
    }

    /// The integral at its end.
    fn total(&self) -> f64 {
        let lasts = self.lasts.unwrap_or(Duration::MAX);
        self.before + self.area(lasts.as_secs_f64())
    }

    /// Seconds from its beginning until its own area is `area`: the root that stays exact when the
    /// level hardly changes or begins at zero.
    fn when(&self, area: f64) -> f64 {
        if area <= 0.0 {
            return 0.0;
        }
        let under = (self.from * self.from + 2.0 * self.slope() * area).max(0.0);
        2.0 * area / (self.from + under.sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_ramp_goes_through_the_middle_and_ends_at_its_target() {
        let stage = |target, count| Stage {
            target,
            duration: seconds(count),
        };
        let profile = Profile::stages(0.0, &[stage(10.0, 10), stage(10.0, 5), stage(0.0, 10)]);
        for (at, level) in [(0, 0.0), (5, 5.0), (10, 10.0), (14, 10.0), (20, 5.0)] {
            assert_eq!(profile.level(seconds(at)), Some(level), "{at}");
        }
        assert_eq!(profile.level(seconds(25)), None);
        assert_eq!(profile.end(), Some(seconds(25)));
        assert!((profile.integral(seconds(99)) - 150.0).abs() < 1e-9);
        assert_eq!(profile.reaches(50.0), Some(seconds(10)));
        assert_eq!(profile.reaches(150.0), None);
    }

    #[test]
    fn a_warm_up_holds_the_first_level_and_moves_the_rest() {
        let stage = Stage {
            target: 10.0,
            duration: seconds(10),
        };
        let profile = Profile::stages(2.0, &[stage]).after(seconds(5));
        assert_eq!(profile.level(seconds(4)), Some(2.0));
        assert_eq!(profile.level(seconds(10)), Some(6.0));
        assert_eq!(profile.reaches(10.0), Some(seconds(5)));
        assert_eq!(profile.end(), Some(seconds(15)));
    }
}
