//! Templates and expressions: what they give, and where their errors point.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::source::yaml::Node;
use crate::source::{Colour, FromNode, Problems, SourceFile, render_all, yaml};

fn node(text: &str) -> (SourceFile, Node) {
    let file = SourceFile::from_text("t.yaml", text);
    let mut problems = Problems::new();
    let node = yaml::parse(&file, &mut problems).expect("a tree");
    assert!(problems.is_empty(), "{problems:?}");
    (file, node)
}

fn read<T>(text: &str, read: impl FnOnce(&Node, &mut Problems) -> Option<T>) -> Result<T, String> {
    let (file, node) = node(text);
    let mut problems = Problems::new();
    let value = read(&node, &mut problems);
    let complaints = render_all(&file, &problems, Colour::Plain);
    assert_eq!(value.is_none(), problems.has_errors(), "{complaints}");
    value.ok_or(complaints)
}

fn template(text: &str) -> Result<Template, String> {
    read(text, Template::from_node)
}

fn bindings() -> Arc<Bindings> {
    let mut bindings = Bindings::new();
    bindings.set("vars", "name", "World");
    bindings.set("vars", "n", 41);
    bindings.set("matrix", "wait", Duration::from_secs(90));
    let outputs = [("stdout".to_owned(), Value::text("ab cd\n"))];
    bindings.set("steps", "hash", Value::Map(outputs.into()));
    Arc::new(bindings)
}

