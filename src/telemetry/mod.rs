//! Traces and metrics over OTLP. Off unless somebody asks for it.
//!
//! ```text
//!  iteration ends ──► CellKeeper: a candidate?  (hot path: a few loads; one try to send for the few that are)
//!                          │ bounded channel
//!                          ▼
//!  loopback's spans ──► Worker ──► Ranks (the slowest of each minute), rates ──► OTLP bytes ──► Outbox ──► receiver
//!  received spans ────────┘                                                     (4 at a time, bounded, tried again)
//!                          │
//!                          └──► counts, links, hops, what is expected of traces ──► the report
//! ```
//!
//! A trace is one iteration. Whether it is sent is decided when it has ended, so that what failed and what was slow
//! is never missed; only the sampled share and the first iterations of a cell are decided at the start, since router
//! and controller must be asked to record them. Nothing here can make the run wait: what has no room is dropped,
//! counted and reported.

mod cell;
mod check;
mod config;
mod counts;
mod encode;
mod error;
mod exemplar;
mod google;
mod hops;
mod judge;
mod keep;
mod listen;
mod live;
mod outbox;
mod parts;
mod points;
mod rank;
mod raw;
mod send;
mod target;
mod worker;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

pub use cell::{CellPlan, OperationPlan};
pub use check::{Checked, check};
pub use config::{Config, Settings, resolve};
pub use error::TelemetryError;
pub use google::GoogleSettings;
pub use keep::{Keep, KeepError, MaxRate, Propagate, Sampling};
pub use points::BucketKind;
pub use target::{Compression, Protocol, Signal, TargetConfig, Tls};

use crate::metrics::{SampleSink, Summary, TelemetrySummary};
use crate::trace::{Finished, ServiceTracer, Tracer};
use cell::Cells;
use counts::Counts;
use encode::Clock;
use google::Google;
use listen::Listener;
use live::{Figures, Live};
use outbox::Outbox;
use points::CellSeries;
use send::Sender;
use worker::{Inputs, Order, Settled, Worker};

/// Candidates that may wait for the worker.
const CANDIDATES: usize = 8_192;
/// Pieces of work of services, and batches of received spans, that may wait for it.
const OTHERS: usize = 4_096;
/// Orders that may wait.
const ORDERS: usize = 8;
/// How long spans of router and controller may be under way when a run is over. Upstream's exporters wait 5 s for
/// a batch to fill.
const STRAGGLERS: Duration = Duration::from_secs(6);

/// What is said of the run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct About {
    /// The run's id: `service.instance.id`.
    pub run_id: String,
    /// More attributes of the resource.
    pub attributes: Vec<(String, String)>,
    /// The cells that are traced.
    pub cells: Vec<CellPlan>,
}

