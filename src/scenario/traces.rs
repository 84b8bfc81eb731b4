//! `traces`: what is expected of the traces of iterations, of the file or of a scenario.
//!
//! ```yaml
//! traces:
//!   expect:
//!     - span: ReconcileSandboxClaim
//!       service: agent-sandbox-controller
//!       under: create        # id or action of a step
//!       in: every            # or `some`
//!       took: < 50ms         # each of them
//!     - { hop: router, took: p95 < 20ms }
//! ```

use crate::metrics::{Expected, HopKind, Presence, Took, TraceExpectation, Under};
use crate::source::yaml::Node;
use crate::source::{
    Code, Diagnostic, Field, Fields, FromNode, Keyword, Problems, Shape, Span, Spanned, Takes,
    list_of, words, wrong_type,
};
use crate::step::Step;

/// The fields of `traces`.
pub(super) const SHAPE: Shape = Shape {
    what: "traces",
    fields: &[Field::required(
        "expect",
        Takes::List(&Takes::Fields(&EXPECTATION)),
        "what the traces are to have, judged in every cell over the iterations that ended well and were traced from end to end",
    )],
    later: &[],
    help: None,
};

/// The fields of one expectation.
const EXPECTATION: Shape = Shape {
    what: "an expectation of traces",
    fields: &[
        Field::new(
            "span",
            Takes::Text,
            "there is a span of this name; not with `hop`",
        ),
        Field::new(
            "hop",
            Takes::Word(words::<HopKind>),
            "a hop as the report shows it; needs `took`",
        ),
        Field::new(
            "service",
            Takes::Text,
            "of `span`: whose it is, `service.name`; sandbench's own are those of `sandbench`; default: anybody's",
        ),
        Field::new(
            "under",
            Takes::Text,
            "of `span`: the step that it is a part of, at any depth: its id or its action",
        ),
        Field::new(
            "in",
            Takes::Word(words::<Presence>),
            "of `span`: in how many of the traces; default: every",
        ),
        Field::new(
            "took",
            Takes::Text,
            "how long: `< 50ms` each of them, or `p95 < 50ms` all together",
        ),
    ],
    later: &[],
    help: Some("it is of a span or of a hop (sandbench explain traces)"),
};

/// How `took` is written.
const FORM: &str = "`took` is a limit, `< 50ms`, or a statistic and a limit, `p95 < 50ms`";

impl Keyword for HopKind {
    const WHAT: &'static str = "hop";
    const WORDS: &'static [(&'static str, Self)] = Self::WORDS;
}

impl Keyword for Presence {
    const WHAT: &'static str = "share of the traces";
    const WORDS: &'static [(&'static str, Self)] = Self::WORDS;
}

/// An expectation on traces as it is written.
#[derive(Debug, Clone)]
pub struct DeclaredExpectation {
    what: Declared,
    took: Option<Took>,
    /// Where it is written.
    pub span: Span,
}

#[derive(Debug, Clone)]
enum Declared {
    Span {
        name: String,
        service: Option<String>,
        under: Option<Spanned<String>>,
        presence: Presence,
    },
    Hop(HopKind),
}

impl DeclaredExpectation {
    /// The step that the span is to be a part of.
    pub(super) fn under(&self) -> Option<&Spanned<String>> {
        match &self.what {
            Declared::Span { under, .. } => under.as_ref(),
            Declared::Hop(_) => None,
        }
    }

    /// What is expected of an iteration of these steps; `None`: nothing, since it has no such step.
    pub(crate) fn about<'s>(
        &self,
        steps: impl Iterator<Item = &'s Step>,
    ) -> Option<TraceExpectation> {
        let what = match &self.what {
            Declared::Hop(hop) => Expected::Hop(*hop),
            Declared::Span {
                name,
                service,
                under,
                presence,
            } => Expected::Span {
                name: name.clone(),
                service: service.clone(),
                under: match under {
                    None => None,
                    Some(under) => Some(found(&under.value, steps)?),
                },
                presence: *presence,
            },
        };
        Some(TraceExpectation {
            what,
            took: self.took,
        })
    }
}

