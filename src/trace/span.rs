//! [`Span`]: one piece of work as a plain record.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::id::{Sampled, SpanId, TraceId};

/// What a span stands for, so that who looks at traces need not read names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The whole trace.
    Root,
    /// One operation of a person's: a step, or a call of the client outside of steps. Slow ones are kept.
    Operation,
    /// A part of an operation that waits for something, such as `bound`.
    Phase,
    /// One request on the wire.
    Attempt,
    /// Anything else.
    Other,
}

/// A span's kind in OpenTelemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Work inside of this program.
    Internal,
    /// A request to another one.
    Client,
    /// A request from another one.
    Server,
}

/// The value of an attribute. Never a command's arguments, a file's content or a secret.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// Text.
    Text(Cow<'static, str>),
    /// Text that many spans share.
    Shared(Arc<str>),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Yes or no.
    Bool(bool),
}

impl From<&'static str> for Attribute {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<Cow<'static, str>> for Attribute {
    fn from(text: Cow<'static, str>) -> Self {
        Self::Text(text)
    }
}

impl From<String> for Attribute {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<Arc<str>> for Attribute {
    fn from(text: Arc<str>) -> Self {
        Self::Shared(text)
    }
}

impl From<i64> for Attribute {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u16> for Attribute {
    fn from(number: u16) -> Self {
        Self::Int(number.into())
    }
}

impl From<usize> for Attribute {
    fn from(number: usize) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Attribute {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Duration> for Attribute {
    /// In seconds.
    fn from(duration: Duration) -> Self {
        Self::Float(duration.as_secs_f64())
    }
}

/// One piece of work.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// What was done: few different names, never with an id in them.
    pub name: Cow<'static, str>,
    /// What it stands for.
    pub role: Role,
    /// Its kind.
    pub kind: Kind,
    /// Its id.
    pub id: SpanId,
    /// The span that it is a part of; the root has the one that the trace continues, if any.
    pub parent: Option<SpanId>,
    /// When it began.
    pub started: Instant,
    /// When it ended. Never before it began.
    pub ended: Instant,
    /// More about it.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// A short name of how it failed (`error.type`), if it did.
    pub error: Option<Cow<'static, str>>,
}

impl Span {
    /// How long it took.
    pub fn duration(&self) -> Duration {
        self.ended.saturating_duration_since(self.started)
    }
}

/// A trace that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// Its id.
    pub id: TraceId,
    /// Whether others were asked to record it.
    pub sampled: Sampled,
    /// Its spans in the order in which they began; the first is the root.
    pub spans: Vec<Span>,
    /// How many spans found no room in it.
    pub left_out: u32,
}

impl Finished {
    /// The root.
    pub fn root(&self) -> Option<&Span> {
        self.spans.first()
    }
}
