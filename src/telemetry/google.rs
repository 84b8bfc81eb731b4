//! Google Cloud: Application Default Credentials, the project, the place.
//!
//! Credentials are found where every Google client looks: the file in `GOOGLE_APPLICATION_CREDENTIALS`, what `gcloud
//! auth application-default login` left, the metadata server (Compute Engine, GKE, Cloud Run). Google's own library
//! gets the tokens and renews them minutes before they end. Limits and attributes: documentation of the Telemetry
//! API, September 2026.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use google_cloud_auth::credentials::{Builder, CacheableResource, Credentials};
use http::{Extensions, HeaderMap};
use serde_json::Value;
use tokio::time::timeout;

use super::error::{Refusal, Retry, TelemetryError};
use super::send::chain;

/// Where Google takes OTLP.
pub(super) const ENDPOINT: &str = "https://telemetry.googleapis.com";
/// Where a trace can be seen.
pub(super) const TRACE_URL: &str =
    "https://console.cloud.google.com/traces/explorer;traceId={trace_id}?project={project}";
/// What tokens are asked for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// How long the first token may take: without a metadata server the library would try for ever.
const FIRST: Duration = Duration::from_secs(10);
/// How long a later one may take; they are renewed in the background.
const LATER: Duration = Duration::from_secs(5);
/// How long the metadata server may take. It is on the same machine.
const METADATA: Duration = Duration::from_secs(2);

/// What a person says about Google Cloud.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoogleSettings {
    /// The project that telemetry belongs to.
    pub project: Option<String>,
    /// The project that pays for the calls, if it is another one.
    pub quota_project: Option<String>,
    /// The region or zone that metrics are from.
    pub location: Option<String>,
}

/// Access to Google Cloud.
pub(super) struct Google {
    credentials: Credentials,
    /// What the credentials are, in words.
    pub(super) kind: String,
    pub(super) project: String,
    pub(super) location: Option<String>,
}

impl std::fmt::Debug for Google {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Google")
            .field("kind", &self.kind)
            .field("project", &self.project)
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

/// A file of credentials.
struct File {
    path: PathBuf,
    content: Value,
}

impl Google {
    /// Finds credentials, project and place, and gets a first token.
    pub(super) async fn find(
        settings: &GoogleSettings,
        environment: &BTreeMap<String, String>,
        resource: &[(String, String)],
    ) -> Result<Self, TelemetryError> {
        let file = credentials_file(environment)?;
        let kind = kind(file.as_ref());
        let mut builder = Builder::default().with_scopes([SCOPE]);
        let quota = settings.quota_project.as_ref();
        if let Some(quota) = quota.or_else(|| environment.get("GOOGLE_CLOUD_QUOTA_PROJECT")) {
            builder = builder.with_quota_project_id(quota.as_str());
        }
        let credentials = builder
            .build()
            .map_err(|error| TelemetryError::Credentials {
                problem: format!("{kind}: {}", chain(&error)),
                help: HELP.to_owned(),
            })?;
        first_token(&credentials, &kind).await?;
        let of_resource = |key: &str| {
            let mut found = resource.iter().filter(|(name, _)| name == key);
            found.next().map(|(_, value)| value.clone())
        };
        let of_file = |key: &str| {
            let file = file.as_ref()?;
            file.content[key].as_str().map(str::to_owned)
        };
        let on_google = file.is_none();
        let mut project = settings
            .project
            .clone()
            .or_else(|| environment.get("GOOGLE_CLOUD_PROJECT").cloned())
            .or_else(|| of_resource("gcp.project_id"))
            .or_else(|| of_file("project_id"))
            .or_else(|| of_file("quota_project_id"));
        if project.is_none() && on_google {
            project = metadata(environment, "project/project-id").await;
        }
        let project = project.ok_or_else(|| TelemetryError::Google {
            problem: format!("the project is not known: {kind} names none"),
            help: "name it: `--otlp-gcp=PROJECT`, or in the variable GOOGLE_CLOUD_PROJECT"
                .to_owned(),
        })?;
        let mut location = settings
            .location
            .clone()
            .or_else(|| of_resource("cloud.availability_zone"))
            .or_else(|| of_resource("cloud.region"))
            .or_else(|| of_resource("location"));
        if location.is_none() && on_google {
            location = metadata(environment, "instance/attributes/cluster-location").await;
            if location.is_none() {
                let zone = metadata(environment, "instance/zone").await;
                // `projects/7/zones/europe-west1-b`
                location = zone.map(|zone| zone.rsplit('/').next().unwrap_or_default().to_owned());
            }
        }
        Ok(Self {
            credentials,
            kind,
            project,
            location,
        })
    }

