//! The cluster of a run: the loopback cluster started for it, or a real one.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use kube::config::{KubeConfigOptions, Kubeconfig};

use super::args::{ClusterChoice, RunArguments};
use super::child::LoopbackChild;
use super::failure::Failure;
use super::provision::{Runtimes, Wanted, provision};
use crate::client::connect::Gateway;
use crate::client::{ClaimSource, Client, ConnectionMode, Dns, Needs, Runtime};
use crate::engine::{Cancel, Phase};
use crate::plan::Plan;
use crate::units::HumanDuration;

/// Warm sandboxes are held for this many times the iterations that run at once, so that a pool is not
/// what an iteration waits for.
const WARM_FACTOR: u32 = 2;

/// A cluster that a run can use.
pub(super) struct Target {
    pub(super) name: String,
    pub(super) clients: BTreeMap<String, Client>,
    pub(super) child: Option<LoopbackChild>,
}

/// Starts or finds the cluster and makes a client for each namespace of the plan.
///
/// A loopback cluster that was started is ended again when anything after that fails, or when the
/// run is interrupted.
pub(super) async fn open(
    arguments: &RunArguments,
    plan: &Plan,
    cancel: &mut Cancel,
    environment: Vec<(String, String)>,
) -> Result<Target, Failure> {
    if arguments.claim_capacity.is_some() && arguments.cluster != ClusterChoice::Loopback {
        return Err(
            Failure::usage("set the capacity of a real cluster (`--claim-capacity`)")
                .help("only the loopback cluster has a capacity that can be chosen"),
        );
    }
    let child = match arguments.cluster {
        ClusterChoice::Loopback => Some(
            LoopbackChild::start(arguments.claim_capacity, environment)
                .await
                .map_err(|error| Failure::setup("start the loopback cluster").because(error))?,
        ),
        ClusterChoice::Current | ClusterChoice::Context(_) => None,
    };
    let opened = tokio::select! {
        opened = clients(arguments, child.as_ref(), plan) => opened,
        () = cancel.reached(Phase::Draining) => Err(Failure::interrupted()),
    };
    match (opened, child) {
        (Ok((name, clients)), child) => Ok(Target {
            name,
            clients,
            child,
        }),
        (Err(failure), None) => Err(failure),
        (Err(failure), Some(child)) => {
            if let Err(error) = child.end().await {
                eprintln!(
                    "{}",
                    Failure::internal("end the loopback cluster").because(error)
                );
            }
            Err(failure)
        }
    }
}

async fn clients(
    arguments: &RunArguments,
    child: Option<&LoopbackChild>,
    plan: &Plan,
) -> Result<(String, BTreeMap<String, Client>), Failure> {
    let (name, access) = match (&arguments.cluster, child) {
        (ClusterChoice::Context(context), _) => (
            format!("context:{context}"),
            Access::Context(context.clone()),
        ),
        (ClusterChoice::Loopback, Some(child)) => {
            let config = loopback_config(child).await?;
            provision_all(&config, plan).await?;
            let dns = Dns::Server(child.access.dns);
            (
                "loopback".to_owned(),
                Access::Loopback(Box::new(config), dns),
            )
        }
        (ClusterChoice::Current | ClusterChoice::Loopback, _) => {
            ("current".to_owned(), Access::Current)
        }
    };
    let namespaces: BTreeSet<&str> = plan
        .cells
        .iter()
        .map(|cell| cell.namespace.as_str())
        .collect();
    let mut clients = BTreeMap::new();
    for namespace in namespaces {
        let builder = Client::builder()
            .namespace(namespace)
            .run_id(plan.run_id.as_str())
            .seed(plan.seed.0);
        let builder = match &access {
            Access::Loopback(config, dns) => builder.kubernetes((**config).clone()).dns(*dns),
            Access::Current => builder.infer(),
            Access::Context(context) => builder.context(context.as_str()),
        };
        let builder = match arguments.dns {
            Some(server) => builder.dns(Dns::Server(server)),
            None => builder,
        };
        let client = builder.build().await.map_err(|error| {
            let help = error.help();
            Failure::setup(format!("reach the cluster `{name}`"))
                .because(error)
                .maybe_help(help)
        })?;
        if child.is_none() {
            clock(&client).await;
        }
        clients.insert(namespace.to_owned(), client);
    }
    // What a run needs of the loopback cluster has just been put there.
    if child.is_none() {
        preflight(&name, &clients, plan).await?;
    }
    Ok((name, clients))
}

