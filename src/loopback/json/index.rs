//! `value["field"]` and `value[0]`, to read and to write.

use std::ops;

use super::{Map, Value};

static NULL: Value = Value::Null;

/// What a value can be indexed by: the key of a member or the place of an item.
pub(crate) trait Index {
    /// What is there.
    fn find<'a>(&self, value: &'a Value) -> Option<&'a Value>;

    /// What is there, to be changed. A key that is missing is added with null, and null becomes an
    /// object.
    ///
    /// # Panics
    /// If the value cannot have such a member, or has no such item.
    fn find_or_add<'a>(&self, value: &'a mut Value) -> &'a mut Value;
}

impl Index for str {
    fn find<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        value.as_object()?.get(self)
    }

    fn find_or_add<'a>(&self, value: &'a mut Value) -> &'a mut Value {
        if value.is_null() {
            *value = Value::from(Map::new());
        }
        let found = kind(value);
        let Some(map) = value.as_object_mut() else {
            panic!("cannot access key {self:?} in JSON {found}");
        };
        map.get_or_insert_null(self)
    }
}

impl Index for usize {
    fn find<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        value.as_array()?.get(*self)
    }

    fn find_or_add<'a>(&self, value: &'a mut Value) -> &'a mut Value {
        let found = kind(value);
        let Some(all) = value.as_array_mut() else {
            panic!("cannot access index {self} of JSON {found}");
        };
        let len = all.len();
        let item = all.get_mut(*self);
        item.unwrap_or_else(|| panic!("cannot access index {self} of JSON array of length {len}"))
    }
}

impl Index for String {
    fn find<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        Index::find(self.as_str(), value)
    }

    fn find_or_add<'a>(&self, value: &'a mut Value) -> &'a mut Value {
        Index::find_or_add(self.as_str(), value)
    }
}

impl<T: Index + ?Sized> Index for &T {
    fn find<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        (**self).find(value)
    }

    fn find_or_add<'a>(&self, value: &'a mut Value) -> &'a mut Value {
        (**self).find_or_add(value)
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

impl<I: Index> ops::Index<I> for Value {
    type Output = Self;

    fn index(&self, index: I) -> &Self {
        index.find(self).unwrap_or(&NULL)
    }
}

impl<I: Index> ops::IndexMut<I> for Value {
    fn index_mut(&mut self, index: I) -> &mut Self {
        index.find_or_add(self)
    }
}

/// # Panics
/// If there is no such member.
impl ops::Index<&str> for Map {
    type Output = Value;

    fn index(&self, key: &str) -> &Value {
        self.get(key).expect("the object has the key")
    }
}
