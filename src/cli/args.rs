//! The command line as people type it. Every flag has a `SANDBENCH_…` variable.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(super) use super::args_of_results::{
    BaselineArguments, CompareArguments, MergeArguments, ReportArguments,
};
use super::telemetry::{TelemetryArguments, TelemetryCommand};
use crate::loopback::{Fault, ServedVersions};
use crate::scenario::Target;
use crate::units::{HumanDuration, Rate};

/// Verify, load-test and compare Kubernetes Agent Sandboxes.
#[derive(Debug, Parser)]
#[command(name = "sandbench", version, about, after_help = EXIT_CODES, max_term_width = 100)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
    /// Colour of the output; `NO_COLOR` switches it off too
    #[arg(long, global = true, env = "SANDBENCH_COLOR", default_value = "auto")]
    pub(super) color: ColourChoice,
}

const EXIT_CODES: &str = "Exit codes: 0 ok · 1 internal fault · 2 wrong command line · 4 nothing ran · \
96 cluster or set-up · 97 unreliable figures (--strict) · 98 a regression (--fail-on-regression) · 99 a threshold does not hold or traces are not as expected · 100 a step or expectation failed · 101 something was left behind · \
104 invalid scenario file · 105 interrupted";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run scenario files and report what is true
    Run(Box<RunArguments>),
    /// Validate scenario files without running them
    Check(CheckArguments),
    /// List the scenarios of files and how many cells each has
    List(CheckArguments),
    /// Delete what a killed run left behind on a cluster, and wait until it is gone
    Reap(ReapArguments),
    /// Compare saved results: is a difference real, and how large
    Compare(CompareArguments),
    /// Explain a key of the language, an action, a metric, a warning, an exit code or a topic
    Explain(ExplainArguments),
    /// Write an example scenario file with comments, to begin with
    Init(InitArguments),
    /// Print the JSON Schema of scenario files, for editors
    Schema,
    /// Print the completions of a shell: `sandbench completion bash > …/sandbench`
    Completion(CompletionArguments),
    /// Make reports of a saved result (JSON, or the JSON Lines of a run that was cut off)
    Report(ReportArguments),
    /// Add the results of several generators that ran the same scenario, exact to the bucket
    Merge(MergeArguments),
    /// The loopback cluster: Kubernetes API, controllers, gateway, router and runtimes on 127.0.0.0/8
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Traces and metrics: try the way to the receiver
    #[command(subcommand)]
    Telemetry(TelemetryCommand),
}

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    /// Scenario files
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Where to run: `loopback`, `current` (kubeconfig's current context, or the service account
    /// inside a pod) or `context:NAME`
    #[arg(long, env = "SANDBENCH_CLUSTER", default_value = "loopback")]
    pub(super) cluster: ClusterChoice,
    /// Name server of the cluster, `ADDRESS:PORT`, for the mode `in-cluster` where this machine does
    /// not resolve the cluster's names; by default the system's
    #[arg(long, env = "SANDBENCH_DNS", value_name = "ADDRESS")]
    pub(super) dns: Option<SocketAddr>,
    /// Claims that the loopback cluster serves in a second, at the most, `60/s`: a known capacity, to
    /// see what a load makes of it
    #[arg(long, value_name = "RATE", env = "SANDBENCH_CLAIM_CAPACITY")]
    pub(super) claim_capacity: Option<Rate>,
    /// Run only these scenarios or cells: `NAME` or `NAME[axis=value]`; repeatable
    #[arg(
        long,
        value_name = "SELECTION",
        env = "SANDBENCH_ONLY",
        value_delimiter = '\n'
    )]
    pub(super) only: Vec<String>,
    /// Seed of everything random in the run
    #[arg(long, env = "SANDBENCH_SEED", value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Set a variable of the scenario file; repeatable, and `SANDBENCH_VAR_NAME` works too
    #[arg(long, value_name = "NAME=VALUE", env = "SANDBENCH_VAR")]
    pub(super) var: Vec<Assignment>,
    /// Write a report, of the kind `text`, `json`, `jsonl`, `html`, `junit`, `md`, `csv`, `prom` or
    /// `hlog`; `-` for standard output; with several files `{name}` in the path; repeatable
    #[arg(
        long,
        value_name = "KIND=PATH",
        env = "SANDBENCH_OUT",
        value_delimiter = '\n'
    )]
    pub(super) out: Vec<Assignment>,
    /// How many cells without `load` run side by side
    #[arg(long, env = "SANDBENCH_JOBS", value_name = "N", default_value = "8",
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) jobs: u32,
    /// How long sandboxes outlive a killed run, at least 10s: they end by themselves then. Those of a
    /// run that is alive are given more time. By default an iteration's `timeout` and ten minutes
    #[arg(long, env = "SANDBENCH_TTL", value_name = "DURATION", value_parser = time_to_live)]
    pub(super) ttl: Option<HumanDuration>,
    /// How long clean-up may take, of each iteration and at the end of the run; what is left then is
    /// told (exit code 101)
    #[arg(
        long,
        env = "SANDBENCH_CLEANUP_TIMEOUT",
        value_name = "DURATION",
        default_value = "2m"
    )]
    pub(super) cleanup_timeout: HumanDuration,
    /// Fail (exit code 97) when the generator, not the system, may have been the limit
    #[arg(long, env = "SANDBENCH_STRICT")]
    pub(super) strict: bool,
    /// Whether a cell that passed only when it was tried again passes
    #[arg(long, env = "SANDBENCH_FLAKY", default_value = "pass")]
    pub(super) flaky: FlakyChoice,
    /// Where `collect` steps write files, in a directory for each run; without it only their ends
    /// are kept, in the result
    #[arg(long, env = "SANDBENCH_ARTIFACTS", value_name = "DIR")]
    pub(super) artifacts: Option<PathBuf>,
    /// Print every effective value and where it came from, and run nothing; `--out json=PATH` writes
    /// it as JSON
    #[arg(long, env = "SANDBENCH_DRY_RUN")]
    pub(super) dry_run: bool,
    /// Run every load in this many rounds, its cells in shuffled order; goes before `compare.rounds`
    #[arg(long, env = "SANDBENCH_ROUNDS", value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(super) rounds: Option<u32>,
    #[command(flatten)]
    pub(super) baseline: BaselineArguments,
    /// Progress on standard error
    #[arg(long, env = "SANDBENCH_PROGRESS", default_value = "auto")]
    pub(super) progress: ProgressChoice,
    #[command(flatten)]
    pub(super) telemetry: TelemetryArguments,
    #[command(flatten)]
    pub(super) web: WebArguments,
}

