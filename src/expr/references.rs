//! [`Reference`]: a name that an expression uses, with its place, for the checker.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use ::cel::common::ast::{EntryExpr, Expr, IdedExpr, SourceInfo};

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
pub(super) fn of(expression: &IdedExpr, source: &str, places: &SourceInfo) -> Vec<Found> {
    let mut walk = Walk {
        source,
        places,
        bound: Vec::new(),
        found: Vec::new(),
    };
    walk.visit(expression);
    let mut seen = HashSet::new();
    walk.found
        .retain(|found| seen.insert((found.path.clone(), found.part.start)));
    walk.found
}

struct Walk<'e> {
    source: &'e str,
    places: &'e SourceInfo,
    bound: Vec<&'e str>,
    found: Vec<Found>,
}

impl<'e> Walk<'e> {
    fn visit(&mut self, node: &'e IdedExpr) {
        if let Some((root, path)) = path_of(node) {
            self.reference(root, path);
            return;
        }
        match &node.expr {
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
            Expr::Select(select) => self.visit(&select.operand),
            Expr::Call(call) => {
                if let Some(target) = &call.target {
                    self.visit(target);
                }
                for argument in &call.args {
                    self.visit(argument);
                }
            }
            Expr::List(list) => {
                for element in &list.elements {
                    self.visit(element);
                }
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    self.entry(&entry.expr);
                }
            }
            Expr::Struct(structure) => {
                for entry in &structure.entries {
                    self.entry(&entry.expr);
                }
            }
            Expr::Comprehension(comprehension) => {
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
        }
    }

    fn entry(&mut self, entry: &'e EntryExpr) {
        match entry {
            EntryExpr::StructField(field) => self.visit(&field.value),
            EntryExpr::MapEntry(entry) => {
                self.visit(&entry.key);
                self.visit(&entry.value);
            }
        }
    }

    fn reference(&mut self, root: &IdedExpr, path: Vec<&'e str>) {
        let Some(name) = path.first() else { return };
        if self.bound.contains(name) || name.starts_with('@') {
            return;
        }
        let start = self
            .places
            .offset_for(root.id)
            .and_then(|(start, _)| byte_offset(self.source, start as usize))
            .filter(|start| self.source[*start..].starts_with(name))
            .or_else(|| self.source.find(name))
            .unwrap_or_default();
        let end = end_of_path(self.source, start, &path);
        self.found.push(Found {
            path: path.into_iter().map(Into::into).collect(),
            part: start..end,
        });
    }
}

/// `a.b["c"]` as its root and names; `None` when the node is no such chain.
fn path_of(node: &IdedExpr) -> Option<(&IdedExpr, Vec<&str>)> {
    let mut names = Vec::new();
    let mut node = node;
    loop {
        match &node.expr {
            Expr::Ident(name) => {
                names.push(name.as_str());
                names.reverse();
                return Some((node, names));
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

fn byte_offset(text: &str, characters: usize) -> Option<usize> {
    text.char_indices()
        .map(|(at, _)| at)
        .chain(std::iter::once(text.len()))
        .nth(characters)
}

/// Where `a.b.c`, which begins at `start`, ends; at the last name that is written with a dot.
fn end_of_path(source: &str, start: usize, path: &[&str]) -> usize {
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
            None => break,
        }
    }
    end
}
