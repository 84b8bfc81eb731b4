//! [`Config`]: flags and OpenTelemetry's standard variables, brought together: a flag wins over a variable of the
//! signal, that one over the general variable, that one over the default.
//!
//! Source: OpenTelemetry's specification, "Environment Variable Specification" and "OTLP Exporter Configuration".

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::error::TelemetryError;
use super::google::{self, GoogleSettings};
use super::keep::{Keep, MaxRate, Propagate, Sampling};
use super::points::BucketKind;
use super::target::{Compression, Protocol, Signal, TargetConfig, Tls};
use crate::units::Ratio;

/// How long a request may take. Source: the specification's default.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last exports may take.
const FLUSH: Duration = Duration::from_secs(5);
/// Google's limit of points per request.
pub(super) const POINTS: usize = 200;

/// What a person says on the command line. Everything is optional.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// Address of the receiver.
    pub endpoint: Option<String>,
    /// How OTLP is spoken.
    pub protocol: Option<Protocol>,
    /// Headers of every request, `name=value`.
    pub headers: Vec<(String, String)>,
    /// Authorities to trust.
    pub authority: Option<PathBuf>,
    /// Our certificate.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// How long one request may take.
    pub timeout: Option<Duration>,
    /// Whether requests are compressed.
    pub compression: Option<Compression>,
    /// Which signals are sent.
    pub signals: Option<Vec<Signal>>,
    /// How long the last exports may take.
    pub flush: Option<Duration>,
    /// Share of iterations that are sampled.
    pub sample: Option<Ratio>,
    /// What is kept besides.
    pub keep: Option<Keep>,
    /// Who is told of traces.
    pub propagate: Option<Propagate>,
    /// Traces per second; `Some(None)`: no limit.
    pub max_rate: Option<MaxRate>,
    /// Where a trace can be seen, with `{trace_id}`.
    pub trace_url: Option<String>,
    /// Whether Google Cloud is the receiver.
    pub google: Option<GoogleSettings>,
    /// Where spans of router and controller are received.
    pub listen: Option<std::net::SocketAddr>,
    /// Whether traces are judged: spans are then made even if they are sent nowhere.
    pub judge: bool,
}

/// Everything that is to be known for sending.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where traces go.
    pub traces: Option<TargetConfig>,
    /// Where metrics go.
    pub metrics: Option<TargetConfig>,
    /// How traces are chosen.
    pub sampling: Sampling,
    /// What is said of this program, `service.name` first.
    pub resource: Vec<(String, String)>,
    /// How histograms are written.
    pub buckets: BucketKind,
    /// Where a trace can be seen, with `{trace_id}`.
    pub trace_url: Option<String>,
    /// How long the last exports may take.
    pub flush: Duration,
    /// Whether Google Cloud is the receiver.
    pub google: Option<GoogleSettings>,
    /// Where spans of router and controller are received.
    pub listen: Option<std::net::SocketAddr>,
    /// The environment, for Google's own variables.
    pub(super) environment: BTreeMap<String, String>,
}

/// Brings flags and variables together; `None` if nothing is to be sent, received or judged.
///
/// # Errors
/// [`TelemetryError::Setting`]: a variable or an address is not understood.
pub fn resolve(
    settings: &Settings,
    environment: &BTreeMap<String, String>,
) -> Result<Option<Config>, TelemetryError> {
    let given = Given {
        settings,
        environment,
    };
    if given
        .variable("OTEL_SDK_DISABLED")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    {
        return Ok(None);
    }
    let traces = given.target(Signal::Traces)?;
    let metrics = given.target(Signal::Metrics)?;
    if traces.is_none() && metrics.is_none() && settings.listen.is_none() && !settings.judge {
        return Ok(None);
    }
    let sampling = given.sampling()?;
    let resource = given.resource()?;
    let is_google = settings.google.is_some();
    Ok(Some(Config {
        traces,
        metrics,
        sampling,
        resource,
        buckets: if is_google {
            BucketKind::Explicit
        } else {
            BucketKind::Exponential
        },
        trace_url: settings.trace_url.clone().map(|url| match url.as_str() {
            // The address of a Jaeger alone is enough.
            _ if url.contains("{trace_id}") => url,
            _ => format!("{}/trace/{{trace_id}}", url.trim_end_matches('/')),
        }),
        flush: settings.flush.unwrap_or(FLUSH),
        google: settings.google.clone(),
        listen: settings.listen,
        environment: environment.clone(),
    }))
}

