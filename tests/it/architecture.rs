//! Who may import whom, and the rules that every source file keeps.

use std::fs;
use std::path::{Path, PathBuf};

/// A module may import only those named here. No cycles, by construction.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("units", &[]),
    ("source", &["units"]),
    ("expr", &["units", "source"]),
    ("api", &["units"]),
    ("metrics", &["units"]),
    ("trace", &["units"]),
    ("compare", &["units", "metrics"]),
    ("client", &["units", "api", "trace"]),
    ("load", &["units", "source"]),
    (
        "step",
        &["units", "source", "expr", "api", "client", "trace"],
    ),
    (
        "scenario",
        &[
            "units", "source", "expr", "metrics", "compare", "client", "load", "step",
        ],
    ),
    (
        "plan",
        &[
            "units", "source", "expr", "metrics", "compare", "client", "load", "step", "scenario",
        ],
    ),
    // `source` draws the place of a failure; the rest is the table of the design.
    (
        "engine",
        &[
            "units", "source", "expr", "metrics", "client", "load", "step", "plan", "trace",
        ],
    ),
    ("telemetry", &["units", "metrics", "trace"]),
    ("report", &["units", "metrics"]),
    // Never `client` or `engine`: a stand-in that shares the client's code cannot catch its mistakes.
    // `trace` holds records; the loopback cluster reads contexts from headers and annotations itself.
    ("loopback", &["units", "api", "trace"]),
];

/// The longest file, without its tests.
const LONGEST: usize = 400;

fn rust_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every file of `src`: its path below it, its module, its text without tests.
fn sources() -> Vec<(String, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let name = path
                .strip_prefix(&root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            let module = name.split(['/', '.']).next().unwrap().to_owned();
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap().to_owned();
            (name, module, code)
        })
        .collect()
}

fn is_test(name: &str) -> bool {
    name.ends_with("tests.rs")
        || name.contains("/tests/")
        || name.contains("_tests")
        || name.ends_with("testing.rs")
}

#[test]
fn modules_import_only_what_they_may() {
    let mut wrong = Vec::new();
    for (name, module, code) in sources() {
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(known, _)| *known == module) else {
            continue;
        };
        if is_test(&name) {
            continue;
        }
        for (number, line) in code.lines().enumerate() {
            let line = line.split("//").next().unwrap();
            for imported in line.split("crate::").skip(1) {
                let imported: String = imported
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                let known = MAY_IMPORT.iter().any(|(known, _)| *known == imported);
                if known && imported != module && !allowed.contains(&imported.as_str()) {
                    wrong.push(format!(
                        "{name}:{}: {module} may not import {imported}",
                        number + 1
                    ));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_file_has_a_module_doc_and_no_file_is_long() {
    let mut wrong = Vec::new();
    for (name, _, code) in sources() {
        if !code.trim_start().starts_with("//!") && !is_test(&name) {
            wrong.push(format!("{name}: no module doc"));
        }
        let lines = code.lines().count();
        if lines > LONGEST && !is_test(&name) {
            wrong.push(format!("{name}: {lines} lines without its tests"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn no_code_unwraps_or_owes_something() {
    let mut wrong = Vec::new();
    for (name, _, code) in sources() {
        if is_test(&name) {
            continue;
        }
        for (number, line) in code.lines().enumerate() {
            let code = line.split("//").next().unwrap();
            let owes = [".unwrap()", "todo!", "unimplemented!"];
            if owes.iter().any(|word| code.contains(word)) {
                wrong.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
