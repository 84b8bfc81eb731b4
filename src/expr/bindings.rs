//! [`Bindings`]: the contexts that an expression sees.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::value::Value;

/// The names that an expression may start with.
pub const ROOTS: [&str; 8] = [
    "vars",
    "env",
    "matrix",
    "run",
    "scenario",
    "vu",
    "iteration",
    "steps",
];

/// Named values by context: `vars.greeting`, `matrix.mode`, `steps.box.sandbox`.
///
/// A clone shares what is not changed afterwards, so that one set per run can be the start of every
/// iteration's.
#[derive(Debug, Clone, Default)]
pub struct Bindings {
    roots: BTreeMap<&'static str, Arc<BTreeMap<String, Value>>>,
    locals: Option<Arc<BTreeMap<String, Value>>>,
}

impl Bindings {
    /// Nothing is bound.
    pub fn new() -> Self {
        Self::default()
    }

    /// Binds `root.key`.
    pub fn set(&mut self, root: &'static str, key: impl Into<String>, value: Value) {
        Arc::make_mut(self.roots.entry(root).or_default()).insert(key.into(), value);
    }

    /// Replaces everything under a root.
    pub fn set_root(&mut self, root: &'static str, values: BTreeMap<String, Value>) {
        self.roots.insert(root, Arc::new(values));
    }

    /// The same with bare names on top: the outputs of a step, for `capture` and `that`.
    #[must_use]
    pub fn with_locals(&self, locals: BTreeMap<String, Value>) -> Self {
        Self {
            roots: self.roots.clone(),
            locals: Some(Arc::new(locals)),
        }
    }

    /// The value at `path`, if it is bound.
    pub fn get(&self, path: &[String]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        let local = self.locals.as_ref().and_then(|locals| locals.get(first));
        let (mut value, rest) = match local {
            Some(value) => (value, rest),
            None => {
                let (key, rest) = rest.split_first()?;
                (self.roots.get(first.as_str())?.get(key)?, rest)
            }
        };
        for key in rest {
            let Value::Map(entries) = value else {
                return None;
            };
            value = entries.get(key)?;
        }
        Some(value)
    }

    /// Everything under a root.
    pub(super) fn root(&self, root: &str) -> Option<&Arc<BTreeMap<String, Value>>> {
        self.roots.get(root)
    }

    /// The bare names.
    pub(super) fn local(&self, name: &str) -> Option<&Value> {
        self.locals.as_ref()?.get(name)
    }
}
