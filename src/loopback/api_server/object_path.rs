//! What a URL path names: a kind, a namespace, an object, a subresource.

use http::Method;

use super::super::served::ServedVersions;
use super::super::store::{KINDS, Kind, Part, Scope};
use super::request::Query;
use super::view::View;

/// A parsed path.
#[derive(Debug, Clone)]
pub(super) struct ObjectPath {
    pub(super) kind: &'static Kind,
    /// How the request sees the kind's objects.
    pub(super) view: View,
    /// Empty for cluster-wide paths.
    pub(super) namespace: String,
    /// Empty for collections.
    pub(super) name: String,
    pub(super) subresource: Option<String>,
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl ObjectPath {
    /// `/api/v1/…` or `/apis/<group>/<version>/…`.
    pub(super) fn parse(path: &str, served: ServedVersions) -> Option<Self> {
        let decoded: Vec<String> = path
            .trim_matches('/')
            .split('/')
            .map(|part| {
                percent_encoding::percent_decode_str(part)
                    .decode_utf8_lossy()
                    .into_owned()
            })
            .collect();
        let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        // Events are one store behind two groups.
        let group = if group == "events.k8s.io" { "" } else { group };
        let find = |plural: &str| {
            let kind = KINDS
                .iter()
                .find(|kind| kind.group == group && kind.plural == plural)?;
            let served = served.of_group(group, kind.version);
            let version = served.into_iter().find(|served| *served == version)?;
            Some(View { kind, version })
        };
        let build = |view: View, namespace: &str, rest: &[&str]| {
            let (name, subresource) = match rest {
                [] => ("", None),
                [name] => (*name, None),
                [name, subresource] => (*name, Some((*subresource).to_owned())),
                _ => return None,
            };
            let known = subresource
                .as_deref()
                .is_none_or(|name| view.has_subresource(name));
            known.then(|| Self {
                kind: view.kind,
                view,
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                subresource,
            })
        };
        if let ["namespaces", namespace, plural, rest @ ..] = rest
            && let Some(view) = find(plural).filter(|view| view.kind.scope == Scope::Namespaced)
        {
            return build(view, namespace, rest);
        }
        let (plural, rest) = rest.split_first()?;
        let view = find(plural)?;
        if view.kind.scope == Scope::Namespaced && !rest.is_empty() {
            return None;
        }
        build(view, "", rest)
    }

    /// The namespace that a list or watch is limited to.
    pub(super) fn namespace_filter(&self) -> Option<&str> {
        (!self.namespace.is_empty()).then_some(self.namespace.as_str())
    }

    /// The part of the object that a write changes.
    pub(super) fn part(&self) -> Part {
        if self.subresource.as_deref() == Some("status") {
            Part::Status
        } else {
            Part::Main
        }
    }

    /// What a method means here.
    pub(super) fn verb(&self, method: &Method, query: &Query) -> Option<Verb> {
        let collection = self.name.is_empty();
        match *method {
            Method::GET if query.is_watch() => Some(Verb::Watch),
            Method::GET if collection => Some(Verb::List),
            Method::GET => Some(Verb::Get),
            Method::POST if collection => {
                let placed = self.kind.scope == Scope::Cluster || !self.namespace.is_empty();
                placed.then_some(Verb::Create)
            }
            Method::PUT if !collection => Some(Verb::Update),
            Method::PATCH if !collection => Some(Verb::Patch),
            Method::DELETE if collection => Some(Verb::DeleteCollection),
            Method::DELETE if self.subresource.is_none() => Some(Verb::Delete),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str) -> Option<ObjectPath> {
        ObjectPath::parse(path, ServedVersions::V1Beta1)
    }

    #[test]
    fn paths_name_kinds_objects_and_subresources() {
        let claims = "/apis/extensions.agents.x-k8s.io/v1beta1/namespaces/default/sandboxclaims";
        let path = parse(&format!("{claims}/a/status")).unwrap();
        assert_eq!((path.kind.kind, path.name.as_str()), ("SandboxClaim", "a"));
        assert_eq!(path.part(), Part::Status);
        let all = parse("/api/v1/pods").unwrap();
        assert_eq!(all.namespace_filter(), None);
        let query = Query::parse("watch=True");
        assert_eq!(all.verb(&Method::GET, &query), Some(Verb::Watch));
        assert_eq!(parse("/api/v1/namespaces/x").unwrap().name, "x");
        for unknown in [
            "/api/v2/pods",
            "/apis/x/v1/y",
            "/api/v1/pods/a/b/c",
            "/x",
            "/api/v1",
        ] {
            assert!(parse(unknown).is_none(), "{unknown}");
        }
        assert!(parse(&format!("{claims}/a/log")).is_none());
    }

    #[test]
    fn a_version_that_is_not_served_does_not_exist() {
        let serves = |served, version: &str| {
            ObjectPath::parse(
                &format!("/apis/agents.x-k8s.io/{version}/sandboxes"),
                served,
            )
            .is_some()
        };
        for (served, old, new) in [
            (ServedVersions::V1Alpha1, true, false),
            (ServedVersions::Both, true, true),
            (ServedVersions::V1Beta1, false, true),
        ] {
            assert_eq!(serves(served, "v1alpha1"), old, "{served}");
            assert_eq!(serves(served, "v1beta1"), new, "{served}");
        }
        let scale = "/apis/agents.x-k8s.io/v1alpha1/namespaces/a/sandboxes/b/scale";
        assert!(ObjectPath::parse(scale, ServedVersions::Both).is_some());
        let scale = scale.replace("v1alpha1", "v1beta1");
        assert!(ObjectPath::parse(&scale, ServedVersions::Both).is_none());
    }
}
