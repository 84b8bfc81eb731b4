//! One iteration: its steps in order, `finally`, clean-up. The only place where samples are made.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::cell::CellRun;
use super::cleanup::clean_up;
use super::event::IterationEnd;
use super::failure::Failure;
use crate::metrics::{Metric, Recorder, StepIndex};
use crate::plan::defaults;
use crate::source::Span;
use crate::step::{
    Action, ErrorVerdict, Measure, Measured, Registrar, Step, StepContext, StepMismatch,
    StepOutcome,
};
use crate::units::HumanDuration;

/// Which iteration this is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number {
    /// Of the cell, from 0.
    pub(super) iteration: u64,
    /// The VU that runs it, from 0.
    pub(super) vu: u32,
    /// When it was due.
    pub(super) planned: Instant,
}

/// Runs an iteration to its end, whatever happens, and cleans up after it.
pub(super) async fn run(
    cell: &CellRun,
    number: Number,
    recorder: &mut Recorder,
    abort: &CancellationToken,
) -> IterationEnd {
    let registrar = Arc::new(Registrar::default());
    let mut steps = Steps {
        cell,
        context: context(cell, number, &registrar),
        recorder,
        next: 0,
    };
    let started = Instant::now();
    let delay = started.saturating_duration_since(number.planned);
    steps
        .recorder
        .time(Metric::IterationStartDelay, None, delay);
    let timeout = cell.cell.timeout;
    let ended = tokio::select! {
        biased;
        () = abort.cancelled() => None,
        result = tokio::time::timeout(timeout, steps.run(&cell.cell.steps)) => Some(result),
    };
    let end = match ended {
        None => IterationEnd::Interrupted,
        Some(Ok(Ok(()))) => IterationEnd::Passed,
        Some(Ok(Err(failure))) => steps.fail(*failure),
        Some(Err(_)) => {
            let failure = steps.timed_out(timeout);
            steps.fail(failure)
        }
    };
    let took = number.planned.elapsed();
    if end != IterationEnd::Interrupted {
        steps.recorder.time(Metric::IterationDuration, None, took);
        steps.recorder.time(
            Metric::IterationServiceDuration,
            None,
            took.saturating_sub(delay),
        );
    }
    let end = steps.finally(end).await;
    steps.count(end);
    let cleaning = Instant::now();
    steps.context.disconnect().await;
    // After an abort the whole run is cleaned up at once, by its label.
    if !abort.is_cancelled() {
        for left in clean_up(&cell.client, &registrar).await {
            tracing::warn!(
                claim = left.claim,
                reason = left.reason,
                "clean-up failed; tried again at the end"
            );
        }
        steps
            .recorder
            .time(Metric::CleanupDuration, None, cleaning.elapsed());
    }
    end
}

fn context(cell: &CellRun, number: Number, registrar: &Arc<Registrar>) -> StepContext {
    let mut bindings = cell.cell.bindings.child();
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    bindings.set("vu", "number", count(u64::from(number.vu) + 1));
    bindings.set("iteration", "number", count(number.iteration + 1));
    let seed = cell.plan.seed.stream(&cell.cell.name, number.iteration);
    StepContext::new(
        cell.client.clone(),
        Arc::clone(&cell.cell.target),
        bindings,
        Arc::clone(registrar),
        seed,
    )
}

struct Steps<'a> {
    cell: &'a CellRun,
    context: StepContext,
    recorder: &'a mut Recorder,
    next: u16,
}