/// The live view in a browser.
#[derive(Debug, Args)]
pub(super) struct WebArguments {
    /// Show the run live at this address, `127.0.0.1:PORT` (0: any port), to who has the link that is
    /// printed; loopback addresses only
    #[arg(long, env = "SANDBENCH_WEB", value_name = "ADDRESS")]
    pub(super) web: Option<SocketAddr>,
    /// Let `--web` listen on other addresses than loopback ones; the link is not encrypted
    #[arg(long, requires = "web", env = "SANDBENCH_WEB_ANYWHERE")]
    pub(super) web_anywhere: bool,
}

#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own on the command line"
)]
pub(super) struct ReapArguments {
    /// Delete what this run left
    #[arg(
        long,
        value_name = "ID",
        required_unless_present = "all",
        conflicts_with_all = ["all", "older_than"]
    )]
    pub(super) run: Option<String>,
    /// Delete what all runs left; says nothing about which of them are still alive, so it needs
    /// `--older-than`
    #[arg(long, requires = "older_than")]
    pub(super) all: bool,
    /// Only claims that were made longer ago than this, by the clock of the API server: more than
    /// your longest run takes
    #[arg(long, value_name = "DURATION")]
    pub(super) older_than: Option<HumanDuration>,
    /// Where: `current` (kubeconfig's current context, or the service account inside a pod) or
    /// `context:NAME`
    #[arg(long, env = "SANDBENCH_CLUSTER")]
    pub(super) cluster: ClusterChoice,
    /// In this namespace; repeatable
    #[arg(
        long,
        short,
        value_name = "NAMESPACE",
        default_value = "default",
        conflicts_with = "all_namespaces"
    )]
    pub(super) namespace: Vec<String>,
    /// In all namespaces; needs the permission to list claims in all of them
    #[arg(long, short = 'A')]
    pub(super) all_namespaces: bool,
    /// Only tell what would be deleted
    #[arg(long, env = "SANDBENCH_DRY_RUN")]
    pub(super) dry_run: bool,
    /// How long it is waited for until everything is gone
    #[arg(
        long,
        env = "SANDBENCH_TIMEOUT",
        value_name = "DURATION",
        default_value = "2m"
    )]
    pub(super) timeout: HumanDuration,
}

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// Scenario files
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArguments {
    /// For example `load.vus`, `exec`, `exec_duration`, `99`; without it there is a list
    #[arg(value_name = "NAME")]
    pub(super) topic: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct InitArguments {
    /// Which example
    #[arg(value_name = "EXAMPLE", default_value = "lifecycle")]
    pub(super) example: Example,
    /// Where to write it; default: `EXAMPLE.yaml` in this directory
    #[arg(long, value_name = "PATH", env = "SANDBENCH_TO")]
    pub(super) to: Option<PathBuf>,
    /// Overwrite the file if it is there
    #[arg(long, env = "SANDBENCH_FORCE")]
    pub(super) force: bool,
}

/// The examples of `init`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Example {
    /// One sandbox through its whole life, in every connection mode
    Lifecycle,
    /// How many new sandboxes a second the cluster bears
    Cliff,
}

