//! What a step's result means: samples, expectations, captures, failures. The only place where
//! samples of steps are made.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::cell::CellRun;
use super::event::IterationEnd;
use super::failure::{Bearing, Failure};
use super::naming::{cause_of, launched, metric_of};
use crate::metrics::{Label, Metric, Recorder, StepIndex};
use crate::plan::defaults;
use crate::source::Span;
use crate::step::{
    Attempted, ErrorVerdict, Later, Measure, Measured, Step, StepContext, StepMismatch, StepOutcome,
};
use crate::trace::{self, Kind, Open, Role};
use crate::units::HumanDuration;

/// The steps of one iteration, or of one set-up, and what they share.
pub(super) struct Steps<'a> {
    pub(super) cell: &'a CellRun,
    pub(super) context: &'a mut StepContext,
    pub(super) recorder: &'a mut Recorder,
    /// The step after the one that runs, in the order of [`crate::plan::Cell::step_names`].
    pub(super) next: u16,
    /// Whether a step passed only when it was tried again.
    pub(super) flaky: bool,
    /// Whether the iteration is tried again if it fails.
    pub(super) tries: Tries,
    /// What steps that have ended will know at the end of the iteration.
    pub(super) later: Vec<(StepIndex, Arc<Later>)>,
    /// Empty: room for the attempts of the next step.
    pub(super) attempted: Vec<Attempted>,
}

/// Whether an iteration that fails is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tries {
    /// It is.
    More,
    /// This is the last try.
    Last,
}

/// How many steps these are, those in them included.
pub(super) fn size(steps: &[Step]) -> u16 {
    steps
        .iter()
        .fold(0, |size, step| step.size().saturating_add(size))
}

