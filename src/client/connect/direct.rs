//! `direct`: to a URL, taken to be a router.
//!
//! A name is resolved like any other of the client, so that names of the cluster work as well.

use std::net::IpAddr;
use std::sync::Arc;

use http::Uri;

use super::Scheme;
use super::endpoint::Endpoint;
use super::headers::ExtraHeaders;
use super::router::{self, PodIpHeader};
use super::secret::Secret;
use super::trust::TlsSettings;
use crate::api;
use crate::client::claim::ReadyClaim;
use crate::client::core::Client;
use crate::client::data::{Host, Route, Sharing};
use crate::client::error::ConnectError;

/// Settings of the mode `direct`.
///
/// ```
/// use sandbench::client::ConnectionMode;
/// use sandbench::client::connect::Direct;
///
/// let mode = ConnectionMode::Direct(Direct {
///     url: "https://sandbox.example.com/router".to_owned(),
///     ..Direct::default()
/// });
/// assert_eq!(mode.word(), "direct");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Direct {
    /// `http://` or `https://` URL, with an optional path that is put before every request's.
    /// Required.
    pub url: String,
    /// Port of the runtime in the sandbox. Default: 8888.
    pub server_port: u16,
    /// Whether the router is told the address of the sandbox's Pod. Default: it is.
    pub pod_ip_header: PodIpHeader,
    /// Whom to trust, and who the client is; only with `https://`. Default: the system's
    /// authorities, no certificate of the client.
    pub tls: TlsSettings,
    /// Headers of every request. Default: none.
    pub headers: ExtraHeaders,
    /// Sent as `Authorization: Bearer …` with every request; replaces such a header of
    /// `headers`. For routers that check tokens of a scope, set `pod_ip_header` to
    /// [`PodIpHeader::Omit`] too. Default: none.
    pub bearer_token: Option<Secret>,
}

impl Default for Direct {
    fn default() -> Self {
        Self {
            url: String::new(),
            server_port: api::RUNTIME_PORT,
            pod_ip_header: PodIpHeader::Send,
            tls: TlsSettings::default(),
            headers: ExtraHeaders::default(),
            bearer_token: None,
        }
    }
}

/// The parts of a URL.
#[derive(Debug, PartialEq, Eq)]
struct Parts {
    scheme: Scheme,
    host: Host,
    port: u16,
    /// Host and port as written.
    authority: String,
    /// Path without a slash at the end.
    prefix: String,
}

impl Direct {
    pub(super) async fn connect(
        &self,
        client: &Client,
        claim: &ReadyClaim,
    ) -> Result<Endpoint, ConnectError> {
        let Parts {
            scheme,
            host,
            port,
            authority,
            prefix,
        } = self.parts().map_err(|problem| ConnectError::Setting {
            setting: "URL of the mode `direct`",
            value: self.url.clone(),
            problem: problem.to_owned(),
        })?;
        let route = if self.tls.is_default() {
            Route::Tcp { host, port, scheme }
        } else {
            self.check_tls(client, scheme, &authority).await?;
            let tls = Arc::new(self.tls.clone());
            Route::Tls { host, port, tls }
        };
        let headers = self.headers()?;
        let pool = client.pools().get(route, Sharing::Shared);
        let routing = router::headers(client, claim, self.server_port, self.pod_ip_header).await?;
        let endpoint = Endpoint::new(pool, Sharing::Shared, &authority, prefix, routing)?;
        Ok(endpoint.with_headers(headers))
    }

    /// Refuses settings of TLS that are not valid or would not be used.
    async fn check_tls(
        &self,
        client: &Client,
        scheme: Scheme,
        authority: &str,
    ) -> Result<(), ConnectError> {
        if scheme == Scheme::Http {
            return Err(ConnectError::TlsWithoutHttps {
                url: self.url.clone(),
            });
        }
        let network = client.pools().network();
        let checked = network.check_tls(&self.tls).await;
        checked.map_err(|problem| problem.at(authority.to_owned()))
    }

    /// The headers of every request, the token among them.
    fn headers(&self) -> Result<ExtraHeaders, ConnectError> {
        let headers = self.headers.clone();
        let Some(token) = &self.bearer_token else {
            return Ok(headers);
        };
        let value = format!("Bearer {}", token.expose());
        headers
            .with("authorization", &value)
            .map_err(|error| ConnectError::Setting {
                setting: "bearer token",
                value: "…".to_owned(),
                problem: error.problem.to_owned(),
            })
    }

    fn parts(&self) -> Result<Parts, &'static str> {
        if self.url.is_empty() {
            return Err("the mode `direct` needs one");
        }
        if self.url.contains('#') {
            return Err("it has a fragment");
        }
        let uri: Uri = self.url.parse().map_err(|_| "it is not a URL")?;
        let (scheme, default_port) = match uri.scheme_str() {
            Some("http") => (Scheme::Http, 80),
            Some("https") => (Scheme::Https, 443),
            _ => return Err("it must begin with http:// or https://"),
        };
        let authority = uri.authority().ok_or("it has no host")?;
        if authority.as_str().contains('@') {
            return Err("it has a user name, which is not supported");
        }
        if uri.query().is_some() {
            return Err("it has a query, which is not supported");
        }
        let name = authority.host();
        let literal = name.trim_start_matches('[').trim_end_matches(']');
        let host = match literal.parse::<IpAddr>() {
            Ok(address) => Host::Address(address),
            Err(_) if name.is_empty() => return Err("it has no host"),
            Err(_) => Host::Name(name.to_owned()),
        };
        let port = match authority.as_str().strip_prefix(name) {
            Some("") => default_port,
            _ => authority
                .port_u16()
                .filter(|port| *port != 0)
                .ok_or("its port is not valid")?,
        };
        Ok(Parts {
            scheme,
            host,
            port,
            authority: authority.as_str().to_owned(),
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &str) -> Result<Parts, &'static str> {
        Direct {
            url: url.to_owned(),
            ..Direct::default()
        }
        .parts()
    }

    #[test]
    fn a_url_is_taken_apart_with_its_path_as_prefix() {
        let found = parts("https://router.example/pre/fix/").expect("valid");
        assert_eq!(found.scheme, Scheme::Https);
        assert_eq!(found.host, Host::Name("router.example".to_owned()));
        assert_eq!(found.port, 443);
        assert_eq!(found.prefix, "/pre/fix");
        let found = parts("http://[::1]:8080").expect("valid");
        assert_eq!(found.host, Host::Address("::1".parse().expect("address")));
        assert_eq!((found.port, found.prefix.as_str()), (8080, ""));
        assert_eq!(found.authority, "[::1]:8080");
    }

    #[test]
    fn a_url_that_cannot_be_used_says_why() {
        for (url, problem) in [
            ("", "the mode `direct` needs one"),
            ("ftp://a", "it must begin with http:// or https://"),
            ("router:80", "it must begin with http:// or https://"),
            ("http://a/?x=1", "it has a query, which is not supported"),
            ("http://a/#x", "it has a fragment"),
            (
                "http://u:p@a/",
                "it has a user name, which is not supported",
            ),
            ("http://a:0/", "its port is not valid"),
            ("http://a b/", "it is not a URL"),
        ] {
            assert_eq!(parts(url), Err(problem), "{url}");
        }
    }
}
