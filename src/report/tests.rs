//! The made-up result that all formats show, and their committed examples.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::metrics::{
    Better, CellCounts, CellFacts, CellSummary, ClosedWindow, Collection, ComparedCell, Comparison,
    ComparisonRow, Design, Doubt, FailureGroup, FlowControl, Generator, Interval, Label,
    LaunchType, Leaks, Metric, Outcome, Place, Quantity, Recorder, RunInfo, SampleUnit,
    SharedAggregate, Standing, StepIndex, StepSummary, ThresholdResult, Timeline, TraceResult,
    ValueUnit, Verdict, Warning, Window,
};

const FILE_TEXT: &str = include_str!("../../scenarios/lifecycle.yaml");

/// Two metrics across the modes: a difference, none, and what could not be compared.
fn comparison() -> Comparison {
    let interval = |middle: f64, off: f64| Interval {
        low: middle * (1.0 - off),
        high: middle * (1.0 + off),
    };
    let cell = |column: &str, standing: Standing, base: f64, ratio: f64| {
        let has_value = standing != Standing::NotApplicable;
        let compared = has_value && standing != Standing::Baseline;
        ComparedCell {
            column: column.to_owned(),
            cell: format!("full-life[mode={column}]"),
            standing,
            value: has_value.then_some(base * ratio),
            value_interval: has_value.then(|| interval(base * ratio, 0.02)),
            ratio: compared.then_some(ratio),
            ratio_interval: compared.then(|| interval(ratio, 0.03)),
            p: compared.then_some(0.000_488),
            p_holm: compared.then_some(0.000_976),
            samples: 12,
            reason: (!has_value).then(|| "this runtime does not suspend".to_owned()),
        }
    };
    let row = |metric: &str, base: f64, standing: Standing, ratio: f64| ComparisonRow {
        matrix: BTreeMap::new(),
        metric: metric.to_owned(),
        unit: ValueUnit::Nanoseconds,
        better: Better::Lower,
        cells: vec![
            cell("gateway", Standing::Baseline, base, 1.0),
            cell("tunnel", standing, base, ratio),
            cell("pod-tunnel", Standing::NotApplicable, base, 1.0),
        ],
    };
    Comparison {
        scenario: "full-life".to_owned(),
        across: "mode".to_owned(),
        columns: ["gateway", "tunnel", "pod-tunnel"]
            .map(str::to_owned)
            .into(),
        load: "2 VUs".to_owned(),
        sample: SampleUnit::Round,
        design: Design::Paired,
        planned: 12,
        done: 12,
        alpha: 0.05,
        min_effect: 0.05,
        confidence: 0.95,
        tests: 2,
        needed: 7,
        method: "a paired test, made up for this example".to_owned(),
        rows: vec![
            row("exec_duration p50", 1.46e6, Standing::Worse, 1.99),
            row("read_duration p50", 7.3e5, Standing::NotShown, 1.012),
        ],
        caveats: Vec::new(),
    }
}

/// The seconds that a cell of it runs, and its iterations in each.
const SECONDS: u64 = 8;
const EACH: u64 = 5;

/// The milestones of a create. One in five is made for its claim.
fn record_create(recorder: &mut Recorder, (second, index): (u64, u64), time: Duration) {
    let cold = index == EACH;
    let launched = if cold {
        LaunchType::Cold
    } else {
        LaunchType::Warm
    };
    let first = (Some(StepIndex(0)), Some(Label::LaunchType(launched)));
    recorder.time_of(Metric::SandboxCreateAckDuration, first, time / 3);
    recorder.time_of(Metric::SandboxBoundDuration, first, time * 2);
    if cold {
        recorder.time_of(Metric::SandboxScheduledDuration, first, time * 9 / 4);
        recorder.time_of(Metric::SandboxRunningDuration, first, time * 11 / 4);
        let started = Duration::from_secs(second / 3);
        recorder.time_of(Metric::KubeletStartedDuration, first, started);
    } else {
        recorder.count_of(Metric::ScheduledBeforeClaim, first, 1);
        recorder.count_of(Metric::RunningBeforeClaim, first, 1);
    }
    recorder.time_of(Metric::SandboxReadyDuration, first, time * 3);
    recorder.time_of(Metric::TimeToFirstExec, first, time * 4);
    recorder.time_of(Metric::ControllerReadyDuration, first, time);
}

