//! Whether, how often and until when a step runs: `if`, `repeat`, `forEach`, `retries`,
//! `eventually`, and the steps of a group.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use tokio::time::Instant;

use super::failure::{Bearing, Failure};
use super::steps::Steps;
use crate::expr::Value;
use crate::metrics::{Metric, StepIndex};
use crate::source::Span;
use crate::step::{Action, Eventually, Step, StepOutcome};
use crate::trace::Role;
use crate::units::HumanDuration;

impl Steps<'_> {
    /// Runs steps in order until one fails.
    pub(super) async fn run(&mut self, steps: &[Step]) -> Result<(), Box<Failure>> {
        for step in steps {
            let first = self.next;
            self.turns(step, StepIndex(first)).await?;
            // Also when it was left out, or ran more than once.
            self.next = first.saturating_add(step.size());
        }
        Ok(())
    }

    pub(super) async fn turns(
        &mut self,
        step: &Step,
        index: StepIndex,
    ) -> Result<(), Box<Failure>> {
        if !self.is_wanted(step)? {
            return Ok(());
        }
        let Some(turns) = &step.flow.turns else {
            return self.tries(step, index).await;
        };
        let items = turns.items(&self.context.bindings).map_err(|error| {
            let place = error.place().unwrap_or_else(|| turns.span());
            self.refused(step, (place, error.label()), &error)
        })?;
        let names: [Arc<str>; 2] = ["item", "index"].map(Arc::from);
        let outer = names
            .each_ref()
            .map(|name| self.context.bindings.get(&["each", name]).cloned());
        for (number, item) in (1_i64..).zip(items) {
            self.set_each(&names, [item, number.into()]);
            self.tries(step, index).await?;
        }
        self.set_each(&names, outer.map(Option::unwrap_or_default));
        Ok(())
    }

    fn set_each(&mut self, names: &[Arc<str>; 2], values: [Value; 2]) {
        for (name, value) in names.iter().zip(values) {
            self.context.bindings.set("each", Arc::clone(name), value);
        }
    }

    fn is_wanted(&self, step: &Step) -> Result<bool, Box<Failure>> {
        let Some(condition) = &step.flow.condition else {
            return Ok(true);
        };
        match condition.evaluate(&self.context.bindings) {
            Ok(Value::Bool(wanted)) => Ok(wanted),
            Ok(value) => {
                let error = NotBoolean { value };
                let place = (condition.span(), "neither true nor false".to_owned());
                Err(self.refused(step, place, &error))
            }
            Err(error) => Err(self.refused(step, (error.span(), error.label()), &error)),
        }
    }

    async fn tries(&mut self, step: &Step, index: StepIndex) -> Result<(), Box<Failure>> {
        if let Some(eventually) = step.flow.eventually {
            return self.until_it_holds(step, index, eventually).await;
        }
        let mut left = step.flow.retries;
        loop {
            match self.once(step, index).await {
                Ok(()) => {
                    self.flaky |= left < step.flow.retries;
                    return Ok(());
                }
                Err(failure) if left == 0 => return Err(failure),
                Err(_) => left -= 1,
            }
        }
    }

    async fn until_it_holds(
        &mut self,
        step: &Step,
        index: StepIndex,
        eventually: Eventually,
    ) -> Result<(), Box<Failure>> {
        let started = Instant::now();
        let deadline = started.checked_add(eventually.limit).unwrap_or(started);
        let depth = self.context.depth();
        let mut tries = 0_u64;
        let mut last: Option<Box<Failure>> = None;
        loop {
            tries += 1;
            let result = tokio::time::timeout_at(deadline, self.once(step, index)).await;
            self.context.leave_to(depth);
            last = match result {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(failure)) => Some(failure),
                Err(_) => last,
            };
            // A try that begins after the limit would not count.
            if deadline.saturating_duration_since(Instant::now()) <= eventually.interval {
                let mut failure = last.unwrap_or_else(|| self.too_slow(step, eventually));
                failure.message = format!(
                    "{}\nnot within {} (`eventually`), tries: {tries}",
                    failure.message,
                    HumanDuration(eventually.limit)
                );
                return Err(failure);
            }
            tokio::time::sleep(eventually.interval).await;
        }
    }

    fn too_slow(&self, step: &Step, eventually: Eventually) -> Box<Failure> {
        Box::new(Failure {
            step: step.label(),
            cause: "Timeout".to_owned(),
            span: eventually.span,
            label: "no try came to an end".to_owned(),
            message: format!("{}: no try came to an end", step.action.kind()),
            help: Some("raise the time of `eventually`".to_owned()),
            sandbox: self.sandbox(),
            bearing: Bearing::Fault,
        })
    }

    /// One try of one turn.
    async fn once(&mut self, step: &Step, index: StepIndex) -> Result<(), Box<Failure>> {
        self.next = index.0.saturating_add(1);
        if step.action.steps().is_empty() {
            return self.step(step, index).await;
        }
        let depth = self.context.depth();
        let result = self.group(step, index).await;
        self.context.leave_to(depth);
        for (name, value) in result? {
            self.context.bindings.set("vars", name, value);
        }
        Ok(())
    }

    /// The steps in a step, then its checks; what it captured.
    async fn group(
        &mut self,
        step: &Step,
        index: StepIndex,
    ) -> Result<Vec<(Arc<str>, Value)>, Box<Failure>> {
        if let Action::Use(used) = &step.action {
            used.enter(self.context)
                .map_err(|error| self.refused(step, (error.span(), error.label()), &error))?;
        }
        let started = Instant::now();
        let span = self.span(step, index, Role::Other);
        let inner = span.scope(self.inner(step));
        let done = match step.timeout {
            None => inner.await,
            Some(limit) => match tokio::time::timeout(limit, inner).await {
                Ok(result) => result,
                Err(_) => Err(self.group_too_slow(step, limit)),
            },
        };
        span.end_as(&done, |failure| failure.error_type());
        done?;
        self.recorder
            .time(Metric::GroupDuration, Some(index), started.elapsed());
        self.judge(step, &StepOutcome::default())?;
        let captured = step.capture.iter().filter_map(|capture| {
            let value = self.context.bindings.get(&["vars", &*capture.name.value])?;
            Some((Arc::clone(&capture.name.value), value.clone()))
        });
        Ok(captured.collect())
    }

    /// The steps in a step. Its type is written out, as steps in steps in steps have no end.
    fn inner<'s>(&'s mut self, step: &'s Step) -> BoxFuture<'s, Result<(), Box<Failure>>> {
        let first = StepIndex(self.next);
        if let Action::Parallel(parallel) = &step.action {
            self.side_by_side(parallel, first).boxed()
        } else {
            self.run(step.action.steps()).boxed()
        }
    }

    fn group_too_slow(&self, step: &Step, limit: Duration) -> Box<Failure> {
        Box::new(self.group_timed_out(step, limit))
    }

    fn refused(
        &self,
        step: &Step,
        (span, label): (Span, String),
        error: &dyn Error,
    ) -> Box<Failure> {
        Box::new(Failure {
            step: step.label(),
            cause: "Expression".to_owned(),
            span,
            label,
            message: error.to_string(),
            help: None,
            sandbox: self.sandbox(),
            bearing: Bearing::Fault,
        })
    }
}

/// An `if` that is neither true nor false.
#[derive(Debug, thiserror::Error)]
#[error("if: {value} is not true or false")]
struct NotBoolean {
    value: Value,
}