impl Steps<'_> {
    pub(super) async fn step(&mut self, step: &Step, index: StepIndex) -> Result<(), Box<Failure>> {
        let mut span = self.span(step, index, Role::Operation);
        let done = self.run_step(step, index, &mut span).await;
        span.end_as(&done, |failure| failure.error_type());
        done
    }

    /// The span of a step.
    pub(super) fn span(&self, step: &Step, index: StepIndex, role: Role) -> Open {
        let span = trace::start(step.action.kind(), role, Kind::Internal);
        if let Some(traced) = &self.cell.tracer
            && span.is_recording()
        {
            // Steps of `setup` are not among the cell's.
            if let Some(name) = traced.steps.get(usize::from(index.0)) {
                span.set("sandbench.step", Arc::clone(name));
            }
        }
        span
    }

    async fn run_step(
        &mut self,
        step: &Step,
        index: StepIndex,
        span: &mut Open,
    ) -> Result<(), Box<Failure>> {
        self.recorder.at(Some(index));
        let started = Instant::now();
        let result = span.scope(pin!(step.run(self.context))).await;
        let ended = Instant::now();
        span.stop(ended);
        self.recorder
            .time(Metric::StepDuration, Some(index), ended - started);
        self.recorder.count(Metric::Attempts, Some(index), 1);
        self.attempts(step, index);
        let mut outcome = match result {
            Ok(outcome) => outcome,
            Err(error) => {
                return match step.judge_error(&error, &self.context.bindings) {
                    ErrorVerdict::Expected => Ok(()),
                    ErrorVerdict::Another(mismatch) => Err(self.mismatch(step, &[mismatch])),
                    ErrorVerdict::Unexpected => Err(Box::new(Failure {
                        step: step.label(),
                        cause: error.code(),
                        span: error.place().unwrap_or(step.span),
                        label: error.label(),
                        message: chain(&error),
                        help: error.help(),
                        sandbox: self.sandbox(),
                        bearing: if error.is_unsupported() {
                            Bearing::NotApplicable
                        } else {
                            Bearing::Fault
                        },
                    })),
                };
            }
        };
        self.record(&outcome, index);
        tell_size(&outcome, span);
        self.later
            .extend(outcome.later.take().map(|later| (index, later)));
        self.judge(step, &outcome)
    }

    /// Checks what a step gave and binds what it captures.
    pub(super) fn judge(&mut self, step: &Step, outcome: &StepOutcome) -> Result<(), Box<Failure>> {
        let mismatches = step.judge(outcome, &self.context.bindings);
        if !mismatches.is_empty() {
            return Err(self.mismatch(step, &mismatches));
        }
        step.bind(outcome, &mut self.context.bindings)
            .map_err(|(span, error)| {
                Box::new(Failure {
                    step: step.label(),
                    cause: "capture".to_owned(),
                    span,
                    label: error.label(),
                    message: error.to_string(),
                    help: error.help(),
                    sandbox: self.sandbox(),
                    bearing: Bearing::Fault,
                })
            })
    }

    fn record(&mut self, outcome: &StepOutcome, index: StepIndex) {
        for collected in &outcome.collected {
            self.cell
                .failures
                .evidence
                .add(&self.cell.cell.name, collected);
        }
        for measurement in &outcome.measurements {
            let metric = metric_of(measurement.measure);
            let is_labelled = metric.tag() == Some(Label::LAUNCH_TYPE);
            let launched = outcome.launched.filter(|_| is_labelled).map(launched);
            let series = (Some(index), launched);
            match measurement.value {
                Measured::Time(duration) => self.recorder.time_of(metric, series, duration),
                Measured::Count(count) => self.recorder.count_of(metric, series, count),
            }
        }
    }

    /// Records what the client attempted for a step.
    fn attempts(&mut self, step: &Step, index: StepIndex) {
        self.context.attempts.take(&mut self.attempted);
        let plain = (Some(index), None);
        for attempt in self.attempted.drain(..) {
            if step.retry.is_some() {
                let took = attempt.duration;
                self.recorder.time_of(Metric::AttemptDuration, plain, took);
                if attempt.number == 1 {
                    self.recorder
                        .time_of(Metric::FirstAttemptDuration, plain, took);
                }
            }
            if let Some(queued) = attempt.queued {
                self.recorder
                    .time_of(Metric::ApiQueueDuration, plain, queued);
            }
            if attempt.number > 1 {
                self.recorder.count_of(Metric::RepeatedAttempts, plain, 1);
            }
            if let Some(cause) = attempt.cause {
                let series = (Some(index), Some(Label::Cause(cause_of(cause))));
                self.recorder.count_of(Metric::FailedAttempts, series, 1);
            }
            if attempt.is_last {
                let series = (Some(index), Some(Label::Attempts(attempt.number)));
                self.recorder.count_of(Metric::Calls, series, 1);
            }
        }
    }

    /// Records what steps know only now, at the end of the iteration.
    pub(super) fn settle(&mut self) {
        for (index, later) in std::mem::take(&mut self.later) {
            self.record(&later.measure(), index);
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
            bearing: Bearing::Fault,
        })
    }

    pub(super) fn sandbox(&self) -> Option<String> {
        let (namespace, claim, sandbox) = self.context.current()?;
        Some(format!(
            "{namespace}/{claim} (sandbox {sandbox}, deleted by the clean-up)"
        ))
    }

    pub(super) fn group_timed_out(&self, step: &Step, limit: Duration) -> Failure {
        Failure {
            step: step.label(),
            cause: "Timeout".to_owned(),
            span: step.span,
            label: "Timeout".to_owned(),
            message: format!(
                "{}: not done within {} (its `timeout`)",
                step.action.kind(),
                HumanDuration(limit)
            ),
            help: Some("raise this `timeout`".to_owned()),
            sandbox: self.sandbox(),
            bearing: Bearing::Fault,
        }
    }

    /// The iteration's time was over: the step that was running is to blame.
    pub(super) fn timed_out(&self, limit: Duration) -> Failure {
        let mut running: Option<(Span, String)> = None;
        let mut left = self.next;
        for step in self.cell.cell.all_steps() {
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
            bearing: Bearing::Fault,
        }
    }

    pub(super) fn fail(&self, mut failure: Failure) -> IterationEnd {
        if failure.bearing == Bearing::NotApplicable {
            self.cell.not_applicable(failure.message);
            return IterationEnd::NotApplicable;
        }
        if self.tries == Tries::More {
            failure
                .message
                .push_str("\nanother try follows (`retries`)");
        }
        self.cell
            .failures
            .add(&self.cell.plan, &self.cell.cell.name, failure);
        IterationEnd::Failed
    }

    /// Runs `finally`, within its own limit, whatever happened before.
    pub(super) async fn finally(&mut self, end: IterationEnd) -> IterationEnd {
        let steps = Arc::clone(&self.cell.cell.finally);
        if steps.is_empty() {
            return end;
        }
        self.next = size(&self.cell.cell.steps);
        self.context.leave_to(0);
        let failed = end == IterationEnd::Failed;
        self.context.bindings.set("iteration", "failed", failed);
        let limit = defaults::FINALLY_LIMIT;
        match tokio::time::timeout(limit, self.run(&steps)).await {
            Ok(Ok(())) => end,
            Ok(Err(failure)) => match end {
                IterationEnd::Interrupted | IterationEnd::NotApplicable => end,
                IterationEnd::Passed | IterationEnd::Failed => self.fail(*failure),
            },
            Err(_) => match end {
                IterationEnd::Interrupted | IterationEnd::NotApplicable => end,
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

    pub(super) fn count(&mut self, end: IterationEnd) {
        match end {
            IterationEnd::Passed => {
                self.recorder.count(Metric::Iterations, None, 1);
                if self.flaky {
                    self.recorder.count(Metric::FlakyIterations, None, 1);
                }
            }
            IterationEnd::Failed => {
                self.recorder.count(Metric::Iterations, None, 1);
                self.recorder.count(Metric::Failures, None, 1);
            }
            IterationEnd::Interrupted => {
                self.recorder.count(Metric::InterruptedIterations, None, 1);
            }
            IterationEnd::NotApplicable => {}
        }
    }
}

/// How much a step read or wrote.
fn tell_size(outcome: &StepOutcome, span: &Open) {
    for measurement in &outcome.measurements {
        let of_file = matches!(
            measurement.measure,
            Measure::BytesRead | Measure::BytesWritten
        );
        if let (true, Measured::Count(size)) = (of_file, measurement.value) {
            span.set("sandbox.file.size", i64::try_from(size).unwrap_or(i64::MAX));
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
