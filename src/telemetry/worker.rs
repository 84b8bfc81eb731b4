//! [`Worker`]: the one task that chooses, encodes and sends; beside the run, never in its way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use prost::Message;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::cell::{Candidate, CellKeeper};
use super::config::POINTS;
use super::counts::Counts;
use super::encode::{self, Clock};
use super::exemplar::Exemplars;
use super::hops::Hops;
use super::judge::Judge;
use super::keep::{Reason, Sampling};
use super::outbox::{Batch, Outbox};
use super::parts::{count, parts};
use super::points::{self, BucketKind, CellSeries, Times};
use super::rank::{Ranked, Ranks};
use super::target::Signal;
use crate::metrics::{Hop, TraceResult};
use crate::trace::Finished;

/// Spans per request at most. Google takes 8192 attributes per resource, which are about as many spans.
const SPANS: usize = 512;
/// Bytes per request at most: gRPC receivers take 4 MiB.
const BYTES: usize = 2 << 20;
/// How long a span waits for others.
const WAIT: Duration = Duration::from_secs(1);
/// For how long the slowest are ranked among each other.
const WINDOW: Duration = Duration::from_mins(1);
/// Seconds' worth of traces that may come at once.
const BURST: f64 = 10.0;

/// What is asked of the worker.
#[derive(Debug)]
pub(super) enum Order {
    /// The run is over: everything that was chosen is to be sent. Answers with what figures can lead to.
    Settle(oneshot::Sender<Settled>),
    /// These are the figures so far.
    Figures(Vec<CellSeries>),
    /// Nothing comes any more; answers when all is sent or the time is over.
    Finish(Instant, oneshot::Sender<()>),
}

/// What is known when all traces are chosen.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) exemplars: Exemplars,
    pub(super) kept: BTreeMap<String, u64>,
    pub(super) hops: Vec<Hop>,
    pub(super) traces: Vec<TraceResult>,
}

/// Where the worker's work comes from.
#[derive(Debug)]
pub(super) struct Inputs {
    pub(super) candidates: mpsc::Receiver<Candidate>,
    pub(super) services: mpsc::Receiver<(&'static str, Finished)>,
    pub(super) received: mpsc::Receiver<ResourceSpans>,
    pub(super) orders: mpsc::Receiver<Order>,
}

/// At most so many per second.
#[derive(Debug)]
struct Rate {
    per_second: Option<f64>,
    left: f64,
    since: Instant,
}

impl Rate {
    fn new(per_second: Option<u32>) -> Self {
        let per_second = per_second.map(f64::from);
        Self {
            per_second,
            left: per_second.unwrap_or(0.0) * BURST,
            since: Instant::now(),
        }
    }

    fn admits(&mut self) -> bool {
        let Some(rate) = self.per_second else {
            return true;
        };
        let now = Instant::now();
        let passed = now.saturating_duration_since(self.since).as_secs_f64();
        self.left = (self.left + passed * rate).min(rate * BURST);
        self.since = now;
        let admitted = self.left >= 1.0;
        if admitted {
            self.left -= 1.0;
        }
        admitted
    }
}

/// Chooses, encodes and sends.
#[derive(Debug)]
pub(super) struct Worker {
    clock: Clock,
    /// When the run began, nanoseconds since 1970.
    started: u64,
    buckets: BucketKind,
    resource: Vec<(String, String)>,
    cells: Vec<Arc<CellKeeper>>,
    counts: Arc<Counts>,
    ranks: Ranks,
    sampled: Rate,
    kept_besides: Rate,
    exemplars: Exemplars,
    hops: Hops,
    judge: Judge,
    kept: BTreeMap<String, u64>,
    /// Spans that wait for others, by service.
    pending: BTreeMap<Option<&'static str>, Vec<Span>>,
    pending_bytes: usize,
    /// Of others, as they came.
    passing: Vec<ResourceSpans>,
    passing_spans: usize,
    out: Outbox,
}

impl Worker {
    pub(super) fn new(
        (clock, buckets): (Clock, BucketKind),
        resource: Vec<(String, String)>,
        (cells, sampling): (Vec<Arc<CellKeeper>>, Sampling),
        counts: &Arc<Counts>,
        out: Outbox,
    ) -> Self {
        Self {
            clock,
            started: clock.unix_nanos(Instant::now()),
            buckets,
            resource,
            ranks: Ranks::new(cells.clone(), sampling.keep.slow),
            judge: Judge::new(cells.clone(), clock),
            cells,
            counts: Arc::clone(counts),
            sampled: Rate::new(sampling.max_rate.0),
            kept_besides: Rate::new(sampling.max_rate.0),
            exemplars: Exemplars::default(),
            hops: Hops::default(),
            kept: BTreeMap::new(),
            pending: BTreeMap::new(),
            pending_bytes: 0,
            passing: Vec::new(),
            passing_spans: 0,
            out,
        }
    }

