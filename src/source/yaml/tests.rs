//! YAML: what is read, what is refused, and where.

use super::*;
use crate::source::{Colour, Problems, SourceFile, render_all};

fn tree(text: &str) -> Node {
    let file = SourceFile::from_text("t.yaml", text);
    let mut problems = Problems::new();
    let node = parse(&file, &mut problems);
    assert!(
        problems.is_empty(),
        "{}",
        render_all(&file, &problems, Colour::Plain)
    );
    node.expect("a tree")
}

fn complaints(text: &str) -> String {
    let file = SourceFile::from_text("t.yaml", text);
    let mut problems = Problems::new();
    let tree = parse(&file, &mut problems);
    assert!(problems.has_errors(), "{text:.100} is accepted: {tree:?}");
    problems.sort();
    render_all(&file, &problems, Colour::Plain)
}

#[track_caller]
fn covers(text: &str, path: &[&str], expected: &str) {
    let root = tree(text);
    let node = path
        .iter()
        .fold(&root, |node, key| node.get(key).expect("the key exists"));
    assert_eq!(&text[node.span.start..node.span.end], expected);
}

#[test]
fn spans_cover_exactly_what_is_written() {
    covers("a: plain text   # comment\nb: 1\n", &["a"], "plain text");
    covers("a: 'it''s'\n", &["a"], "'it''s'");
    covers("a: \"q\\n\" \n", &["a"], "\"q\\n\"");
    covers("a: { b: [1, 2] }\n", &["a"], "{ b: [1, 2] }");
    covers("a: { b: [1, 2] }\n", &["a", "b"], "[1, 2]");
    covers("a:\n  b: 1\n  c: 2\n\nd: 3\n", &["a"], "b: 1\n  c: 2");
    covers("a:\n  - x\n  - y\n\nd: 3\n", &["a"], "- x\n  - y");
    covers("é: ö\r\nb: ü\r\n", &["b"], "ü");
    covers("\u{feff}a: b\n", &["a"], "b");
    covers("a:\nb: 1\n", &["b"], "1");
}

#[test]
fn parts_of_a_scalar_are_found_in_the_file() {
    let part = |text: &str, wanted: &str| {
        let root = tree(text);
        let scalar = root.get("a").and_then(Node::as_scalar).expect("a scalar");
        let at = scalar.text.find(wanted).expect("the part is in the text");
        let span = scalar.span_of(at..at + wanted.len());
        (
            span.start,
            text[span.start..span.end].to_owned(),
            scalar.text.to_string(),
        )
    };
    assert_eq!(part("a: x needle y\n", "needle").0, 5);
    assert_eq!(part("a: 'x needle y'\n", "needle").0, 6);
    assert_eq!(part("a: \"x\\t needle y\"\n", "needle").0, 8);
    assert_eq!(part("a: |\n  one\n  two needle\n", "needle").1, "needle");
    assert_eq!(part("a: >\n  one\n  two needle\n", "needle").1, "needle");
    let (_, place, text) = part("a: |\n  ${{ x }}\n  ${{ x }} b\n", "${{ x }} b");
    assert_eq!(
        (place.as_str(), text.as_str()),
        ("${{ x }} b", "${{ x }}\n${{ x }} b\n")
    );
}

#[test]
fn scalars_are_read_strictly() {
    let root = tree("[true, yes, 010, 1_000, 0x1f, -7, 1.5, 1e3, '7', ~, null, .5, 1., '-', +1]");
    let found: Vec<String> = root
        .as_sequence()
        .expect("a list")
        .iter()
        .map(Node::found)
        .collect();
    assert_eq!(
        found,
        [
            "the boolean `true`",
            "the text `yes`",
            "the text `010`",
            "the text `1_000`",
            "the text `0x1f`",
            "the number `-7`",
            "the number `1.5`",
            "the number `1e3`",
            "the text `7`",
            "nothing",
            "nothing",
            "the text `.5`",
            "the text `1.`",
            "the text `-`",
            "the text `+1`"
        ]
    );
}

#[test]
fn every_duplicate_key_is_reported_at_its_second_place() {
    let text = complaints("a: 1\nb: 2\na: 3\nc: {d: 1, d: 2}\n");
    assert!(
        text.contains("the key `a` is written twice\n --> t.yaml:3:1"),
        "{text}"
    );
    assert!(
        text.contains("the key `d` is written twice\n --> t.yaml:4:11"),
        "{text}"
    );
}

#[test]
fn anchors_aliases_merge_keys_and_tags_are_reported_and_the_rest_is_read() {
    let file = SourceFile::from_text(
        "t.yaml",
        "a: &x 1\nb: *x\nc: {<<: 1, d: 2}\ne: !!str 5\nf: *none\n",
    );
    let mut problems = Problems::new();
    let root = parse(&file, &mut problems).expect("a tree");
    assert_eq!(problems.error_count(), 5, "{problems:?}");
    assert!(root.get("b").expect("b").is_invalid());
    assert!(root.get("c").and_then(|c| c.get("d")).is_some());
}

#[test]
fn an_alias_bomb_costs_nothing() {
    let lines: Vec<String> = (1..9)
        .map(|level| {
            let below = level - 1;
            format!("a{level}: &a{level} [*a{below}, *a{below}, *a{below}]\n")
        })
        .collect();
    let text = format!("a0: &a0 [x, x, x, x, x, x, x, x, x]\n{}", lines.concat());
    let text = complaints(&text);
    assert!(text.contains("anchors and aliases are not part of the language"));
}

#[test]
fn hostile_text_is_refused_with_a_place() {
    for (text, expected) in [
        ("", "the file is empty"),
        ("# only a comment\n", "the file is empty"),
        ("---\n...\n", "the file is empty"),
        ("a: \0b\n", "the file contains a NUL byte\n --> t.yaml:1:4"),
        ("a: \u{7}\n", "control character U+0007\n --> t.yaml:1:4"),
        (
            "a: 1\n---\nb: 2\n",
            "one YAML document, this one has more\n --> t.yaml:2:1",
        ),
        (
            "a:\n\tb: 1\n",
            "a tab is used as indentation\n --> t.yaml:2:1",
        ),
        ("a: {b: 1\n", "not valid YAML"),
        ("a: 'x\n", "not valid YAML"),
        (
            "a: { b: ${{ vars.x }} }\n",
            "put text with `${{ … }}` in quotes",
        ),
        ("a: b: c\n", "text that contains `: ` is put in quotes"),
        ("{[a]: 1}", "a key is text, found a list"),
    ] {
        let found = complaints(text);
        assert!(found.contains(expected), "{text:?} gives:\n{found}");
        assert!(found.contains(" --> t.yaml:"), "{found}");
    }
}

#[test]
fn deep_nesting_and_many_values_are_refused() {
    for text in [
        "[".repeat(20_000),
        "{a: ".repeat(20_000),
        "- ".repeat(20_000),
        (0..2_000)
            .flat_map(|n| [" ".repeat(n), "a:\n".to_owned()])
            .collect(),
    ] {
        let found = complaints(&text);
        assert!(
            found.contains("deep") || found.contains("not valid YAML"),
            "{found}"
        );
    }
    let found = complaints(&"- x\n".repeat(NODE_LIMIT + 1));
    assert!(found.contains("more than 100000 values"), "{found}");
}

#[test]
fn many_problems_are_counted_and_the_first_are_kept() {
    let mut text = "a: 1\n".to_owned();
    text.push_str(&"a: 1\n".repeat(10_000));
    let found = complaints(&text);
    assert!(
        found.contains("… and 9800 more"),
        "{}",
        &found[found.len() - 100..]
    );
}
