//! The order of steps: whoever needs a sandbox comes after its `create` and before its `delete`,
//! and `create` knows what to create from.

use std::sync::Arc;

use super::tree::{action, inner_steps, is_parallel, items};
use crate::scenario::document::ScenarioFile;
use crate::source::yaml::{Key, Node, Scalar};
use crate::source::{Code, Diagnostic, Problems, did_you_mean, list_of};

/// Actions that do not talk to a sandbox that exists.
const INDEPENDENT: &[&str] = &[
    "create", "sleep", "http", "script", "group", "parallel", "collect", "use",
];

pub(super) fn check(scenario: &Node, file: &ScenarioFile, problems: &mut Problems) {
    let from_target = file.target.warm_pool.is_some()
        || file.target.template.is_some()
        || scenario.get("target").is_some_and(has_source);
    let mut walk = Walk {
        created: Vec::new(),
        reported: false,
        from_target,
        problems,
    };
    for step in items(scenario.get("steps")) {
        walk.step(step);
    }
    // `finally` also runs after a failure before the `delete`.
    for created in &mut walk.created {
        created.deleted = false;
        created.suspended = false;
    }
    for step in items(scenario.get("finally")) {
        walk.step(step);
    }
    // What `setup` creates is its own and that of `teardown`.
    walk.created.clear();
    walk.reported = false;
    for list in ["setup", "teardown"] {
        for step in items(scenario.get(list)) {
            walk.step(step);
        }
    }
}

fn has_source(node: &Node) -> bool {
    node.get("warmPool").is_some() || node.get("template").is_some()
}

/// A sandbox that a step above creates.
#[derive(Clone)]
struct Created {
    id: Option<Arc<str>>,
    deleted: bool,
    suspended: bool,
}

struct Walk<'p> {
    created: Vec<Created>,
    /// One missing sandbox is reported once, at its first use.
    reported: bool,
    from_target: bool,
    problems: &'p mut Problems,
}

impl Walk<'_> {
    fn step(&mut self, step: &Node) {
        if let Some((key, node)) = action(step) {
            if &*key.value == "create" {
                self.create(key, node, step);
            } else if !INDEPENDENT.contains(&&*key.value) {
                self.uses(key, node, step);
            }
        }
        if is_parallel(step) {
            self.side_by_side(inner_steps(step));
        } else {
            for inner in inner_steps(step) {
                self.step(inner);
            }
        }
    }

    /// Each of the steps begins with what there was before all of them.
    fn side_by_side(&mut self, steps: &[Node]) {
        let before = self.created.clone();
        let mut after = before.clone();
        for step in steps {
            self.step(step);
            let left = std::mem::replace(&mut self.created, before.clone());
            for (own, their) in after.iter_mut().zip(&left) {
                own.deleted |= their.deleted;
                own.suspended = their.suspended;
            }
            after.extend(left.into_iter().skip(before.len()));
        }
        self.created = after;
    }

    fn create(&mut self, key: &Key, node: &Node, step: &Node) {
        self.created.push(Created {
            id: step
                .get("id")
                .and_then(Node::as_scalar)
                .map(|id| Arc::clone(&id.text)),
            deleted: false,
            suspended: false,
        });
        if !self.from_target && !has_source(node) {
            self.problems.push(
                Diagnostic::error(
                    Code::MissingField,
                    key.span,
                    "`create` has nothing to create a sandbox from",
                )
                .label("no warm pool and no template")
                .help("set `target: { warmPool: NAME }` or `target: { template: NAME }`"),
            );
        }
    }

    /// A step that talks to the last sandbox, or to the one it names.
    fn uses(&mut self, key: &Key, node: &Node, step: &Node) {
        if self.created.is_empty() {
            if !self.reported {
                self.missing(key);
            }
            return;
        }
        let named = node.get("sandbox").and_then(Node::as_scalar);
        let found = match named {
            None => self.created.last_mut(),
            // Which one it is is known only at run time.
            Some(name) if name.text.contains("${{") => return,
            Some(name) => self
                .created
                .iter_mut()
                .rev()
                .find(|created| created.id.as_deref() == Some(&*name.text)),
        };
        let Some(created) = found else {
            if let Some(name) = named {
                self.unknown(name);
            }
            return;
        };
        let kind = &*key.value;
        let expects_failure = step
            .get("expect")
            .is_some_and(|expect| expect.get("error").is_some());
        match kind {
            "delete" => created.deleted = true,
            "wait" => {}
            _ if created.deleted && !expects_failure => self.deleted(key),
            "suspend" => created.suspended = true,
            "resume" => created.suspended = false,
            "disconnect" => {}
            _ if created.suspended && !expects_failure => self.suspended(key),
            _ => {}
        }
    }

    fn missing(&mut self, key: &Key) {
        self.reported = true;
        self.problems.push(
            Diagnostic::error(
                Code::Combination,
                key.span,
                format!(
                    "`{}` needs a sandbox, and no step above creates one",
                    key.value
                ),
            )
            .label("no sandbox yet")
            .help("put `- create: {}` before it"),
        );
    }

    fn deleted(&mut self, key: &Key) {
        self.problems.push(
            Diagnostic::error(
                Code::Combination,
                key.span,
                format!("`{}` needs a sandbox, and a step above deletes it", key.value),
            )
            .label("no sandbox any more")
            .help("move it before `delete`; if it is meant to fail, say so with `expect: { error: … }`"),
        );
    }

    fn suspended(&mut self, key: &Key) {
        self.problems.push(
            Diagnostic::error(
                Code::Combination,
                key.span,
                format!("`{}` needs a running sandbox, and a step above suspends it", key.value),
            )
            .label("suspended")
            .help("put `- resume: {}` before it; if it is meant to fail, say so with `expect: { error: … }`"),
        );
    }

    fn unknown(&mut self, name: &Scalar) {
        let ids: Vec<&str> = self
            .created
            .iter()
            .filter_map(|created| created.id.as_deref())
            .collect();
        let label = did_you_mean(&name.text, &ids);
        let help = if ids.is_empty() {
            "give the `create` step above an `id`".to_owned()
        } else {
            format!("the sandboxes created above are {}", list_of(&ids))
        };
        self.problems.push(
            Diagnostic::error(
                Code::UnknownReference,
                name.span,
                format!(
                    "no step above creates a sandbox with the id `{}`",
                    name.text
                ),
            )
            .label(label)
            .help(help),
        );
    }
}
