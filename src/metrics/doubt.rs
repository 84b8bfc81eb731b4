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

/// How the generator itself fared while the cells ran, and the machine that it ran on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Generator {
    /// Processor time used, as a share of one core, over the whole run.
    pub cpu_cores_mean: f64,
    /// The same in the busiest second.
    pub cpu_cores_peak: f64,
    /// Cores that it may use.
    pub cores: f64,
    /// What it had left of those cores in its busiest second, as a share of one core: what it did not
    /// use itself, and no more than what was idle on the machine.
    #[serde(default)]
    pub cpu_cores_headroom: f64,
    /// The machine's processors, where that can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
    /// How late the runtime woke a task that was due, 99th percentile, in nanoseconds. Includes the
    /// millisecond of the runtime's timers.
    pub poll_delay_p99_ns: u64,
    /// The most open descriptors at a time.
    pub descriptors_peak: u64,
    /// How many it may have; 0 when there is no limit.
    pub descriptors_limit: u64,
    /// The most local ports at a time that were in use or not free again yet (`TIME_WAIT`), by all
    /// programs together, towards the address with the most; where it is far from the limit, towards all.
    #[serde(default)]
    pub ports_peak: u64,
    /// How many there are for connections to one address; 0 when that cannot be read.
    #[serde(default)]
    pub ports_limit: u64,
    /// Requests that the API server refused because there were too many (429).
    #[serde(default)]
    pub throttled: u64,
}

/// What became of the time of all processors of the machine while the cells ran. Shares of all of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Nobody wanted it.
    pub idle: f64,
    /// Used by other programs; a loopback cluster is one of them.
    pub others: f64,
    /// Taken by the host of a virtual machine.
    pub stolen: f64,
}

/// Of all cores, in the busiest second: from here on a generator is busy.
const BUSY: f64 = 0.8;
/// From here on it has no headroom.
const FULL: f64 = 0.95;
/// A machine with less idle time, over the whole run, makes programs wait for each other.
const IDLE: f64 = 0.05;
/// From this share of stolen time on, the machine's times are in doubt, and from there on no longer its.
const STOLEN: f64 = 0.02;
const ROBBED: f64 = 0.1;
/// A runtime that is this late blurs the figures of fast operations.
const LATE_NS: u64 = 20_000_000;
/// A runtime that is this late is the limit itself.
const STALLED_NS: u64 = 100_000_000;
/// Of descriptors or ports: from here on they are few, and from there on used up.
const FEW_PERCENT: u64 = 80;
const NONE_PERCENT: u64 = 98;

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
        if let Some(machine) = self.machine {
            machine.warnings(&mut warnings);
        }
        if self.poll_delay_p99_ns >= LATE_NS {
            warnings.push(Warning::RuntimeLate {
                p99_ns: self.poll_delay_p99_ns,
            });
        }
        if is_scarce(self.descriptors_peak, self.descriptors_limit, FEW_PERCENT) {
            warnings.push(Warning::FewDescriptors {
                open: self.descriptors_peak,
                limit: self.descriptors_limit,
            });
        }
        if is_scarce(self.ports_peak, self.ports_limit, FEW_PERCENT) {
            warnings.push(Warning::FewPorts {
                taken: self.ports_peak,
                limit: self.ports_limit,
            });
        }
        warnings
    }
}

impl Machine {
    fn warnings(&self, into: &mut Vec<Warning>) {
        if self.stolen >= STOLEN {
            into.push(Warning::Stolen {
                percent: percent(self.stolen),
                robbed: self.stolen >= ROBBED,
            });
        }
        if self.idle < IDLE {
            into.push(Warning::MachineFull {
                idle_percent: percent(self.idle),
                others_percent: percent(self.others),
            });
        }
    }
}

/// Whether this much of a limit is taken; there may be none.
fn is_scarce(taken: u64, limit: u64, percent: u64) -> bool {
    limit > 0 && taken.saturating_mul(100) >= limit.saturating_mul(percent)
}

/// Whether nothing to speak of is left.
pub(super) fn is_used_up(taken: u64, limit: u64) -> bool {
    is_scarce(taken, limit, NONE_PERCENT)
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

    fn verdict(generator: &Generator) -> (usize, Reliability) {
        let warnings = generator.warnings();
        (warnings.len(), Doubt::of(&warnings).verdict)
    }

    fn calm() -> Generator {
        Generator {
            cpu_cores_peak: 1.0,
            cores: 2.0,
            cpu_cores_headroom: 1.0,
            machine: Some(Machine {
                idle: 0.4,
                others: 0.2,
                stolen: 0.001,
            }),
            poll_delay_p99_ns: 2_000_000,
            descriptors_peak: 100,
            descriptors_limit: 1024,
            ports_peak: 500,
            ports_limit: 28_232,
            ..Generator::default()
        }
    }

    #[test]
    fn a_generator_with_headroom_gives_no_reason() {
        assert_eq!(verdict(&calm()), (0, Reliability::Ok));
    }

    #[test]
    fn each_scarcity_is_a_reason_of_its_own_and_grows_worse() {
        let busy = |cpu_cores_peak| Generator {
            cpu_cores_peak,
            ..calm()
        };
        assert_eq!(verdict(&busy(1.6)), (1, Reliability::Degraded));
        assert_eq!(verdict(&busy(1.95)), (1, Reliability::Unreliable));
        let late = |poll_delay_p99_ns| Generator {
            poll_delay_p99_ns,
            ..calm()
        };
        assert_eq!(verdict(&late(20_000_000)), (1, Reliability::Degraded));
        assert_eq!(verdict(&late(100_000_000)), (1, Reliability::Unreliable));
        let descriptors = |descriptors_peak| Generator {
            descriptors_peak,
            ..calm()
        };
        assert_eq!(verdict(&descriptors(820)), (1, Reliability::Degraded));
        assert_eq!(verdict(&descriptors(1_020)), (1, Reliability::Unreliable));
        let ports = |ports_peak| Generator {
            ports_peak,
            ..calm()
        };
        assert_eq!(verdict(&ports(23_000)), (1, Reliability::Degraded));
        assert_eq!(verdict(&ports(28_000)), (1, Reliability::Unreliable));
    }

    #[test]
    fn the_rest_of_the_machine_is_a_reason_too_where_it_can_be_read() {
        let machine = |idle, stolen| Generator {
            machine: Some(Machine {
                idle,
                others: 0.3,
                stolen,
            }),
            ..calm()
        };
        assert_eq!(verdict(&machine(0.04, 0.0)), (1, Reliability::Degraded));
        assert_eq!(verdict(&machine(0.3, 0.03)), (1, Reliability::Degraded));
        assert_eq!(verdict(&machine(0.3, 0.1)), (1, Reliability::Unreliable));
        let unknown = Generator {
            machine: None,
            ports_limit: 0,
            descriptors_limit: 0,
            ..calm()
        };
        assert_eq!(verdict(&unknown), (0, Reliability::Ok));
    }
}
