//! [`Ranks`]: the slowest operations of each kind in each cell, whose traces are held until the minute is over.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use super::cell::{Candidate, CellKeeper, is_ranked};
use super::keep::Reason;
use crate::metrics::nanos;
use crate::trace::TraceId;

/// Durations in nanoseconds with their traces, the least slow on top.
type Slowest = BinaryHeap<Reverse<(u64, TraceId)>>;

/// Holds candidates that are kept only if they stay among the slowest.
#[derive(Debug)]
pub(super) struct Ranks {
    cells: Vec<Arc<CellKeeper>>,
    /// How many of each kind.
    most: usize,
    /// By cell and operation: the slowest so far.
    heaps: HashMap<(usize, usize), Slowest>,
    held: HashMap<TraceId, Held>,
}

#[derive(Debug)]
struct Held {
    candidate: Candidate,
    /// In how many heaps it is.
    places: usize,
}

/// What became of a candidate.
#[derive(Debug)]
pub(super) enum Ranked {
    /// It is to be sent now.
    Now(Candidate),
    /// It is held for as long as it is among the slowest.
    Held,
    /// It is not, and there is no other reason.
    Not(Candidate),
}

impl Ranks {
    pub(super) fn new(cells: Vec<Arc<CellKeeper>>, most: usize) -> Self {
        Self {
            cells,
            most,
            heaps: HashMap::new(),
            held: HashMap::new(),
        }
    }

    /// Ranks a candidate; also gives those that it has pushed out.
    pub(super) fn take(&mut self, mut candidate: Candidate) -> (Ranked, Vec<Candidate>) {
        let id = candidate.trace.id;
        let mut pushed_out = Vec::new();
        let mut places = 0;
        if self.most > 0
            && let Some(cell) = self.cells.get(candidate.cell).map(Arc::clone)
        {
            for span in candidate.trace.spans.iter().filter(|span| is_ranked(span)) {
                let known = cell.operations.iter().position(|op| op.name == span.name);
                let Some(place) = known else { continue };
                let heap = self.heaps.entry((candidate.cell, place)).or_default();
                let took = nanos(span.duration());
                let full = heap.len() >= self.most;
                if full
                    && heap
                        .peek()
                        .is_some_and(|Reverse((least, _))| took <= *least)
                {
                    continue;
                }
                heap.push(Reverse((took, id)));
                places += 1;
                let out = if full { heap.pop() } else { None };
                let out = out.map(|Reverse((_, out))| out);
                if out == Some(id) {
                    places -= 1;
                }
                pushed_out.extend(out.filter(|out| *out != id));
                if heap.len() >= self.most
                    && let Some(Reverse((least, _))) = heap.peek()
                {
                    cell.operations[place].raise(*least);
                }
            }
        }
        let out = pushed_out
            .into_iter()
            .filter_map(|out| self.release(out))
            .collect();
        let sent = !candidate.reasons.is_empty();
        if places > 0 {
            candidate.reasons.push(Reason::Slow);
        }
        let ranked = if sent {
            Ranked::Now(candidate)
        } else if places == 0 {
            Ranked::Not(candidate)
        } else {
            self.held.insert(id, Held { candidate, places });
            Ranked::Held
        };
        (ranked, out)
    }

    fn release(&mut self, id: TraceId) -> Option<Candidate> {
        let held = self.held.get_mut(&id)?;
        held.places -= 1;
        if held.places > 0 {
            return None;
        }
        self.held.remove(&id).map(|held| held.candidate)
    }

    /// The slowest of the time that is over; the next one begins anew.
    pub(super) fn flush(&mut self) -> Vec<Candidate> {
        self.heaps.clear();
        for operation in self.cells.iter().flat_map(|cell| &cell.operations) {
            operation.raise(0);
        }
        let held = self.held.drain();
        held.map(|(_, held)| held.candidate).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::cell::{CellPlan, Cells, OperationPlan};
    use crate::telemetry::keep::{Keep, Sampling};
    use crate::trace::{Finished, Kind, Role, Sampled, Trace, start};

    fn ranks(most: usize) -> Ranks {
        let plan = CellPlan {
            name: "c".to_owned(),
            expectations: Vec::new(),
            operations: vec![OperationPlan {
                name: "exec",
                limit: None,
            }],
        };
        let sampling = Sampling {
            keep: Keep::NOTHING,
            ..Sampling::default()
        };
        let (intake, _) = tokio::sync::mpsc::channel(1);
        let cells = Cells::new(vec![plan], sampling, &intake, &Arc::default());
        Ranks::new(cells.all().to_vec(), most)
    }

    async fn took(millis: u64) -> Finished {
        let trace = Trace::begin("iteration", Sampled::No);
        trace
            .scope(async {
                let span = start("exec", Role::Operation, Kind::Internal);
                tokio::time::sleep(Duration::from_millis(millis)).await;
                span.end(None);
            })
            .await;
        trace.finish()
    }

    fn candidate(trace: Finished, reasons: Vec<Reason>) -> Candidate {
        Candidate {
            cell: 0,
            trace,
            reasons,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn exactly_the_slowest_are_held_in_whatever_order_they_come() {
        let mut ranks = ranks(3);
        let mut gone = 0;
        for millis in [5, 90, 1, 40, 3, 80, 2, 70, 60] {
            let (ranked, out) = ranks.take(candidate(took(millis).await, Vec::new()));
            gone += out.len() + usize::from(matches!(ranked, Ranked::Not(_)));
        }
        assert_eq!(gone, 6);
        let mut kept: Vec<u128> = ranks
            .flush()
            .iter()
            .map(|kept| kept.trace.spans[1].duration().as_millis())
            .collect();
        kept.sort_unstable();
        assert_eq!(kept, [70, 80, 90]);
        assert!(ranks.flush().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_sent_for_another_reason_is_not_sent_again_but_keeps_its_place() {
        let mut ranks = ranks(1);
        let failed = candidate(took(50).await, vec![Reason::Failed]);
        let (ranked, _) = ranks.take(failed);
        assert!(
            matches!(ranked, Ranked::Now(kept) if kept.reasons == [Reason::Failed, Reason::Slow])
        );
        let (ranked, _) = ranks.take(candidate(took(10).await, Vec::new()));
        assert!(matches!(ranked, Ranked::Not(_)));
        assert!(ranks.flush().is_empty());
    }
}
