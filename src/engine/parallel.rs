//! `parallel`: every step of it in a context of its own, all in the same task.
//!
//! What they leave (samples, captures, sandboxes) is joined in the order of the file, so that it does
//! not depend on who was faster. A step that fails does not stop the others: they run to their end,
//! and the first failure in the order of the file is told.

use std::sync::Arc;

use futures::future::join_all;

use super::failure::{Bearing, Failure};
use super::steps::Steps;
use crate::metrics::{Recorder, StepIndex};
use crate::step::{Later, Parallel, StepContext};

/// What one of the steps has for itself.
struct Branch {
    context: StepContext,
    recorder: Recorder,
    flaky: bool,
    later: Vec<(StepIndex, Arc<Later>)>,
}

impl Steps<'_> {
    /// Runs the steps at the same time; the first of them has the index `first`.
    pub(super) async fn side_by_side(
        &mut self,
        parallel: &Parallel,
        first: StepIndex,
    ) -> Result<(), Box<Failure>> {
        let before = self.context.sandboxes();
        let mut branches: Vec<Branch> = Vec::new();
        for _step in &parallel.steps {
            branches.push(Branch {
                context: self.context.fork(),
                recorder: self.recorder.fork(),
                flaky: false,
                later: Vec::new(),
            });
        }
        let mut index = first.0;
        let running = parallel
            .steps
            .iter()
            .zip(&mut branches)
            .map(|(step, branch)| {
                let at = StepIndex(index);
                index = index.saturating_add(step.size());
                let (cell, tries) = (self.cell, self.tries);
                async move {
                    let mut steps = Steps {
                        cell,
                        context: &mut branch.context,
                        recorder: &mut branch.recorder,
                        next: at.0,
                        flaky: false,
                        tries,
                        later: Vec::new(),
                        attempted: Vec::new(),
                    };
                    let result = steps.turns(step, at).await;
                    branch.flaky = steps.flaky;
                    branch.later = steps.later;
                    result
                }
            });
        let running: Vec<_> = running.collect();
        let results = join_all(running).await;
        for branch in branches {
            self.context.join(branch.context, before);
            self.flaky |= branch.flaky;
            self.later.extend(branch.later);
        }
        results
            .into_iter()
            .filter_map(Result::err)
            .reduce(together)
            .map_or(Ok(()), Err)
    }
}

/// The first failure, with a word about the next one.
fn together(mut first: Box<Failure>, next: Box<Failure>) -> Box<Failure> {
    if next.bearing == Bearing::NotApplicable {
        return next;
    }
    let line = next.message.lines().next().unwrap_or_default();
    first.message = format!(
        "{}\nbeside it failed: {} ({line})",
        first.message, next.step
    );
    first
}
