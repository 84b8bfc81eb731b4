//! Discovery: versions, groups, resources, and just enough `OpenAPI` for `kubectl apply`.

use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, VARY};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::super::http::{Body, full, json as json_answer};
use super::super::served::ServedVersions;
use super::super::store::{KINDS, Scope};
use super::view::View;

/// What stands under a discovery path; `None` for every other path.
fn document(path: &str, served: ServedVersions) -> Option<Value> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        ["version"] => Some(version()),
        ["api"] => Some(json!({ "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [] })),
        ["apis"] => Some(json!({ "kind": "APIGroupList", "apiVersion": "v1",
            "groups": groups().into_iter().map(|name| group(name, served)).collect::<Vec<_>>() })),
        ["api", "v1"] => Some(resources("", &views("", "v1", served))),
        ["apis", name] => groups()
            .into_iter()
            .find(|found| found == name)
            .map(|name| group(name, served)),
        ["apis", name, version] => {
            let views = views(name, version, served);
            (!views.is_empty()).then(|| resources(name, &views))
        }
        ["openapi", "v3"] => Some(openapi_index(served)),
        ["openapi", "v3", "api", "v1"] => Some(openapi("", &views("", "v1", served))),
        ["openapi", "v3", "apis", name, version] => {
            let views = views(name, version, served);
            (!views.is_empty()).then(|| openapi(name, &views))
        }
        _ => None,
    }
}

/// The answer, in the aggregated form if the client prefers that.
pub(super) fn answer(
    path: &str,
    headers: &HeaderMap,
    served: ServedVersions,
) -> Option<Response<Body>> {
    if (path == "/api" || path == "/apis")
        && let Some(version) = aggregated_version(headers)
    {
        return Some(aggregated(path, version, served));
    }
    document(path, served).map(|value| json_answer(StatusCode::OK, &value))
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "33", "gitVersion": "v1.33.0+sandbench", "gitCommit": "loopback",
        "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none",
        "compiler": "rustc", "platform": "loopback/any",
    })
}

fn groups() -> Vec<&'static str> {
    let mut groups: Vec<&str> = Vec::new();
    for kind in KINDS.iter().filter(|kind| !kind.group.is_empty()) {
        if !groups.contains(&kind.group) {
            groups.push(kind.group);
        }
    }
    groups
}

/// The served versions of a group, newest first.
fn versions_of(group: &str, served: ServedVersions) -> Vec<&'static str> {
    let own = KINDS
        .iter()
        .find(|kind| kind.group == group)
        .map_or("v1", |kind| kind.version);
    served.of_group(group, own)
}

fn group(name: &str, served: ServedVersions) -> Value {
    let versions: Vec<Value> = versions_of(name, served)
        .into_iter()
        .map(|version| json!({ "groupVersion": format!("{name}/{version}"), "version": version }))
        .collect();
    json!({ "kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": versions,
        "preferredVersion": versions[0] })
}

/// The kinds of a group in one of its served versions.
fn views(group: &str, version: &str, served: ServedVersions) -> Vec<View> {
    let all = KINDS.iter().filter(|kind| kind.group == group);
    all.filter_map(|kind| {
        let served = served.of_group(group, kind.version);
        let version = served.into_iter().find(|served| *served == version)?;
        Some(View { kind, version })
    })
    .collect()
}

const VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

fn subresources(view: View) -> Vec<(&'static str, Vec<&'static str>)> {
    [
        ("status", vec!["get", "patch", "update"]),
        ("scale", vec!["get", "patch", "update"]),
        ("portforward", vec!["create", "get"]),
        ("log", vec!["get"]),
    ]
    .into_iter()
    .filter(|(name, _)| view.has_subresource(name))
    .collect()
}

fn resources(group: &str, views: &[View]) -> Value {
    let mut all = Vec::new();
    for view in views {
        let kind = view.kind;
        let namespaced = kind.scope == Scope::Namespaced;
        all.push(json!({
            "name": kind.plural, "singularName": kind.kind.to_lowercase(), "namespaced": namespaced,
            "kind": kind.kind, "verbs": VERBS, "shortNames": kind.short_names,
        }));
        for (name, verbs) in subresources(*view) {
            let (own_kind, extra) = if name == "scale" {
                ("Scale", json!({ "group": "autoscaling", "version": "v1" }))
            } else {
                (kind.kind, json!({}))
            };
            let mut resource = json!({
                "name": format!("{}/{name}", kind.plural), "singularName": "",
                "namespaced": namespaced, "kind": own_kind, "verbs": verbs,
            });
            json_patch::merge(&mut resource, &extra);
            all.push(resource);
        }
    }
    let version = views.first().map_or("v1", |view| view.version);
    let group_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version,
        "resources": all })
}

