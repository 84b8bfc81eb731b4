//! The Kubernetes API server: TLS, a token made for each run, and the paths that clients ask for.
//!
//! Every refusal is a `Status` object whose code is the HTTP status, as clients expect.

mod body;
mod delete;
mod discovery;
mod flow_control;
mod object_path;
mod patch;
mod port_forward;
mod request;
mod spdy;
mod status;
mod table;
mod validate;
mod view;
mod watch;

use http::header::WARNING;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::fault::{Faults, Server as FaultyServer};
use super::http::{Body, Lifetime, json as answer, serve, with_type};
use super::json::{Value, json};
use super::served::ServedVersions;
use super::store::{Part, Store, StoreError};
use super::token::{Shown, Token};
use body::{body_of, delete_options, raw_body_of, review};
use object_path::{ObjectPath, Verb};
use request::Query;
use status::Refusal;

use view::View;
pub(super) use watch::Watches;

/// What all requests share.
#[derive(Debug, Clone)]
struct Server {
    store: Store,
    token: Token,
    served: ServedVersions,
    watches: Watches,
    lifetime: Lifetime,
}

/// Serves the API on `listener`.
pub(super) fn start(
    listener: TcpListener,
    tls: TlsAcceptor,
    (store, served): (Store, ServedVersions),
    token: Token,
    (faults, lifetime): (&Faults, &Lifetime),
) -> Watches {
    let server = Server {
        store,
        token,
        served,
        watches: Watches::default(),
        lifetime: lifetime.clone(),
    };
    let watches = server.watches.clone();
    let handler = move |request| {
        let server = server.clone();
        async move { server.handle(request).await }
    };
    let handler = faults.around(FaultyServer::Api, handler);
    serve(listener, Some(tls), handler, lifetime);
    watches
}

