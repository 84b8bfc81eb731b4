//! Parts of the language and their commands as people use them: `use`, `collect`, secrets, `init`.

use std::path::PathBuf;

use crate::program::{Ended, Place, result};

const HEAD: &str =
    "version: 1\nname: t\ntarget: { warmPool: p, mode: in-cluster-pod-ip }\nscenarios:\n";

/// The file of a test: the head, then these scenarios.
fn file(place: &Place, scenarios: &str) -> PathBuf {
    place.file("t.yaml", &format!("{HEAD}{scenarios}"))
}

#[test]
fn a_failure_in_used_steps_is_shown_in_the_file_that_they_are_in() {
    let place = Place::new();
    place.file(
        "shared.yaml",
        "version: 1\nname: shared\nvars: { who: you }\nscenarios:\n  greet:\n    steps:\n\
         \x20     - exec: echo ${{ vars.who }}\n        expect: { stdout: \"me\\n\" }\n",
    );
    let file = file(
        &place,
        "  one:\n    steps:\n      - create: {}\n      - use: shared.yaml#greet\n",
    );
    let ended = place.run(&["run", file.to_str().unwrap()]);
    ended
        .assert_code(100)
        .assert_says("shared.yaml:8:27")
        .assert_says("8 |         expect: { stdout: \"me\\n\" }")
        .assert_says("actual \"you\\n\"")
        .assert_says("--only 'one'");
    place.assert_nothing_left();
}

#[test]
fn names_of_used_steps_end_with_them_also_after_a_time_limit() {
    let place = Place::new();
    let file = file(
        &place,
        "  slow:\n    if: \"true\"\n    steps:\n      - create: {}\n      - exec: sleep ${{ vars.time }}\n\
             \x20 one:\n    steps:\n      - use: \"#slow\"\n        with: { time: \"5\" }\n        timeout: 1s\n\
             \x20   finally:\n      - exec: echo ${{ vars.time }}\n        expect: { stdout: \"0\\n\" }\n\
             vars: { time: \"0\" }\n",
    );
    let out = format!("json={}", place.path("r.json").display());
    let ended = place.run(&["run", file.to_str().unwrap(), "--out", &out]);
    ended.assert_code(100).assert_says("not done within 1s");
    let failures = result(&place.path("r.json")).failures;
    assert_eq!(failures.len(), 1, "{failures:?}");
    place.assert_nothing_left();
}

#[test]
fn variables_that_are_given_reach_used_steps_of_the_same_file_after_what_with_says() {
    let place = Place::new();
    let file = file(
        &place,
        "  greet:\n    if: \"false\"\n    steps:\n      - create: {}\n\
             \x20     - exec: echo ${{ vars.who }} ${{ vars.how }} ${{ vars.both }}\n\
             \x20       expect: { stdout: \"me loud me-loud\\n\" }\n\
             \x20 one:\n    steps:\n      - use: \"#greet\"\n        with: { how: loud }\n\
             vars: { who: you, how: soft, both: \"${{ vars.who }}-${{ vars.how }}\" }\n",
    );
    let file = file.to_str().unwrap();
    let ended = place.run(&["run", file, "--var", "who=me", "--var", "how=shrill"]);
    ended.assert_code(0);
    let ended = place.run(&["run", file]);
    ended.assert_code(100).assert_says("you loud you-loud");
    place.assert_nothing_left();
}

#[test]
fn what_a_group_must_fulfil_as_a_whole_is_checked() {
    let place = Place::new();
    let file = file(
        &place,
        "  one:\n    steps:\n      - create: {}\n      - group: both\n        steps:\n\
             \x20         - exec: echo 1\n            capture: { a: int(stdout) }\n        expect: { that: vars.a == 2 }\n",
    );
    let ended = place.run(&["run", file.to_str().unwrap()]);
    ended.assert_code(100).assert_says("t.yaml:12:25");
    place.assert_nothing_left();
}

#[test]
fn a_failed_iteration_collects_what_the_cluster_knows() {
    let place = Place::new();
    let file = file(
        &place,
        "  one:\n    steps:\n      - create: {}\n      - exec: \"false\"\n\
             \x20   finally:\n      - collect: [pod-logs, events, objects]\n        if: iteration.failed\n",
    );
    let out = format!("json={}", place.path("r.json").display());
    let file = file.to_str().unwrap();
    let ended = place.run(&["run", file, "--out", &out]);
    ended
        .assert_code(100)
        .assert_says("collected pod-logs of default/");
    let summary = result(&place.path("r.json"));
    let what: Vec<&str> = summary
        .collected
        .texts
        .iter()
        .map(|one| one.what.as_str())
        .collect();
    assert_eq!(what, ["pod-logs", "events", "objects"]);
    assert!(summary.collected.texts[2].text.contains("SandboxClaim"));
    assert!(summary.collected.texts.iter().all(|one| one.file.is_none()));
    let directory = place.path("artifacts");
    let ended = place.run(&[
        "run",
        file,
        "--out",
        &out,
        "--artifacts",
        directory.to_str().unwrap(),
    ]);
    ended.assert_code(100);
    let summary = result(&place.path("r.json"));
    for one in &summary.collected.texts {
        let written = std::fs::read_to_string(one.file.as_ref().unwrap()).unwrap();
        assert!(written.ends_with(&one.text), "{written}");
    }
    place.assert_nothing_left();
}