struct Given<'a> {
    settings: &'a Settings,
    environment: &'a BTreeMap<String, String>,
}

impl Given<'_> {
    /// A variable; an empty one counts as not set.
    fn variable(&self, name: &str) -> Option<&str> {
        let value = self.environment.get(name)?.trim();
        (!value.is_empty()).then_some(value)
    }

    /// Name and value of the signal's variable, or of the general one.
    fn of_signal(&self, signal: Signal, end: &str) -> Option<(String, &str)> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{end}", signal.variable());
        let general = format!("OTEL_EXPORTER_OTLP_{end}");
        let found = |name: String| self.variable(&name).map(|value| (name.clone(), value));
        found(own).or_else(|| found(general))
    }

    fn parsed<T, E: ToString>(
        &self,
        signal: Signal,
        end: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, TelemetryError> {
        let Some((name, value)) = self.of_signal(signal, end) else {
            return Ok(None);
        };
        parse(value)
            .map(Some)
            .map_err(|error| wrong(&name, value, error.to_string()))
    }

    fn wants(&self, signal: Signal) -> Result<bool, TelemetryError> {
        if let Some(signals) = &self.settings.signals {
            return Ok(signals.contains(&signal));
        }
        let name = format!("OTEL_{}_EXPORTER", signal.variable());
        match self.variable(&name) {
            None | Some("otlp") => Ok(true),
            Some("none") => Ok(false),
            Some(other) => Err(wrong(&name, other, "write `otlp` or `none`".to_owned())),
        }
    }

    fn target(&self, signal: Signal) -> Result<Option<TargetConfig>, TelemetryError> {
        let settings = self.settings;
        if !self.wants(signal)? {
            return Ok(None);
        }
        let own = format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.variable());
        let general = "OTEL_EXPORTER_OTLP_ENDPOINT";
        // The signal's own address is used as it is; to the general one the signal's path is added.
        let (name, address, whole) = if let Some(endpoint) = &settings.endpoint {
            ("--otlp-endpoint", endpoint.as_str(), false)
        } else if settings.google.is_some() {
            ("--otlp-gcp", google::ENDPOINT, false)
        } else if let Some(endpoint) = self.variable(&own) {
            (own.as_str(), endpoint, true)
        } else if let Some(endpoint) = self.variable(general) {
            (general, endpoint, false)
        } else {
            return Ok(None);
        };
        let protocol = settings.protocol.map(Ok).or_else(|| {
            let parsed = self.parsed(signal, "PROTOCOL", str::parse::<Protocol>);
            parsed.transpose()
        });
        let protocol = protocol.transpose()?.unwrap_or_default();
        let url = url(name, address, (signal, protocol, whole))?;
        refuse_tls_to_managed(name, &url)?;
        let millis = |text: &str| text.parse::<u64>().map(Duration::from_millis);
        let timeout = self.parsed(signal, "TIMEOUT", millis)?;
        let compression = self.parsed(signal, "COMPRESSION", str::parse::<Compression>)?;
        let mut headers = self.parsed(signal, "HEADERS", pairs)?.unwrap_or_default();
        headers.extend(settings.headers.iter().cloned());
        let file = |given: &Option<PathBuf>, end: &str| {
            given.clone().or_else(|| {
                let (_, path) = self.of_signal(signal, end)?;
                Some(PathBuf::from(path))
            })
        };
        Ok(Some(TargetConfig {
            url,
            protocol,
            headers,
            timeout: settings.timeout.or(timeout).unwrap_or(TIMEOUT),
            compression: settings.compression.or(compression).unwrap_or_default(),
            tls: Tls {
                authority: file(&settings.authority, "CERTIFICATE"),
                certificate: file(&settings.certificate, "CLIENT_CERTIFICATE"),
                key: file(&settings.key, "CLIENT_KEY"),
            },
        }))
    }

    fn sampling(&self) -> Result<Sampling, TelemetryError> {
        let settings = self.settings;
        let mut sampling = Sampling::default();
        if let Some((ratio, keep)) = self.sampler()? {
            sampling.ratio = ratio;
            sampling.keep = keep;
        }
        sampling.ratio = settings.sample.unwrap_or(sampling.ratio);
        sampling.keep = settings.keep.unwrap_or(sampling.keep);
        if let Some(propagators) = self.variable("OTEL_PROPAGATORS") {
            let mut names = propagators.split(',').map(str::trim);
            if !names.any(|name| name == "tracecontext") {
                sampling.propagate = Propagate::None;
            }
        }
        sampling.propagate = settings.propagate.unwrap_or(sampling.propagate);
        sampling.max_rate = settings.max_rate.unwrap_or(sampling.max_rate);
        Ok(sampling)
    }

    /// The standard's sampler decides at the start of a trace. What fails or is slow is still kept, except by
    /// `always_off`; the first iterations are no exception to a ratio that somebody has set.
    fn sampler(&self) -> Result<Option<(Ratio, Keep)>, TelemetryError> {
        const NAME: &str = "OTEL_TRACES_SAMPLER";
        const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
        let Some(sampler) = self.variable(NAME) else {
            return Ok(None);
        };
        let keep = Keep {
            first: 0,
            ..Keep::default()
        };
        let all = Ratio::of(1, 1);
        Ok(Some(match sampler.trim_start_matches("parentbased_") {
            "always_on" => (all, keep),
            "always_off" => (Ratio::default(), Keep::NOTHING),
            "traceidratio" => {
                let text = self.variable(ARGUMENT).unwrap_or("1");
                let ratio = text.parse().ok().and_then(Ratio::new);
                let ratio = ratio.ok_or_else(|| {
                    wrong(ARGUMENT, text, "write a number from 0 to 1".to_owned())
                })?;
                (ratio, keep)
            }
            _ => {
                let known = "write `always_on`, `always_off` or `traceidratio`, with or without `parentbased_`";
                return Err(wrong(NAME, sampler, known.to_owned()));
            }
        }))
    }

    fn resource(&self) -> Result<Vec<(String, String)>, TelemetryError> {
        const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
        let mut given = match self.variable(NAME) {
            Some(text) => pairs(text).map_err(|problem| wrong(NAME, text, problem))?,
            None => Vec::new(),
        };
        let service = self.variable("OTEL_SERVICE_NAME").map(str::to_owned);
        let of_attributes = given.iter().find(|(key, _)| key == "service.name");
        let service = service
            .or_else(|| of_attributes.map(|(_, name)| name.clone()))
            .unwrap_or_else(|| "sandbench".to_owned());
        given.retain(|(key, _)| key != "service.name");
        let mut all = vec![
            ("service.name".to_owned(), service),
            (
                "service.version".to_owned(),
                env!("CARGO_PKG_VERSION").to_owned(),
            ),
        ];
        all.retain(|(key, _)| !given.iter().any(|(other, _)| other == key));
        all.extend(given);
        Ok(all)
    }
}

