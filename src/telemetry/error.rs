//! Why telemetry cannot be sent, and what to do.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::send::chain;
use super::target::TargetConfig;

/// Why telemetry cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// A variable or flag is not understood.
    #[error("`{name}={value}` is not understood: {problem}")]
    Setting {
        /// Name of the flag or variable.
        name: String,
        /// Its value.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A header cannot be sent.
    #[error(
        "the header `{name}` cannot be sent: its name or value has characters that HTTP does not allow"
    )]
    Header {
        /// Its name. The value may be a secret.
        name: String,
    },
    /// An address cannot be used.
    #[error("`{url}` cannot be used: {problem}")]
    Address {
        /// Protocol and address.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file cannot be read.
    #[error("read {}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Google Cloud: there are no credentials, or they cannot be used.
    #[error("get credentials for Google Cloud: {problem}")]
    Credentials {
        /// What is wrong.
        problem: String,
        /// What to do.
        help: String,
    },
    /// Google Cloud: something must be said that cannot be found out.
    #[error("send telemetry to Google Cloud: {problem}")]
    Google {
        /// What is missing.
        problem: String,
        /// What to do.
        help: String,
    },
    /// Spans of others cannot be received.
    #[error("listen for spans on {address}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl TelemetryError {
    /// What to do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Credentials { help, .. } | Self::Google { help, .. } => Some(help.clone()),
            _ => None,
        }
    }
}

/// Whether a refused request can be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// It cannot: it would be refused again.
    Never,
    /// It can, after the pause that the receiver asks for, if it asks for one.
    After(Option<Duration>),
}

/// Why a receiver did not take a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// gRPC code, HTTP status, or the kind of failure.
    pub(super) code: String,
    /// In the receiver's own words, if it said something.
    pub(super) message: String,
    pub(super) retry: Retry,
}

impl Refusal {
    /// A connection that failed.
    pub(super) fn broken(code: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        Self {
            code: code.to_owned(),
            message: chain(error),
            retry: Retry::After(None),
        }
    }

    /// What to do about it at any receiver.
    pub(super) fn help(&self, target: &TargetConfig) -> Option<String> {
        let text = self.message.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let code = self.code.as_str();
        let help = if has(&[
            "unknownissuer",
            "unknown issuer",
            "self-signed",
            "self signed",
        ]) {
            "the receiver's certificate is not of an authority that this machine trusts; name the authority's \
             file with `--otlp-ca`"
        } else if has(&["notvalidforname", "not valid for name"]) {
            "the receiver's certificate is for another name; use the name that is in it"
        } else if has(&[
            "certificaterequired",
            "certificate required",
            "bad certificate",
            "badcertificate",
        ]) {
            "the receiver wants a client certificate; give `--otlp-client-certificate` and `--otlp-client-key`"
        } else if has(&[
            "invalidcontenttype",
            "corrupt message",
            "wrong version number",
        ]) {
            "the receiver does not speak TLS there; write `http://` in place of `https://`"
        } else if has(&["connection refused"]) {
            "nothing listens there; check host and port (gRPC is usually 4317, HTTP 4318) and that the receiver \
             runs"
        } else if has(&["dns error", "failed to lookup", "name or service not known"]) {
            "the name is not known; check its spelling, and that this machine can resolve it"
        } else if has(&[
            "frame with invalid size",
            "http2 error",
            "h2 protocol",
            "invalid http version",
            "connection closed before message",
        ]) {
            return Some(format!(
                "what answers does not speak {} there; try the other protocol with `--otlp-protocol`, or the other \
                 port (gRPC is usually 4317, HTTP 4318)",
                target.protocol
            ));
        } else {
            match code {
                "timeout" | "DeadlineExceeded" => {
                    "the receiver is there but slow, or a firewall swallows packets; `--otlp-timeout` waits longer"
                }
                "Unauthenticated" | "401" => {
                    "the receiver wants other credentials; give them with `--otlp-header 'authorization=…'`"
                }
                "PermissionDenied" | "403" => {
                    "the receiver does not allow this; ask for the right to write there"
                }
                "Unimplemented" | "404" | "405" => {
                    "the receiver does not take this signal at this address; check its path and which signals it \
                     takes (`--otlp-signals`)"
                }
                "415" => {
                    "the receiver does not take Protocol Buffers over HTTP; try `--otlp-protocol grpc`"
                }
                "ResourceExhausted" | "429" => {
                    "the receiver limits how much it takes; lower `--trace-sample` or `--trace-max-rate`"
                }
                "unavailable" | "Unavailable" | "502" | "503" | "504" => {
                    "the receiver is not there, or not ready; check its address and its log"
                }
                _ => return None,
            }
        };
        Some(help.to_owned())
    }

