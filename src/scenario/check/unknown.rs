//! A reference to something that does not exist: what was probably meant, and what there is.

use std::sync::Arc;

use super::place::Place;
use super::references::Walk;
use super::tree::entries;
use crate::expr::{CONTEXTS, ROOTS, Reference};
use crate::source::yaml::Node;
use crate::source::{Code, Diagnostic, did_you_mean, list_of};

impl Walk<'_, '_> {
    pub(super) fn unknown_root(&mut self, reference: &Reference) {
        if self.problems.is_full() {
            return self.unsaid(reference);
        }
        let root = reference.root();
        let outputs: Vec<&str> = self.outputs.iter().map(|output| output.name).collect();
        let known: Vec<&str> = outputs.iter().chain(ROOTS).copied().collect();
        let declared = self
            .vars
            .iter()
            .chain(&self.captured)
            .find(|name| &***name == root);
        let label = match declared {
            Some(name) => format!("did you mean `vars.{name}`?"),
            None => did_you_mean(root, &known),
        };
        let diagnostic = Diagnostic::error(
            Code::UnknownReference,
            reference.span,
            format!("unknown name `{root}`"),
        )
        .label(label)
        .help(format!("names begin with {}", list_of(self.place.roots())));
        self.problems.push(if outputs.is_empty() {
            diagnostic
        } else {
            diagnostic.help(format!(
                "the outputs of this step are {}",
                list_of(&outputs)
            ))
        });
    }

    pub(super) fn variable(&mut self, reference: &Reference, name: &Arc<str>) {
        if self.vars.contains(name) || self.captured.contains(name) {
            return;
        }
        if self.problems.is_full() {
            return self.unsaid(reference);
        }
        let (message, label) =
            if matches!(self.place, Place::Step | Place::Fixture) && self.later.contains(name) {
                (
                    format!("`vars.{name}` is used before it is captured"),
                    "captured by a step after this one, or beside it".to_owned(),
                )
            } else {
                let known: Vec<&str> = self
                    .vars
                    .iter()
                    .chain(&self.captured)
                    .map(|name| &**name)
                    .collect();
                (
                    format!("unknown variable `{name}`"),
                    did_you_mean(name, &known),
                )
            };
        let known: Vec<&Arc<str>> = self.vars.iter().chain(&self.captured).collect();
        let help = if known.is_empty() {
            format!("declare it: `vars: {{ {name}: … }}`")
        } else {
            format!("the variables here are {}", list_of(&known))
        };
        self.unknown(reference, message, label, help);
    }

    /// A column of the data; whether there is one is known when the file is read.
    pub(super) fn column(&mut self, reference: &Reference) {
        if let Some(used) = &mut self.data {
            used.push(reference.clone());
            return;
        }
        self.unknown(
            reference,
            "the scenario has no `data`".to_owned(),
            "no value here".to_owned(),
            "declare it: `data: rows.csv`".to_owned(),
        );
    }

    /// Data that no step uses.
    pub(super) fn unused_data(&mut self, scenario: &Node) {
        let unused = self.data.as_ref().is_some_and(Vec::is_empty);
        let mut fields = entries(Some(scenario)).iter();
        let written = fields.find(|(key, _)| &*key.value == "data");
        if let (true, Some((key, _))) = (unused, written) {
            self.problems.push(
                Diagnostic::error(Code::Unused, key.span, "no step uses the data")
                    .label("never used")
                    .help("use a column of it as `${{ data.COLUMN }}`, or delete it"),
            );
        }
    }

    pub(super) fn axis(&mut self, reference: &Reference, name: &Arc<str>) {
        if self.matrix.contains(name) {
            return;
        }
        if self.problems.is_full() {
            return self.unsaid(reference);
        }
        let known: Vec<&str> = self.matrix.iter().map(|name| &**name).collect();
        let label = did_you_mean(name, &known);
        let help = if known.is_empty() {
            format!("declare it: `matrix: {{ {name}: [ … ] }}`")
        } else {
            format!("the axes are {}", list_of(&known))
        };
        self.unknown(reference, format!("unknown axis `{name}`"), label, help);
    }

    pub(super) fn step_output(&mut self, reference: &Reference, id: &Arc<str>) {
        let Some(outputs) = self.ids.get(&**id) else {
            if self.problems.is_full() {
                return self.unsaid(reference);
            }
            let mut known: Vec<&str> = self.ids.keys().copied().collect();
            known.sort_unstable();
            let label = did_you_mean(id, &known);
            let help = if known.is_empty() {
                "give a step above an `id`".to_owned()
            } else {
                format!("the ids of the steps above are {}", list_of(&known))
            };
            self.unknown(
                reference,
                format!("no step above has the id `{id}`"),
                label,
                help,
            );
            return;
        };
        let Some(output) = reference.path.get(2) else {
            return;
        };
        let known: Vec<&str> = outputs.iter().map(|output| output.name).collect();
        if !known.contains(&&**output) {
            let message = format!("the step `{id}` has no output `{output}`");
            let help = if known.is_empty() {
                "this kind of step has no outputs".to_owned()
            } else {
                format!("its outputs are {}", list_of(&known))
            };
            self.unknown(reference, message, did_you_mean(output, &known), help);
        }
    }

    pub(super) fn context(&mut self, reference: &Reference, root: &str, name: &str) {
        let fields = CONTEXTS
            .iter()
            .find(|(known, _)| *known == root)
            .map_or(&[][..], |(_, fields)| fields);
        if !fields.contains(&name) {
            self.unknown(
                reference,
                format!("`{root}` has no `{name}`"),
                did_you_mean(name, fields),
                format!("it has {}", list_of(fields)),
            );
        }
    }

    /// Counts a problem that is not shown, without a search for what was meant.
    fn unsaid(&mut self, reference: &Reference) {
        self.problems.push(Diagnostic::error(
            Code::UnknownReference,
            reference.span,
            "unknown name",
        ));
    }

    fn unknown(&mut self, reference: &Reference, message: String, label: String, help: String) {
        self.problems.push(
            Diagnostic::error(Code::UnknownReference, reference.span, message)
                .label(label)
                .help(help),
        );
    }
}
