//! `target`: what a run is pointed at. Written once per file; a scenario may set fields of its
//! own, which go before those of the file.

use std::time::Duration;

use super::matrix::unknown_mode;
use crate::client::ConnectionMode;
use crate::expr::Template;
use crate::source::yaml::Node;
use crate::source::{
    Code, Diagnostic, Field, Fields, FromNode, Keyword, Problems, Shape, Span, Spanned, Takes,
    keyword, quantity, words,
};
use crate::units::HumanDuration;

/// What a run is pointed at. Every field may be left out.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// The namespace of claims and sandboxes. Default: `default`.
    pub namespace: Option<Template>,
    /// The warm pool that claims take sandboxes from. Excludes `template`.
    pub warm_pool: Option<Template>,
    /// The sandbox template that claims are made from. Excludes `warm_pool`.
    pub template: Option<Template>,
    /// Whether a pool without replicas is created for the template where claims need one.
    pub create_template_pool: Option<Spanned<bool>>,
    /// The Gateway that mode `gateway` goes through.
    pub gateway: Option<GatewayTarget>,
    /// The URL of the router that mode `direct` goes to.
    pub api_url: Option<Template>,
    /// The connection mode, a word of `ConnectionMode::WORDS`; a matrix axis `mode` goes before.
    pub mode: Option<Spanned<&'static str>>,
    /// What answers in the sandbox. Default: the legacy runtime; with mode `pod-tunnel` sandboxd.
    pub runtime: Option<Spanned<RuntimeName>>,
    /// The router that mode `tunnel` goes to.
    pub router: Option<RouterTarget>,
    /// The port of the runtime in the sandbox. Default: 8888.
    pub server_port: Option<Spanned<u16>>,
    /// How long a claim may take until its sandbox is ready, where the step says nothing.
    pub ready_timeout: Option<Duration>,
    /// How long after a killed run a claim lives on, where the step says nothing.
    pub time_to_live: Option<Duration>,
    /// The whole mapping.
    pub span: Span,
}

/// A Gateway of the cluster.
#[derive(Debug, Clone)]
pub struct GatewayTarget {
    /// Its name.
    pub name: Option<Template>,
    /// Its namespace. Default: the namespace of the target.
    pub namespace: Option<Template>,
    /// `http` (default) or `https`.
    pub scheme: Option<Scheme>,
    /// The port. Default: that of the listener.
    pub port: Option<u16>,
}

/// The router's place in the cluster.
#[derive(Debug, Clone)]
pub struct RouterTarget {
    /// Its namespace.
    pub namespace: Option<Template>,
}

/// How a Gateway is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain.
    Http,
    /// TLS.
    Https,
}

/// What answers in a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuntimeName {
    /// The python-runtime, over HTTP.
    Legacy,
    /// sandboxd, over REST and gRPC.
    Sandboxd,
}

impl Keyword for RuntimeName {
    const WHAT: &'static str = "runtime";
    const WORDS: &'static [(&'static str, Self)] =
        &[("legacy", Self::Legacy), ("sandboxd", Self::Sandboxd)];
}

impl Keyword for Scheme {
    const WHAT: &'static str = "scheme";
    const WORDS: &'static [(&'static str, Self)] = &[("http", Self::Http), ("https", Self::Https)];
}