    /// Works until it is told to finish.
    pub(super) async fn run(mut self, mut inputs: Inputs) {
        let mut tick = interval(WAIT);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut window = interval(WINDOW);
        window.tick().await;
        loop {
            let busy = !self.out.is_idle();
            tokio::select! {
                Some(candidate) = inputs.candidates.recv() => self.take(candidate),
                Some((service, trace)) = inputs.services.recv() => self.of_service(service, &trace),
                Some(spans) = inputs.received.recv() => self.pass_on(spans),
                () = self.out.landed(), if busy => {}
                _ = tick.tick() => self.send_pending(),
                _ = window.tick() => self.send_slow(),
                order = inputs.orders.recv() => match order {
                    None => return,
                    Some(Order::Settle(answer)) => {
                        let settled = self.settle(&mut inputs);
                        // Nobody waits any more if the run was dropped.
                        let _gone = answer.send(settled);
                    }
                    Some(Order::Figures(cells)) => self.send_figures(&cells),
                    Some(Order::Finish(deadline, answer)) => {
                        self.drain(&mut inputs);
                        self.send_slow();
                        self.send_pending();
                        self.out.finish(deadline).await;
                        let _gone = answer.send(());
                        return;
                    }
                },
            }
        }
    }

    fn drain(&mut self, inputs: &mut Inputs) {
        while let Ok(candidate) = inputs.candidates.try_recv() {
            self.take(candidate);
        }
        while let Ok((service, trace)) = inputs.services.try_recv() {
            self.of_service(service, &trace);
        }
        while let Ok(spans) = inputs.received.try_recv() {
            self.pass_on(spans);
        }
    }

    fn settle(&mut self, inputs: &mut Inputs) -> Settled {
        self.drain(inputs);
        self.send_slow();
        self.send_pending();
        Settled {
            exemplars: self.exemplars.clone(),
            kept: std::mem::take(&mut self.kept),
            hops: std::mem::take(&mut self.hops).summary(),
            traces: self.judge.judge(self.counts.others_lost()),
        }
    }

    fn take(&mut self, candidate: Candidate) {
        // Whatever becomes of it: to be sent is another matter.
        self.judge.own(&candidate);
        let (ranked, pushed_out) = self.ranks.take(candidate);
        for candidate in pushed_out {
            self.counts.not_kept(candidate.size());
        }
        match ranked {
            Ranked::Held => {}
            Ranked::Not(candidate) => self.counts.not_kept(candidate.size()),
            Ranked::Now(candidate) => self.keep(&candidate),
        }
    }

    fn send_slow(&mut self) {
        for candidate in self.ranks.flush() {
            self.keep(&candidate);
        }
    }