#[derive(Debug, Args)]
pub(super) struct CompletionArguments {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(super) shell: clap_complete::Shell,
}

#[derive(Debug, Subcommand)]
pub(super) enum ClusterCommand {
    /// Start the loopback cluster in the foreground; Ctrl-C ends it and leaves nothing
    Up(UpArguments),
}

#[derive(Debug, Args)]
pub(super) struct UpArguments {
    /// Write the kubeconfig to this file (mode 0600; removed at the end)
    #[arg(long, value_name = "PATH", env = "SANDBENCH_KUBECONFIG_OUT")]
    pub(super) kubeconfig_out: Option<PathBuf>,
    /// Time from a pod's binding to its start: `200ms`, `uniform(100ms,300ms)`, `lognormal(2.5s,0.4)`
    #[arg(long, value_name = "DELAY", env = "SANDBENCH_POD_START_DELAY")]
    pub(super) pod_start_delay: Option<String>,
    /// Time that the controller takes to adopt a warm sandbox; written as for `--pod-start-delay`
    #[arg(long, value_name = "DELAY", env = "SANDBENCH_ADOPTION_DELAY")]
    pub(super) adoption_delay: Option<String>,
    /// Claims that the controller serves in a second, at the most, `60/s`: beyond it they wait in
    /// line. By default as many as this machine can
    #[arg(long, value_name = "RATE", env = "SANDBENCH_CLAIM_CAPACITY")]
    pub(super) claim_capacity: Option<Rate>,
    /// Versions of the Agent Sandbox API to serve: `v1alpha1` (as controllers up to 0.4),
    /// `v1alpha1,v1beta1` (0.5) or `v1beta1` (1.0 and later)
    #[arg(
        long,
        value_name = "VERSIONS",
        default_value = "v1beta1",
        env = "SANDBENCH_API_VERSIONS"
    )]
    pub(super) api_versions: ServedVersions,
    /// Run this program of upstream's in pods of sandboxd, in place of the built-in one
    #[arg(long, value_name = "PROGRAM", env = "SANDBENCH_SANDBOXD_PROGRAM")]
    pub(super) sandboxd_program: Option<PathBuf>,
    /// Token that the router asks of everybody, as upstream's `ROUTER_AUTH_TOKEN`; none is asked for
    /// by default
    #[arg(
        long,
        value_name = "TOKEN",
        env = "SANDBENCH_ROUTER_TOKEN",
        hide_env_values = true
    )]
    pub(super) router_token: Option<String>,
    /// Play a fault, `PLACE=EFFECT[@SHARE][*TIMES]`: `api.create.sandboxclaims=429(1s)*3`,
    /// `api.watch=drop(2)`, `router=502@5%`, `runtime.execute=stall*1`; repeatable
    #[arg(
        long,
        value_name = "FAULT",
        env = "SANDBENCH_FAULT",
        value_delimiter = '\n'
    )]
    pub(super) fault: Vec<Fault>,
    /// End when standard input closes, and speak JSON on standard output (`run` uses it)
    #[arg(long, hide = true)]
    pub(super) attached: bool,
    #[command(flatten)]
    pub(super) telemetry: TelemetryArguments,
}

