//! What a cell does once: `setup` before its first iteration, `teardown` after its last.
//!
//! What `setup` captures is known to every iteration. The sandboxes that it creates are its own and
//! live until the end of `teardown`. Its samples are not among the cell's figures, which are those of
//! iterations.

use std::sync::Arc;

use super::cancel::{Cancel, CancelHandle, CancelReason, Phase};
use super::cell::CellRun;
use super::error::EngineError;
use super::failure::Failure;
use super::steps::{Steps, Tries, size};
use crate::metrics::{CellSummary, Metric, Recorder, SharedAggregate, Verdict};
use crate::plan::defaults;
use crate::step::{Registrar, Step, StepContext};
use crate::units::HumanDuration;

/// Which of the two.
#[derive(Debug, Clone, Copy)]
enum Part {
    Setup,
    Teardown,
}

/// Runs a cell with what comes before and after its iterations.
pub(super) async fn run(mut run: CellRun, cancel: Cancel) -> Result<CellSummary, EngineError> {
    let cell = run.cell.clone();
    if cell.setup.is_empty() && cell.teardown.is_empty() {
        return run.run(cancel).await;
    }
    let registrar = Arc::new(Registrar::default());
    let mut context = StepContext::new(
        run.client.clone(),
        Arc::clone(&cell.target),
        cell.bindings.child(),
        Arc::clone(&registrar),
        run.seed.stream(&cell.name, u64::MAX),
    );
    let set_up = part(&run, &mut context, Part::Setup, cancel.clone()).await;
    context.leave_to(0);
    run.cell.bindings = Arc::new(context.bindings.clone());
    // The cell itself is used up by its run; `teardown` has one of its own, for its place.
    let after = run.again();
    let mut summary = if set_up.is_ok() {
        run.run(cancel.clone()).await?
    } else {
        let stopped = CancelHandle::new();
        stopped.advance(Phase::Aborting, CancelReason::Interrupt);
        let mut summary = run.run(stopped.listen()).await?;
        if summary.verdict != Verdict::NotApplicable {
            summary.verdict = Verdict::Failed;
            summary.count(Metric::SetupFailures, 1);
        }
        summary
    };
    let torn_down = part(&after, &mut context, Part::Teardown, cancel.clone()).await;
    if torn_down.is_err() && summary.verdict != Verdict::NotApplicable {
        summary.verdict = Verdict::Failed;
    }
    let mut cancel = cancel;
    let place = (&after.client, &*registrar);
    let aborted = cancel.reached(Phase::Aborting);
    after.cleanups.clean_up(place, &mut context, aborted).await;
    Ok(summary)
}

/// Runs the steps of a part within its time; what fails is among the failures.
async fn part(
    run: &CellRun,
    context: &mut StepContext,
    part: Part,
    mut cancel: Cancel,
) -> Result<(), ()> {
    let cell = &run.cell;
    let before = size(&cell.steps).saturating_add(size(&cell.finally));
    let (name, list, next, limit): (_, &[Step], _, _) = match part {
        Part::Setup => ("setup", &cell.setup, before, cell.timeout),
        Part::Teardown => (
            "teardown",
            &cell.teardown,
            before.saturating_add(size(&cell.setup)),
            defaults::TEARDOWN_LIMIT,
        ),
    };
    let mut recorder = Recorder::new(SharedAggregate::default());
    let mut steps = Steps {
        cell: run,
        context,
        recorder: &mut recorder,
        next,
        flaky: false,
        tries: Tries::Last,
        later: Vec::new(),
        attempted: Vec::new(),
    };
    // `teardown` puts back what `setup` did, also when the run is stopped.
    let stopped = async {
        match part {
            Part::Setup => cancel.reached(Phase::Draining).await,
            Part::Teardown => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        biased;
        () = stopped => return Ok(()),
        ended = tokio::time::timeout(limit, steps.run(list)) => ended,
    };
    let failure = match ended {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(failure)) => *failure,
        Err(_) => {
            let message = format!("`{name}` was not done within {}", HumanDuration(limit));
            Failure {
                message,
                ..steps.timed_out(limit)
            }
        }
    };
    let step = format!("{name}: {}", failure.step);
    let _failed = steps.fail(Failure { step, ..failure });
    Err(())
}
