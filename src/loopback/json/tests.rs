//! The values against those of `serde_json`: text, equality, changes; and what copies share.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;

type Plain = serde_json::Value;

/// Arbitrary JSON, with keys that are frequent and others.
fn plain() -> impl Strategy<Value = Plain> {
    let leaf = prop_oneof![
        Just(Plain::Null),
        any::<bool>().prop_map(Plain::from),
        any::<i64>().prop_map(Plain::from),
        any::<u64>().prop_map(Plain::from),
        any::<f64>().prop_map(Plain::from),
        prop_oneof!["Ready", ".{0,8}"].prop_map(Plain::from),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        let key = prop_oneof![
            Just("metadata".to_owned()),
            Just("name".to_owned()),
            ".{0,3}"
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Plain::Array),
            prop::collection::vec((key, inner), 0..6)
                .prop_map(|members| Plain::Object(members.into_iter().collect())),
        ]
    })
}

/// The same change of both: an assignment below keys, which may not be there.
fn assign(keys: &[&str], plain: &mut Plain, shared: &mut Value) {
    let allowed = |value: &Plain| value.is_null() || value.is_object();
    let (mut plain, mut shared) = (plain, shared);
    for key in keys {
        if !allowed(plain) {
            return;
        }
        plain = &mut plain[*key];
        shared = &mut shared[*key];
    }
    *plain = Plain::from(7);
    *shared = json!(7);
}

proptest! {
    #[test]
    fn text_and_values_are_those_of_serde_json_both_ways(plain in plain()) {
        let text = plain.to_string();
        let read: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(read.to_string(), text.clone());
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), text.clone());
        prop_assert_eq!(&Value::from(plain.clone()), &read);
        prop_assert_eq!(Plain::from(&read).to_string(), text);
        prop_assert_eq!(Plain::from(&read), plain);
    }

    #[test]
    fn equality_is_that_of_serde_json(a in plain(), b in plain()) {
        let same = Value::from(a.clone()) == Value::from(b.clone());
        prop_assert_eq!(same, a == b);
    }

    #[test]
    fn an_assignment_changes_what_serde_json_would_and_no_copy(
        mut plain in plain(),
        keys in prop::collection::vec(prop_oneof![Just("metadata"), Just("name"), Just("x")], 1..4),
    ) {
        let mut shared = Value::from(plain.clone());
        let (copy, before) = (shared.clone(), shared.to_string());
        assign(&keys, &mut plain, &mut shared);
        prop_assert_eq!(shared.to_string(), plain.to_string());
        prop_assert_eq!(copy.to_string(), before);
    }

    #[test]
    fn members_come_and_go_in_the_order_of_serde_json(
        steps in prop::collection::vec((any::<bool>(), 0..60_u8), 0..120),
    ) {
        let mut plain = serde_json::Map::new();
        let mut shared = Map::new();
        for (at, (adds, key)) in steps.into_iter().enumerate() {
            let key = format!("k{key}");
            if adds {
                plain.insert(key.clone(), Plain::from(at));
                shared.insert(key, json!(at));
            } else {
                let gone = plain.remove(&key);
                prop_assert_eq!(gone.map(Value::from), shared.remove(&key));
            }
        }
        let text = Plain::Object(plain.clone()).to_string();
        prop_assert_eq!(Value::from(shared).to_string(), text);
    }
}

#[test]
fn objects_are_equal_whatever_the_order_of_few_and_of_many_members() {
    for count in [2, 31, 33, 100] {
        let member = |n: usize| (format!("k{n}").into(), json!(n));
        let up: Map = (0..count).map(member).collect();
        let mut down: Map = (0..count).rev().map(member).collect();
        assert!(up == down);
        down.insert("k1", json!("other"));
        assert!(up != down);
        down.remove("k1");
        down.insert("l1", json!(1));
        assert!(up != down);
    }
}

#[test]
fn of_a_key_that_comes_twice_the_last_value_counts_at_the_first_place() {
    let names = (0..100).map(|n| format!("\"k{}\":{n}", n % 50));
    let text = format!("{{{}}}", names.collect::<Vec<_>>().join(","));
    let plain: Plain = serde_json::from_str(&text).unwrap();
    let shared: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(shared.to_string(), plain.to_string());
    assert_eq!(shared["k0"], 50);
}

#[test]
fn a_change_copies_the_way_down_to_it_and_nothing_beside_it() {
    let old =
        json!({ "spec": { "a": [1, 2] }, "metadata": { "labels": { "b": "c" }, "name": "n" } });
    let mut new = old.clone();
    assert_eq!(new, old);
    new["metadata"]["name"] = json!("m");
    let same = |path: &str| match (old.pointer(path), new.pointer(path)) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => Arc::ptr_eq(a, b),
        (Some(Value::Array(a)), Some(Value::Array(b))) => Arc::ptr_eq(a, b),
        _ => false,
    };
    assert!(same("/spec") && same("/spec/a") && same("/metadata/labels"));
    assert!(!same("/metadata"));
    assert_eq!(
        (&old["metadata"]["name"], &new["metadata"]["name"]),
        (&json!("n"), &json!("m"))
    );
    let around = json!({ "kept": old["spec"] });
    assert!(
        matches!((&around["kept"], &old["spec"]), (Value::Object(a), Value::Object(b)) if Arc::ptr_eq(a, b))
    );
}

#[test]
fn what_is_written_as_json_is_what_serde_json_makes_of_it() {
    const KEY: &str = "key";
    let (text, list, none) = ("t".to_owned(), vec![1_u8, 2], None::<u64>);
    assert_eq!(
        json!({
            KEY: null, "a": [null, true, { "b": [] }, [1, -2], text, "x".len()], format!("{text}!"): {},
            "list": list, "none": none, "sum": 1 + 2, "ip": [std::net::Ipv4Addr::LOCALHOST],
        })
        .to_string(),
        serde_json::json!({
            KEY: null, "a": [null, true, { "b": [] }, [1, -2], text, "x".len()], format!("{text}!"): {},
            "list": list, "none": none, "sum": 1 + 2, "ip": [std::net::Ipv4Addr::LOCALHOST],
        })
        .to_string()
    );
}

#[test]
fn text_that_is_nested_too_deeply_is_refused() {
    for depth in [100, 1000] {
        let text = "[".repeat(depth) + &"]".repeat(depth);
        let refused = serde_json::from_str::<Value>(&text).is_err();
        assert_eq!(refused, serde_json::from_str::<Plain>(&text).is_err());
        assert_eq!(refused, depth == 1000);
    }
}

#[test]
fn a_pointer_leads_where_serde_json_says() {
    let text = r#"{"a":[{"b/c":1}],"":{"":2}}"#;
    let plain: Plain = serde_json::from_str(text).unwrap();
    let shared: Value = serde_json::from_str(text).unwrap();
    for path in [
        "",
        "/",
        "//",
        "/a",
        "/a/0",
        "/a/0/b~1c",
        "/a/1",
        "/a/x",
        "a",
    ] {
        let wanted = plain.pointer(path).map(Plain::to_string);
        assert_eq!(shared.pointer(path).map(Value::to_string), wanted, "{path}");
    }
}
