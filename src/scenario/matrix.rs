//! The axes of a matrix. A cell is one combination of their values.

use crate::client::ConnectionMode;
use crate::expr::Value;
use crate::source::yaml::{Key, Node, NodeKind};
use crate::source::{Code, Diagnostic, FromNode, Problems, Spanned, list_of, suggest, wrong_type};

/// The most cells of one scenario.
const MOST_CELLS: usize = 1_000;

/// One axis: a name and the values it takes.
#[derive(Debug, Clone)]
pub struct Axis {
    /// Its name; `mode` chooses the connection mode, the others are `${{ matrix.NAME }}`.
    pub name: Key,
    /// At least one value, none twice.
    pub values: Vec<Spanned<Value>>,
}

/// Reads `matrix`.
pub(super) fn decode(node: &Node, problems: &mut Problems) -> Vec<Axis> {
    let Some(entries) = node.as_mapping() else {
        wrong_type(node, "a mapping of axis names to lists of values", problems);
        return Vec::new();
    };
    if entries.is_empty() {
        problems.push(
            Diagnostic::error(Code::BadValue, node.span, "the matrix has no axis")
                .label("empty")
                .help("give it an axis, for example `mode: [gateway, tunnel]`, or leave it out"),
        );
    }
    let axes: Vec<Axis> = entries
        .iter()
        .filter_map(|(name, values)| axis(name, values, problems))
        .collect();
    let cells = axes.iter().fold(1_usize, |product, axis| {
        product.saturating_mul(axis.values.len().max(1))
    });
    if cells > MOST_CELLS {
        problems.push(
            Diagnostic::error(
                Code::Limit,
                node.span,
                format!("the matrix has {cells} cells, the most is {MOST_CELLS}"),
            )
            .help("every combination of values is a cell; split the scenario"),
        );
    }
    axes
}

fn axis(name: &Key, node: &Node, problems: &mut Problems) -> Option<Axis> {
    if matches!(&*name.value, "include" | "exclude") {
        problems.push(
            Diagnostic::error(
                Code::NotSupported,
                name.span,
                format!("`{}` is not supported yet in matrix", name.value),
            )
            .label("not supported yet")
            .help("this version of sandbench runs every combination of the axes"),
        );
        return None;
    }
    let Some(items) = node.as_sequence() else {
        wrong_type(node, "a list of values", problems);
        return None;
    };
    if items.is_empty() {
        problems.push(
            Diagnostic::error(
                Code::BadValue,
                node.span,
                format!("the axis `{}` has no value", name.value),
            )
            .label("empty")
            .help("a matrix with an empty axis has no cell and would run nothing"),
        );
    }
    let mut values: Vec<Spanned<Value>> = Vec::new();
    // More are too many cells anyway, which is reported below.
    for item in items.iter().take(MOST_CELLS + 1) {
        let Some(value) = axis_value(name, item, problems) else {
            continue;
        };
        if values.iter().any(|known| known.value == value) {
            problems.push(
                Diagnostic::error(
                    Code::DuplicateName,
                    item.span,
                    format!("the axis `{}` has the value {value} twice", name.value),
                )
                .label("already in the list"),
            );
        } else {
            values.push(Spanned::new(value, item.span));
        }
    }
    Some(Axis {
        name: name.clone(),
        values,
    })
}

fn axis_value(axis: &Key, node: &Node, problems: &mut Problems) -> Option<Value> {
    let scalar = match &node.kind {
        NodeKind::Scalar(scalar) if !scalar.is_null() => scalar,
        NodeKind::Scalar(_) | NodeKind::Sequence(_) | NodeKind::Mapping(_) | NodeKind::Invalid => {
            wrong_type(node, "text, a number or a boolean", problems);
            return None;
        }
    };
    if scalar.text.contains("${{") {
        problems.push(
            Diagnostic::error(
                Code::BadValue,
                node.span,
                "the values of a matrix are fixed when the file is read",
            )
            .label("no `${{ }}` here"),
        );
        return None;
    }
    if &*axis.value == "mode" && !ConnectionMode::WORDS.contains(&&*scalar.text) {
        problems.push(unknown_mode(node, &scalar.text));
        return None;
    }
    Value::from_node(node, problems)
}

/// An unknown connection mode.
pub(super) fn unknown_mode(node: &Node, word: &str) -> Diagnostic {
    let label = suggest(word, &ConnectionMode::WORDS).map_or_else(
        || "unknown".to_owned(),
        |word| format!("did you mean `{word}`?"),
    );
    Diagnostic::error(
        Code::BadValue,
        node.span,
        format!("unknown connection mode `{word}`"),
    )
    .label(label)
    .help(format!("the modes are {}", list_of(&ConnectionMode::WORDS)))
}
