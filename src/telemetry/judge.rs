//! [`Judge`]: what is expected of traces, judged when the run is over and spans of others have come.
//!
//! Of traced iterations it keeps what matters of their spans, ours and those of others. Memory is bounded: when
//! there is room for no further trace, those that follow are counted, told and not judged.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{self as otlp, ResourceSpans};

use super::cell::{Candidate, CellKeeper};
use super::encode::Clock;
use super::hops::{self, Own, Theirs};
use super::keep::Reason;
use crate::metrics::{Expected, Found, HopKind, OWN_SERVICE, TraceExpectation, TraceResult, Under};
use crate::trace::{Attribute, Finished, Sampled, Span, SpanId, TraceId};

/// Spans that are kept before further traces find no room; those that are there already may have as many again.
/// About 30 MiB at most.
const MOST: usize = 100_000;
/// What the span of a step says which one it is.
const STEP: &str = "sandbench.step";

/// Judges traces.
#[derive(Debug)]
pub(super) struct Judge {
    cells: Vec<Arc<CellKeeper>>,
    clock: Clock,
    wanted: Wanted,
    traces: HashMap<TraceId, Gathered>,
    /// Of all traces together.
    spans: usize,
    most: usize,
    /// For good: what came when there was no room is missing from its trace, even if there is room later.
    is_full: bool,
    /// Traces to be judged for which there was no room, by cell.
    no_room: Vec<u64>,
}

/// Which spans matter.
#[derive(Debug, Default)]
struct Wanted {
    /// Names of spans.
    names: HashSet<Arc<str>>,
    hops: bool,
    /// Every span may be between a span and its step.
    ancestors: bool,
}

/// What is kept of one trace.
#[derive(Debug, Default)]
struct Gathered {
    /// The place of its cell, once its iteration has ended well.
    cell: Option<usize>,
    spans: Vec<Kept>,
    /// Some of its spans found no room.
    cut: bool,
}

/// What is kept of a span.
#[derive(Debug)]
struct Kept {
    id: Option<SpanId>,
    parent: Option<SpanId>,
    /// Of those that matter by their name.
    name: Option<Arc<str>>,
    took: Duration,
    whose: Whose,
}

#[derive(Debug)]
enum Whose {
    Ours {
        /// Of a step: its name and its action.
        step: Option<(Arc<str>, Cow<'static, str>)>,
        hop: Option<Own>,
    },
    Others {
        service: Option<Arc<str>>,
        hop: Option<Theirs>,
    },
}

impl Wanted {
    fn of(expectations: &[&TraceExpectation]) -> Self {
        let mut wanted = Self::default();
        for expectation in expectations {
            match &expectation.what {
                Expected::Hop(_) => wanted.hops = true,
                Expected::Span { name, under, .. } => {
                    wanted.names.insert(Arc::from(&**name));
                    wanted.ancestors |= under.is_some();
                }
            }
        }
        wanted
    }

    fn is_nothing(&self) -> bool {
        self.names.is_empty() && !self.hops
    }

    fn name(&self, name: &str) -> Option<Arc<str>> {
        self.names.get(name).cloned()
    }
}

/// Whether a trace is one of those that are judged: chosen at its start, so that slow and failed ones do not
/// crowd in, told to all others, and of an iteration that ended well.
pub(super) fn is_judged(trace: &Finished, reasons: &[Reason]) -> bool {
    let chosen = |reason: &Reason| matches!(reason, Reason::First | Reason::Ratio);
    trace.sampled == Sampled::Yes
        && reasons.iter().any(chosen)
        && trace.root().is_some_and(|root| root.error.is_none())
}

impl Judge {
    pub(super) fn new(cells: Vec<Arc<CellKeeper>>, clock: Clock) -> Self {
        let all: Vec<&TraceExpectation> =
            cells.iter().flat_map(|cell| &cell.expectations).collect();
        Self {
            wanted: Wanted::of(&all),
            no_room: vec![0; cells.len()],
            cells,
            clock,
            traces: HashMap::new(),
            spans: 0,
            most: MOST,
            is_full: false,
        }
    }

