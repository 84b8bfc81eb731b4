//! `junit`: a suite per cell, in it a case per step, one per threshold and one per
//! expectation on traces, for CI systems. Valid by the schema
//! of Jenkins' xUnit plugin (`junit-10.xsd`), with which pytest too tests what it writes.
//!
//! A step that passed only when it was tried again has a `flakyFailure`, as Maven Surefire writes it. A
//! cell that did not come to its end, or that failed outside of its steps, has a case that says so: a
//! file without a failure is never that of a run that failed.

use std::time::Duration;

use quick_junit::{
    NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestRerun, TestSuite,
};

use super::{traces, words};
use crate::metrics::{CellSummary, FailureGroup, Outcome, StepSummary, Summary, Verdict};

pub(super) fn render(summary: &Summary) -> String {
    let mut report = Report::new(summary.run.name.as_str());
    report.set_time(Duration::from_millis(summary.run.duration_ms));
    for cell in &summary.cells {
        report.add_test_suite(suite(summary, cell));
    }
    if !summary.leaks.is_empty() {
        let mut suite = TestSuite::new("clean-up");
        let text = words::leaks(&summary.leaks);
        suite.add_test_case(failed("nothing is left behind", "leak", &text, &text));
        report.add_test_suite(suite);
    }
    // Names and texts were made valid XML when they were taken over, and memory does not run out of
    // room: what is left to fail is nothing that a reader could mend.
    let xml = report.to_string().unwrap_or_default();
    // The first is that of the whole report, the one attribute that the schema does not know.
    xml.replacen(&format!(" skipped=\"{}\"", report.skipped), "", 1)
}

fn suite(summary: &Summary, cell: &CellSummary) -> TestSuite {
    let mut suite = TestSuite::new(cell.cell.as_str());
    suite.set_time(Duration::from_millis(cell.duration_ms));
    let run = &summary.run;
    let seed = run.seed.to_string();
    let facts = [
        ("scenario", cell.scenario.as_str()),
        ("load", &cell.load),
        ("verdict", words::of_cell(cell)),
        ("iterations", &words::counts(cell)),
        ("run", &run.id),
        ("seed", &seed),
        ("cluster", &run.cluster),
        ("file", &run.file),
    ];
    for (name, value) in facts {
        suite.add_property(Property::new(name, value));
    }
    for (axis, value) in &cell.matrix {
        let name = format!("matrix.{axis}");
        suite.add_property(Property::new(name, value.as_str()));
    }
    let failures = of_cell(summary, cell);
    let steps = steps(cell);
    for (place, step) in steps.iter().enumerate() {
        let own: Vec<&FailureGroup> = failures
            .iter()
            .copied()
            .filter(|failure| place_of(&steps, failure) == Some(place))
            .collect();
        suite.add_test_case(case(cell, (place, step), &own));
    }
    let stray = failures
        .into_iter()
        .filter(|failure| place_of(&steps, failure).is_none());
    for failure in stray {
        suite.add_test_case(of_failure(failure));
    }
    suite.add_test_cases(thresholds(summary, cell));
    suite.add_test_cases(expected_traces(summary, cell));
    suite.add_test_cases(whole(cell, suite.failures));
    for case in &mut suite.test_cases {
        case.set_classname(cell.cell.as_str());
    }
    suite
}

fn of_cell<'a>(summary: &'a Summary, cell: &CellSummary) -> Vec<&'a FailureGroup> {
    let failures = summary.failures.iter();
    failures.filter(|found| found.cell == cell.cell).collect()
}

/// The steps of a cell; those of an older result are the ones that have samples.
fn steps(cell: &CellSummary) -> Vec<StepSummary> {
    if !cell.steps.is_empty() {
        return cell.steps.clone();
    }
    let mut steps: Vec<StepSummary> = Vec::new();
    for series in &cell.metrics {
        let Some(name) = &series.step else {
            continue;
        };
        if !steps.iter().any(|step| step.name == *name) {
            steps.push(StepSummary {
                name: name.clone(),
                action: String::new(),
                line: 0,
            });
        }
    }
    steps
}