/// Lets times to live be those of the cluster's clock, which may be another one than ours.
async fn clock(client: &Client) {
    match client.read_server_clock().await {
        Ok(ahead) if ahead.is_zero() => {}
        Ok(ahead) => {
            let by = HumanDuration(ahead.unsigned_abs());
            let way = if ahead.is_negative() {
                "behind"
            } else {
                "ahead of"
            };
            eprintln!(
                "note: the cluster's clock is {by} {way} this machine's; times to live are told in \
                 the cluster's"
            );
        }
        Err(error) => tracing::debug!(%error, "the cluster's clock is taken to be this machine's"),
    }
}

/// Asks the cluster for everything that the plan needs, and tells all that is missing.
async fn preflight(
    cluster: &str,
    clients: &BTreeMap<String, Client>,
    plan: &Plan,
) -> Result<(), Failure> {
    let mut needs = HashSet::new();
    for cell in &plan.cells {
        let source = cell.target.source.clone();
        needs.insert((
            cell.namespace.as_str(),
            Needs {
                source: source.filter(|_| cell.uses_target_source()),
                mode: cell.target.mode.clone(),
            },
        ));
    }
    let mut problems = BTreeMap::new();
    for (namespace, needs) in needs {
        let Some(client) = clients.get(namespace) else {
            continue;
        };
        for problem in client.preflight(&needs).await {
            problems.insert(problem.to_string(), problem);
        }
    }
    let mut failures = problems.into_values().map(|problem| {
        let help = problem.help();
        Failure::setup(format!(
            "find what the run needs on the cluster `{cluster}`"
        ))
        .because(problem)
        .maybe_help(help)
    });
    let Some(first) = failures.next() else {
        return Ok(());
    };
    for failure in failures {
        eprintln!("{failure}");
    }
    Err(first)
}

enum Access {
    Loopback(Box<kube::Config>, Dns),
    Current,
    Context(String),
}

async fn loopback_config(child: &LoopbackChild) -> Result<kube::Config, Failure> {
    let broken = || Failure::internal("read the kubeconfig of the loopback cluster");
    let kubeconfig =
        Kubeconfig::from_yaml(&child.access.kubeconfig).map_err(|error| broken().because(error))?;
    kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(|error| broken().because(error))
}

/// Creates on the loopback cluster what the plan names: the same file serves both kinds of cluster.
async fn provision_all(config: &kube::Config, plan: &Plan) -> Result<(), Failure> {
    let client = kube::Client::try_from(config.clone())
        .map_err(|error| Failure::setup("reach the loopback cluster").because(error))?;
    for wanted in wanted(plan) {
        provision(&client, &wanted)
            .await
            .map_err(|error| Failure::setup("prepare the loopback cluster").because(error))?;
    }
    Ok(())
}

fn wanted(plan: &Plan) -> Vec<Wanted> {
    let at_once: u32 = plan
        .cells
        .iter()
        .map(|cell| cell.load.at_once())
        .max()
        .unwrap_or(1)
        .max(plan.jobs);
    let mut all = BTreeSet::new();
    let mut in_use = BTreeMap::new();
    for cell in &plan.cells {
        let source = cell.target.source.as_ref();
        let (warm_pool, template) = match source.filter(|_| cell.uses_target_source()) {
            Some(ClaimSource::WarmPool(pool)) => (Some(pool.clone()), None),
            Some(ClaimSource::Template(template)) => (None, Some(template.clone())),
            None => (None, None),
        };
        let gateway = match &cell.target.mode {
            ConnectionMode::Gateway(Gateway {
                name, namespace, ..
            }) => Some((namespace.clone(), name.clone())),
            _ => None,
        };
        let runtimes = match cell.target.mode.runtime() {
            Runtime::Legacy => Runtimes::Legacy,
            Runtime::Sandboxd(_) => Runtimes::Sandboxd,
        };
        let of_template = (cell.namespace.clone(), warm_pool.clone(), template.clone());
        in_use
            .entry(of_template)
            .and_modify(|known: &mut Runtimes| *known = known.and(runtimes))
            .or_insert(runtimes);
        all.insert(Wanted {
            runtimes: Runtimes::default(),
            namespace: cell.namespace.clone(),
            warm_pool,
            template,
            gateway,
            replicas: at_once.saturating_mul(WARM_FACTOR),
        });
    }
    let all = all.into_iter().map(|wanted: Wanted| {
        let of_template = (
            wanted.namespace.clone(),
            wanted.warm_pool.clone(),
            wanted.template.clone(),
        );
        let runtimes = in_use.get(&of_template).copied().unwrap_or_default();
        Wanted { runtimes, ..wanted }
    });
    all.collect()
}