/// The fields of `target`.
pub(super) const SHAPE: Shape = Shape {
    what: "target",
    fields: &[
        Field::new(
            "namespace",
            Takes::Text,
            "namespace of claims and sandboxes; default: `default`",
        ),
        Field::new(
            "warmPool",
            Takes::Text,
            "the warm pool that sandboxes come from",
        ),
        Field::new(
            "template",
            Takes::Text,
            "the sandbox template that they are made from, in place of `warmPool`",
        ),
        Field::new(
            "createTemplatePool",
            Takes::Bool,
            "make a pool without replicas for `template` where claims need one; default: false",
        ),
        Field::new(
            "gateway",
            Takes::Fields(&GATEWAY),
            "the Gateway that the mode `gateway` goes through",
        ),
        Field::new(
            "apiUrl",
            Takes::Text,
            "URL of the router that the mode `direct` goes to",
        ),
        Field::new(
            "mode",
            Takes::Word(modes),
            "how sandboxes are reached; an axis `mode` of the matrix goes before it",
        ),
        Field::new(
            "router",
            Takes::Fields(&ROUTER),
            "the router that the mode `tunnel` goes to",
        ),
        Field::new(
            "runtime",
            Takes::Word(words::<RuntimeName>),
            "what answers in the sandbox; default: `legacy`, with the mode `pod-tunnel` `sandboxd`",
        ),
        Field::new(
            "serverPort",
            Takes::Whole(1, 65_535),
            "port of the runtime in the sandbox; default: 8888",
        ),
        Field::new(
            "readyTimeout",
            Takes::Duration,
            "how long a claim may take to be ready, where its step says nothing; default: 3m",
        ),
        Field::new(
            "timeToLive",
            Takes::Duration,
            "how long claims outlive a killed run, at least 10s; default: the `timeout` of an iteration and 10m",
        ),
    ],
    later: &["labels", "annotations", "tls", "headers"],
    help: None,
};

const GATEWAY: Shape = Shape {
    what: "gateway",
    fields: &[
        Field::required("name", Takes::Text, "name of the Gateway"),
        Field::new(
            "namespace",
            Takes::Text,
            "its namespace; default: that of the target",
        ),
        Field::new(
            "scheme",
            Takes::Word(words::<Scheme>),
            "plain or TLS; default: `http`",
        ),
        Field::new(
            "port",
            Takes::Whole(1, 65_535),
            "its port; default: that of the listener",
        ),
    ],
    later: &["hostname"],
    help: None,
};

const ROUTER: Shape = Shape {
    what: "router",
    fields: &[Field::new(
        "namespace",
        Takes::Text,
        "namespace of the router's Service; default: `agent-sandbox-system`",
    )],
    later: &["service", "port"],
    help: None,
};

/// The words of `mode`.
pub(super) fn modes() -> Vec<&'static str> {
    ConnectionMode::WORDS.to_vec()
}

impl Target {
    /// The least `timeToLive`: below, a claim could end before it is renewed.
    pub const SHORTEST_TIME_TO_LIVE: Duration = Duration::from_secs(10);

    /// Reads a `target` mapping; what cannot be read is reported and left out.
    pub(super) fn decode(node: &Node, problems: &mut Problems) -> Self {
        let Some(fields) = Fields::of(node, &SHAPE, problems) else {
            return Self::default();
        };
        fields.at_most_one_of(&["warmPool", "template"], problems);
        let target = Self {
            namespace: name(&fields, "namespace", problems),
            warm_pool: name(&fields, "warmPool", problems),
            template: name(&fields, "template", problems),
            create_template_pool: fields.optional("createTemplatePool", problems),
            gateway: fields
                .node("gateway")
                .and_then(|node| gateway(node, problems)),
            api_url: fields.node("apiUrl").and_then(|node| url(node, problems)),
            mode: fields.node("mode").and_then(|node| mode(node, problems)),
            router: fields
                .node("router")
                .and_then(|node| Fields::of(node, &ROUTER, problems))
                .map(|fields| RouterTarget {
                    namespace: name(&fields, "namespace", problems),
                }),
            runtime: fields
                .node("runtime")
                .and_then(|node| keyword(node, problems).map(|name| Spanned::new(name, node.span))),
            server_port: fields
                .optional("serverPort", problems)
                .filter(|port: &Spanned<u16>| port_is_valid(port.value, port.span, problems)),
            ready_timeout: fields
                .quantity::<HumanDuration>("readyTimeout", problems)
                .map(|duration| duration.0),
            time_to_live: fields
                .node("timeToLive")
                .and_then(|node| time_to_live(node, problems)),
            span: node.span,
        };
        if let Some((key, _)) = fields.entry("createTemplatePool")
            && !fields.has("template")
        {
            problems.push(
                Diagnostic::error(
                    Code::Combination,
                    key.span,
                    "`createTemplatePool` needs `template`",
                )
                .label("there is no template to create a pool for")
                .help("`createTemplatePool: true` makes a pool without replicas for `template`"),
            );
        }
        target
    }
}

