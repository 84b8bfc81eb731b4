//! [`Question`]: what a comparison asks.

use crate::metrics::ComparedMetric;

/// What a scenario's `compare` asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The scenario.
    pub scenario: String,
    /// The axis of its matrix that is the question; the others become rows.
    pub across: String,
    /// The value of the axis that the others are compared with.
    pub baseline: String,
    /// How often every cell runs.
    pub rounds: u32,
    /// What is compared, one row each.
    pub metrics: Vec<ComparedMetric>,
    /// A difference is shown when its p, after Holm, is below this: 0 to 1.
    pub alpha: f64,
    /// The least difference that is shown: 0.05 is 5 %.
    pub min_effect: f64,
}