/// The step that a failure is one of: of that name, the last one that begins before its place.
fn place_of(steps: &[StepSummary], failure: &FailureGroup) -> Option<usize> {
    let before = |step: &StepSummary| step.name == failure.step && step.line <= failure.place.line;
    steps.iter().rposition(before)
}

fn case(
    cell: &CellSummary,
    (place, step): (usize, &StepSummary),
    failures: &[&FailureGroup],
) -> TestCase {
    let timed = cell.metrics.iter().find(|series| {
        let same = match series.step_index {
            Some(index) => usize::from(index) == place,
            None => series.step.as_ref() == Some(&step.name),
        };
        same && ["step_duration", "group_duration"].contains(&series.metric.as_str())
    });
    let timed = timed.and_then(|series| series.statistics.as_ref());
    let mut case = match failures {
        [] if timed.is_none() => skipped(&step.name, &words::why_nothing(cell)),
        [] => TestCase::new(step.name.as_str(), TestCaseStatus::success()),
        [first, ..] if cell.verdict == Verdict::Passed => flaky(&step.name, first),
        [first, rest @ ..] => {
            let mut text = describe(first);
            for failure in rest {
                text = format!("{text}\n\n{}", describe(failure));
            }
            let count: u64 = failures.iter().map(|failure| failure.count).sum();
            let message = format!("{}{}", times(count), first.message);
            failed(&step.name, &first.cause, &message, &text)
        }
    };
    if let Some(timed) = timed {
        case.set_time(Duration::from_nanos(timed.mean_ns));
        let samples = if timed.n == 1 { "sample" } else { "samples" };
        case.set_system_out(format!("{} {samples}", timed.n));
    }
    case
}

fn times(count: u64) -> String {
    if count > 1 {
        format!("{count} times: ")
    } else {
        String::new()
    }
}

fn describe(failure: &FailureGroup) -> String {
    let mut text = format!("{}{}", failure.place.snippet, failure.message);
    if let Some(help) = &failure.help {
        text = format!("{text}\nhelp: {help}");
    }
    format!("{text}\nrerun: {}", failure.rerun)
}

fn failed(name: &str, kind: &str, message: &str, text: &str) -> TestCase {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status
        .set_message(message)
        .set_type(kind)
        .set_description(text);
    TestCase::new(name, status)
}

fn of_failure(failure: &FailureGroup) -> TestCase {
    let message = format!("{}{}", times(failure.count), failure.message);
    failed(&failure.step, &failure.cause, &message, &describe(failure))
}

fn skipped(name: &str, why: &str) -> TestCase {
    let mut status = TestCaseStatus::skipped();
    status.set_message(why);
    TestCase::new(name, status)
}

fn flaky(name: &str, failure: &FailureGroup) -> TestCase {
    let mut status = TestCaseStatus::success();
    let mut rerun = TestRerun::new(NonSuccessKind::Failure);
    rerun
        .set_message(failure.message.as_str())
        .set_type(failure.cause.as_str())
        .set_description(describe(failure));
    status.add_rerun(rerun);
    TestCase::new(name, status)
}

fn thresholds(summary: &Summary, cell: &CellSummary) -> Vec<TestCase> {
    let own = summary.thresholds.iter();
    own.filter(|threshold| threshold.cell == cell.cell)
        .map(|threshold| {
            let measured = format!("measured {}", words::measured(threshold));
            match threshold.outcome {
                Outcome::Held => {
                    let status = TestCaseStatus::success();
                    let mut case = TestCase::new(threshold.threshold.as_str(), status);
                    case.set_system_out(measured);
                    case
                }
                Outcome::Failed | Outcome::NoSamples => {
                    failed(&threshold.threshold, "threshold", &measured, &measured)
                }
            }
        })
        .collect()
}