impl Server {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        if ["/healthz", "/livez", "/readyz"].contains(&path.as_str()) {
            return with_type(StatusCode::OK, "text/plain; charset=utf-8", "ok");
        }
        let answered = if self.is_authorized(&request) {
            self.route(request, &path).await
        } else {
            Err(Refusal::unauthorized())
        };
        let mut response = answered.unwrap_or_else(Refusal::into_response);
        flow_control::mark(&mut response);
        response
    }

    fn is_authorized(&self, request: &Request<Incoming>) -> bool {
        self.token.admits(request.headers()) == Shown::Right
    }

    async fn route(
        &self,
        request: Request<Incoming>,
        path: &str,
    ) -> Result<Response<Body>, Refusal> {
        if let Some(found) = discovery::answer(path, request.headers(), self.served) {
            return Ok(found);
        }
        if let Some(found) = flow_control::read(request.method(), path) {
            return Ok(found);
        }
        if path.starts_with("/apis/authorization.k8s.io/") && request.method() == Method::POST {
            return review(request).await;
        }
        let target =
            ObjectPath::parse(path, self.served).ok_or_else(|| Refusal::no_such_path(path))?;
        let query = Query::parse(request.uri().query().unwrap_or_default());
        match (
            target.subresource.as_deref(),
            target.verb(request.method(), &query),
        ) {
            (Some("portforward"), _) => {
                port_forward::upgrade(&self.store, &target, request, &self.lifetime)
            }
            (Some("log"), Some(Verb::Get)) => Ok(with_type(
                StatusCode::OK,
                "text/plain",
                "the loopback cluster keeps no logs\n",
            )),
            (Some("status" | "scale") | None, Some(verb)) => {
                let served = self.serve_verb(verb, &target, &query, request).await;
                served.map(|response| self.with_warning(response, target.view))
            }
            _ => Err(Refusal::method_not_allowed()),
        }
    }

    /// Servers of both versions warn of the old one.
    fn with_warning(&self, mut response: Response<Body>, view: View) -> Response<Body> {
        if view.is_old() && self.served == ServedVersions::Both {
            let (group, kind) = (view.kind.group, view.kind.kind);
            let text = format!(
                "299 - \"{group}/v1alpha1 {kind} is deprecated; use {group}/v1beta1 {kind} instead\""
            );
            if let Ok(text) = text.parse() {
                response.headers_mut().insert(WARNING, text);
            }
        }
        response
    }

    async fn serve_verb(
        &self,
        verb: Verb,
        target: &ObjectPath,
        query: &Query,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Refusal> {
        let table = table::wanted(request.headers());
        match verb {
            Verb::Get => {
                let object = self
                    .store
                    .get(target.kind, &target.namespace, &target.name)
                    .ok_or_else(|| Refusal::not_found(target))?;
                if target.subresource.as_deref() == Some("scale") {
                    let shown = target.view.value(&object);
                    return Ok(answer(StatusCode::OK, &validate::scale(&shown)));
                }
                Ok(match table {
                    Some(form) => table::of_objects(
                        target.view,
                        std::slice::from_ref(&object),
                        object.version,
                        form,
                    ),
                    None => with_type(
                        StatusCode::OK,
                        "application/json",
                        target.view.text(&object),
                    ),
                })
            }
            Verb::List => {
                let selector = query.selector(target.kind)?;
                let (objects, version) =
                    self.store
                        .list(target.kind, target.namespace_filter(), &selector);
                if let Some(wanted) = query.resource_version()?
                    && wanted > version
                {
                    return Err(Refusal::too_new(wanted, version));
                }
                Ok(match table {
                    Some(form) => table::of_objects(target.view, &objects, version, form),
                    None => watch::list(target.view, &objects, version),
                })
            }
            Verb::Watch => {
                let around = (&self.watches, &self.lifetime.stop);
                watch::start(&self.store, target, query, table, around)
            }
            Verb::Create => {
                let body = body_of(request).await?;
                self.create(target, query, body)
            }
            Verb::Update => {
                let body = body_of(request).await?;
                self.update(target, query, body)
            }
            Verb::Patch => {
                let content_type = patch::Kind::of(request.headers(), target.kind)?;
                let body = body_of(request).await?;
                self.patch(target, query, content_type, &body)
            }
            Verb::Delete => {
                let options = delete_options(query, &raw_body_of(request).await?)?;
                self.delete(target, query, &options)
            }
            Verb::DeleteCollection => {
                let options = delete_options(query, &raw_body_of(request).await?)?;
                self.delete_collection(target, query, &options)
            }
        }
    }

    fn create(
        &self,
        target: &ObjectPath,
        query: &Query,
        mut value: Value,
    ) -> Result<Response<Body>, Refusal> {
        validate::matches_path(target, &value)?;
        target.view.take_in(&mut value, query)?;
        validate::new_object(target.kind, &mut value, query)?;
        if query.is_dry_run() {
            target.view.show(&mut value);
            return Ok(answer(StatusCode::CREATED, &value));
        }
        let created = self
            .store
            .create(target.kind, &target.namespace, value.clone())
            .map_err(|error| Refusal::from_store(&error, target, Some(&value)))?;
        Ok(with_type(
            StatusCode::CREATED,
            "application/json",
            target.view.text(&created),
        ))
    }

    fn update(
        &self,
        target: &ObjectPath,
        query: &Query,
        mut value: Value,
    ) -> Result<Response<Body>, Refusal> {
        validate::matches_path(target, &value)?;
        if target.kind.is_custom()
            && value["metadata"]["resourceVersion"]
                .as_str()
                .unwrap_or_default()
                .is_empty()
        {
            return Err(Refusal::invalid(
                target,
                "metadata.resourceVersion",
                "Invalid value: 0x0: must be specified for an update",
            ));
        }
        if target.subresource.as_deref() == Some("scale") {
            return self.scale(target, query, &value);
        }
        target.view.take_in(&mut value, query)?;
        if target.part() == Part::Main {
            validate::new_object(target.kind, &mut value, query)?;
        }
        self.write(target, query, |stored| {
            *stored = value;
            Ok(())
        })
    }

    fn patch(
        &self,
        target: &ObjectPath,
        query: &Query,
        kind: patch::Kind,
        body: &Value,
    ) -> Result<Response<Body>, Refusal> {
        let exists = self
            .store
            .get(target.kind, &target.namespace, &target.name)
            .is_some();
        if kind == patch::Kind::Apply && !exists && target.subresource.is_none() {
            return self.create(target, query, body.clone());
        }
        if target.subresource.as_deref() == Some("scale") {
            return self.scale(target, query, body);
        }
        self.write(target, query, |stored| {
            target.view.show(stored);
            kind.apply(stored, body)?;
            target.view.take_in(stored, query)?;
            validate::patched(target.kind, stored, query)
        })
    }

    fn scale(
        &self,
        target: &ObjectPath,
        query: &Query,
        wanted: &Value,
    ) -> Result<Response<Body>, Refusal> {
        let scaled = json!({ "spec": { "replicas": wanted["spec"]["replicas"] } });
        self.write(target, query, |stored| {
            target.view.show(stored);
            patch::merge(stored, &scaled);
            target.view.take_in(stored, query)?;
            validate::patched(target.kind, stored, query)
        })
    }

    fn write(
        &self,
        target: &ObjectPath,
        query: &Query,
        change: impl FnOnce(&mut Value) -> Result<(), Refusal>,
    ) -> Result<Response<Body>, Refusal> {
        let place = (target.namespace.as_str(), target.name.as_str());
        if query.is_dry_run() {
            let stored = self.store.get(target.kind, place.0, place.1);
            let mut value = stored.ok_or_else(|| Refusal::not_found(target))?.shown();
            change(&mut value)?;
            target.view.show(&mut value);
            return Ok(answer(StatusCode::OK, &value));
        }
        let mut refused = None;
        let written = self
            .store
            .replace(target.kind, place, target.part(), |old| {
                let mut value = old.shown();
                let changed = change(&mut value);
                let volumes = &old.value["spec"]["volumeClaimTemplates"];
                let allowed =
                    changed.and_then(|()| validate::volumes_stay(target, volumes, &value));
                allowed.map(|()| value).map_err(|refusal| {
                    refused = Some(refusal);
                    StoreError::BadRequest(String::new())
                })
            });
        if let Some(refusal) = refused {
            return Err(refusal);
        }
        let written = written.map_err(|error| Refusal::from_store(&error, target, None))?;
        if target.subresource.as_deref() == Some("scale") {
            return Ok(answer(
                StatusCode::OK,
                &validate::scale(&target.view.value(&written)),
            ));
        }
        Ok(with_type(
            StatusCode::OK,
            "application/json",
            target.view.text(&written),
        ))
    }
}
