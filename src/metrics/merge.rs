//! Adding the results of several generators that ran the same scenario: exact to the bucket.
//!
//! Counts and histograms add up. Windows add up by their place in time, counted from the start of the
//! cell in each part, at the widest of the parts' widths. Thresholds are judged anew on the sum, those
//! with a window excepted: they missed their limit where any part did, and so with what is expected of traces.

use std::collections::BTreeMap;

use super::aggregate::CellCounts;
use super::doubt::{Doubt, Generator, Machine};
use super::leaks::Leaks;
use super::metric::Metric;
use super::summary::{CellSummary, FailureGroup, RunInfo, Summary, Verdict};
use super::threshold::{
    Condition, Observed, OnFail, Outcome, Selector, Threshold, ThresholdResult,
};
use super::threshold_judge::Series;
use super::trace_expectation::TraceResult;
use super::warning::Warning;
use super::window::WindowSummary;

/// Why results cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// There is nothing to add.
    #[error("there is no result to merge")]
    Nothing,
    /// They are not of the same scenario.
    #[error("the results are not of the same scenario: `{one}` and `{other}` differ in {what}")]
    Different {
        /// Run id of the first one.
        one: String,
        /// Run id of the other one.
        other: String,
        /// In what.
        what: &'static str,
    },
    /// Each of them searched by itself, on a system that the others loaded too.
    #[error(
        "the breakpoints of `{cell}` cannot be added: each generator has looked for one by itself"
    )]
    Breakpoint {
        /// The cell.
        cell: String,
    },
    /// The same result twice would count everything twice.
    #[error("the run `{id}` is there twice")]
    Twice {
        /// Its id.
        id: String,
    },
}

impl Summary {
    /// Adds results.
    ///
    /// # Errors
    /// [`MergeError`]: they cannot be added.
    pub fn merge(parts: Vec<Self>) -> Result<Self, MergeError> {
        let mut parts = parts.into_iter();
        let mut whole = parts.next().ok_or(MergeError::Nothing)?;
        if whole.run.parts.is_empty() {
            whole.run.parts = vec![whole.run.id.clone()];
        }
        for part in parts {
            whole.add(part)?;
        }
        whole.run.id = whole.run.parts.join("+");
        whole.judge();
        Ok(whole)
    }

    fn add(&mut self, part: Self) -> Result<(), MergeError> {
        let differ = |what| MergeError::Different {
            one: self.run.id.clone(),
            other: part.run.id.clone(),
            what,
        };
        if self.run.file_sha256 != part.run.file_sha256 {
            return Err(differ("the text of the scenario file"));
        }
        if self.run.vars != part.run.vars {
            return Err(differ("the variables"));
        }
        if self.run.cluster != part.run.cluster {
            return Err(differ("the cluster"));
        }
        let searched = part.cells.iter().find(|cell| cell.breakpoint.is_some());
        if let Some(cell) = searched {
            return Err(MergeError::Breakpoint {
                cell: cell.cell.clone(),
            });
        }
        let ids = if part.run.parts.is_empty() {
            vec![part.run.id.clone()]
        } else {
            part.run.parts.clone()
        };
        if let Some(id) = ids.iter().find(|id| self.run.parts.contains(id)) {
            return Err(MergeError::Twice { id: id.clone() });
        }
        self.run.parts.extend(ids);
        self.run.add(&part.run);
        for cell in part.cells {
            match self.cells.iter_mut().find(|known| known.cell == cell.cell) {
                Some(known) => known.add(&cell),
                None => self.cells.push(cell),
            }
        }
        self.collected.add(part.collected);
        for failure in part.failures {
            add_failure(&mut self.failures, failure);
        }
        self.thresholds.extend(part.thresholds);
        for result in part.traces {
            let same = |known: &&mut TraceResult| {
                known.cell == result.cell && known.expectation == result.expectation
            };
            match self.traces.iter_mut().find(same) {
                Some(known) => known.add(result),
                None => self.traces.push(result),
            }
        }
        self.comparisons.clear();
        self.leaks.add(&part.leaks);
        self.generator.add(&part.generator);
        match (&mut self.telemetry, part.telemetry) {
            (Some(known), Some(more)) => known.add(more),
            (known, more) => *known = known.take().or(more),
        }
        for warning in part.warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
        Ok(())
    }

