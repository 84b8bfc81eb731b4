//! Flags about results: of reports, sums, comparisons and baselines.

use std::path::PathBuf;

use clap::Args;

use super::args::Assignment;
use crate::units::Ratio;

#[derive(Debug, Args)]
pub(super) struct ReportArguments {
    /// The result: `--out json=PATH` or `--out jsonl=PATH` of a run, or `PATH.partial.jsonl`
    #[arg(value_name = "RESULT")]
    pub(super) result: PathBuf,
    /// Write a report, as for `run`; without it the text is printed; repeatable
    #[arg(
        long,
        value_name = "KIND=PATH",
        env = "SANDBENCH_OUT",
        value_delimiter = '\n'
    )]
    pub(super) out: Vec<Assignment>,
}

#[derive(Debug, Args)]
pub(super) struct MergeArguments {
    /// The results
    #[arg(required = true, num_args = 2.., value_name = "RESULT")]
    pub(super) results: Vec<PathBuf>,
    /// Write a report of the sum, as for `run`; without it the text is printed; repeatable
    #[arg(
        long,
        value_name = "KIND=PATH",
        env = "SANDBENCH_OUT",
        value_delimiter = '\n'
    )]
    pub(super) out: Vec<Assignment>,
}

#[derive(Debug, Args)]
pub(super) struct BaselineArguments {
    /// Compare with the run that was kept under this name
    #[arg(long, env = "SANDBENCH_BASELINE", value_name = "NAME")]
    pub(super) baseline: Option<String>,
    /// Keep this run under a name, as `DIR/NAME.json`
    #[arg(long, env = "SANDBENCH_SAVE_BASELINE", value_name = "NAME")]
    pub(super) save_baseline: Option<String>,
    /// Where baselines are kept
    #[arg(
        long,
        env = "SANDBENCH_BASELINE_DIR",
        value_name = "DIR",
        default_value = "reports/baselines"
    )]
    pub(super) baseline_dir: PathBuf,
    /// Exit with 98 when a figure is worse than that of `--baseline`, or else of `compare`
    #[arg(long, env = "SANDBENCH_FAIL_ON_REGRESSION")]
    pub(super) fail_on_regression: bool,
}

#[derive(Debug, Args)]
pub(super) struct CompareArguments {
    /// Results, the baseline first (`run --out json=PATH` writes them); several runs of one side, each
    /// a sample, with commas: `old1.json,old2.json new1.json,new2.json`
    #[arg(required = true, value_name = "RESULT", num_args = 2..)]
    pub(super) results: Vec<String>,
    /// What is compared, `exec_duration p95`; repeatable; default: what the results compare themselves,
    /// or else the medians of creating, executing, writing, reading and of whole iterations
    #[arg(
        long,
        env = "SANDBENCH_METRIC",
        value_name = "METRIC",
        value_delimiter = '\n'
    )]
    pub(super) metric: Vec<String>,
    /// A difference is shown when its p, corrected for all tests, is below this
    #[arg(long, env = "SANDBENCH_ALPHA", value_name = "P", default_value = "0.05",
        value_parser = probability)]
    pub(super) alpha: f64,
    /// The least difference that is shown
    #[arg(
        long,
        env = "SANDBENCH_MIN_EFFECT",
        value_name = "SHARE",
        default_value = "1%"
    )]
    pub(super) min_effect: Ratio,
    /// Exit with 98 when a figure is worse than the baseline's
    #[arg(long, env = "SANDBENCH_FAIL_ON_REGRESSION")]
    pub(super) fail_on_regression: bool,
    /// Write a report of the last result with these comparisons: `json=PATH`; repeatable
    #[arg(
        long,
        value_name = "KIND=PATH",
        env = "SANDBENCH_OUT",
        value_delimiter = '\n'
    )]
    pub(super) out: Vec<Assignment>,
}

/// More than 0, less than 1.
fn probability(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    let number = number.filter(|number| 0.0 < *number && *number < 1.0);
    number.ok_or_else(|| "a number more than 0 and less than 1".to_owned())
}