    /// What Google's refusals mean.
    pub(super) fn google_help(&self) -> Option<String> {
        let text = self.message.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let help = if has(&[
            "has not been used in project",
            "it is disabled",
            "service_disabled",
        ]) {
            "switch the API on: `gcloud services enable telemetry.googleapis.com cloudtrace.googleapis.com \
             monitoring.googleapis.com`"
        } else if has(&[
            "quota project",
            "x-goog-user-project",
            "serviceusage.services.use",
        ]) {
            "name the project that pays for the calls with `--gcp-quota-project`, and grant \
             `roles/serviceusage.serviceUsageConsumer` on it"
        } else if has(&["missing required attribute", "gcp.project_id"]) {
            "name the project: `--otlp-gcp=PROJECT`"
        } else if has(&["location"]) && has(&["invalid", "missing", "required"]) {
            "name a region: `--gcp-location europe-west1` (Google takes no `global`)"
        } else {
            match self.code.as_str() {
                "Unauthenticated" | "401" => {
                    "Google does not accept these credentials any more; renew them with `gcloud auth \
                     application-default login`, or give another key in `GOOGLE_APPLICATION_CREDENTIALS`"
                }
                "PermissionDenied" | "403" => {
                    "grant the account `roles/cloudtrace.agent` (traces) and `roles/monitoring.metricWriter` \
                     (metrics) on the project, or name another project with `--otlp-gcp=PROJECT`"
                }
                "NotFound" | "404" => "there is no such project; check `--otlp-gcp=PROJECT`",
                _ => return None,
            }
        };
        Some(help.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::target::{Compression, Protocol, Tls};

    #[derive(Clone, Copy, PartialEq)]
    enum By {
        Google,
        Another,
    }

    fn help(code: &str, message: &str, by: By) -> String {
        let refusal = Refusal {
            code: code.to_owned(),
            message: message.to_owned(),
            retry: Retry::Never,
        };
        let target = TargetConfig {
            url: "https://collector:4317".to_owned(),
            protocol: Protocol::Grpc,
            headers: Vec::new(),
            timeout: Duration::from_secs(1),
            compression: Compression::None,
            tls: Tls::default(),
        };
        let of_google = (by == By::Google).then(|| refusal.google_help()).flatten();
        let help = of_google.or_else(|| refusal.help(&target));
        help.unwrap_or_default()
    }

    #[test]
    fn each_usual_failure_says_what_to_do() {
        for (code, message, by, word) in [
            (
                "unavailable",
                "tcp connect error: Connection refused (os error 111)",
                By::Another,
                "4317",
            ),
            (
                "unavailable",
                "invalid peer certificate: UnknownIssuer",
                By::Another,
                "--otlp-ca",
            ),
            (
                "unavailable",
                "received corrupt message of type InvalidContentType",
                By::Another,
                "http://",
            ),
            (
                "unavailable",
                "dns error: failed to lookup address",
                By::Another,
                "spelling",
            ),
            (
                "timeout",
                "no answer within 10s",
                By::Another,
                "--otlp-timeout",
            ),
            ("401", "no", By::Another, "--otlp-header"),
            ("404", "not found", By::Another, "--otlp-signals"),
            (
                "PermissionDenied",
                "Cloud Trace API has not been used in project 7 before or it is disabled",
                By::Google,
                "services enable",
            ),
            (
                "PermissionDenied",
                "The caller does not have permission",
                By::Google,
                "roles/cloudtrace.agent",
            ),
            (
                "PermissionDenied",
                "Caller does not have serviceusage.services.use",
                By::Google,
                "--gcp-quota-project",
            ),
            (
                "InvalidArgument",
                "Resource is missing required attribute \"gcp.project_id\"",
                By::Google,
                "--otlp-gcp=PROJECT",
            ),
            (
                "Unauthenticated",
                "Request had invalid authentication credentials",
                By::Google,
                "gcloud auth",
            ),
        ] {
            let help = help(code, message, by);
            assert!(help.contains(word), "{code} {message}: {help}");
        }
    }
}