fn expected_traces(summary: &Summary, cell: &CellSummary) -> Vec<TestCase> {
    let own = summary.traces.iter();
    own.filter(|result| result.cell == cell.cell)
        .map(|result| {
            let told = traces::told(result);
            if result.is_failed() {
                let example = traces::example(summary, result);
                let example = example.map_or_else(String::new, |trace| format!("\ntrace: {trace}"));
                let text = format!("{told}{example}");
                return failed(&result.expectation, "traces", &told, &text);
            }
            let status = TestCaseStatus::success();
            let mut case = TestCase::new(result.expectation.as_str(), status);
            case.set_system_out(told);
            case
        })
        .collect()
}

/// What is to be said of a cell as a whole.
fn whole(cell: &CellSummary, failures: usize) -> Option<TestCase> {
    let why = words::why_nothing(cell);
    match cell.verdict {
        Verdict::Interrupted => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            let text = format!("stopped before its end: {}", words::counts(cell));
            status.set_message(text.as_str()).set_type("interrupted");
            Some(TestCase::new("runs to its end", status))
        }
        Verdict::Failed if failures == 0 => Some(failed("cell", "failed", &why, &why)),
        Verdict::NotApplicable => Some(skipped("cell", &why)),
        Verdict::Passed if words::of_cell(cell) == "FLAKY" => {
            let mut status = TestCaseStatus::success();
            let mut rerun = TestRerun::new(NonSuccessKind::Failure);
            rerun.set_message("passed only when it was tried again");
            status.add_rerun(rerun);
            Some(TestCase::new("iterations pass at the first try", status))
        }
        Verdict::Passed | Verdict::Failed => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::fixed;
    use super::*;
    use crate::metrics::Metric;

    #[test]
    fn a_failed_run_has_a_failure_and_a_hostile_name_breaks_nothing() {
        let mut summary = fixed();
        summary.cells[0].cell = "a\"><x y='\u{1}&amp;\u{1b}[31m".to_owned();
        let xml = render(&summary);
        assert!(xml.contains("<failure"), "{xml}");
        assert!(!xml.contains("<x y"), "{xml}");
        assert!(!xml.contains('\u{1}') && !xml.contains('\u{1b}'), "{xml}");
    }

    #[test]
    fn a_cell_without_an_end_or_a_reason_is_not_green() {
        for verdict in [Verdict::Interrupted, Verdict::Failed] {
            let mut summary = fixed();
            summary.failures.clear();
            summary.thresholds.clear();
            summary.traces.clear();
            summary.cells.truncate(1);
            summary.cells[0].verdict = verdict;
            let xml = render(&summary);
            assert!(!xml.contains("failures=\"0\" errors=\"0\""), "{xml}");
        }
    }

    #[test]
    fn traces_that_are_not_as_expected_are_a_failed_case_with_a_trace() {
        let mut summary = fixed();
        summary.failures.clear();
        summary.thresholds.clear();
        let xml = render(&summary);
        let (_, case) = xml.split_once("hop router: took p95 &lt; 5ms").unwrap();
        let (case, _) = case.split_once("</testcase>").unwrap();
        assert!(case.contains("<failure"), "{case}");
        assert!(case.contains("8 of 37 iterations judged"), "{case}");
        assert!(case.contains("0af7651916cd43dd8448eb211c80319c"), "{case}");
    }

    #[test]
    fn a_pass_at_the_second_try_is_flaky_and_no_failure() {
        let mut summary = fixed();
        summary.thresholds.clear();
        summary.traces.clear();
        summary.cells.retain(|cell| cell.iterations_failed > 0);
        let cell = &mut summary.cells[0];
        cell.verdict = Verdict::Passed;
        cell.count(Metric::FlakyIterations, 1);
        let xml = render(&summary);
        assert!(xml.contains("<flakyFailure"), "{xml}");
        assert!(xml.contains("failures=\"0\" errors=\"0\""), "{xml}");
    }
}
