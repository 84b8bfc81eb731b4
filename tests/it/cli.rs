//! The program as people use it: what it runs, prints and answers with.

use sandbench::metrics::{Histogram, Verdict};

use crate::program::{Place, result, samples};

const HELLO: &str = "version: 1\nname: hello\ntarget: { warmPool: p, mode: in-cluster-pod-ip }\n\
    scenarios:\n  hello:\n    steps:\n      - create: {}\n      - exec: echo hello\n        expect: { stdout: EXPECTED }\n";

#[test]
fn the_lifecycle_passes_in_every_mode_and_leaves_nothing() {
    let place = Place::new();
    let out = format!("json={}", place.path("r.json").display());
    let ended = place.run(&[
        "run",
        "scenarios/lifecycle.yaml",
        "--seed",
        "7",
        "--out",
        &out,
    ]);
    ended
        .assert_code(0)
        .assert_says("PASS lifecycle")
        .assert_says("nothing left behind");
    let summary = result(&place.path("r.json"));
    let modes: Vec<&str> = summary
        .cells
        .iter()
        .map(|cell| cell.matrix["mode"].as_str())
        .collect();
    assert_eq!(
        modes,
        [
            "gateway",
            "tunnel",
            "in-cluster",
            "in-cluster-pod-ip",
            "direct"
        ]
    );
    assert_eq!((summary.verdict, summary.run.seed), (Verdict::Passed, 7));
    for (cell, _mode) in modes.iter().enumerate() {
        assert_eq!(
            samples(&summary, cell, "exec_duration"),
            3,
            "{}",
            modes[cell]
        );
        assert_eq!(samples(&summary, cell, "connect_duration"), 2);
        assert_eq!(samples(&summary, cell, "sandbox_ready_duration"), 1);
    }
    let histogram = summary.cells[0]
        .metrics
        .iter()
        .find_map(|metric| metric.statistics.as_ref())
        .map(|statistics| Histogram::decode(&statistics.histogram).unwrap())
        .unwrap();
    assert!(histogram.count() > 0);
    place.assert_nothing_left();
}

#[test]
fn the_scenarios_of_every_folder_pass() {
    let place = Place::new();
    for folder in ["verify", "steps"] {
        let directory = format!("{}/scenarios/{folder}", env!("CARGO_MANIFEST_DIR"));
        let mut files: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path().to_str().unwrap().to_owned())
            .collect();
        files.sort();
        let mut arguments = vec!["run", "--progress", "none"];
        arguments.extend(files.iter().map(String::as_str));
        place.run(&arguments).assert_code(0);
    }
    place.assert_nothing_left();
}

#[test]
fn a_cell_whose_runtime_cannot_do_a_step_is_not_applicable_and_its_load_ends() {
    let place = Place::new();
    let text = HELLO
        .replace("exec: echo hello", "deleteFile: a.txt")
        .replace("        expect: { stdout: EXPECTED }\n", "");
    let text = text.replace(
        "    steps:",
        "    load: { vus: 3, duration: 10m }\n    thresholds: { exec_duration: p95 < 1s }\n    steps:",
    );
    let file = place.file("na.yaml", &text);
    let out = format!("json={}", place.path("r.json").display());
    place
        .run(&["run", file.to_str().unwrap(), "--out", &out])
        .assert_code(4);
    let summary = result(&place.path("r.json"));
    assert_eq!(summary.verdict, Verdict::NotApplicable);
    let why = summary.cells[0].not_applicable.as_deref().unwrap();
    assert!(why.contains("deletes no files"), "{why}");
    assert!(summary.failures.is_empty() && summary.thresholds.is_empty());
    place.assert_nothing_left();
}

#[test]
fn every_action_has_an_example() {
    for kind in sandbench::step::Action::KINDS {
        let path = format!("{}/scenarios/steps/{kind}.yaml", env!("CARGO_MANIFEST_DIR"));
        assert!(std::path::Path::new(&path).is_file(), "{path} is missing");
    }
}

#[test]
fn many_virtual_users_give_exactly_the_samples_that_were_asked_for() {
    let place = Place::new();
    let text = HELLO.replace("EXPECTED", "\"hello\\n\"").replace(
        "    steps:",
        "    load: { vus: 20, iterations: 200 }\n    steps:",
    );
    let file = place.file("load.yaml", &text);
    let out = format!("json={}", place.path("r.json").display());
    place
        .run(&["run", file.to_str().unwrap(), "--out", &out])
        .assert_code(0);
    let summary = result(&place.path("r.json"));
    for metric in [
        "exec_duration",
        "sandbox_ready_duration",
        "time_to_first_exec",
        "iterations",
    ] {
        assert_eq!(samples(&summary, 0, metric), 200, "{metric}");
    }
    assert_eq!(summary.cells[0].iterations_passed, 200);
    place.assert_nothing_left();
}

