//! From samples to standings: tests of all rows, Holm's correction, then what each comes to.

use std::collections::BTreeMap;

use super::independent::{self, independent};
use super::paired::{self, centre, paired};
use super::{CONFIDENCE, Estimate};
use crate::metrics::{
    Better, Caveat, ComparedCell, ComparedMetric, Comparison, ComparisonRow, Design, SampleUnit,
    Standing,
};

/// The samples of a comparison, not yet judged.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) scenario: String,
    pub(super) across: String,
    /// The baseline first.
    pub(super) columns: Vec<String>,
    pub(super) load: String,
    pub(super) sample: SampleUnit,
    pub(super) design: Design,
    pub(super) planned: u32,
    pub(super) done: u32,
    pub(super) alpha: f64,
    pub(super) min_effect: f64,
    pub(super) rows: Vec<DraftRow>,
    pub(super) caveats: Vec<Caveat>,
}

/// One metric over all columns.
#[derive(Debug)]
pub(super) struct DraftRow {
    pub(super) matrix: BTreeMap<String, String>,
    pub(super) metric: ComparedMetric,
    /// In the order of the columns: the name of the cell and what it has.
    pub(super) cells: Vec<(String, Samples)>,
}

/// The samples of a cell by their round, or why there are none.
pub(super) type Samples = Result<BTreeMap<u32, f64>, String>;

/// What came of one cell of a row.
#[derive(Debug, Clone)]
enum Tested {
    Baseline,
    Test(Estimate),
    Nothing(String),
}

impl Draft {
    /// Makes the tests and says what they come to.
    pub(super) fn judge(self) -> Comparison {
        let tested: Vec<Vec<Tested>> = self.rows.iter().map(|row| self.test(row)).collect();
        let p: Vec<f64> = tested
            .iter()
            .flatten()
            .filter_map(|tested| match tested {
                Tested::Test(estimate) => Some(estimate.p),
                Tested::Baseline | Tested::Nothing(_) => None,
            })
            .collect();
        let tests = u32::try_from(p.len()).unwrap_or(u32::MAX);
        let mut corrected = holm(&p).into_iter();
        let mut rows = Vec::with_capacity(self.rows.len());
        for (row, tested) in self.rows.iter().zip(tested) {
            let cells = row.cells.iter().zip(&self.columns).zip(tested);
            let cells = cells.map(|(((cell, samples), column), tested)| {
                let p_holm = match &tested {
                    Tested::Test(_) => corrected.next(),
                    Tested::Baseline | Tested::Nothing(_) => None,
                };
                let mut found = self.found(row.metric.better(), tested, p_holm, tests);
                found.column.clone_from(column);
                found.cell.clone_from(cell);
                let values: Vec<f64> = samples
                    .iter()
                    .flat_map(|all| all.values().copied())
                    .collect();
                if let Some((value, interval)) = centre(&values) {
                    found.value = Some(value);
                    found.value_interval = interval;
                }
                if found.standing == Standing::Baseline {
                    found.samples = u32::try_from(values.len()).unwrap_or(u32::MAX);
                }
                found
            });
            rows.push(ComparisonRow {
                matrix: row.matrix.clone(),
                metric: row.metric.to_string(),
                unit: row.metric.unit(),
                better: row.metric.better(),
                cells: cells.collect(),
            });
        }
        Comparison {
            needed: needed(tests.max(1), self.alpha, self.design),
            method: method(self.design, self.sample),
            scenario: self.scenario,
            across: self.across,
            columns: self.columns,
            load: self.load,
            sample: self.sample,
            design: self.design,
            planned: self.planned,
            done: self.done,
            alpha: self.alpha,
            min_effect: self.min_effect,
            confidence: CONFIDENCE,
            tests,
            rows,
            caveats: self.caveats,
        }
    }

