//! Samples in, summary out; no I/O.
//!
//! ```text
//! Sample ──► Recorder (one per VU or slot)   ──after each iteration──► Aggregate (one per cell)
//!                                                                          │ histograms per series
//!                                                                          ▼
//!                                                                       Summary
//! ```
//!
//! An iteration writes into a buffer that is its own while it runs: no lock and no allocation per sample. The buffer is emptied into
//! the cell's histograms between iterations, so memory depends on series, never on samples.

mod aggregate;
mod comparison;
mod doubt;
mod histogram;
mod metric;
mod recorder;
mod round;
mod summary;
mod threshold;
mod threshold_judge;
mod threshold_parse;
mod threshold_window;
mod warning;

pub use aggregate::{Aggregate, CellCounts, SharedAggregate};
pub use comparison::{
    Better, Caveat, ComparedCell, Comparison, ComparisonRow, Design, Interval, RunFact, SampleUnit,
    Standing, ValueUnit,
};
pub use doubt::{Doubt, Generator, Reliability};
pub use histogram::{Histogram, HistogramError};
pub use metric::{Kind, Metric, Unit};
pub use recorder::{Figures, Recorder, StepIndex};
pub use round::{ComparedMetric, RoundFacts, RoundSummary, RoundTrend};
pub use summary::{
    CellSummary, FailureGroup, Leaks, MetricSummary, Place, RunInfo, Statistics, Summary, Verdict,
};
pub use threshold::{
    Condition, Observed, OnFail, Operator, Outcome, Quantity, Selector, Statistic, Threshold,
    ThresholdError, ThresholdResult, Window,
};
pub use threshold_judge::Series;
pub use threshold_window::Sliding;
pub use warning::Warning;

pub use summary::FORMAT_VERSION;
pub(crate) use summary::{humanise, humanise_millis};