/// Sends the telemetry of one run. End it with [`finish`](Self::finish) or [`close`](Self::close).
#[derive(Debug)]
pub struct Telemetry {
    config: Config,
    counts: Arc<Counts>,
    cells: Arc<Cells>,
    services: mpsc::Sender<(&'static str, Finished)>,
    orders: mpsc::Sender<Order>,
    /// When figures were sent while the run went on.
    live: Live,
    listener: Option<Listener>,
    tasks: JoinSet<()>,
    targets: Vec<String>,
}

/// Takes traces of services.
#[derive(Debug)]
struct Services {
    intake: mpsc::Sender<(&'static str, Finished)>,
    counts: Arc<Counts>,
}

impl ServiceTracer for Services {
    fn finish(&self, service: &'static str, trace: Finished) {
        let size = cell::size(&trace);
        self.counts.made(size);
        if self.intake.try_send((service, trace)).is_err() {
            self.counts.dropped_busy(size);
        }
    }
}

/// The senders of both signals.
struct Senders {
    traces: Option<Arc<Sender>>,
    metrics: Option<Arc<Sender>>,
}

/// Prepares the senders; completes the configuration with what Google's metadata says.
async fn senders(config: &mut Config) -> Result<Senders, TelemetryError> {
    // The only provider that is compiled in; a second install is harmless.
    let _installed = rustls::crypto::ring::default_provider()
        .install_default()
        .is_ok();
    let google = match &config.google {
        None => None,
        Some(settings) => {
            let found = Google::find(settings, &config.environment, &config.resource).await?;
            if found.location.is_none() && config.metrics.is_some() {
                return Err(TelemetryError::Google {
                    problem: "metrics need a place, and this machine does not say where it is"
                        .to_owned(),
                    help: "name a region with `--gcp-location europe-west1`, or leave metrics out with \
                           `--otlp-signals traces`"
                        .to_owned(),
                });
            }
            let project = found.project.clone();
            let given = found.attributes();
            config
                .resource
                .retain(|(key, _)| !given.iter().any(|(other, _)| other == key));
            config.resource.extend(given);
            let url = google::TRACE_URL.replace("{project}", &project);
            config.trace_url.get_or_insert(url);
            Some(Arc::new(found))
        }
    };
    let sender = |signal: Signal, target: &Option<TargetConfig>| {
        let target = target.clone()?;
        Some(Sender::new(signal, target, google.clone()).map(Arc::new))
    };
    Ok(Senders {
        traces: sender(Signal::Traces, &config.traces).transpose()?,
        metrics: sender(Signal::Metrics, &config.metrics).transpose()?,
    })
}

impl Telemetry {
    /// Starts it: finds credentials if they are needed, listens if that is asked for. No receiver is needed yet.
    ///
    /// # Errors
    /// [`TelemetryError`]: a file or address cannot be used, or there are no credentials.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn start(mut config: Config, about: About) -> Result<Self, TelemetryError> {
        let clock = Clock::now();
        let Senders { traces, metrics } = senders(&mut config).await?;
        if !about.run_id.is_empty() {
            let instance = ("service.instance.id".to_owned(), about.run_id.clone());
            config.resource.push(instance);
        }
        config.resource.extend(about.attributes);
        let named = [&traces, &metrics].into_iter().flatten();
        let targets = named
            .map(|sender| format!("{}: {}", sender.signal().word(), sender.target()))
            .collect();
        let counts = Arc::new(Counts::default());
        let (intake, candidates) = mpsc::channel(CANDIDATES);
        let (services, of_services) = mpsc::channel(OTHERS);
        let (forward, received) = mpsc::channel(OTHERS);
        let (orders, asked) = mpsc::channel(ORDERS);
        let cells = Arc::new(Cells::new(about.cells, config.sampling, &intake, &counts));
        let out = Outbox::new(traces, metrics, &counts);
        let worker = Worker::new(
            (clock, config.buckets),
            config.resource.clone(),
            (cells.all().to_vec(), config.sampling),
            &counts,
            out,
        );
        let listener = match config.listen {
            None => None,
            Some(address) => Some(Listener::start(address, forward, &counts).await?),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(worker.run(Inputs {
            candidates,
            services: of_services,
            received,
            orders: asked,
        }));
        Ok(Self {
            config,
            live: Live::default(),
            counts,
            cells,
            services,
            orders,
            listener,
            tasks,
            targets,
        })
    }

    /// What the engine gives traces to.
    pub fn tracer(&self) -> Arc<dyn Tracer> {
        Arc::clone(&self.cells) as Arc<dyn Tracer>
    }

    /// What gets the closed windows of the run: figures are sent while it goes on.
    pub fn figures(&self) -> impl SampleSink + use<> {
        Figures::new(self.orders.clone(), self.live.clone())
    }

    /// What services such as the loopback cluster's router give theirs to.
    pub fn services(&self) -> Arc<dyn ServiceTracer> {
        Arc::new(Services {
            intake: self.services.clone(),
            counts: Arc::clone(&self.counts),
        })
    }

