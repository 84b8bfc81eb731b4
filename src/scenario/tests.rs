//! Scenario files: what they are read as, and that none makes the reader panic.

use proptest::prelude::*;

use super::*;
use crate::source::{Colour, SourceFile, render_all};

const LIFECYCLE: &str = r#"version: 1
name: lifecycle
description: One sandbox through its whole life, in every connection mode.
vars:
  greeting: hello-${{ run.id }}
target:
  namespace: default
  warmPool: python-pool
  gateway: { name: external-http-gateway }
  apiUrl: http://sandbox-router-svc.agent-sandbox-system:8080
scenarios:
  full-life:
    matrix:
      mode: [gateway, tunnel, in-cluster, direct]
    timeout: 3m
    steps:
      - create: {}
        id: box
        timeout: 90s
        expect: { launchType: warm }
      - exec: echo ${{ vars.greeting }}
        expect:
          stdout: { contains: "${{ vars.greeting }}" }
          duration: { lt: 5s }
      - write: { path: in.json, content: '{"n": 41}' }
      - exec: python3 -c 'import json; print(json.load(open("in.json"))["n"] + 1)'
        capture: { answer: int(stdout) }
      - write: { path: out.txt, content: "${{ vars.answer }}" }
      - read: out.txt
        expect: { content: "42" }
      - list: .
        expect: { names: { contains: [in.json, out.txt] } }
      - group: survives a reconnect
        steps:
          - disconnect: {}
          - connect: {}
          - exists: out.txt
            expect: { exists: true }
      - exec: sh -c 'exit 7'
        expect: { exitCode: 7 }
      - delete: {}
      - wait: { for: gone, timeout: 60s }
"#;

fn complaints(text: &str) -> String {
    let file = SourceFile::from_text("t.yaml", text);
    let (scenario, problems) = parse(&file);
    assert_eq!(scenario.is_none(), problems.has_errors());
    render_all(&file, &problems, Colour::Plain)
}

