//! `sandbench run`: files to plans, plans to summaries, summaries to reports and an exit code.

use std::collections::VecDeque;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;

use super::args::{ClusterChoice, FlakyChoice, ProgressChoice, RunArguments, WebArguments};
use super::baseline::Baseline;
use super::board::Board;
use super::child::LoopbackChild;
use super::console::Console;
use super::exit_code::Exit;
use super::failure::Failure;
use super::partial::{Partial, PartialPath};
use super::progress::Mode;
use super::signal::Signals;
use super::web::Web;
use super::{Look, Screen, check, output, progress, reap, redact, target, telemetry};
use crate::compare;
use crate::engine::{self, CancelHandle, CancelReason, EngineError, Events, Pacing, RunFacts};
use crate::metrics::{Metric, Reliability, RunInfo, Sinks, Summary, Verdict};
use crate::plan::{self, Overrides, Plan};
use crate::report::Out;
use crate::telemetry::{Others, Telemetry};
use crate::units::HumanDuration;

/// Runs every file; the worst reason is the exit code.
pub(super) async fn run(arguments: RunArguments, screen: Screen) -> Result<Exit, Failure> {
    let look = screen.look;
    let several = arguments.files.len() > 1;
    let mut outs: VecDeque<Vec<Out>> = VecDeque::new();
    for file in &arguments.files {
        let file = several.then_some(file.as_path());
        let prepared = arguments.out.iter().map(|out| output::prepare(out, file));
        outs.push_back(prepared.collect::<Result<_, _>>()?);
    }
    // Every file is read and checked before the first one is run.
    let mut plans = Vec::new();
    let mut invalid = false;
    for path in &arguments.files {
        match plan_of(path, &arguments, look) {
            Ok(Some(plan)) => plans.push(Arc::new(plan)),
            Ok(None) => invalid = true,
            Err(failure) => {
                eprintln!("{failure}");
                invalid = true;
            }
        }
    }
    if invalid {
        return Ok(Exit::Invalid);
    }
    for plan in &plans {
        arguments.telemetry.for_run(plan, &arguments.cluster)?;
    }
    let mut baseline = Baseline::prepare(&arguments.baseline, &plans)?;
    let mut signals = Signals::install()
        .map_err(|error| Failure::setup("take over Ctrl-C and SIGTERM").because(error))?;
    let mut reasons = Vec::new();
    for plan in plans {
        let outs = outs.pop_front().unwrap_or_default();
        if plan.cells.is_empty() {
            eprintln!("{}: nothing matches `--only`", plan.file.path());
            reasons.push(Exit::NothingRan);
            continue;
        }
        let baseline = &mut baseline;
        reasons.extend(one(&plan, (&arguments, baseline), &mut signals, (outs, &screen)).await?);
        if reasons.contains(&Exit::Interrupted) {
            break;
        }
    }
    Ok(Exit::decide(&reasons))
}

/// The plan of a file; `None`: what is wrong with it was told.
pub(super) fn plan_of(
    path: &Path,
    arguments: &RunArguments,
    look: Look,
) -> Result<Option<Plan>, Failure> {
    let Some((file, document)) = check::load(path, look.source())? else {
        return Ok(None);
    };
    let overrides = Overrides {
        run_id: format!("r-{:016x}", rand::rng().random::<u64>()),
        seed: arguments
            .seed
            .unwrap_or_else(|| u64::from(rand::rng().random::<u32>())),
        only: arguments.only.clone(),
        vars: arguments
            .var
            .iter()
            .map(|var| (var.name.clone(), var.value.clone()))
            .collect(),
        environment: super::environment(),
        jobs: arguments.jobs,
        artifacts: arguments.artifacts.clone(),
        time_to_live: arguments.ttl.map(|time| time.0),
        cleanup_limit: Some(arguments.cleanup_timeout.0),
        rounds: arguments.rounds,
    };
    match plan::resolve(&document, &file, &overrides) {
        Ok(plan) => Ok(Some(plan)),
        Err(problems) => {
            check::report(&file, &problems, look.source());
            Ok(None)
        }
    }
}

