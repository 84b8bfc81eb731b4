//! `sandbench run`: files to plans, plans to summaries, summaries to reports and an exit code.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;

use super::args::{ClusterChoice, ProgressChoice, RunArguments};
use super::baseline::Baseline;
use super::child::LoopbackChild;
use super::exit_code::Exit;
use super::failure::Failure;
use super::signal::Signals;
use super::{Look, check, progress, target};
use crate::compare;
use crate::engine::{self, CancelHandle, CancelReason, EngineError, Events, RunFacts};
use crate::metrics::{Metric, Reliability, RunInfo, Summary, ThresholdResult, Verdict};
use crate::plan::{self, Overrides, Plan};
use crate::report::{Format, Out};

/// Runs every file; the worst reason is the exit code.
pub(super) async fn run(arguments: RunArguments, look: Look) -> Result<Exit, Failure> {
    let mut outs = Vec::new();
    for out in &arguments.out {
        let prepared = Out::prepare(&out.name, &out.value)
            .map_err(|error| Failure::usage("prepare a report").because(error))?;
        outs.push(prepared);
    }
    if !outs.is_empty() && arguments.files.len() > 1 {
        return Err(Failure::usage("write one report of several files")
            .help("run the files one by one, each with its own `--out`"));
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
    let mut baseline = Baseline::prepare(&arguments.baseline, &plans)?;
    let mut signals = Signals::install()
        .map_err(|error| Failure::setup("take over Ctrl-C and SIGTERM").because(error))?;
    let mut reasons = Vec::new();
    for plan in plans {
        if plan.cells.is_empty() {
            eprintln!("{}: nothing matches `--only`", plan.file.path());
            reasons.push(Exit::NothingRan);
            continue;
        }
        let outs = std::mem::take(&mut outs);
        let baseline = &mut baseline;
        reasons.extend(one(&plan, (&arguments, baseline), &mut signals, (outs, look)).await?);
        if reasons.contains(&Exit::Interrupted) {
            break;
        }
    }
    Ok(Exit::decide(&reasons))
}

fn plan_of(
    path: &std::path::Path,
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
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        jobs: arguments.jobs,
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
    (outs, look): (Vec<Out>, Look),
) -> Result<Vec<Exit>, Failure> {
    let handle = CancelHandle::new();
    let graceful = plan.cells.iter().map(|cell| cell.load.graceful_stop).max();
    let working = work(plan, arguments, &handle);
    tokio::pin!(working);
    let worked = tokio::select! {
        worked = &mut working => worked,
        () = signals.drive(&handle, graceful.unwrap_or(Duration::ZERO)) => {
            left_at_once(plan, &arguments.cluster);
            return Ok(vec![Exit::Interrupted]);
        }
    };
    let mut summary = match worked {
        Ok(summary) => summary,
        Err(_) if handle.listen().reason().is_some() => {
            eprintln!("interrupted before the run had begun; nothing was created");
            return Ok(vec![Exit::Interrupted]);
        }
        Err(failure) => return Err(failure),
    };
    let mut reasons = vec![baseline.compare(plan, &mut summary)];
    show(&summary, outs, look)?;
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
    if summary.thresholds.iter().any(ThresholdResult::is_failed) {
        reasons.push(Exit::Thresholds);
    }
    if summary
        .cells
        .iter()
        .any(|cell| cell.verdict == Verdict::Failed)
    {
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
    for namespace in plan
        .cells
        .iter()
        .map(|cell| &cell.namespace)
        .collect::<std::collections::BTreeSet<_>>()
    {
        eprintln!(
            "to delete what is left: kubectl delete sandboxclaims -n {namespace} -l {}={}",
            crate::api::label::RUN_ID,
            plan.run_id
        );
    }
}

async fn work(
    plan: &Arc<Plan>,
    arguments: &RunArguments,
    handle: &CancelHandle,
) -> Result<Summary, Failure> {
    let mut cancel = handle.listen();
    let target = target::open(arguments, plan, &mut cancel).await?;
    let api_version = target
        .clients
        .values()
        .next()
        .map_or_else(String::new, |c| c.api_version().to_string());
    let facts = RunFacts {
        info: facts(plan, &target.name, api_version),
        clients: target.clients,
    };
    let (events, receiver) = Events::channel();
    let mut printing = tokio::task::JoinSet::new();
    if arguments.progress != ProgressChoice::None {
        printing.spawn(progress::lines(receiver));
    }
    let outcome = engine::run(plan, facts, handle.listen(), &events).await;
    drop(events);
    while printing.join_next().await.is_some() {}
    // Whatever became of the run, the cluster that was started for it ends first.
    let local = match target.child {
        Some(child) => end(child).await,
        None => 0,
    };
    let mut summary = outcome.map_err(|error: EngineError| {
        Failure::internal(format!("run `{}`", plan.name)).because(error)
    })?;
    summary.leaks.local = local;
    let questions = plan.questions.iter();
    let comparisons = questions.filter_map(|question| compare::rounds(question, &summary.cells));
    summary.comparisons = comparisons.collect();
    Ok(summary)
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
        vars: BTreeMap::clone(&plan.vars),
    }
}

/// The text goes to standard output, unless a report is to have that for itself.
fn show(summary: &Summary, outs: Vec<Out>, look: Look) -> Result<(), Failure> {
    let text = Format::Text.render(summary, look.report());
    show_as(summary, &text, outs)
}

/// The same with this text.
pub(super) fn show_as(summary: &Summary, text: &str, outs: Vec<Out>) -> Result<(), Failure> {
    let stdout_taken = outs.iter().any(Out::is_stdout);
    if stdout_taken {
        eprint!("{text}");
    } else {
        print(text)?;
    }
    for out in outs {
        let report = out.format.render(summary, crate::report::Colour::Off);
        let to_stdout = out
            .write(report)
            .map_err(|error| Failure::setup("write a report").because(error))?;
        if let Some(report) = to_stdout {
            print(&report)?;
        }
    }
    Ok(())
}

/// Prints; a reader that has gone (`| head`) is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::setup("write to standard output").because(error))
        }
        _ => Ok(()),
    }
}
