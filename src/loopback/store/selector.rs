//! Label and field selectors, as in list and watch requests.

use super::super::json::Value;
use super::object::Object;

/// Which objects a list or watch is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    pub(crate) labels: LabelSelector,
    pub(crate) fields: FieldSelector,
}

impl Selector {
    pub(crate) fn matches(&self, object: &Object) -> bool {
        self.labels.matches(object) && self.fields.matches(object)
    }
}

/// A selector that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SelectorError {
    #[error("unable to parse requirement: {0:?}")]
    Malformed(String),
    #[error("field label not supported: {0}")]
    Field(String),
}

/// `a=b,c!=d,e in (f,g),h,!i`.
#[derive(Debug, Clone, Default)]
pub(crate) struct LabelSelector(Vec<Requirement>);

#[derive(Debug, Clone)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

impl LabelSelector {
    pub(crate) fn parse(text: &str) -> Result<Self, SelectorError> {
        split_outside_brackets(text)
            .into_iter()
            .map(requirement)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    fn matches(&self, object: &Object) -> bool {
        self.0.iter().all(|requirement| {
            let value = object.label(&requirement.key);
            match &requirement.test {
                Test::In(values) => value.is_some_and(|value| values.iter().any(|v| v == value)),
                Test::NotIn(values) => value.is_none_or(|value| values.iter().all(|v| v != value)),
                Test::Exists => value.is_some(),
                Test::Absent => value.is_none(),
            }
        })
    }
}

fn split_outside_brackets(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
        .into_iter()
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect()
}

fn requirement(text: &str) -> Result<Requirement, SelectorError> {
    let malformed = || SelectorError::Malformed(text.to_owned());
    let key = |key: &str| {
        let key = key.trim();
        let valid =
            !key.is_empty() && !key.contains(|c: char| c.is_whitespace() || "()=!".contains(c));
        if valid {
            Ok(key.to_owned())
        } else {
            Err(malformed())
        }
    };
    let set = |rest: &str| -> Result<Vec<String>, SelectorError> {
        let inner = rest
            .trim()
            .strip_prefix('(')
            .and_then(|rest| rest.strip_suffix(')'));
        Ok(inner
            .ok_or_else(malformed)?
            .split(',')
            .map(|value| value.trim().to_owned())
            .collect())
    };
    if let Some(name) = text.strip_prefix('!') {
        return Ok(Requirement {
            key: key(name)?,
            test: Test::Absent,
        });
    }
    if let Some((name, value)) = text.split_once("!=") {
        return Ok(Requirement {
            key: key(name)?,
            test: Test::NotIn(vec![value.trim().to_owned()]),
        });
    }
    if let Some((name, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Ok(Requirement {
            key: key(name)?,
            test: Test::In(vec![value.trim().to_owned()]),
        });
    }
    if let Some((name, rest)) = text.split_once(" notin ") {
        return Ok(Requirement {
            key: key(name)?,
            test: Test::NotIn(set(rest)?),
        });
    }
    if let Some((name, rest)) = text.split_once(" in ") {
        return Ok(Requirement {
            key: key(name)?,
            test: Test::In(set(rest)?),
        });
    }
    Ok(Requirement {
        key: key(text)?,
        test: Test::Exists,
    })
}

/// `metadata.name=x,status.podIP!=`.
#[derive(Debug, Clone, Default)]
pub(crate) struct FieldSelector(Vec<FieldTest>);

#[derive(Debug, Clone)]
struct FieldTest {
    path: Vec<String>,
    value: String,
    equal: Equality,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Equality {
    Equal,
    NotEqual,
}

/// The fields that can be selected on, by kind; the first two on every kind.
fn supported(kind: &str, field: &str) -> bool {
    let own: &[&str] = match kind {
        "Pod" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        "Event" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.fieldPath",
            "reason",
            "type",
            "reportingComponent",
            "source",
        ],
        _ => &[],
    };
    ["metadata.name", "metadata.namespace"].contains(&field) || own.contains(&field)
}

impl FieldSelector {
    pub(crate) fn parse(kind: &str, text: &str) -> Result<Self, SelectorError> {
        let tests = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| {
                let (field, value, equal) = if let Some((field, value)) = part.split_once("!=") {
                    (field, value, Equality::NotEqual)
                } else if let Some((field, value)) =
                    part.split_once("==").or_else(|| part.split_once('='))
                {
                    (field, value, Equality::Equal)
                } else {
                    return Err(SelectorError::Malformed(part.to_owned()));
                };
                if !supported(kind, field.trim()) {
                    return Err(SelectorError::Field(field.trim().to_owned()));
                }
                let path = field.trim().split('.').map(str::to_owned).collect();
                Ok(FieldTest {
                    path,
                    value: value.trim().to_owned(),
                    equal,
                })
            });
        tests.collect::<Result<_, _>>().map(Self)
    }

    fn matches(&self, object: &Object) -> bool {
        self.0.iter().all(|test| {
            let found = test
                .path
                .iter()
                .fold(&object.value, |value, key| &value[key.as_str()]);
            let found = match found {
                Value::String(text) => &**text,
                _ => "",
            };
            (found == test.value) == (test.equal == Equality::Equal)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::json::json;

    use super::super::kinds::kind;
    use super::*;

    fn object() -> Object {
        let value = json!({
            "metadata": { "name": "p", "namespace": "n", "labels": { "a": "1", "b": "" } },
            "status": { "podIP": "" },
        });
        Object::new(kind("Pod"), value, 1)
    }

    #[test]
    fn label_selectors_match_as_kubernetes_does() {
        for (text, matches) in [
            ("a=1", true),
            ("a==1,b", true),
            ("a!=1", false),
            ("c!=1", true),
            ("a in (1, 2),!c", true),
            ("a notin (1)", false),
            ("!a", false),
            ("", true),
        ] {
            assert_eq!(
                LabelSelector::parse(text).unwrap().matches(&object()),
                matches,
                "{text}"
            );
        }
        assert!(LabelSelector::parse("a b").is_err());
        assert!(LabelSelector::parse("a in 1").is_err());
    }

    #[test]
    fn field_selectors_match_and_unknown_fields_are_refused() {
        let matches = |text| FieldSelector::parse("Pod", text).map(|s| s.matches(&object()));
        assert_eq!(matches("metadata.name=p"), Ok(true));
        assert_eq!(matches("status.podIP!="), Ok(false));
        assert_eq!(
            matches("spec.x=1").unwrap_err(),
            SelectorError::Field("spec.x".to_owned())
        );
    }
}
