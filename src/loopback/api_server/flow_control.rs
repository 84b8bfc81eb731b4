//! Priority and fairness: which flow schema and priority level a request falls under, as the headers of
//! every answer say. The loopback API server has one of each and holds nobody back.

use http::header::HeaderName;
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::{Value, json};

use super::Body;
use super::answer;

const FLOW_SCHEMA: HeaderName = HeaderName::from_static("x-kubernetes-pf-flowschema-uid");
const PRIORITY_LEVEL: HeaderName = HeaderName::from_static("x-kubernetes-pf-prioritylevel-uid");
const FLOW_SCHEMA_UID: &str = "6c6f6f70-6261-636b-0000-000000000001";
const PRIORITY_LEVEL_UID: &str = "6c6f6f70-6261-636b-0000-000000000002";
const GROUP: &str = "/apis/flowcontrol.apiserver.k8s.io/v1/";

/// Says in an answer what the request fell under.
pub(super) fn mark(response: &mut Response<Body>) {
    let headers = response.headers_mut();
    headers.insert(FLOW_SCHEMA, HeaderValue::from_static(FLOW_SCHEMA_UID));
    headers.insert(PRIORITY_LEVEL, HeaderValue::from_static(PRIORITY_LEVEL_UID));
}

/// The answer to a question about flow schemas or priority levels, if it is one.
pub(super) fn read(method: &Method, path: &str) -> Option<Response<Body>> {
    if method != Method::GET {
        return None;
    }
    let (kind, name, uid) = match path.strip_prefix(GROUP)? {
        "flowschemas" => ("FlowSchema", "loopback", FLOW_SCHEMA_UID),
        "prioritylevelconfigurations" => (
            "PriorityLevelConfiguration",
            "loopback-level",
            PRIORITY_LEVEL_UID,
        ),
        _ => return None,
    };
    Some(answer(StatusCode::OK, &list(kind, name, uid)))
}

fn list(kind: &str, name: &str, uid: &str) -> Value {
    json!({
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": format!("{kind}List"),
        "metadata": { "resourceVersion": "1" },
        "items": [{ "metadata": { "name": name, "uid": uid }, "spec": {} }],
    })
}