/// The newest aggregated form that the client lists, if any.
fn aggregated_version(headers: &HeaderMap) -> Option<&'static str> {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok())?;
    let lists = |version: &str| {
        accept.split(',').any(|form| {
            let has = |wanted: &str| form.split(';').any(|part| part.trim() == wanted);
            has("as=APIGroupDiscoveryList") && has(&format!("v={version}"))
        })
    };
    ["v2", "v2beta1"].into_iter().find(|version| lists(version))
}

fn aggregated(path: &str, version: &'static str, served: ServedVersions) -> Response<Body> {
    let groups = if path == "/api" { vec![""] } else { groups() };
    let items: Vec<Value> = groups
        .into_iter()
        .map(|group| {
            let versions = versions_of(group, served).into_iter().map(|version| {
                let views = views(group, version, served);
                let resources: Vec<Value> = views.into_iter().map(aggregated_resource).collect();
                json!({ "version": version, "freshness": "Current", "resources": resources })
            });
            let versions: Vec<Value> = versions.collect();
            json!({ "metadata": { "name": group, "creationTimestamp": null },
                "versions": versions })
        })
        .collect();
    let body = json!({ "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {}, "items": items });
    let mut response = Response::new(full(body.to_string()));
    let content_type = match version {
        "v2" => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        _ => "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
    };
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("Accept"));
    response
}

fn aggregated_resource(view: View) -> Value {
    let kind = view.kind;
    let gvk = |group: &str, version: &str, kind: &str| json!({ "group": group, "version": version, "kind": kind });
    let subresources: Vec<Value> = subresources(view)
        .into_iter()
        .map(|(name, verbs)| {
            let response = if name == "scale" {
                gvk("autoscaling", "v1", "Scale")
            } else {
                gvk(kind.group, view.version, kind.kind)
            };
            json!({ "subresource": name, "responseKind": response, "verbs": verbs })
        })
        .collect();
    json!({
        "resource": kind.plural, "responseKind": gvk(kind.group, view.version, kind.kind),
        "scope": if kind.scope == Scope::Namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.kind.to_lowercase(), "verbs": VERBS,
        "shortNames": kind.short_names, "subresources": subresources,
    })
}

fn openapi_index(served: ServedVersions) -> Value {
    let mut paths = json!({ "api/v1": { "serverRelativeURL": "/openapi/v3/api/v1?hash=1" } });
    for name in groups() {
        for version in versions_of(name, served) {
            let path = format!("apis/{name}/{version}");
            paths[&path] = json!({ "serverRelativeURL": format!("/openapi/v3/{path}?hash=1") });
        }
    }
    json!({ "paths": paths })
}

/// A document in which every kind exists and takes any field.
fn openapi(group: &str, views: &[View]) -> Value {
    let version = views.first().map_or("v1", |view| view.version);
    let mut paths = json!({});
    let mut schemas = json!({});
    let root = if group.is_empty() {
        "/api/v1".to_owned()
    } else {
        format!("/apis/{group}/{version}")
    };
    for View { kind, .. } in views {
        let scope = if kind.scope == Scope::Namespaced {
            "/namespaces/{namespace}"
        } else {
            ""
        };
        let gvk = json!({ "group": group, "version": version, "kind": kind.kind });
        let parameter = |name: &str| json!({ "name": name, "in": "query", "schema": { "type": "string", "uniqueItems": true } });
        let operation = json!({
            "x-kubernetes-group-version-kind": gvk,
            "parameters": [parameter("fieldValidation"), parameter("dryRun"), parameter("fieldManager")],
            "responses": { "200": { "description": "OK" } },
        });
        paths[format!("{root}{scope}/{}/{{name}}", kind.plural)] = json!({ "patch": operation });
        schemas[format!("loopback.{}.{version}", kind.kind)] = json!({
            "type": "object", "x-kubernetes-group-version-kind": [gvk],
            "x-kubernetes-preserve-unknown-fields": true,
        });
    }
    json!({
        "openapi": "3.0.0", "info": { "title": "Kubernetes", "version": "v1.33.0" },
        "paths": paths, "components": { "schemas": schemas },
    })
}
