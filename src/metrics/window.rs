//! Windows: the figures of a cell over time, in bounded memory.
//!
//! A [`ClosedWindow`] has every series, with its histograms, of about a second; it is there for the
//! [`SampleSink`](super::SampleSink)s and then gone. A [`Timeline`] keeps the whole run: one line per
//! window and metric, over all steps. When it is full, neighbours are merged in pairs and a window is
//! from then on twice as long, so a day takes as much memory as five minutes, and the sum of all windows is
//! still the whole run to the bucket.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::aggregate::Aggregate;
use super::metric::Metric;
use super::series::{MetricSummary, Statistics};
use super::shared::SharedAggregate;
use super::sink::CellFacts;
use super::summary::FailureGroup;

/// What happened in a cell in a stretch of time.
#[derive(Debug)]
pub struct ClosedWindow<'a> {
    /// The cell.
    pub cell: &'a CellFacts,
    /// Its begin, from the start of the cell.
    pub from: Duration,
    /// Its end, in the same.
    pub to: Duration,
    /// Whether the cell is over.
    pub last: bool,
    /// Iterations in flight at its end.
    pub in_flight: u64,
    /// The most in flight at a time.
    pub in_flight_max: u64,
    /// Every series.
    pub series: Aggregate,
    /// The groups of failures of the cell that have grown in it, as they are at its end.
    pub failures: Vec<FailureGroup>,
}

/// The same, as it is kept and written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSummary {
    /// Its begin, in milliseconds from the start of the cell.
    pub from_ms: u64,
    /// Its end, in the same.
    pub to_ms: u64,
    /// Iterations that ended by themselves.
    pub iterations: u64,
    /// How many of them failed.
    pub failures: u64,
    /// Iterations that were stopped before their end.
    #[serde(default)]
    pub interrupted: u64,
    /// Iterations that were due and found no room.
    #[serde(default)]
    pub dropped: u64,
    /// Iterations in flight at its end.
    pub in_flight: u64,
    /// The most in flight at a time.
    pub in_flight_max: u64,
    /// Every series of it.
    pub metrics: Vec<MetricSummary>,
}

impl<'a> ClosedWindow<'a> {
    /// Ends the window of a cell that began at `from` and begins the next one.
    pub fn close(cell: &'a CellFacts, from: Duration, to: Duration) -> Self {
        let closed = SharedAggregate::close(&cell.figures);
        Self {
            cell,
            from,
            to,
            last: false,
            in_flight: closed.in_flight,
            in_flight_max: closed.in_flight_max,
            series: closed.series,
            failures: Vec::new(),
        }
    }

    /// Adds the window that follows.
    pub fn extend(&mut self, next: &ClosedWindow<'_>) {
        self.to = next.to;
        self.last = next.last;
        self.in_flight = next.in_flight;
        self.in_flight_max = self.in_flight_max.max(next.in_flight_max);
        self.series.merge(&next.series);
    }

    /// Its figures over all steps.
    pub fn summary(&self) -> WindowSummary {
        self.with(self.series.totals())
    }

    /// Its figures over all steps, and per step.
    pub fn detailed(&self) -> WindowSummary {
        self.with(self.series.metrics(&self.cell.steps))
    }

