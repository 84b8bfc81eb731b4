//! Steps: how each is written, and what is wrong with those that are not.

use super::*;

use crate::expr::{Bindings, Value};
use crate::source::{SourceFile, yaml};

fn decode(text: &str) -> (Option<Step>, Vec<String>) {
    let file = SourceFile::from_text("t.yaml", text);
    let mut problems = Problems::new();
    let node = yaml::parse(&file, &mut problems);
    let step = node.and_then(|node| Step::decode(&node, &mut problems));
    let told = problems
        .iter()
        .map(|problem| format!("{}|{}", problem.message, problem.label));
    (step, told.collect())
}

#[test]
fn every_action_has_a_smallest_form() {
    for (text, kind) in [
        ("create: {}", "create"),
        ("connect: {}", "connect"),
        ("disconnect: {}", "disconnect"),
        ("exec: ls -la", "exec"),
        ("write: { path: a, content: b }", "write"),
        ("write: { path: a, size: 1KiB, seed: 7 }", "write"),
        ("read: a.txt", "read"),
        ("list: .", "list"),
        ("exists: a.txt", "exists"),
        ("deleteFile: a.txt", "deleteFile"),
        ("deleteFile: { path: d, recursive: true }", "deleteFile"),
        ("suspend: {}", "suspend"),
        ("resume: {}", "resume"),
        ("delete: {}", "delete"),
        ("wait: gone", "wait"),
        ("wait: { for: gone, timeout: 60s }", "wait"),
        ("sleep: 5s", "sleep"),
        ("sleep: { min: 1s, max: 2s }", "sleep"),
        ("http: http://127.0.0.1/", "http"),
        (
            "http: { url: http://h/, method: PUT, headers: { a: b }, json: { x: 1 } }",
            "http",
        ),
        ("script: ./gen.py --n 3", "script"),
        (
            "script: { command: [cat, a], stdin: x, env: { A: b } }",
            "script",
        ),
        ("parallel: both\nsteps:\n  - exec: ls", "parallel"),
        ("group: turn\nsteps:\n  - exec: ls", "group"),
    ] {
        let (step, problems) = decode(text);
        assert_eq!(problems, Vec::<String>::new(), "{text}");
        assert_eq!(step.unwrap().action.kind(), kind);
    }
    assert_eq!(Action::KINDS.len(), 20);
}

#[test]
fn common_fields_are_read_and_typed() {
    let (step, problems) = decode(
        "exec: { command: ls }\nid: a\nname: n\ntimeout: 5s\nexpect: { exitCode: 7, \
         duration: { lt: 1s }, that: size(stdout) > 0 }\ncapture: { x: int(stdout) }",
    );
    assert_eq!(problems, Vec::<String>::new());
    let step = step.unwrap();
    assert_eq!(step.timeout, Some(Duration::from_secs(5)));
    assert!(step.expect.names("exitCode"));
    assert_eq!((step.capture.len(), step.label()), (1, "a".to_owned()));
}

fn expect_problems(cases: &[(&str, &str)]) {
    for (text, problem) in cases {
        let (_, problems) = decode(text);
        assert!(
            problems.contains(&(*problem).to_owned()),
            "{text}: {problems:?}"
        );
    }
}

#[test]
fn wrong_steps_are_reported_with_what_was_meant() {
    expect_problems(&[
        ("exce: ls", "unknown action `exce`|did you mean `exec`?"),
        (
            "exec: ls\nread: a",
            "a step has one action, this one has `exec` and `read`|a second action",
        ),
        ("name: x", "a step without an action|no action"),
        (
            "exec: ls\nexpct: {}",
            "unknown field `expct` in a step|did you mean `expect`?",
        ),
        (
            "collect: [event]",
            "unknown thing to collect `event`|did you mean `events`?",
        ),
        (
            "exec: { comand: ls }",
            "unknown field `comand` in `exec`|did you mean `command`?",
        ),
        (
            "exec: ls\nexpect: { stdot: x }",
            "`exec` has no output `stdot`|did you mean `stdout`?",
        ),
        (
            "exec: ls\ntimeout: 5",
            "`5` has no unit|write for example `5s`",
        ),
        ("sleep: 5", "`5` has no unit|write for example `5s`"),
        (
            "sleep: { min: 2s, max: 1s }",
            "`min` is longer than `max`|exchange the two",
        ),
        (
            "write: { path: a }",
            "`write` needs `content`, or `size` and `seed`|nothing to write",
        ),
        (
            "write: { path: a, size: 1GiB }",
            "`1GiB` is more than 256MiB|",
        ),
        (
            "wait: { for: redy }",
            "unknown state to wait for `redy`|did you mean `ready`?",
        ),
        ("group: x", "a group needs `steps`|no `steps` beside it"),
        ("group: x\nsteps: []", "a group without steps|empty"),
        (
            "timeout: 0s\nexec: ls",
            "nothing can be done in no time|more than `0s`",
        ),
        (
            "timeout: 999999999d\nexec: ls",
            "this is more than a year|at most `365d`",
        ),
        ("sleep: 366d", "this is more than a year|at most `365d`"),
        (
            "sleep: { min: 1s }",
            "`sleep` needs the field `max`|`max` is missing",
        ),
    ]);
}