/// A cell that runs for some seconds and becomes slower in the middle.
fn cell(mode: &str, factor: u64, counts: CellCounts) -> CellSummary {
    let steps = [
        ("box", "create", 21),
        ("first command", "exec", 24),
        ("read", "read", 36),
    ];
    let steps = steps.map(|(name, action, line)| StepSummary {
        name: name.to_owned(),
        action: action.to_owned(),
        line,
    });
    let facts = CellFacts {
        cell: format!("full-life[mode={mode}]"),
        scenario: "full-life".to_owned(),
        matrix: BTreeMap::from([("mode".to_owned(), mode.to_owned())]),
        tags: BTreeMap::new(),
        load: "2 VUs".to_owned(),
        planned: Some(SECONDS * EACH),
        steps: steps.iter().map(|step| step.name.clone()).collect(),
        started: Duration::ZERO,
        figures: SharedAggregate::default(),
    };
    let mut recorder = Recorder::new(facts.figures.clone());
    let mut timeline = Timeline::new(Duration::from_secs(1));
    let mut failed = counts.failed;
    recorder.enter(0, Instant::now());
    for second in 0..SECONDS {
        let slow = 1 + 3 * u64::from((3..5).contains(&second));
        for index in 1..=EACH {
            let time = Duration::from_micros((index * 150 + second * 40) * factor * slow);
            record_create(&mut recorder, (second, index), time);
            for (step, part) in (0_u16..3).zip([3, 1, 1]) {
                recorder.time(Metric::StepDuration, Some(StepIndex(step)), time * part);
            }
            recorder.time(Metric::ExecDuration, Some(StepIndex(1)), time);
            recorder.time(Metric::ReadDuration, Some(StepIndex(2)), time / 2);
            recorder.time(Metric::IterationDuration, None, time * 5);
            recorder.count(Metric::Iterations, None, 1);
            if slow > 1 && failed > 0 {
                failed -= 1;
                recorder.count(Metric::Failures, None, 1);
            }
        }
        recorder.count(Metric::WarmHits, Some(StepIndex(0)), EACH - 1);
        recorder.count(Metric::ColdStarts, Some(StepIndex(0)), 1);
        recorder.hand_over();
        let (from, to) = (Duration::from_secs(second), Duration::from_secs(second + 1));
        timeline.add(&ClosedWindow {
            last: second + 1 == SECONDS,
            ..ClosedWindow::close(&facts, from, to)
        });
    }
    let (windows, width) = timeline.finish();
    let mut cell = CellSummary {
        scenario: facts.scenario.clone(),
        cell: facts.cell.clone(),
        matrix: facts.matrix.clone(),
        verdict: Verdict::Passed,
        not_applicable: None,
        load: facts.load.clone(),
        vus: 2,
        iterations_planned: facts.planned,
        iterations_passed: 0,
        iterations_failed: 0,
        iterations_interrupted: 0,
        iterations_dropped: 0,
        iterations_warmup: 0,
        started_ms: 0,
        duration_ms: SECONDS * 1000,
        steps: steps.to_vec(),
        metrics: facts.figures.lock().metrics(&facts.steps),
        breakpoint: None,
        window_ms: u64::try_from(width.as_millis()).unwrap(),
        windows,
        rounds: Vec::new(),
    };
    cell.set_counts(counts);
    cell
}

/// A cell of which nothing can be said.
fn without_figures() -> CellSummary {
    let mut cell = cell("pod-tunnel", 1, CellCounts::default());
    cell.not_applicable("this runtime does not suspend");
    cell.metrics.clear();
    cell.windows.clear();
    cell.duration_ms = 12;
    cell
}

