//! Which cluster: kubeconfig, context or service account, with errors that say what to do.

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

use crate::client::builder::ClusterSource;
use crate::client::error::BuildError;

/// Reads the configuration of the cluster.
pub(in crate::client) async fn load(source: ClusterSource) -> Result<kube::Config, BuildError> {
    match source {
        ClusterSource::None => Err(BuildError::NoCluster),
        ClusterSource::Given(config) => Ok(*config),
        ClusterSource::Inferred => infer().await,
        ClusterSource::Context(name) => {
            let kubeconfig = Kubeconfig::read().map_err(kubeconfig_error)?;
            from_context(kubeconfig, Some(name)).await
        }
    }
}

/// The current context of the kubeconfig, or else the service account of the pod.
async fn infer() -> Result<kube::Config, BuildError> {
    let kubeconfig = match Kubeconfig::read() {
        Ok(kubeconfig) => kubeconfig,
        Err(error) => {
            return match kube::Config::incluster() {
                Ok(config) => Ok(config),
                Err(_) if is_absent(&error) => Err(BuildError::NoConfiguration {
                    source: Box::new(error),
                }),
                Err(_) => Err(kubeconfig_error(error)),
            };
        }
    };
    if kubeconfig.current_context.is_none()
        && let Ok(config) = kube::Config::incluster()
    {
        return Ok(config);
    }
    from_context(kubeconfig, None).await
}

/// One context of a kubeconfig.
async fn from_context(
    kubeconfig: Kubeconfig,
    context: Option<String>,
) -> Result<kube::Config, BuildError> {
    let wanted = context
        .clone()
        .or_else(|| kubeconfig.current_context.clone());
    if let Some(wanted) = wanted {
        let known: Vec<String> = kubeconfig
            .contexts
            .iter()
            .map(|named| named.name.clone())
            .collect();
        if !known.contains(&wanted) {
            return Err(BuildError::UnknownContext {
                context: wanted,
                known,
            });
        }
    }
    let options = KubeConfigOptions {
        context,
        ..KubeConfigOptions::default()
    };
    kube::Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(kubeconfig_error)
}

fn is_absent(error: &KubeconfigError) -> bool {
    match error {
        KubeconfigError::FindPath => true,
        KubeconfigError::ReadConfig(source, _) => source.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

fn kubeconfig_error(error: KubeconfigError) -> BuildError {
    if is_absent(&error) {
        BuildError::NoConfiguration {
            source: Box::new(error),
        }
    } else {
        BuildError::Kubeconfig {
            source: Box::new(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KUBECONFIG: &str = r#"
apiVersion: v1
kind: Config
current-context: one
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {token: t}}]
contexts:
- {name: one, context: {cluster: c, user: u}}
- {name: two, context: {cluster: c, user: u, namespace: team}}
"#;

    #[tokio::test]
    async fn a_context_is_chosen_by_name() {
        let kubeconfig = Kubeconfig::from_yaml(KUBECONFIG).expect("valid");
        let config = from_context(kubeconfig, Some("two".to_owned()))
            .await
            .expect("exists");
        assert_eq!(config.default_namespace, "team");
    }

    #[tokio::test]
    async fn an_unknown_context_lists_those_that_exist() {
        let kubeconfig = Kubeconfig::from_yaml(KUBECONFIG).expect("valid");
        let error = from_context(kubeconfig, Some("three".to_owned()))
            .await
            .expect_err("does not exist");
        assert_eq!(
            error.help().expect("has help"),
            "the kubeconfig has: one, two"
        );
    }

    #[tokio::test]
    async fn a_cluster_must_be_named() {
        assert!(matches!(
            load(ClusterSource::None).await,
            Err(BuildError::NoCluster)
        ));
    }
}
