//! The HTML report: the order of what it says, and that nothing in it is code.

use super::super::tests::fixed;
use super::*;

#[test]
fn the_verdict_and_the_doubts_come_before_any_figure() {
    let page = render(&fixed());
    let place = |part: &str| page.find(part).unwrap_or_else(|| panic!("no {part}"));
    assert!(
        place("<h1><span class=\"badge fail\">FAIL</span> lifecycle") < place("DEGRADED figures")
    );
    assert!(place("DEGRADED figures") < place("id=\"thresholds\""));
    assert!(place("id=\"thresholds\"") < place("id=\"failures\""));
    assert!(place("id=\"failures\"") < place("id=\"latency\""));
}

#[test]
fn nothing_is_loaded_from_anywhere_and_the_policy_forbids_it() {
    let page = render(&fixed());
    let shown = page.split("<style>").next().unwrap();
    assert!(shown.contains("default-src 'none'"));
    let body = page.split("</style>").nth(1).unwrap();
    let body = body.replace(UPLOT, "");
    for outside in [
        "src=\"",
        "url(",
        "@import",
        "<iframe",
        "<object",
        "javascript:",
    ] {
        assert!(!body.contains(outside), "{outside}");
        assert!(!STYLE.contains(outside), "{outside}");
    }
    // Without a hash that fits, the browser would refuse the script.
    assert!(page.contains(&format!("<script>{SCRIPT}</script>")));
    assert!(shown.contains(&digest(SCRIPT)) && shown.contains(&digest(UPLOT)));
}

#[test]
fn a_hostile_text_is_shown_and_does_nothing_wherever_it_comes_from() {
    let hostile = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>&lt;";
    let mut summary = fixed();
    let run = &mut summary.run;
    for text in [
        &mut run.name,
        &mut run.file,
        &mut run.cluster,
        &mut run.id,
        &mut run.started_at,
        &mut run.version,
        &mut run.machine,
        &mut run.namespace,
        &mut run.api_version,
        &mut run.file_sha256,
    ] {
        hostile.clone_into(text);
    }
    run.file_text = format!("a: {hostile}\n{hostile}");
    run.vars = std::collections::BTreeMap::from([(hostile.to_owned(), hostile.to_owned())]);
    for comparison in &mut summary.comparisons {
        hostile.clone_into(&mut comparison.scenario);
        hostile.clone_into(&mut comparison.across);
        hostile.clone_into(&mut comparison.load);
        hostile.clone_into(&mut comparison.method);
        comparison.columns.fill(hostile.to_owned());
        for row in &mut comparison.rows {
            hostile.clone_into(&mut row.metric);
            row.matrix.insert(hostile.to_owned(), hostile.to_owned());
            for cell in &mut row.cells {
                hostile.clone_into(&mut cell.column);
                cell.reason = Some(hostile.to_owned());
            }
        }
    }
    for cell in &mut summary.cells {
        for text in [&mut cell.cell, &mut cell.scenario, &mut cell.load] {
            hostile.clone_into(text);
        }
        for step in &mut cell.steps {
            hostile.clone_into(&mut step.name);
        }
        for series in &mut cell.metrics {
            series.step = series.step.as_ref().map(|_| hostile.to_owned());
        }
        cell.not_applicable = cell.not_applicable.as_ref().map(|_| hostile.to_owned());
    }
    for result in &mut summary.traces {
        hostile.clone_into(&mut result.expectation);
        hostile.clone_into(&mut result.cell);
        result.example = Some(hostile.to_owned());
    }
    for threshold in &mut summary.thresholds {
        hostile.clone_into(&mut threshold.threshold);
        hostile.clone_into(&mut threshold.cell);
    }
    for failure in &mut summary.failures {
        for text in [
            &mut failure.cell,
            &mut failure.step,
            &mut failure.cause,
            &mut failure.message,
            &mut failure.rerun,
            &mut failure.place.file,
            &mut failure.place.snippet,
        ] {
            hostile.clone_into(text);
        }
        failure.help = Some(hostile.to_owned());
        failure.sandbox = Some(hostile.to_owned());
    }
    summary.leaks.unknown = Some(hostile.to_owned());
    let page = render(&summary);
    assert!(
        !page.contains("<script>alert") && !page.contains("<img"),
        "not escaped"
    );
    assert!(!page.contains("'><script"), "not escaped");
    assert_eq!(page.matches("</script>").count(), 3);
    assert!(page.matches("&lt;script&gt;alert(1)").count() > 30);
}

#[test]
fn what_was_not_measured_is_not_zero() {
    let page = render(&fixed());
    assert!(page.contains("N/A: not applicable: this runtime does not suspend"));
    let mut summary = fixed();
    for cell in &mut summary.cells {
        cell.metrics.clear();
        cell.windows.clear();
    }
    let page = render(&summary);
    let main = page.split("<main").nth(1).unwrap();
    let main = main.split("</main>").next().unwrap();
    assert!(!main.contains(">0ms<") && !main.contains(">0<"), "{main}");
    assert!(!main.contains("NaN") && !main.contains("inf"), "{main}");
}

#[test]
fn a_long_run_of_many_cells_is_still_a_page_that_opens() {
    let mut summary = fixed();
    let windows = summary.cells[0].windows.clone();
    let cell = &mut summary.cells[0];
    cell.windows = windows.iter().cycle().take(300).cloned().collect();
    for (place, window) in (0..).zip(&mut cell.windows) {
        window.from_ms = place * 1000;
        window.to_ms = (place + 1) * 1000;
    }
    let cell = cell.clone();
    summary.cells = vec![cell; 10];
    let page = render(&summary);
    assert!(page.len() < 4 << 20, "{} bytes", page.len());
}

#[test]
fn ids_are_unique_and_every_link_has_its_target() {
    let mut summary = fixed();
    summary.run.file_text = "line\n".repeat(40);
    let page = render(&summary);
    let after = |mark: &str| {
        let parts = page.split(mark).skip(1);
        let ends = parts.map(|part| part.split('"').next().unwrap_or_default());
        ends.map(str::to_owned).collect::<Vec<String>>()
    };
    let ids = after(" id=\"");
    let mut unique = ids.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(ids.len(), unique.len());
    for link in after("href=\"#") {
        assert!(ids.contains(&link), "{link}");
    }
}

#[test]
fn every_difference_is_drawn_with_its_interval_and_stands_in_the_table() {
    let page = render(&fixed());
    let section = page.split("id=\"comparison\"").nth(1).unwrap();
    let section = section.split("</section>").next().unwrap();
    assert_eq!(section.matches("<circle").count(), 2);
    assert_eq!(section.matches("class=\"interval worse\"").count(), 1);
    assert_eq!(section.matches("class=\"interval same\"").count(), 1);
    for part in [
        "+99.0% ▲",
        "+93.0% … +105%",
        "N/A  pod-tunnel read_duration p50: this runtime does not suspend",
    ] {
        assert!(section.contains(part), "{part}\n{section}");
    }
}

#[test]
fn the_levels_of_a_breakpoint_are_a_table() {
    let mut summary = fixed();
    assert!(!render(&summary).contains("id=\"breakpoint\""));
    summary.cells[0].breakpoint = Some(crate::report::levels::tests::found());
    let page = render(&summary);
    let section = page.split("id=\"breakpoint\"").nth(1).unwrap();
    assert!(
        section.contains("BROKE") && section.contains("held"),
        "{section}"
    );
}
