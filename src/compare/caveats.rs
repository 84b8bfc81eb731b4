//! Why two sides may not be comparable: facts of their runs, loads, sandboxes and figures that differ.

use std::collections::BTreeMap;

use super::results::{Side, cells_of};
use super::rounds::{FOOTING, warm_percent};
use crate::metrics::{Caveat, CellSummary, Reliability, RunFact, SampleUnit, Summary, Warning};

/// Why the columns may not be comparable.
pub(super) fn caveats(
    sides: &[Side],
    scenario: &str,
    cells: &[&str],
    sample: SampleUnit,
) -> Vec<Caveat> {
    let mut caveats = Vec::new();
    let Some((baseline, others)) = sides.split_first() else {
        return caveats;
    };
    for side in others {
        differing(baseline, side, &mut caveats);
        for name in cells {
            per_cell(baseline, side, name, &mut caveats);
        }
    }
    for side in sides {
        if let Some(reason) = doubt(side) {
            caveats.push(Caveat::Doubtful {
                column: side.name.clone(),
                reason,
            });
        }
        let mut own = cells_of(side, scenario).into_iter();
        if sample == SampleUnit::Round && own.any(|cell| cell.rounds.is_empty()) {
            caveats.push(Caveat::NoRounds {
                column: side.name.clone(),
            });
        }
    }
    if sample == SampleUnit::Round {
        caveats.push(Caveat::OneRunEach);
    }
    caveats
}

fn doubt(side: &Side) -> Option<String> {
    let mut doubtful = side
        .results
        .iter()
        .filter(|result| result.doubt.verdict > Reliability::Ok);
    doubtful.find_map(|result| result.doubt.reasons.first().cloned())
}

/// How a fact is read from a result.
type Reading = fn(&Summary) -> String;

/// Facts of the runs that are not the same on both sides.
fn differing(baseline: &Side, side: &Side, caveats: &mut Vec<Caveat>) {
    let facts: [(RunFact, Reading); 9] = [
        (RunFact::Seed, |result| result.run.seed.to_string()),
        (RunFact::Scenario, |result| short(&result.run.file_sha256)),
        (RunFact::Variables, |result| variables(&result.run.vars)),
        (RunFact::Machine, |result| result.run.machine.clone()),
        (RunFact::Cores, |result| result.run.cores.to_string()),
        (RunFact::Cluster, |result| result.run.cluster.clone()),
        (RunFact::ApiVersion, |result| result.run.api_version.clone()),
        (RunFact::Version, |result| result.run.version.clone()),
        (RunFact::Build, |result| {
            let debug = result.warnings.contains(&Warning::DebugBuild);
            if debug { "debug" } else { "release" }.to_owned()
        }),
    ];
    let all = |side: &Side, fact: Reading| {
        let mut values: Vec<String> = side.results.iter().map(fact).collect();
        values.sort_unstable();
        values.dedup();
        values.join(", ")
    };
    for (name, fact) in facts {
        let (from, to) = (all(baseline, fact), all(side, fact));
        // Several runs on a side have several seeds: that is what they are for.
        let several = name == RunFact::Seed && side.results.len() > 1;
        if from != to && !several {
            caveats.push(Caveat::Differs {
                column: side.name.clone(),
                fact: name,
                baseline: from,
                other: to,
            });
        }
    }
}

/// As many digits of a hash as people compare.
fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}

fn variables(vars: &BTreeMap<String, String>) -> String {
    let vars: Vec<String> = vars
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    if vars.is_empty() {
        "none".to_owned()
    } else {
        vars.join(" ")
    }
}

/// What differs about one cell.
fn per_cell(baseline: &Side, side: &Side, name: &str, caveats: &mut Vec<Caveat>) {
    let find = |side: &Side| {
        let mut cells = side.results.iter().flat_map(|result| &result.cells);
        cells.find(|cell| cell.cell == name).cloned()
    };
    let (from, to) = match (find(baseline), find(side)) {
        (Some(from), Some(to)) => (from, to),
        (Some(_), None) => {
            return caveats.push(Caveat::Missing {
                column: side.name.clone(),
                cell: name.to_owned(),
            });
        }
        (None, _) => {
            return caveats.push(Caveat::Missing {
                column: baseline.name.clone(),
                cell: name.to_owned(),
            });
        }
    };
    let load = |cell: &CellSummary| {
        let rounds = cell.rounds.len().max(1) as u64;
        let planned = cell.iterations_planned.map(|planned| planned / rounds);
        let iterations = planned.map_or(String::new(), |planned| format!(", {planned} iterations"));
        format!("{}{iterations}", cell.load)
    };
    if load(&from) != load(&to) {
        caveats.push(Caveat::Load {
            column: side.name.clone(),
            cell: name.to_owned(),
            baseline: load(&from),
            other: load(&to),
        });
    }
    if let (Some(baseline_percent), Some(percent)) = (warm_percent(&from), warm_percent(&to))
        && baseline_percent.abs_diff(percent) > FOOTING
    {
        caveats.push(Caveat::Footing {
            cell: format!("{}: {name}", side.name),
            baseline_percent,
            percent,
        });
    }
}
