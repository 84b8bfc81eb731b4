//! For tests of the loopback cluster: one HTTP call on a connection of its own, and a cluster whose
//! objects are waited for by their events.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::controller::{condition, is_true};
use super::json::{Value, json};
use super::store::{DeleteOptions, Object, Part, Selector, Store, kind};
use super::{Cluster, ClusterConfig, Leftovers};

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap().to_str().unwrap()
    }
}

/// A request; the path goes out as it is.
pub(crate) fn request(method: Method, path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "sandbox.test")
        .body(Full::new(body.into()))
        .unwrap()
}

pub(crate) fn get(path: &str) -> Request<Full<Bytes>> {
    request(Method::GET, path, "")
}

/// `POST /execute` for a command.
pub(crate) fn execute(command: &str) -> Request<Full<Bytes>> {
    let body = serde_json::json!({ "command": command }).to_string();
    let mut request = request(Method::POST, "/execute", body);
    let json = "application/json".parse().unwrap();
    request.headers_mut().insert("content-type", json);
    request
}

/// Sends the request and reads the answer to its end.
pub(crate) async fn call(
    server: SocketAddr,
    request: Request<Full<Bytes>>,
) -> Result<Reply, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let response: Response<_> = sender.send_request(request).await?;
    let (head, body) = response.into_parts();
    Ok(Reply {
        status: head.status,
        headers: head.headers,
        body: body.collect().await?.to_bytes(),
    })
}

/// A cluster with a template `python` in `default`, and what tests do with its objects.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) store: Store,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(ClusterConfig::default()).await
    }

    pub(crate) async fn start_with(config: ClusterConfig) -> Self {
        let cluster = Cluster::start(config).await.unwrap();
        let store = cluster.store().clone();
        let world = Self { cluster, store };
        world.template("python", &json!({}), &json!({}));
        world
    }

    /// A template with annotations on its pods and further fields in its spec.
    pub(crate) fn template(&self, name: &str, annotations: &Value, fields: &Value) {
        let mut spec = json!({ "podTemplate": {
            "metadata": { "annotations": annotations, "labels": { "team": "a" } },
            "spec": { "containers": [{ "name": "main", "image": "python",
                "ports": [{ "containerPort": 8888 }] }] },
        } });
        for (field, value) in fields.as_object().into_iter().flatten() {
            spec[field.as_str()] = value.clone();
        }
        self.create(
            "SandboxTemplate",
            json!({ "metadata": { "name": name }, "spec": spec }),
        );
    }

    pub(crate) fn pool(&self, name: &str, template: &str, replicas: u32) {
        let spec = json!({ "replicas": replicas, "sandboxTemplateRef": { "name": template } });
        self.create(
            "SandboxWarmPool",
            json!({ "metadata": { "name": name }, "spec": spec }),
        );
    }

    /// A claim on a pool with further fields in its spec.
    pub(crate) fn claim(&self, name: &str, pool: &str, fields: &Value) -> Arc<Object> {
        let mut spec = json!({ "warmPoolRef": { "name": pool } });
        for (field, value) in fields.as_object().into_iter().flatten() {
            spec[field.as_str()] = value.clone();
        }
        self.create(
            "SandboxClaim",
            json!({ "metadata": { "name": name }, "spec": spec }),
        )
    }

    pub(crate) fn create(&self, kind_name: &str, value: Value) -> Arc<Object> {
        self.store
            .create(kind(kind_name), "default", value)
            .unwrap()
    }

    pub(crate) fn get(&self, kind_name: &str, name: &str) -> Option<Arc<Object>> {
        self.store.get(kind(kind_name), "default", name)
    }

    pub(crate) fn change(&self, kind_name: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let place = ("default", name);
        let changed = self
            .store
            .update(kind(kind_name), place, Part::Main, |value| {
                change(value);
                Ok(())
            });
        changed.unwrap();
    }

    pub(crate) fn delete(&self, kind_name: &str, name: &str) {
        let options = DeleteOptions::default();
        self.store
            .delete(kind(kind_name), ("default", name), &options)
            .unwrap();
    }

    pub(crate) fn names(&self, kind_name: &str) -> Vec<String> {
        let all = Selector::default();
        let (objects, _) = self.store.list(kind(kind_name), Some("default"), &all);
        objects
            .iter()
            .map(|object| object.name().to_owned())
            .collect()
    }

    /// Waits until an object is as wanted. Fails after a time that no cluster without delays needs.
    pub(crate) async fn until(
        &self,
        kind_name: &str,
        name: &str,
        wanted: impl Fn(Option<&Value>) -> bool,
    ) -> Option<Arc<Object>> {
        let mut events = self.store.watch(kind(kind_name), 0).unwrap();
        let waiting = async {
            loop {
                let object = self.get(kind_name, name);
                if wanted(object.as_deref().map(|object| &object.value)) {
                    return object;
                }
                events.next().await.unwrap();
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        waited.unwrap_or_else(|_| panic!("{kind_name} {name} is {:#?}", self.get(kind_name, name)))
    }

    pub(crate) async fn until_ready(&self, kind_name: &str, name: &str) -> Arc<Object> {
        let ready = |value: Option<&Value>| value.is_some_and(|value| is_true(value, "Ready"));
        self.until(kind_name, name, ready).await.unwrap()
    }

    pub(crate) async fn until_reason(&self, kind_name: &str, name: &str, reason: &str) -> Value {
        let has = |value: Option<&Value>| {
            value
                .and_then(|value| condition(value, "Ready"))
                .is_some_and(|c| c["reason"] == reason)
        };
        let object = self.until(kind_name, name, has).await.unwrap();
        condition(&object.value, "Ready").unwrap().clone()
    }

    pub(crate) async fn until_gone(&self, kind_name: &str, name: &str) {
        self.until(kind_name, name, |value| value.is_none()).await;
    }

    pub(crate) async fn pool_is_ready(&self, name: &str, replicas: u64) {
        let full = |value: Option<&Value>| {
            value.is_some_and(|value| {
                value["status"]["readyReplicas"] == replicas
                    && value["status"]["replicas"] == replicas
            })
        };
        self.until("SandboxWarmPool", name, full).await;
    }

    /// Ends the cluster and checks that nothing is left.
    pub(crate) async fn end(self) {
        assert_eq!(self.cluster.shutdown().await, Leftovers::default());
    }
}
