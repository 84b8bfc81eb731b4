//! `retry` of a step: how often the client sends its requests and calls again.
//!
//! ```yaml
//! - exec: "true"
//!   retry: 4
//! - create: {}
//!   retry: { attempts: 6, initialDelay: 100ms, maxDelay: 2s }
//! ```
//!
//! Not the same as `retries`, which does the whole step anew and makes it flaky: the client repeats
//! only what can do no harm, and each attempt is a sample.

use std::time::Duration;

use super::fields::limit;
use crate::client::RetryPolicy;
use crate::source::yaml::{Key, Node};
use crate::source::{
    Code, Diagnostic, Field, Fields, FromNode, Problems, Shape, Spanned, Takes, list_of,
};

/// The most attempts that can be asked for: more is a mistake.
const MOST: u32 = 100;

/// A number of attempts.
const ATTEMPTS: Takes = Takes::Whole(2, MOST as i64);

/// What `retry` takes.
pub(super) const TAKES: Takes = Takes::Either(&[ATTEMPTS, Takes::Fields(&SHAPE)]);

/// The fields of `retry`.
const SHAPE: Shape = Shape {
    what: "`retry`",
    fields: &[
        Field::new(
            "attempts",
            ATTEMPTS,
            "how often a request is sent or a call made, the first one counted",
        ),
        Field::new(
            "initialDelay",
            Takes::Duration,
            "the pause before the second attempt; each one after it is longer",
        ),
        Field::new("maxDelay", Takes::Duration, "the longest pause"),
        Field::new(
            "attemptTimeout",
            Takes::Duration,
            "the longest that one attempt may take",
        ),
    ],
    later: &[],
    help: Some("the short form is the number of attempts alone: `retry: 4`"),
};

/// Actions that ask neither the API server nor the sandbox.
const NOT_FOR: &[&str] = &[
    "disconnect",
    "sleep",
    "http",
    "script",
    "group",
    "parallel",
    "use",
];

/// Reads `retry` of a step with this action.
pub(super) fn decode(node: &Node, action: &Key, problems: &mut Problems) -> Option<RetryPolicy> {
    if NOT_FOR.contains(&&*action.value) {
        problems.push(
            Diagnostic::error(
                Code::Combination,
                node.span,
                format!("`retry` at `{}`", action.value),
            )
            .label("nothing is sent that could be sent again")
            .help(format!(
                "`retry` is for actions that ask the API server or the sandbox, not for {}; \
                 `retries` does a whole step anew",
                list_of(NOT_FOR)
            )),
        );
        return None;
    }
    let default = RetryPolicy::default();
    if node.as_mapping().is_none() {
        let max_attempts = attempts(node, problems)?;
        return Some(RetryPolicy {
            max_attempts,
            ..default
        });
    }
    let fields = Fields::of(node, &SHAPE, problems)?;
    let mut time = |name: &str| {
        let node = fields.node(name)?;
        limit(node, problems)
    };
    let (initial, max) = (time("initialDelay"), time("maxDelay"));
    let attempt_timeout = time("attemptTimeout").map(|time| time.value);
    let max_attempts = match fields.node("attempts") {
        Some(node) => attempts(node, problems),
        None => Some(default.max_attempts),
    };
    let initial_delay = value(initial, default.initial_delay);
    let max_delay = value(max, default.max_delay.max(initial_delay));
    if let Some(at) = max.or(initial).filter(|_| max_delay < initial_delay) {
        problems.push(
            Diagnostic::error(
                Code::BadValue,
                at.span,
                "`maxDelay` is shorter than `initialDelay`",
            )
            .label("at least `initialDelay`"),
        );
    }
    Some(RetryPolicy {
        max_attempts: max_attempts?,
        initial_delay,
        max_delay,
        attempt_timeout,
    })
}

fn value(time: Option<Spanned<Duration>>, default: Duration) -> Duration {
    time.map_or(default, |time| time.value)
}

fn attempts(node: &Node, problems: &mut Problems) -> Option<u32> {
    let count = Spanned::<u32>::from_node(node, problems)?;
    if (2..=MOST).contains(&count.value) {
        return Some(count.value);
    }
    let label = if count.value > MOST {
        format!("at most {MOST}")
    } else {
        "at least 2: the first one counts".to_owned()
    };
    let message = format!("`retry` with an attempt count of {}", count.value);
    problems.push(Diagnostic::error(Code::BadValue, node.span, message).label(label));
    None
}
