//! [`Bindings`]: what names mean while an iteration runs.
//!
//! Scopes are chained: run, cell, VU, iteration. A child costs one empty map; setting a value in
//! it never touches its parents, so that thousands of iterations share one parent.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::value::Value;

/// The names that an expression can begin with. A step's `capture` and `expect: { that: … }` also
/// see the step's own outputs by their bare names.
pub const ROOTS: &[&str] = &[
    "vars",
    "env",
    "matrix",
    "data",
    "run",
    "scenario",
    "vu",
    "iteration",
    "sandbox",
    "steps",
    "each",
];

/// The names under the roots whose names are fixed. All numbers count from 1.
pub const CONTEXTS: &[(&str, &[&str])] = &[
    ("run", &["id", "seed"]),
    ("scenario", &["name"]),
    ("vu", &["number"]),
    ("iteration", &["number", "failed"]),
    ("sandbox", &["name", "claim", "namespace"]),
    ("each", &["item", "index"]),
];

/// Values by root and name, in a chain of scopes.
#[derive(Debug, Clone, Default)]
pub struct Bindings {
    parent: Option<Arc<Self>>,
    /// `vars.x` is `named["vars"]["x"]`.
    named: BTreeMap<&'static str, BTreeMap<Arc<str>, Value>>,
    /// Bare names: the outputs of the step.
    bare: BTreeMap<&'static str, Value>,
}

impl Bindings {
    /// An empty outermost scope.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty scope inside this one.
    pub fn child(self: &Arc<Self>) -> Self {
        Self {
            parent: Some(Arc::clone(self)),
            ..Self::default()
        }
    }

    /// Sets `root.name` in this scope. `root` is one of [`ROOTS`].
    pub fn set(&mut self, root: &'static str, name: impl Into<Arc<str>>, value: impl Into<Value>) {
        self.named
            .entry(root)
            .or_default()
            .insert(name.into(), value.into());
    }

    /// Sets a bare name in this scope: an output of the step that is being judged.
    pub fn set_bare(&mut self, name: &'static str, value: impl Into<Value>) {
        self.bare.insert(name, value.into());
    }

    /// Forgets the bare names of this scope.
    pub fn clear_bare(&mut self) {
        self.bare.clear();
    }

    /// Takes over what is set in a scope itself, not in those around it. `each` stays: it is the
    /// business of whoever runs the turns.
    pub fn absorb(&mut self, scope: Self) {
        for (root, values) in scope.named {
            if root != "each" {
                self.named.entry(root).or_default().extend(values);
            }
        }
    }

    /// What this scope itself sets in a root.
    pub fn own(&self, root: &str) -> Vec<(Arc<str>, Value)> {
        let values = self.named.get(root).into_iter().flatten();
        values
            .map(|(name, value)| (Arc::clone(name), value.clone()))
            .collect()
    }

    fn scopes(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |scope| scope.parent.as_deref())
    }

    /// The value at a path such as `["steps", "box", "stdout"]`, innermost scope first. A path of
    /// one name finds a bare name only; whole roots come from [`Bindings::root`].
    pub fn get<S: AsRef<str>>(&self, path: &[S]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        let first = first.as_ref();
        if let Some(value) = self.scopes().find_map(|scope| scope.bare.get(first)) {
            return descend(value, rest);
        }
        let (second, rest) = rest.split_first()?;
        let value = self
            .scopes()
            .find_map(|scope| scope.named.get(first)?.get(second.as_ref()))?;
        descend(value, rest)
    }

    /// All of a root as one map, inner scopes over outer ones; `None` when nothing is set in it
    /// and it is not one of [`ROOTS`].
    pub fn root(&self, root: &str) -> Option<Value> {
        let mut all = BTreeMap::new();
        for scope in self.scopes() {
            for (name, value) in scope.named.get(root).into_iter().flatten() {
                all.entry(name.to_string()).or_insert_with(|| value.clone());
            }
        }
        (ROOTS.contains(&root) || !all.is_empty()).then_some(Value::Map(all))
    }
}

fn descend<'v, S: AsRef<str>>(value: &'v Value, path: &[S]) -> Option<&'v Value> {
    path.iter()
        .try_fold(value, |value, name| value.get(name.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_scopes_hide_outer_ones_and_leave_them_alone() {
        let mut outer = Bindings::new();
        outer.set("vars", "a", 1);
        outer.set("vars", "b", 2);
        let outer = Arc::new(outer);
        let mut inner = outer.child();
        inner.set("vars", "a", 3);
        assert_eq!(inner.get(&["vars", "a"]), Some(&Value::Int(3)));
        assert_eq!(inner.get(&["vars", "b"]), Some(&Value::Int(2)));
        assert_eq!(outer.get(&["vars", "a"]), Some(&Value::Int(1)));
        assert_eq!(inner.get(&["vars", "c"]), None);
        let Some(Value::Map(all)) = inner.root("vars") else {
            panic!("a root is a map")
        };
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn what_a_scope_sets_itself_is_taken_over_and_its_turns_are_not() {
        let mut outer = Bindings::new();
        outer.set("vars", "a", 1);
        let outer = Arc::new(outer);
        let (mut own, mut other) = (outer.child(), outer.child());
        other.set("vars", "b", 2);
        other.set("each", "index", 3);
        own.absorb(other);
        assert_eq!(own.get(&["vars", "a"]), Some(&Value::Int(1)));
        assert_eq!(own.get(&["vars", "b"]), Some(&Value::Int(2)));
        assert_eq!(own.get(&["each", "index"]), None);
    }

    #[test]
    fn a_path_goes_into_maps() {
        let mut bindings = Bindings::new();
        let outputs = BTreeMap::from([("stdout".to_owned(), Value::text("x"))]);
        bindings.set("steps", "box", Value::Map(outputs));
        bindings.set_bare("exitCode", 7);
        assert_eq!(
            bindings.get(&["steps", "box", "stdout"]),
            Some(&Value::text("x"))
        );
        assert_eq!(bindings.get(&["exitCode"]), Some(&Value::Int(7)));
        assert_eq!(bindings.get(&["steps"]), None);
        bindings.clear_bare();
        assert_eq!(bindings.get(&["exitCode"]), None);
    }
}
