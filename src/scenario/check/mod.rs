//! What a file means as a whole: names, references, order of steps, modes and their targets.
//!
//! The checks walk the YAML tree and not the decoded steps, so that a new step kind is checked
//! without a line here: every text is a template, `capture` and `expect: { that: … }` are
//! expressions, and a step's kind says which outputs it has. Checking changes nothing.

mod all;
mod compare;
mod names;
mod place;
mod references;
mod sandbox;
mod target;
mod thresholds;
mod traces;
mod tree;
mod unknown;
mod used;

pub(super) use all::check;
pub(super) use tree::STEP_LISTS;