#[test]
fn a_wrong_expectation_fails_with_its_place_and_the_actual_value() {
    let place = Place::new();
    let file = place.file("wrong.yaml", &HELLO.replace("EXPECTED", "\"hallo\\n\""));
    let ended = place.run(&["run", file.to_str().unwrap(), "--seed", "3"]);
    ended
        .assert_code(100)
        .assert_says("wrong.yaml:9:27")
        .assert_says("actual \"hello\\n\"");
    ended.assert_says("--only 'hello' --seed 3");
    place.assert_nothing_left();
}

#[test]
fn a_misspelt_key_is_told_before_anything_runs() {
    let place = Place::new();
    let text = HELLO.replace("EXPECTED", "x").replace("steps:", "stepps:");
    let file = place.file("misspelt.yaml", &text);
    for command in ["run", "check"] {
        let ended = place.run(&[command, file.to_str().unwrap()]);
        ended
            .assert_code(104)
            .assert_says("did you mean `steps`?")
            .assert_says("misspelt.yaml:6:5");
    }
}

#[test]
fn check_tells_every_file_and_run_runs_none_if_one_is_wrong() {
    let place = Place::new();
    let good = place.file("good.yaml", &HELLO.replace("EXPECTED", "x"));
    let bad = place.file("bad.yaml", "version: 1\n");
    let both = [good.to_str().unwrap(), bad.to_str().unwrap()];
    let ended = place.run(&["check", both[0], both[1]]);
    ended
        .assert_code(104)
        .assert_says("good.yaml: ok")
        .assert_says("1 of 2 files");
    let ended = place.run(&["run", both[0], both[1]]);
    ended.assert_code(104);
    assert!(!ended.stdout.contains("PASS") && !ended.stderr.contains("running"));
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let place = Place::new();
    place
        .run(&["run", "nowhere.yaml"])
        .assert_code(104)
        .assert_says("nowhere.yaml");
    place.run(&["check", "/"]).assert_code(104);
    let binary = place.path("binary.yaml");
    std::fs::write(&binary, b"a: \xff\xfe").unwrap();
    place
        .run(&["check", binary.to_str().unwrap()])
        .assert_code(104)
        .assert_says("UTF-8");
    let large = place.path("large.yaml");
    std::fs::File::create(&large)
        .unwrap()
        .set_len(100 << 20)
        .unwrap();
    place
        .run(&["check", large.to_str().unwrap()])
        .assert_code(104)
        .assert_says("at most 4194304 bytes");
}

#[test]
fn flags_select_set_and_refuse() {
    let place = Place::new();
    let text = HELLO
        .replace("EXPECTED", "\"${{ vars.word }}\\n\"")
        .replace("echo hello", "echo ${{ vars.word }}")
        .replace("target:", "vars: { word: hello }\ntarget:");
    let file = place.file("flags.yaml", &text);
    let file = file.to_str().unwrap();
    place
        .run(&["run", file, "--only", "other"])
        .assert_code(4)
        .assert_says("--only");
    place
        .run(&["run", file, "--var", "word=bye", "--only", "hello"])
        .assert_code(0);
    place
        .run(&["run", file, "--var", "wrod=bye"])
        .assert_code(104)
        .assert_says("`word`");
    place
        .run(&["run", file, "--cluster", "prod"])
        .assert_code(2);
    place
        .run(&["run", file, "--out", "xml=r.xml"])
        .assert_code(2)
        .assert_says("`json`");
    let bad = format!("json={}/nowhere\0", "/proc");
    assert!(
        place
            .command()
            .args(["run", file, "--out", &bad])
            .output()
            .is_err()
    );
    place
        .run(&["run", file, "--out", "json=/proc/nowhere/r.json"])
        .assert_code(2);
    let piped = place.run(&["run", file, "--out", "json=-"]);
    piped.assert_code(0);
    serde_json::from_str::<sandbench::metrics::Summary>(&piped.stdout).unwrap();
}

#[test]
fn colour_is_only_written_when_asked_for() {
    let place = Place::new();
    let file = place.file("bad.yaml", "versoin: 1\n");
    let file = file.to_str().unwrap();
    assert!(!place.run(&["check", file]).stderr.contains('\x1b'));
    assert!(
        place
            .run(&["check", file, "--color", "always"])
            .stderr
            .contains('\x1b')
    );
    let quiet = place
        .command()
        .env("NO_COLOR", "")
        .args(["check", file])
        .output()
        .unwrap();
    assert!(!quiet.stderr.contains(&0x1b));
}
