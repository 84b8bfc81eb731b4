//! `md`: for the summary of a GitHub step and for pull requests. The most important first, details folded.
//!
//! GitHub refuses a summary of more than 1 MiB: sections that do not fit are left out, and it says how many.

use std::fmt::Write as _;

use super::rows::{before_claim, rows, shown, whole_cell};
use super::{comparison, levels, traces, words};
use crate::metrics::{
    CellSummary, Comparison, FailureGroup, Reliability, Summary, Verdict, humanise_millis,
};

/// The longest summary that GitHub takes.
const LIMIT: usize = 1024 * 1024;
/// Room for the last line, on what was left out.
const RESERVE: usize = 256;
/// Failures that are shown unfolded.
const UNFOLDED: usize = 3;

pub(super) fn render(summary: &Summary) -> String {
    let mut sections = vec![
        head(summary),
        doubts(summary),
        thresholds(summary),
        expected_traces(summary),
    ];
    let failures = summary.failures.iter().enumerate();
    sections.extend(failures.map(|(place, found)| {
        let (title, block) = failure(found);
        if place < UNFOLDED {
            format!("**{title}**\n\n{block}\n")
        } else {
            format!("<details><summary>{title}</summary>\n\n{block}\n</details>\n\n")
        }
    }));
    sections.extend(summary.comparisons.iter().map(compared));
    sections.push(side_by_side(&summary.cells));
    sections.extend(summary.cells.iter().map(cell));
    sections.push(environment(summary));
    let mut out = String::new();
    let mut left_out = 0_usize;
    for section in sections {
        if out.len() + section.len() > LIMIT - RESERVE {
            left_out += 1;
        } else {
            out.push_str(&section);
        }
    }
    if left_out > 0 {
        // Writing to a string cannot fail.
        let _infallible = writeln!(
            out,
            "\n{left_out} sections did not fit into the 1 MiB that GitHub takes; the HTML report has them."
        );
    }
    out
}

fn mark(word: &str) -> &'static str {
    match word {
        "PASS" => "✅",
        "FAIL" => "❌",
        "FLAKY" => "⚠️",
        _ => "⏸️",
    }
}

fn head(summary: &Summary) -> String {
    let run = &summary.run;
    let word = words::verdict(summary.verdict);
    let cells = summary.cells.iter();
    let passed = cells.filter(|cell| cell.verdict == Verdict::Passed).count();
    let mut out = format!(
        "## {} {word} {}\n\n{passed} of {} cells passed in {} on {} · seed {} · run `{}`\n\n",
        mark(word),
        text(&run.name),
        summary.cells.len(),
        humanise_millis(run.duration_ms),
        text(&run.cluster),
        run.seed,
        run.id,
    );
    if !summary.leaks.is_empty() {
        out = format!("{out}**LEAK** {}\n\n", text(&words::leaks(&summary.leaks)));
    }
    out
}

fn doubts(summary: &Summary) -> String {
    let mut out = String::new();
    let word = match summary.doubt.verdict {
        Reliability::Ok => None,
        Reliability::Degraded => Some("DEGRADED"),
        Reliability::Unreliable => Some("UNRELIABLE"),
    };
    if let Some(word) = word {
        out = format!("> [!WARNING]\n> **{word} figures**\n");
        for reason in &summary.doubt.reasons {
            out = format!("{out}> - {}\n", text(reason));
        }
        out.push('\n');
    }
    for warning in &summary.warnings {
        if warning.reliability() == Reliability::Ok {
            out = format!("{out}- note: {}\n", text(&warning.to_string()));
        }
    }
    out.push('\n');
    out
}

fn thresholds(summary: &Summary) -> String {
    if summary.thresholds.is_empty() {
        return String::new();
    }
    let mut out = "| threshold | measured | | cell |\n|---|---:|---|---|\n".to_owned();
    for threshold in &summary.thresholds {
        let word = words::outcome(threshold);
        let mark = if word == "held" { "✅" } else { "❌" };
        let _infallible = writeln!(
            out,
            "| {} | {} | {mark} {word} | {} |",
            code(&threshold.threshold),
            text(&words::measured(threshold)),
            text(&threshold.cell),
        );
    }
    out.push('\n');
    out
}

