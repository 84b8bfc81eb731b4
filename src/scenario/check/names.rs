//! Names are well formed and written once: scenarios, variables, axes, step ids, captures.

use std::collections::HashMap;
use std::sync::Arc;

use super::tree::{STEP_LISTS, entries, inner_steps, items};
use crate::source::yaml::{Key, Node};
use crate::source::{Code, Diagnostic, Problems, Span, Spanned};

/// Words that CEL does not take as a name, not even after a dot.
const RESERVED: &[&str] = &["true", "false", "null", "in"];

/// The longest name.
const LONGEST: usize = 63;

pub(super) fn check(root: &Node, problems: &mut Problems) {
    for (name, _) in entries(root.get("vars")) {
        identifier("a variable", name, problems);
    }
    for (id, scenario) in entries(root.get("scenarios")) {
        scenario_id(id, problems);
        for (name, _) in entries(scenario.get("matrix")) {
            if !matches!(&*name.value, "include" | "exclude") {
                identifier("an axis", name, problems);
            }
        }
        let mut seen = Seen::default();
        for (name, _) in entries(root.get("vars")) {
            seen.captured.insert(Arc::clone(&name.value), name.span);
        }
        for list in STEP_LISTS {
            for step in items(scenario.get(list)) {
                step_names(step, &mut seen, problems);
            }
        }
    }
}

/// What has a name so far. Variables and captures share one name space.
#[derive(Default)]
struct Seen {
    ids: HashMap<Arc<str>, Span>,
    captured: HashMap<Arc<str>, Span>,
}

fn step_names(step: &Node, seen: &mut Seen, problems: &mut Problems) {
    if let Some(id) = step.get("id").and_then(Node::as_scalar) {
        let key = Spanned::new(Arc::clone(&id.text), id.span);
        if identifier("a step id", &key, problems)
            && seen.ids.insert(Arc::clone(&key.value), key.span).is_some()
        {
            problems.push(
                Diagnostic::error(
                    Code::DuplicateName,
                    key.span,
                    format!("the step id `{}` is used twice", key.value),
                )
                .label("already the id of a step above")
                .help("step ids are unique in a scenario; `name` need not be"),
            );
        }
    }
    for (name, _) in entries(step.get("capture")) {
        if identifier("a capture", name, problems)
            && seen
                .captured
                .insert(Arc::clone(&name.value), name.span)
                .is_some()
        {
            problems.push(
                Diagnostic::error(
                    Code::DuplicateName,
                    name.span,
                    format!("the name `{}` is already used", name.value),
                )
                .label("already a variable or a capture above")
                .help("captures and `vars` share one name space, and a value never changes"),
            );
        }
    }
    // Used steps have names of their own.
    let mut own = Seen::default();
    let seen = match step.get("use") {
        None => seen,
        Some(used) => {
            for (name, _) in entries(used.get("vars")) {
                own.captured.insert(Arc::clone(&name.value), name.span);
            }
            &mut own
        }
    };
    for inner in inner_steps(step) {
        step_names(inner, seen, problems);
    }
}

/// Whether a text can stand after a dot in an expression.
///
/// # Errors
/// What is wrong with it.
pub(super) fn is_identifier(text: &str) -> Result<(), &'static str> {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let rest = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !begins || !rest {
        Err("a name is letters, digits and `_`, and does not begin with a digit")
    } else if RESERVED.contains(&text) {
        Err("the word is reserved in expressions")
    } else if text.len() > LONGEST {
        Err("a name has at most 63 letters")
    } else {
        Ok(())
    }
}

/// A name that stands in expressions: `vars.NAME`.
fn identifier(what: &str, name: &Key, problems: &mut Problems) -> bool {
    let text = &*name.value;
    let Err(problem) = is_identifier(text) else {
        return true;
    };
    let diagnostic = Diagnostic::error(
        Code::BadName,
        name.span,
        format!("`{text}` is not a name for {what}"),
    )
    .label("not a name")
    .help(problem);
    let dashed = text.contains('-') && text.len() <= LONGEST;
    problems.push(if dashed {
        diagnostic.help(format!(
            "write `{}`: in an expression `-` is minus",
            text.replace('-', "_")
        ))
    } else {
        diagnostic
    });
    false
}

/// A scenario's id: it stands in reports, file names and on the command line.
fn scenario_id(id: &Key, problems: &mut Problems) {
    let text = &*id.value;
    let valid = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.len() <= LONGEST
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if !valid {
        problems.push(
            Diagnostic::error(
                Code::BadName,
                id.span,
                format!("`{text}` is not an id for a scenario"),
            )
            .label("not an id")
            .help("letters, digits, `-` and `_`, at most 63, beginning with a letter or digit"),
        );
    }
}
