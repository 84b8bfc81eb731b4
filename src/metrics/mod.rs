//! Samples in, summary out; no I/O.
//!
//! ```text
//! Sample ──► Recorder (one per VU or slot)   ──after each iteration──► Aggregate (one per cell)
//!                                                                          │ histograms per series
//!                     SampleSink, Timeline ◄──each second── ClosedWindow ◄─┤
//!                                                                          ▼
//!                                                                       Summary
//! ```
//!
//! An iteration writes into a buffer that is its own while it runs: no lock and no allocation per sample. The buffer is emptied into
//! the cell's histograms between iterations, so memory depends on series, never on samples.

mod aggregate;
mod breakpoint;
mod collected;
mod comparison;
mod counts;
mod cut_off;
mod doubt;
mod doubt_of_cell;
mod encoded_histogram;
mod histogram;
mod hop;
mod label;
mod leaks;
mod merge;
mod metric;
mod recorder;
mod round;
mod series;
mod shared;
mod sink;
mod summary;
mod telemetry;
mod threshold;
mod threshold_judge;
mod threshold_parse;
mod threshold_window;
mod trace_expectation;
mod trace_expectation_text;
mod track;
mod warning;
mod warning_kinds;
mod window;

pub use aggregate::{Aggregate, CellCounts, Key};
pub use breakpoint::{BreakpointSummary, Finding, LevelSummary, LevelVerdict};
pub use collected::{Collected, Collection};
pub use comparison::{
    Better, Caveat, ComparedCell, Comparison, ComparisonRow, Design, Interval, RunFact, SampleUnit,
    Standing, ValueUnit,
};
pub use cut_off::CellFigures;
pub use doubt::{Doubt, Generator, Machine, Reliability};
pub use encoded_histogram::{EncodedHistogram, HistogramError};
pub use histogram::Histogram;
pub(crate) use histogram::nanos;
pub use hop::{Hop, HopKind};
pub use label::{Cause, Label, LaunchType};
pub use leaks::Leaks;
pub use merge::MergeError;
pub use metric::{Grain, Kind, Metric, ServerClock, Unit};
pub use recorder::{Figures, Recorder, StepIndex};
pub use round::{ComparedMetric, RoundFacts, RoundSummary, RoundTrend};
pub use series::{MetricSummary, Statistics};
pub use shared::{SharedAggregate, Total};
pub use sink::{CellFacts, SampleSink, Sinks};
pub use summary::{
    CellSummary, FailureGroup, FlowControl, Place, RunInfo, StepSummary, Summary, Verdict,
};
pub use telemetry::{ExportError, ExportedPoints, ExportedSpans, TelemetrySummary, TraceLink};
pub use threshold::{
    Condition, Observed, OnFail, Operator, Outcome, Quantity, Selector, Statistic, Threshold,
    ThresholdError, ThresholdResult, Window,
};
pub use threshold_judge::Series;
pub use threshold_window::Sliding;
pub use trace_expectation::{
    Expected, Found, OWN_SERVICE, Presence, Took, TraceExpectation, TraceResult, Under,
};
pub use track::UnderWay;
pub use warning::Warning;
pub use window::{ClosedWindow, Timeline, WindowSummary};

pub use summary::FORMAT_VERSION;
pub(crate) use summary::{humanise, humanise_millis};
