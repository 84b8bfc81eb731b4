//! [`TargetConfig`]: where one signal goes and how; without a connection yet.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// One of the two kinds of telemetry that are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Traces.
    Traces,
    /// Metrics.
    Metrics,
}

impl Signal {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
        }
    }

    /// Its part in names of variables.
    pub(super) fn variable(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
        }
    }

    /// Its path below the endpoint, over HTTP.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Traces => "v1/traces",
            Self::Metrics => "v1/metrics",
        }
    }

    /// Its gRPC method.
    pub(super) fn method(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        }
    }
}

/// How OTLP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// gRPC.
    #[default]
    Grpc,
    /// Protocol Buffers in HTTP requests.
    Http,
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "grpc" => Ok(Self::Grpc),
            "http" | "http/protobuf" => Ok(Self::Http),
            "http/json" => {
                Err("`http/json` is not supported; write `grpc` or `http/protobuf`".to_owned())
            }
            _ => Err("write `grpc` or `http/protobuf`".to_owned()),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grpc => "grpc",
            Self::Http => "http/protobuf",
        })
    }
}

/// Whether requests are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// They are not.
    #[default]
    None,
    /// With gzip.
    Gzip,
}

impl FromStr for Compression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" | "" => Ok(Self::None),
            "gzip" => Ok(Self::Gzip),
            _ => Err("write `gzip` or `none`".to_owned()),
        }
    }
}

/// Whom to trust, and who we are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificates of authorities (PEM) that are trusted in place of the system's.
    pub authority: Option<PathBuf>,
    /// Our certificate (PEM), if the receiver asks for one.
    pub certificate: Option<PathBuf>,
    /// Its key (PEM).
    pub key: Option<PathBuf>,
}

/// Where one signal goes and how.
#[derive(Clone, PartialEq, Eq)]
pub struct TargetConfig {
    /// The address; over HTTP with the signal's path.
    pub url: String,
    /// How OTLP is spoken.
    pub protocol: Protocol,
    /// Headers of every request. They may hold secrets.
    pub headers: Vec<(String, String)>,
    /// How long one request may take. Default: 10 s.
    pub timeout: Duration,
    /// Whether requests are compressed.
    pub compression: Compression,
    /// Whom to trust.
    pub tls: Tls,
}

impl fmt::Debug for TargetConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("TargetConfig")
            .field("url", &self.url)
            .field("protocol", &self.protocol)
            .field("headers", &names)
            .field("timeout", &self.timeout)
            .field("compression", &self.compression)
            .field("tls", &self.tls)
            .finish()
    }
}

/// Without user name and query, which may be secrets.
impl fmt::Display for TargetConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.url.split('?').next().unwrap_or_default();
        match shown.split_once("://") {
            Some((scheme, rest)) => {
                let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
                write!(f, "{} {scheme}://{host}", self.protocol)
            }
            None => write!(f, "{} {shown}", self.protocol),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_target_has_no_secrets() {
        let target = TargetConfig {
            url: "https://user:pass@host:4318/v1/traces?key=abc".to_owned(),
            protocol: Protocol::Http,
            headers: vec![("authorization".to_owned(), "Bearer s3cret".to_owned())],
            timeout: Duration::from_secs(10),
            compression: Compression::None,
            tls: Tls::default(),
        };
        assert_eq!(
            target.to_string(),
            "http/protobuf https://host:4318/v1/traces"
        );
        assert!(!format!("{target:?}").contains("s3cret"));
    }
}
