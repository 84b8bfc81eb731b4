//! The JSON Schema: the committed one is that of the code, valid files validate against it, and files
//! whose structure is wrong do not. `SANDBENCH_BLESS=1 cargo test --test it schema` writes it anew.

use std::fs;
use std::path::{Path, PathBuf};

use sandbench::scenario;
use sandbench::source::yaml::{self, Node, NodeKind};
use sandbench::source::{Problems, SourceFile};
use serde_json::Value;

use crate::invalid::valid_files;

fn scenarios() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// A YAML value as the language reads it, as JSON.
fn json(node: &Node) -> Value {
    match &node.kind {
        NodeKind::Invalid => Value::Null,
        NodeKind::Sequence(items) => items.iter().map(json).collect(),
        NodeKind::Mapping(entries) => {
            let entries = entries.iter();
            let entries = entries.map(|(key, value)| (key.value.to_string(), json(value)));
            Value::Object(entries.collect())
        }
        NodeKind::Scalar(scalar) => {
            if scalar.is_null() {
                Value::Null
            } else if let Some(truth) = scalar.as_bool() {
                truth.into()
            } else if let Some(number) = scalar.as_i64() {
                number.into()
            } else if let Some(number) = scalar.as_f64() {
                number.into()
            } else {
                (*scalar.text).into()
            }
        }
    }
}

fn validator() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(&scenario::schema()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

/// What the schema says against a file; `None`: it is not YAML.
fn complaints(validator: &jsonschema::Validator, path: &Path) -> Option<Vec<String>> {
    let file = SourceFile::load(path).ok()?;
    let mut problems = Problems::new();
    let root = yaml::parse(&file, &mut problems).filter(|_| !problems.has_errors())?;
    let value = json(&root);
    let errors = validator.iter_errors(&value);
    let told = errors.map(|error| format!("{}: {error}", error.instance_path()));
    Some(told.collect())
}

#[test]
fn the_committed_schema_is_that_of_the_code() {
    let path = scenarios().join("scenario.schema.json");
    let schema = scenario::schema();
    if std::env::var_os("SANDBENCH_BLESS").is_some() {
        fs::write(&path, &schema).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == schema,
        "scenarios/scenario.schema.json is stale: SANDBENCH_BLESS=1 cargo test --test it schema"
    );
}

#[test]
fn every_valid_scenario_validates() {
    let validator = validator();
    let mut files = Vec::new();
    valid_files(&scenarios(), &mut files);
    valid_files(
        &PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/cli/examples"),
        &mut files,
    );
    let mut wrong = Vec::new();
    for path in files {
        for complaint in complaints(&validator, &path).expect("it is YAML") {
            wrong.push(format!("{}: {complaint}", path.display()));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_scenario_names_the_schema_in_its_first_line() {
    let mut files = Vec::new();
    valid_files(&scenarios(), &mut files);
    let mut wrong = Vec::new();
    for path in files {
        let depth = path.strip_prefix(scenarios()).unwrap().components().count() - 1;
        let up = if depth == 0 { "./" } else { "../" };
        let line = format!("# yaml-language-server: $schema={up}scenario.schema.json");
        let text = fs::read_to_string(&path).unwrap();
        if text.lines().next() != Some(&line) {
            wrong.push(format!("{}: begin with `{line}`", path.display()));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// Files of `scenarios/invalid` whose structure is wrong: an editor tells that before sandbench does.
const STRUCTURE: &[&str] = &[
    "data-fields",
    "empty-matrix",
    "expectations",
    "flow-retries",
    "missing-everything",
    "no-scenarios",
    "no-steps",
    "not-a-mapping",
    "step-fields",
    "unknown-scenario-field",
    "unknown-top-level",
    "wrong-types",
    "wrong-version",
];

#[test]
fn files_whose_structure_is_wrong_do_not_validate() {
    let validator = validator();
    let mut accepted = Vec::new();
    for name in STRUCTURE {
        let path = scenarios().join(format!("invalid/{name}.yaml"));
        match complaints(&validator, &path) {
            Some(complaints) if complaints.is_empty() => accepted.push(*name),
            Some(_) => {}
            None => panic!("{name} is not YAML"),
        }
    }
    assert_eq!(accepted, Vec::<&str>::new());
}
