//! The names in used steps: the variables of their own file, given by `with`, and what they capture.
//!
//! They see nothing of the steps around them but the matrix, the data and the sandboxes.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::place::Place;
use super::references::{Text, Walk, collect_captures, is_used, unused};
use super::tree::{entries, items};
use crate::source::yaml::{Key, Node};
use crate::source::{Code, Diagnostic, did_you_mean, list_of};

impl<'n> Walk<'n, '_> {
    /// Checks the steps that `use` stands for, in a step with `with` and `capture`.
    pub(super) fn used(&mut self, step: &'n Node, used: &'n Node) {
        let declared = entries(used.get("vars"));
        let steps = items(used.get("steps"));
        let outer_place = std::mem::replace(&mut self.place, Place::Vars);
        let outer_vars = std::mem::take(&mut self.vars);
        let outer_captured = std::mem::take(&mut self.captured);
        let outer_ids = std::mem::take(&mut self.ids);
        let outer_used = std::mem::take(&mut self.used);
        let outer_loops = std::mem::replace(&mut self.loops, 0);
        for (name, value) in declared {
            self.texts(value, Text::Template);
            self.vars.insert(Arc::clone(&name.value));
        }
        self.place = outer_place;
        let mut captures = Vec::new();
        for inner in steps {
            collect_captures(inner, &mut captures);
        }
        let later = captures.iter().map(|name| Arc::clone(&name.value));
        let outer_later = std::mem::replace(&mut self.later, later.collect());
        for inner in steps {
            self.step(inner);
        }
        self.judged(step, &[]);
        // What could not be used was reported; then nothing can be said of its names.
        if used.as_mapping().is_some() {
            self.with(step, declared);
            for name in captures {
                if !is_used(&self.used, "vars", &name.value) {
                    self.problems.push(unused("capture", name, "vars"));
                }
            }
        }
        self.vars = outer_vars;
        self.captured = outer_captured;
        self.ids = outer_ids;
        self.loops = outer_loops;
        self.later = outer_later;
        let inner_used = std::mem::replace(&mut self.used, outer_used);
        let shared = inner_used.into_iter();
        self.used.extend(shared.filter(|(root, _)| *root != "vars"));
    }

    /// Every value of `with` is for a variable of the used file that its steps use.
    fn with(&mut self, step: &'n Node, declared: &'n [(Key, Node)]) {
        let known: BTreeSet<&str> = declared.iter().map(|(name, _)| &*name.value).collect();
        let known: Vec<&str> = known.into_iter().collect();
        for (name, _) in entries(step.get("with")) {
            let problem = if !known.contains(&&*name.value) {
                let label = did_you_mean(&name.value, &known);
                let message = format!("the used file has no variable `{}`", name.value);
                let problem =
                    Diagnostic::error(Code::UnknownReference, name.span, message).label(label);
                if known.is_empty() {
                    problem.help("`with` gives values to the `vars` of the used file; it has none")
                } else {
                    problem.help(format!("its `vars` are {}", list_of(&known)))
                }
            } else if !is_used(&self.used, "vars", &name.value) {
                Diagnostic::error(
                    Code::Unused,
                    name.span,
                    format!("the used steps do not use `{}`", name.value),
                )
                .label("never used")
                .help("delete it, or use it in those steps")
            } else {
                continue;
            };
            self.problems.push(problem);
        }
    }
}
