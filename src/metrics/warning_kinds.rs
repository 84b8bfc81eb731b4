//! The kinds of [`Warning`]s: their names in results and what each says, for `explain`.

use super::warning::Warning;

impl Warning {
    /// Every kind, as results name it, and what it says.
    pub const KINDS: &'static [(&'static str, &'static str)] = &[
        (
            "few_samples",
            "so few iterations that p95 and p99 are close to the maximum",
        ),
        (
            "ran_together",
            "cells ran at the same time and shared the machine; `--jobs 1` runs one by one",
        ),
        (
            "clamped",
            "durations longer than the histograms tell apart are counted as 1h",
        ),
        (
            "started_late",
            "iterations started late: the generator, not the system, may have been the limit",
        ),
        (
            "dropped",
            "arrivals found no room (`maxInFlight`) and were not run; the figures lack them",
        ),
        (
            "not_drained",
            "after a level of a `breakpoint` iterations were still in flight: the next level began on a system that was not at rest",
        ),
        (
            "broke_late",
            "a level of a `breakpoint` broke while the generator itself was late",
        ),
        (
            "cut_off",
            "the run was killed: these are the figures that it had written until then",
        ),
        (
            "closed_load",
            "a closed load waits with the system and measures its slow times too rarely",
        ),
        ("generator_busy", "the generator used most of the processor"),
        (
            "runtime_late",
            "the generator woke its tasks late: shorter times cannot be told apart",
        ),
        (
            "few_descriptors",
            "the generator came close to its limit of open descriptors",
        ),
        (
            "few_ports",
            "the generator came close to the limit of local ports of its machine",
        ),
        (
            "used_up",
            "attempts failed because the generator had no local port or descriptor left",
        ),
        (
            "machine_full",
            "the machine had next to no idle time: the generator waited for a processor",
        ),
        (
            "stolen",
            "the host of the virtual machine took processor time away",
        ),
        (
            "api_queued",
            "requests to the API server waited in the client until a connection had room",
        ),
        (
            "throttled",
            "the API server refused requests because there were too many (429)",
        ),
        (
            "not_started",
            "planned iterations were not begun, for another reason than want of room",
        ),
        (
            "failures_unlisted",
            "there were more kinds of failures than are listed; all failures are counted",
        ),
        (
            "pods_unseen",
            "pods could not be watched: when they were scheduled and running is not known",
        ),
        (
            "not_renewed",
            "claims whose `timeToLive` could not be renewed may have ended before their steps",
        ),
        (
            "cleaned_up_late",
            "claims were not deleted at the end of their iteration, but at the end of the run or not at all",
        ),
        (
            "events_dropped",
            "progress events that nobody read in time; figures are not affected",
        ),
        ("debug_build", "sandbench was built without optimisation"),
    ];

    /// The name of its kind in results.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::FewSamples { .. } => "few_samples",
            Self::RanTogether { .. } => "ran_together",
            Self::Clamped { .. } => "clamped",
            Self::StartedLate { .. } => "started_late",
            Self::Dropped { .. } => "dropped",
            Self::NotDrained { .. } => "not_drained",
            Self::BrokeLate { .. } => "broke_late",
            Self::CutOff { .. } => "cut_off",
            Self::ClosedLoad { .. } => "closed_load",
            Self::GeneratorBusy { .. } => "generator_busy",
            Self::RuntimeLate { .. } => "runtime_late",
            Self::FewDescriptors { .. } => "few_descriptors",
            Self::FewPorts { .. } => "few_ports",
            Self::UsedUp { .. } => "used_up",
            Self::MachineFull { .. } => "machine_full",
            Self::Stolen { .. } => "stolen",
            Self::ApiQueued { .. } => "api_queued",
            Self::Throttled { .. } => "throttled",
            Self::NotStarted { .. } => "not_started",
            Self::FailuresUnlisted { .. } => "failures_unlisted",
            Self::PodsUnseen { .. } => "pods_unseen",
            Self::NotRenewed { .. } => "not_renewed",
            Self::CleanedUpLate { .. } => "cleaned_up_late",
            Self::EventsDropped { .. } => "events_dropped",
            Self::DebugBuild => "debug_build",
        }
    }
}
