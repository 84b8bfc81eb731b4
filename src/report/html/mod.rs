//! `html`: one page that needs nothing else: no network, no server, no JavaScript.
//!
//! Verdict and doubts come first. Every chart is an SVG with its figures in a table beside it; where there is
//! JavaScript, uPlot (embedded, MIT) takes the place of the drawing so that one can point and zoom. The
//! page's policy lets nothing be loaded and no script run but its own. All text from outside goes
//! through [`escape::e`].

mod cells;
mod chart;
mod comparison;
mod escape;
mod heat;
mod latency;
mod levels;
mod phases;
mod scale;
mod time;

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::words;
use crate::metrics::{FailureGroup, Reliability, RunInfo, Summary, Verdict, humanise_millis};
use chart::Chart;
use escape::e;

const STYLE: &str = concat!(include_str!("uplot.min.css"), include_str!("style.css"));
const UPLOT: &str = include_str!("uplot.min.js");
const UPLOT_LICENCE: &str = include_str!("uplot.LICENSE");
const SCRIPT: &str = include_str!("script.js");

/// A part of the page.
struct Section {
    id: &'static str,
    title: &'static str,
    body: String,
}

pub(super) fn render(summary: &Summary) -> String {
    let latency = latency::charts(summary);
    let time = time::charts(summary);
    let sections = [
        ("thresholds", "Thresholds", cells::thresholds(summary)),
        ("traces", "Traces", cells::expected_traces(summary)),
        ("comparison", "Comparison", comparison::section(summary)),
        ("failures", "Failures", failures(&summary.failures)),
        ("breakpoint", "Breakpoint", levels::section(summary)),
        ("side-by-side", "Side by side", cells::side_by_side(summary)),
        (
            "latency",
            "Latency by percentile",
            latency::section(summary, &latency),
        ),
        ("time", "Over time", time::section(&time)),
        ("heat", "Latency over time", heat::section(summary)),
        (
            "create",
            "Where a create spends its time",
            phases::section(summary),
        ),
        ("cells", "Cells", cells::section(summary)),
        ("environment", "Environment", environment(summary)),
        ("scenario", "Scenario", scenario(&summary.run)),
    ];
    let sections: Vec<Section> = sections
        .into_iter()
        .filter(|(_, _, body)| !body.is_empty())
        .map(|(id, title, body)| Section { id, title, body })
        .collect();
    let charts: Vec<&Chart> = latency.iter().chain(&time).collect();
    page(summary, &sections, &charts)
}

fn page(summary: &Summary, sections: &[Section], charts: &[&Chart]) -> String {
    let word = words::verdict(summary.verdict);
    let data: Vec<_> = charts.iter().map(|chart| chart.data()).collect();
    let data = escape::json(&serde_json::Value::Array(data));
    let mut links = String::new();
    let mut body = String::new();
    for Section {
        id,
        title,
        body: text,
    } in sections
    {
        // Writing to a string cannot fail.
        let _infallible = write!(links, "<a href=\"#{id}\">{title}</a>");
        let _infallible = write!(
            body,
            "<section id=\"{id}\" aria-labelledby=\"{id}-h\"><h2 id=\"{id}-h\">{title}</h2>\n{text}</section>\n"
        );
    }
    let policy = format!(
        "default-src 'none'; img-src data:; style-src '{}'; script-src '{}' '{}'; base-uri 'none'; form-action 'none'",
        digest(STYLE),
        digest(UPLOT),
        digest(SCRIPT)
    );
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"generator\" content=\"sandbench\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{word} {name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">Skip to the results</a>\n{head}<nav aria-label=\"Sections\">{links}</nav>\n\
         <main id=\"main\">\n{doubts}{body}</main>\n\
         <footer>Written by sandbench {version}. Charts: uPlot.<details><summary>Licence of uPlot</summary><pre>{licence}</pre></details></footer>\n\
         <script type=\"application/json\" id=\"data\">{data}</script>\n<script>{UPLOT}</script>\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
        name = e(&summary.run.name),
        head = head(summary),
        doubts = doubts(summary),
        version = e(&summary.run.version),
        licence = e(UPLOT_LICENCE),
    )
}