fn failures() -> Vec<FailureGroup> {
    vec![FailureGroup {
        cell: "full-life[mode=tunnel]".to_owned(),
        step: "read".to_owned(),
        cause: "content".to_owned(),
        place: Place {
            file: "lifecycle.yaml".to_owned(),
            line: 37,
            column: 28,
            snippet: " --> lifecycle.yaml:37:28\n  |\n37 |         expect: { content: \"42\" }\n  |                            ^^^^ actual \"41\\n\"\n".to_owned(),
        },
        message: "expected \"42\", actual \"41\\n\"".to_owned(),
        help: None,
        sandbox: Some("default/sandbox-claim-0123456789abcdef".to_owned()),
        rerun: "sandbench run lifecycle.yaml --only 'full-life[mode=tunnel]' --seed 7".to_owned(),
        count: 3,
        first_ms: 3_210,
        last_ms: 4_870,
        traces: Vec::new(),
    }]
}

fn thresholds() -> Vec<ThresholdResult> {
    let of = |mode: &str, threshold: &str, measured: Quantity, outcome: Outcome| ThresholdResult {
        cell: format!("full-life[mode={mode}]"),
        threshold: threshold.to_owned(),
        steps: None,
        outcome,
        measured: Some(measured),
        window: None,
        stopped_at_ms: None,
    };
    let exec = "exec_duration: p95 < 4ms";
    let window = Window {
        from_ms: 2_000,
        to_ms: 5_000,
    };
    vec![
        of(
            "gateway",
            exec,
            Quantity::Nanoseconds(3_279_871.0),
            Outcome::Held,
        ),
        of(
            "tunnel",
            exec,
            Quantity::Nanoseconds(6_559_743.0),
            Outcome::Failed,
        ),
        ThresholdResult {
            window: Some(window),
            ..of(
                "tunnel",
                "failures: rate < 5% in every 3s",
                Quantity::Share(0.2),
                Outcome::Failed,
            )
        },
    ]
}

fn traces() -> Vec<TraceResult> {
    let met = TraceResult {
        cell: "full-life[mode=gateway]".to_owned(),
        expectation: "span ReconcileSandboxClaim of agent-sandbox-controller under create in every trace: took < 50ms"
            .to_owned(),
        outcome: Outcome::Held,
        iterations: 40,
        judged: 10,
        no_room: 0,
        others_lost: 0,
        without: 0,
        n: 30,
        beyond: 0,
        longest_ns: Some(4_810_000),
        measured: None,
        example: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
    };
    let missed = TraceResult {
        cell: "full-life[mode=tunnel]".to_owned(),
        expectation: "hop router: took p95 < 5ms".to_owned(),
        outcome: Outcome::Failed,
        iterations: 37,
        judged: 8,
        n: 24,
        longest_ns: Some(9_400_000),
        measured: Some(Quantity::Nanoseconds(8_900_000.0)),
        example: Some("0af7651916cd43dd8448eb211c80319c".to_owned()),
        ..met.clone()
    };
    vec![met, missed]
}

