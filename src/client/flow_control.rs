//! [`FlowControl`]: under which of the API server's limits for requests the creating of claims falls.
//!
//! API servers share out their capacity by priority levels, to which flow schemas assign requests. A
//! level that is full makes requests wait and refuses them with 429, so that figures of a run show the
//! level and not the controller. Source: Kubernetes, API Priority and Fairness; the headers of answers.

use http::{HeaderMap, Method};
use serde::Deserialize;

use super::claim::CreateRequest;
use super::cluster::with_body;
use super::core::Client;
use super::create;
use super::error::{CreateError, KubeError, Operation, Verb};
use crate::api::metadata::{Metadata, ObjectList};

const FLOW_SCHEMA: &str = "x-kubernetes-pf-flowschema-uid";
const PRIORITY_LEVEL: &str = "x-kubernetes-pf-prioritylevel-uid";

/// Under which flow schema and priority level a request falls: by name, or by UID where names may not
/// be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowControl {
    /// The flow schema.
    pub flow_schema: String,
    /// The priority level.
    pub priority_level: String,
}

/// An object of any kind.
#[derive(Debug, Deserialize)]
struct Any {
    metadata: Metadata,
}

impl Client {
    /// Under which flow schema and priority level the creating of claims falls; `None` if the API
    /// server does not say. Sends the request as a dry run: nothing is created.
    ///
    /// # Errors
    /// [`CreateError`]: as of [`Client::create`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn flow_control(
        &self,
        request: CreateRequest,
    ) -> Result<Option<FlowControl>, CreateError> {
        let (claim, body) = create::prepare(self, request).await?;
        let claims = self.claims();
        let operation = claims.operation(Verb::Create, &claim);
        let target = format!("{}?dryRun=All", claims.path());
        let request = with_body(Method::POST, &target, body);
        let answered = self.api().headers(request, &operation).await;
        let headers = answered.map_err(|source| CreateError::Kube {
            claim,
            source: Box::new(source),
        })?;
        let (Some(flow_schema), Some(priority_level)) =
            (uid(&headers, FLOW_SCHEMA), uid(&headers, PRIORITY_LEVEL))
        else {
            return Ok(None);
        };
        Ok(Some(FlowControl {
            flow_schema: self.named("flowschemas", flow_schema).await,
            priority_level: self
                .named("prioritylevelconfigurations", priority_level)
                .await,
        }))
    }

    /// The name of what has this UID, or else the UID.
    async fn named(&self, plural: &str, uid: String) -> String {
        let operation = Operation {
            verb: Verb::List,
            resource: format!("{plural}.flowcontrol.apiserver.k8s.io"),
            namespace: String::new(),
            name: String::new(),
        };
        let path = format!("/apis/flowcontrol.apiserver.k8s.io/v1/{plural}");
        let listed: Result<ObjectList<Any>, KubeError> =
            self.api().document(&path, operation).await;
        let found = listed.ok().and_then(|list| {
            let mut all = list.items.into_iter().map(|one| one.metadata);
            all.find(|one| one.uid == uid)
        });
        found.map_or(uid, |found| found.name)
    }
}

fn uid(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    (!value.is_empty()).then(|| value.to_owned())
}
