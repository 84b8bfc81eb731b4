//! What the grammar takes from the modules below it.

use crate::expr::Operand;
use crate::source::yaml::Node;
use crate::source::{FromNode, Problems};

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
