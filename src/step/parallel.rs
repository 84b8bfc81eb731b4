//! `parallel`: steps that run at the same time; it ends when the last of them does.
//!
//! Only fields and checks are here, as for `group`; whoever runs the iteration runs the steps. A
//! step does not see what another one beside it captures; what follows sees everything. "The last
//! sandbox" is then that of the step which stands last in the file.

use super::Step;
use super::group::members;
use crate::expr::{Output, Template};
use crate::source::yaml::Node;
use crate::source::{Problems, Takes};

/// Steps that run at the same time.
#[derive(Debug, Clone)]
pub struct Parallel {
    /// Its name in reports.
    pub name: Template,
    /// At least one; several steps in order are a `group`.
    pub steps: Vec<Step>,
}

impl Parallel {
    /// What it takes.
    pub(super) const TAKES: Takes = Takes::Text;

    /// What `parallel` gives: nothing of its own.
    pub const OUTPUTS: &'static [Output] = &[];

    pub(super) fn decode(node: &Node, step: &Node, problems: &mut Problems) -> Option<Self> {
        let (name, steps) = members(node, step, ("`parallel`", "parallel"), problems)?;
        Some(Self { name, steps })
    }
}