    fn keep(&mut self, candidate: &Candidate) {
        if !self.out.takes(Signal::Traces) {
            // Nothing is sent, so nothing can be led to; others' spans are still joined to ours.
            self.hops.own(&candidate.trace, &self.clock);
            self.counts.not_kept(candidate.size());
            return;
        }
        let reasons = &candidate.reasons;
        let only_sampled = reasons
            .iter()
            .all(|reason| matches!(reason, Reason::Ratio | Reason::First));
        let rate = if only_sampled {
            &mut self.sampled
        } else {
            &mut self.kept_besides
        };
        if !rate.admits() {
            self.counts.dropped_rate(candidate.size());
            return;
        }
        for reason in reasons {
            *self.kept.entry(reason.word().to_owned()).or_default() += 1;
        }
        let clock = self.clock;
        if let Some(cell) = self.cells.get(candidate.cell) {
            let at = |span: &crate::trace::Span| clock.unix_nanos(span.ended);
            self.exemplars.note(cell, &candidate.trace, at);
        }
        self.hops.own(&candidate.trace, &clock);
        let words: Vec<&str> = reasons.iter().map(|reason| reason.word()).collect();
        let spans = encode::spans(&candidate.trace, &clock, &words.join(","));
        self.add(None, spans);
    }

    fn of_service(&mut self, service: &'static str, trace: &Finished) {
        let spans = encode::spans(trace, &self.clock, "");
        self.add(Some(service), spans);
    }

    fn add(&mut self, service: Option<&'static str>, spans: Vec<Span>) {
        if !self.out.takes(Signal::Traces) {
            self.counts.not_kept(spans.len() as u64);
            return;
        }
        for span in spans {
            let size = span.encoded_len();
            let waiting: usize = self.pending.values().map(Vec::len).sum();
            if waiting >= SPANS || self.pending_bytes + size > BYTES {
                self.send_pending();
            }
            self.pending_bytes += size;
            self.pending.entry(service).or_default().push(span);
        }
    }

    fn pass_on(&mut self, spans: ResourceSpans) {
        let size = encode::count(&spans);
        self.hops.received(&spans);
        self.judge.received(&spans);
        if !self.out.takes(Signal::Traces) {
            self.counts.not_kept(size);
            return;
        }
        self.passing_spans += usize::try_from(size).unwrap_or(usize::MAX);
        self.passing.push(spans);
        if self.passing_spans >= SPANS {
            self.send_pending();
        }
    }

    fn send_pending(&mut self) {
        let mut all = std::mem::take(&mut self.passing);
        for (service, spans) in std::mem::take(&mut self.pending) {
            let resource = encode::resource(&self.resource_of(service));
            all.push(encode::resource_spans(resource, spans));
        }
        (self.pending_bytes, self.passing_spans) = (0, 0);
        let size = all.iter().map(encode::count).sum();
        if size == 0 {
            return;
        }
        let request = ExportTraceServiceRequest {
            resource_spans: all,
        };
        self.out.put(Batch {
            signal: Signal::Traces,
            message: Bytes::from(request.encode_to_vec()),
            size,
        });
    }

    /// What is said of us, under the name of a service.
    fn resource_of(&self, service: Option<&str>) -> Vec<(String, String)> {
        let mut resource = self.resource.clone();
        if let Some(service) = service {
            for (key, value) in &mut resource {
                if key == "service.name" {
                    service.clone_into(value);
                }
            }
        }
        resource
    }

    fn send_figures(&mut self, cells: &[CellSeries]) {
        if !self.out.takes(Signal::Metrics) {
            return;
        }
        let times = Times {
            start: self.started,
            now: self.clock.unix_nanos(Instant::now()),
        };
        self.out.forget_points();
        let metrics = points::metrics(cells, &self.exemplars, self.buckets, times);
        for part in parts(metrics, POINTS) {
            let size: usize = part.iter().map(count).sum();
            let size = size as u64;
            self.counts.points_made(size);
            self.out.put(Batch {
                signal: Signal::Metrics,
                message: encode::metrics_request(&self.resource, part),
                size,
            });
        }
    }
}
