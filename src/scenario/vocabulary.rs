//! What the grammar takes from the modules below it: step kinds, load models, connection modes.

use crate::expr::{Operand, Output, ValueKind};
use crate::source::yaml::Node;
use crate::source::{FromNode, Problems};

/// The words for the connection modes.
pub(super) const MODE_WORDS: [&str; 5] = [
    "gateway",
    "tunnel",
    "in-cluster",
    "in-cluster-pod-ip",
    "direct",
];

/// A step.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its fields.
    pub fields: Operand,
}

impl Step {
    /// Reads a step.
    pub fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        Operand::from_node(node, problems).map(|fields| Self { fields })
    }
}

/// A load model.
#[derive(Debug, Clone)]
pub struct LoadModel {
    /// Its fields.
    pub fields: Operand,
}

impl LoadModel {
    /// Reads a load model.
    pub fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        Operand::from_node(node, problems).map(|fields| Self { fields })
    }
}

/// The names of the step kinds.
pub(super) fn kinds() -> &'static [&'static str] {
    &[
        "create",
        "connect",
        "disconnect",
        "exec",
        "write",
        "read",
        "list",
        "exists",
        "delete",
        "wait",
        "sleep",
        "group",
    ]
}

/// The outputs of a step kind.
pub(super) fn outputs(kind: &str) -> &'static [Output] {
    const STDOUT: Output = Output {
        name: "stdout",
        kind: ValueKind::Text,
        what: "",
    };
    const EXIT: Output = Output {
        name: "exitCode",
        kind: ValueKind::Int,
        what: "",
    };
    match kind {
        "exec" => &[STDOUT, EXIT],
        _ => &[],
    }
}