    /// The headers that show who asks. The library has a token that is good for some minutes at least.
    pub(super) async fn headers(&self) -> Result<HeaderMap, Refusal> {
        let failed = |message: String| Refusal {
            code: "credentials".to_owned(),
            message: format!("{}: {message}", self.kind),
            retry: Retry::After(None),
        };
        match timeout(LATER, self.credentials.headers(Extensions::new())).await {
            Err(_) => Err(failed(format!("no new token within {LATER:?}"))),
            Ok(Err(error)) => Err(failed(chain(&error))),
            Ok(Ok(CacheableResource::New { data, .. })) => Ok(data),
            // Only said to who has asked before.
            Ok(Ok(CacheableResource::NotModified)) => Ok(HeaderMap::new()),
        }
    }

    /// Attributes that Google asks for on every resource.
    pub(super) fn attributes(&self) -> Vec<(String, String)> {
        let mut all = vec![("gcp.project_id".to_owned(), self.project.clone())];
        if let Some(location) = &self.location {
            all.push(("location".to_owned(), location.clone()));
        }
        all
    }
}

const HELP: &str = "log in with `gcloud auth application-default login`, or name a key file in \
                    GOOGLE_APPLICATION_CREDENTIALS; inside of Google Cloud, give the machine or the Pod a service account";

async fn first_token(credentials: &Credentials, kind: &str) -> Result<(), TelemetryError> {
    let refused = |problem: String| TelemetryError::Credentials {
        problem: format!("{kind}: {problem}"),
        help: HELP.to_owned(),
    };
    match timeout(FIRST, credentials.headers(Extensions::new())).await {
        Err(_) => Err(refused(format!("no token within {FIRST:?}"))),
        Ok(Err(error)) => Err(refused(chain(&error))),
        Ok(Ok(_)) => Ok(()),
    }
}

/// Where the library looks for a file, in its order.
fn credentials_file(
    environment: &BTreeMap<String, String>,
) -> Result<Option<File>, TelemetryError> {
    let (path, named) = if let Some(path) = environment.get("GOOGLE_APPLICATION_CREDENTIALS") {
        (PathBuf::from(path), true)
    } else if let Some(home) = environment.get("HOME") {
        let below = ".config/gcloud/application_default_credentials.json";
        (PathBuf::from(home).join(below), false)
    } else {
        return Ok(None);
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => return Ok(None),
        Err(source) => return Err(TelemetryError::File { path, source }),
    };
    let content = serde_json::from_str(&text).map_err(|error| TelemetryError::Credentials {
        problem: format!("{} is not JSON: {error}", path.display()),
        help: HELP.to_owned(),
    })?;
    Ok(Some(File { path, content }))
}

/// What the credentials are, in words. Neither a key nor a token.
fn kind(file: Option<&File>) -> String {
    let Some(File { path, content }) = file else {
        return "the service account of this machine (metadata server)".to_owned();
    };
    let text = |key: &str| content[key].as_str().unwrap_or_default();
    let what = match text("type") {
        "service_account" => format!("the key of service account {}", text("client_email")),
        "authorized_user" => "the login of a gcloud user".to_owned(),
        "external_account" => format!("workload identity federation for {}", text("audience")),
        "impersonated_service_account" => "an impersonated service account".to_owned(),
        other => format!("credentials of the kind `{other}`"),
    };
    format!("{what} ({})", path.display())
}

async fn metadata(environment: &BTreeMap<String, String>, what: &str) -> Option<String> {
    let host = environment.get("GCE_METADATA_HOST");
    let host = host.map_or("metadata.google.internal", String::as_str);
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(METADATA)
        .build()
        .ok()?;
    let answer = client
        .get(format!("http://{host}/computeMetadata/v1/{what}"))
        .header("Metadata-Flavor", "Google")
        .send()
        .await
        .ok()?;
    if !answer.status().is_success() {
        return None;
    }
    let text = answer.text().await.ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}