    /// What follows from the sums.
    fn judge(&mut self) {
        self.failures
            .sort_by_key(|group| std::cmp::Reverse(group.count));
        let results = std::mem::take(&mut self.thresholds);
        for result in results {
            let same = |known: &&mut ThresholdResult| {
                known.cell == result.cell && known.threshold == result.threshold
            };
            match self.thresholds.iter_mut().find(same) {
                Some(known) if known.outcome == Outcome::Failed => {}
                Some(known) if result.outcome == Outcome::Failed => *known = result,
                Some(_) => {}
                None => self.thresholds.push(result),
            }
        }
        for result in &mut self.thresholds {
            let cell = self.cells.iter().find(|cell| cell.cell == result.cell);
            if let Some(again) = cell.and_then(|cell| judged(result, cell)) {
                *result = again;
            }
        }
        let enough = |cell: &String| {
            let found = self.cells.iter().find(|found| found.cell == *cell);
            found.is_some_and(|cell| cell.iterations_passed + cell.iterations_failed >= 100)
        };
        self.warnings.retain_mut(|warning| match warning {
            Warning::FewSamples { cells, .. } => {
                cells.retain(|cell| !enough(cell));
                !cells.is_empty()
            }
            _ => true,
        });
        self.doubt = Doubt::of(&self.warnings);
        let any = |verdict| self.cells.iter().any(|cell| cell.verdict == verdict);
        self.verdict = if any(Verdict::Failed) || self.misses_a_limit() {
            Verdict::Failed
        } else if any(Verdict::Interrupted) {
            Verdict::Interrupted
        } else if any(Verdict::Passed) {
            Verdict::Passed
        } else {
            Verdict::NotApplicable
        };
    }
}

/// A threshold judged by the sum; none for those that only its own run can judge.
fn judged(result: &ThresholdResult, cell: &CellSummary) -> Option<ThresholdResult> {
    if result.window.is_some() || result.stopped_at_ms.is_some() {
        return None;
    }
    let (selector, condition) = result.threshold.split_once(": ")?;
    let selector: Selector = selector.parse().ok()?;
    let condition: Condition = condition.parse().ok()?;
    let series = match &result.steps {
        Some(steps) => Series::Steps(steps.clone()),
        None => Series::All,
    };
    let threshold = Threshold {
        selector,
        condition,
        window: None,
        on_fail: OnFail::GoOn,
    };
    let figures = Observed::of_cell(cell, &threshold.selector, &series);
    let (outcome, measured) = threshold.evaluate(&figures);
    Some(ThresholdResult {
        outcome,
        measured,
        ..result.clone()
    })
}

fn add_failure(groups: &mut Vec<FailureGroup>, failure: FailureGroup) {
    let same = |known: &&mut FailureGroup| {
        known.cell == failure.cell && known.place == failure.place && known.cause == failure.cause
    };
    match groups.iter_mut().find(same) {
        None => groups.push(failure),
        Some(known) => {
            known.count += failure.count;
            known.first_ms = known.first_ms.min(failure.first_ms);
            known.last_ms = known.last_ms.max(failure.last_ms);
        }
    }
}

impl RunInfo {
    fn add(&mut self, other: &Self) {
        self.duration_ms = self.duration_ms.max(other.duration_ms);
        self.cores += other.cores;
        // RFC 3339 in UTC sorts as text.
        if other.started_at < self.started_at {
            self.started_at.clone_from(&other.started_at);
        }
        if other.machine != self.machine && !self.machine.contains(&other.machine) {
            self.machine = format!("{}, {}", self.machine, other.machine);
        }
    }
}