fn evaluate(source: &str) -> Result<Value, EvalError> {
    let mut bindings = bindings().child();
    bindings.set_bare("stdout", "42\n");
    bindings.set_bare("exitCode", 0);
    bindings.set_bare("duration", Duration::from_secs(3));
    bindings.set_bare("body", r#"{"id": 7, "tags": ["x"]}"#);
    Expression::compile(source)
        .expect("it compiles")
        .evaluate(&bindings)
}

#[test]
fn templates_render_their_expressions() {
    let render = |text: &str| {
        template(text)
            .expect("valid")
            .render(&bindings())
            .map(|t| t.to_string())
    };
    assert_eq!(
        render("hello ${{ vars.name }}!"),
        Ok("hello World!".to_owned())
    );
    assert_eq!(
        render("'${{ vars.n + 1 }} ${{ matrix.wait }}'"),
        Ok("42 1m30s".to_owned())
    );
    assert_eq!(
        render("'${{ steps.hash.stdout.split('' '')[0] }}'"),
        Ok("ab".to_owned())
    );
    assert_eq!(render("a $${{ b }}"), Ok("a ${{ b }}".to_owned()));
    assert_eq!(
        render("'${{ {''a'': {''b'': 1}}.a.b }}'"),
        Ok("1".to_owned())
    );
    assert_eq!(render("'${{ ''}}'' }}'"), Ok("}}".to_owned()));
    assert!(matches!(
        render("${{ vars.none }}"),
        Err(EvalError::NoValue { .. })
    ));
    assert!(matches!(
        render("a ${{ vars }}"),
        Err(EvalError::NotText { .. })
    ));
}

#[test]
fn a_template_of_one_expression_keeps_its_type() {
    let value = template("${{ vars.n }}")
        .expect("valid")
        .evaluate(&bindings());
    assert_eq!(value, Ok(Value::Int(41)));
    let value = template("n${{ vars.n }}")
        .expect("valid")
        .evaluate(&bindings());
    assert_eq!(value, Ok(Value::text("n41")));
    assert_eq!(
        template("text").expect("valid").constant().map(|t| &**t),
        Some("text")
    );
}

#[test]
fn references_have_exact_places() {
    let text = "a: |\n  one ${{ vars.a + size(steps.b.stdout) }}\n  ${{ ['x'].all(x, x == env[\"HOME\"]) }}\n";
    let (file, root) = node(text);
    let mut problems = Problems::new();
    let template = Template::from_node(root.get("a").expect("a"), &mut problems).expect("valid");
    let found: Vec<(String, String)> = template
        .references()
        .map(|reference| {
            (
                reference.path.join("."),
                file.slice(reference.span).to_owned(),
            )
        })
        .collect();
    let expected = [
        ("vars.a", "vars.a"),
        ("steps.b.stdout", "steps.b.stdout"),
        ("env.HOME", "env"),
    ];
    assert_eq!(
        found,
        expected.map(|(path, text)| (path.to_owned(), text.to_owned()))
    );
}

#[test]
fn syntax_errors_of_expressions_are_shown_at_their_column() {
    let text = template("run ${{ vars.a + }} now").expect_err("invalid");
    assert!(text.contains("t.yaml:1:"), "{text}");
    assert!(text.contains("the expression does not compile"), "{text}");
    let text = template("run ${{ vars.a").expect_err("invalid");
    assert!(text.contains("t.yaml:1:5\n"), "{text}");
    assert!(text.contains("`${{` is not closed"), "{text}");
    let text = template("run ${{ }}").expect_err("invalid");
    assert!(text.contains("the expression is empty"), "{text}");
    assert!(Expression::compile(&"(".repeat(1_500)).is_err());
    assert!(Expression::compile(&"x".repeat(3_000)).is_err());
}

#[test]
fn deep_and_long_expressions_neither_overflow_nor_hang() {
    let shapes = [
        ("(", "1", ")"),
        ("[", "1", "]"),
        ("{1: ", "1", "}"),
        ("!", "true", ""),
        ("-", "1", ""),
        ("-(", "1", ")"),
        ("true ? 1 : ", "1", ""),
        ("true ? ", "1", " : 1"),
        ("1 + ", "1", ""),
        ("true || ", "true", ""),
        ("size([", "1", "])"),
        ("[1].map(x, ", "1", ")"),
        ("[1].exists(x, ", "true", ")"),
        ("a.", "b", ""),
        ("a[", "b", "]"),
        ("", "a", ".b"),
        ("", "a", "[0]"),
        ("", "a", ".b()"),
        ("has(", "a.b", ")"),
        ("'", "", "'"),
        ("\\", "", ""),
        ("é", "1", "日"),
    ];
    let bindings = bindings();
    for (open, middle, close) in shapes {
        for count in [1, 5, 20, 33, 100, 300, 999, 1_900] {
            let source = format!("{}{middle}{}", open.repeat(count), close.repeat(count));
            for end in [source.len(), source.len() / 2, LONGEST_EXPRESSION] {
                let cut = (0..=end.min(source.len()))
                    .rev()
                    .find(|at| source.is_char_boundary(*at));
                if let Ok(expression) = Expression::compile(&source[..cut.unwrap_or(0)]) {
                    let value = expression.evaluate(&bindings);
                    assert!(format!("{value:?} {:?}", expression.references()).len() < 1 << 20);
                }
            }
        }
    }
}

const LONGEST_EXPRESSION: usize = 2_000;

#[test]
fn expressions_see_outputs_and_have_our_functions() {
    assert_eq!(evaluate("int(stdout)"), Ok(Value::Int(42)));
    assert_eq!(evaluate("double(stdout) / 4.0"), Ok(Value::Float(10.5)));
    assert_eq!(evaluate("json(body).id"), Ok(Value::Int(7)));
    assert_eq!(evaluate("size(json(body).tags)"), Ok(Value::Int(1)));
    assert_eq!(
        evaluate("exitCode == 0 && stdout.trim() == '42'"),
        Ok(Value::Bool(true))
    );
    assert_eq!(
        evaluate("matrix.wait > duration('1m')"),
        Ok(Value::Bool(true))
    );
    assert_eq!(evaluate("duration < duration('5s')"), Ok(Value::Bool(true)));
    assert_eq!(evaluate("steps.hash.stdout.size()"), Ok(Value::Int(6)));
    assert_eq!(evaluate("has(vars.none) ? 1 : 2"), Ok(Value::Int(2)));
    assert_eq!(evaluate("vars.n"), Ok(Value::Int(41)));
    assert!(evaluate("json('{')").is_err());
    assert!(evaluate("int('x')").is_err());
    assert!(evaluate("nope(1)").is_err());
    assert!(evaluate("1 / 0").is_err());
    assert!(matches!(
        evaluate("vars.none + 1"),
        Err(EvalError::NoValue { .. })
    ));
}

fn matcher(text: &str, kind: ValueKind) -> Result<Matcher, String> {
    read(text, |node, problems| Matcher::decode(node, kind, problems))
}

fn check(text: &str, kind: ValueKind, actual: impl Into<Value>) -> Result<(), String> {
    let matcher = matcher(text, kind).expect("valid");
    matcher
        .check(&actual.into(), &bindings())
        .map_err(|mismatch| mismatch.to_string())
}

#[test]
fn matchers_judge_by_the_kind_of_the_output() {
    use ValueKind::{Any, Bytes, Duration as Span, Int, Size, Text, Texts};

    assert_eq!(check("7", Int, 7), Ok(()));
    assert_eq!(check("7", Int, 8).unwrap_err(), "expected 7, actual 8");
    assert_eq!(
        check("'42'", Text, "41\n").unwrap_err(),
        "expected \"42\", actual \"41\\n\""
    );
    assert_eq!(check("{contains: ell}", Text, "hello"), Ok(()));
    assert_eq!(check("{contains: [h, o]}", Text, "hello"), Ok(()));
    assert!(check("{contains: [h, x]}", Text, "hello").is_err());
    let names = || Value::List(vec!["in.json".into(), "out.txt".into()]);
    assert_eq!(
        check("{contains: [in.json, out.txt]}", Texts, names()),
        Ok(())
    );
    assert_eq!(check("[in.json, out.txt]", Texts, names()), Ok(()));
    assert!(check("{contains: in}", Texts, names()).is_err());
    assert_eq!(check("{matches: '^h.*o$'}", Text, "hello"), Ok(()));
    assert!(check("{matches: '^x'}", Text, "hello").is_err());
    assert_eq!(
        check("{lt: 5s, gte: 1s}", Span, Duration::from_secs(3)),
        Ok(())
    );
    let late = check("{lt: 5s}", Span, Duration::from_secs(6));
    assert_eq!(late.unwrap_err(), "expected less than 5s, actual 6s");
    assert_eq!(check("{lte: 1KiB}", Size, 1024), Ok(()));
    assert_eq!(check("{in: [1, 2]}", Int, 2), Ok(()));
    assert!(check("{in: [1, 2]}", Int, 3).is_err());
    assert_eq!(check("{not: 0}", Int, 3), Ok(()));
    assert_eq!(check("{not: {contains: x}}", Text, "abc"), Ok(()));
    assert_eq!(
        check("{not: {gt: 1}}", Int, 3).unwrap_err(),
        "expected not more than that, actual 3"
    );
    assert_eq!(check("{exists: false}", Any, Value::Null), Ok(()));
    assert!(check("{exists: true}", Any, Value::Null).is_err());
    let bytes = || Value::Bytes(bytes::Bytes::from_static(b"42"));
    assert_eq!(check("'42'", Bytes, bytes()), Ok(()));
    assert_eq!(check("{contains: '2'}", Bytes, bytes()), Ok(()));
    assert_eq!(check("${{ vars.n }}", Int, 41), Ok(()));
    assert_eq!(check("${{ vars.n }}", Text, "41"), Ok(()));
    assert_eq!(
        check("{gte: '${{ matrix.wait }}'}", Span, Duration::from_secs(90)),
        Ok(())
    );
    assert!(
        check("${{ vars.none }}", Int, 41)
            .unwrap_err()
            .contains("has no value")
    );
}

#[test]
fn matchers_that_do_not_fit_the_kind_are_refused_when_read() {
    let refused = |text: &str, kind, part: &str| {
        let complaint = matcher(text, kind).expect_err(text);
        assert!(complaint.contains(part), "{part} is not in\n{complaint}");
    };
    let duration = ValueKind::Duration;
    refused("{lt: 5}", duration, "^ write for example `5s`");
    refused("{lt: 5 parsecs}", duration, "is not a unit of duration");
    refused(
        "{contains: 5s}",
        duration,
        "`contains` does not fit: the output is a duration",
    );
    refused(
        "{matches: x}",
        ValueKind::Int,
        "operators that fit are `equals`, `lt`",
    );
    refused(
        "{lt: 3}",
        ValueKind::Text,
        "`lt` does not fit: the output is text",
    );
    refused("{less: 3}", ValueKind::Int, "unknown operator `less`");
    refused("{contain: x}", ValueKind::Text, "did you mean `contains`?");
    refused(
        "'7'",
        ValueKind::Int,
        "expected a whole number, found the text `7`",
    );
    refused("42", ValueKind::Text, "put it in quotes: \"42\"");
    refused(
        "wram",
        ValueKind::Word(&["warm", "cold"]),
        "did you mean `warm`?",
    );
    refused("{in: 3}", ValueKind::Int, "expected a list of values");
    refused(
        "{exists: yes}",
        ValueKind::Any,
        "expected `true` or `false`",
    );
    refused("{}", ValueKind::Int, "expected a value or an operator");
    refused("{matches: 'a(b'}", ValueKind::Text, "t.yaml:1:13\n");
    refused(
        "{matches: '(?P<x>a){99999}{99999}'}",
        ValueKind::Text,
        "does not compile",
    );
    refused("[a, {b: 1}]", ValueKind::Texts, "expected text");
}

#[test]
fn operands_that_are_known_are_folded() {
    let operand = read("{a: [1, x], b: 2.5}", Operand::from_node).expect("valid");
    assert!(operand.fixed().is_some());
    let operand = read("{a: [1, '${{ vars.n }}']}", Operand::from_node).expect("valid");
    assert_eq!(operand.references().len(), 1);
    let value = operand.evaluate(&bindings()).expect("a value");
    assert_eq!(value.to_string(), "{a: [1, 41]}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_expressions_neither_panic_nor_overflow(
        parts in proptest::collection::vec(
            prop::sample::select(vec![
                "a", "vars", ".", "(", ")", "[", "]", "{", "}", ",", ":", "?", "!", "-", "+", "*", "/", "%", "==", "<",
                "&&", "||", " in ", "1", "2u", "1.5", "1e400", "9223372036854775807", "'x'", "\"", "'''", "b'", "r'",
                "\\", "\\u00", "true", "null", "has(", "size(", ".map(x, ", ".all(x, ", "int(", "json(", "stdout", "`",
                "duration('1s')", "timestamp('x')", "\n", "//", "é", "\u{1F600}", "$", "@", "optional.of(", "[?",
            ]),
            0..40,
        )
    ) {
        if let Ok(expression) = Expression::compile(&parts.concat()) {
            let value = expression.evaluate(&bindings());
            let shown = format!("{value:?}{:?}", expression.references());
            prop_assert!(!shown.is_empty());
        }
    }

    #[test]
    fn random_templates_and_patterns_never_panic(text in "(\\PC|[${}'\"()\\[\\\\|*+?]){0,60}") {
        if let Ok(template) = Template::parse(&text, crate::source::Span::default()) {
            let shown = format!("{:?}", template.render(&bindings()));
            prop_assert!(!shown.is_empty());
        }
        let quoted = format!("{{matches: '{}'}}", text.replace('\'', "''"));
        let file = SourceFile::from_text("t.yaml", quoted);
        let mut problems = Problems::new();
        if let Some(node) = yaml::parse(&file, &mut problems) {
            let matcher = Matcher::decode(&node, ValueKind::Text, &mut problems);
            prop_assert_eq!(matcher.is_some(), !problems.has_errors());
        }
    }
}