/// A summary that is the same on every machine.
pub(super) fn fixed() -> Summary {
    let counts = |passed, failed| CellCounts {
        passed,
        failed,
        ..CellCounts::default()
    };
    let (all, some) = (counts(40, 0), counts(37, 3));
    let warnings = vec![
        Warning::FewSamples {
            cells: vec!["full-life[mode=gateway]".to_owned()],
            samples: 40,
        },
        Warning::GeneratorBusy {
            percent: 86,
            without_headroom: false,
        },
    ];
    Summary {
        format_version: 1,
        verdict: Verdict::Failed,
        run: RunInfo {
            id: "r-0123456789abcdef".to_owned(),
            name: "lifecycle".to_owned(),
            file: "lifecycle.yaml".to_owned(),
            file_sha256: "0".repeat(64),
            seed: 7,
            version: "0.1.0".to_owned(),
            started_at: "2026-01-01T00:00:00Z".to_owned(),
            duration_ms: 8_321,
            cluster: "loopback".to_owned(),
            api_version: "v1beta1".to_owned(),
            namespace: "default".to_owned(),
            machine: "linux x86_64".to_owned(),
            cores: 2,
            flow_control: Some(FlowControl {
                flow_schema: "global-default".to_owned(),
                priority_level: "workload-low".to_owned(),
            }),
            vars: BTreeMap::from([("greeting".to_owned(), "hello".to_owned())]),
            file_text: FILE_TEXT.to_owned(),
            parts: Vec::new(),
        },
        cells: vec![
            cell("gateway", 1, all),
            cell("tunnel", 2, some),
            without_figures(),
        ],
        thresholds: thresholds(),
        traces: traces(),
        comparisons: vec![comparison()],
        collected: Collection::default(),
        failures: failures(),
        leaks: Leaks::default(),
        doubt: Doubt::of(&warnings),
        generator: Generator::default(),
        warnings,
        telemetry: None,
    }
}

#[test]
fn every_format_gives_its_committed_example() {
    let bless = std::env::var_os("SANDBENCH_BLESS").is_some();
    for format in Format::ALL {
        let path = format!(
            "{}/reports/example.{}",
            env!("CARGO_MANIFEST_DIR"),
            format.extension()
        );
        let report = format.render(&fixed(), Colour::Off);
        if bless {
            std::fs::write(&path, &report).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            report, committed,
            "{path} is stale: run the test with SANDBENCH_BLESS=1"
        );
    }
}

#[test]
fn the_result_can_be_read_back_without_loss() {
    let json = Format::Json.render(&fixed(), Colour::Off);
    let read: Summary = serde_json::from_str(&json).unwrap();
    assert_eq!(Format::Json.render(&read, Colour::Off), json);
    assert_eq!(
        Format::Text.render(&read, Colour::Off),
        Format::Text.render(&fixed(), Colour::Off)
    );
}

#[test]
fn the_text_leads_with_the_verdict_and_fits_the_screen() {
    let text = Format::Text.render(&fixed(), Colour::Off);
    assert!(text.starts_with("FAIL lifecycle  1 of 3"), "{text}");
    let place = |part: &str| text.find(part).unwrap();
    assert!(place("note:") < place("FAIL full-life[mode=tunnel]  read"));
    assert!(place("= rerun") < place("PASS full-life[mode=gateway]"));
    assert!(
        text.lines().all(|line| line.chars().count() <= 110),
        "{text}"
    );
    assert!(
        Format::Text
            .render(&fixed(), Colour::On)
            .contains("\x1b[1;31mFAIL")
    );
}

#[test]
fn a_report_appears_whole_and_a_bad_path_fails_first() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sub/result.json");
    let out = Out::prepare("json", path.to_str().unwrap()).unwrap();
    assert!(!path.exists());
    assert_eq!(out.write("{}".to_owned()).unwrap(), None);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}");
    assert!(Out::prepare("json", directory.path().to_str().unwrap()).is_err());
    assert!(Out::prepare("json", path.join("x").to_str().unwrap()).is_err());
    let unknown = Out::prepare("xml", "-").unwrap_err().to_string();
    assert_eq!(
        unknown,
        "write a report of the kind `xml`; use one of `text`, `json`, `jsonl`, `html`, `junit`, `md`, `csv`, `prom`, `hlog`"
    );
    assert!(Out::prepare("json", "-").unwrap().is_stdout());
}

#[test]
fn a_device_is_written_to_and_stays_one() {
    let out = Out::prepare("json", "/dev/null").unwrap();
    assert_eq!(out.path(), None);
    out.write("{}".to_owned()).unwrap();
    let full = Out::prepare("json", "/dev/full").unwrap();
    let error = full.write("{}".to_owned()).unwrap_err();
    assert_eq!(error.to_string(), "write the report /dev/full");
    for device in ["/dev/null", "/dev/full"] {
        assert!(!std::fs::metadata(device).unwrap().is_file(), "{device}");
    }
}