/// The step of this id, or else those with this action.
fn found<'s>(name: &str, steps: impl Iterator<Item = &'s Step>) -> Option<Under> {
    let (mut has_id, mut is_action) = (false, false);
    for step in steps {
        step.walk(&mut |step| {
            has_id |= step.id.as_ref().is_some_and(|id| &*id.value == name);
            is_action |= step.action.kind() == name;
        });
    }
    if has_id {
        Some(Under::Step(name.to_owned()))
    } else {
        is_action.then(|| Under::Action(name.to_owned()))
    }
}

/// Reads `traces`.
pub(super) fn decode(node: &Node, problems: &mut Problems) -> Vec<DeclaredExpectation> {
    let Some(fields) = Fields::of(node, &SHAPE, problems) else {
        return Vec::new();
    };
    let Some(list) = fields.required_node("expect", problems) else {
        return Vec::new();
    };
    let Some(items) = list.as_sequence() else {
        wrong_type(list, "a list of expectations", problems);
        return Vec::new();
    };
    if items.is_empty() {
        let problem = Diagnostic::error(Code::BadValue, list.span, "`expect` expects nothing");
        problems.push(problem.label("empty"));
    }
    let read = items.iter().filter_map(|item| expectation(item, problems));
    read.collect()
}

fn expectation(node: &Node, problems: &mut Problems) -> Option<DeclaredExpectation> {
    let fields = Fields::of(node, &EXPECTATION, problems)?;
    // Everything is read before anything that is missing decides, so that every problem is told.
    fields.at_most_one_of(&["span", "hop"], problems);
    let name = fields.node("span").and_then(|node| text(node, problems));
    let hop = fields.keyword::<HopKind>("hop", problems);
    let service = fields.node("service").and_then(|node| text(node, problems));
    let under = fields
        .node("under")
        .and_then(|node| Some(Spanned::new(text(node, problems)?, node.span)));
    let presence = fields.keyword::<Presence>("in", problems);
    let took = fields.node("took").and_then(|node| took(node, problems));
    match (fields.has("span"), fields.has("hop")) {
        (false, false) => problems.push(neither(&fields)),
        (false, true) => {
            of_spans_alone(&fields, problems);
            fields.required_node("took", problems);
        }
        (true, _) => {}
    }
    let is_lost = |field: &str, is_read: bool| fields.has(field) && !is_read;
    let lost = is_lost("service", service.is_some())
        || is_lost("under", under.is_some())
        || is_lost("in", presence.is_some())
        || is_lost("took", took.is_some());
    let what = match (name, hop) {
        (Some(name), None) => Declared::Span {
            name,
            service,
            under,
            presence: presence.unwrap_or_default(),
        },
        (None, Some(hop)) => Declared::Hop(hop),
        (None, None) | (Some(_), Some(_)) => return None,
    };
    (!lost).then(|| DeclaredExpectation {
        what,
        took,
        span: fields.head(),
    })
}

fn neither(fields: &Fields<'_>) -> Diagnostic {
    Diagnostic::error(
        Code::MissingField,
        fields.head(),
        "an expectation of traces needs `span` or `hop`",
    )
    .label("of what?")
    .help(format!(
        "`span` is a span's name, `hop` one of {}",
        list_of(&words::<HopKind>())
    ))
}

/// What a hop has no use for.
fn of_spans_alone(fields: &Fields<'_>, problems: &mut Problems) {
    for name in ["service", "under", "in"] {
        if let Some((key, _)) = fields.entry(name) {
            problems.push(
                Diagnostic::error(
                    Code::Combination,
                    key.span,
                    format!("`{name}` says more of a span, and this is a hop"),
                )
                .label("excludes `hop`")
                .help("a hop is measured wherever it is seen; expect a `span` to choose"),
            );
        }
    }
}

fn text(node: &Node, problems: &mut Problems) -> Option<String> {
    let text = String::from_node(node, problems)?;
    if text.trim().is_empty() {
        problems
            .push(Diagnostic::error(Code::BadValue, node.span, "a name of nothing").label("empty"));
        return None;
    }
    if text.contains("${{") {
        let problem = Diagnostic::error(
            Code::Expression,
            node.span,
            "names in `traces` are fixed: they have no expressions",
        );
        problems.push(problem.label("not evaluated"));
        return None;
    }
    Some(text)
}

fn took(node: &Node, problems: &mut Problems) -> Option<Took> {
    let text = String::from_node(node, problems)?;
    match text.parse() {
        Ok(took) => Some(took),
        Err(error) => {
            problems.push(super::threshold::refused(node.span, &error, FORM));
            None
        }
    }
}