    /// Where spans of others are received, if they are.
    pub fn listens_on(&self) -> Option<SocketAddr> {
        self.listener.as_ref().map(Listener::address)
    }

    /// Whether spans go anywhere: to a receiver, to the report, or to be judged.
    pub fn wants_spans(&self) -> bool {
        let mut cells = self.cells.all().iter();
        self.config.traces.is_some()
            || self.listener.is_some()
            || cells.any(|cell| !cell.expectations.is_empty())
    }

    /// Whether figures go anywhere.
    pub fn wants_figures(&self) -> bool {
        self.config.metrics.is_some()
    }

    /// Traces that wait to be chosen among; beyond 8,192 they are dropped and counted as that.
    pub fn waiting(&self) -> usize {
        self.cells.all().first().map_or(0, |cell| cell.waiting())
    }

    /// Where to, in words.
    pub fn targets(&self) -> &[String] {
        &self.targets
    }

    /// Sends what is left together with the figures of the summary, and tells in the summary what became of all and
    /// whether traces are as expected.
    /// Takes at most the time that the configuration gives for it, and, if spans of others are still under way, 6 s
    /// more.
    ///
    /// # Cancel safety
    /// If dropped, what is left is not sent.
    pub async fn finish(mut self, summary: &mut Summary, others: Others) {
        if others == Others::MayBeUnderWay && self.listener.is_some() {
            tokio::time::sleep(STRAGGLERS).await;
        }
        let begun = Instant::now();
        let settled = self.settle().await;
        if settled.is_some() {
            self.last_figures(summary).await;
        }
        self.end().await;
        let mut told = self.told();
        if let Some(settled) = settled {
            told.links = settled.exemplars.links(summary);
            told.kept = settled.kept;
            told.hops = settled.hops;
            summary.take_traces(settled.traces);
        } else {
            summary.take_traces(judge::unjudged(self.cells.all()));
        }
        told.flush_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        summary.telemetry = Some(told);
    }

    /// Sends what is left, and tells what became of all.
    ///
    /// # Cancel safety
    /// If dropped, what is left is not sent.
    pub async fn close(mut self) -> TelemetrySummary {
        self.end().await;
        self.told()
    }

    /// Sends the figures as they are in the report.
    async fn last_figures(&self, summary: &Summary) {
        if !self.wants_figures() {
            return;
        }
        if self.config.google.is_some()
            && let Some(before) = self.live.last()
        {
            // Google refuses points of a series that come faster.
            tokio::time::sleep_until(before + live::GOOGLES_INTERVAL).await;
        }
        let cells = summary.cells.iter().map(CellSeries::of).collect();
        // The worker lives until it is told to finish.
        let _asked = self.orders.send(Order::Figures(cells)).await;
    }

    async fn settle(&self) -> Option<Settled> {
        let (answer, settled) = oneshot::channel();
        self.orders.send(Order::Settle(answer)).await.ok()?;
        settled.await.ok()
    }

    async fn end(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener.stop().await;
        }
        let deadline = Instant::now() + self.config.flush;
        let (answer, done) = oneshot::channel();
        if self
            .orders
            .send(Order::Finish(deadline, answer))
            .await
            .is_ok()
        {
            let _gone = done.await;
        }
        while self.tasks.join_next().await.is_some() {}
    }

    /// What became of all, as far as it has come.
    fn told(&self) -> TelemetrySummary {
        let sampling = self.config.sampling;
        TelemetrySummary {
            targets: self.targets.clone(),
            sampling: format!(
                "{} of all, and {}; told to others: {}",
                sampling.ratio, sampling.keep, sampling.propagate
            ),
            trace_url: self.config.trace_url.clone(),
            spans: self.counts.spans(),
            points: self.counts.points(),
            errors: self.counts.errors(),
            ..TelemetrySummary::default()
        }
    }
}

/// Whether spans of router and controller may still be under way when the run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// They may.
    MayBeUnderWay,
    /// They have ended and sent everything.
    AreDone,
}
