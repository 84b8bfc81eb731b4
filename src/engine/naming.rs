//! What measurements and causes of the client and the steps are called among metrics.

use crate::client;
use crate::metrics::{Cause, Label, LaunchType, Metric};
use crate::step::Measure;

pub(super) fn cause_of(cause: client::AttemptCause) -> Cause {
    match (cause, cause.word()) {
        (client::AttemptCause::Status(code), _) => Cause::Status(code),
        (_, word) => Cause::Word(word.unwrap_or_default()),
    }
}

pub(super) fn launched(launched: client::LaunchType) -> Label {
    Label::LaunchType(match launched {
        client::LaunchType::Warm => LaunchType::Warm,
        client::LaunchType::Cold => LaunchType::Cold,
    })
}

pub(super) fn metric_of(measure: Measure) -> Metric {
    match measure {
        Measure::CreateAck => Metric::SandboxCreateAckDuration,
        Measure::Bound => Metric::SandboxBoundDuration,
        Measure::Scheduled => Metric::SandboxScheduledDuration,
        Measure::Running => Metric::SandboxRunningDuration,
        Measure::Ready => Metric::SandboxReadyDuration,
        Measure::ControllerReady => Metric::ControllerReadyDuration,
        Measure::KubeletStarted => Metric::KubeletStartedDuration,
        Measure::KubeletReady => Metric::KubeletReadyDuration,
        Measure::ScheduledBefore => Metric::ScheduledBeforeClaim,
        Measure::RunningBefore => Metric::RunningBeforeClaim,
        Measure::FirstExec => Metric::TimeToFirstExec,
        Measure::Connect => Metric::ConnectDuration,
        Measure::Exec => Metric::ExecDuration,
        Measure::Write => Metric::WriteDuration,
        Measure::Read => Metric::ReadDuration,
        Measure::List => Metric::ListDuration,
        Measure::Exists => Metric::ExistsDuration,
        Measure::DeleteFile => Metric::DeleteFileDuration,
        Measure::Suspend => Metric::SandboxSuspendDuration,
        Measure::Resume => Metric::SandboxResumeDuration,
        Measure::Http => Metric::HttpDuration,
        Measure::Delete => Metric::SandboxDeleteDuration,
        Measure::Wait => Metric::WaitDuration,
        Measure::WarmHit => Metric::WarmHits,
        Measure::ColdStart => Metric::ColdStarts,
        Measure::BytesWritten => Metric::BytesWritten,
        Measure::BytesRead => Metric::BytesRead,
    }
}