fn wrong(name: &str, value: &str, problem: String) -> TelemetryError {
    // Headers may hold secrets.
    let value = if name.ends_with("HEADERS") {
        "…"
    } else {
        value
    };
    TelemetryError::Setting {
        name: name.to_owned(),
        value: value.to_owned(),
        problem,
    }
}

/// `key=value,other=value`, percent-encoded as W3C Baggage is.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut all = Vec::new();
    for part in text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let Some((key, value)) = part.split_once('=') else {
            return Err("write `name=value,name=value`".to_owned());
        };
        let value = percent_decode_str(value.trim()).decode_utf8();
        let value = value.map_err(|_| "a value is not UTF-8 after percent-decoding".to_owned())?;
        all.push((key.trim().to_owned(), value.into_owned()));
    }
    Ok(all)
}

fn url(
    name: &str,
    address: &str,
    (signal, protocol, whole): (Signal, Protocol, bool),
) -> Result<String, TelemetryError> {
    let is_http = address.starts_with("http://") || address.starts_with("https://");
    if !is_http {
        let problem = format!(
            "it does not say how to connect: write `http://{address}` for plain text or `https://{address}` for TLS"
        );
        return Err(wrong(name, address, problem));
    }
    let parsed: Result<http::Uri, _> = address.parse();
    if parsed.is_err() || parsed.is_ok_and(|uri| uri.host().is_none_or(str::is_empty)) {
        return Err(wrong(name, address, "it is not an address".to_owned()));
    }
    Ok(match protocol {
        Protocol::Grpc => address.trim_end_matches('/').to_owned(),
        Protocol::Http if whole => address.to_owned(),
        Protocol::Http => format!("{}/{}", address.trim_end_matches('/'), signal.path()),
    })
}

/// GKE's managed collector speaks plain text only.
fn refuse_tls_to_managed(name: &str, url: &str) -> Result<(), TelemetryError> {
    if url.starts_with("https://") && url.contains(".gke-managed-otel.svc") {
        let problem = "GKE's managed collector speaks plain text only: write `http://`".to_owned();
        return Err(wrong(name, url, problem));
    }
    Ok(())
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