/// The hash of an inline text, as a content security policy writes it.
fn digest(text: &str) -> String {
    format!(
        "sha256-{}",
        STANDARD.encode(Sha256::digest(text.as_bytes()))
    )
}

/// The class of a verdict's word.
fn class(word: &str) -> &'static str {
    match word {
        "PASS" | "held" => "pass",
        "FLAKY" | "STOPPED" => "warn",
        "N/A" => "none",
        _ => "fail",
    }
}

fn badge(word: &str) -> String {
    format!("<span class=\"badge {}\">{}</span>", class(word), e(word))
}

fn head(summary: &Summary) -> String {
    let run = &summary.run;
    let cells = &summary.cells;
    let passed = cells.iter().filter(|cell| cell.verdict == Verdict::Passed);
    let sum = |of: fn(&crate::metrics::CellSummary) -> u64| cells.iter().map(of).sum::<u64>();
    let missed = summary.thresholds.iter().filter(|found| found.is_failed());
    let mut figures = vec![
        (
            "cells passed",
            format!("{} of {}", passed.count(), cells.len()),
        ),
        (
            "iterations passed",
            sum(|cell| cell.iterations_passed).to_string(),
        ),
        ("failed", sum(|cell| cell.iterations_failed).to_string()),
    ];
    if !summary.thresholds.is_empty() {
        let all = summary.thresholds.len();
        figures.push(("thresholds missed", format!("{} of {all}", missed.count())));
    }
    if !summary.traces.is_empty() {
        let all = summary.traces.len();
        let missed = summary.traces.iter().filter(|found| found.is_failed());
        let shown = format!("{} of {all}", missed.count());
        figures.push(("not as expected of traces", shown));
    }
    figures.push(("took", humanise_millis(run.duration_ms)));
    let mut shown = String::new();
    for (name, value) in figures {
        let _infallible = write!(shown, "<div><dt>{name}</dt><dd>{}</dd></div>", e(&value));
    }
    let leak = if summary.leaks.is_empty() {
        String::new()
    } else {
        let left = words::leaks(&summary.leaks);
        format!(
            "<p class=\"box fail\"><strong>LEAK</strong> {}</p>",
            e(&left)
        )
    };
    format!(
        "<header><h1>{} {}</h1><p class=\"facts\">{} on {} · seed {} · run <code>{}</code> · {}</p><dl class=\"figures\">{shown}</dl>{leak}</header>\n",
        badge(words::verdict(summary.verdict)),
        e(&run.name),
        e(&run.file),
        e(&run.cluster),
        run.seed,
        e(&run.id),
        e(&run.started_at),
    )
}

fn doubts(summary: &Summary) -> String {
    if summary.warnings.is_empty() {
        return String::new();
    }
    let (class, title) = match summary.doubt.verdict {
        Reliability::Ok => ("note", "Notes on the figures"),
        Reliability::Degraded => ("warn", "DEGRADED figures"),
        Reliability::Unreliable => ("fail", "UNRELIABLE figures"),
    };
    let mut worst_first: Vec<_> = summary.warnings.iter().collect();
    worst_first.sort_by_key(|warning| std::cmp::Reverse(warning.reliability()));
    let mut list = String::new();
    for warning in worst_first {
        let label = match warning.reliability() {
            Reliability::Ok => "note",
            Reliability::Degraded | Reliability::Unreliable => "doubt",
        };
        let _infallible = write!(list, "<li><b>{label}</b> {}</li>", e(&warning.to_string()));
    }
    format!(
        "<section class=\"box {class}\" aria-labelledby=\"doubts-h\"><h2 id=\"doubts-h\">{title}</h2><ul>{list}</ul></section>\n"
    )
}

/// Grouped by the line of the file, most frequent first.
fn failures(groups: &[FailureGroup]) -> String {
    let mut places: Vec<(&str, usize, Vec<&FailureGroup>)> = Vec::new();
    for group in groups {
        let (file, line) = (group.place.file.as_str(), group.place.line);
        let known = places.iter_mut().find(|(f, l, _)| (*f, *l) == (file, line));
        match known {
            Some((.., found)) => found.push(group),
            None => places.push((file, line, vec![group])),
        }
    }
    let mut out = String::new();
    for (file, line, found) in places {
        let count: u64 = found.iter().map(|group| group.count).sum();
        let _infallible = writeln!(
            out,
            "<h3><a href=\"#L{line}\">{}:{line}</a> <small>{count} ×</small></h3>",
            e(file)
        );
        for group in found {
            failure(&mut out, group);
        }
    }
    out
}

