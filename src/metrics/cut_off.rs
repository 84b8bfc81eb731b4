//! The summary of a run that did not come to its end, made of what it had written until then.

use std::collections::BTreeMap;

use super::aggregate::CellCounts;
use super::collected::Collection;
use super::doubt::{Doubt, Generator};
use super::leaks::Leaks;
use super::summary::{
    CellSummary, FORMAT_VERSION, FailureGroup, RunInfo, StepSummary, Summary, Verdict,
};
use super::warning::Warning;
use super::window::WindowSummary;

/// What is known of a cell of such a run.
#[derive(Debug, Clone)]
pub struct CellFigures {
    /// `scenario[axis=value]`.
    pub cell: String,
    /// Its scenario.
    pub scenario: String,
    /// Its combination of the matrix.
    pub matrix: BTreeMap<String, String>,
    /// Its load model in words.
    pub load: String,
    /// Iterations that were asked for, if that was known.
    pub planned: Option<u64>,
    /// When it started, in milliseconds from the start of the run.
    pub started_ms: u64,
    /// Its steps.
    pub steps: Vec<StepSummary>,
    /// Its windows, in their order.
    pub windows: Vec<WindowSummary>,
}

impl CellFigures {
    fn summary(self) -> CellSummary {
        let mut whole = WindowSummary::default();
        self.windows.iter().for_each(|window| whole.extend(window));
        let widths = self
            .windows
            .iter()
            .map(|w| w.to_ms.saturating_sub(w.from_ms));
        let mut windows = self.windows.clone();
        for window in &mut windows {
            window.metrics.retain(|series| series.step.is_none());
        }
        let mut summary = CellSummary {
            scenario: self.scenario,
            cell: self.cell,
            matrix: self.matrix,
            verdict: Verdict::Interrupted,
            not_applicable: None,
            load: self.load,
            vus: u32::try_from(whole.in_flight_max).unwrap_or(u32::MAX),
            iterations_planned: self.planned,
            iterations_passed: 0,
            iterations_failed: 0,
            iterations_interrupted: 0,
            iterations_dropped: 0,
            iterations_warmup: 0,
            started_ms: self.started_ms,
            duration_ms: whole.to_ms,
            steps: self.steps,
            metrics: whole.metrics,
            breakpoint: None,
            window_ms: widths.max().unwrap_or(0),
            windows,
            rounds: Vec::new(),
        };
        summary.set_counts(CellCounts {
            passed: whole.iterations.saturating_sub(whole.failures),
            failed: whole.failures,
            // Those that were in flight have not ended by themselves.
            interrupted: whole.interrupted + whole.in_flight,
            dropped: whole.dropped,
        });
        if summary.verdict == Verdict::Passed {
            summary.verdict = Verdict::Interrupted;
        }
        summary
    }
}

impl Summary {
    /// Of a run that was cut off: everything that it had written.
    pub fn cut_off(mut run: RunInfo, cells: Vec<CellFigures>, failures: Vec<FailureGroup>) -> Self {
        let cells: Vec<CellSummary> = cells.into_iter().map(CellFigures::summary).collect();
        let ends = cells.iter().map(|cell| cell.started_ms + cell.duration_ms);
        run.duration_ms = ends.max().unwrap_or(0);
        let warnings = vec![Warning::CutOff {
            after_ms: run.duration_ms,
        }];
        let leaks = leaks(&run);
        Self {
            format_version: FORMAT_VERSION,
            verdict: Verdict::Interrupted,
            run,
            cells,
            thresholds: Vec::new(),
            traces: Vec::new(),
            comparisons: Vec::new(),
            failures,
            collected: Collection::default(),
            leaks,
            doubt: Doubt::of(&warnings),
            generator: Generator::default(),
            warnings,
            telemetry: None,
        }
    }
}

/// What such a run left in a cluster nobody has looked for; the loopback cluster ended with it.
fn leaks(run: &RunInfo) -> Leaks {
    let RunInfo {
        id,
        cluster,
        namespace,
        ..
    } = run;
    if cluster == "loopback" {
        return Leaks::default();
    }
    Leaks {
        unknown: Some("the run was cut off before its clean-up".to_owned()),
        reap: Some(format!(
            "sandbench reap --run {id} --cluster '{cluster}' --namespace {namespace}"
        )),
        ..Leaks::default()
    }
}