/// Reads `--ttl`.
fn time_to_live(text: &str) -> Result<HumanDuration, String> {
    let time: HumanDuration = text.parse().map_err(|error| format!("{error}"))?;
    let least = HumanDuration(Target::SHORTEST_TIME_TO_LIVE);
    if time < least {
        return Err(format!("at least {least}"));
    }
    Ok(time)
}

/// Which cluster a run is pointed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ClusterChoice {
    Loopback,
    Current,
    Context(String),
}

impl FromStr for ClusterChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "loopback" => Ok(Self::Loopback),
            "current" => Ok(Self::Current),
            _ => match text.strip_prefix("context:") {
                Some(name) if !name.is_empty() => Ok(Self::Context(name.to_owned())),
                _ => Err("use `loopback`, `current` or `context:NAME`".to_owned()),
            },
        }
    }
}

/// `NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) name: String,
    pub(super) value: String,
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("write NAME=VALUE".to_owned()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ColourChoice {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FlakyChoice {
    /// It passes and is told
    Pass,
    /// It fails: exit code 100
    Fail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ProgressChoice {
    /// `bar` on a terminal, `lines` elsewhere
    Auto,
    /// A line per running cell, redrawn in place; `t` tells what is in flight
    Bar,
    /// One line for all cells, redrawn in place
    Counter,
    /// A line at each change of stage, and at most one per 10 s
    Lines,
    /// Nothing
    None,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    /// Every command and those below it.
    fn commands(command: &clap::Command, all: &mut Vec<clap::Command>) {
        all.push(command.clone());
        for inner in command.get_subcommands() {
            commands(inner, all);
        }
    }

    /// What `reap` deletes is said where it is called, not in a variable that lasts.
    const SAID: [&str; 5] = ["run", "all", "older_than", "namespace", "all_namespaces"];

    #[test]
    fn every_flag_has_a_variable_of_its_name_but_those_that_say_what_is_deleted() {
        let mut all = Vec::new();
        commands(&Arguments::command(), &mut all);
        let mut without = Vec::new();
        for command in all {
            for flag in command.get_arguments().filter(|it| !it.is_positional()) {
                let id = flag.get_id().as_str();
                if ["help", "version", "attached"].contains(&id) {
                    continue;
                }
                if command.get_name() == "reap" && SAID.contains(&id) {
                    assert_eq!(flag.get_env(), None, "--{id}");
                    continue;
                }
                let name = format!("SANDBENCH_{}", id.to_uppercase());
                if flag.get_env().is_none_or(|env| *env != *name) {
                    without.push(format!("--{id} of `{}`: {name}", command.get_name()));
                }
            }
        }
        assert_eq!(without, Vec::<String>::new());
    }

    #[test]
    fn no_cluster_but_the_loopback_one_is_touched_without_a_word() {
        let arguments = Arguments::parse_from(["sandbench", "run", "a.yaml"]);
        let Command::Run(run) = arguments.command else {
            panic!("not `run`")
        };
        assert_eq!(run.cluster, ClusterChoice::Loopback);
    }

    #[test]
    fn a_cluster_choice_needs_a_known_form() {
        assert_eq!(
            "context:dev".parse(),
            Ok(ClusterChoice::Context("dev".to_owned()))
        );
        assert!("context:".parse::<ClusterChoice>().is_err());
        assert!("prod".parse::<ClusterChoice>().is_err());
    }
}