    /// Keeps what matters of an iteration.
    pub(super) fn own(&mut self, candidate: &Candidate) {
        let Candidate {
            cell,
            trace,
            reasons,
        } = candidate;
        let expects = |cell: &Arc<CellKeeper>| !cell.expectations.is_empty();
        if !self.cells.get(*cell).is_some_and(expects) || !is_judged(trace, reasons) {
            // What others did for it matters no more; what is still to come of them is little.
            if let Some(gone) = self.traces.remove(&trace.id) {
                self.spans -= gone.spans.len();
            }
            return;
        }
        let spans = trace.spans.iter().filter_map(|span| self.kept(span));
        let spans: Vec<Kept> = spans.collect();
        let cut = trace.left_out > 0;
        match self.room(trace.id) {
            Some(gathered) => {
                gathered.cell = Some(*cell);
                gathered.cut |= cut;
                if !gathered.cut {
                    let size = spans.len();
                    gathered.spans.extend(spans);
                    self.spans += size;
                }
            }
            None => self.no_room[*cell] += 1,
        }
    }

    /// The place for spans of a trace; none if there is no room for a further trace.
    fn room(&mut self, trace: TraceId) -> Option<&mut Gathered> {
        self.is_full |= self.spans >= self.most;
        if !self.is_full {
            return Some(self.traces.entry(trace).or_default());
        }
        let bursts = self.spans >= 2 * self.most;
        let known = self.traces.get_mut(&trace)?;
        if bursts {
            known.cut = true;
            self.spans -= std::mem::take(&mut known.spans).len();
        }
        Some(known)
    }

    fn kept(&self, span: &Span) -> Option<Kept> {
        let name = self.wanted.name(&span.name);
        let hop = Own::of(span, &self.clock).filter(|_| self.wanted.hops);
        if name.is_none() && hop.is_none() && !self.wanted.ancestors {
            return None;
        }
        let step = span.attributes.iter().find_map(|(key, value)| match value {
            Attribute::Shared(step) if *key == STEP => Some(Arc::clone(step)),
            _ => None,
        });
        Some(Kept {
            id: Some(span.id),
            parent: span.parent,
            name,
            took: span.duration(),
            whose: Whose::Ours {
                step: step.map(|step| (step, span.name.clone())),
                hop,
            },
        })
    }

    /// Keeps what matters of spans of others.
    pub(super) fn received(&mut self, spans: &ResourceSpans) {
        if self.wanted.is_nothing() {
            return;
        }
        let service = service_of(spans).map(Arc::from);
        for span in spans.scope_spans.iter().flat_map(|scope| &scope.spans) {
            let Some(trace) = TraceId::from_bytes(&span.trace_id) else {
                continue;
            };
            let Some(kept) = self.kept_of_others(span, service.as_ref()) else {
                continue;
            };
            if let Some(gathered) = self.room(trace)
                && !gathered.cut
            {
                gathered.spans.push(kept);
                self.spans += 1;
            }
        }
    }

    fn kept_of_others(&self, span: &otlp::Span, service: Option<&Arc<str>>) -> Option<Kept> {
        let name = self.wanted.name(&span.name);
        let hop = Theirs::of(span).filter(|_| self.wanted.hops);
        let matters = name.is_some() || hop.is_some() || self.wanted.ancestors;
        let took = span
            .end_time_unix_nano
            .saturating_sub(span.start_time_unix_nano);
        matters.then(|| Kept {
            id: SpanId::from_bytes(&span.span_id),
            parent: SpanId::from_bytes(&span.parent_span_id),
            name,
            took: Duration::from_nanos(took),
            whose: Whose::Others {
                service: service.cloned(),
                hop,
            },
        })
    }

