//! The `Table` form of objects, which `kubectl get` prints.

use std::sync::Arc;

use http::header::{ACCEPT, HeaderMap};
use http::{Response, StatusCode};

use super::super::controller::condition;
use super::super::http::{Body, json as answer};
use super::super::json::{Value, json};
use super::super::store::Object;
use super::view::View;

/// How much of each object a row carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Its metadata.
    Metadata,
    /// All of it.
    Object,
}

/// Whether a request prefers a table.
pub(super) fn wanted(headers: &HeaderMap) -> Option<Form> {
    let accept = headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let first = accept.split(',').next().unwrap_or_default();
    let table = first.contains("as=Table") && first.contains("g=meta.k8s.io");
    table.then_some(if first.contains("includeObject=Object") {
        Form::Object
    } else {
        Form::Metadata
    })
}

/// The answer with a table of objects.
pub(super) fn of_objects(
    view: View,
    objects: &[Arc<Object>],
    version: u64,
    form: Form,
) -> Response<Body> {
    answer(StatusCode::OK, &value(view, objects, version, form))
}

/// A table of objects.
pub(super) fn value(view: View, objects: &[Arc<Object>], version: u64, form: Form) -> Value {
    let mut columns = vec![json!({
        "name": "Name", "type": "string", "format": "name", "description": "", "priority": 0,
    })];
    columns.extend(view.columns().iter().map(|column| {
        json!({ "name": column.name, "type": "string", "format": "", "description": "",
            "priority": column.priority })
    }));
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let mut cells = vec![json!(object.name())];
            cells.extend(
                view.columns()
                    .iter()
                    .map(|column| cell(object, column.source)),
            );
            let shown = match form {
                Form::Object => view.value(object),
                Form::Metadata => json!({
                    "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                    "metadata": object.shown()["metadata"],
                }),
            };
            json!({ "cells": cells, "object": shown })
        })
        .collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1",
        "metadata": { "resourceVersion": version.to_string() },
        "columnDefinitions": columns, "rows": rows,
    })
}

fn cell(object: &Object, source: &str) -> Value {
    let value = &object.value;
    if let Some(pointer) = source.strip_prefix('/') {
        return value
            .pointer(&format!("/{pointer}"))
            .cloned()
            .unwrap_or(Value::Null);
    }
    match source {
        "age" => json!(age(value)),
        "node:status" => {
            json!(if super::super::controller::is_true(value, "Ready") {
                "Ready"
            } else {
                "NotReady"
            })
        }
        "pod:ready" => {
            let all = value["status"]["containerStatuses"].as_array();
            let ready = all
                .into_iter()
                .flatten()
                .filter(|one| one["ready"] == true)
                .count();
            let count = value["spec"]["containers"].as_array().map_or(0, Vec::len);
            json!(format!("{ready}/{count}"))
        }
        "pod:status" if object.is_deleting() => json!("Terminating"),
        "pod:status" => {
            let waiting = &value["status"]["containerStatuses"][0]["state"]["waiting"]["reason"];
            if waiting.is_string() {
                waiting.clone()
            } else {
                value["status"]["phase"].clone()
            }
        }
        "pod:restarts" => json!("0"),
        "service:ports" => {
            let ports = value["spec"]["ports"].as_array().into_iter().flatten();
            let ports: Vec<String> = ports.map(|port| format!("{}/TCP", port["port"])).collect();
            json!(ports.join(","))
        }
        "event:object" => {
            let about = &value["involvedObject"];
            let text = |field: &str| about[field].as_str().unwrap_or_default().to_owned();
            json!(format!("{}/{}", text("kind").to_lowercase(), text("name")))
        }
        _ => match source.split_once(':') {
            Some((name, field)) => {
                condition(value, name).map_or(Value::Null, |condition| condition[field].clone())
            }
            None => Value::Null,
        },
    }
}

/// The age of an object as `kubectl` writes it.
fn age(value: &Value) -> String {
    let created = value["metadata"]["creationTimestamp"]
        .as_str()
        .unwrap_or_default();
    let Ok(created) = created.parse::<jiff::Timestamp>() else {
        return "<unknown>".to_owned();
    };
    let seconds = jiff::Timestamp::now()
        .duration_since(created)
        .as_secs()
        .max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
