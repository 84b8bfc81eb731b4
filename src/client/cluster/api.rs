//! Requests to the API server: get, list, create, delete. Each has one deadline, and so can many
//! have together.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, header};
use kube::client::Body;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::{Instant, timeout};

use super::answer::{collect, decode, failure, transport};
use super::collection::{Collection, Selector};
use super::shards::Shards;
use crate::api::metadata::ObjectList;
use crate::client::encode;
use crate::client::error::{KubeError, Operation, Verb};
use crate::client::retry::Retrier;
use crate::client::tasks::Tasks;

/// Objects per page of a list.
const PAGE: usize = 500;

/// Connections to the API server, and the tasks that they belong to.
pub(in crate::client) struct Connections {
    /// For requests.
    pub(in crate::client) requests: Shards,
    /// For watches, which share nothing with requests.
    pub(in crate::client) watches: kube::Client,
    /// For port-forwards: each upgrades a connection of its own.
    pub(in crate::client) upgrades: kube::Client,
    /// They end with these.
    pub(in crate::client) tasks: Tasks,
}

/// Access to the API server. Cheap to clone.
#[derive(Clone)]
pub(in crate::client) struct Api {
    connections: Arc<Connections>,
    server: Arc<str>,
    retrier: Arc<Retrier>,
    /// For one request with all its attempts.
    request_time: Duration,
    /// For all requests together.
    until: Option<Instant>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api")
            .field("server", &self.server)
            .field("request_time", &self.request_time)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

impl Api {
    /// Requests go over these connections.
    pub(in crate::client) fn new(
        connections: Connections,
        request_time: Duration,
        server: &str,
        retrier: &Arc<Retrier>,
    ) -> Self {
        Self {
            connections: Arc::new(connections),
            server: server.into(),
            retrier: Arc::clone(retrier),
            request_time,
            until: None,
        }
    }

    /// The same, with requests over these HTTP/2 connections and watches over the first of them, if
    /// the API server speaks that; else as it is.
    pub(in crate::client) async fn over_http2(self, mut clients: Vec<kube::Client>) -> Self {
        let watches = clients.remove(0);
        let asked = watches.send(plain(Method::GET, "/version").map(Body::from));
        match timeout(self.time_left(), asked).await {
            Ok(Ok(_)) => {
                let connections = Connections {
                    requests: Shards::new(clients),
                    watches,
                    upgrades: self.connections.upgrades.clone(),
                    tasks: self.connections.tasks.clone(),
                };
                Self {
                    connections: Arc::new(connections),
                    ..self
                }
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "the API server does not speak HTTP/2");
                self
            }
            Err(_) => self,
        }
    }

    /// The same, all of whose requests together end by then.
    pub(in crate::client) fn until(&self, deadline: Instant) -> Self {
        let mut api = self.clone();
        api.until = Some(deadline);
        api
    }

    /// How long a request that begins now may take.
    pub(super) fn time_left(&self) -> Duration {
        self.until.map_or(self.request_time, |until| {
            let left = until.saturating_duration_since(Instant::now());
            self.request_time.min(left)
        })
    }

    pub(super) fn requests(&self) -> &Shards {
        &self.connections.requests
    }

    pub(super) fn tasks(&self) -> &Tasks {
        &self.connections.tasks
    }

    pub(super) fn retrier(&self) -> &Retrier {
        &self.retrier
    }

    /// Address of the API server.
    pub(in crate::client) fn server(&self) -> &str {
        &self.server
    }

    /// The client for port-forwards.
    pub(in crate::client) fn upgrades(&self) -> &kube::Client {
        &self.connections.upgrades
    }

    /// Reads one object.
    pub(in crate::client) async fn get<T: DeserializeOwned>(
        &self,
        from: &Collection,
        name: &str,
    ) -> Result<T, KubeError> {
        let operation = from.operation(Verb::Get, name);
        let request = plain(Method::GET, &from.object_path(name));
        let body = self.answer(request, &operation).await?;
        decode(&body, operation)
    }

    /// Reads all objects that match, page by page, as one list.
    pub(in crate::client) async fn list<T: DeserializeOwned>(
        &self,
        from: &Collection,
        selector: Option<&Selector>,
    ) -> Result<ObjectList<T>, KubeError> {
        let mut whole: Option<ObjectList<T>> = None;
        let mut next = String::new();
        loop {
            let page: ObjectList<T> = self.page(from, selector, &next).await?;
            next.clone_from(&page.metadata.continue_token);
            match &mut whole {
                None => whole = Some(page),
                Some(list) => {
                    list.items.extend(page.items);
                    list.metadata = page.metadata;
                }
            }
            if next.is_empty()
                && let Some(list) = whole
            {
                return Ok(list);
            }
        }
    }

