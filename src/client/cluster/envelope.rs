//! [`Envelope`]: a line of a watch, read in one pass: the object as what its type says.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, de};

use super::answer::StatusObject;
use crate::api::metadata::{Metadata, null_is_default};

/// What a line tells.
#[derive(Debug)]
pub(super) enum Envelope<T> {
    /// The object is new, or has changed.
    Present(T),
    /// It is gone, or no longer matches.
    Gone(T),
    /// Nothing but a version; whatever else there may be one day, too.
    Bookmark(Bookmark),
    /// The API server gives up.
    Error(StatusObject),
}

/// All that a bookmark has.
#[derive(Debug, Deserialize)]
pub(super) struct Bookmark {
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) metadata: Metadata,
}

/// The type of an event.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Type {
    Added,
    Modified,
    Deleted,
    Error,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Key {
    Type,
    Object,
    #[serde(other)]
    Other,
}

impl<T: DeserializeOwned> Envelope<T> {
    fn read<'de, D: Deserializer<'de>>(of: Type, object: D) -> Result<Self, D::Error> {
        Ok(match of {
            Type::Added | Type::Modified => Self::Present(T::deserialize(object)?),
            Type::Deleted => Self::Gone(T::deserialize(object)?),
            Type::Error => Self::Error(StatusObject::deserialize(object)?),
            Type::Other => Self::Bookmark(Bookmark::deserialize(object)?),
        })
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Envelope<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader(PhantomData))
    }
}

struct Reader<T>(PhantomData<fn() -> T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for Reader<T> {
    type Value = Envelope<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event of a watch")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Envelope<T>, A::Error> {
        let (mut of, mut read, mut early) = (None, None, None);
        while let Some(key) = members.next_key()? {
            match (key, of) {
                (Key::Type, _) => of = Some(members.next_value()?),
                // API servers write the type first.
                (Key::Object, Some(of)) => read = Some(members.next_value_seed(Seed(of, self.0))?),
                (Key::Object, None) => early = Some(members.next_value::<serde_json::Value>()?),
                (Key::Other, _) => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        let of = of.ok_or_else(|| A::Error::missing_field("type"))?;
        if let Some(object) = early {
            return Envelope::read(of, object).map_err(A::Error::custom);
        }
        read.ok_or_else(|| A::Error::missing_field("object"))
    }
}

/// Reads the object of an event of this type.
struct Seed<T>(Type, PhantomData<fn() -> T>);

impl<'de, T: DeserializeOwned> de::DeserializeSeed<'de> for Seed<T> {
    type Value = Envelope<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Envelope<T>, D::Error> {
        Envelope::read(self.0, deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::claim::SandboxClaim;

    fn read(line: &str) -> Result<Envelope<SandboxClaim>, serde_json::Error> {
        serde_json::from_str(line)
    }

    const CLAIM: &str =
        r#"{"metadata":{"name":"c","resourceVersion":"7"},"spec":{"warmPoolRef":{"name":"p"}}}"#;

    #[test]
    fn the_object_is_read_as_its_type_says_wherever_the_type_stands() {
        for (of, gone) in [("ADDED", false), ("MODIFIED", false), ("DELETED", true)] {
            for line in [
                format!(r#"{{"type":"{of}","object":{CLAIM}}}"#),
                format!(r#"{{"new":[1],"object":{CLAIM},"type":"{of}"}}"#),
            ] {
                let claim = match read(&line).unwrap() {
                    Envelope::Present(claim) if !gone => claim,
                    Envelope::Gone(claim) if gone => claim,
                    other => panic!("{line}: {other:?}"),
                };
                assert_eq!(claim.metadata.resource_version, "7", "{line}");
            }
        }
        let error = read(r#"{"type":"ERROR","object":{"code":410,"reason":"Expired"}}"#).unwrap();
        assert!(matches!(error, Envelope::Error(status) if status.code == 410));
    }

    #[test]
    fn a_bookmark_and_what_is_not_known_have_a_version_and_need_be_no_object_of_the_kind() {
        for of in ["BOOKMARK", "SOMETHING"] {
            let line =
                format!(r#"{{"type":"{of}","object":{{"metadata":{{"resourceVersion":"9"}}}}}}"#);
            let Envelope::Bookmark(bookmark) = read(&line).unwrap() else {
                panic!("{line}");
            };
            assert_eq!(bookmark.metadata.resource_version, "9");
        }
        for object in ["{}", r#"{"metadata":null}"#] {
            let line = format!(r#"{{"type":"BOOKMARK","object":{object}}}"#);
            let Envelope::Bookmark(bookmark) = read(&line).unwrap() else {
                panic!("{line}");
            };
            assert_eq!(bookmark.metadata, Metadata::default());
        }
    }

    #[test]
    fn what_is_no_event_is_an_error() {
        for line in [
            "{}",
            r#"{"type":"ADDED"}"#,
            r#"{"object":{}}"#,
            r#"{"type":"ADDED","object":7}"#,
            r#"{"type":7,"object":{}}"#,
            r#"["ADDED"]"#,
            r#"{"object":7,"type":"ADDED"}"#,
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
