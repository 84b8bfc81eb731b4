//! Names to addresses, by the system's name servers or by a given one.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;

use super::builder::Dns;
use super::error::{BoxError, BuildError};

/// Resolves names. Cheap to clone.
#[derive(Clone)]
pub(super) struct Resolver(Source);

#[derive(Clone)]
enum Source {
    /// Name servers, asked directly.
    Servers(Arc<TokioResolver>),
    /// The system's library: where there is no configuration of name servers to be read.
    Library,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

/// Why a name has no addresses.
#[derive(Debug)]
pub(super) enum LookupError {
    /// It does not exist.
    NotFound(BoxError),
    /// It could not be found out.
    Failed(BoxError),
}

impl Resolver {
    /// A resolver; short names of `namespace`'s Services are completed as in a pod.
    pub(super) fn new(dns: Dns, namespace: &str) -> Result<Self, BuildError> {
        let failed = |source: BoxError| BuildError::Dns { source };
        let mut builder = match dns {
            Dns::System => match TokioResolver::builder_tokio() {
                Ok(builder) => builder,
                Err(error) => {
                    tracing::debug!(%error, "names are resolved by the system's library");
                    return Ok(Self(Source::Library));
                }
            },
            Dns::Server(address) => TokioResolver::builder_with_config(
                with_server(address, namespace).map_err(failed)?,
                TokioRuntimeProvider::default(),
            ),
        };
        let options = builder.options_mut();
        if let Dns::Server(_) = dns {
            like_a_pod(options);
        }
        // A sandbox's name may come into being at any time.
        options.negative_max_ttl = Some(Duration::from_secs(1));
        let resolver = builder.build().map_err(|error| failed(error.into()))?;
        Ok(Self(Source::Servers(Arc::new(resolver))))
    }

    /// All addresses of a name, in the order of the answer.
    pub(super) async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, LookupError> {
        let resolver = match &self.0 {
            Source::Servers(resolver) => resolver,
            Source::Library => return by_library(name).await,
        };
        match resolver.lookup_ip(name).await {
            Ok(found) => {
                let addresses: Vec<IpAddr> = found.iter().collect();
                if addresses.is_empty() {
                    return Err(LookupError::NotFound("the name has no addresses".into()));
                }
                Ok(addresses)
            }
            Err(error) if error.is_nx_domain() || error.is_no_records_found() => {
                Err(LookupError::NotFound(error.into()))
            }
            Err(error) => Err(LookupError::Failed(error.into())),
        }
    }
}

async fn by_library(name: &str) -> Result<Vec<IpAddr>, LookupError> {
    match tokio::net::lookup_host((name, 0)).await {
        Ok(found) => Ok(found.map(|address| address.ip()).collect()),
        Err(error) => Err(LookupError::NotFound(error.into())),
    }
}

/// One name server, and the search list that a pod of the namespace has.
fn with_server(address: SocketAddr, namespace: &str) -> Result<ResolverConfig, BoxError> {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    let server = NameServerConfig::new(address.ip(), true, connections.into());
    let search = [
        format!("{namespace}.svc.cluster.local."),
        "svc.cluster.local.".to_owned(),
        "cluster.local.".to_owned(),
    ];
    let search = search
        .iter()
        .map(Name::from_ascii)
        .collect::<Result<Vec<Name>, _>>()?;
    Ok(ResolverConfig::from_parts(None, search, vec![server]))
}

fn like_a_pod(options: &mut ResolverOpts) {
    options.ndots = 5;
    options.use_hosts_file = ResolveHosts::Always;
    options.timeout = Duration::from_secs(2);
    options.attempts = 3;
}
