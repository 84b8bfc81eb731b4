//! [`Hops`]: spans of router and controller beside our own: what each hop of a request or a creation took.
//!
//! A hop is a difference of durations wherever that is possible, so that clocks of different machines do not
//! matter; the one that needs two clocks says so.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{self as otlp, ResourceSpans};

use super::encode::Clock;
use crate::metrics::{Histogram, Hop, HopKind, nanos};
use crate::trace::{Finished, Role, Sampled, Span, SpanId, TraceId};

/// The most spans that are remembered of each side; the first of a run stand for it.
const MOST: usize = 100_000;

/// One of our spans that others can have parts of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own {
    role: Role,
    started: u64,
    ended: u64,
}

/// A span of another's that a hop is measured by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Theirs {
    kind: What,
    started: u64,
    ended: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Router,
    ReconcileClaim,
    ReconcileSandbox,
}

type Key = (TraceId, SpanId);

impl Own {
    /// None if nothing of others can belong to it.
    pub(super) fn of(span: &Span, clock: &Clock) -> Option<Self> {
        let joins =
            span.role == Role::Attempt || (span.role == Role::Operation && span.name == "create");
        joins.then(|| Self {
            role: span.role,
            started: clock.unix_nanos(span.started),
            ended: clock.unix_nanos(span.ended),
        })
    }
}

impl Theirs {
    /// None if no hop is measured by it.
    pub(super) fn of(span: &otlp::Span) -> Option<Self> {
        let kind = match span.name.as_str() {
            "ReconcileSandboxClaim" => What::ReconcileClaim,
            "ReconcileSandbox" => What::ReconcileSandbox,
            _ if span.kind == i32::from(SpanKind::Server) => What::Router,
            _ => return None,
        };
        Some(Self {
            kind,
            started: span.start_time_unix_nano,
            ended: span.end_time_unix_nano,
        })
    }
}

/// What hops took.
#[derive(Debug, Default)]
pub(super) struct Hops {
    own: HashMap<Key, Own>,
    /// By the span of ours that they are parts of.
    theirs: HashMap<Key, Vec<Theirs>>,
    received: usize,
}

impl Hops {
    /// Remembers what others may have parts of.
    pub(super) fn own(&mut self, trace: &Finished, clock: &Clock) {
        if trace.sampled != Sampled::Yes || self.own.len() >= MOST {
            return;
        }
        for span in &trace.spans {
            if let Some(own) = Own::of(span, clock) {
                self.own.insert((trace.id, span.id), own);
            }
        }
    }

    /// Remembers spans of others.
    pub(super) fn received(&mut self, spans: &ResourceSpans) {
        for span in spans.scope_spans.iter().flat_map(|scope| &scope.spans) {
            let place = (
                TraceId::from_bytes(&span.trace_id),
                SpanId::from_bytes(&span.parent_span_id),
            );
            let (Some(theirs), (Some(trace), Some(parent))) = (Theirs::of(span), place) else {
                continue;
            };
            if self.received >= MOST {
                return;
            }
            self.received += 1;
            self.theirs.entry((trace, parent)).or_default().push(theirs);
        }
    }

    /// What each hop took; nothing if nothing was received.
    pub(super) fn summary(&self) -> Vec<Hop> {
        let mut all: BTreeMap<HopKind, Histogram> = BTreeMap::new();
        for (key, own) in &self.own {
            let Some(theirs) = self.theirs.get(key) else {
                continue;
            };
            measure(*own, theirs, &mut |kind, took| {
                all.entry(kind).or_default().record(took);
            });
        }
        let all = all.into_iter().map(|(kind, figures)| Hop {
            name: kind.word().to_owned(),
            description: kind.description().to_owned(),
            n: figures.count(),
            p50_ns: nanos(figures.quantile(0.5)),
            p99_ns: nanos(figures.quantile(0.99)),
            max_ns: nanos(figures.max()),
        });
        all.collect()
    }
}

/// What the hops of one of our spans took, by the spans of others that are parts of it.
pub(super) fn measure(own: Own, theirs: &[Theirs], record: &mut impl FnMut(HopKind, Duration)) {
    match own.role {
        Role::Attempt => of_request(own, theirs, record),
        _ => of_creation(own, theirs, record),
    }
}

fn between(from: u64, to: u64) -> Duration {
    Duration::from_nanos(to.saturating_sub(from))
}

fn of_request(own: Own, theirs: &[Theirs], record: &mut impl FnMut(HopKind, Duration)) {
    let router = theirs.iter().find(|span| span.kind == What::Router);
    let Some(router) = router else { return };
    let there = between(router.started, router.ended);
    record(HopKind::Router, there);
    let whole = between(own.started, own.ended);
    record(HopKind::Network, whole.saturating_sub(there));
}

fn of_creation(own: Own, theirs: &[Theirs], record: &mut impl FnMut(HopKind, Duration)) {
    let of = |kind: What| {
        let spans = theirs.iter().filter(move |span| span.kind == kind);
        // Later looks, of a deletion for example, are no part of the creation.
        spans.filter(|span| span.started < own.ended)
    };
    let first = of(What::ReconcileClaim).map(|span| span.started).min();
    let Some(first) = first else { return };
    let sum =
        |kind: What| -> Duration { of(kind).map(|span| between(span.started, span.ended)).sum() };
    let (claim, sandbox) = (sum(What::ReconcileClaim), sum(What::ReconcileSandbox));
    record(HopKind::CreateQueue, between(own.started, first));
    record(HopKind::ClaimController, claim);
    record(HopKind::SandboxController, sandbox);
    let whole = between(own.started, own.ended);
    let rest = whole.saturating_sub(claim).saturating_sub(sandbox);
    record(HopKind::CreateRest, rest);
}
