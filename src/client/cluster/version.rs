//! Which version of Agent Sandbox the cluster serves.
//!
//! `v1beta1` is used wherever it is served: on controllers that serve both, `v1alpha1` goes
//! through a conversion that needs objects which may not exist.

use serde::Deserialize;

use super::{Api, Resource};
use crate::api::{ApiVersion, EXTENSIONS_GROUP, GROUP, plural};
use crate::client::error::{
    BuildError, ConnectionProblem, KubeError, Operation, Verb, connection_problem,
};

#[derive(Debug, Deserialize)]
struct Group {
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Debug, Deserialize)]
struct Version {
    version: String,
}

/// Finds out the version; if discovery is forbidden, by trying.
pub(in crate::client) async fn discover(
    api: &Api,
    namespace: &str,
) -> Result<ApiVersion, BuildError> {
    let extensions = match versions(api, EXTENSIONS_GROUP).await {
        Ok(served) => served,
        Err(error) if error.is_not_found() => return Err(missing(api, EXTENSIONS_GROUP)),
        Err(error) if error.code() == Some(403) => return probe(api, namespace).await,
        Err(error) => return Err(unusable(api, error)),
    };
    let core = match versions(api, GROUP).await {
        Ok(served) => served,
        Err(error) if error.is_not_found() => return Err(missing(api, GROUP)),
        Err(error) => return Err(unusable(api, error)),
    };
    [ApiVersion::V1Beta1, ApiVersion::V1Alpha1]
        .into_iter()
        .find(|version| {
            let name = version.as_str();
            extensions.iter().any(|served| served == name)
                && core.iter().any(|served| served == name)
        })
        .ok_or_else(|| BuildError::UnsupportedVersion {
            server: api.server().to_owned(),
            served: extensions,
        })
}

async fn versions(api: &Api, group: &str) -> Result<Vec<String>, KubeError> {
    let operation = Operation {
        verb: Verb::Get,
        resource: format!("/apis/{group}"),
        namespace: String::new(),
        name: String::new(),
    };
    let group: Group = api.document(&format!("/apis/{group}"), operation).await?;
    Ok(group.versions.into_iter().map(|v| v.version).collect())
}

/// Tries to list claims in each version; what is not served answers 404.
async fn probe(api: &Api, namespace: &str) -> Result<ApiVersion, BuildError> {
    for version in [ApiVersion::V1Beta1, ApiVersion::V1Alpha1] {
        let claims = Resource {
            group: EXTENSIONS_GROUP,
            version: version.as_str(),
            plural: plural::CLAIMS,
        };
        let listed = api
            .list::<serde::de::IgnoredAny>(&claims.of(namespace), None)
            .await;
        match listed {
            Ok(_) => return Ok(version),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(unusable(api, error)),
        }
    }
    Err(missing(api, EXTENSIONS_GROUP))
}

fn missing(api: &Api, group: &'static str) -> BuildError {
    BuildError::NotInstalled {
        server: api.server().to_owned(),
        group,
    }
}

fn unusable(api: &Api, error: KubeError) -> BuildError {
    let server = api.server().to_owned();
    let problem = match &error {
        KubeError::Transport { source, .. } => Some(connection_problem(source.as_ref())),
        KubeError::Timeout { .. } => Some(ConnectionProblem::Other),
        _ => None,
    };
    let source = Box::new(error);
    match problem {
        Some(ConnectionProblem::Certificate) => BuildError::UntrustedCertificate { server, source },
        Some(_) => BuildError::Unreachable { server, source },
        None => BuildError::Discovery { server, source },
    }
}
