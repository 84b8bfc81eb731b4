//! Templates: made, read and deleted.
//!
//! What a template is to hold is passed on as it is, since most of it is a Pod's. Source: the
//! custom resource definitions of kubernetes-sigs/agent-sandbox.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::core::Client;
use super::delete::Deleted;
use super::error::ManageError;
use super::manage::{Kind, NewObject};
use crate::api::template::SandboxTemplate;

/// A template to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateRequest {
    /// Its name, a DNS label.
    pub name: String,
    /// Its labels. Default: none, besides the run's.
    pub labels: BTreeMap<String, String>,
    /// `podTemplate`: an object with `spec` and, if need be, `metadata`, as in Kubernetes.
    pub pod_template: Value,
    /// Whether sandboxes get a Service, and so a name in the cluster. Default: as the controller
    /// sees fit, which is none.
    pub service: Service,
    /// Other fields of `spec` as they stand on the wire, for example `networkPolicyManagement` or
    /// `envVarsInjectionPolicy`. The fields above win. Default: none.
    pub other: Map<String, Value>,
}

/// Whether sandboxes of a template get a headless Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Service {
    /// Not said: none is made, one that exists is kept.
    #[default]
    Unset,
    /// They get one.
    Headless,
    /// They get none.
    None,
}

impl TemplateRequest {
    /// A template with this `podTemplate`.
    pub fn new(name: impl Into<String>, pod_template: Value) -> Self {
        Self {
            name: name.into(),
            labels: BTreeMap::new(),
            pod_template,
            service: Service::Unset,
            other: Map::new(),
        }
    }

    fn spec(&mut self) -> Value {
        let mut spec = std::mem::take(&mut self.other);
        spec.insert("podTemplate".to_owned(), self.pod_template.take());
        match self.service {
            Service::Unset => {}
            Service::Headless => drop(spec.insert("service".to_owned(), Value::Bool(true))),
            Service::None => drop(spec.insert("service".to_owned(), Value::Bool(false))),
        }
        Value::Object(spec)
    }
}

/// A template as the API server tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What it holds, as it stands on the wire.
    pub spec: Value,
}

impl From<SandboxTemplate> for Template {
    fn from(template: SandboxTemplate) -> Self {
        Self {
            name: template.metadata.name,
            uid: template.metadata.uid,
            labels: template.metadata.labels,
            spec: template.spec,
        }
    }
}

impl Client {
    /// Makes a template.
    ///
    /// ```no_run
    /// # async fn example(client: sandbench::client::Client)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// use sandbench::client::TemplateRequest;
    /// use serde_json::json;
    ///
    /// let pod = json!({"spec": {"containers": [{"name": "runtime", "image": "python-runtime"}]}});
    /// client.create_template(TemplateRequest::new("python-template", pod)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ManageError`].
    ///
    /// # Cancel safety
    /// If dropped, the template may exist.
    pub async fn create_template(
        &self,
        mut request: TemplateRequest,
    ) -> Result<Template, ManageError> {
        let spec = request.spec();
        let new = NewObject {
            name: request.name,
            labels: request.labels,
            spec,
        };
        let made: SandboxTemplate = self.template_kind().create(self, new).await?;
        Ok(made.into())
    }

    /// Reads a template.
    ///
    /// # Errors
    /// [`ManageError`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn template(&self, name: &str) -> Result<Template, ManageError> {
        let found: SandboxTemplate = self.template_kind().get(self, name).await?;
        Ok(found.into())
    }

    /// Reads all templates whose labels match a selector such as `team=a`; all if `None`.
    ///
    /// # Errors
    /// [`ManageError`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn list_templates(&self, labels: Option<&str>) -> Result<Vec<Template>, ManageError> {
        let found: Vec<SandboxTemplate> = self.template_kind().list(self, labels).await?;
        Ok(found.into_iter().map(Template::from).collect())
    }

    /// Deletes a template. Sandboxes that were made from it stay.
    ///
    /// # Errors
    /// [`ManageError`].
    ///
    /// # Cancel safety
    /// If dropped, the deletion may or may not take place.
    pub async fn delete_template(&self, name: &str) -> Result<Deleted, ManageError> {
        self.template_kind().delete(self, name).await
    }

    fn template_kind(&self) -> Kind {
        Kind {
            word: "SandboxTemplate",
            of: self.templates(),
        }
    }
}
