//! `hlog`: an HdrHistogram interval log, version 1.3, which the HdrHistogram tools read.
//!
//! A line per window and metric of a cell, the series in its tag: `cell/metric`. A cell without windows
//! has one line for its whole time. Values are nanoseconds, the maximum beside them is in
//! milliseconds, as the tools expect. Format: `HistogramLogWriter` of HdrHistogram (Java).

use std::fmt::Write as _;

use crate::metrics::{CellSummary, Statistics, Summary};

const COLUMNS: &str =
    "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"";

pub(super) fn render(summary: &Summary) -> String {
    let started: Option<jiff::Timestamp> = summary.run.started_at.parse().ok();
    let seconds = started.map_or(0.0, |at| at.as_millisecond() as f64 / 1e3);
    let mut out = format!(
        "#[Logged with sandbench {}, run {}]\n#[Histogram log format version 1.3]\n\
         #[StartTime: {seconds:.3} (seconds since epoch), {}]\n\
         #[BaseTime: {seconds:.3} (seconds since epoch)]\n{COLUMNS}\n",
        one_line(&summary.run.version),
        one_line(&summary.run.id),
        one_line(&summary.run.started_at),
    );
    for line in lines(summary) {
        out.push_str(&line);
    }
    out
}

/// In the order of their begin, as readers expect.
fn lines(summary: &Summary) -> Vec<String> {
    let mut all: Vec<(u64, String)> = Vec::new();
    for cell in &summary.cells {
        if cell.windows.is_empty() {
            let span = (cell.started_ms, cell.duration_ms);
            all.extend(line_of(cell, span, &cell.metrics));
        }
        for window in &cell.windows {
            let begin = cell.started_ms + window.from_ms;
            let length = window.to_ms.saturating_sub(window.from_ms);
            all.extend(line_of(cell, (begin, length), &window.metrics));
        }
    }
    all.sort_by_key(|(begin, _)| *begin);
    all.into_iter().map(|(_, line)| line).collect()
}

fn line_of(
    cell: &CellSummary,
    (begin, length): (u64, u64),
    metrics: &[crate::metrics::MetricSummary],
) -> Vec<(u64, String)> {
    let whole = metrics.iter().filter(|series| series.step.is_none());
    whole
        .filter_map(|series| {
            let found = series.statistics.as_ref()?;
            let tag = format!("{}/{}", cell.cell, series.metric);
            Some((begin, line(&tag, begin, length, found)))
        })
        .collect()
}

fn line(name: &str, begin: u64, length: u64, found: &Statistics) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _infallible = writeln!(
        out,
        "Tag={},{:.3},{:.3},{:.3},{}",
        tag(name),
        begin as f64 / 1e3,
        length as f64 / 1e3,
        found.max_ns as f64 / 1e6,
        found.histogram
    );
    out
}

/// A tag ends at a comma and has no white space.
fn tag(name: &str) -> String {
    let plain = |c: char| match c {
        ',' => ';',
        c if c.is_whitespace() || c.is_control() => '_',
        c => c,
    };
    name.chars().map(plain).collect()
}

fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;

    #[test]
    fn a_library_reads_the_log_back_with_the_same_figures() {
        use base64::Engine as _;
        let summary = super::super::tests::fixed();
        let log = render(&summary);
        let mut read = Vec::new();
        for entry in IntervalLogIterator::new(log.as_bytes()) {
            let Ok(LogEntry::Interval(interval)) = entry else {
                continue;
            };
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(interval.encoded_histogram())
                .unwrap();
            let histogram: hdrhistogram::Histogram<u64> = Deserializer::new()
                .deserialize(&mut bytes.as_slice())
                .unwrap();
            let tag = interval.tag().unwrap().as_str().to_owned();
            read.push((tag, histogram.len(), histogram.value_at_quantile(0.99)));
        }
        let cell = &summary.cells[0];
        let expected = cell.windows[0].statistics("exec_duration").unwrap();
        let first = format!("{}/exec_duration", tag(&cell.cell));
        let found = read.iter().find(|(tag, ..)| *tag == first).unwrap();
        assert_eq!((found.1, found.2), (expected.n, expected.p99_ns));
        assert!(read.len() > 10, "{}", read.len());
    }

    #[test]
    fn a_name_with_commas_and_spaces_is_one_tag() {
        assert_eq!(tag("a[x=1,y=two words]\n"), "a[x=1;y=two_words]_");
    }
}
