//! The flags of traces and metrics, what they mean together with OpenTelemetry's variables, and `sandbench telemetry
//! check`.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::args::{Assignment, ClusterChoice};
use super::exit_code::Exit;
use super::failure::Failure;
use crate::metrics::{Metric, OWN_SERVICE, Operator, Quantity, Threshold, TraceExpectation};
use crate::plan::{Cell, Plan};
use crate::telemetry::{
    About, CellPlan, Compression, Config, GoogleSettings, Keep, MaxRate, OperationPlan, Propagate,
    Protocol, Settings, Signal, Telemetry, TelemetryError, check, resolve,
};
use crate::units::{HumanDuration, Ratio};

/// A free port that nobody else's machine can reach.
const ANY_PORT: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

#[derive(Debug, Subcommand)]
pub(super) enum TelemetryCommand {
    /// Send one span and one point, and say in plain words what is wrong
    Check(TelemetryArguments),
}

/// Where traces and metrics go. OpenTelemetry's variables (`OTEL_EXPORTER_OTLP_ENDPOINT`, …) work too; a flag wins.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Traces and metrics")]
pub(super) struct TelemetryArguments {
    /// Send traces and metrics to this OTLP receiver: `http://HOST:4317`, or `https://` for TLS
    #[arg(long, value_name = "URL", env = "SANDBENCH_OTLP_ENDPOINT")]
    otlp_endpoint: Option<String>,
    /// How OTLP is spoken: `grpc` (default) or `http/protobuf`
    #[arg(long, value_name = "PROTOCOL", env = "SANDBENCH_OTLP_PROTOCOL")]
    otlp_protocol: Option<Protocol>,
    /// Header of every request, for credentials; repeatable
    #[arg(
        long,
        value_name = "NAME=VALUE",
        env = "SANDBENCH_OTLP_HEADER",
        hide_env_values = true,
        value_delimiter = '\n'
    )]
    otlp_header: Vec<Assignment>,
    /// Certificates of authorities (PEM) to trust in place of the system's
    #[arg(long, value_name = "FILE", env = "SANDBENCH_OTLP_CA")]
    otlp_ca: Option<PathBuf>,
    /// Our certificate (PEM), if the receiver asks for one
    #[arg(
        long,
        value_name = "FILE",
        env = "SANDBENCH_OTLP_CLIENT_CERTIFICATE",
        requires = "otlp_client_key"
    )]
    otlp_client_certificate: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(
        long,
        value_name = "FILE",
        env = "SANDBENCH_OTLP_CLIENT_KEY",
        requires = "otlp_client_certificate"
    )]
    otlp_client_key: Option<PathBuf>,
    /// How long one request may take; 10 s by default
    #[arg(long, value_name = "TIME", env = "SANDBENCH_OTLP_TIMEOUT")]
    otlp_timeout: Option<HumanDuration>,
    /// How long the last requests may take when the run is over; 5 s by default
    #[arg(long, value_name = "TIME", env = "SANDBENCH_OTLP_FLUSH_TIMEOUT")]
    otlp_flush_timeout: Option<HumanDuration>,
    /// `gzip` or `none` (default)
    #[arg(long, value_name = "KIND", env = "SANDBENCH_OTLP_COMPRESSION")]
    otlp_compression: Option<Compression>,
    /// What is sent: `traces`, `metrics` or both (default)
    #[arg(long, value_name = "SIGNALS", env = "SANDBENCH_OTLP_SIGNALS", value_delimiter = ',', value_parser = signal)]
    otlp_signals: Option<Vec<Signal>>,
    /// Send to Google Cloud with Application Default Credentials; the project is found out if it is not named
    #[arg(long, value_name = "PROJECT", env = "SANDBENCH_OTLP_GCP", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    otlp_gcp: Option<String>,
    /// Google Cloud: the project that pays for the calls, if it is another one
    #[arg(long, value_name = "PROJECT", env = "SANDBENCH_GCP_QUOTA_PROJECT")]
    gcp_quota_project: Option<String>,
    /// Google Cloud: the region or zone that metrics are from; found out inside of Google Cloud
    #[arg(long, value_name = "REGION", env = "SANDBENCH_GCP_LOCATION")]
    gcp_location: Option<String>,
    /// Receive spans of router and controller here (gRPC and HTTP), join them to our own, pass them on
    #[arg(long, value_name = "ADDRESS", env = "SANDBENCH_OTLP_LISTEN")]
    otlp_listen: Option<SocketAddr>,
    /// Share of iterations that are traced from end to end: `1%` (default), `100%`
    #[arg(long, value_name = "SHARE", env = "SANDBENCH_TRACE_SAMPLE", value_parser = share)]
    trace_sample: Option<Ratio>,
    /// Traces that are kept besides: `failed,threshold,slow:20,first:10` (default), or `none`
    #[arg(long, value_name = "REASONS", env = "SANDBENCH_TRACE_KEEP")]
    trace_keep: Option<Keep>,
    /// Who is told of traces: `sampled` (router and controller record those, default), `all`, or `none`
    #[arg(long, value_name = "WHICH", env = "SANDBENCH_TRACE_PROPAGATE")]
    trace_propagate: Option<Propagate>,
    /// Traces per second at most, of the sampled ones and of those kept besides each; `none` for no limit
    #[arg(long, value_name = "N", env = "SANDBENCH_TRACE_MAX_RATE", value_parser = max_rate)]
    trace_max_rate: Option<MaxRate>,
    /// Where a trace can be seen: a template with `{trace_id}`, or the address of a Jaeger
    #[arg(long, value_name = "URL", env = "SANDBENCH_TRACE_URL")]
    trace_url: Option<String>,
}