impl CellSummary {
    fn add(&mut self, other: &Self) {
        let verdict = |cell: &Self| match cell.verdict {
            Verdict::Failed => 3,
            Verdict::Interrupted => 2,
            Verdict::Passed => 1,
            Verdict::NotApplicable => 0,
        };
        let worse = if verdict(other) > verdict(self) {
            other.verdict
        } else {
            self.verdict
        };
        self.vus += other.vus;
        self.iterations_planned = match (self.iterations_planned, other.iterations_planned) {
            (Some(one), Some(other)) => Some(one + other),
            _ => None,
        };
        self.set_counts(CellCounts {
            passed: self.iterations_passed + other.iterations_passed,
            failed: self.iterations_failed + other.iterations_failed,
            interrupted: self.iterations_interrupted + other.iterations_interrupted,
            dropped: self.iterations_dropped + other.iterations_dropped,
        });
        self.verdict = worse;
        if worse != Verdict::NotApplicable {
            self.not_applicable = None;
        }
        self.iterations_warmup += other.iterations_warmup;
        self.started_ms = self.started_ms.min(other.started_ms);
        self.duration_ms = self.duration_ms.max(other.duration_ms);
        if self.load != other.load && !self.load.contains(&other.load) {
            self.load = format!("{} + {}", self.load, other.load);
        }
        for series in &other.metrics {
            series.add_to(&mut self.metrics);
        }
        let places = |series: &super::series::MetricSummary| {
            let metric = Metric::ALL.iter().position(|m| m.name() == series.metric);
            (metric, series.labels.clone(), series.step_index)
        };
        self.metrics.sort_by_cached_key(places);
        self.window_ms = self.window_ms.max(other.window_ms);
        // The percentiles of a round cannot be added.
        self.rounds.clear();
        self.windows = beside(&self.windows, &other.windows, self.window_ms);
    }
}

/// The windows of two generators at the same time.
fn beside(one: &[WindowSummary], other: &[WindowSummary], width: u64) -> Vec<WindowSummary> {
    let mut slots = slots(one, width);
    for (slot, window) in self::slots(other, width) {
        match slots.get_mut(&slot) {
            Some(known) => known.beside(&window),
            None => {
                slots.insert(slot, window);
            }
        }
    }
    slots.into_values().collect()
}

fn slots(windows: &[WindowSummary], width: u64) -> BTreeMap<u64, WindowSummary> {
    let mut slots: BTreeMap<u64, WindowSummary> = BTreeMap::new();
    let width = width.max(1);
    for window in windows {
        // Windows begin a little late, never early: the nearest place is theirs.
        let slot = (window.from_ms + width / 2).min(window.from_ms + 500) / width;
        match slots.get_mut(&slot) {
            Some(known) => known.extend(window),
            None => {
                slots.insert(slot, window.clone());
            }
        }
    }
    slots
}

impl WindowSummary {
    /// Adds what another generator did at the same time.
    fn beside(&mut self, other: &Self) {
        let (from, to) = (self.from_ms.min(other.from_ms), self.to_ms.max(other.to_ms));
        let in_flight = self.in_flight + other.in_flight;
        // At most: the two need not have had their most at the same moment.
        let most = self.in_flight_max + other.in_flight_max;
        self.extend(other);
        self.from_ms = from;
        self.to_ms = to;
        self.in_flight = in_flight;
        self.in_flight_max = most;
    }
}

