//! [`Trace`]: collects the spans of one trace; the task-local scope that says where in it the current task is.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::id::{Sampled, SpanContext, SpanId, TraceId};
use super::span::{Attribute, Finished, Kind, Role, Span};

/// The most spans of one trace; further ones are counted. Viewers give up long before.
const SPANS: usize = 2_000;
/// Room for so many is made at first: enough for a command, and little enough for the allocator's quick lists.
const FIRST_SPANS: usize = 6;
/// Why a span failed that was dropped before its end.
const CANCELLED: &str = "cancelled";

tokio::task_local! {
    static SCOPE: Option<Scope>;
}

/// A trace under way. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Trace(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: TraceId,
    sampled: Sampled,
    root: SpanId,
    /// Written by the one task that the trace belongs to, so nobody waits for it.
    spans: Mutex<Buffer>,
}

#[derive(Debug, Default)]
struct Buffer {
    spans: Vec<Span>,
    left_out: u32,
}

/// Where in a trace the current task is.
#[derive(Debug, Clone)]
pub struct Scope {
    trace: Trace,
    span: SpanId,
    /// Its place in the buffer; none if it found no room.
    place: Option<usize>,
    role: Role,
}

/// A span under way: ends when it is dropped. Without a trace in the current task it is nothing.
#[derive(Debug)]
#[must_use = "the span ends when this is dropped"]
pub struct Open {
    scope: Option<Scope>,
    ending: Ending,
}

/// What it means that an [`Open`] is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The span was not brought to its end: it was cancelled.
    Cancelled,
    /// Nothing: its time is recorded, or it is another one's.
    Recorded,
}

impl Trace {
    /// Begins a trace whose root has this name.
    pub fn begin(name: impl Into<Cow<'static, str>>, sampled: Sampled) -> Self {
        Self::with_id(name, TraceId::random(), sampled)
    }

    /// Begins a trace of this id.
    pub fn with_id(name: impl Into<Cow<'static, str>>, id: TraceId, sampled: Sampled) -> Self {
        Self::new((name.into(), Kind::Internal), id, sampled, None)
    }

    /// Goes on with a trace of another program's: the root is a part of that span.
    pub fn continued(name: impl Into<Cow<'static, str>>, kind: Kind, context: SpanContext) -> Self {
        let SpanContext {
            trace,
            span,
            sampled,
        } = context;
        Self::new((name.into(), kind), trace, sampled, Some(span))
    }

    fn new(
        (name, kind): (Cow<'static, str>, Kind),
        id: TraceId,
        sampled: Sampled,
        parent: Option<SpanId>,
    ) -> Self {
        let root = SpanId::random();
        let mut spans = Vec::with_capacity(FIRST_SPANS);
        spans.push(span(name, Role::Root, kind, (root, parent)));
        Self(Arc::new(Inner {
            id,
            sampled,
            root,
            spans: Mutex::new(Buffer { spans, left_out: 0 }),
        }))
    }

    /// Its id.
    pub fn id(&self) -> TraceId {
        self.0.id
    }

    /// Its root, as it goes over the wire.
    pub fn context(&self) -> SpanContext {
        self.root().context()
    }

    /// Makes everything that the future does in this task a part of the trace.
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        SCOPE.scope(Some(self.root()), future)
    }

    /// The same for work that does not wait.
    pub fn sync_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        SCOPE.sync_scope(Some(self.root()), work)
    }

    /// Sets an attribute of the root.
    pub fn set(&self, key: &'static str, value: impl Into<Attribute>) {
        self.change_root(|root| root.attributes.push((key, value.into())));
    }

    /// Says how the whole failed.
    pub fn fail(&self, error: impl Into<Cow<'static, str>>) {
        self.change_root(|root| root.error = Some(error.into()));
    }

    fn change_root(&self, change: impl FnOnce(&mut Span)) {
        if let Some(root) = self.buffer().spans.first_mut() {
            change(root);
        }
    }

    /// Ends the root and gives all spans. What is still under way in another handle is left out.
    pub fn finish(self) -> Finished {
        let now = Instant::now();
        let mut buffer = self.buffer();
        let Buffer {
            mut spans,
            left_out,
        } = std::mem::take(&mut *buffer);
        if let Some(root) = spans.first_mut() {
            root.ended = now;
        }
        Finished {
            id: self.0.id,
            sampled: self.0.sampled,
            spans,
            left_out,
        }
    }

    fn root(&self) -> Scope {
        Scope {
            trace: self.clone(),
            span: self.0.root,
            place: Some(0),
            role: Role::Root,
        }
    }

    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.0.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, span: Span) -> Option<usize> {
        let mut buffer = self.buffer();
        if buffer.spans.len() >= SPANS {
            buffer.left_out += 1;
            return None;
        }
        buffer.spans.push(span);
        Some(buffer.spans.len() - 1)
    }
}

