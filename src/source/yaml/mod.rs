//! YAML as a tree that knows where every node was written.
//!
//! Built from parser events with budgets for depth and nodes. The language is a small part of
//! YAML: one document, no anchors, aliases, merge keys or tags, keys are text, each key once.
//! What is outside is reported with its place, and the tree goes on, so that one run of the
//! checker shows all of it; only broken syntax ends the tree.

mod build;
mod node;
mod screen;

pub use build::{DEPTH_LIMIT, NODE_LIMIT, parse};
pub use node::{Key, Node, NodeKind, Scalar, ScalarStyle};

#[cfg(test)]
mod tests;
