//! One iteration: its steps in order, `finally`, clean-up, and another try if the scenario has
//! `retries`.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::cell::CellRun;
use super::cleanup::CleanUp;
use super::event::IterationEnd;
use super::steps::{Steps, Tries};
use super::traced::Traced;
use crate::metrics::{Metric, Recorder};
use crate::step::{Registrar, StepContext};
use crate::trace::{self, Kind, Open, Role, Span};

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

/// Runs an iteration, again if it fails and the scenario has `retries`.
pub(super) async fn run(
    cell: &CellRun,
    number: Number,
    recorder: &mut Recorder,
    abort: &CancellationToken,
) -> IterationEnd {
    for left in (1..=cell.cell.retries).rev() {
        let first = left == cell.cell.retries;
        let end = once(cell, (number, Tries::More, !first), recorder, abort).await;
        if end != IterationEnd::Failed || abort.is_cancelled() {
            return end;
        }
    }
    let again = cell.cell.retries > 0;
    once(cell, (number, Tries::Last, again), recorder, abort).await
}

/// Runs one try, as one trace if anybody wants traces.
async fn once(
    cell: &CellRun,
    attempt: (Number, Tries, bool),
    recorder: &mut Recorder,
    abort: &CancellationToken,
) -> IterationEnd {
    let Some(traced) = &cell.tracer else {
        return attempted(cell, attempt, recorder, abort).await;
    };
    let (number, _, _) = attempt;
    let trace = traced.by.begin(number.iteration);
    let end = trace.scope(attempted(cell, attempt, recorder, abort)).await;
    match end {
        IterationEnd::Passed => {}
        IterationEnd::Failed => trace.fail("failed"),
        IterationEnd::Interrupted => trace.fail("interrupted"),
        IterationEnd::NotApplicable => trace.fail("not_applicable"),
    }
    let describe = |root: &mut Span| describe(root, traced, number);
    let finished = trace.finish();
    traced.by.finish(number.iteration, finished, &describe);
    end
}

/// Says in a root which iteration it was.
fn describe(root: &mut Span, traced: &Traced, number: Number) {
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let delay = root.started.saturating_duration_since(number.planned);
    root.attributes.extend([
        ("sandbench.scenario", Arc::clone(&traced.scenario).into()),
        ("sandbench.cell", Arc::clone(&traced.cell).into()),
        ("sandbench.iteration", whole(number.iteration + 1).into()),
        ("sandbench.vu", whole(u64::from(number.vu) + 1).into()),
        ("sandbench.start_delay", delay.into()),
    ]);
}

/// Runs one try to its end, whatever happens, and cleans up after it.
async fn attempted(
    cell: &CellRun,
    (number, tries, flaky): (Number, Tries, bool),
    recorder: &mut Recorder,
    abort: &CancellationToken,
) -> IterationEnd {
    let registrar = Arc::new(Registrar::default());
    let mut context = context(cell, number, &registrar);
    let mut steps = Steps {
        cell,
        context: &mut context,
        recorder,
        next: 0,
        flaky,
        tries,
        later: Vec::new(),
        attempted: Vec::new(),
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
    let counted = tries == Tries::Last || end != IterationEnd::Failed;
    if counted && end != IterationEnd::Interrupted {
        steps.recorder.time(Metric::IterationDuration, None, took);
        steps.recorder.time(
            Metric::IterationServiceDuration,
            None,
            took.saturating_sub(delay),
        );
    }
    let end = steps.finally(end).await;
    steps.settle();
    if tries == Tries::Last || end != IterationEnd::Failed {
        steps.count(end);
    }
    steps.recorder.at(None);
    let cleaning = Instant::now();
    let made_any = steps.context.sandboxes() > 0 || !registrar.is_empty();
    let span = if made_any {
        trace::start("clean-up", Role::Other, Kind::Internal)
    } else {
        Open::nothing()
    };
    let place = (&cell.client, &*registrar);
    let cleanups = &cell.cleanups;
    let cleaned = cleanups.clean_up(place, steps.context, abort.cancelled());
    if span.scope(cleaned).await == CleanUp::Ended {
        steps
            .recorder
            .time(Metric::CleanupDuration, None, cleaning.elapsed());
    }
    span.end(None);
    end
}

fn context(cell: &CellRun, number: Number, registrar: &Arc<Registrar>) -> StepContext {
    let mut bindings = cell.cell.bindings.child();
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    bindings.set("vu", "number", count(u64::from(number.vu) + 1));
    bindings.set("iteration", "number", count(number.iteration + 1));
    bindings.set("iteration", "failed", false);
    let seed = cell.seed.stream(&cell.cell.name, number.iteration);
    let data = cell.cell.data.as_ref();
    let row = data.and_then(|feed| feed.row_of(number.iteration, cell.plan.seed, &cell.cell.name));
    for (name, value) in row.into_iter().flatten() {
        bindings.set("data", Arc::clone(name), value.clone());
    }
    StepContext::new(
        cell.client.clone(),
        Arc::clone(&cell.cell.target),
        bindings,
        Arc::clone(registrar),
        seed,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of what a function gives.
    fn size<'a, F>(
        _: impl FnOnce(&'a CellRun, Number, &'a mut Recorder, &'a CancellationToken) -> F,
    ) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_iteration_that_waits_takes_less_than_three_kib() {
        let size = size(run);
        assert!(size < 3 << 10, "{size} bytes");
    }
}
