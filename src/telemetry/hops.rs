//! [`Hops`]: spans of router and controller beside our own: what each hop of a request or a creation took.
//!
//! A hop is a difference of durations wherever that is possible, so that clocks of different machines do not
//! matter; the one that needs two clocks says so.

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::cell::nanos;
use super::encode::Clock;
use crate::metrics::{Histogram, Hop};
use crate::trace::{Finished, Role, Sampled, SpanId, TraceId};

/// The most spans that are remembered of each side; the first of a run stand for it.
const MOST: usize = 100_000;

/// One of our spans that others can have parts of.
#[derive(Debug, Clone, Copy)]
struct Own {
    role: Role,
    started: u64,
    ended: u64,
}

/// A span of another's.
#[derive(Debug, Clone)]
struct Theirs {
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
            let joins = span.role == Role::Attempt
                || (span.role == Role::Operation && span.name == "create");
            if joins {
                let own = Own {
                    role: span.role,
                    started: clock.unix_nanos(span.started),
                    ended: clock.unix_nanos(span.ended),
                };
                self.own.insert((trace.id, span.id), own);
            }
        }
    }

    /// Remembers spans of others.
    pub(super) fn received(&mut self, spans: &ResourceSpans) {
        for span in spans.scope_spans.iter().flat_map(|scope| &scope.spans) {
            let what = match span.name.as_str() {
                "ReconcileSandboxClaim" => What::ReconcileClaim,
                "ReconcileSandbox" => What::ReconcileSandbox,
                _ if span.kind == i32::from(SpanKind::Server) => What::Router,
                _ => continue,
            };
            let place = (
                TraceId::from_bytes(&span.trace_id),
                SpanId::from_bytes(&span.parent_span_id),
            );
            let (Some(trace), Some(parent)) = place else {
                continue;
            };
            if self.received >= MOST {
                return;
            }
            self.received += 1;
            self.theirs
                .entry((trace, parent))
                .or_default()
                .push(Theirs {
                    kind: what,
                    started: span.start_time_unix_nano,
                    ended: span.end_time_unix_nano,
                });
        }
    }

    /// What each hop took; nothing if nothing was received.
    pub(super) fn summary(&self) -> Vec<Hop> {
        let mut all = Figures::default();
        for (key, own) in &self.own {
            let Some(theirs) = self.theirs.get(key) else {
                continue;
            };
            match own.role {
                Role::Attempt => all.of_request(*own, theirs),
                _ => all.of_creation(*own, theirs),
            }
        }
        all.hops()
    }
}

#[derive(Debug, Default)]
struct Figures {
    network: Histogram,
    router: Histogram,
    queue: Histogram,
    claim: Histogram,
    sandbox: Histogram,
    rest: Histogram,
}

fn between(from: u64, to: u64) -> Duration {
    Duration::from_nanos(to.saturating_sub(from))
}

impl Figures {
    fn of_request(&mut self, own: Own, theirs: &[Theirs]) {
        let router = theirs.iter().find(|span| span.kind == What::Router);
        let Some(router) = router else { return };
        let there = between(router.started, router.ended);
        self.router.record(there);
        let whole = between(own.started, own.ended);
        self.network.record(whole.saturating_sub(there));
    }

    fn of_creation(&mut self, own: Own, theirs: &[Theirs]) {
        let of = |kind: What| {
            let spans = theirs.iter().filter(move |span| span.kind == kind);
            // Later looks, of a deletion for example, are no part of the creation.
            spans.filter(|span| span.started < own.ended)
        };
        let first = of(What::ReconcileClaim).map(|span| span.started).min();
        let Some(first) = first else { return };
        let sum = |kind: What| -> Duration {
            of(kind).map(|span| between(span.started, span.ended)).sum()
        };
        let (claim, sandbox) = (sum(What::ReconcileClaim), sum(What::ReconcileSandbox));
        self.queue.record(between(own.started, first));
        self.claim.record(claim);
        self.sandbox.record(sandbox);
        let whole = between(own.started, own.ended);
        self.rest
            .record(whole.saturating_sub(claim).saturating_sub(sandbox));
    }

    fn hops(&self) -> Vec<Hop> {
        let all = [
            (
                "request: router",
                "in the router and behind it: the sandbox's work is in it",
                &self.router,
            ),
            (
                "request: network",
                "the rest of a request: connecting, the way to the router and back",
                &self.network,
            ),
            (
                "create: until the controller looks",
                "from sending the claim to the controller's first look (by the clocks of both)",
                &self.queue,
            ),
            (
                "create: claim controller",
                "the claim controller's work, all its looks together",
                &self.claim,
            ),
            (
                "create: sandbox controller",
                "the sandbox controller's work, all its looks together",
                &self.sandbox,
            ),
            (
                "create: the rest",
                "the rest of a creation: API server, queues, the pod's start",
                &self.rest,
            ),
        ];
        let seen = all
            .into_iter()
            .filter(|(_, _, figures)| figures.count() > 0);
        seen.map(|(name, description, figures)| Hop {
            name: name.to_owned(),
            description: description.to_owned(),
            n: figures.count(),
            p50_ns: nanos(figures.quantile(0.5)),
            p99_ns: nanos(figures.quantile(0.99)),
            max_ns: nanos(figures.max()),
        })
        .collect()
    }
}