fn span(
    name: Cow<'static, str>,
    role: Role,
    kind: Kind,
    (id, parent): (SpanId, Option<SpanId>),
) -> Span {
    let started = Instant::now();
    Span {
        name,
        role,
        kind,
        id,
        parent,
        started,
        ended: started,
        attributes: Vec::new(),
        error: None,
    }
}

impl Scope {
    /// As it goes over the wire.
    pub fn context(&self) -> SpanContext {
        SpanContext {
            trace: self.trace.0.id,
            span: self.span,
            sampled: self.trace.0.sampled,
        }
    }

    fn set_all<const N: usize>(&self, attributes: [(&'static str, Attribute); N]) {
        self.change(|span| span.attributes.extend(attributes));
    }

    fn change(&self, change: impl FnOnce(&mut Span)) {
        let mut buffer = self.trace.buffer();
        let span = self.place.and_then(|place| buffer.spans.get_mut(place));
        // The trace may have been finished meanwhile.
        if let Some(span) = span.filter(|span| span.id == self.span) {
            change(span);
        }
    }
}

/// Where in a trace the current task is, if it is in one.
pub fn current() -> Option<Scope> {
    SCOPE.try_with(Clone::clone).ok().flatten()
}

/// The place in a trace of the current task, if it is in one.
pub fn context() -> Option<SpanContext> {
    SCOPE
        .try_with(|scope| scope.as_ref().map(Scope::context))
        .ok()
        .flatten()
}

/// The context that a request of the current task is to carry.
pub fn carried() -> Option<SpanContext> {
    context().filter(|context| context.sampled != Sampled::Untold)
}

/// Sets an attribute of the current span. The value is made only if there is one.
pub fn set<V: Into<Attribute>>(key: &'static str, value: impl FnOnce() -> V) {
    set_all(|| [(key, value().into())]);
}

/// Sets attributes of the current span, which are made only if there is one.
pub fn set_all<const N: usize>(attributes: impl FnOnce() -> [(&'static str, Attribute); N]) {
    // No scope, no span.
    let _outside = SCOPE.try_with(|scope| {
        if let Some(scope) = scope {
            scope.set_all(attributes());
        }
    });
}

/// Begins a span as a part of the current one.
pub fn start(name: impl Into<Cow<'static, str>>, role: Role, kind: Kind) -> Open {
    let Some(scope) = current() else {
        return Open::nothing();
    };
    let id = SpanId::random();
    let place = scope
        .trace
        .add(span(name.into(), role, kind, (id, Some(scope.span))));
    Open {
        scope: Some(Scope {
            trace: scope.trace,
            span: id,
            place,
            role,
        }),
        ending: Ending::Cancelled,
    }
}

/// The current span if it stands for an operation already, else a new one: so a step and the call of the client
/// that it consists of are one span, and a call outside of steps has its own.
pub fn operation(name: &'static str) -> Open {
    match current() {
        Some(scope) if scope.role == Role::Operation => Open {
            scope: Some(scope),
            ending: Ending::Recorded,
        },
        _ => start(name, Role::Operation, Kind::Internal),
    }
}

/// Records a part of the current span whose times are known only now.
pub fn mark(name: &'static str, role: Role, times: std::ops::Range<Instant>) {
    let Some(scope) = current() else { return };
    let mut span = span(
        Cow::Borrowed(name),
        role,
        Kind::Internal,
        (SpanId::random(), Some(scope.span)),
    );
    span.started = times.start;
    span.ended = times.end.max(times.start);
    scope.trace.add(span);
}

impl Open {
    /// No span.
    pub fn nothing() -> Self {
        Self {
            scope: None,
            ending: Ending::Recorded,
        }
    }

    /// Whether there is a trace: nothing need be made for it otherwise.
    pub fn is_recording(&self) -> bool {
        self.scope.is_some()
    }

    /// As it goes over the wire.
    pub fn context(&self) -> Option<SpanContext> {
        self.scope.as_ref().map(Scope::context)
    }

    /// Makes what the future does a part of this span.
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        SCOPE.scope(self.scope.clone(), future)
    }

    /// What it stands for was over at this time; how it ended is told by [`end`](Self::end).
    pub fn stop(&mut self, at: Instant) {
        if let (Some(scope), Ending::Cancelled) = (&self.scope, self.ending) {
            scope.change(|span| span.ended = at);
            self.ending = Ending::Recorded;
        }
    }

    /// Sets an attribute.
    pub fn set(&self, key: &'static str, value: impl Into<Attribute>) {
        if let Some(scope) = &self.scope {
            scope.set_all([(key, value.into())]);
        }
    }

    /// Sets attributes.
    pub fn set_all<const N: usize>(&self, attributes: [(&'static str, Attribute); N]) {
        if let Some(scope) = &self.scope {
            scope.set_all(attributes);
        }
    }

    /// Ends it: well, or with a short name of how it failed.
    pub fn end(mut self, error: Option<Cow<'static, str>>) {
        if let Some(scope) = self.scope.take() {
            let ended = (self.ending == Ending::Cancelled).then(Instant::now);
            if ended.is_none() && error.is_none() {
                return;
            }
            scope.change(|span| {
                span.ended = ended.unwrap_or(span.ended);
                span.error = error.or(span.error.take());
            });
        }
    }

    /// Ends it as the result says.
    pub fn end_as<T, E>(self, result: &Result<T, E>, error: impl FnOnce(&E) -> Cow<'static, str>) {
        let error = match result {
            Err(failed) if self.is_recording() => Some(error(failed)),
            _ => None,
        };
        self.end(error);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let (Some(scope), Ending::Cancelled) = (&self.scope, self.ending) {
            let now = Instant::now();
            scope.change(|span| {
                span.ended = now;
                span.error = Some(Cow::Borrowed(CANCELLED));
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(name: &'static str) -> Open {
        start(name, Role::Other, Kind::Internal)
    }

    #[tokio::test]
    async fn without_a_trace_nothing_is_recorded_and_nothing_is_sent() {
        assert!(!other("a").is_recording());
        assert_eq!(context(), None);
        set("key", || -> String { panic!("must not be made") });
    }

    #[tokio::test(start_paused = true)]
    async fn spans_nest_as_their_futures_do() {
        let trace = Trace::begin("root", Sampled::Yes);
        trace
            .scope(async {
                let outer = other("outer");
                outer
                    .scope(async {
                        let inner = other("inner");
                        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                        assert_eq!(context(), outer.context());
                        inner.end(None);
                    })
                    .await;
                outer.end(Some("bad".into()));
            })
            .await;
        let spans = trace.finish().spans;
        let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
        assert_eq!(names, ["root", "outer", "inner"]);
        assert_eq!(spans[2].parent, Some(spans[1].id));
        assert_eq!(spans[1].parent, Some(spans[0].id));
        assert_eq!(spans[1].error.as_deref(), Some("bad"));
        assert_eq!(spans[2].duration().as_millis(), 5);
        assert!(spans[0].duration() >= spans[1].duration());
    }

    #[tokio::test]
    async fn an_operation_in_an_operation_is_the_same_span() {
        let trace = Trace::begin("root", Sampled::No);
        trace
            .scope(async {
                let step = operation("exec");
                step.scope(async {
                    let call = operation("run");
                    call.set("sandbox.exit_code", 0_i64);
                    call.end(None);
                })
                .await;
                step.end(None);
                operation("run").end(None);
            })
            .await;
        let spans = trace.finish().spans;
        let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
        assert_eq!(names, ["root", "exec", "run"]);
        assert_eq!(
            spans[1].attributes,
            [("sandbox.exit_code", Attribute::Int(0))]
        );
    }

    #[tokio::test]
    async fn what_is_dropped_before_its_end_was_cancelled() {
        let trace = Trace::begin("root", Sampled::Yes);
        trace.scope(async { drop(other("cut")) }).await;
        let finished = trace.finish();
        assert_eq!(finished.spans[1].error.as_deref(), Some("cancelled"));
    }

    #[tokio::test]
    async fn a_trace_without_end_keeps_a_bounded_number_of_spans_and_counts_the_rest() {
        let trace = Trace::begin("root", Sampled::Yes);
        trace
            .scope(async {
                for _ in 0..SPANS + 10 {
                    other("again").end(None);
                }
            })
            .await;
        let finished = trace.finish();
        assert_eq!((finished.spans.len(), finished.left_out), (SPANS, 11));
    }

    #[tokio::test]
    async fn a_continued_trace_keeps_the_id_and_hangs_below_the_given_span() {
        let outer = Trace::begin("outer", Sampled::No).context();
        let inner = Trace::continued("inner", Kind::Server, outer);
        let finished = inner.finish();
        assert_eq!(finished.id, outer.trace);
        assert_eq!(finished.spans[0].parent, Some(outer.span));
        assert_eq!(finished.sampled, Sampled::No);
    }
}
