//! [`Later`]: what a `create` measures and only knows after its end.
//!
//! Events of pods and the controller's annotations may come after the claim is ready. Nothing waits
//! for them: they are read at the end of the iteration.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{Measure, StepOutcome};
use crate::client::{LaunchType, Phases, PodMoment, PodTimes, ServerTimes};

/// What a `create` only knows after its end.
#[derive(Debug)]
pub struct Later {
    pub(super) phases: Phases,
    pub(super) requested: Instant,
    pub(super) launched: LaunchType,
}

impl Later {
    /// What is known now, as measurements.
    pub fn measure(&self) -> StepOutcome {
        let outcome = StepOutcome::default().launched(self.launched);
        let outcome = match self.phases.pod() {
            Some(pod) => pod_times(outcome, pod, self.requested),
            None => outcome,
        };
        server_times(outcome, &self.phases.server(), self.launched)
    }
}

fn pod_times(outcome: StepOutcome, pod: PodTimes, requested: Instant) -> StepOutcome {
    [
        (pod.scheduled, Measure::Scheduled, Measure::ScheduledBefore),
        (pod.running, Measure::Running, Measure::RunningBefore),
    ]
    .into_iter()
    .fold(outcome, |outcome, (moment, time, before)| match moment {
        PodMoment::Seen(at) => outcome.time(time, at.saturating_duration_since(requested)),
        PodMoment::BeforeClaim => outcome.count(before, 1),
        PodMoment::NotSeen => outcome,
    })
}

/// Only differences of times of one clock.
fn server_times(outcome: StepOutcome, told: &ServerTimes, launched: LaunchType) -> StepOutcome {
    let between = |from: Option<SystemTime>, to: Option<SystemTime>| -> Option<Duration> {
        to?.duration_since(from?).ok()
    };
    let controller = between(told.controller_observed, told.controller_ready);
    // A warm sandbox's pod was started for the pool, not for the claim.
    let accepted = told.pod_accepted.filter(|_| launched == LaunchType::Cold);
    [
        (Measure::ControllerReady, controller),
        (Measure::KubeletStarted, between(accepted, told.pod_started)),
        (Measure::KubeletReady, between(accepted, told.pod_ready)),
    ]
    .into_iter()
    .fold(outcome, |outcome, (measure, took)| match took {
        Some(took) => outcome.time(measure, took),
        None => outcome,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Measured, Measurement};
    use super::*;

    fn measured(outcome: &StepOutcome) -> Vec<(Measure, Measured)> {
        let all = outcome.measurements.iter();
        all.map(|Measurement { measure, value }| (*measure, *value))
            .collect()
    }

    #[test]
    fn a_pod_from_before_the_claim_is_counted_and_has_no_time() {
        let requested = Instant::now();
        let seen = requested + Duration::from_millis(40);
        let times = |scheduled, running| {
            let pod = PodTimes { scheduled, running };
            measured(&pod_times(StepOutcome::default(), pod, requested))
        };
        assert_eq!(
            times(PodMoment::BeforeClaim, PodMoment::BeforeClaim),
            [
                (Measure::ScheduledBefore, Measured::Count(1)),
                (Measure::RunningBefore, Measured::Count(1))
            ]
        );
        assert_eq!(
            times(PodMoment::Seen(seen), PodMoment::NotSeen),
            [(
                Measure::Scheduled,
                Measured::Time(Duration::from_millis(40))
            )]
        );
    }

    #[test]
    fn a_warm_sandbox_has_no_times_of_the_node_and_clocks_are_not_mixed() {
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let told = ServerTimes {
            controller_observed: at(100),
            controller_ready: at(103),
            pod_accepted: at(50),
            pod_started: at(52),
            pod_ready: None,
        };
        let of = |launched| measured(&server_times(StepOutcome::default(), &told, launched));
        let time = |seconds| Measured::Time(Duration::from_secs(seconds));
        let controller = (Measure::ControllerReady, time(3));
        assert_eq!(of(LaunchType::Warm), [controller]);
        let started = (Measure::KubeletStarted, time(2));
        assert_eq!(of(LaunchType::Cold), [controller, started]);
    }

    #[test]
    fn a_clock_that_went_back_gives_no_figure() {
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let told = ServerTimes {
            controller_observed: at(100),
            controller_ready: at(99),
            ..ServerTimes::default()
        };
        let outcome = server_times(StepOutcome::default(), &told, LaunchType::Cold);
        assert_eq!(measured(&outcome), []);
    }
}
