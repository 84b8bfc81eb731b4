//! `http`: one HTTP request from the machine of sandbench: to a server in the sandbox, or to
//! anything around it. Redirects are not followed.
//!
//! Connections are used again by later requests of the cell; the time is with connecting where a new
//! one was needed.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use tokio::time::Instant;

use super::exchange::{Answer, exchange};
use super::limit::{Limit, LimitSource};
use super::outcome::whole;
use super::{Measure, StepContext, StepError, StepOutcome};
use crate::api::header::TRACEPARENT;
use crate::client::traceparent;
use crate::expr::{Operand, Output, Template, Value, ValueKind};
use crate::source::yaml::{Key, Node};
use crate::source::{
    Code, Diagnostic, Field, Fields, FromNode, Keyword, Problems, Shape, Takes, read_map, words,
};

/// How long a request may take, where the step says nothing.
const DEFAULT: Duration = Duration::from_mins(1);

/// One HTTP request. A status of 400 and above fails the step unless `expect` names `status`.
#[derive(Debug, Clone)]
pub struct Http {
    url: Template,
    method: Verb,
    headers: Vec<(Key, Template)>,
    body: Body,
}

#[derive(Debug, Clone)]
enum Body {
    None,
    Text(Template),
    Json(Operand),
}

/// A method of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

impl Keyword for Verb {
    const WHAT: &'static str = "method";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("GET", Self::Get),
        ("HEAD", Self::Head),
        ("POST", Self::Post),
        ("PUT", Self::Put),
        ("PATCH", Self::Patch),
        ("DELETE", Self::Delete),
        ("OPTIONS", Self::Options),
    ];
}

impl From<Verb> for Method {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Get => Self::GET,
            Verb::Head => Self::HEAD,
            Verb::Post => Self::POST,
            Verb::Put => Self::PUT,
            Verb::Patch => Self::PATCH,
            Verb::Delete => Self::DELETE,
            Verb::Options => Self::OPTIONS,
        }
    }
}

const SHAPE: Shape = Shape {
    what: "`http`",
    fields: &[
        Field::required("url", Takes::Text, "an `http` or `https` URL"),
        Field::new(
            "method",
            Takes::Word(words::<Verb>),
            "the method; default: `GET`, with a body `POST`",
        ),
        Field::new("headers", Takes::Map(&Takes::Text), "its headers"),
        Field::new("body", Takes::Text, "a body of text"),
        Field::new("json", Takes::Value, "a body that is sent as JSON"),
    ],
    later: &[],
    help: None,
};

impl Http {
    /// What it takes.
    pub(super) const TAKES: Takes = Takes::Either(&[Takes::Text, Takes::Fields(&SHAPE)]);

    /// What `http` gives.
    pub const OUTPUTS: &'static [Output] = &[
        Output {
            name: "status",
            kind: ValueKind::Int,
            what: "status of the answer",
        },
        Output {
            name: "body",
            kind: ValueKind::Bytes,
            what: "its body",
        },
        Output {
            name: "json",
            kind: ValueKind::Any,
            what: "its body, read as JSON; nothing if it is not JSON",
        },
        Output {
            name: "headers",
            kind: ValueKind::Map,
            what: "its headers, names in lower case",
        },
        Output {
            name: "size",
            kind: ValueKind::Size,
            what: "bytes of its body",
        },
        Output {
            name: "duration",
            kind: ValueKind::Duration,
            what: "from the request, or from connecting where that was needed, to the end of the answer",
        },
    ];

    pub(super) fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        if node.as_mapping().is_none() {
            return Some(Self {
                url: url(node, problems)?,
                method: Verb::Get,
                headers: Vec::new(),
                body: Body::None,
            });
        }
        let fields = Fields::of(node, &SHAPE, problems)?;
        fields.at_most_one_of(&["body", "json"], problems);
        let headers = fields
            .node("headers")
            .and_then(|node| headers(node, problems));
        let body = if let Some(text) = fields.optional("body", problems) {
            Body::Text(text)
        } else {
            let json = fields.optional("json", problems);
            json.map_or(Body::None, Body::Json)
        };
        let method = fields.keyword("method", problems);
        Some(Self {
            url: url(fields.required_node("url", problems)?, problems)?,
            method: method.unwrap_or(match body {
                Body::None => Verb::Get,
                Body::Text(_) | Body::Json(_) => Verb::Post,
            }),
            headers: headers.unwrap_or_default(),
            body,
        })
    }

    fn request(&self, context: &StepContext, url: &Uri) -> Result<Request<Bytes>, StepError> {
        let bindings = &context.bindings;
        let mut headers = HeaderMap::new();
        let body = match &self.body {
            Body::None => Bytes::new(),
            Body::Text(text) => Bytes::copy_from_slice(text.render(bindings)?.as_bytes()),
            Body::Json(value) => {
                let json = HeaderValue::from_static("application/json");
                headers.insert(http::header::CONTENT_TYPE, json);
                serde_json::Value::from(value.evaluate(bindings)?)
                    .to_string()
                    .into()
            }
        };
        for (name, value) in &self.headers {
            let value = value.render(bindings)?;
            let pair = (
                HeaderName::from_bytes(name.value.as_bytes()),
                HeaderValue::from_str(&value),
            );
            let (Ok(name), Ok(value)) = pair else {
                return Err(StepError::Value {
                    action: "http",
                    value: name.value.to_string(),
                    what: "header with a value that can be sent",
                });
            };
            headers.insert(name, value);
        }
        if !headers.contains_key(TRACEPARENT)
            && let Some(context) = traceparent()
        {
            headers.insert(HeaderName::from_static(TRACEPARENT), context);
        }
        let mut request = Request::new(body);
        *request.method_mut() = self.method.into();
        *request.uri_mut() = url.clone();
        *request.headers_mut() = headers;
        Ok(request)
    }

    pub(super) async fn run(
        &self,
        context: &mut StepContext,
        limit: Option<Limit>,
    ) -> Result<StepOutcome, StepError> {
        let limit = limit
            .unwrap_or_else(|| Limit::new(DEFAULT, LimitSource::Default("the default of `http`")));
        let text = self.url.render(&context.bindings)?;
        let url: Uri = text
            .parse()
            .ok()
            .filter(is_absolute)
            .ok_or_else(|| StepError::Value {
                action: "http",
                value: text.to_string(),
                what: "URL that begins with `http://` or `https://`",
            })?;
        let request = self.request(context, &url)?;
        let started = Instant::now();
        let answering = exchange(request, &context.target.http);
        let answer = tokio::time::timeout_at(limit.deadline(), answering).await;
        let took = started.elapsed();
        let answer = answer.map_err(|_| limit.exceeded("http"))?;
        let Answer {
            status,
            headers,
            body,
        } = answer.map_err(|(stage, source)| StepError::Http {
            stage,
            // Neither a user name nor a query, which may be secrets.
            server: format!("{}{}", host(&url), url.path()),
            source,
        })?;
        let answered = Answered {
            status,
            headers,
            body,
            json: OnceLock::new(),
            took,
        };
        Ok(StepOutcome::of(answered).time(Measure::Http, took))
    }
}

