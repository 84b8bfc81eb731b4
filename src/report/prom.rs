//! `prom`: the Prometheus text format (0.0.4), for the textfile collector of the node exporter.
//!
//! Names end in their base unit, durations are summaries in seconds. A metric over all steps and the same
//! one per step have different names, so that a sum over labels counts nothing twice.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::words;
use crate::metrics::{CellSummary, Metric, MetricSummary, Outcome, Statistics, Summary, Unit};

pub(super) fn render(summary: &Summary) -> String {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let run = &summary.run;
    let facts = [
        ("run", run.id.as_str()),
        ("name", &run.name),
        ("version", &run.version),
        ("cluster", &run.cluster),
        ("api_version", &run.api_version),
        ("verdict", words::verdict(summary.verdict)),
    ];
    let help = "Facts of the run; always 1.";
    add(
        &mut families,
        "sandbench_run_info",
        ("gauge", help),
        &labels(&facts),
        1.0,
    );
    let help = "How long the run took, clean-up included.";
    let seconds = run.duration_ms as f64 / 1e3;
    add(
        &mut families,
        "sandbench_run_duration_seconds",
        ("gauge", help),
        "",
        seconds,
    );
    for cell in &summary.cells {
        of_cell(&mut families, cell);
    }
    for threshold in &summary.thresholds {
        let names = [
            ("cell", threshold.cell.as_str()),
            ("threshold", &threshold.threshold),
        ];
        let held = f64::from(u8::from(threshold.outcome == Outcome::Held));
        let help = "Whether a threshold holds: 1 or 0.";
        add(
            &mut families,
            "sandbench_threshold_held",
            ("gauge", help),
            &labels(&names),
            held,
        );
    }
    for result in &summary.traces {
        let names = [
            ("cell", result.cell.as_str()),
            ("expectation", &result.expectation),
        ];
        let held = f64::from(u8::from(!result.is_failed()));
        let help = "Whether traces are as expected: 1 or 0.";
        add(
            &mut families,
            "sandbench_trace_expectation_held",
            ("gauge", help),
            &labels(&names),
            held,
        );
    }
    let mut out = String::new();
    for (name, family) in families {
        // Writing to a string cannot fail.
        let _infallible = write!(
            out,
            "# HELP {name} {}\n# TYPE {name} {}\n{}",
            family.help, family.kind, family.lines
        );
    }
    out
}

/// `launch_type` for `launchType`.
fn snake(tag: &str) -> String {
    let mut name = String::new();
    for letter in tag.chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// The lines of one name, which must stand together.
#[derive(Default)]
struct Family {
    help: String,
    kind: &'static str,
    lines: String,
}

fn family<'a>(
    families: &'a mut BTreeMap<String, Family>,
    name: &str,
    (kind, help): (&'static str, &str),
) -> &'a mut String {
    let family = families.entry(name.to_owned()).or_insert_with(|| Family {
        help: help.replace('\\', "\\\\").replace('\n', " "),
        kind,
        lines: String::new(),
    });
    &mut family.lines
}

