//! `csv`: a line per series, times in whole nanoseconds (RFC 4180).

use std::fmt::Write as _;

use super::words;
use crate::metrics::{Kind, MetricSummary, Summary, Unit};

const HEAD: &str =
    "run,scenario,cell,verdict,step,metric,kind,unit,count,min,mean,p50,p90,p95,p99,max,sum";

pub(super) fn render(summary: &Summary) -> String {
    let mut out = format!("{HEAD}\r\n");
    for cell in &summary.cells {
        for series in &cell.metrics {
            let names = [
                summary.run.id.as_str(),
                &cell.scenario,
                &cell.cell,
                words::of_cell(cell),
                series.step.as_deref().unwrap_or_default(),
                &series.metric,
                kind(series.kind),
                unit(series.unit),
            ];
            let names: Vec<String> = names.into_iter().map(field).collect();
            // Writing to a string cannot fail.
            let _infallible = write!(out, "{},{}\r\n", names.join(","), figures(series));
        }
    }
    out
}

fn figures(series: &MetricSummary) -> String {
    let Some(found) = &series.statistics else {
        let rate = series.rate.map(|rate| rate.as_per_second().to_string());
        let sum = series.value.map(|value| value.to_string()).or(rate);
        return format!(",,,,,,,,{}", sum.unwrap_or_default());
    };
    format!(
        "{},{},{},{},{},{},{},{},",
        found.n,
        found.min_ns,
        found.mean_ns,
        found.p50_ns,
        found.p90_ns,
        found.p95_ns,
        found.p99_ns,
        found.max_ns
    )
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Trend => "trend",
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    }
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Nanoseconds => "ns",
        Unit::Count => "",
        Unit::Bytes => "bytes",
        Unit::PerSecond => "/s",
    }
}

/// Quoted where that is needed. A text that a spreadsheet would take for a formula gets a `'` before it.
fn field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_stays_one_field_and_no_formula() {
        assert_eq!(field("a[x=1,y=2]"), "\"a[x=1,y=2]\"");
        assert_eq!(field("say \"hi\"\n"), "\"say \"\"hi\"\"\n\"");
        assert_eq!(field("=1+1"), "'=1+1");
    }

    #[test]
    fn every_line_has_as_many_fields_as_the_head() {
        let csv = render(&super::super::tests::fixed());
        let fields = |line: &str| {
            let mut quoted = false;
            let outside = |c: &char| {
                quoted ^= *c == '"';
                *c == ',' && !quoted
            };
            line.chars().filter(outside).count()
        };
        assert!(csv.lines().count() > 5);
        for line in csv.lines() {
            assert_eq!(fields(line), fields(HEAD), "{line}");
        }
    }
}
