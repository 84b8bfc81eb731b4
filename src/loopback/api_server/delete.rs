//! Deletions, of one object or of all that match.

use http::{Response, StatusCode};

use super::super::http::{Body, json as answer, with_type};
use super::super::json::json;
use super::super::store::{DeleteOptions, Deleted, Selector, StoreError};
use super::Server;
use super::object_path::ObjectPath;
use super::request::Query;
use super::status::Refusal;
use super::watch;

impl Server {
    pub(super) fn delete(
        &self,
        target: &ObjectPath,
        query: &Query,
        options: &DeleteOptions,
    ) -> Result<Response<Body>, Refusal> {
        let place = (target.namespace.as_str(), target.name.as_str());
        if query.is_dry_run() {
            let found = self.store.get(target.kind, place.0, place.1);
            let object = found.ok_or_else(|| Refusal::not_found(target))?;
            return Ok(with_type(
                StatusCode::OK,
                "application/json",
                target.view.text(&object),
            ));
        }
        let deleted = self
            .store
            .delete(target.kind, place, options)
            .map_err(|error| Refusal::from_store(&error, target, None))?;
        Ok(match deleted {
            Deleted::Lingering(object) => with_type(
                StatusCode::OK,
                "application/json",
                target.view.text(&object),
            ),
            Deleted::Gone(object) => answer(
                StatusCode::OK,
                &json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                    "details": { "name": object.name(), "group": target.kind.group,
                        "kind": target.kind.plural, "uid": object.uid() },
                }),
            ),
        })
    }

    pub(super) fn delete_collection(
        &self,
        target: &ObjectPath,
        query: &Query,
        options: &DeleteOptions,
    ) -> Result<Response<Body>, Refusal> {
        let selector: Selector = query.selector(target.kind)?;
        let (objects, version) = self
            .store
            .list(target.kind, target.namespace_filter(), &selector);
        if !query.is_dry_run() {
            for object in &objects {
                match self
                    .store
                    .delete(target.kind, (object.namespace(), object.name()), options)
                {
                    Ok(_) | Err(StoreError::NotFound) => {}
                    Err(error) => return Err(Refusal::from_store(&error, target, None)),
                }
            }
        }
        Ok(watch::list(target.view, &objects, version))
    }
}
