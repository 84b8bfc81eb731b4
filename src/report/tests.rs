use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::metrics::{
    CellCounts, CellSummary, Doubt, FailureGroup, Generator, Leaks, Metric, Place, Recorder,
    RunInfo, SharedAggregate, StepIndex, Verdict, Warning,
};

fn counts(passed: u64, failed: u64) -> CellCounts {
    CellCounts {
        passed,
        failed,
        ..CellCounts::default()
    }
}

/// A summary that is the same on every machine.
fn fixed() -> Summary {
    let cell = |mode: &str, factor: u64, counts: CellCounts| {
        let aggregate = SharedAggregate::default();
        let mut recorder = Recorder::new(aggregate.clone());
        for index in 1..=20_u64 {
            let time = Duration::from_micros(index * 100 * factor);
            recorder.time(Metric::SandboxReadyDuration, Some(StepIndex(0)), time * 3);
            recorder.time(Metric::ExecDuration, Some(StepIndex(1)), time);
            recorder.time(Metric::IterationDuration, None, time * 5);
        }
        recorder.count(Metric::WarmHits, Some(StepIndex(0)), 20);
        drop(recorder);
        let names = ["box".to_owned(), "first command".to_owned()];
        let mut cell = CellSummary {
            scenario: "full-life".to_owned(),
            cell: format!("full-life[mode={mode}]"),
            matrix: BTreeMap::from([("mode".to_owned(), mode.to_owned())]),
            verdict: Verdict::Passed,
            not_applicable: None,
            load: "2 VUs".to_owned(),
            vus: 2,
            iterations_planned: Some(20),
            iterations_passed: 0,
            iterations_failed: 0,
            iterations_interrupted: 0,
            iterations_dropped: 0,
            iterations_warmup: 0,
            duration_ms: 1_234 * factor,
            metrics: aggregate.lock().metrics(&names),
            rounds: Vec::new(),
        };
        cell.set_counts(counts);
        cell
    };
    let (all, some) = (counts(20, 0), counts(17, 3));
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
            duration_ms: 4_321,
            cluster: "loopback".to_owned(),
            api_version: "v1beta1".to_owned(),
            namespace: "default".to_owned(),
            machine: "linux x86_64".to_owned(),
            cores: 2,
            vars: BTreeMap::from([("greeting".to_owned(), "hello".to_owned())]),
        },
        cells: vec![cell("gateway", 1, all), cell("tunnel", 2, some)],
        thresholds: Vec::new(),
        comparisons: Vec::new(),
        failures: vec![FailureGroup {
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
        }],
        leaks: Leaks::default(),
        doubt: Doubt::default(),
        generator: Generator::default(),
        warnings: vec![Warning::FewSamples { cells: vec!["full-life[mode=gateway]".to_owned()], samples: 20 }],
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
    assert!(text.starts_with("FAIL lifecycle"), "{text}");
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
        "write a report of the kind `xml`; use one of `text`, `json`"
    );
    assert!(Out::prepare("json", "-").unwrap().is_stdout());
}