    /// Reads one page of the objects that match, from where the token says.
    pub(in crate::client) async fn page<T: DeserializeOwned>(
        &self,
        from: &Collection,
        selector: Option<&Selector>,
        token: &str,
    ) -> Result<ObjectList<T>, KubeError> {
        let operation = from.operation(Verb::List, selector.map_or("", Selector::name));
        let mut target = format!("{}?limit={PAGE}", from.path());
        if let Some(selector) = selector {
            target = format!("{target}&{}", selector.query());
        }
        if !token.is_empty() {
            target = format!("{target}&continue={}", encode::component(token));
        }
        let body = self.answer(plain(Method::GET, &target), &operation).await?;
        decode(&body, operation)
    }

    /// Makes an object.
    pub(in crate::client) async fn create<T: DeserializeOwned>(
        &self,
        into: &Collection,
        name: &str,
        body: Vec<u8>,
    ) -> Result<T, KubeError> {
        let operation = into.operation(Verb::Create, name);
        let request = with_body(Method::POST, &into.path(), body);
        let body = self.answer(request, &operation).await?;
        decode(&body, operation)
    }

    /// Asks a question that is posted and not kept, such as an access review.
    pub(in crate::client) async fn review<T: DeserializeOwned>(
        &self,
        path: &str,
        question: &serde_json::Value,
        operation: &Operation,
    ) -> Result<T, KubeError> {
        let request = with_body(Method::POST, path, question.to_string().into_bytes());
        let body = self.answer(request, operation).await?;
        decode(&body, operation.clone())
    }

    /// Removes an object, in the background. With a UID, only if it still has that UID.
    pub(in crate::client) async fn delete(
        &self,
        from: &Collection,
        name: &str,
        uid: Option<&str>,
    ) -> Result<(), KubeError> {
        let operation = from.operation(Verb::Delete, name);
        let target = from.object_path(name);
        let request = match uid {
            None => plain(Method::DELETE, &target),
            Some(uid) => {
                let options = json!({
                    "kind": "DeleteOptions",
                    "apiVersion": "v1",
                    "preconditions": {"uid": uid},
                });
                with_body(Method::DELETE, &target, options.to_string().into_bytes())
            }
        };
        self.answer(request, &operation).await.map(drop)
    }

    /// Removes all objects that match.
    pub(in crate::client) async fn delete_collection(
        &self,
        from: &Collection,
        selector: &Selector,
    ) -> Result<(), KubeError> {
        let operation = from.operation(Verb::DeleteCollection, "");
        let target = format!("{}?{}", from.path(), selector.query());
        self.answer(plain(Method::DELETE, &target), &operation)
            .await
            .map(drop)
    }

    /// Reads a document that is not an object of a collection, such as discovery.
    pub(in crate::client) async fn document<T: DeserializeOwned>(
        &self,
        path: &str,
        operation: Operation,
    ) -> Result<T, KubeError> {
        let body = self.answer(plain(Method::GET, path), &operation).await?;
        decode(&body, operation)
    }

    /// Opens a stream: the answer's body, once its status is a success.
    pub(in crate::client) async fn stream(
        &self,
        target: &str,
        operation: &Operation,
    ) -> Result<Body, KubeError> {
        let limit = self.time_left();
        let opened = timeout(limit, async {
            let request = plain(Method::GET, target).map(Body::from);
            let response = self
                .connections
                .watches
                .send(request)
                .await
                .map_err(|error| transport(error, operation))?;
            let status = response.status();
            if status.is_success() {
                return Ok(response.into_body());
            }
            let body = collect(response.into_body(), operation).await?;
            Err(failure(status, None, &body, operation))
        });
        self.within(limit, opened.await, operation)
    }
}

/// A request without a body.
fn plain(method: Method, target: &str) -> Request<Vec<u8>> {
    Request::builder()
        .method(method)
        .uri(target)
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, crate::client::USER_AGENT)
        .body(Vec::new())
        .expect("targets are percent-encoded")
}

/// A request with a JSON body.
pub(super) fn with_body(method: Method, target: &str, body: Vec<u8>) -> Request<Vec<u8>> {
    let mut request = plain(method, target).map(|_| body);
    request.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    request
}