#[test]
fn wrong_forms_of_actions_on_sandboxes_are_reported() {
    expect_problems(&[
        (
            "create: { timeToLive: 0s }",
            "nothing can be done in no time|more than `0s`",
        ),
        (
            "create: { warmPool: a, template: b }",
            "`create` has both `warmPool` and `template`|excludes `warmPool`",
        ),
        (
            "create:",
            "expected a mapping with the fields of `create`, found nothing|expected a mapping with the fields of `create`",
        ),
        (
            "create: { warmpool: a }",
            "unknown field `warmpool` in `create`|did you mean `warmPool`?",
        ),
        (
            "connect: { sandbx: a }",
            "unknown field `sandbx` in `connect`|did you mean `sandbox`?",
        ),
        (
            "connect: { mode: tunnel }",
            "`mode` is not supported yet in `connect`|not supported yet",
        ),
        (
            "disconnect: now",
            "expected a mapping with the fields of `disconnect`, found the text `now`|expected a mapping with the fields of `disconnect`",
        ),
    ]);
}

#[test]
fn wrong_forms_of_calls_are_reported() {
    expect_problems(&[
        ("exec: ' '", "the command is empty|empty"),
        (
            "exec: {}",
            "`exec` needs the field `command`|`command` is missing",
        ),
        (
            "exec: { command: ls, timeout: 5 }",
            "`5` has no unit|write for example `5s`",
        ),
        (
            "exec: 42",
            "expected text, found the number `42`|expected text",
        ),
        ("read: ''", "the path is empty|empty"),
        ("exists: ''", "the path is empty|empty"),
        (
            "read: { pth: a }",
            "unknown field `pth` in `read`|did you mean `path`?",
        ),
        (
            "list: { path: a, recursive: true }",
            "`recursive` is not supported yet in `list`|not supported yet",
        ),
        ("list: [a]", "expected text, found a list|expected text"),
        ("write: { path: '', content: b }", "the path is empty|empty"),
        (
            "write: { path: a, content: b, size: 1KiB }",
            "`write` has both `content` and `size`|excludes `content`",
        ),
        (
            "write: { path: a, content: b, seed: 7 }",
            "`write` has both `content` and `seed`|excludes `content`",
        ),
    ]);
}

#[test]
fn wrong_forms_of_the_other_actions_are_reported() {
    expect_problems(&[
        (
            "delete: { all: true }",
            "`all` is not supported yet in `delete`|not supported yet",
        ),
        (
            "wait: { timeout: 5s }",
            "`wait` needs the field `for`|`for` is missing",
        ),
        ("wait: 5s", "unknown state to wait for `5s`|unknown"),
        (
            "group: x\nsteps: [{ exec: ls }]\nexpect: { error: Timeout }",
            "`group` does not fail by itself|no failure of its own",
        ),
        (
            "exec: ls\nsteps: []",
            "unknown field `steps` in a step|unknown",
        ),
        (
            "[1]",
            "expected a step, which is a mapping with one action, found a list|expected a step, which is a mapping with one action",
        ),
    ]);
}

#[test]
fn fields_of_the_flow_are_read() {
    let (step, problems) =
        decode("exec: ls\nif: vars.a\neventually: 10s\nforEach: [1, 2]\ntags: { role: x, n: 3 }");
    assert_eq!(problems, Vec::<String>::new());
    let flow = step.unwrap().flow;
    let eventually = flow.eventually.unwrap();
    assert_eq!(eventually.limit, Duration::from_secs(10));
    assert_eq!(eventually.interval, Duration::from_millis(500));
    let items = flow.turns.unwrap().items(&Bindings::new()).unwrap();
    assert_eq!(items, [Value::Int(1), Value::Int(2)]);
    assert_eq!((flow.retries, flow.tags.len()), (0, 2));
    assert!(flow.condition.is_some());
}

#[test]
fn a_repetition_that_is_no_number_is_an_error_when_it_is_known() {
    let (step, problems) = decode("exec: ls\nrepeat: ${{ vars.n }}");
    assert_eq!(problems, Vec::<String>::new());
    let turns = step.unwrap().flow.turns.unwrap();
    let mut bindings = Bindings::new();
    bindings.set("vars", "n", 3);
    assert_eq!(turns.items(&bindings).unwrap().len(), 3);
    bindings.set("vars", "n", "many");
    let error = turns.items(&bindings).unwrap_err().to_string();
    assert!(error.starts_with("repeat: "), "{error}");
}