/// What a server answered.
#[derive(Debug, Clone)]
pub(super) struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    /// The body as JSON, read when first asked for.
    json: OnceLock<Value>,
    took: Duration,
}

impl Answered {
    pub(super) fn output(&self, name: &str) -> Value {
        match name {
            "status" => i64::from(self.status.as_u16()).into(),
            "body" => match std::str::from_utf8(&self.body) {
                Ok(text) => Value::text(text),
                Err(_) => Value::Bytes(self.body.clone()),
            },
            "json" => {
                let read = || {
                    let json = serde_json::from_slice::<serde_json::Value>(&self.body);
                    json.map_or(Value::Null, Value::from)
                };
                self.json.get_or_init(read).clone()
            }
            "headers" => values(&self.headers),
            "size" => whole(self.body.len()),
            "duration" => self.took.into(),
            _ => Value::Null,
        }
    }
}

fn host(url: &Uri) -> &str {
    url.host().unwrap_or_default()
}

fn is_absolute(url: &Uri) -> bool {
    matches!(url.scheme_str(), Some("http" | "https")) && !host(url).is_empty()
}

fn values(headers: &HeaderMap) -> Value {
    let mut all: BTreeMap<String, Value> = BTreeMap::new();
    for (name, value) in headers {
        let text = String::from_utf8_lossy(value.as_bytes());
        // Several headers of a name are one with commas, as HTTP has it.
        let joined = match all.get(name.as_str()).and_then(Value::as_text) {
            Some(before) => format!("{before}, {text}"),
            None => text.into_owned(),
        };
        all.insert(name.as_str().to_owned(), Value::text(joined));
    }
    Value::Map(all)
}

fn url(node: &Node, problems: &mut Problems) -> Option<Template> {
    let template = Template::from_node(node, problems)?;
    if let Some(text) = template.constant()
        && !text.parse::<Uri>().is_ok_and(|url| is_absolute(&url))
    {
        problems.push(
            Diagnostic::error(Code::BadValue, node.span, format!("`{text}` is not a URL"))
                .label("not a URL")
                .help("write for example `http://127.0.0.1:8080/health`"),
        );
        return None;
    }
    Some(template)
}

fn headers(node: &Node, problems: &mut Problems) -> Option<Vec<(Key, Template)>> {
    let headers: Vec<(Key, Template)> = read_map(node, "headers", problems)?;
    for (name, _) in &headers {
        if HeaderName::from_bytes(name.value.as_bytes()).is_err() {
            problems.push(
                Diagnostic::error(
                    Code::BadName,
                    name.span,
                    format!("`{}` is not the name of a header", name.value),
                )
                .label("not a name"),
            );
        }
    }
    Some(headers)
}
