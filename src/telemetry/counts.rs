//! [`Counts`]: what became of every span and point. They add up: `made` is the sum of the others.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::metrics::{ExportError, ExportedPoints, ExportedSpans};

/// How many different errors are kept with their text; all are counted.
const ERRORS: usize = 5;

/// Signal, code and message.
type ErrorKey = (&'static str, String, String);

/// What became of spans and points.
#[derive(Debug, Default)]
pub(super) struct Counts {
    made: AtomicU64,
    /// Made and not kept: one count for both, as it is what becomes of nearly all.
    passed_over: AtomicU64,
    not_kept: AtomicU64,
    left_out: AtomicU64,
    dropped_busy: AtomicU64,
    dropped_rate: AtomicU64,
    dropped_queue: AtomicU64,
    sent: AtomicU64,
    rejected: AtomicU64,
    failed: AtomicU64,
    unsent: AtomicU64,
    received: AtomicU64,
    lost_of_others: AtomicU64,
    points_made: AtomicU64,
    points_sent: AtomicU64,
    points_rejected: AtomicU64,
    points_failed: AtomicU64,
    points_unsent: AtomicU64,
    /// Only written when an export fails.
    errors: Mutex<BTreeMap<ErrorKey, (u64, Option<String>)>>,
    other_errors: AtomicU64,
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident;)*) => {
        impl Counts {
            $($(#[doc = $doc])+
            pub(super) fn $name(&self, count: u64) {
                if count > 0 {
                    self.$name.fetch_add(count, Ordering::Relaxed);
                }
            })*
        }
    };
}

counters! {
    /// Spans that were recorded, but for those that are passed over.
    made;
    /// Recorded, of traces that are seen at once not to be wanted.
    passed_over;
    /// Of traces that nobody wants.
    not_kept;
    /// Beyond the most that one trace holds.
    left_out;
    /// Of traces for which the collector had no time.
    dropped_busy;
    /// Of traces beyond the highest rate.
    dropped_rate;
    /// Of batches for which there was no room while earlier ones were being sent.
    dropped_queue;
    /// Taken by the receiver.
    sent;
    /// Refused by the receiver in an answer that was a success otherwise.
    rejected;
    /// Lost with an export that failed.
    failed;
    /// Not sent when the time for the end was over.
    unsent;
    /// From others, to be passed on.
    received;
    /// Of those from others, for which the collector had no time; counted as dropped too.
    lost_of_others;
    /// Points that were made.
    points_made;
    /// Points that the receiver took.
    points_sent;
    /// Points that the receiver refused.
    points_rejected;
    /// Points that were lost with an export that failed.
    points_failed;
    /// Points that were not sent when the time for the end was over.
    points_unsent;
}

impl Counts {
    /// Notes why an export failed.
    pub(super) fn error(
        &self,
        signal: &'static str,
        code: &str,
        message: &str,
        help: Option<String>,
    ) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let message: String = message.chars().take(500).collect();
        let key = (signal, code.to_owned(), message);
        if let Some((count, _)) = errors.get_mut(&key) {
            *count += 1;
        } else if errors.len() < ERRORS {
            errors.insert(key, (1, help));
        } else {
            self.other_errors.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Every error with its count, most frequent first.
    pub(super) fn errors(&self) -> Vec<ExportError> {
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<ExportError> = errors
            .iter()
            .map(|((signal, code, message), (count, help))| ExportError {
                signal: (*signal).to_owned(),
                code: code.clone(),
                message: message.clone(),
                help: help.clone(),
                count: *count,
            })
            .collect();
        all.sort_by_key(|error| std::cmp::Reverse(error.count));
        let others = self.other_errors.load(Ordering::Relaxed);
        if others > 0 {
            all.push(ExportError {
                signal: "all".to_owned(),
                code: "others".to_owned(),
                message: "further errors of other kinds".to_owned(),
                help: None,
                count: others,
            });
        }
        all
    }

    /// Spans from others for which there was no time so far.
    pub(super) fn others_lost(&self) -> u64 {
        self.lost_of_others.load(Ordering::Relaxed)
    }

    pub(super) fn spans(&self) -> ExportedSpans {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let passed_over = read(&self.passed_over);
        ExportedSpans {
            made: read(&self.made) + passed_over,
            received: read(&self.received),
            sent: read(&self.sent),
            not_kept: read(&self.not_kept) + passed_over,
            left_out: read(&self.left_out),
            dropped_busy: read(&self.dropped_busy),
            dropped_rate: read(&self.dropped_rate),
            dropped_queue: read(&self.dropped_queue),
            rejected: read(&self.rejected),
            failed: read(&self.failed),
            unsent: read(&self.unsent),
        }
    }

    pub(super) fn points(&self) -> ExportedPoints {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ExportedPoints {
            made: read(&self.points_made),
            sent: read(&self.points_sent),
            rejected: read(&self.points_rejected),
            failed: read(&self.points_failed),
            unsent: read(&self.points_unsent),
        }
    }
}