fn max_rate(text: &str) -> Result<MaxRate, String> {
    match text {
        "none" => Ok(MaxRate(None)),
        _ => match text.parse() {
            Ok(rate) if rate > 0 => Ok(MaxRate(Some(rate))),
            _ => Err("write a number above 0, or `none`".to_owned()),
        },
    }
}

fn signal(text: &str) -> Result<Signal, String> {
    let mut all = [Signal::Traces, Signal::Metrics].into_iter();
    let found = all.find(|signal| signal.word() == text);
    found.ok_or_else(|| "write `traces`, `metrics` or `traces,metrics`".to_owned())
}

/// `1%`, or `0.01` as OpenTelemetry writes it.
fn share(text: &str) -> Result<Ratio, String> {
    if let Some(ratio) = text.parse().ok().and_then(Ratio::new) {
        return Ok(ratio);
    }
    text.parse::<Ratio>().map_err(|error| error.to_string())
}

impl TelemetryArguments {
    fn settings(&self) -> Settings {
        let plain = |duration: HumanDuration| Duration::from(duration);
        let headers = self.otlp_header.iter();
        Settings {
            endpoint: self.otlp_endpoint.clone(),
            protocol: self.otlp_protocol,
            headers: headers
                .map(|header| (header.name.to_lowercase(), header.value.clone()))
                .collect(),
            authority: self.otlp_ca.clone(),
            certificate: self.otlp_client_certificate.clone(),
            key: self.otlp_client_key.clone(),
            timeout: self.otlp_timeout.map(plain),
            compression: self.otlp_compression,
            signals: self.otlp_signals.clone(),
            flush: self.otlp_flush_timeout.map(plain),
            sample: self.trace_sample,
            keep: self.trace_keep,
            propagate: self.trace_propagate,
            max_rate: self.trace_max_rate,
            trace_url: self.trace_url.clone(),
            google: self.otlp_gcp.as_ref().map(|project| GoogleSettings {
                project: Some(project.clone()).filter(|project| !project.is_empty()),
                quota_project: self.gcp_quota_project.clone(),
                location: self.gcp_location.clone(),
            }),
            listen: self.otlp_listen,
            judge: false,
        }
    }

    /// Where spans of router and controller are received in a run of the plan: what it expects of traces may need
    /// them, and what the loopback cluster sends is received without a word.
    pub(super) fn listens_for(&self, plan: &Plan, cluster: &ClusterChoice) -> Option<SocketAddr> {
        let needed = plan.traces().any(TraceExpectation::needs_others);
        let own = || (needed && *cluster == ClusterChoice::Loopback).then_some(ANY_PORT);
        self.otlp_listen.or_else(own)
    }

    /// What flags, variables and the plan say together; `None` if nothing is to be sent, received or judged.
    pub(super) fn for_run(
        &self,
        plan: &Plan,
        cluster: &ClusterChoice,
    ) -> Result<Option<Config>, Failure> {
        let judge = plan.traces().next().is_some();
        let settings = Settings {
            listen: self.listens_for(plan, cluster),
            judge,
            ..self.settings()
        };
        let needs_others = |expected: &&TraceExpectation| expected.needs_others();
        if let (None, Some(expected)) = (settings.listen, plan.traces().find(needs_others)) {
            let file = plan.file.path();
            return Err(Failure::usage(format!(
                "judge the traces that `{file}` expects: `{expected}` \
                    is about spans of router or controller, and nobody receives them"
            ))
            .help(format!(
                "add `--otlp-listen ADDRESS`, which they can reach, and start them with that \
                     address; a span of sandbench's own is one of `service: {OWN_SERVICE}`"
            )));
        }
        match resolved(&settings)? {
            None if judge => Err(Failure::usage(format!(
                "judge the traces that `{}` expects: OTEL_SDK_DISABLED is set",
                plan.file.path()
            ))
            .help("unset it, or take `traces` out of the file")),
            config => Ok(config),
        }
    }