    /// Judges every expectation of every cell by what has come so far; so many spans of others were lost before.
    pub(super) fn judge(&self, others_lost: u64) -> Vec<TraceResult> {
        let mut found: Vec<Vec<Found>> = self.cells.iter().map(|cell| nothing(cell)).collect();
        let mut no_room = self.no_room.clone();
        for (id, trace) in &self.traces {
            let Some(cell) = trace.cell else { continue };
            if trace.cut {
                no_room[cell] += 1;
                continue;
            }
            let by_id: HashMap<SpanId, &Kept> = trace
                .spans
                .iter()
                .filter_map(|span| Some((span.id?, span)))
                .collect();
            let expectations = self.cells[cell].expectations.iter();
            for (expectation, found) in expectations.zip(&mut found[cell]) {
                found.add(expectation, id, &times(expectation, trace, &by_id));
            }
        }
        let cells = self.cells.iter().zip(found).zip(no_room);
        cells
            .flat_map(|((cell, found), no_room)| results(cell, &found, (no_room, others_lost)))
            .collect()
    }
}

/// What is found where nothing has been looked at.
fn nothing(cell: &CellKeeper) -> Vec<Found> {
    vec![Found::default(); cell.expectations.len()]
}

fn results(
    cell: &CellKeeper,
    found: &[Found],
    (no_room, others_lost): (u64, u64),
) -> Vec<TraceResult> {
    let expectations = cell.expectations.iter().zip(found);
    let judged = expectations.map(|(expectation, found)| TraceResult {
        no_room: no_room + cell.not_taken(),
        others_lost,
        ..expectation.judge(&cell.name, found)
    });
    judged.collect()
}

/// The results where nobody has judged: nothing is known, and that is no pass.
pub(super) fn unjudged(cells: &[Arc<CellKeeper>]) -> Vec<TraceResult> {
    let cells = cells.iter();
    cells
        .flat_map(|cell| results(cell, &nothing(cell), (0, 0)))
        .collect()
}

fn service_of(spans: &ResourceSpans) -> Option<&str> {
    let attributes = &spans.resource.as_ref()?.attributes;
    let name = attributes.iter().find(|pair| pair.key == "service.name")?;
    match name.value.as_ref()?.value.as_ref()? {
        Value::StringValue(name) => Some(name),
        _ => None,
    }
}

/// How long everything took in a trace that an expectation is about.
fn times(
    expectation: &TraceExpectation,
    trace: &Gathered,
    by_id: &HashMap<SpanId, &Kept>,
) -> Vec<Duration> {
    match &expectation.what {
        Expected::Hop(hop) => of_hop(*hop, trace),
        Expected::Span {
            name,
            service,
            under,
            ..
        } => {
            let spans = trace.spans.iter().filter(|span| {
                span.name.as_deref() == Some(name)
                    && service.as_ref().is_none_or(|name| span.is_of(name))
                    && under.as_ref().is_none_or(|step| span.is_under(step, by_id))
            });
            spans.map(|span| span.took).collect()
        }
    }
}

fn of_hop(wanted: HopKind, trace: &Gathered) -> Vec<Duration> {
    let mut theirs: HashMap<SpanId, Vec<Theirs>> = HashMap::new();
    for span in &trace.spans {
        if let (Whose::Others { hop: Some(hop), .. }, Some(parent)) = (&span.whose, span.parent) {
            theirs.entry(parent).or_default().push(*hop);
        }
    }
    let mut times = Vec::new();
    for span in &trace.spans {
        let theirs = span.id.and_then(|id| theirs.get(&id));
        if let (Whose::Ours { hop: Some(own), .. }, Some(theirs)) = (&span.whose, theirs) {
            hops::measure(*own, theirs, &mut |hop, took| {
                times.extend((hop == wanted).then_some(took));
            });
        }
    }
    times
}

impl Kept {
    fn is_of(&self, name: &str) -> bool {
        match &self.whose {
            Whose::Ours { .. } => name == OWN_SERVICE,
            Whose::Others { service, .. } => service.as_deref() == Some(name),
        }
    }

    fn is_step(&self, wanted: &Under) -> bool {
        let Whose::Ours {
            step: Some((step, action)),
            ..
        } = &self.whose
        else {
            return false;
        };
        match wanted {
            Under::Step(name) => **step == **name,
            Under::Action(name) => action == name,
        }
    }

    /// Whether a span above it is that of the step.
    fn is_under(&self, step: &Under, by_id: &HashMap<SpanId, &Self>) -> bool {
        let above = |span: &Self| span.parent.and_then(|parent| by_id.get(&parent)).copied();
        let mut next = above(self);
        // What others send may be a circle.
        for _ in 0..by_id.len() {
            match next {
                None => return false,
                Some(span) if span.is_step(step) => return true,
                Some(span) => next = above(span),
            }
        }
        false
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
