//! The axes of a matrix. A cell is one combination of their values.

use std::sync::Arc;

use crate::client::ConnectionMode;
use crate::expr::Value;
use crate::source::yaml::{Key, Node, NodeKind};
use crate::source::{
    Code, Diagnostic, FromNode, Problems, Spanned, did_you_mean, list_of, wrong_type,
};

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

/// Values of some or all axes.
pub type Pick = Vec<(Key, Value)>;

/// What a scenario's `matrix` says.
#[derive(Debug, Clone, Default)]
pub struct Matrix {
    /// The axes; every combination of their values is a cell.
    pub axes: Vec<Axis>,
    /// Combinations that are left out: those with all of these values.
    pub exclude: Vec<Pick>,
    /// Combinations that are added; each has a value for every axis.
    pub include: Vec<Pick>,
}

impl Matrix {
    /// Every combination, the last axis fastest, without the excluded ones, then the included ones.
    pub fn combinations(&self) -> Vec<Vec<(Arc<str>, Value)>> {
        let mut all: Vec<Vec<(Arc<str>, Value)>> = vec![Vec::new()];
        for axis in &self.axes {
            all = all
                .into_iter()
                .flat_map(|combination| {
                    axis.values.iter().map(move |value| {
                        let mut longer = combination.clone();
                        longer.push((Arc::clone(&axis.name.value), value.value.clone()));
                        longer
                    })
                })
                .collect();
        }
        all.retain(|combination| !self.exclude.iter().any(|pick| has_all(combination, pick)));
        for pick in &self.include {
            let added = self.axes.iter().filter_map(|axis| {
                let name = &axis.name.value;
                let (_, value) = pick.iter().find(|(key, _)| key.value == *name)?;
                Some((Arc::clone(name), value.clone()))
            });
            all.push(added.collect());
        }
        all
    }
}

fn has_all(combination: &[(Arc<str>, Value)], pick: &Pick) -> bool {
    pick.iter().all(|(name, value)| {
        let mut pairs = combination.iter();
        pairs.any(|(axis, found)| *axis == name.value && found == value)
    })
}

/// Reads `matrix`.
pub(super) fn decode(node: &Node, problems: &mut Problems) -> Matrix {
    let axes = axes(node, problems);
    let mut matrix = Matrix {
        exclude: picks(node, "exclude", &axes, problems),
        include: picks(node, "include", &axes, problems),
        axes,
    };
    let full = Matrix {
        axes: matrix.axes.clone(),
        ..Matrix::default()
    };
    // Too many combinations were reported; they are not made.
    if problems.has_errors() || matrix.axes.is_empty() {
        return matrix;
    }
    let full = full.combinations();
    let entries = node
        .get("exclude")
        .and_then(Node::as_sequence)
        .unwrap_or_default();
    for (pick, entry) in matrix.exclude.iter().zip(entries) {
        if !full.iter().any(|combination| has_all(combination, pick)) {
            problems.push(
                Diagnostic::error(Code::UnknownReference, entry.span, "this excludes nothing")
                    .label("no combination has all these values"),
            );
        }
    }
    let include = std::mem::take(&mut matrix.include);
    let entries = node
        .get("include")
        .and_then(Node::as_sequence)
        .unwrap_or_default();
    for (pick, entry) in include.into_iter().zip(entries) {
        let left = matrix.combinations();
        if left.iter().any(|combination| has_all(combination, &pick)) {
            problems.push(
                Diagnostic::error(
                    Code::DuplicateName,
                    entry.span,
                    "this combination is already in the matrix",
                )
                .label("included twice"),
            );
        }
        matrix.include.push(pick);
    }
    if matrix.combinations().is_empty() {
        problems.push(
            Diagnostic::error(
                Code::BadValue,
                node.span,
                "the matrix excludes every combination",
            )
            .label("no cell is left"),
        );
    }
    matrix
}

/// The entries of `include` or `exclude`; an entry of `include` has a value for every axis.
fn picks(matrix: &Node, list: &str, axes: &[Axis], problems: &mut Problems) -> Vec<Pick> {
    let Some(node) = matrix.get(list) else {
        return Vec::new();
    };
    let Some(items) = node.as_sequence() else {
        wrong_type(node, "a list of combinations", problems);
        return Vec::new();
    };
    let names: Vec<&str> = axes.iter().map(|axis| &*axis.name.value).collect();
    let mut picks = Vec::new();
    for item in items {
        let Some(entries) = item.as_mapping().filter(|entries| !entries.is_empty()) else {
            wrong_type(item, "a mapping of axes to values", problems);
            continue;
        };
        for (name, _) in entries {
            if !names.contains(&&*name.value) {
                let label = did_you_mean(&name.value, &names);
                problems.push(
                    Diagnostic::error(
                        Code::UnknownReference,
                        name.span,
                        format!("unknown axis `{}` in `{list}`", name.value),
                    )
                    .label(label)
                    .help(format!("the axes are {}", list_of(&names))),
                );
            }
        }
        let missing = names.iter().find(|name| item.get(name).is_none());
        if let Some(missing) = missing.filter(|_| list == "include") {
            problems.push(
                Diagnostic::error(
                    Code::MissingField,
                    item.span,
                    format!("the included combination has no value for `{missing}`"),
                )
                .label(format!("`{missing}` is missing")),
            );
        }
        let read = entries
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), axis_value(name, value, problems)?)));
        picks.push(read.collect());
    }
    picks
}

fn axes(node: &Node, problems: &mut Problems) -> Vec<Axis> {
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
        .filter(|(name, _)| !matches!(&*name.value, "include" | "exclude"))
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
    let label = did_you_mean(word, &ConnectionMode::WORDS);
    Diagnostic::error(
        Code::BadValue,
        node.span,
        format!("unknown connection mode `{word}`"),
    )
    .label(label)
    .help(format!("the modes are {}", list_of(&ConnectionMode::WORDS)))
}
