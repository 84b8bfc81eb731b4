//! The JSON Schema of the language, made of the tables that the decoders read.
//!
//! It tells an editor which keys there are, what they take and what they mean. What it cannot say
//! (names that exist, fields that need each other, units in templates) is what `check` is for.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::parse::FILE;
use crate::expr::ValueKind;
use crate::metrics::Metric;
use crate::source::{Field, Shape, Takes};
use crate::step::{About, Action, COMMON};

/// A text with an expression in it can become anything.
const TEMPLATE: &str = r"\$\{\{";
const DURATION: &str = r"^\s*(\d+(\.\d+)?(d|h|m|s|ms|us|µs|ns)\s*)+$";
const RATE: &str = r"^\s*\d+(\.\d+)?\s*/\s*\w+\s*$";
const RATIO: &str = r"^\s*\d+(\.\d+)?\s*%?\s*$";

/// The schema (draft 2020-12) as text, with a line break at its end.
pub fn schema() -> String {
    let mut schema = Schema::default();
    let mut root = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sandbench scenario file",
    });
    let file = schema.shape(&FILE);
    merge(&mut root, file);
    root["properties"]["scenarios"]["minProperties"] = json!(1);
    let step = schema.step();
    schema.defs.insert("step".to_owned(), step);
    root["$defs"] = Value::Object(schema.defs.into_iter().collect());
    // A value of strings, numbers, lists and maps always has a text.
    let text = serde_json::to_string_pretty(&root).unwrap_or_default();
    format!("{text}\n")
}

/// The names of the fields that must be there.
fn required(fields: &[Field]) -> Vec<&'static str> {
    let required = fields.iter().filter(|field| field.required);
    required.map(|field| field.name).collect()
}

/// The definitions that are referred to, by name.
#[derive(Default)]
struct Schema {
    defs: BTreeMap<String, Value>,
}

impl Schema {
    fn refer(&mut self, name: &str, make: impl FnOnce(&mut Self) -> Value) -> Value {
        if !self.defs.contains_key(name) {
            // Before it is made, so that it may refer to itself.
            self.defs.insert(name.to_owned(), Value::Null);
            let made = make(self);
            self.defs.insert(name.to_owned(), made);
        }
        json!({ "$ref": format!("#/$defs/{name}") })
    }

    /// A mapping with known fields.
    fn shape(&mut self, shape: &Shape) -> Value {
        let required = required(shape.fields);
        let mut made = json!({
            "type": "object",
            "properties": self.properties(shape.fields),
            "additionalProperties": false,
        });
        if !required.is_empty() {
            made["required"] = json!(required);
        }
        made
    }

    fn properties(&mut self, fields: &[Field]) -> Value {
        let made = fields.iter().map(|field| {
            let mut takes = self.takes(&field.takes);
            takes["description"] = json!(field.what);
            (field.name.to_owned(), takes)
        });
        Value::Object(made.collect())
    }

    fn takes(&mut self, takes: &Takes) -> Value {
        match takes {
            Takes::Text => json!({ "type": "string" }),
            Takes::Bool => json!({ "type": "boolean" }),
            Takes::Whole(least, i64::MAX) => {
                or_template(&json!({ "type": "integer", "minimum": least }))
            }
            Takes::Whole(least, most) => {
                or_template(&json!({ "type": "integer", "minimum": least, "maximum": most }))
            }
            Takes::Duration => self.refer("duration", |_| {
                let zero = json!({ "enum": [0, "0"] });
                let time = json!({ "type": "string", "pattern": DURATION });
                or_template(&json!({ "anyOf": [time, zero] }))
            }),
            Takes::Rate => self.refer("rate", |_| {
                or_template(&json!({ "type": "string", "pattern": RATE }))
            }),
            Takes::Ratio => self.refer("ratio", |_| {
                or_template(&json!({ "anyOf": [
                    { "type": "string", "pattern": RATIO },
                    { "type": "number", "minimum": 0, "maximum": 1 },
                ] }))
            }),
            Takes::Expression => json!({ "type": ["string", "boolean", "number"] }),
            Takes::Value => json!({}),
            Takes::Word(words) => or_template(&json!({ "enum": words() })),
            Takes::List(item) => json!({ "type": "array", "items": self.takes(item) }),
            Takes::Map(value) => {
                json!({ "type": "object", "additionalProperties": self.takes(value) })
            }
            Takes::Fields(shape) => {
                let name = shape.what.replace('`', "").replace(' ', "-");
                self.refer(&name, |schema| schema.shape(shape))
            }
            Takes::Either(forms) => {
                let forms: Vec<Value> = forms.iter().map(|form| self.takes(form)).collect();
                json!({ "anyOf": forms })
            }
            Takes::Steps => json!({ "type": "array", "items": { "$ref": "#/$defs/step" } }),
            Takes::Matrix => self.refer("matrix", Self::matrix),
            Takes::Thresholds(long) => self.refer("thresholds", |schema| schema.thresholds(long)),
            // What it may name follows from the action.
            Takes::Expect => json!({ "type": "object" }),
        }
    }