#[test]
fn every_action_has_an_example_that_holds_it() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/steps");
    // What `use` stands for is put in by the parser of files.
    for kind in Action::KINDS.iter().filter(|kind| **kind != "use") {
        let path = directory.join(kind).with_extension("yaml");
        let file = SourceFile::load(&path).expect("the example can be read");
        let mut problems = Problems::new();
        let root = yaml::parse(&file, &mut problems).expect("the example is YAML");
        let scenarios = root.get("scenarios").and_then(Node::as_mapping);
        let steps = scenarios
            .into_iter()
            .flatten()
            .filter_map(|(_, scenario)| scenario.get("steps")?.as_sequence())
            .flatten();
        let decoded: Vec<Step> = steps
            .filter_map(|step| Step::decode(step, &mut problems))
            .collect();
        assert!(problems.is_empty(), "{kind}");
        let mut kinds = Vec::new();
        for step in &decoded {
            step.walk(&mut |step| kinds.push(step.action.kind()));
        }
        assert!(kinds.contains(kind), "{kind} is not in {kinds:?}");
    }
}

#[test]
fn the_place_of_a_limit_is_kept() {
    let text = "exec: ls\ntimeout: 5s";
    let step = decode(text).0.unwrap();
    let place = step.timeout_span;
    assert_eq!(&text[place.start..place.end], "5s");
}

#[test]
fn mismatches_show_an_excerpt_on_one_line() {
    let secret = format!("{}\n{}SECRET", "x".repeat(150), "y".repeat(300));
    let step =
        decode("exec: ls\nexpect: { stdout: a, stderr: { contains: b }, that: stdout + stderr }");
    let step = step.0.unwrap();
    let outcome = StepOutcome::new(vec![
        ("stdout", secret.as_str().into()),
        ("stderr", secret.as_str().into()),
        ("exitCode", 1.into()),
    ]);
    let found = step.judge(&outcome, &Bindings::new());
    assert_eq!(found.len(), 4);
    for mismatch in found {
        assert!(mismatch.actual.chars().count() <= 201, "{mismatch:?}");
        assert!(!mismatch.actual.contains("SECRET"), "{mismatch:?}");
        assert!(!mismatch.actual.contains('\n'), "{mismatch:?}");
    }
}

#[test]
fn an_exit_code_fails_the_step_unless_it_is_expected() {
    let outcome = |code: i64| StepOutcome::new(vec![("exitCode", code.into())]);
    let bindings = Bindings::new();
    let plain = decode("exec: ls").0.unwrap();
    assert!(plain.judge(&outcome(0), &bindings).is_empty());
    assert_eq!(plain.judge(&outcome(7), &bindings)[0].actual, "7");
    let expecting = decode("exec: ls\nexpect: { exitCode: 7 }").0.unwrap();
    assert!(expecting.judge(&outcome(7), &bindings).is_empty());
    assert_eq!(expecting.judge(&outcome(0), &bindings).len(), 1);
}

#[test]
fn an_expected_failure_passes_and_a_missing_one_does_not() {
    let step = decode("create: {}\nexpect: { error: WarmPoolNotFound }")
        .0
        .unwrap();
    let bindings = Bindings::new();
    let error = |reason: &str| {
        StepError::Ready(crate::client::ReadyError::Failed {
            claim: "c".to_owned(),
            reason: reason.to_owned(),
            message: String::new(),
        })
    };
    assert_eq!(
        step.judge_error(&error("WarmPoolNotFound"), &bindings),
        ErrorVerdict::Expected
    );
    assert!(matches!(
        step.judge_error(&error("PodFailed"), &bindings),
        ErrorVerdict::Another(_)
    ));
    assert_eq!(
        step.judge(&StepOutcome::default(), &bindings)[0].actual,
        "it succeeded"
    );
    let plain = decode("create: {}").0.unwrap();
    assert_eq!(
        plain.judge_error(&error("PodFailed"), &bindings),
        ErrorVerdict::Unexpected
    );
}

#[test]
fn captures_and_ids_bind_outputs() {
    let step = decode("exec: ls\nid: a\ncapture: { n: int(stdout) }")
        .0
        .unwrap();
    let outcome = StepOutcome::new(vec![("stdout", "42\n".into()), ("exitCode", 0.into())]);
    let mut bindings = Bindings::new();
    step.bind(&outcome, &mut bindings).unwrap();
    assert_eq!(bindings.get(&["vars", "n"]), Some(&Value::Int(42)));
    assert_eq!(
        bindings.get(&["steps", "a", "stdout"]),
        Some(&"42\n".into())
    );
    let broken = decode("exec: ls\ncapture: { n: int(stderr) }").0.unwrap();
    assert!(broken.bind(&outcome, &mut bindings).is_err());
}
