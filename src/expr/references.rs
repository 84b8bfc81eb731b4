//! [`Reference`]: a name that an expression uses, with its place, for the checker.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use ::cel::common::ast::{EntryExpr, Expr, IdedExpr};

use crate::source::Span;

/// A name that an expression uses: `vars.x` is `["vars", "x"]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The names, from the root on, as far as they are written out.
    pub path: Vec<Arc<str>>,
    /// Where it is written.
    pub span: Span,
}

impl Reference {
    /// The first name.
    pub fn root(&self) -> &str {
        self.path.first().map_or("", |name| name)
    }

    /// The name after the root, if one is written.
    pub fn name(&self) -> Option<&str> {
        self.path.get(1).map(|name| &**name)
    }
}

/// A reference whose place is a range of the expression's own text.
pub(super) struct Found {
    pub(super) path: Vec<Arc<str>>,
    pub(super) part: Range<usize>,
}

/// Every name that is not bound by the expression itself (as the `x` of `list.all(x, …)` is).
pub(super) fn of(expression: &IdedExpr, source: &str) -> Vec<Found> {
    let mut walk = Walk {
        source,
        bound: Vec::new(),
        found: Vec::new(),
    };
    walk.visit(expression);
    let mut seen = HashSet::new();
    walk.found
        .retain(|found| seen.insert((found.path.clone(), found.part.start)));
    walk.found
}

/// How deep the syntax tree is.
pub(super) fn depth(expression: &IdedExpr) -> usize {
    let mut deepest = 0;
    let mut open = vec![(expression, 1)];
    while let Some((node, level)) = open.pop() {
        deepest = deepest.max(level);
        open.extend(children(node).into_iter().map(|child| (child, level + 1)));
    }
    deepest
}

fn children(node: &IdedExpr) -> Vec<&IdedExpr> {
    match &node.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Select(select) => vec![&select.operand],
        Expr::Call(call) => call
            .target
            .as_deref()
            .into_iter()
            .chain(&call.args)
            .collect(),
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map
            .entries
            .iter()
            .flat_map(|entry| of_entry(&entry.expr))
            .collect(),
        Expr::Struct(structure) => structure
            .entries
            .iter()
            .flat_map(|entry| of_entry(&entry.expr))
            .collect(),
        Expr::Comprehension(comprehension) => vec![
            &comprehension.iter_range,
            &comprehension.accu_init,
            &comprehension.loop_cond,
            &comprehension.loop_step,
            &comprehension.result,
        ],
    }
}

fn of_entry(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    }
}

struct Walk<'e> {
    source: &'e str,
    bound: Vec<&'e str>,
    found: Vec<Found>,
}

impl<'e> Walk<'e> {
    fn visit(&mut self, node: &'e IdedExpr) {
        if let Some(path) = path_of(node) {
            self.reference(&path);
            return;
        }
        let Expr::Comprehension(comprehension) = &node.expr else {
            for child in children(node) {
                self.visit(child);
            }
            return;
        };
        self.visit(&comprehension.iter_range);
        self.visit(&comprehension.accu_init);
        let before = self.bound.len();
        self.bound.push(&comprehension.iter_var);
        self.bound.push(&comprehension.accu_var);
        self.bound.extend(comprehension.iter_var2.as_deref());
        self.visit(&comprehension.loop_cond);
        self.visit(&comprehension.loop_step);
        self.visit(&comprehension.result);
        self.bound.truncate(before);
    }

    fn reference(&mut self, path: &[&'e str]) {
        let Some(name) = path.first() else { return };
        if self.bound.contains(name) || name.starts_with('@') {
            return;
        }
        self.found.push(Found {
            path: path.iter().map(|name| Arc::from(*name)).collect(),
            part: place_of(self.source, path),
        });
    }
}

/// `a.b["c"]` as its names, root first; `None` when the node is no such chain.
fn path_of(node: &IdedExpr) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    let mut node = node;
    loop {
        match &node.expr {
            Expr::Ident(name) => {
                names.push(name.as_str());
                names.reverse();
                return Some(names);
            }
            Expr::Select(select) => {
                names.push(&select.field);
                node = &select.operand;
            }
            Expr::Call(call) if call.func_name == "_[_]" && call.args.len() == 2 => {
                names.push(text_literal(&call.args[1])?);
                node = &call.args[0];
            }
            _ => return None,
        }
    }
}

fn text_literal(node: &IdedExpr) -> Option<&str> {
    match &node.expr {
        Expr::Literal(::cel::common::ast::LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

/// Where a path is written: the occurrence of its root, outside quotes and not after a dot, that
/// goes on with most of its names.
fn place_of(source: &str, path: &[&str]) -> Range<usize> {
    let root = path.first().copied().unwrap_or_default();
    let starts = source
        .match_indices(root)
        .map(|(at, _)| at)
        .filter(|at| is_name(source, *at, root));
    starts
        .map(|start| (names_from(source, start, path), start))
        .max_by_key(|((count, _), start)| (*count, std::cmp::Reverse(*start)))
        .map_or(0..source.len(), |((_, end), start)| start..end)
}

/// Whether a whole name begins here, outside quotes and not after a dot.
fn is_name(source: &str, at: usize, name: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    let before = &source[..at];
    let after = &source[at + name.len()..];
    let alone = !before.ends_with(part_of_name) && !after.starts_with(part_of_name);
    let mut quote = None;
    for c in before.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if matches!(c, '\'' | '"') => quote = Some(c),
            Some(_) | None => {}
        }
    }
    alone && quote.is_none() && !before.trim_end().ends_with('.')
}

/// How many names of the path are written with dots from `start` on, and where the last ends.
fn names_from(source: &str, start: usize, path: &[&str]) -> (usize, usize) {
    let mut end = start;
    for (index, name) in path.iter().enumerate() {
        let rest = &source[end..];
        let after_dot = if index == 0 {
            Some(rest)
        } else {
            rest.trim_start().strip_prefix('.').map(str::trim_start)
        };
        match after_dot.and_then(|rest| rest.strip_prefix(name)) {
            Some(after) => end = source.len() - after.len(),
            None => return (index, end),
        }
    }
    (path.len(), end)
}