    fn matrix(&mut self) -> Value {
        let value = json!({ "type": ["string", "number", "boolean"] });
        let picks = json!({
            "type": "array",
            "items": { "type": "object", "additionalProperties": value, "minProperties": 1 },
        });
        let words = Takes::Word(super::target::modes);
        let mode = self.takes(&words);
        json!({
            "type": "object",
            "minProperties": 1,
            "properties": {
                "mode": { "type": "array", "items": mode, "minItems": 1 },
                "include": picks,
                "exclude": picks,
            },
            "additionalProperties": { "type": "array", "items": value, "minItems": 1 },
        })
    }

    fn thresholds(&mut self, long: &Shape) -> Value {
        let long = self.shape(long);
        let one = json!({ "anyOf": [{ "type": "string" }, long] });
        let names: Vec<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        json!({
            "type": "object",
            "propertyNames": { "pattern": format!(r"^({})(\{{.*\}})?$", names.join("|")) },
            "additionalProperties": {
                "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }],
            },
        })
    }

    /// What all steps have, and that each has one action.
    fn step(&mut self) -> Value {
        let mut properties = Map::new();
        for about in Action::ALL {
            let mut takes = self.takes(&about.takes);
            takes["description"] = json!(about.what);
            properties.insert(about.kind.to_owned(), takes);
        }
        for fields in [COMMON]
            .into_iter()
            .chain(Action::ALL.iter().map(|about| about.beside))
        {
            if let Value::Object(more) = self.properties(fields) {
                properties.extend(more);
            }
        }
        let one: Vec<Value> = Action::KINDS
            .iter()
            .map(|kind| json!({ "required": [kind] }))
            .collect();
        let all = Action::ALL.iter().map(|about| self.of_action(about));
        let all: Vec<Value> = all.collect();
        json!({
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
            "oneOf": one,
            "allOf": all,
        })
    }

    /// What else a step with this action may have.
    fn of_action(&mut self, about: &About) -> Value {
        let mut properties = json!({ "expect": self.expect(about) });
        let others = Action::ALL.iter().flat_map(|other| other.beside);
        for field in others {
            if !about.beside.iter().any(|own| own.name == field.name) {
                properties[field.name] = json!(false);
            }
        }
        let required = required(about.beside);
        let mut then = json!({ "properties": properties });
        if !required.is_empty() {
            then["required"] = json!(required);
        }
        json!({ "if": { "required": [about.kind] }, "then": then })
    }

    fn expect(&mut self, about: &About) -> Value {
        let mut properties = Map::new();
        for output in about.outputs {
            let mut takes = self.matcher(output.kind);
            takes["description"] = json!(output.what);
            properties.insert(output.name.to_owned(), takes);
        }
        properties.insert("error".to_owned(), self.matcher(ValueKind::Text));
        properties.insert("that".to_owned(), self.takes(&Takes::Expression));
        json!({ "type": "object", "properties": properties, "additionalProperties": false })
    }

    /// What `expect` may say about an output of a kind.
    fn matcher(&mut self, kind: ValueKind) -> Value {
        let name = match kind {
            ValueKind::Word(words) => format!("expect-{}", words.join("-")),
            kind => format!("expect-{kind:?}").to_lowercase(),
        };
        self.refer(&name, |_| {
            let itself = json!({ "$ref": format!("#/$defs/{name}") });
            let value = value_of(kind);
            let many =
                |item: &Value| json!({ "anyOf": [item, { "type": "array", "items": item }] });
            let mut operators = Map::new();
            operators.insert("equals".to_owned(), value.clone());
            if let Some(item) = kind.item() {
                operators.insert("contains".to_owned(), many(&value_of(item)));
            }
            if kind.is_text() {
                operators.insert("matches".to_owned(), json!({ "type": "string" }));
            }
            if kind.is_ordered() {
                for order in ["lt", "lte", "gt", "gte"] {
                    operators.insert(order.to_owned(), value.clone());
                }
            }
            operators.insert("in".to_owned(), json!({ "type": "array", "items": value }));
            operators.insert("not".to_owned(), itself);
            operators.insert("exists".to_owned(), json!({ "type": "boolean" }));
            let by_operator = json!({
                "type": "object",
                "properties": operators,
                "additionalProperties": false,
                "minProperties": 1,
            });
            json!({ "anyOf": [value, by_operator] })
        })
    }
}

/// A value of a kind, or a text that becomes one.
fn value_of(kind: ValueKind) -> Value {
    match kind {
        ValueKind::Any => json!({ "not": { "type": "object" } }),
        ValueKind::Bool => or_template(&json!({ "type": "boolean" })),
        ValueKind::Int => or_template(&json!({ "type": "integer" })),
        ValueKind::Float => or_template(&json!({ "type": "number" })),
        ValueKind::Text | ValueKind::Bytes => json!({ "type": "string" }),
        ValueKind::Word(words) => or_template(&json!({ "enum": words })),
        ValueKind::Texts => or_template(&json!({ "type": "array", "items": { "type": "string" } })),
        ValueKind::Map => or_template(&json!({ "type": "object" })),
        ValueKind::Duration => or_template(&json!({ "type": "string", "pattern": DURATION })),
        ValueKind::Size => or_template(&json!({ "anyOf": [{ "type": "string" }, { "const": 0 }] })),
    }
}

/// The same, or a text with an expression.
fn or_template(made: &Value) -> Value {
    json!({ "anyOf": [made, { "type": "string", "pattern": TEMPLATE }] })
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}
