//! Decoding of nodes: values, keywords and unknown keys, with the places of problems.

use super::*;
use crate::source::{Colour, SourceFile, Spanned, Takes, render_all, yaml};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Order {
    Random,
    Sequential,
}

impl Keyword for Order {
    const WHAT: &'static str = "order";
    const WORDS: &'static [(&'static str, Self)] =
        &[("random", Self::Random), ("sequential", Self::Sequential)];
}

const SHAPE: Shape = Shape {
    what: "load",
    fields: &[
        Field::new("vus", Takes::Value, "how many"),
        Field::new("duration", Takes::Value, "how long"),
        Field::new("order", Takes::Value, "in which order"),
        Field::new("names", Takes::Value, "whose"),
        Field::new("exact", Takes::Value, "whether exactly"),
        Field::new("rate", Takes::Value, "how often"),
    ],
    later: &["stages"],
    help: Some("an open model uses `rate`"),
};

fn decode<T>(text: &str, read: impl FnOnce(&Fields<'_>, &mut Problems) -> T) -> (T, String) {
    let file = SourceFile::from_text("t.yaml", text);
    let mut problems = Problems::new();
    let node = yaml::parse(&file, &mut problems).expect("a tree");
    let fields = Fields::of(&node, &SHAPE, &mut problems).expect("a mapping");
    let value = read(&fields, &mut problems);
    problems.sort();
    (value, render_all(&file, &problems, Colour::Plain))
}

#[test]
fn an_unknown_field_gets_a_suggestion_and_the_list() {
    let ((), text) = decode("arrivalRate: 5\nstages: []\n", |_, _| ());
    assert_eq!(
        text,
        "error[E104]: unknown field `arrivalRate` in load
 --> t.yaml:1:1
  |
1 | arrivalRate: 5
  | ^^^^^^^^^^^ did you mean `rate`?
  = help: the fields of load are `vus`, `duration`, `order`, `names`, `exact`, `rate`
  = help: an open model uses `rate`

error[E105]: `stages` is not supported yet in load
 --> t.yaml:2:1
  |
2 | stages: []
  | ^^^^^^ not supported yet
  = help: this version of sandbench has `vus`, `duration`, `order`, `names`, `exact`, `rate`
  = help: an open model uses `rate`
"
    );
}

#[test]
fn values_are_read_with_their_types() {
    let text = "vus: 3\norder: random\nnames: [a, b]\nexact: false\n";
    let ((), complaints) = decode(text, |fields, problems| {
        let vus: Option<Spanned<u32>> = fields.required("vus", problems);
        assert_eq!(vus.map(|vus| (vus.value, vus.span.start)), Some((3, 5)));
        assert_eq!(fields.keyword("order", problems), Some(Order::Random));
        let names: Option<Vec<String>> = fields.optional("names", problems);
        assert_eq!(names, Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(fields.optional("exact", problems), Some(false));
        assert_eq!(fields.optional::<bool>("rate", problems), None);
    });
    assert_eq!(complaints, "");
}

#[test]
fn every_wrong_value_of_a_mapping_is_reported() {
    let text = "vus: -1\norder: randon\nnames: [a, 1, true]\nexact: yes\nduration: 5\n";
    let ((), complaints) = decode(text, |fields, problems| {
        assert_eq!(fields.required::<u32>("vus", problems), None);
        assert_eq!(fields.keyword::<Order>("order", problems), None);
        assert_eq!(fields.optional::<Vec<String>>("names", problems), None);
        assert_eq!(fields.optional::<bool>("exact", problems), None);
        let wrong: Option<std::net::Ipv4Addr> = fields.quantity("duration", problems);
        assert_eq!(wrong, None);
        assert_eq!(fields.required::<String>("rate", problems), None);
    });
    for part in [
        "1:6\n  |\n1 | vus: -1\n  |      ^^ a whole number from 0 to 4294967295",
        "unknown order `randon`",
        "did you mean `random`?",
        "expected text, found the number `1`",
        "= help: put it in quotes: \"1\"",
        "expected text, found the boolean `true`",
        "expected `true` or `false`, found the text `yes`",
        "load needs the field `rate`",
    ] {
        assert!(complaints.contains(part), "{part} is not in\n{complaints}");
    }
}

#[test]
fn fields_that_exclude_each_other_are_reported_at_the_second() {
    let ((), complaints) = decode("vus: 1\nrate: 5\n", |fields, problems| {
        fields.at_most_one_of(&["rate", "vus"], problems);
    });
    assert!(
        complaints.contains("load has both `vus` and `rate`\n --> t.yaml:2:1"),
        "{complaints}"
    );
}