fn expected_traces(summary: &Summary) -> String {
    if summary.traces.is_empty() {
        return String::new();
    }
    let mut out = "| expected of traces | found | | cell |\n|---|---|---|---|\n".to_owned();
    for result in &summary.traces {
        let mark = if result.is_failed() { "❌" } else { "✅" };
        let example = traces::example(summary, result);
        let example = example.map_or_else(String::new, |trace| format!("; trace {trace}"));
        let _infallible = writeln!(
            out,
            "| {} | {} | {mark} {} | {} |",
            code(&result.expectation),
            text(&format!("{}{example}", traces::told(result))),
            traces::outcome(result),
            text(&result.cell),
        );
    }
    out.push('\n');
    out
}

/// A row per metric, a column per cell, the baseline first.
fn compared(of: &Comparison) -> String {
    let mut out = format!(
        "### {} across {}\n\n{} · {}\n\n| metric |",
        text(&of.scenario),
        text(&of.across),
        text(&comparison::size(of)),
        text(&of.load),
    );
    for head in comparison::heads(of) {
        // Writing to a string cannot fail.
        let _infallible = write!(out, " {} |", text(&head));
    }
    let _infallible = write!(out, "\n|---|{}\n", "---|".repeat(of.columns.len()));
    for row in &of.rows {
        let _infallible = write!(out, "| {} |", text(&comparison::label(row)));
        for cell in &row.cells {
            let shown = comparison::place(of, row, cell);
            let interval = if shown.second.is_empty() {
                String::new()
            } else {
                format!("<br>{}", text(&shown.second))
            };
            let _infallible = write!(out, " {}{interval} |", text(&shown.first));
        }
        out.push('\n');
    }
    out.push('\n');
    for note in comparison::notes(of) {
        let _infallible = writeln!(out, "- {}", text(&note));
    }
    for caveat in &of.caveats {
        let _infallible = writeln!(out, "- doubt: {}", text(&caveat.to_string()));
    }
    out.push('\n');
    out
}

/// What it is about, and all of it.
fn failure(found: &FailureGroup) -> (String, String) {
    let times = if found.count > 1 {
        format!(" ({} times)", found.count)
    } else {
        String::new()
    };
    let title = format!(
        "❌ {} · {} · {}:{}{times}",
        text(&found.cell),
        text(&found.step),
        text(&found.place.file),
        found.place.line,
    );
    let mut facts = format!("{}{}\n", found.place.snippet, found.message);
    if let Some(help) = &found.help {
        let _infallible = writeln!(facts, "help: {help}");
    }
    let _infallible = writeln!(facts, "rerun: {}", found.rerun);
    (title, fenced(&facts))
}

/// A row per operation, a column per cell: median and p95.
fn side_by_side(cells: &[CellSummary]) -> String {
    let measured = cells.iter().filter(|cell| !whole_cell(cell).is_empty());
    let measured: Vec<&CellSummary> = measured.collect();
    if measured.is_empty() {
        return String::new();
    }
    let mut out = "| p50 / p95 |".to_owned();
    for cell in &measured {
        let _infallible = write!(out, " {} |", text(&cell.cell));
    }
    out = format!("{out}\n|---|{}\n", "---:|".repeat(measured.len()));
    for row in rows(measured.iter().copied()) {
        let figures: Vec<_> = measured
            .iter()
            .map(|cell| whole_cell(cell).get(&row.key()).copied())
            .collect();
        if figures.iter().all(Option::is_none) {
            continue;
        }
        let _infallible = write!(out, "| {} |", row.name);
        for found in figures {
            let figures = found.and_then(|found| Some((found, found.statistics.as_ref()?)));
            let shown = figures.map_or_else(
                || "N/A".to_owned(),
                |(found, of)| format!("{} / {}", shown(found, of.p50_ns), shown(found, of.p95_ns)),
            );
            let _infallible = write!(out, " {shown} |");
        }
        out.push('\n');
    }
    out.push('\n');
    out
}