fn failure(out: &mut String, group: &FailureGroup) {
    let mut facts = String::new();
    let when = if group.first_ms == group.last_ms {
        format!("at {}", humanise_millis(group.first_ms))
    } else {
        let (first, last) = (
            humanise_millis(group.first_ms),
            humanise_millis(group.last_ms),
        );
        format!("first at {first}, last at {last}")
    };
    let mut fact = |name: &str, value: &str| {
        let _infallible = write!(facts, "<dt>{name}</dt><dd>{}</dd>", e(value));
    };
    fact("cause", &group.message);
    if let Some(help) = &group.help {
        fact("help", help);
    }
    if let Some(sandbox) = &group.sandbox {
        fact("sandbox", sandbox);
    }
    let _infallible = write!(
        facts,
        "<dt>rerun</dt><dd><code>{}</code></dd>",
        e(&group.rerun)
    );
    let _infallible = writeln!(
        out,
        "<article class=\"failure\"><h4>{} · {} <small>{} × {} · {when}</small></h4><pre tabindex=\"0\">{}</pre><dl>{facts}</dl></article>",
        e(&group.cell),
        e(&group.step),
        group.count,
        e(&group.cause),
        e(&group.place.snippet),
    );
}

fn environment(summary: &Summary) -> String {
    let run = &summary.run;
    let generator = &summary.generator;
    let mut rows = vec![
        (
            "file",
            format!("{} (SHA-256 {})", run.file, run.file_sha256),
        ),
        ("started", run.started_at.clone()),
        ("cluster", run.cluster.clone()),
        ("namespace", run.namespace.clone()),
        ("Agent Sandbox API", run.api_version.clone()),
        ("sandbench", run.version.clone()),
        (
            "machine of the generator",
            format!("{}, {} cores", run.machine, run.cores),
        ),
        ("seed", run.seed.to_string()),
    ];
    if generator.cores > 0.0 {
        let of = format!(
            "{:.2} of {} cores on average, {:.2} at most; woke its tasks up to {} late (p99)",
            generator.cpu_cores_mean,
            generator.cores,
            generator.cpu_cores_peak,
            crate::metrics::humanise(generator.poll_delay_p99_ns)
        );
        rows.push(("generator used", of));
        if let Some(machine) = generator.machine {
            let share = |share: f64| (share * 100.0).round();
            let of = format!(
                "idle {} %, other programs {} %, taken by the host {} %; {:.2} cores of headroom at least",
                share(machine.idle),
                share(machine.others),
                share(machine.stolen),
                generator.cpu_cores_headroom
            );
            rows.push(("processors of its machine", of));
        }
    }
    rows.extend(words::flow_control(run).map(|flow| ("creates fall under", flow)));
    let mut out =
        "<table class=\"plain\"><caption class=\"hidden\">Facts of the run</caption><tbody>"
            .to_owned();
    for (name, value) in rows {
        let _infallible = write!(
            out,
            "<tr><th scope=\"row\">{name}</th><td>{}</td></tr>",
            e(&value)
        );
    }
    for (name, value) in &run.vars {
        let _infallible = write!(
            out,
            "<tr><th scope=\"row\">variable <code>{}</code></th><td>{}</td></tr>",
            e(name),
            e(value)
        );
    }
    out.push_str("</tbody></table>\n");
    out
}

/// The scenario's text, with a number that can be linked to at each line.
fn scenario(run: &RunInfo) -> String {
    if run.file_text.is_empty() {
        return String::new();
    }
    let mut out = "<pre class=\"source\" tabindex=\"0\">".to_owned();
    for (number, line) in (1..).zip(run.file_text.lines()) {
        let _infallible = write!(
            out,
            "<span id=\"L{number}\"><i>{number}</i>{}\n</span>",
            e(line)
        );
    }
    out.push_str("</pre>\n");
    out
}

#[cfg(test)]
mod tests;