    /// What flags and variables say together; `None` if nothing is to be sent.
    pub(super) fn config(&self) -> Result<Option<Config>, Failure> {
        resolved(&self.settings())
    }

    /// The variables that make the loopback cluster's process send its spans to where ours go, or to us if we
    /// listen. Not as flags: they can hold secrets.
    pub(super) fn for_child(&self, telemetry: &Telemetry) -> Vec<(String, String)> {
        if !telemetry.wants_spans() {
            return vec![("OTEL_SDK_DISABLED".to_owned(), "true".to_owned())];
        }
        let mut all: Vec<(String, String)> = Vec::new();
        let mut set = |name: &str, value: Option<String>| {
            all.extend(value.map(|value| (name.to_owned(), value)));
        };
        if let Some(address) = telemetry.listens_on() {
            set("SANDBENCH_OTLP_ENDPOINT", Some(format!("http://{address}")));
            set("SANDBENCH_OTLP_PROTOCOL", Some("grpc".to_owned()));
            set("SANDBENCH_OTLP_COMPRESSION", Some("none".to_owned()));
        } else {
            let path =
                |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
            let headers = self.otlp_header.iter();
            let headers: Vec<String> = headers
                .map(|header| format!("{}={}", header.name, header.value))
                .collect();
            set("SANDBENCH_OTLP_ENDPOINT", self.otlp_endpoint.clone());
            set(
                "SANDBENCH_OTLP_PROTOCOL",
                self.otlp_protocol.map(|p| p.to_string()),
            );
            set("SANDBENCH_OTLP_CA", path(&self.otlp_ca));
            set(
                "SANDBENCH_OTLP_CLIENT_CERTIFICATE",
                path(&self.otlp_client_certificate),
            );
            set("SANDBENCH_OTLP_CLIENT_KEY", path(&self.otlp_client_key));
            set("SANDBENCH_OTLP_GCP", self.otlp_gcp.clone());
            set("SANDBENCH_GCP_LOCATION", self.gcp_location.clone());
            set(
                "SANDBENCH_GCP_QUOTA_PROJECT",
                self.gcp_quota_project.clone(),
            );
            if !headers.is_empty() {
                set("SANDBENCH_OTLP_HEADER", Some(headers.join("\n")));
            }
        }
        set("SANDBENCH_OTLP_SIGNALS", Some("traces".to_owned()));
        all
    }
}

fn resolved(settings: &Settings) -> Result<Option<Config>, Failure> {
    resolve(settings, &super::environment())
        .map_err(|error| Failure::usage("understand where telemetry is to go").because(error))
}

/// Starts what sends the telemetry of a run, and judges its traces.
pub(super) async fn start(
    arguments: &TelemetryArguments,
    plan: &Plan,
    cluster: &ClusterChoice,
) -> Result<Option<Telemetry>, Failure> {
    let Some(config) = arguments.for_run(plan, cluster)? else {
        return Ok(None);
    };
    let about = About {
        run_id: plan.run_id.clone(),
        attributes: vec![("sandbench.scenario.file".to_owned(), plan.name.clone())],
        cells: plan.cells.iter().map(cell_plan).collect(),
    };
    let telemetry = Telemetry::start(config, about).await.map_err(failure)?;
    for target in telemetry.targets() {
        eprintln!("telemetry: {target}");
    }
    if let Some(address) = telemetry.listens_on() {
        eprintln!("telemetry: spans of router and controller are received on {address}");
    }
    Ok(Some(telemetry))
}

pub(super) fn failure(error: TelemetryError) -> Failure {
    let help = error.help();
    Failure::setup("prepare telemetry")
        .because(error)
        .maybe_help(help)
}

