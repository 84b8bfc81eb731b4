//! [`Diagnostic`]: one problem of a file with its place; [`Problems`]: all of them.
//!
//! A diagnostic has a message (what is wrong), a label (drawn at the caret) and help lines (what
//! to do). Codes are stable, so that they can be searched for.

use std::fmt;

use super::span::Span;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but probably does not do what was meant.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// What kind of problem: a stable code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// E001: the text is not YAML.
    Syntax,
    /// E002: too deep, too many nodes.
    Limit,
    /// E003: a key is written twice in one mapping.
    DuplicateKey,
    /// E004: an anchor, alias, merge key or tag, which the language does not have.
    YamlFeature,
    /// E005: the file is empty or has several documents.
    Document,
    /// E101: a value of another type is expected.
    WrongType,
    /// E102: a required field is missing.
    MissingField,
    /// E103: the value has the right type but is not acceptable.
    BadValue,
    /// E104: an unknown field.
    UnknownField,
    /// E105: the language has it, this version does not yet.
    NotSupported,
    /// E106: fields that exclude or need each other.
    Combination,
    /// E201: an expression or template does not compile.
    Expression,
    /// E202: a reference to something that does not exist.
    UnknownReference,
    /// E203: something is declared but never used.
    Unused,
    /// E204: a name is declared twice.
    DuplicateName,
    /// E205: a name is not well formed.
    BadName,
    /// E207: a data file cannot be used.
    Data,
    /// E206: an operator or a value does not fit the type of the output.
    TypeMismatch,
}

impl Code {
    /// The code as it is shown: `E104`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "E001",
            Self::Limit => "E002",
            Self::DuplicateKey => "E003",
            Self::YamlFeature => "E004",
            Self::Document => "E005",
            Self::WrongType => "E101",
            Self::MissingField => "E102",
            Self::BadValue => "E103",
            Self::UnknownField => "E104",
            Self::NotSupported => "E105",
            Self::Combination => "E106",
            Self::Expression => "E201",
            Self::UnknownReference => "E202",
            Self::Unused => "E203",
            Self::DuplicateName => "E204",
            Self::BadName => "E205",
            Self::TypeMismatch => "E206",
            Self::Data => "E207",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One problem and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of problem.
    pub code: Code,
    /// What is wrong, as a lower-case fragment: ``unknown field `x` in load``.
    pub message: String,
    /// Drawn after the caret; may be empty.
    pub label: String,
    /// The place.
    pub span: Span,
    /// What to do: one `= help:` line each.
    pub help: Vec<String>,
    /// A place in another file, drawn already ([`snippet`](super::snippet)).
    pub excerpt: Option<String>,
}

impl Diagnostic {
    /// An error without label and help.
    pub fn error(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            label: String::new(),
            span,
            help: Vec::new(),
            excerpt: None,
        }
    }

    /// The same with a text at the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The same with a place in another file.
    #[must_use]
    pub fn excerpt(mut self, excerpt: impl Into<String>) -> Self {
        self.excerpt = Some(excerpt.into());
        self
    }

    /// The same with one more help line.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// The same as a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }
}

/// Most problems that are kept of one file; the rest is only counted, so that a hostile file
/// costs no more memory than its own size.
const KEPT: usize = 200;

/// All problems of a file. The first 200 are kept, the others counted.
#[derive(Debug, Clone, Default)]
pub struct Problems {
    list: Vec<Diagnostic>,
    errors: usize,
    dropped: usize,
}

impl Problems {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a problem.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if diagnostic.severity == Severity::Error {
            self.errors += 1;
        }
        if self.list.len() < KEPT {
            self.list.push(diagnostic);
        } else {
            self.dropped += 1;
        }
    }

    /// Adds all problems of another list.
    pub fn extend(&mut self, other: impl IntoIterator<Item = Diagnostic>) {
        for diagnostic in other {
            self.push(diagnostic);
        }
    }

    /// Whether there is no problem at all.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether there is an error (and not only warnings).
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// How many errors were found, kept or not. Compare before and after a decoder to know
    /// whether it reported something.
    pub fn error_count(&self) -> usize {
        self.errors
    }

    /// Whether further problems are only counted; who would have to search for a suggestion can
    /// save it then.
    pub fn is_full(&self) -> bool {
        self.list.len() >= KEPT
    }

    /// How many problems were found beyond those kept.
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    /// Sorts by place, and keeps one of those that are the same: a scenario that others use is read
    /// once for each of them.
    pub fn sort(&mut self) {
        let mut found = std::mem::take(&mut self.list);
        found.sort_by_key(|problem| (problem.span.start, problem.code));
        for problem in found {
            if !self.list.contains(&problem) {
                self.list.push(problem);
            } else if problem.severity == Severity::Error {
                self.errors -= 1;
            }
        }
    }

    /// The problems kept, in the order of [`Problems::sort`] if it was called.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }
}

impl IntoIterator for Problems {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