impl Steps<'_> {
    /// Runs steps in order until one fails.
    async fn run(&mut self, steps: &[Step]) -> Result<(), Box<Failure>> {
        for step in steps {
            let index = StepIndex(self.next);
            self.next = self.next.saturating_add(1);
            let started = Instant::now();
            if let Action::Group(group) = &step.action {
                let inner = Box::pin(self.run(&group.steps));
                match step.timeout {
                    None => inner.await?,
                    Some(limit) => match tokio::time::timeout(limit, inner).await {
                        Ok(result) => result?,
                        Err(_) => return Err(Box::new(self.group_timed_out(step, limit))),
                    },
                }
                self.recorder
                    .time(Metric::GroupDuration, Some(index), started.elapsed());
            } else {
                self.step(step, index).await?;
            }
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step, index: StepIndex) -> Result<(), Box<Failure>> {
        let started = Instant::now();
        let result = step.run(&mut self.context).await;
        self.recorder
            .time(Metric::StepDuration, Some(index), started.elapsed());
        self.recorder.count(Metric::Attempts, Some(index), 1);
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) => {
                return match step.judge_error(&error, &self.context.bindings) {
                    ErrorVerdict::Expected => Ok(()),
                    ErrorVerdict::Another(mismatch) => Err(self.mismatch(step, &[mismatch])),
                    ErrorVerdict::Unexpected => Err(Box::new(Failure {
                        step: step.label(),
                        cause: error.code(),
                        span: step.span,
                        label: error.code(),
                        message: chain(&error),
                        help: error.help(),
                        sandbox: self.sandbox(),
                    })),
                };
            }
        };
        self.record(&outcome, index);
        let mismatches = step.judge(&outcome, &self.context.bindings);
        if !mismatches.is_empty() {
            return Err(self.mismatch(step, &mismatches));
        }
        step.bind(&outcome, &mut self.context.bindings)
            .map_err(|(span, error)| {
                Box::new(Failure {
                    step: step.label(),
                    cause: "capture".to_owned(),
                    span,
                    label: error.to_string(),
                    message: error.to_string(),
                    help: error.help(),
                    sandbox: self.sandbox(),
                })
            })
    }

    fn record(&mut self, outcome: &StepOutcome, index: StepIndex) {
        for measurement in &outcome.measurements {
            let metric = metric_of(measurement.measure);
            match measurement.value {
                Measured::Time(duration) => self.recorder.time(metric, Some(index), duration),
                Measured::Count(count) => self.recorder.count(metric, Some(index), count),
            }
        }
    }

    fn mismatch(&self, step: &Step, mismatches: &[StepMismatch]) -> Box<Failure> {
        let lines: Vec<String> = mismatches
            .iter()
            .map(|found| {
                format!(
                    "{}: expected {}, actual {}",
                    found.output, found.expected, found.actual
                )
            })
            .collect();
        let first = mismatches.first();
        Box::new(Failure {
            step: step.label(),
            cause: first.map_or_else(String::new, |found| found.output.to_owned()),
            span: first.map_or(step.span, |found| found.span),
            label: first.map_or_else(String::new, |found| format!("actual {}", found.actual)),
            message: lines.join("\n"),
            help: None,
            sandbox: self.sandbox(),
        })
    }

    fn sandbox(&self) -> Option<String> {
        let (namespace, claim, sandbox) = self.context.current()?;
        Some(format!(
            "{namespace}/{claim} (sandbox {sandbox}, deleted by the clean-up)"
        ))
    }

    fn group_timed_out(&self, step: &Step, limit: Duration) -> Failure {
        Failure {
            step: step.label(),
            cause: "Timeout".to_owned(),
            span: step.span,
            label: "Timeout".to_owned(),
            message: format!(
                "group: not done within {} (its `timeout`)",
                HumanDuration(limit)
            ),
            help: Some("raise the group's `timeout`".to_owned()),
            sandbox: self.sandbox(),
        }
    }

    /// The iteration's time was over: the step that was running is to blame.
    fn timed_out(&self, limit: Duration) -> Failure {
        let mut running: Option<(Span, String)> = None;
        let mut left = self.next;
        for step in self.cell.cell.steps.iter() {
            step.walk(&mut |step| {
                if left > 0 {
                    left -= 1;
                    running = Some((step.span, step.label()));
                }
            });
        }
        let (span, step) = running.unwrap_or_default();
        Failure {
            step,
            cause: "IterationTimeout".to_owned(),
            span,
            label: "still running".to_owned(),
            message: format!(
                "the iteration was not done within {} (the scenario's `timeout`)",
                HumanDuration(limit)
            ),
            help: Some(
                "raise the scenario's `timeout`, or find out why this step hangs".to_owned(),
            ),
            sandbox: self.sandbox(),
        }
    }

    fn fail(&self, failure: Failure) -> IterationEnd {
        self.cell
            .failures
            .add(&self.cell.plan, &self.cell.cell.name, failure);
        IterationEnd::Failed
    }

    /// Runs `finally`, within its own limit, whatever happened before.
    async fn finally(&mut self, end: IterationEnd) -> IterationEnd {
        let steps = Arc::clone(&self.cell.cell.finally);
        if steps.is_empty() {
            return end;
        }
        let mut before = 0_u16;
        for step in self.cell.cell.steps.iter() {
            step.walk(&mut |_| before = before.saturating_add(1));
        }
        self.next = before;
        let limit = defaults::FINALLY_LIMIT;
        match tokio::time::timeout(limit, self.run(&steps)).await {
            Ok(Ok(())) => end,
            Ok(Err(failure)) => match end {
                IterationEnd::Interrupted => end,
                IterationEnd::Passed | IterationEnd::Failed => self.fail(*failure),
            },
            Err(_) => match end {
                IterationEnd::Interrupted => end,
                IterationEnd::Passed | IterationEnd::Failed => {
                    let failure = self.timed_out(limit);
                    self.fail(Failure {
                        message: format!("`finally` was not done within {}", HumanDuration(limit)),
                        ..failure
                    })
                }
            },
        }
    }

    fn count(&mut self, end: IterationEnd) {
        match end {
            IterationEnd::Passed => self.recorder.count(Metric::Iterations, None, 1),
            IterationEnd::Failed => {
                self.recorder.count(Metric::Iterations, None, 1);
                self.recorder.count(Metric::Failures, None, 1);
            }
            IterationEnd::Interrupted => {
                self.recorder.count(Metric::InterruptedIterations, None, 1);
            }
        }
    }
}

/// An error and its causes, one per line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut lines = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if lines.last().is_none_or(|last| !last.contains(&text)) {
            lines.push(format!("because {text}"));
        }
        source = cause.source();
    }
    lines.join("\n")
}

fn metric_of(measure: Measure) -> Metric {
    match measure {
        Measure::CreateAck => Metric::SandboxCreateAckDuration,
        Measure::Bound => Metric::SandboxBoundDuration,
        Measure::Ready => Metric::SandboxReadyDuration,
        Measure::FirstExec => Metric::TimeToFirstExec,
        Measure::Connect => Metric::ConnectDuration,
        Measure::Exec => Metric::ExecDuration,
        Measure::Write => Metric::WriteDuration,
        Measure::Read => Metric::ReadDuration,
        Measure::List => Metric::ListDuration,
        Measure::Exists => Metric::ExistsDuration,
        Measure::Delete => Metric::SandboxDeleteDuration,
        Measure::Wait => Metric::WaitDuration,
        Measure::WarmHit => Metric::WarmHits,
        Measure::ColdStart => Metric::ColdStarts,
        Measure::BytesWritten => Metric::BytesWritten,
        Measure::BytesRead => Metric::BytesRead,
    }
}
