//! [`Map`]: the members of a JSON object, in order of insertion.

use std::collections::HashMap;
use std::slice;

use super::Value;
use super::word::Word;

/// From how many members on a search over all of them is worth an index.
const FEW: usize = 32;

/// The members of an object. Objects have few, so that a look at each finds one soonest.
#[derive(Clone, Default)]
pub(crate) struct Map(Vec<(Word, Value)>);

impl Map {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn position(&self, key: &str) -> Option<usize> {
        self.0.iter().position(|(known, _)| known == key)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        let found = self.0.iter().find(|(known, _)| known == key);
        found.map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        let found = self.0.iter_mut().find(|(known, _)| known == key);
        found.map(|(_, value)| value)
    }

    pub(crate) fn contains_key(&self, key: &str) -> bool {
        self.position(key).is_some()
    }

    /// The value of a key, which is null if it was not there.
    pub(crate) fn get_or_insert_null(&mut self, key: &str) -> &mut Value {
        let at = self.position(key).unwrap_or_else(|| {
            self.0.push((Word::from(key), Value::Null));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }

    /// Sets a value; a key that is there keeps its place.
    pub(crate) fn insert(&mut self, key: impl Into<Word>, value: Value) {
        let key = key.into();
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key, value)),
        }
    }

    /// Takes a member out; the last one gets its place.
    pub(crate) fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.position(key)?;
        Some(self.0.swap_remove(at).1)
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&Word, &Value) -> bool) {
        self.0.retain(|(key, value)| keep(key, value));
    }

    pub(crate) fn iter(&self) -> slice::Iter<'_, (Word, Value)> {
        self.0.iter()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Word> {
        self.0.iter().map(|(key, _)| key)
    }
}

/// Sets many values, in time that does not grow with their square.
impl Extend<(Word, Value)> for Map {
    fn extend<I: IntoIterator<Item = (Word, Value)>>(&mut self, members: I) {
        let mut members = members.into_iter();
        for (key, value) in members.by_ref().take(FEW.saturating_sub(self.0.len())) {
            self.insert(key, value);
        }
        let Some(first) = members.next() else { return };
        let known = self.0.iter().enumerate();
        let mut places: HashMap<Word, usize> =
            known.map(|(at, (key, _))| (key.clone(), at)).collect();
        for (key, value) in std::iter::once(first).chain(members) {
            let next = self.0.len();
            let at = *places.entry(key.clone()).or_insert(next);
            if at == next {
                self.0.push((key, value));
            } else {
                self.0[at].1 = value;
            }
        }
    }
}

impl FromIterator<(Word, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (Word, Value)>>(members: I) -> Self {
        let members = members.into_iter();
        let mut map = Self(Vec::with_capacity(members.size_hint().0));
        map.extend(members);
        map
    }
}

impl IntoIterator for Map {
    type Item = (Word, Value);
    type IntoIter = std::vec::IntoIter<(Word, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Map {
    type Item = &'a (Word, Value);
    type IntoIter = slice::Iter<'a, (Word, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// The same members, in whatever order.
impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        if self.0.len() != other.0.len() {
            return false;
        }
        let start = self
            .0
            .iter()
            .zip(&other.0)
            .take_while(|((a, _), (b, _))| a == b);
        let same_place = start.clone().count();
        if !start.into_iter().all(|((_, a), (_, b))| a == b) {
            return false;
        }
        let (left, right) = (&self.0[same_place..], &other.0[same_place..]);
        if left.len() <= FEW {
            let among = |key: &Word| right.iter().find(|(known, _)| known == key);
            return left
                .iter()
                .all(|(key, value)| among(key).is_some_and(|(_, found)| found == value));
        }
        let right: HashMap<&str, &Value> = right
            .iter()
            .map(|(key, value)| (key.as_str(), value))
            .collect();
        left.iter()
            .all(|(key, value)| right.get(key.as_str()) == Some(&value))
    }
}

impl Eq for Map {}