    fn with(&self, metrics: Vec<MetricSummary>) -> WindowSummary {
        WindowSummary {
            from_ms: milliseconds(self.from),
            to_ms: milliseconds(self.to),
            iterations: self.series.counter(Metric::Iterations),
            failures: self.series.counter(Metric::Failures),
            interrupted: self.series.counter(Metric::InterruptedIterations),
            dropped: self.series.counter(Metric::DroppedIterations),
            in_flight: self.in_flight,
            in_flight_max: self.in_flight_max,
            metrics,
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl WindowSummary {
    /// Adds the window that follows.
    pub fn extend(&mut self, next: &Self) {
        self.to_ms = next.to_ms;
        self.iterations += next.iterations;
        self.failures += next.failures;
        self.interrupted += next.interrupted;
        self.dropped += next.dropped;
        self.in_flight = next.in_flight;
        self.in_flight_max = self.in_flight_max.max(next.in_flight_max);
        for series in &next.metrics {
            series.add_to(&mut self.metrics);
        }
    }

    /// How long it is, in seconds; at least a millisecond.
    pub fn seconds(&self) -> f64 {
        self.to_ms.saturating_sub(self.from_ms).max(1) as f64 / 1e3
    }

    /// A trend of it over all steps; of a metric with labels, the first of them.
    pub fn statistics(&self, metric: &str) -> Option<&Statistics> {
        self.all(metric).next()
    }

    /// A trend of it over all steps, for each of its labels.
    pub fn all(&self, metric: &str) -> impl Iterator<Item = &Statistics> {
        let found = move |series: &&MetricSummary| series.metric == metric && series.step.is_none();
        let found = self.metrics.iter().filter(found);
        found.filter_map(|series| series.statistics.as_ref())
    }
}

/// A cell over time.
#[derive(Debug)]
pub struct Timeline {
    width: Duration,
    limit: usize,
    open: Option<(WindowSummary, Aggregate)>,
    closed: Vec<WindowSummary>,
}

impl Timeline {
    /// The most windows that are kept.
    pub const LIMIT: usize = 200;

    /// Of windows of this length to begin with.
    pub fn new(width: Duration) -> Self {
        Self {
            width,
            limit: Self::LIMIT,
            open: None,
            closed: Vec::new(),
        }
    }

    /// Adds what happened next.
    pub fn add(&mut self, next: &ClosedWindow<'_>) {
        let begin = match self.open.take() {
            None => {
                self.open = Some((next.with(Vec::new()), Aggregate::default()));
                next.from
            }
            Some((mut window, series)) => {
                let begin = Duration::from_millis(window.from_ms);
                window.extend(&next.with(Vec::new()));
                self.open = Some((window, series));
                begin
            }
        };
        if let Some((_, series)) = &mut self.open {
            series.merge(&next.series);
        }
        // With some tolerance: a window that was closed a little early is a whole one all the same.
        if next.last || next.to + self.width / 8 >= begin + self.width {
            self.close();
        }
        if self.closed.len() >= self.limit {
            self.halve();
        }
    }

    fn close(&mut self) {
        if let Some((mut window, series)) = self.open.take() {
            window.metrics = series.totals();
            self.closed.push(window);
        }
    }

    /// Merges neighbours in pairs.
    fn halve(&mut self) {
        let all = std::mem::take(&mut self.closed);
        for (place, window) in all.into_iter().enumerate() {
            match self.closed.last_mut() {
                Some(before) if place % 2 == 1 => before.extend(&window),
                _ => self.closed.push(window),
            }
        }
        self.width *= 2;
    }

    /// All windows in their order, and the length of each. A last one of less than half that length
    /// is part of the one before, since its rates would be those of a few samples.
    pub fn finish(mut self) -> (Vec<WindowSummary>, Duration) {
        self.close();
        if let Some(last) = self.closed.pop() {
            let short = 2 * (last.to_ms.saturating_sub(last.from_ms)) < milliseconds(self.width);
            match self.closed.last_mut() {
                Some(before) if short => before.extend(&last),
                _ => self.closed.push(last),
            }
        }
        (self.closed, self.width)
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorder::{Recorder, StepIndex};
    use super::*;

    fn facts() -> CellFacts {
        CellFacts {
            cell: "a".to_owned(),
            scenario: "a".to_owned(),
            matrix: std::collections::BTreeMap::new(),
            tags: std::collections::BTreeMap::new(),
            load: "1 VU".to_owned(),
            planned: None,
            steps: vec!["first".to_owned(), "second".to_owned()],
            started: Duration::ZERO,
            figures: SharedAggregate::default(),
        }
    }

    /// A run of so many seconds with ten iterations in each, slower by and by.
    fn run(seconds: u64) -> (Vec<WindowSummary>, Duration, CellFacts) {
        let facts = facts();
        let mut recorder = Recorder::new(facts.figures.clone());
        let mut timeline = Timeline::new(Duration::from_secs(1));
        for second in 0..seconds {
            for sample in 0..10 {
                let time = Duration::from_micros((second + 1) * 100 + sample);
                recorder.time(
                    Metric::ExecDuration,
                    Some(StepIndex((sample % 2) as u16)),
                    time,
                );
                recorder.count(Metric::Iterations, None, 1);
            }
            if second % 3 == 0 {
                recorder.count(Metric::Failures, None, 1);
            }
            recorder.hand_over();
            let (from, to) = (Duration::from_secs(second), Duration::from_secs(second + 1));
            timeline.add(&ClosedWindow {
                last: second + 1 == seconds,
                ..ClosedWindow::close(&facts, from, to)
            });
        }
        let (windows, width) = timeline.finish();
        (windows, width, facts)
    }

    #[test]
    fn a_short_run_has_a_window_per_second() {
        let (windows, width, _) = run(5);
        let spans: Vec<_> = windows.iter().map(|w| (w.from_ms, w.to_ms)).collect();
        let whole = [
            (0, 1000),
            (1000, 2000),
            (2000, 3000),
            (3000, 4000),
            (4000, 5000),
        ];
        assert_eq!((spans.as_slice(), width.as_secs()), (whole.as_slice(), 1));
        assert_eq!((windows[0].iterations, windows[0].failures), (10, 1));
        assert_eq!((windows[1].iterations, windows[1].failures), (10, 0));
        let p50 = |at: usize| windows[at].statistics("exec_duration").unwrap().p50_ns;
        assert!(p50(4) > 4 * p50(0), "{} {}", p50(0), p50(4));
    }

    #[test]
    fn a_long_run_has_fewer_and_wider_windows_without_a_gap_and_their_sum_is_the_whole() {
        for seconds in [199, 200, 201, 1234, 5000] {
            let (windows, width, facts) = run(seconds);
            assert!(windows.len() <= Timeline::LIMIT, "{}", windows.len());
            assert!(
                windows.len() * 2 + 2 >= Timeline::LIMIT.min(usize::try_from(seconds).unwrap())
            );
            assert_eq!(width.as_secs().count_ones(), 1);
            assert_eq!(windows.first().unwrap().from_ms, 0);
            assert_eq!(windows.last().unwrap().to_ms, seconds * 1000);
            for pair in windows.windows(2) {
                assert_eq!(pair[0].to_ms, pair[1].from_ms);
            }
            let mut sum = windows[0].clone();
            windows[1..].iter().for_each(|window| sum.extend(window));
            let whole = facts.figures.lock();
            assert_eq!(sum.iterations, seconds * 10);
            let samples = |all: &[MetricSummary]| {
                let all = all.iter();
                all.map(|series| {
                    let values: Vec<_> = series.distribution().values().collect();
                    (series.metric.clone(), series.value, values)
                })
                .collect::<Vec<_>>()
            };
            assert_eq!(samples(&sum.metrics), samples(&whole.totals()));
        }
    }

    #[test]
    fn a_short_rest_is_part_of_the_window_before_it() {
        let facts = facts();
        let mut timeline = Timeline::new(Duration::from_secs(1));
        for (from, to) in [(0, 1000), (1000, 2000), (2000, 2030)] {
            let (from, to) = (Duration::from_millis(from), Duration::from_millis(to));
            timeline.add(&ClosedWindow {
                last: to.as_millis() == 2030,
                ..ClosedWindow::close(&facts, from, to)
            });
        }
        let (windows, _) = timeline.finish();
        let spans: Vec<_> = windows.iter().map(|w| (w.from_ms, w.to_ms)).collect();
        assert_eq!(spans, [(0, 1000), (1000, 2030)]);
    }

    #[test]
    fn a_window_that_is_written_can_be_read() {
        let (windows, ..) = run(2);
        let text = serde_json::to_string(&windows).unwrap();
        assert_eq!(
            serde_json::from_str::<Vec<WindowSummary>>(&text).unwrap(),
            windows
        );
    }
}