/// What is to be known of a cell: its actions, and the tightest limit that a threshold sets for each.
fn cell_plan(cell: &Cell) -> CellPlan {
    let mut names: Vec<&'static str> = vec!["iteration"];
    for step in cell.all_steps() {
        step.walk(&mut |step| {
            let kind = step.action.kind();
            if !names.contains(&kind) {
                names.push(kind);
            }
        });
    }
    let operations = names.into_iter().map(|name| OperationPlan {
        name,
        limit: cell
            .thresholds
            .iter()
            .filter_map(|(threshold, _)| limit_of(threshold, name))
            .min(),
    });
    CellPlan {
        name: cell.name.clone(),
        operations: operations.collect(),
        expectations: cell.traces.iter().map(|(it, _)| it.clone()).collect(),
    }
}

/// How long an operation may take if a threshold is to hold for it.
fn limit_of(threshold: &Threshold, operation: &str) -> Option<Duration> {
    let about = match threshold.selector.metric {
        Metric::ExecDuration => "exec",
        Metric::WriteDuration => "write",
        Metric::ReadDuration => "read",
        Metric::ListDuration => "list",
        Metric::ExistsDuration => "exists",
        Metric::DeleteFileDuration => "deleteFile",
        Metric::HttpDuration => "http",
        Metric::WaitDuration => "wait",
        Metric::SandboxDeleteDuration => "delete",
        Metric::SandboxSuspendDuration => "suspend",
        Metric::SandboxResumeDuration => "resume",
        Metric::SandboxReadyDuration | Metric::SandboxBoundDuration => "create",
        Metric::IterationDuration | Metric::IterationServiceDuration => "iteration",
        _ => return None,
    };
    let is_upper = matches!(
        threshold.condition.operator,
        Operator::Less | Operator::AtMost
    );
    match threshold.condition.limit {
        Quantity::Nanoseconds(nanos) if about == operation && is_upper => {
            Duration::try_from_secs_f64(nanos / 1e9).ok()
        }
        _ => None,
    }
}

/// `sandbench telemetry check`
pub(super) async fn run_check(arguments: TelemetryArguments) -> Result<Exit, Failure> {
    let Some(config) = arguments.config()? else {
        return Err(
            Failure::usage("check telemetry: nothing says where it is to go").help(
                "give `--otlp-endpoint URL` or `--otlp-gcp`, or set OTEL_EXPORTER_OTLP_ENDPOINT",
            ),
        );
    };
    let mut exit = Exit::Ok;
    for checked in check(config).await.map_err(failure)? {
        let signal = checked.signal.word();
        let took = HumanDuration(Duration::from_millis(
            u64::try_from(checked.took.as_millis())
                .unwrap_or(u64::MAX)
                .max(1),
        ));
        match checked.problem {
            None => {
                println!("ok    {signal}  {}  taken within {took}", checked.target);
                if let Some(trace) = checked.trace_id {
                    println!("      = trace {trace}");
                }
                if let Some(url) = checked.url {
                    println!("      = see   {url}");
                }
            }
            Some((problem, help)) => {
                exit = Exit::Setup;
                println!("FAIL  {signal}  {}", checked.target);
                println!("      = cause {problem}");
                if let Some(help) = help {
                    println!("      = help  {help}");
                }
            }
        }
    }
    Ok(exit)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        telemetry: TelemetryArguments,
    }

    fn parsed(words: &[&str]) -> Settings {
        let words = [&["sandbench"], words].concat();
        Line::try_parse_from(words).unwrap().telemetry.settings()
    }

    #[test]
    fn a_share_is_written_in_either_way() {
        assert_eq!(
            parsed(&["--trace-sample", "5%"]).sample,
            Some(Ratio::of(1, 20))
        );
        assert_eq!(
            parsed(&["--trace-sample", "0.05"]).sample,
            Some(Ratio::of(1, 20))
        );
        assert!(share("5").is_err() && share("200%").is_err());
    }

    #[test]
    fn google_is_meant_with_and_without_a_project() {
        assert_eq!(parsed(&[]).google, None);
        let google = parsed(&["--otlp-gcp"]).google.unwrap();
        assert_eq!(google.project, None);
        let google = parsed(&["--otlp-gcp=my-project", "--gcp-location", "europe-west1"]).google;
        assert_eq!(google.unwrap().project.as_deref(), Some("my-project"));
    }

    #[test]
    fn a_limit_of_traces_can_be_lifted() {
        assert_eq!(
            parsed(&["--trace-max-rate", "none"]).max_rate,
            Some(MaxRate(None))
        );
        assert_eq!(
            parsed(&["--trace-max-rate", "7"]).max_rate,
            Some(MaxRate(Some(7)))
        );
        assert!(max_rate("0").is_err());
    }
}
