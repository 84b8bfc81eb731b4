//! What volumes a sandbox has.

use super::claim::ReadyClaim;
use super::core::Client;
use super::error::{KubeError, ReadyError};
use crate::api::sandbox::Sandbox;

impl Client {
    /// The names of a sandbox's volumes: its template's, then its claim's.
    ///
    /// ```no_run
    /// # async fn example(client: sandbench::client::Client, ready: sandbench::client::ReadyClaim)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// for volume in client.volumes(&ready).await? {
    ///     println!("{volume} is the PersistentVolumeClaim {volume}-{}", ready.sandbox_name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ReadyError`]: the API server refuses, or the sandbox is gone.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn volumes(&self, claim: &ReadyClaim) -> Result<Vec<String>, ReadyError> {
        let found: Result<Sandbox, KubeError> =
            self.api().get(&self.sandboxes(), &claim.sandbox_name).await;
        match found {
            Ok(sandbox) => Ok(sandbox
                .spec
                .volume_claim_templates
                .into_iter()
                .map(|volume| volume.metadata.name)
                .collect()),
            Err(source) => Err(ReadyError::Kube {
                claim: claim.claim_name.clone(),
                source: Box::new(source),
            }),
        }
    }
}