/// Runs one plan and gives every exit code that applies.
async fn one(
    plan: &Arc<Plan>,
    (arguments, baseline): (&RunArguments, &mut Baseline),
    signals: &mut Signals,
    (outs, screen): (Vec<Out>, &Screen),
) -> Result<Vec<Exit>, Failure> {
    let handle = CancelHandle::new();
    let graceful = plan.cells.iter().map(|cell| cell.load.graceful_stop).max();
    let partial = outs.iter().find_map(Out::path).map(output::partial);
    let working = work(plan, arguments, (&handle, screen), partial);
    tokio::pin!(working);
    let worked = tokio::select! {
        worked = &mut working => worked,
        () = signals.drive(&handle, graceful.unwrap_or(Duration::ZERO), &screen.console) => {
            left_at_once(plan, &arguments.cluster);
            return Ok(vec![Exit::Interrupted]);
        }
    };
    let (mut summary, partial) = match worked {
        Ok(worked) => worked,
        Err(_) if handle.listen().reason().is_some() => {
            eprintln!("interrupted before the run had begun; nothing was created");
            return Ok(vec![Exit::Interrupted]);
        }
        Err(failure) => return Err(failure),
    };
    let mut reasons = vec![baseline.compare(plan, &mut summary)];
    output::github(&summary);
    if let Err(failure) = output::show(&summary, outs, screen.look) {
        let left = partial
            .map(|left| format!("the windows of the run are in `{}`", left.path().display()));
        return Err(failure.maybe_help(left));
    }
    if let Some(partial) = partial {
        partial.remove();
    }
    baseline.save(&summary)?;
    let stopped = handle.listen().reason();
    if stopped.is_some_and(|reason| reason != CancelReason::Threshold) {
        reasons.push(Exit::Interrupted);
    }
    if summary
        .cells
        .iter()
        .any(|cell| cell.counter(Metric::SetupFailures) > 0)
    {
        reasons.push(Exit::Setup);
    }
    if summary.misses_a_limit() {
        reasons.push(Exit::Thresholds);
    }
    if summary
        .cells
        .iter()
        .any(|cell| cell.verdict == Verdict::Failed)
    {
        reasons.push(Exit::Failed);
    }
    let again: u64 = summary
        .cells
        .iter()
        .map(|cell| cell.counter(Metric::FlakyIterations))
        .sum();
    if arguments.flaky == FlakyChoice::Fail && again > 0 {
        eprintln!("`--flaky fail`: iterations that passed only when tried again: {again}");
        reasons.push(Exit::Failed);
    }
    if summary.verdict == Verdict::NotApplicable {
        reasons.push(Exit::NothingRan);
    }
    if !summary.leaks.is_empty() {
        reasons.push(Exit::Leak);
    }
    if arguments.strict && summary.doubt.verdict == Reliability::Unreliable {
        reasons.push(Exit::Unreliable);
    }
    Ok(reasons)
}

fn left_at_once(plan: &Plan, cluster: &ClusterChoice) {
    eprintln!("left at once, without clean-up");
    if *cluster == ClusterChoice::Loopback {
        eprintln!("the loopback cluster ends with this process and leaves nothing");
        return;
    }
    eprintln!(
        "to delete what is left: {}",
        reap::command(plan, cluster).unwrap_or_default()
    );
    eprintln!(
        "what is not deleted ends by itself, {} after it was made or last renewed",
        HumanDuration(longest(plan))
    );
}

/// The longest that a claim of the plan lives on.
fn longest(plan: &Plan) -> Duration {
    let times = plan.cells.iter().map(|cell| cell.target.time_to_live);
    times.max().unwrap_or_default()
}

