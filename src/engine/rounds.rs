//! Cells in rounds: in each, every cell of a scenario runs its whole load once, one at a time, in an
//! order that is shuffled for that round. What changes over the run meets all of them alike.

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use tokio::time::Instant;

use super::cancel::{Cancel, Phase};
use super::cell::CellRun;
use super::error::EngineError;
use super::event::RunEvent;
use super::fixture;
use super::overseer::steps;
use super::windows::Windows;
use crate::metrics::{
    CellCounts, CellSummary, ComparedMetric, Metric, RoundFacts, RoundSummary, StepIndex, Verdict,
};

/// The stream of randomness of the orders: none that an iteration or an arrival has.
const ORDER: u64 = u64::MAX - 2;

/// A cell, what is asked of its rounds, and what they gave so far.
struct Block {
    run: CellRun,
    asked: Vec<(ComparedMetric, Option<Vec<StepIndex>>)>,
    ended: Vec<CellSummary>,
    rounds: Vec<RoundSummary>,
    /// From its first round to its last.
    windows: Option<Windows>,
}

/// Runs cells one after the other, those of a scenario that has rounds in its rounds.
pub(super) async fn one_after_the_other(
    cells: Vec<CellRun>,
    cancel: &Cancel,
) -> Result<Vec<CellSummary>, EngineError> {
    let mut ended = Vec::with_capacity(cells.len());
    let mut cells = cells.into_iter().peekable();
    while let Some(cell) = cells.next() {
        if cell.cell.rounds.is_none() {
            ended.push(fixture::run(cell, cancel.clone()).await?);
            continue;
        }
        let scenario = cell.cell.scenario.clone();
        let mut block = vec![cell];
        while let Some(cell) = cells.next_if(|cell| cell.cell.scenario == scenario) {
            block.push(cell);
        }
        // Boxed, since this one stands in the state of every lane.
        ended.extend(Box::pin(run(block, cancel)).await?);
    }
    Ok(ended)
}

/// Runs the cells of a scenario in its rounds and gives each one's figures over all of them. Stops
/// between two cells when the run does.
async fn run(cells: Vec<CellRun>, cancel: &Cancel) -> Result<Vec<CellSummary>, EngineError> {
    let started = Instant::now();
    let mut blocks: Vec<Block> = cells.into_iter().map(Block::new).collect();
    let of = blocks
        .iter()
        .filter_map(|block| block.run.cell.rounds.as_ref());
    let of = of.map(|rounds| rounds.count).max().unwrap_or(0);
    for round in 1..=of {
        if cancel.phase() != Phase::Running {
            break;
        }
        if let Some(block) = blocks.first() {
            block.run.events.tell(RunEvent::RoundStarted {
                scenario: block.run.cell.scenario.clone(),
                round,
                of,
            });
        }
        for (position, place) in (1_u32..).zip(order(&blocks, round)) {
            if cancel.phase() == Phase::Running {
                blocks[place]
                    .run(round, position, (started, cancel))
                    .await?;
            }
        }
    }
    let mut summaries = Vec::with_capacity(blocks.len());
    for block in blocks {
        summaries.push(block.finish(of).await?);
    }
    Ok(summaries)
}

/// The places of the cells in the order of a round.
fn order(blocks: &[Block], round: u32) -> Vec<usize> {
    let mut places: Vec<usize> = (0..blocks.len()).collect();
    if let Some(block) = blocks.first() {
        let seed = block.run.plan.seed.of_round(round);
        let seed = seed.stream(&block.run.cell.scenario, ORDER);
        places.shuffle(&mut StdRng::seed_from_u64(seed));
    }
    places
}

impl Block {
    fn new(run: CellRun) -> Self {
        let names = run.cell.step_names();
        let asked = run
            .cell
            .rounds
            .iter()
            .flat_map(|rounds| rounds.asked.iter());
        let asked = asked.map(|(metric, series)| (metric.clone(), steps(series, &names)));
        Self {
            asked: asked.collect(),
            run,
            ended: Vec::new(),
            rounds: Vec::new(),
            windows: None,
        }
    }

    /// Runs the cell in one round. What its runtime cannot do it cannot do in the next round either.
    async fn run(
        &mut self,
        round: u32,
        position: u32,
        (started, cancel): (Instant, &Cancel),
    ) -> Result<(), EngineError> {
        let known = self.ended.last().map(|summary| summary.verdict);
        if known == Some(Verdict::NotApplicable) {
            return Ok(());
        }
        if self.windows.is_none() {
            self.run.started = Instant::now();
            self.windows = self.run.begin_windows();
        }
        let run = self.run.of_round(round);
        let before = Arc::clone(&run.before);
        let begun = started.elapsed();
        let summary = fixture::run(run, cancel.clone()).await?;
        let figures = self.run.aggregate().lock().since(&before);
        let facts = RoundFacts {
            round,
            position,
            started: begun,
            took: Duration::from_millis(summary.duration_ms),
            counts: counts(&summary),
            whole: matches!(summary.verdict, Verdict::Passed | Verdict::Failed)
                && summary.iterations_interrupted == 0,
            not_applicable: summary.not_applicable.clone(),
        };
        self.rounds
            .push(RoundSummary::of(facts, &figures, &self.asked));
        self.ended.push(summary);
        Ok(())
    }

    /// The figures over all rounds.
    async fn finish(self, of: u32) -> Result<CellSummary, EngineError> {
        let ended = self.ended;
        let sum = |value: fn(&CellSummary) -> u64| ended.iter().map(value).sum::<u64>();
        let any = |verdict| ended.iter().any(|round| round.verdict == verdict);
        let mut whole = self.run.summary(None);
        self.run.end_windows(self.windows, &mut whole).await?;
        whole.vus = ended.iter().map(|round| round.vus).max().unwrap_or(0);
        whole.duration_ms = sum(|round| round.duration_ms);
        whole.set_counts(CellCounts {
            passed: sum(|round| round.iterations_passed),
            failed: sum(|round| round.iterations_failed),
            interrupted: sum(|round| round.iterations_interrupted),
            dropped: sum(|round| round.iterations_dropped),
        });
        let fixtures = sum(|round| round.counter(Metric::SetupFailures));
        if fixtures > 0 {
            whole.count(Metric::SetupFailures, fixtures);
        }
        let missing = ended.len() < of as usize;
        if any(Verdict::Failed) {
            whole.verdict = Verdict::Failed;
        } else if whole.verdict == Verdict::Passed && (missing || any(Verdict::Interrupted)) {
            whole.verdict = Verdict::Interrupted;
        }
        let mut reasons = ended
            .iter()
            .filter_map(|round| round.not_applicable.as_ref());
        if let Some(why) = reasons.next() {
            whole.not_applicable(why);
        }
        whole.rounds = self.rounds;
        Ok(whole)
    }
}

fn counts(summary: &CellSummary) -> CellCounts {
    CellCounts {
        passed: summary.iterations_passed,
        failed: summary.iterations_failed,
        interrupted: summary.iterations_interrupted,
        dropped: summary.iterations_dropped,
    }
}
