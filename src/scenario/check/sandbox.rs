//! The order of steps: whoever needs a sandbox comes after `create` and before `delete`, and
//! `create` knows what to create from.

use super::{action, inner_steps, items};
use crate::scenario::document::ScenarioFile;
use crate::source::yaml::{Key, Node};
use crate::source::{Code, Diagnostic, Problems};

/// Actions that talk to the current sandbox.
const NEEDS: &[&str] = &[
    "connect",
    "disconnect",
    "exec",
    "write",
    "read",
    "list",
    "exists",
    "delete",
    "wait",
];

/// Where an iteration is with its sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    None,
    Created,
    Deleted,
}

pub(super) fn check(scenario: &Node, file: &ScenarioFile, problems: &mut Problems) {
    let own = scenario.get("target");
    let from_target = file.target.warm_pool.is_some()
        || file.target.template.is_some()
        || own.is_some_and(has_source);
    let mut walk = Walk {
        state: State::None,
        reported: false,
        from_target,
        problems,
    };
    for step in items(scenario.get("steps")) {
        walk.step(step);
    }
    // `finally` runs after a failure anywhere: it is only checked for what can never be there.
    if walk.state != State::None {
        walk.state = State::Created;
    }
    for step in items(scenario.get("finally")) {
        walk.step(step);
    }
}

fn has_source(node: &Node) -> bool {
    node.get("warmPool").is_some() || node.get("template").is_some()
}

struct Walk<'p> {
    state: State,
    /// One missing sandbox is reported once, at its first use.
    reported: bool,
    from_target: bool,
    problems: &'p mut Problems,
}

impl Walk<'_> {
    fn step(&mut self, step: &Node) {
        if let Some((key, node)) = action(step) {
            self.action(key, node);
        }
        for inner in inner_steps(step) {
            self.step(inner);
        }
    }

    fn action(&mut self, key: &Key, node: &Node) {
        let kind = &*key.value;
        if kind == "create" {
            self.state = State::Created;
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
            return;
        }
        if !NEEDS.contains(&kind) {
            return;
        }
        match self.state {
            State::None if !self.reported => self.missing(key),
            State::Deleted if kind != "wait" => self.deleted(key),
            State::None | State::Created | State::Deleted => {}
        }
        if kind == "delete" && self.state == State::Created {
            self.state = State::Deleted;
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
                format!(
                    "`{}` needs a sandbox, and a step above deletes it",
                    key.value
                ),
            )
            .label("no sandbox any more")
            .help("move it before `delete`, or create another sandbox first"),
        );
    }
}
