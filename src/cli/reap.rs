//! `sandbench reap`: deletes what a killed run left behind, and waits until it is gone.
//!
//! Claims are found by the label of their run; with them go their sandboxes, pods, volumes and
//! services. Each is deleted only if it is still the one that was found.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::args::{ClusterChoice, ReapArguments};
use super::exit_code::Exit;
use super::failure::Failure;
use super::signal::Signals;
use crate::client::{Client, DeleteError, Leftovers, Reach, RetryPolicy, RunClaim};
use crate::plan::Plan;
use crate::units::HumanDuration;

/// Deletions under way at the same time.
const AT_ONCE: usize = 32;
/// Pause between two looks at what is left.
const PAUSE: Duration = Duration::from_millis(250);

/// The command that deletes what a run left; `None` for the loopback cluster, which ends with its
/// run.
pub(super) fn command(plan: &Plan, cluster: &ClusterChoice) -> Option<String> {
    let cluster = match cluster {
        ClusterChoice::Loopback => return None,
        ClusterChoice::Current => "current".to_owned(),
        ClusterChoice::Context(name) => quoted(&format!("context:{name}")),
    };
    let namespaces: BTreeSet<&str> = plan
        .cells
        .iter()
        .map(|cell| cell.namespace.as_str())
        .collect();
    let mut command = format!("sandbench reap --run {} --cluster {cluster}", plan.run_id);
    for namespace in namespaces {
        command = format!("{command} --namespace {namespace}");
    }
    Some(command)
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
    if word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Finds, deletes and waits, unless a signal comes.
pub(super) async fn run(arguments: ReapArguments) -> Result<Exit, Failure> {
    let mut signals = Signals::install()
        .map_err(|error| Failure::setup("take over Ctrl-C and SIGTERM").because(error))?;
    tokio::select! {
        reaped = reap(&arguments) => reaped,
        reason = signals.next() => {
            eprintln!("{reason}: some may be left; the same command goes on where this one stopped");
            Ok(Exit::Interrupted)
        }
    }
}

async fn reap(arguments: &ReapArguments) -> Result<Exit, Failure> {
    let mut clients = BTreeMap::new();
    let claims = find(arguments, &mut clients).await?;
    if claims.is_empty() {
        println!("nothing to reap: no claims {}", what(arguments));
        return Ok(Exit::Ok);
    }
    if arguments.dry_run {
        for claim in &claims {
            println!("would delete {}", told(claim));
        }
        let count = claims.len();
        println!("{count} claims would be deleted (--dry-run: nothing was)");
        return Ok(Exit::Ok);
    }
    let started = Instant::now();
    let deadline = started + arguments.timeout.0;
    let failed = delete(&clients, &claims, deadline).await;
    let mut left = Vec::new();
    for (namespace, client) in &clients {
        let own: Vec<RunClaim> = claims
            .iter()
            .filter(|claim| claim.namespace == *namespace)
            .cloned()
            .collect();
        if !own.is_empty() {
            left.extend(wait(client, namespace, &own, deadline).await);
        }
        client.close().await;
    }
    let took = HumanDuration(Duration::from_millis(
        u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    ));
    if left.is_empty() {
        println!(
            "{} claims deleted; they and their sandboxes are gone after {took}",
            claims.len()
        );
        return Ok(Exit::Ok);
    }
    eprintln!("error: not everything is gone after {took}");
    if failed > 0 {
        eprintln!("  {failed} of {} claims could not be deleted", claims.len());
    }
    for left in left {
        eprintln!("  {left}");
    }
    eprintln!("  = help: run the same command again; look at finalizers and the controller's log");
    Ok(Exit::Leak)
}

/// A client of a namespace.
async fn client(arguments: &ReapArguments, namespace: &str) -> Result<Client, Failure> {
    let builder = Client::builder()
        .namespace(namespace)
        .request_timeout(arguments.timeout.0.min(Duration::from_secs(30)))
        .retry(RetryPolicy::default());
    let builder = match &arguments.cluster {
        ClusterChoice::Current => builder.infer(),
        ClusterChoice::Context(name) => builder.context(name.as_str()),
        ClusterChoice::Loopback => {
            return Err(Failure::usage(
                "reap the loopback cluster of a run: it ended with its run",
            )
            .help(
                "name a cluster: `--cluster current` or `--cluster context:NAME`, also for \
                     `sandbench cluster up`",
            ));
        }
    };
    builder.build().await.map_err(|error| {
        let help = error.help();
        Failure::setup("reach the cluster")
            .because(error)
            .maybe_help(help)
    })
}

/// The claims that are to be deleted, and the clients of their namespaces.
async fn find(
    arguments: &ReapArguments,
    clients: &mut BTreeMap<String, Client>,
) -> Result<Vec<RunClaim>, Failure> {
    let reach = if arguments.all_namespaces {
        Reach::AllNamespaces
    } else {
        Reach::Namespace
    };
    let asked: BTreeSet<&str> = arguments.namespace.iter().map(String::as_str).collect();
    let mut claims = Vec::new();
    for namespace in asked {
        let client = client(arguments, namespace).await?;
        let found = client.claims_of_runs(arguments.run.as_deref(), reach).await;
        claims.extend(found.map_err(|error| {
            let help = error.help();
            Failure::setup("find what runs left")
                .because(error)
                .maybe_help(help)
        })?);
        clients.insert(namespace.to_owned(), client);
    }
    if let Some(HumanDuration(least)) = arguments.older_than {
        if claims.iter().any(|claim| claim.age.is_none()) {
            return Err(Failure::setup(
                "tell how old claims are: the API server does not tell its time",
            )
            .help("reap runs one by one, with `--run`"));
        }
        claims.retain(|claim| claim.age.is_some_and(|age| age > least));
    }
    for claim in &claims {
        if !clients.contains_key(&claim.namespace) {
            let client = client(arguments, &claim.namespace).await?;
            clients.insert(claim.namespace.clone(), client);
        }
    }
    Ok(claims)
}

/// What was looked for and where, for people.
fn what(arguments: &ReapArguments) -> String {
    let of = match (&arguments.run, arguments.older_than) {
        (Some(run), _) => format!("of run `{run}`"),
        (None, Some(least)) => format!("of runs that are older than {least}"),
        (None, None) => "of runs".to_owned(),
    };
    if arguments.all_namespaces {
        return format!("{of} in any namespace");
    }
    format!("{of} in namespace {}", arguments.namespace.join(", "))
}

/// A claim, for people.
fn told(claim: &RunClaim) -> String {
    let age = claim
        .age
        .map_or_else(String::new, |age| format!(", {} old", HumanDuration(age)));
    let RunClaim {
        namespace,
        name,
        run_id,
        ..
    } = claim;
    format!("{name} (namespace {namespace}, run {run_id}{age})")
}

/// Deletes each claim, many at the same time; tells which, and gives how many could not be.
async fn delete(
    clients: &BTreeMap<String, Client>,
    claims: &[RunClaim],
    deadline: Instant,
) -> usize {
    let deleting = claims.iter().filter_map(|claim| {
        let client = clients.get(&claim.namespace)?;
        Some(async move {
            let deleting = client.delete(&claim.name, Some(&claim.uid));
            (claim, timeout_at(deadline, deleting).await)
        })
    });
    let mut deletions = stream::iter(deleting).buffer_unordered(AT_ONCE);
    let mut failed = 0;
    while let Some((claim, deleted)) = deletions.next().await {
        match deleted {
            // A claim that was replaced is gone.
            Ok(Ok(_) | Err(DeleteError::Replaced { .. })) => println!("deleted {}", told(claim)),
            Ok(Err(error)) => {
                failed += 1;
                let action = format!("delete {}", told(claim));
                eprintln!("{}", Failure::setup(action).because(error));
            }
            Err(_) => failed += 1,
        }
    }
    failed
}

/// Waits until claims and what belongs to them are gone; tells what is left at the deadline.
async fn wait(
    client: &Client,
    namespace: &str,
    claims: &[RunClaim],
    deadline: Instant,
) -> Option<String> {
    let mut left = "the API server does not answer".to_owned();
    loop {
        let looked = timeout_at(deadline, client.leftovers_of(claims)).await;
        left = match looked {
            Ok(Ok(left)) if left.is_empty() => {
                let not_counted = left.not_counted().join(", ");
                if !not_counted.is_empty() {
                    println!(
                        "not known, as they may not be listed: {not_counted} in namespace {namespace}"
                    );
                }
                return None;
            }
            Ok(Ok(left)) => counts(left),
            Ok(Err(error)) => Failure::setup("look for what is left")
                .because(error)
                .to_string(),
            // Cut off by the deadline: what was seen before still holds.
            Err(_) => left,
        };
        if Instant::now() >= deadline {
            return Some(format!("namespace {namespace}: {left}"));
        }
        sleep_until(deadline.min(Instant::now() + PAUSE)).await;
    }
}

fn counts(left: Leftovers) -> String {
    let mut parts = vec![format!("{} claims", left.claims)];
    parts.extend(
        left.kinds()
            .iter()
            .filter_map(|(kind, count)| Some(format!("{} {kind}", (*count)?))),
    );
    format!("left are {}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_with_odd_letters_is_quoted_for_the_shell() {
        assert_eq!(quoted("context:kind-a"), "context:kind-a");
        assert_eq!(quoted("context:a b'c"), r"'context:a b'\''c'");
    }
}