#[test]
fn the_lifecycle_scenario_is_valid() {
    assert_eq!(complaints(LIFECYCLE), "");
    let (file, _) = parse(&SourceFile::from_text("t.yaml", LIFECYCLE));
    let file = file.expect("valid");
    assert_eq!(file.name.value, "lifecycle");
    assert_eq!(file.vars.len(), 1);
    let scenario = &file.scenarios[0];
    assert_eq!(&*scenario.id.value, "full-life");
    assert_eq!(scenario.matrix.axes[0].values.len(), 4);
    assert_eq!(scenario.timeout.map(|timeout| timeout.as_secs()), Some(180));
    assert_eq!(scenario.steps.len(), 11);
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_are_accepted() {
    let text = format!("\u{feff}{}", LIFECYCLE.replace('\n', "\r\n"));
    assert_eq!(complaints(&text), "");
}

#[test]
fn a_whole_root_counts_as_the_use_of_all_its_names() {
    let text = LIFECYCLE.replace("echo ${{ vars.greeting }}", "echo ${{ size(vars) }}");
    assert_eq!(
        complaints(&text.replace("\"${{ vars.greeting }}\"", "\"1\"")),
        ""
    );
}

#[test]
fn an_axis_may_stand_in_the_target() {
    let text = LIFECYCLE
        .replace("python-pool", "${{ matrix.pool }}")
        .replace("    matrix:\n", "    matrix:\n      pool: [a, b]\n");
    assert_eq!(complaints(&text), "");
}

#[test]
fn what_does_not_compile_is_not_reported_as_unused_too() {
    let text = LIFECYCLE.replace("${{ vars.greeting }}", "${{ vars.greeting + }}");
    let found = complaints(&text);
    assert!(found.contains("does not compile"), "{found}");
    assert!(!found.contains("unused"), "{found}");
}

#[test]
fn what_is_wrong_in_steps_that_are_used_twice_is_told_once() {
    let text = "version: 1\nname: x\ntarget: { warmPool: p, mode: tunnel }\nscenarios:\n\
                \x20 greet:\n    steps: [{ create: {} }, { exec: 'echo ${{ vars.who }}' }]\n\
                \x20 one:\n    steps: [{ use: '#greet' }, { use: '#greet' }]\n";
    let (_, problems) = parse(&SourceFile::from_text("t.yaml", text));
    let told: Vec<&str> = problems.iter().map(|problem| &*problem.message).collect();
    assert_eq!((told.len(), problems.error_count()), (1, 1), "{told:?}");
}

#[test]
fn large_hostile_files_are_judged_without_blowing_up() {
    let head = "version: 1\nname: x\ntarget: { warmPool: p, mode: tunnel }\n";
    let one = "scenarios:\n  one:\n    steps:\n      - create: {}\n";
    let many =
        |count: usize, line: &dyn Fn(usize) -> String| -> String { (0..count).map(line).collect() };
    let files = [
        format!(
            "{head}vars:\n{}{one}",
            many(2_000, &|n| format!("  v{n}: {n}\n"))
        ),
        format!(
            "{head}vars:\n{}{one}{}",
            many(1_000, &|n| format!("  v{n}: {n}\n")),
            many(1_000, &|n| format!(
                "      - exec: echo ${{{{ vars.w{n} }}}}\n"
            ))
        ),
        format!(
            "{head}{one}      - exec: |\n{}",
            many(2_000, &|n| format!("          ${{{{ vars.w{n} }}}}\n"))
        ),
        format!(
            "{head}{one}      - exec: |\n{}",
            many(2_000, &|_| "          ${{ \n".to_owned())
        ),
        format!(
            "{head}scenarios:\n{}",
            many(1_000, &|n| format!(
                "  s{n}: {{ steps: [{{ create: {{}} }}, {{ exec: a }}] }}\n"
            ))
        ),
        format!(
            "{head}scenarios:\n  one:\n    matrix:\n      a: [{}]\n    steps: [{{ create: {{}} }}]\n",
            many(5_000, &|n| format!("{n}, "))
        ),
        format!(
            "{head}scenarios:\n  one:\n    matrix: {{{}}}\n    steps: [{{ create: {{}} }}]\n",
            many(500, &|n| format!("a{n}: [1, 2], "))
        ),
        format!("{head}{}", many(5_000, &|n| format!("k{n}: 1\n"))),
        format!(
            "{head}{one}        expect: {{ x: '{}' }}\n",
            "${{ 1 }}".repeat(5_000)
        ),
        format!("{{{}}}", many(2_000, &|n| format!("k{n}: 1, "))),
        "\"".repeat(1 << 17),
        "a: ".repeat(1 << 15),
        "?".repeat(1 << 17),
        "- ".repeat(1 << 15),
        "#".repeat(1 << 17),
        "&a ".repeat(1 << 15),
        format!("a: {}", "x".repeat(1 << 17)),
        format!("{}: x", "x".repeat(1 << 17)),
        format!("a: >\n{}", " x\n\n".repeat(1 << 15)),
        format!("a: \"{}\"", "\\x41".repeat(1 << 15)),
        format!("a: [{}]", "{},".repeat(1 << 15)),
        "\n".repeat(1 << 17),
        "---\n".repeat(1 << 15),
        "\u{feff}".repeat(1 << 15),
    ];
    for text in files {
        let found = complaints(&text);
        assert!(found.len() < 1 << 20, "{} bytes of diagnosis", found.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_text_never_panics(text in "\\PC{0,200}") {
        let _ = complaints(&text);
    }

    #[test]
    fn yaml_like_noise_never_panics(
        parts in proptest::collection::vec(
            prop::sample::select(vec![
                "a", "b: ", "- ", "\n", "  ", "{", "}", "[", "]", ",", ": ", "? ", "\"", "'", "#", "&x ", "*x",
                "!t ", "|", ">", "\t", "---\n", "...\n", "%YAML 1.2\n", "<<: ", "${{", "}}", " vars.x ", "\\", "é",
                "version: 1\n", "name: x\n", "scenarios:\n", "steps:\n", "create: {}", "exec: ", "\r\n", "\u{feff}", "\0",
            ]),
            0..60,
        )
    ) {
        let _ = complaints(&parts.concat());
    }

    #[test]
    fn a_mutated_scenario_never_panics(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..30, "[ -~\\n\\t]{0,6}"), 1..6)
    ) {
        let mut text = LIFECYCLE.to_owned();
        for (at, length, insert) in edits {
            let start = at.index(text.len());
            let end = (start + length).min(text.len());
            if text.is_char_boundary(start) && text.is_char_boundary(end) {
                text.replace_range(start..end, &insert);
            }
        }
        let _ = complaints(&text);
    }

    #[test]
    fn random_bytes_in_a_scenario_never_panic(
        at in any::<prop::sample::Index>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut all = LIFECYCLE.as_bytes().to_vec();
        let start = at.index(all.len());
        all.splice(start..start, bytes);
        let _ = complaints(&String::from_utf8_lossy(&all));
    }
}
