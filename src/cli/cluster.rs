//! `sandbench cluster up`: the loopback cluster in the foreground, or as the child of a run.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tokio::io::AsyncReadExt;

use super::args::UpArguments;
use super::child::{Access, Message};
use super::exit_code::Exit;
use super::failure::{self, Failure};
use super::signal::Signals;
use super::telemetry::{self, TelemetryArguments};
use crate::loopback::{Cluster, ClusterConfig, Delay, RouterAuth, SpanSink, Token};
use crate::metrics::TelemetrySummary;
use crate::telemetry::{About, Telemetry};

/// Starts the cluster, waits for its end, removes everything.
pub(super) async fn up(arguments: UpArguments) -> Result<Exit, Failure> {
    let mut signals = Signals::install()
        .map_err(|error| Failure::setup("take over Ctrl-C and SIGTERM").because(error))?;
    let mut config = ClusterConfig::default();
    config.delays.pod_start = delay(arguments.pod_start_delay.as_deref())?;
    config.delays.adoption = delay(arguments.adoption_delay.as_deref())?;
    config.claim_capacity = arguments.claim_capacity;
    config.served = arguments.api_versions;
    if let Some(token) = arguments.router_token {
        config.router_auth = RouterAuth::Token(Token::new(token));
    }
    config
        .sandboxd_program
        .clone_from(&arguments.sandboxd_program);
    config.faults.clone_from(&arguments.fault);
    let kubeconfig = match &arguments.kubeconfig_out {
        Some(path) => Some(Kubeconfig::create(path)?),
        None => None,
    };
    let telemetry = spans(&arguments.telemetry).await?;
    if let Some(telemetry) = &telemetry {
        config.spans = SpanSink::new(telemetry.services());
    }
    let cluster = Cluster::start(config)
        .await
        .map_err(|error| Failure::setup("start the loopback cluster").because(error))?;
    if let Some(kubeconfig) = &kubeconfig {
        kubeconfig.write(&cluster.kubeconfig())?;
    }
    if arguments.attached {
        say(&Message::Ready(Access {
            kubeconfig: cluster.kubeconfig(),
            dns: cluster.dns_server(),
        }))?;
        attached_end(&mut signals).await;
    } else {
        greet(&cluster, arguments.kubeconfig_out.as_deref());
        signals.next().await;
        eprintln!("ending the loopback cluster");
    }
    let leftovers = cluster.shutdown().await;
    if let Some(telemetry) = telemetry {
        told(&telemetry.close().await);
    }
    let exit = if leftovers.is_empty() {
        Exit::Ok
    } else {
        Exit::Leak
    };
    if arguments.attached {
        say(&Message::Ended(leftovers))?;
    } else if !leftovers.is_empty() {
        eprintln!("{}", failure::left_behind(&leftovers));
    }
    Ok(exit)
}

/// Where the spans of router and controllers go, if they go anywhere.
async fn spans(arguments: &TelemetryArguments) -> Result<Option<Telemetry>, Failure> {
    let Some(mut config) = arguments.config()? else {
        return Ok(None);
    };
    // It has no metrics of its own, and does not receive what it sends.
    (config.metrics, config.listen) = (None, None);
    if config.traces.is_none() {
        return Ok(None);
    }
    let started = Telemetry::start(config, About::default()).await;
    started.map(Some).map_err(telemetry::failure)
}

/// Says what was lost of the spans.
fn told(summary: &TelemetrySummary) {
    let lost = summary.spans.lost();
    if lost == 0 {
        return;
    }
    let made = summary.spans.made;
    eprintln!("telemetry: {lost} of {made} spans of the loopback cluster were not taken");
    for error in &summary.errors {
        eprintln!(
            "  {} ({} times): {}",
            error.code, error.count, error.message
        );
    }
}

fn delay(text: Option<&str>) -> Result<Delay, Failure> {
    match text {
        None => Ok(Delay::default()),
        Some(text) => text
            .parse()
            .map_err(|error| Failure::usage(format!("read the delay `{text}`")).because(error)),
    }
}

/// Waits until the parent closes standard input, or until SIGTERM. Ctrl-C is the parent's.
async fn attached_end(signals: &mut Signals) {
    let mut input = tokio::io::stdin();
    let mut byte = [0_u8; 64];
    loop {
        tokio::select! {
            read = input.read(&mut byte) => match read {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            },
            _ = signals.next() => return,
        }
    }
}

fn say(message: &Message) -> Result<(), Failure> {
    let line = serde_json::to_string(message)
        .map_err(|error| Failure::internal("write a message to the run").because(error))?;
    let mut output = io::stdout().lock();
    // A parent that is gone is told by the closed standard input, not by this write.
    let written = writeln!(output, "{line}").and_then(|()| output.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::internal("write a message to the run").because(error))
        }
        _ => Ok(()),
    }
}

fn greet(cluster: &Cluster, kubeconfig: Option<&Path>) {
    println!(
        "loopback cluster is up (a stand-in for protocol and latency, not isolation: commands run as you)"
    );
    println!("  API server  https://{}", cluster.api_server());
    println!("  router      http://{}", cluster.router());
    println!("  DNS         {} (UDP)", cluster.dns_server());
    match kubeconfig {
        Some(path) => {
            println!("  kubeconfig  {}", path.display());
            println!(
                "\n  kubectl --kubeconfig {} get sandboxclaims -A",
                path.display()
            );
        }
        None => println!("  kubeconfig  not written; pass --kubeconfig-out PATH to use kubectl"),
    }
    println!("\nCtrl-C ends it and leaves nothing.");
}

/// The kubeconfig on disk: holds a token, so only its owner may read it; removed when dropped.
struct Kubeconfig {
    path: PathBuf,
}

impl Kubeconfig {
    fn create(path: &Path) -> Result<Self, Failure> {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| {
                Failure::setup(format!("write the kubeconfig {}", path.display())).because(error)
            })?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    fn write(&self, text: &str) -> Result<(), Failure> {
        std::fs::write(&self.path, text).map_err(|error| {
            Failure::setup(format!("write the kubeconfig {}", self.path.display())).because(error)
        })
    }
}

impl Drop for Kubeconfig {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            eprintln!("warning: could not remove {}: {error}", self.path.display());
        }
    }
}