    fn test(&self, row: &DraftRow) -> Vec<Tested> {
        let Some((_, baseline)) = row.cells.first() else {
            return Vec::new();
        };
        let others = row.cells.iter().skip(1).map(|(_, samples)| {
            let (baseline, samples) = match (baseline, samples) {
                (_, Err(reason)) => return Tested::Nothing(reason.clone()),
                (Err(reason), _) => {
                    return Tested::Nothing(format!("the baseline has no value: {reason}"));
                }
                (Ok(baseline), Ok(samples)) => (baseline, samples),
            };
            let estimate = match self.design {
                Design::Paired => {
                    let pairs = baseline
                        .iter()
                        .filter_map(|(round, from)| Some((*from, *samples.get(round)?)));
                    paired(&pairs.collect::<Vec<_>>())
                }
                Design::Independent => {
                    let values = |samples: &BTreeMap<u32, f64>| {
                        samples.values().copied().collect::<Vec<_>>()
                    };
                    independent(&values(baseline), &values(samples))
                }
            };
            estimate.map_or_else(
                || Tested::Nothing("no round that both ended".to_owned()),
                Tested::Test,
            )
        });
        let first = baseline.as_ref().map_or_else(
            |reason| Tested::Nothing(reason.clone()),
            |_| Tested::Baseline,
        );
        std::iter::once(first).chain(others).collect()
    }

    /// Without names and value.
    fn found(
        &self,
        better: Better,
        tested: Tested,
        p_holm: Option<f64>,
        tests: u32,
    ) -> ComparedCell {
        let mut cell = ComparedCell {
            column: String::new(),
            cell: String::new(),
            standing: Standing::NotApplicable,
            value: None,
            value_interval: None,
            ratio: None,
            ratio_interval: None,
            p: None,
            p_holm,
            samples: 0,
            reason: None,
        };
        match tested {
            Tested::Baseline => cell.standing = Standing::Baseline,
            Tested::Nothing(reason) => cell.reason = Some(reason),
            Tested::Test(estimate) => {
                cell.ratio = Some(estimate.ratio);
                cell.ratio_interval = estimate.interval;
                cell.p = Some(estimate.p);
                cell.samples = estimate.samples;
                let shown = p_holm.is_some_and(|p| p < self.alpha)
                    && (estimate.ratio - 1.0).abs() >= self.min_effect;
                cell.standing = if estimate.least_p * f64::from(tests) >= self.alpha {
                    Standing::TooFew
                } else if !shown {
                    Standing::NotShown
                } else if (estimate.ratio > 1.0) == (better == Better::Lower) {
                    Standing::Worse
                } else {
                    Standing::Better
                };
            }
        }
        cell
    }
}

/// The test, the estimate and the correction in words.
fn method(design: Design, sample: SampleUnit) -> String {
    let unit = match sample {
        SampleUnit::Round => "round",
        SampleUnit::Run => "run",
    };
    let test = match design {
        Design::Paired => "Wilcoxon signed-rank test of pairs",
        Design::Independent => "Wilcoxon rank-sum test",
    };
    format!("{test}, one sample per {unit}; ratio by Hodges and Lehmann; p after Holm")
}

/// Holm's corrected p of each p, in their order: the step-down form of Bonferroni's correction.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut corrected = vec![1.0; p.len()];
    let mut worst: f64 = 0.0;
    for (before, at) in order.iter().enumerate() {
        worst = worst.max((p.len() - before) as f64 * p[*at]).min(1.0);
        corrected[*at] = worst;
    }
    corrected
}

/// The most samples that [`needed`] looks at: beyond that many no `alpha` above 0 asks.
const MOST_NEEDED: u32 = 2_000;

/// How many samples per column it takes before any of so many tests can show a difference: where the
/// smallest p that they can have, times the tests, is below `alpha`.
pub fn needed(tests: u32, alpha: f64, design: Design) -> u32 {
    let least = |samples: u32| match design {
        Design::Paired => paired::least_p(samples),
        Design::Independent => independent::least_p(samples as usize, samples as usize),
    };
    (1..MOST_NEEDED)
        .find(|samples| f64::from(tests) * least(*samples) < alpha)
        .unwrap_or(MOST_NEEDED)
}
