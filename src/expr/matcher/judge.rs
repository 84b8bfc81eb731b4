//! [`Matcher`]: what `expect` says about one output.
//!
//! A plain value means "equals"; otherwise one or more of `equals contains matches lt lte gt gte
//! in not exists`, all of which must hold. The operators are checked against the declared kind of
//! the output when the file is read.

use std::cmp::Ordering;
use std::fmt;

use regex::bytes::Regex;

use super::pattern::compile;
use crate::expr::bindings::Bindings;
use crate::expr::compare::{contains, equal, order};
use crate::expr::kind::ValueKind;
use crate::expr::operand::Operand;
use crate::expr::references::Reference;
use crate::expr::template::Template;
use crate::expr::value::Value;
use crate::source::Span;

/// A check of one value.
#[derive(Debug, Clone)]
pub struct Matcher {
    pub(super) span: Span,
    pub(super) kind: ValueKind,
    pub(super) test: Test,
}

#[derive(Debug, Clone)]
pub(super) enum Test {
    Equals(Operand),
    /// Every one of them.
    Contains(Vec<Operand>),
    Matches(Pattern),
    Order(Relation, Operand),
    In(Vec<Operand>),
    Not(Box<Matcher>),
    Exists(Presence),
    All(Vec<Matcher>),
}

#[derive(Debug, Clone)]
pub(super) enum Pattern {
    Compiled(Regex),
    Template(Template),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Present,
    Absent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Relation {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Less => "less than",
            Self::AtMost => "at most",
            Self::Greater => "more than",
            Self::AtLeast => "at least",
        }
    }
}

/// A check that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What was expected, for people: `less than 5s`.
    pub expected: String,
    /// What was found: `"41\n"`.
    pub actual: String,
    /// Where the expectation is written, or what has no value in it.
    pub span: Span,
    /// Whether there was something to compare with.
    pub compared: Compared,
}

/// Whether a check had something to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// It had.
    Yes,
    /// What is expected has no value itself: the check says nothing, and `not` does not turn it.
    No,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, actual {}", self.expected, self.actual)
    }
}

impl Matcher {
    /// A check that the value equals this one, for a step's default (`exec` expects exit code 0).
    pub fn equals(value: Value, span: Span) -> Self {
        Self {
            span,
            kind: ValueKind::Any,
            test: Test::Equals(Operand::Fixed(value)),
        }
    }

    /// Where it is written.
    pub fn span(&self) -> Span {
        self.span
    }

    /// The names that its templates use.
    pub fn references(&self) -> Vec<&Reference> {
        match &self.test {
            Test::Equals(operand) | Test::Order(_, operand) => operand.references(),
            Test::Contains(operands) | Test::In(operands) => {
                operands.iter().flat_map(Operand::references).collect()
            }
            Test::Matches(Pattern::Template(template)) => template.references().collect(),
            Test::Matches(Pattern::Compiled(_)) | Test::Exists(_) => Vec::new(),
            Test::Not(inner) => inner.references(),
            Test::All(all) => all.iter().flat_map(Self::references).collect(),
        }
    }

    /// Judges a value. [`Value::Null`] is an output that is not there.
    ///
    /// # Errors
    /// [`Mismatch`]: it does not hold, or what it compares with has no value.
    pub fn check(&self, actual: &Value, bindings: &Bindings) -> Result<(), Mismatch> {
        match &self.test {
            Test::Equals(operand) => {
                let wanted = self.value(operand, self.kind, bindings)?;
                if equal(actual, &wanted) {
                    return Ok(());
                }
                Err(self.mismatch(wanted.to_string(), actual))
            }
            Test::Contains(operands) => {
                let kind = self.kind.item().unwrap_or(ValueKind::Any);
                for operand in operands {
                    let wanted = self.value(operand, kind, bindings)?;
                    if !contains(actual, &wanted) {
                        let expected = format!("something that contains {wanted}");
                        return Err(self.mismatch(expected, actual));
                    }
                }
                Ok(())
            }
            Test::Matches(Pattern::Compiled(regex)) => self.matches(regex, actual),
            Test::Matches(Pattern::Template(template)) => {
                let pattern = template
                    .render(bindings)
                    .map_err(|error| Self::no_value(&error.to_string(), error.span()))?;
                let regex =
                    compile(&pattern).map_err(|error| Self::no_value(&error.message, self.span))?;
                self.matches(&regex, actual)
            }
            Test::Order(relation, operand) => {
                let wanted = self.value(operand, self.kind, bindings)?;
                if order(actual, &wanted).is_some_and(|order| relation.holds(order)) {
                    return Ok(());
                }
                Err(self.mismatch(format!("{} {wanted}", relation.words()), actual))
            }
            Test::In(operands) => {
                let wanted: Result<Vec<Value>, Mismatch> = operands
                    .iter()
                    .map(|operand| self.value(operand, self.kind, bindings))
                    .collect();
                let wanted = wanted?;
                if wanted.iter().any(|value| equal(actual, value)) {
                    return Ok(());
                }
                Err(self.mismatch(format!("one of {}", Value::List(wanted)), actual))
            }
            Test::Not(inner) => match inner.check(actual, bindings) {
                Err(unknown) if unknown.compared == Compared::No => Err(unknown),
                Err(_) => Ok(()),
                Ok(()) => Err(self.mismatch(format!("not {}", inner.describe()), actual)),
            },
            Test::Exists(Presence::Present) if actual.is_null() => {
                Err(self.mismatch("a value".to_owned(), actual))
            }
            Test::Exists(Presence::Absent) if !actual.is_null() => {
                Err(self.mismatch("no value".to_owned(), actual))
            }
            Test::Exists(_) => Ok(()),
            Test::All(all) => all.iter().try_for_each(|one| one.check(actual, bindings)),
        }
    }

    fn value(
        &self,
        operand: &Operand,
        kind: ValueKind,
        bindings: &Bindings,
    ) -> Result<Value, Mismatch> {
        let value = operand
            .evaluate(bindings)
            .map_err(|error| Self::no_value(&error.to_string(), error.span()))?;
        if operand.fixed().is_some() {
            return Ok(value);
        }
        kind.coerce(value)
            .map_err(|reason| Self::no_value(&reason, self.span))
    }

    fn no_value(reason: &str, span: Span) -> Mismatch {
        Mismatch {
            expected: "a value to compare with".to_owned(),
            actual: format!("none: {reason}"),
            span,
            compared: Compared::No,
        }
    }

    fn matches(&self, regex: &Regex, actual: &Value) -> Result<(), Mismatch> {
        if actual.as_bytes().is_some_and(|text| regex.is_match(text)) {
            return Ok(());
        }
        Err(self.mismatch(format!("a match of /{regex}/"), actual))
    }

    fn mismatch(&self, expected: String, actual: &Value) -> Mismatch {
        Mismatch {
            expected,
            actual: actual.to_string(),
            span: self.span,
            compared: Compared::Yes,
        }
    }

    /// What it says, for "not …".
    fn describe(&self) -> String {
        match &self.test {
            Test::Equals(Operand::Fixed(value)) => value.to_string(),
            Test::Equals(_) => "that value".to_owned(),
            Test::Contains(_) => "something that contains it".to_owned(),
            Test::Matches(_) => "a match".to_owned(),
            Test::Order(relation, _) => format!("{} that", relation.words()),
            Test::In(_) => "one of these".to_owned(),
            Test::Not(inner) => format!("not {}", inner.describe()),
            Test::Exists(_) => "a value".to_owned(),
            Test::All(_) => "all of that".to_owned(),
        }
    }
}