#[test]
fn values_of_the_environment_are_in_no_report() {
    let place = Place::new();
    let file = file(
        &place,
        "  one:\n    steps:\n      - create: {}\n      - exec: echo ${{ vars.token }}\n\
             \x20       expect: { stdout: \"x\" }\nvars: { token: \"Bearer ${{ env.T_SECRET }}\" }\n",
    );
    let out = format!("json={}", place.path("r.json").display());
    let ended = place
        .command()
        .env("T_SECRET", "swordfish-42")
        .args(["run", file.to_str().unwrap(), "--out", &out])
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(100));
    let told = String::from_utf8_lossy(&ended.stdout).into_owned()
        + &String::from_utf8_lossy(&ended.stderr)
        + &std::fs::read_to_string(place.path("r.json")).unwrap();
    assert!(told.contains("Bearer ***"), "{told}");
    assert!(!told.contains("swordfish"), "{told}");
    place.assert_nothing_left();
}

#[test]
fn a_pass_after_a_retry_can_be_made_to_fail() {
    let place = Place::new();
    let file = file(
        &place,
        "  one:\n    steps:\n      - create: {}\n      - exec: sh -c 'test -e a || { touch a; exit 1; }'\n        retries: 1\n",
    );
    let file = file.to_str().unwrap();
    place
        .run(&["run", file])
        .assert_code(0)
        .assert_says("FLAKY");
    place
        .run(&["run", file, "--flaky", "fail"])
        .assert_code(100)
        .assert_says("passed only when tried again: 1");
    place.assert_nothing_left();
}

#[test]
fn an_example_is_written_once_is_valid_and_can_be_overwritten() {
    let place = Place::new();
    let path = place.path("mine.yaml");
    let path = path.to_str().unwrap();
    place
        .run(&["init", "--to", path])
        .assert_code(0)
        .assert_says("sandbench run");
    let text = std::fs::read_to_string(path).unwrap();
    place.run(&["check", path]).assert_code(0);
    let cliff = place.path("cliff.yaml");
    let cliff = cliff.to_str().unwrap();
    place.run(&["init", "cliff", "--to", cliff]).assert_code(0);
    place.run(&["check", cliff]).assert_code(0);
    std::fs::write(path, "mine").unwrap();
    place
        .run(&["init", "--to", path])
        .assert_code(2)
        .assert_says("--force");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "mine");
    place.run(&["init", "--to", path, "--force"]).assert_code(0);
    assert_eq!(std::fs::read_to_string(path).unwrap(), text);
    place
        .run(&["run", path, "--only", "full-life[mode=tunnel]"])
        .assert_code(0);
}

#[test]
fn a_dry_run_says_where_every_value_came_from_and_runs_nothing() {
    let place = Place::new();
    let file = file(
        &place,
        "  one:\n    steps:\n      - create: {}\n      - exec: echo ${{ vars.a }} ${{ vars.b }} ${{ vars.c }}\n\
             vars: { a: 1, b: 2, c: 3 }\n",
    );
    let shown = |out: &[&str]| {
        let mut command = place.command();
        command
            .env("SANDBENCH_VAR_b", "5")
            .env("SANDBENCH_JOBS", "3");
        command.args([
            "run",
            file.to_str().unwrap(),
            "--dry-run",
            "--var",
            "a=4",
            "--seed",
            "9",
        ]);
        let ended = command.args(out).output().unwrap();
        assert_eq!(
            ended.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&ended.stderr)
        );
        String::from_utf8(ended.stdout).unwrap()
    };
    let text = shown(&[]);
    let json: serde_json::Value = serde_json::from_str(&shown(&["--out", "json=-"])).unwrap();
    let settings = json[0]["settings"].as_array().unwrap().clone();
    for (name, value, from) in [
        ("--jobs", "3", "environment SANDBENCH_JOBS"),
        ("--seed", "9", "flag"),
        ("--cluster", "loopback", "default"),
        ("vars.a", "4", "flag --var a"),
        ("vars.b", "5", "environment SANDBENCH_VAR_b"),
        ("vars.c", "3", "t.yaml:9:24"),
    ] {
        let found = settings
            .iter()
            .find(|setting| setting["name"] == name)
            .unwrap();
        assert_eq!(found["value"], value, "{found}");
        assert!(found["from"].as_str().unwrap().ends_with(from), "{found}");
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with(name))
            .unwrap();
        assert!(line.ends_with(from), "{line}");
    }
    assert!(
        text.contains("target.warmPool") && !text.contains("PASS"),
        "{text}"
    );
    place
        .run(&[
            "run",
            file.to_str().unwrap(),
            "--dry-run",
            "--out",
            "text=-",
        ])
        .assert_code(2);
}

#[test]
fn a_dry_run_shows_no_value_of_the_environment() {
    let place = Place::new();
    let text = "version: 1\nname: t\n\
        target: { mode: direct, warmPool: p, apiUrl: \"http://${{ env.T_SECRET }}.test\" }\n\
        scenarios:\n  one:\n    steps:\n      - create: {}\n";
    let file = place.file("t.yaml", text);
    let mut command = place.command();
    command.env("T_SECRET", "swordfish-42");
    command.args(["run", file.to_str().unwrap(), "--dry-run"]);
    let ended = Ended::of(&command.output().unwrap());
    ended.assert_code(0).assert_says("http://***.test");
    assert!(!ended.stdout.contains("swordfish"), "{ended:?}");
}

#[test]
fn the_schema_the_completions_and_the_explanations_are_printed() {
    let place = Place::new();
    let schema = place.run(&["schema"]);
    schema.assert_code(0);
    assert_eq!(schema.stdout, sandbench::scenario::schema());
    for shell in ["bash", "zsh", "fish"] {
        place
            .run(&["completion", shell])
            .assert_code(0)
            .assert_says("sandbench");
    }
    place
        .run(&["explain"])
        .assert_code(0)
        .assert_says("exit-codes");
    place.run(&["explain", "load.vus"]).assert_code(0);
    place
        .run(&["explain", "laod"])
        .assert_code(2)
        .assert_says("did you mean `load`?");
}
