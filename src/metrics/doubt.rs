//! [`Doubt`]: whether the figures of a run can be relied on, and why not.
//!
//! The verdict follows from the typed warnings alone: the worst of them decides, and every one that is
//! more than a note is a reason.

use serde::{Deserialize, Serialize};

use super::warning::Warning;

/// How far figures can be relied on; ordered from good to bad.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reliability {
    /// Nothing speaks against them.
    #[default]
    Ok,
    /// They hold with the limits that the reasons name.
    Degraded,
    /// The generator, not the system, may have been the limit.
    Unreliable,
}

/// The verdict on the figures themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// The worst that any reason says.
    pub verdict: Reliability,
    /// Why, worst first.
    pub reasons: Vec<String>,
}

impl Doubt {
    /// What the warnings come to.
    pub fn of(warnings: &[Warning]) -> Self {
        let mut reasons: Vec<(Reliability, String)> = warnings
            .iter()
            .map(|warning| (warning.reliability(), warning.to_string()))
            .filter(|(reliability, _)| *reliability > Reliability::Ok)
            .collect();
        reasons.sort_by_key(|(reliability, _)| std::cmp::Reverse(*reliability));
        Self {
            verdict: reasons.first().map_or(Reliability::Ok, |(worst, _)| *worst),
            reasons: reasons.into_iter().map(|(_, reason)| reason).collect(),
        }
    }
}

/// How the generator itself fared while the cells ran.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Generator {
    /// Processor time used, as a share of one core, over the whole run.
    pub cpu_cores_mean: f64,
    /// The same in the busiest second.
    pub cpu_cores_peak: f64,
    /// Cores that it may use.
    pub cores: f64,
    /// How late the runtime woke a task that was due, 99th percentile, in nanoseconds. Includes the
    /// millisecond of the runtime's timers.
    pub poll_delay_p99_ns: u64,
    /// The most open descriptors at a time.
    pub descriptors_peak: u64,
    /// How many it may have; 0 when there is no limit.
    pub descriptors_limit: u64,
}

/// Of all cores, in the busiest second: from here on a generator is busy.
const BUSY: f64 = 0.8;
/// From here on it has no headroom.
const FULL: f64 = 0.95;
/// A runtime that is this late blurs the figures of fast operations.
const LATE_NS: u64 = 20_000_000;
/// A runtime that is this late is the limit itself.
const STALLED_NS: u64 = 100_000_000;

impl Generator {
    /// What speaks against its figures.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let share = self.cpu_cores_peak / self.cores.max(1.0);
        if share >= BUSY {
            warnings.push(Warning::GeneratorBusy {
                percent: percent(share),
                without_headroom: share >= FULL,
            });
        }
        if self.poll_delay_p99_ns >= LATE_NS {
            warnings.push(Warning::RuntimeLate {
                p99_ns: self.poll_delay_p99_ns,
            });
        }
        if self.descriptors_limit > 0 && self.descriptors_peak * 10 >= self.descriptors_limit * 8 {
            warnings.push(Warning::FewDescriptors {
                open: self.descriptors_peak,
                limit: self.descriptors_limit,
            });
        }
        warnings
    }
}

/// Whether a runtime that late is the limit itself.
pub(super) fn is_stalled(p99_ns: u64) -> bool {
    p99_ns >= STALLED_NS
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of all cores is between 0 and a little above 1"
)]
fn percent(share: f64) -> u32 {
    (share * 100.0).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_warning_decides_and_notes_are_no_reasons() {
        let few = Warning::FewSamples {
            cells: vec!["a".to_owned()],
            samples: 3,
        };
        assert_eq!(Doubt::of(std::slice::from_ref(&few)), Doubt::default());
        let clamped = Warning::Clamped { samples: 1 };
        let late = Warning::StartedLate {
            cell: "a".to_owned(),
            p99_ns: 90_000_000,
        };
        let doubt = Doubt::of(&[few, clamped, late]);
        assert_eq!(doubt.verdict, Reliability::Unreliable);
        assert_eq!(doubt.reasons.len(), 2);
        assert!(doubt.reasons[0].contains("late"), "{doubt:?}");
    }

    #[test]
    fn a_generator_with_headroom_gives_no_reason_and_one_without_does() {
        let mut generator = Generator {
            cpu_cores_peak: 1.0,
            cores: 2.0,
            poll_delay_p99_ns: 2_000_000,
            descriptors_peak: 100,
            descriptors_limit: 1024,
            ..Generator::default()
        };
        assert_eq!(generator.warnings(), []);
        generator.cpu_cores_peak = 1.95;
        generator.poll_delay_p99_ns = 200_000_000;
        generator.descriptors_peak = 1000;
        let warnings = generator.warnings();
        assert_eq!(warnings.len(), 3);
        assert_eq!(Doubt::of(&warnings).verdict, Reliability::Unreliable);
    }
}