impl Leaks {
    fn add(&mut self, other: &Self) {
        self.claims += other.claims;
        self.sandboxes += other.sandboxes;
        self.pods += other.pods;
        self.volumes += other.volumes;
        self.services += other.services;
        self.endpoint_slices += other.endpoint_slices;
        self.port_forwards += other.port_forwards;
        self.connections += other.connections;
        self.local += other.local;
        if self.unknown.is_none() {
            self.unknown.clone_from(&other.unknown);
        }
        let not_counted = other.not_counted.iter();
        self.not_counted.extend(not_counted.cloned());
        // Each part has a run id of its own, so each has a command of its own.
        let commands = self.reap.take().into_iter().chain(other.reap.clone());
        self.reap = commands.reduce(|all, command| format!("{all}; {command}"));
    }
}

impl Generator {
    /// All generators together; the worst of what does not add up.
    fn add(&mut self, other: &Self) {
        self.cpu_cores_mean += other.cpu_cores_mean;
        self.cpu_cores_peak += other.cpu_cores_peak;
        self.cores += other.cores;
        self.poll_delay_p99_ns = self.poll_delay_p99_ns.max(other.poll_delay_p99_ns);
        self.descriptors_peak = self.descriptors_peak.max(other.descriptors_peak);
        self.descriptors_limit = self.descriptors_limit.max(other.descriptors_limit);
        self.cpu_cores_headroom = self.cpu_cores_headroom.min(other.cpu_cores_headroom);
        self.machine = match (self.machine, other.machine) {
            (Some(one), Some(other)) => Some(Machine {
                idle: one.idle.min(other.idle),
                others: one.others.max(other.others),
                stolen: one.stolen.max(other.stolen),
            }),
            (one, other) => one.or(other),
        };
        self.ports_peak = self.ports_peak.max(other.ports_peak);
        self.ports_limit = self.ports_limit.max(other.ports_limit);
        self.throttled += other.throttled;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::recorder::{Recorder, StepIndex};
    use super::super::series::MetricSummary;
    use super::super::shared::SharedAggregate;
    use super::super::sink::CellFacts;
    use super::super::summary::Place;
    use super::super::window::{ClosedWindow, Timeline};
    use super::*;

    const NAMES: [&str; 2] = ["same", "same"];

    /// What a generator with these samples (in each second) would have written.
    fn result(id: &str, seconds: &[Vec<u64>]) -> Summary {
        let facts = CellFacts {
            cell: "a".to_owned(),
            scenario: "a".to_owned(),
            matrix: BTreeMap::new(),
            tags: BTreeMap::new(),
            load: "10/s".to_owned(),
            planned: None,
            steps: NAMES.map(str::to_owned).to_vec(),
            started: Duration::ZERO,
            figures: SharedAggregate::default(),
        };
        let mut recorder = Recorder::new(facts.figures.clone());
        let mut timeline = Timeline::new(Duration::from_secs(1));
        let mut passed = 0;
        for (second, samples) in (0_u64..).zip(seconds) {
            for micros in samples {
                let time = Duration::from_micros(*micros);
                let step = StepIndex(u16::from(micros % 3 == 0));
                recorder.time(Metric::ExecDuration, Some(step), time);
                recorder.time(Metric::IterationDuration, None, time * 2);
                recorder.count(Metric::Iterations, None, 1);
                passed += 1;
            }
            recorder.hand_over();
            let (from, to) = (Duration::from_secs(second), Duration::from_secs(second + 1));
            timeline.add(&ClosedWindow::close(&facts, from, to));
        }
        let (windows, width) = timeline.finish();
        let figures = super::super::CellFigures {
            cell: facts.cell.clone(),
            scenario: facts.scenario.clone(),
            matrix: BTreeMap::new(),
            load: facts.load.clone(),
            planned: None,
            started_ms: 0,
            steps: Vec::new(),
            windows: Vec::new(),
        };
        let run = RunInfo {
            id: id.to_owned(),
            name: "a".to_owned(),
            file: "a.yaml".to_owned(),
            file_sha256: "0".to_owned(),
            seed: 1,
            version: "0.1.0".to_owned(),
            started_at: "2026-01-01T00:00:00Z".to_owned(),
            duration_ms: 1000,
            cluster: "loopback".to_owned(),
            api_version: "v1beta1".to_owned(),
            namespace: "default".to_owned(),
            machine: "linux".to_owned(),
            cores: 2,
            flow_control: None,
            vars: BTreeMap::new(),
            file_text: String::new(),
            parts: Vec::new(),
        };
        let mut summary = Summary::cut_off(run, vec![figures], Vec::new());
        summary.warnings.clear();
        let cell = &mut summary.cells[0];
        cell.set_counts(CellCounts {
            passed,
            ..CellCounts::default()
        });
        cell.metrics = facts.figures.lock().metrics(&facts.steps);
        cell.window_ms = u64::try_from(width.as_millis()).unwrap();
        cell.windows = windows;
        summary
    }

    /// Four generators, each with its own samples in each of so many seconds.
    fn samples(generator: u64, seconds: u64) -> Vec<Vec<u64>> {
        let second = |second: u64| {
            let each = 0..20 + generator * 7;
            each.map(|sample| 100 + sample * 37 * (generator + 1) + second * 11)
                .collect()
        };
        (0..seconds).map(second).collect()
    }

    #[test]
    fn what_is_expected_of_traces_holds_only_where_it_holds_in_every_part() {
        use super::super::hop::HopKind;
        use super::super::trace_expectation::{Expected, Found, TraceExpectation};
        let hop = TraceExpectation {
            what: Expected::Hop(HopKind::Router),
            took: "< 5ms".parse().ok(),
        };
        let part = |id: &str, millis: u64| {
            let mut found = Found::default();
            found.add(&hop, "t", &[Duration::from_millis(millis)]);
            let mut part = result(id, &samples(0, 1));
            part.verdict = Verdict::Passed;
            part.take_traces(vec![hop.judge("a", &found), hop.judge("gone", &found)]);
            part
        };
        assert_eq!(part("a", 9).verdict, Verdict::Failed);
        let merged = |one, other| Summary::merge(vec![part("a", one), part("b", other)]).unwrap();
        let held = merged(3, 4);
        assert_eq!(held.verdict, Verdict::Passed);
        let [result] = held.traces.as_slice() else {
            panic!("{:?}", held.traces)
        };
        assert_eq!((result.judged, result.longest_ns), (2, Some(4_000_000)));
        assert_eq!(merged(3, 9).verdict, Verdict::Failed);
    }

    /// A series and every value of it.
    type Shape = (String, Option<u16>, Option<u64>, Vec<(Duration, u64)>);

    fn shape(metrics: &[MetricSummary]) -> Vec<Shape> {
        metrics
            .iter()
            .map(|series| {
                let values = series.distribution().values().collect();
                (
                    series.metric.clone(),
                    series.step_index,
                    series.value,
                    values,
                )
            })
            .collect()
    }

    #[test]
    fn four_parts_are_the_whole_to_the_bucket() {
        let parts = (0..4).map(|number| result(&format!("r-{number}"), &samples(number, 9)));
        let merged = Summary::merge(parts.collect()).unwrap();
        let together = (0..9).map(|second| {
            let all = (0..4).flat_map(|number| samples(number, 9)[second].clone());
            all.collect()
        });
        let whole = result("r", &together.collect::<Vec<_>>());
        let (merged, whole) = (&merged.cells[0], &whole.cells[0]);
        assert_eq!(shape(&merged.metrics), shape(&whole.metrics));
        assert_eq!(merged.iterations_passed, whole.iterations_passed);
        assert_eq!(merged.windows.len(), 9);
        for (one, other) in merged.windows.iter().zip(&whole.windows) {
            assert_eq!((one.from_ms, one.to_ms), (other.from_ms, other.to_ms));
            assert_eq!(one.iterations, other.iterations);
            assert_eq!(shape(&one.metrics), shape(&other.metrics));
        }
        // What is shown of the sum is what would have been shown of the whole.
        for (one, other) in merged.metrics.iter().zip(&whole.metrics) {
            let figures = |series: &MetricSummary| {
                series
                    .statistics
                    .as_ref()
                    .map(|s| (s.n, s.p50_ns, s.p99_ns, s.max_ns))
            };
            assert_eq!(figures(one), figures(other));
        }
    }

    #[test]
    fn the_order_of_the_parts_and_the_way_they_are_bracketed_do_not_matter() {
        let part = |number: u64| result(&format!("r-{number}"), &samples(number, 3));
        let at_once = Summary::merge((0..4).map(part).collect()).unwrap();
        let pair = |a, b| Summary::merge(vec![part(a), part(b)]).unwrap();
        let bracketed = Summary::merge(vec![pair(3, 1), pair(0, 2)]).unwrap();
        assert_eq!(
            shape(&at_once.cells[0].metrics),
            shape(&bracketed.cells[0].metrics)
        );
        assert_eq!(bracketed.run.parts.len(), 4);
        let again = Summary::merge(vec![bracketed, part(2)]).unwrap_err();
        assert_eq!(again.to_string(), "the run `r-2` is there twice");
    }

    #[test]
    fn windows_of_another_width_keep_every_sample() {
        let (short, long) = (
            result("r-0", &samples(0, 40)),
            result("r-1", &samples(1, 700)),
        );
        assert!(long.cells[0].window_ms > short.cells[0].window_ms);
        let all = |summary: &Summary| {
            let windows = summary.cells[0].windows.iter();
            windows.map(|window| window.iterations).sum::<u64>()
        };
        let expected = all(&short) + all(&long);
        let merged = Summary::merge(vec![short, long]).unwrap();
        assert_eq!(all(&merged), expected);
        assert!(merged.cells[0].windows.len() <= Timeline::LIMIT);
    }

    #[test]
    fn thresholds_are_judged_by_the_sum() {
        let threshold = |outcome| ThresholdResult {
            cell: "a".to_owned(),
            threshold: "iterations: count >= 50".to_owned(),
            steps: None,
            outcome,
            measured: None,
            window: None,
            stopped_at_ms: None,
        };
        let part = |number| {
            let mut part = result(&format!("r-{number}"), &samples(0, 2));
            part.thresholds = vec![threshold(Outcome::Failed)];
            part.verdict = Verdict::Failed;
            part
        };
        let merged = Summary::merge(vec![part(0), part(1)]).unwrap();
        assert_eq!(merged.thresholds.len(), 1);
        assert_eq!(merged.thresholds[0].outcome, Outcome::Held);
        assert_eq!(merged.verdict, Verdict::Passed);
    }

    #[test]
    fn failures_of_a_place_add_up_and_other_scenarios_are_refused() {
        let failure = |count, first_ms| FailureGroup {
            cell: "a".to_owned(),
            step: "read".to_owned(),
            cause: "content".to_owned(),
            place: Place {
                file: "a.yaml".to_owned(),
                line: 1,
                column: 1,
                snippet: String::new(),
            },
            message: "m".to_owned(),
            help: None,
            sandbox: None,
            rerun: String::new(),
            count,
            first_ms,
            last_ms: first_ms + 10,
            traces: Vec::new(),
        };
        let mut one = result("r-0", &samples(0, 1));
        one.failures = vec![failure(2, 50)];
        let mut other = result("r-1", &samples(0, 1));
        other.failures = vec![failure(3, 20)];
        let merged = Summary::merge(vec![one.clone(), other]).unwrap();
        let group = &merged.failures[0];
        assert_eq!((group.count, group.first_ms, group.last_ms), (5, 20, 60));
        let mut foreign = result("r-2", &samples(0, 1));
        foreign.run.file_sha256 = "1".to_owned();
        let refused = Summary::merge(vec![one, foreign]).unwrap_err().to_string();
        assert!(
            refused.contains("differ in the text of the scenario file"),
            "{refused}"
        );
    }
}