fn cell(cell: &CellSummary) -> String {
    let word = words::of_cell(cell);
    let title = format!(
        "{} {word} {} · {} · {} · {}",
        mark(word),
        text(&cell.cell),
        text(&cell.load),
        words::counts(cell),
        humanise_millis(cell.duration_ms),
    );
    let whole = whole_cell(cell);
    if whole.is_empty() {
        return format!("- {title}: N/A, {}\n\n", text(&words::why_nothing(cell)));
    }
    let mut out = format!(
        "{}<details><summary>{title}</summary>\n\n| | n | p50 | p90 | p95 | p99 | max |\n|---|---:|---:|---:|---:|---:|---:|\n",
        breakpoint(cell)
    );
    for row in rows([cell]) {
        let name = &row.name;
        let Some((series, found)) = whole
            .get(&row.key())
            .and_then(|series| Some((series, series.statistics.as_ref()?)))
        else {
            if let Some(count) = before_claim(cell, &row) {
                let _infallible = writeln!(out, "| {name} | {count} | before the claim | | | | |");
            }
            continue;
        };
        let [p50, p90, p95, p99, max] = [
            found.p50_ns,
            found.p90_ns,
            found.p95_ns,
            found.p99_ns,
            found.max_ns,
        ]
        .map(|nanos| shown(series, nanos));
        let _infallible = writeln!(
            out,
            "| {name} | {} | {p50} | {p90} | {p95} | {p99} | {max} |",
            found.n
        );
    }
    out.push_str("\n</details>\n\n");
    out
}

/// The levels of a search, unfolded: they are what the run was for.
fn breakpoint(cell: &CellSummary) -> String {
    let Some(found) = &cell.breakpoint else {
        return String::new();
    };
    let mut out = format!(
        "**{}: {}** ({})\n\n| | {} | |\n|---|---:|---:|---:|---:|---:|---:|---|\n",
        text(&cell.cell),
        text(&found.to_string()),
        levels::lengths(found),
        levels::HEAD.join(" | ")
    );
    for level in &found.levels {
        let row = levels::Row::of(level);
        let figures = row.figures.join(" | ");
        let _infallible = writeln!(
            out,
            "| {} | {figures} | {} |",
            row.verdict,
            text(&row.limits)
        );
    }
    out.push('\n');
    out
}

fn environment(summary: &Summary) -> String {
    let run = &summary.run;
    let mut facts = vec![
        (
            "file",
            format!("{} (SHA-256 `{}`)", text(&run.file), run.file_sha256),
        ),
        (
            "cluster",
            format!(
                "{}, namespace {}, API {}",
                text(&run.cluster),
                text(&run.namespace),
                text(&run.api_version)
            ),
        ),
        (
            "generator",
            format!(
                "sandbench {}, {}, {} cores",
                text(&run.version),
                text(&run.machine),
                run.cores
            ),
        ),
        ("started", text(&run.started_at)),
    ];
    let flow = words::flow_control(run);
    facts.extend(flow.map(|flow| ("creates fall under", text(&flow))));
    let mut out = "<details><summary>Environment</summary>\n\n| | |\n|---|---|\n".to_owned();
    for (name, value) in facts {
        let _infallible = writeln!(out, "| {name} | {value} |");
    }
    out.push_str("\n</details>\n");
    out
}

/// A text that Markdown and HTML take for nothing else.
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\n' | '\r' => out.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '@' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// Code in a table cell.
fn code(text: &str) -> String {
    if text.contains(['`', '\n', '|']) {
        return self::text(text);
    }
    format!("`{text}`")
}

/// A block of code whose fence is longer than any in it.
fn fenced(block: &str) -> String {
    let longest = block.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", block.trim_end())
}

#[cfg(test)]
mod tests {
    use super::super::tests::fixed;
    use super::*;

    #[test]
    fn the_verdict_comes_first_and_the_details_are_folded() {
        let md = render(&fixed());
        assert!(md.starts_with("## ❌ FAIL lifecycle"), "{md}");
        let place = |part: &str| md.find(part).unwrap();
        assert!(place("| threshold |") < place("<details>"));
        assert!(place("expected \"42\"") < place("| p50 / p95 |"));
    }

    #[test]
    fn a_hostile_name_is_text_and_a_fence_cannot_be_closed() {
        let mut summary = fixed();
        summary.cells[0].cell = "x|y<script>alert(1)</script>[a](b)".to_owned();
        summary.failures[0].message = "```\n<b>\n````".to_owned();
        let md = render(&summary);
        assert!(!md.contains("<script>"), "{md}");
        assert!(md.contains("x\\|y&lt;script&gt;"), "{md}");
        assert!(md.contains("`````text"), "{md}");
    }

    #[test]
    fn what_github_would_refuse_is_left_out_and_told() {
        let mut summary = fixed();
        let mut failure = summary.failures[0].clone();
        failure.message = "x".repeat(2000);
        summary.failures = vec![failure; 1000];
        let md = render(&summary);
        assert!(md.len() <= LIMIT, "{}", md.len());
        assert!(
            md.contains("sections did not fit"),
            "{}",
            &md[md.len() - 200..]
        );
    }
}