/// Claims are renewed when half of it is over, which takes a moment.
fn time_to_live(node: &Node, problems: &mut Problems) -> Option<Duration> {
    let time = quantity::<HumanDuration>(node, problems)?.0;
    if time < Target::SHORTEST_TIME_TO_LIVE {
        let least = HumanDuration(Target::SHORTEST_TIME_TO_LIVE);
        problems.push(
            Diagnostic::error(
                Code::BadValue,
                node.span,
                format!("`timeToLive: {}` is too short", HumanDuration(time)),
            )
            .label(format!("at least {least}"))
            .help("claims that live longer are given more time while the run is alive"),
        );
        return None;
    }
    Some(time)
}

fn gateway(node: &Node, problems: &mut Problems) -> Option<GatewayTarget> {
    let fields = Fields::of(node, &GATEWAY, problems)?;
    let port = fields
        .optional("port", problems)
        .filter(|port: &Spanned<u16>| port_is_valid(port.value, port.span, problems));
    fields.required_node("name", problems)?;
    Some(GatewayTarget {
        name: name(&fields, "name", problems),
        namespace: name(&fields, "namespace", problems),
        scheme: fields
            .node("scheme")
            .and_then(|node| keyword(node, problems)),
        port: port.map(|port| port.value),
    })
}

fn port_is_valid(port: u16, span: Span, problems: &mut Problems) -> bool {
    if port == 0 {
        problems.push(
            Diagnostic::error(Code::BadValue, span, "`0` is not a port")
                .label("a port from 1 to 65535"),
        );
    }
    port > 0
}

fn mode(node: &Node, problems: &mut Problems) -> Option<Spanned<&'static str>> {
    let word = String::from_node(node, problems)?;
    let known = ConnectionMode::WORDS.iter().find(|known| **known == word);
    if known.is_none() {
        problems.push(unknown_mode(node, &word));
    }
    known.map(|word| Spanned::new(*word, node.span))
}

/// A name of an object in the cluster: checked here unless it has an expression in it.
fn name(fields: &Fields<'_>, field: &str, problems: &mut Problems) -> Option<Template> {
    let template: Template = fields.optional(field, problems)?;
    if let Some(text) = template.constant()
        && !is_object_name(text)
    {
        problems.push(
            Diagnostic::error(
                Code::BadName,
                template.span(),
                format!("`{text}` is not a name that Kubernetes accepts"),
            )
            .label("not a name")
            .help("lower-case letters, digits, `-` and `.`, at most 253, beginning and ending with a letter or digit"),
        );
        return None;
    }
    Some(template)
}

/// A DNS subdomain as RFC 1123 has it, which is what Kubernetes takes as an object's name.
fn is_object_name(text: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= 253
        && text.split('.').all(|label| {
            label.starts_with(edge)
                && label.ends_with(edge)
                && label.chars().all(|c| edge(c) || c == '-')
        })
}

fn url(node: &Node, problems: &mut Problems) -> Option<Template> {
    let template = Template::from_node(node, problems)?;
    if let Some(text) = template.constant()
        && !is_url(text)
    {
        problems.push(
            Diagnostic::error(
                Code::BadValue,
                node.span,
                format!("`{text}` is not the URL of a router"),
            )
            .label("not a URL")
            .help("write for example `http://10.0.0.12:8080`"),
        );
        return None;
    }
    Some(template)
}

fn is_url(text: &str) -> bool {
    let Ok(uri) = text.parse::<http::Uri>() else {
        return false;
    };
    matches!(uri.scheme_str(), Some("http" | "https"))
        && uri.host().is_some_and(|host| !host.is_empty())
        && uri.query().is_none()
        && !text.contains('#')
}
