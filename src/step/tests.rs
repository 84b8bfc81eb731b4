use super::*;
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
        ("delete: {}", "delete"),
        ("wait: gone", "wait"),
        ("wait: { for: gone, timeout: 60s }", "wait"),
        ("sleep: 5s", "sleep"),
        ("sleep: { min: 1s, max: 2s }", "sleep"),
        ("group: turn\nsteps:\n  - exec: ls", "group"),
    ] {
        let (step, problems) = decode(text);
        assert_eq!(problems, Vec::<String>::new(), "{text}");
        assert_eq!(step.unwrap().action.kind(), kind);
    }
    assert_eq!(Action::KINDS.len(), 12);
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

#[test]
fn wrong_forms_are_reported_with_what_was_meant() {
    for (text, problem) in [
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
            "exec: ls\nif: a",
            "`if` is not supported yet in a step|not supported yet",
        ),
        (
            "suspend: {}",
            "`suspend` is not supported yet in a step|not supported yet",
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
            "`5` has no unit; write for example `5s`|",
        ),
        ("sleep: 5", "`5` has no unit; write for example `5s`|"),
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
            "[1]",
            "expected a step, which is a mapping with one action, found a list|expected a step, which is a mapping with one action",
        ),
    ] {
        let (_, problems) = decode(text);
        assert!(
            problems.contains(&problem.to_owned()),
            "{text}: {problems:?}"
        );
    }
}

#[test]
fn an_exit_code_fails_the_step_unless_it_is_expected() {
    let outcome = |code: i64| StepOutcome::new(vec![("exitCode", code.into())]);
    let bindings = crate::expr::Bindings::new();
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
    let bindings = crate::expr::Bindings::new();
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
    let mut bindings = crate::expr::Bindings::new();
    step.bind(&outcome, &mut bindings).unwrap();
    assert_eq!(
        bindings.get(&["vars", "n"]),
        Some(&crate::expr::Value::Int(42))
    );
    assert_eq!(
        bindings.get(&["steps", "a", "stdout"]),
        Some(&"42\n".into())
    );
    let broken = decode("exec: ls\ncapture: { n: int(stderr) }").0.unwrap();
    assert!(broken.bind(&outcome, &mut bindings).is_err());
}