fn add(
    families: &mut BTreeMap<String, Family>,
    name: &str,
    about: (&'static str, &str),
    labels: &str,
    value: f64,
) {
    let lines = family(families, name, about);
    let _infallible = writeln!(lines, "{name}{} {value}", braced(labels));
}

fn of_cell(families: &mut BTreeMap<String, Family>, cell: &CellSummary) {
    let names = vec![("scenario", cell.scenario.as_str()), ("cell", &cell.cell)];
    let passed = [("verdict", words::of_cell(cell))];
    let verdict = labels(&[names.as_slice(), passed.as_slice()].concat());
    let help = "How a cell ended; always 1.";
    add(
        families,
        "sandbench_cell_info",
        ("gauge", help),
        &verdict,
        1.0,
    );
    for series in &cell.metrics {
        let known = Metric::ALL
            .iter()
            .find(|metric| metric.name() == series.metric);
        let about = known.map_or("", |metric| metric.description()).trim();
        let place = if series.step.is_some() {
            "by_step_"
        } else {
            ""
        };
        let stem = format!("sandbench_{place}{}", word(&series.metric));
        let index = series.step_index.map(|index| index.to_string());
        let mut names = names.clone();
        if let Some(step) = &series.step {
            names.push(("step", step));
            names.push(("step_index", index.as_deref().unwrap_or("")));
        }
        let own: Vec<(String, &str)> = series
            .labels
            .iter()
            .map(|(tag, value)| (snake(tag), value.as_str()))
            .collect();
        names.extend(own.iter().map(|(tag, value)| (tag.as_str(), *value)));
        let labels = labels(&names);
        match (&series.statistics, series.rate) {
            (Some(found), _) => trend(families, &stem, about, &labels, found),
            (None, Some(rate)) => {
                let name = format!("{stem}_per_second");
                let value = rate.as_per_second();
                add(families, &name, ("gauge", about), &labels, value);
            }
            (None, None) => counter(families, &stem, about, &labels, series),
        }
    }
}

fn trend(
    families: &mut BTreeMap<String, Family>,
    stem: &str,
    about: &str,
    labels: &str,
    found: &Statistics,
) {
    let name = format!("{stem}_seconds");
    let lines = family(families, &name, ("summary", about));
    let quantiles = [
        ("0.5", found.p50_ns),
        ("0.9", found.p90_ns),
        ("0.95", found.p95_ns),
        ("0.99", found.p99_ns),
        ("1", found.max_ns),
    ];
    let comma = if labels.is_empty() { "" } else { "," };
    for (quantile, nanos) in quantiles {
        let seconds = nanos as f64 / 1e9;
        let _infallible = writeln!(
            lines,
            "{name}{{{labels}{comma}quantile=\"{quantile}\"}} {seconds}"
        );
    }
    let sum = found.mean_ns as f64 * found.n as f64 / 1e9;
    let labels = braced(labels);
    let _infallible = writeln!(
        lines,
        "{name}_sum{labels} {sum}\n{name}_count{labels} {}",
        found.n
    );
}

fn counter(
    families: &mut BTreeMap<String, Family>,
    stem: &str,
    about: &str,
    labels: &str,
    series: &MetricSummary,
) {
    let unit = match series.unit {
        Unit::Bytes if !stem.contains("bytes") => "_bytes",
        Unit::Bytes | Unit::Count | Unit::Nanoseconds | Unit::PerSecond => "",
    };
    let name = format!("{stem}{unit}_total");
    let value = series.value.unwrap_or(0);
    let lines = family(families, &name, ("counter", about));
    let _infallible = writeln!(lines, "{name}{} {value}", braced(labels));
}

fn braced(labels: &str) -> String {
    if labels.is_empty() {
        String::new()
    } else {
        format!("{{{labels}}}")
    }
}

fn labels(names: &[(&str, &str)]) -> String {
    let shown: Vec<String> = names
        .iter()
        .map(|(name, value)| {
            let value = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            format!("{name}=\"{value}\"")
        })
        .collect();
    shown.join(",")
}

/// A metric's name in the letters that Prometheus takes.
fn word(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    name.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_value_stays_in_its_quotes() {
        let text = labels(&[("cell", "a\"} 1\nevil{x=\"\\")]);
        assert_eq!(text, "cell=\"a\\\"} 1\\nevil{x=\\\"\\\\\"");
    }

    #[test]
    fn the_lines_of_a_name_stand_together_after_its_type() {
        let text = render(&super::super::tests::fixed());
        let mut seen: Vec<&str> = Vec::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let name = rest.split(' ').next().unwrap();
                assert!(!seen.contains(&name), "{name} twice");
                seen.push(name);
            } else if !line.starts_with('#') {
                assert!(line.starts_with(seen.last().unwrap()), "{line}");
            }
        }
        assert!(
            seen.contains(&"sandbench_exec_duration_seconds"),
            "{seen:?}"
        );
    }
}
