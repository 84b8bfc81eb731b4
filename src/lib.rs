//! **sandbench** verifies, load-tests and traces Kubernetes Agent Sandboxes.
//!
//! ```text
//!  YAML text ──scenario::parse──► Scenario ──plan::resolve──► Plan ──engine::run──► Iteration
//!                 (spans)          as written    (seed, all      immutable            │ steps run
//!                                                values known)                        ▼
//!  bytes ◄──report::render── Summary ◄──Aggregate::finish── windows ◄──Recorder── Sample
//!    │                          │        (merge, quantiles)   of HDR histograms     (planned, started, ended)
//!    ▼                          └──────► Verdict ──► exit code
//!  reports
//! ```
//!
//! Data flows one way; who may import whom is a table in `tests/it/architecture.rs`.
//! With `default-features = false, features = ["client"]` only [`client`], [`api`] and [`units`]
//! are compiled: a complete Agent Sandbox client for other programs.

pub mod units;

#[cfg(any(feature = "client", feature = "loopback"))]
pub mod api;

#[cfg(any(feature = "client", feature = "loopback"))]
pub mod trace;

#[cfg(feature = "client")]
pub mod client;

#[cfg(feature = "loopback")]
pub mod loopback;

#[cfg(feature = "harness")]
pub mod compare;
#[cfg(feature = "harness")]
pub mod engine;
#[cfg(feature = "harness")]
pub mod expr;
#[cfg(feature = "harness")]
pub mod load;
#[cfg(feature = "harness")]
pub mod metrics;
#[cfg(feature = "harness")]
pub mod plan;
#[cfg(feature = "harness")]
pub mod report;
#[cfg(feature = "harness")]
pub mod scenario;
#[cfg(feature = "harness")]
pub mod source;
#[cfg(feature = "harness")]
pub mod step;
#[cfg(feature = "otlp")]
pub mod telemetry;

#[cfg(all(feature = "harness", feature = "loopback", feature = "otlp"))]
pub mod cli;
