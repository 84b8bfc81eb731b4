//! Failures of a run, grouped by cell, place in the file and cause.
//!
//! The first of each group is kept in full, all are counted. Written only when something failed, so
//! the lock is not on the hot path.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::evidence::Evidence;
use crate::metrics::{FailureGroup, Place};
use crate::plan::Plan;
use crate::source::{Colour, SourceFile, Span, snippet};
use crate::trace;

/// How many groups are kept; further ones are counted in the cells only.
const GROUPS: usize = 200;
/// The longest message that is kept.
const MESSAGE_LIMIT: usize = 2_000;
/// How many traces of a group are named; its count tells how many there are.
const TRACES: usize = 20;

/// One failure.
#[derive(Debug)]
pub(super) struct Failure {
    /// The step's name.
    pub(super) step: String,
    /// A short name of the cause.
    pub(super) cause: String,
    /// Where in the file.
    pub(super) span: Span,
    /// What stands beside the caret.
    pub(super) label: String,
    /// All of it.
    pub(super) message: String,
    /// What to do.
    pub(super) help: Option<String>,
    /// `namespace/claim`.
    pub(super) sandbox: Option<String>,
    /// Whether it says something about the sandbox.
    pub(super) bearing: Bearing,
}

impl Failure {
    /// A short name of the cause, for traces: `Timeout`, `Http502`, or the output that was not as expected.
    pub(super) fn error_type(&self) -> Cow<'static, str> {
        self.cause.clone().into()
    }
}

/// What a failure says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Bearing {
    /// Something is not as expected.
    #[default]
    Fault,
    /// The runtime of this cell has no such action.
    NotApplicable,
}

/// The failures of a run.
#[derive(Debug)]
pub(super) struct Failures {
    begin: Instant,
    groups: Mutex<Groups>,
    /// What `collect` steps collected, mostly about failures.
    pub(super) evidence: Evidence,
}

#[derive(Debug, Default)]
struct Groups {
    index: HashMap<(String, Span, String), usize>,
    all: Vec<FailureGroup>,
    /// How many of each were told while the run was under way.
    told: Vec<u64>,
    /// How many are of kinds that are not kept.
    unlisted: u64,
}

impl Failures {
    /// Of a run that begins.
    pub(super) fn since(begin: Instant) -> Self {
        Self {
            begin,
            groups: Mutex::default(),
            evidence: Evidence::default(),
        }
    }

    /// A time, from the start of the run.
    pub(super) fn offset(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.begin)
    }

    /// Adds a failure of a cell.
    pub(super) fn add(&self, plan: &Plan, cell: &str, failure: Failure) {
        let now = self.offset(Instant::now()).as_millis();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        let trace = || trace::context().map(|context| context.trace.to_string());
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (cell.to_owned(), failure.span, failure.cause.clone());
        if let Some(index) = groups.index.get(&key).copied() {
            if let Some(group) = groups.all.get_mut(index) {
                group.count += 1;
                group.last_ms = now;
                if group.traces.len() < TRACES {
                    group.traces.extend(trace());
                }
            }
            return;
        }
        if groups.all.len() >= GROUPS {
            groups.unlisted += 1;
            return;
        }
        let index = groups.all.len();
        groups.index.insert(key, index);
        let hide = |text: String| plan.secrets.hide(&text);
        let failure = Failure {
            label: hide(failure.label),
            message: hide(failure.message),
            help: failure.help.map(hide),
            ..failure
        };
        groups.told.push(0);
        let message: String = failure.message.chars().take(MESSAGE_LIMIT).collect();
        groups.all.push(FailureGroup {
            cell: cell.to_owned(),
            step: failure.step,
            cause: failure.cause,
            place: place(&plan.file, failure.span, &failure.label),
            message,
            help: failure.help,
            sandbox: failure.sandbox,
            rerun: format!(
                "sandbench run {} --only '{cell}' --seed {}",
                plan.file.path(),
                plan.seed
            ),
            count: 1,
            first_ms: now,
            last_ms: now,
            traces: trace().into_iter().collect(),
        });
    }

    /// The groups of a cell that have grown since this was last asked for.
    pub(super) fn news(&self, cell: &str) -> Vec<FailureGroup> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let groups = &mut *groups;
        let own = groups.all.iter().zip(&mut groups.told);
        let grown = own.filter(|(group, told)| group.cell == cell && group.count > **told);
        grown
            .map(|(group, told)| {
                *told = group.count;
                group.clone()
            })
            .collect()
    }

    /// How many failures are of kinds that are not listed, since there are too many kinds.
    pub(super) fn unlisted(&self) -> u64 {
        let groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        groups.unlisted
    }

    /// All groups, most frequent first.
    pub(super) fn finish(&self) -> Vec<FailureGroup> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = std::mem::take(&mut groups.all);
        groups.index.clear();
        all.sort_by_key(|group| std::cmp::Reverse(group.count));
        all
    }
}

fn place(file: &SourceFile, span: Span, label: &str) -> Place {
    let (holder, within) = file.holding(span);
    let at = holder.location(within.start);
    let label: String = label
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(120)
        .collect();
    Place {
        file: holder.path().to_owned(),
        line: at.line,
        column: at.column,
        snippet: snippet(file, span, &label, &[], Colour::Plain),
    }
}
