//! `sandbench list` and `sandbench explain`: what a file has, and what the language has.
//!
//! The texts come from the constants that decode and emit, so they cannot differ from what is done.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::check;
use super::exit_code::Exit;
use super::failure::Failure;
use crate::expr::CONTEXTS;
use crate::metrics::Metric;
use crate::source::{Colour, list_of, suggest};
use crate::step::Action;

const TOPICS: [&str; 6] = [
    "steps",
    "metrics",
    "contexts",
    "data",
    "breakpoint",
    "exit-codes",
];

const DATA: &str = "\
data: tasks.csv          one row per iteration of the scenario: ${{ data.COLUMN }}
data:
  file: tasks.csv        relative to the scenario file; CSV (the first line names the columns,
                         every value is text), JSON (a list of objects) or JSON Lines
  format: csv            csv, json or jsonl, where the ending of the file does not say it
  order: sequential      all iterations of a cell draw from the same rows, by their number;
                         shuffle: in an order drawn once; random: any row, drawn anew
  onEnd: recycle         begin again; stop: no further iteration begins
";

const BREAKPOINT: &str = "\
load:                    looks for the highest rate of arrivals at which every limit holds
  arrival: constant      how the arrivals of a level are spread; or poisson
  maxInFlight: 1000      an arrival beyond it is dropped, and breaks its level
  gracefulStop: 30s      how long the iterations of a level may take to end after it; what has not
                         ended by then breaks it
  breakpoint:
    rate: { from: 5/s, to: 400/s }   the first level, and the last of the ramp
    strategy: ramp-then-bisect       up until a level breaks, then between the highest that held
                                     and the lowest that broke; the only one
    step: x1.5           each level of the ramp to the one before; x1.01 to x10
    settle: 20s          the begin of each level; its samples are thrown away
    hold: 60s            the rest of each level, by whose iterations alone it is judged
    tolerance: 5%        how far apart the two levels of the answer may be; 0.1% to 50%
    holdsWhile:          what must hold in a level: thresholds, without `window` and `abortOnFail`;
      sandbox_ready_duration: p95 < 2s   where none is about `failures` or `dropped_iterations`,
                                         there must be none of them
Between levels nothing arrives until the iterations of the last have ended. `breakpoint_rate` is the
highest level that held; a threshold may say what it must be: `breakpoint_rate: value >= 60/s`.
To try it on a known capacity: `sandbench run FILE --claim-capacity 60/s` on the loopback cluster.
";

/// Prints the scenarios of every file, with what they are for.
pub(super) fn list(files: &[PathBuf], colour: Colour) -> Result<Exit, Failure> {
    let mut exit = Exit::Ok;
    for path in files {
        let Some((_, document)) = check::load(path, colour)? else {
            exit = Exit::Invalid;
            continue;
        };
        println!("{}: {}", path.display(), document.name.value);
        for scenario in &document.scenarios {
            let cells = scenario.matrix.combinations().len();
            let plural = if cells == 1 { "" } else { "s" };
            let description = scenario.description.as_deref().unwrap_or_default();
            let line = format!(
                "  {}  {cells} cell{plural}  {description}",
                scenario.id.value
            );
            println!("{}", line.trim_end());
        }
    }
    Ok(exit)
}

/// Prints what a topic, an action or a metric is.
pub(super) fn explain(topic: Option<&str>) -> Result<Exit, Failure> {
    let text = match topic {
        None => format!(
            "topics: {}\nor the name of an action or of a metric\n",
            TOPICS.join(", ")
        ),
        Some("steps") => Action::KINDS.iter().map(|kind| action(kind)).collect(),
        Some("metrics") => Metric::ALL.iter().map(|found| metric(*found)).collect(),
        Some("contexts") => contexts(),
        Some("data") => DATA.to_owned(),
        Some("breakpoint") => BREAKPOINT.to_owned(),
        Some("exit-codes") => exit_codes(),
        Some(name) => named(name)?,
    };
    print!("{text}");
    Ok(Exit::Ok)
}

fn named(name: &str) -> Result<String, Failure> {
    if Action::KINDS.contains(&name) {
        return Ok(action(name));
    }
    if let Some(found) = Metric::ALL.iter().find(|metric| metric.name() == name) {
        return Ok(metric(*found));
    }
    let metrics = Metric::ALL.iter().map(|metric| metric.name());
    let known: Vec<&str> = TOPICS
        .into_iter()
        .chain(Action::KINDS.iter().copied())
        .chain(metrics)
        .collect();
    let help = suggest(name, &known).map_or_else(
        || {
            format!(
                "the topics are {}, every action and every metric",
                list_of(&TOPICS)
            )
        },
        |word| format!("did you mean `{word}`?"),
    );
    Err(Failure::usage(format!("explain `{name}`")).help(help))
}

fn action(kind: &str) -> String {
    let mut text = format!("{kind}\n");
    let outputs = Action::outputs_of(kind);
    if outputs.is_empty() {
        text.push_str("  no outputs\n");
    }
    for output in outputs {
        // Writing to a string cannot fail.
        let _infallible = writeln!(
            text,
            "  {:<14} {} ({})",
            output.name,
            output.what,
            output.kind.name()
        );
    }
    text
}

fn metric(metric: Metric) -> String {
    format!("{:<28} {}\n", metric.name(), metric.description().trim())
}

fn contexts() -> String {
    let mut text = String::new();
    for (root, names) in CONTEXTS {
        // Writing to a string cannot fail.
        let _infallible = writeln!(text, "{root:<10} {}", names.join(", "));
    }
    text
}

fn exit_codes() -> String {
    let mut all = Exit::BY_PRECEDENCE;
    all.sort_by_key(|exit| exit.number());
    all.map(|exit| format!("{:>3} {}\n", exit.number(), exit.name()))
        .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_and_metric_has_an_explanation_and_a_stranger_a_hint() {
        for name in Action::KINDS {
            assert!(named(name).unwrap().starts_with(name));
        }
        for metric in Metric::ALL {
            assert!(named(metric.name()).unwrap().contains(metric.name()));
        }
        let hint = named("exec_durations").unwrap_err().to_string();
        assert!(hint.contains("did you mean `exec_duration`?"), "{hint}");
    }

    #[test]
    fn exit_codes_are_listed_in_their_order() {
        let text = exit_codes();
        assert!(text.starts_with("  0 ok\n  1 internal\n"), "{text}");
        assert!(text.contains(" 99 thresholds\n"), "{text}");
    }
}