async fn work(
    plan: &Arc<Plan>,
    arguments: &RunArguments,
    (handle, screen): (&CancelHandle, &Screen),
    partial: Option<PathBuf>,
) -> Result<(Summary, Option<PartialPath>), Failure> {
    let board = Board::of(plan);
    let web = web(&arguments.web, &board, &screen.console).await?;
    let mut cancel = handle.listen();
    let telemetry = telemetry::start(&arguments.telemetry, plan, &arguments.cluster).await?;
    let environment = telemetry
        .as_ref()
        .map(|telemetry| arguments.telemetry.for_child(telemetry));
    let environment = environment.unwrap_or_default();
    let target = target::open(arguments, plan, &mut cancel, environment).await?;
    let api_version = target
        .clients
        .values()
        .next()
        .map_or_else(String::new, |c| c.api_version().to_string());
    let info = facts(plan, &target.name, api_version);
    let sinks = Sinks::default();
    sinks.add(board.clone());
    if let Some(telemetry) = telemetry.as_ref().filter(|it| it.wants_figures()) {
        sinks.add(telemetry.figures());
    }
    let partial = partial.and_then(|path| begin_partial(&path, (plan, &info), &sinks));
    let facts = RunFacts {
        info,
        clients: target.clients,
        sinks,
        pacing: Pacing::default(),
        tracer: telemetry
            .as_ref()
            .filter(|telemetry| telemetry.wants_spans())
            .map(Telemetry::tracer),
    };
    if arguments.progress != ProgressChoice::None {
        let console = &screen.console;
        console.say(&format!("run {} on {}", plan.run_id, facts.info.cluster));
        if let Some(command) = reap::command(plan, &arguments.cluster) {
            console.say(&format!(
                "should it be killed, this deletes what it leaves: {command}"
            ));
        }
    }
    let (events, receiver) = Events::channel();
    let mut printing = tokio::task::JoinSet::new();
    let mode = mode(arguments.progress);
    printing.spawn(progress::show(
        (mode, screen.progress),
        board,
        receiver,
        screen.console.clone(),
    ));
    let outcome = engine::run(plan, facts, handle.listen(), &events).await;
    drop((events, web));
    while printing.join_next().await.is_some() {}
    // Whatever became of the run, the cluster that was started for it ends first.
    let (local, others) = match target.child {
        // It has sent all its spans before it ends.
        Some(child) => (end(child).await, Others::AreDone),
        None => (0, Others::MayBeUnderWay),
    };
    let mut summary = outcome.map_err(|error: EngineError| {
        Failure::internal(format!("run `{}`", plan.name)).because(error)
    })?;
    summary.leaks.local = local;
    if summary.leaks.is_in_cluster() {
        summary.leaks.reap = reap::command(plan, &arguments.cluster);
    }
    let questions = plan.questions.iter();
    let comparisons = questions.filter_map(|question| compare::rounds(question, &summary.cells));
    summary.comparisons = comparisons.collect();
    if let Some(telemetry) = telemetry {
        telemetry.finish(&mut summary, others).await;
    }
    Ok((summary, partial))
}

/// Begins the live view in a browser, if it is asked for.
async fn web(
    arguments: &WebArguments,
    board: &Board,
    console: &Console,
) -> Result<Option<Web>, Failure> {
    let Some(address) = arguments.web else {
        return Ok(None);
    };
    if !address.ip().is_loopback() && !arguments.web_anywhere {
        return Err(Failure::usage(format!("show the run at {address}")).help(
            "use a loopback address, 127.0.0.1:PORT, or say `--web-anywhere`; the link is not encrypted",
        ));
    }
    let web = Web::start(address, board.clone())
        .await
        .map_err(|error| Failure::setup(format!("show the run at {address}")).because(error))?;
    console.say(&format!("live    {}", web.url));
    Ok(Some(web))
}

/// Lines that are redrawn in place need a terminal.
fn mode(choice: ProgressChoice) -> Mode {
    let terminal = std::io::stderr().is_terminal();
    match choice {
        ProgressChoice::None => Mode::None,
        ProgressChoice::Auto | ProgressChoice::Bar if terminal => Mode::Bar,
        ProgressChoice::Counter if terminal => Mode::Counter,
        ProgressChoice::Auto
        | ProgressChoice::Bar
        | ProgressChoice::Counter
        | ProgressChoice::Lines => Mode::Lines,
    }
}

/// Begins to write the windows of the run; a run without them is a run all the same.
fn begin_partial(
    path: &Path,
    (plan, info): (&Arc<Plan>, &RunInfo),
    sinks: &Sinks,
) -> Option<PartialPath> {
    match Partial::begin(path.to_owned(), plan, info) {
        Ok((partial, path)) => {
            sinks.add(partial);
            Some(path)
        }
        Err(error) => {
            eprintln!("warning: {} cannot be written: {error}", path.display());
            None
        }
    }
}

/// Ends the loopback cluster and counts what it could not remove from this machine.
async fn end(child: LoopbackChild) -> u64 {
    match child.end().await {
        Ok(left) => (left.processes + left.directories) as u64,
        Err(error) => {
            let failure = Failure::internal("end the loopback cluster").because(error);
            eprintln!("{failure}");
            1
        }
    }
}

fn facts(plan: &Plan, cluster: &str, api_version: String) -> RunInfo {
    let namespace = plan
        .cells
        .first()
        .map(|cell| cell.namespace.clone())
        .unwrap_or_default();
    RunInfo {
        id: plan.run_id.clone(),
        name: plan.name.clone(),
        file: plan.file.path().to_owned(),
        file_sha256: plan.file_sha256.clone(),
        seed: plan.seed.0,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: jiff::Timestamp::now().to_string(),
        duration_ms: 0,
        cluster: cluster.to_owned(),
        api_version,
        namespace,
        machine: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        flow_control: None,
        vars: plan
            .vars
            .iter()
            .map(|(name, value)| (name.clone(), redact::variable(name, value)))
            .collect(),
        file_text: redact::file(plan.file.text()),
        parts: Vec::new(),
    }
}
