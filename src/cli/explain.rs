//! `sandbench explain`: what the language, the metrics, the warnings and the exit codes mean.
//!
//! The texts come from the tables that decode and emit, so they cannot differ from what is done. A
//! name may be several things (`timeout`, `thresholds`): all of them are told.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::exit_code::Exit;
use super::failure::Failure;
use super::output;
use crate::expr::{CONTEXTS, ROOTS};
use crate::metrics::{Metric, Unit, Warning};
use crate::scenario::{FILE, SCENARIO};
use crate::source::{Field, Shape, suggest};
use crate::step::{About, Action, COMMON};

/// Texts on things that are more than a key.
const TOPICS: &[(&str, &str)] = &[
    ("matrix", include_str!("topics/matrix.txt")),
    ("thresholds", include_str!("topics/thresholds.txt")),
    ("traces", include_str!("topics/traces.txt")),
    ("expect", include_str!("topics/expect.txt")),
    ("expressions", include_str!("topics/expressions.txt")),
    ("data", include_str!("topics/data.txt")),
    ("load", include_str!("topics/load.txt")),
    ("breakpoint", include_str!("topics/breakpoint.txt")),
    ("telemetry", include_str!("topics/telemetry.txt")),
    ("precedence", include_str!("topics/precedence.txt")),
];
/// Lists that are made of tables.
const LISTS: &[&str] = &[
    "steps",
    "metrics",
    "contexts",
    "warnings",
    "exit-codes",
    "keys",
];

/// Prints everything that has this name.
pub(super) fn explain(topic: Option<&str>) -> Result<Exit, Failure> {
    output::print(&topic.map_or_else(|| Ok(overview()), named)?)?;
    Ok(Exit::Ok)
}

fn overview() -> String {
    let topics: Vec<&str> = TOPICS.iter().map(|(name, _)| *name).collect();
    format!(
        "sandbench explain NAME tells about:\n\
         \x20 topics    {}\n\
         \x20 lists     {}\n\
         \x20 mappings  {}\n\
         \x20 actions   {}\n\
         \x20 and every key (`load.vus`, or `vus` wherever it is), metric, warning, context and exit code\n",
        topics.join(", "),
        LISTS.join(", "),
        shapes().into_keys().collect::<Vec<_>>().join(", "),
        Action::KINDS.join(", "),
    )
}

fn named(name: &str) -> Result<String, Failure> {
    let mut told: Vec<String> = Vec::new();
    let topics = TOPICS.iter().filter(|(topic, _)| *topic == name);
    told.extend(topics.map(|(_, text)| (*text).to_owned()));
    told.extend(list(name));
    told.extend(Action::about(name).map(action));
    if Action::about(name).is_none() {
        told.extend(shapes().get(name).map(|fields| mapping(name, fields)));
    }
    told.extend(keys(name));
    let metrics = Metric::ALL.iter().filter(|metric| metric.name() == name);
    told.extend(metrics.map(|found| metric(*found)));
    let contexts = ROOTS.iter().filter(|root| **root == name);
    told.extend(contexts.map(|root| context(root)));
    let warnings = Warning::KINDS.iter().filter(|(kind, _)| *kind == name);
    told.extend(warnings.map(|(kind, text)| warning(kind, text)));
    let exits = Exit::BY_PRECEDENCE
        .iter()
        .filter(|exit| exit.name() == name || exit.number().to_string() == name);
    told.extend(exits.map(|exit| exit_code(*exit)));
    if told.is_empty() {
        return Err(unknown(name));
    }
    Ok(told.join("\n"))
}

fn unknown(name: &str) -> Failure {
    let every = every_name();
    let known: Vec<&str> = every.iter().map(String::as_str).collect();
    let help = suggest(name, &known).map_or_else(
        || "`sandbench explain` without a name lists what there is".to_owned(),
        |word| format!("did you mean `{word}`?"),
    );
    Failure::usage(format!("explain `{name}`")).help(help)
}

/// Every name that has an explanation.
fn every_name() -> Vec<String> {
    let mut names: Vec<String> = TOPICS.iter().map(|(name, _)| (*name).to_owned()).collect();
    names.extend(LISTS.iter().map(|name| (*name).to_owned()));
    names.extend(Action::KINDS.iter().map(|kind| (*kind).to_owned()));
    for (shape, fields) in shapes() {
        for field in fields {
            names.push(field.name.to_owned());
            names.push(format!("{shape}.{}", field.name));
        }
        names.push(shape);
    }
    names.extend(Metric::ALL.iter().map(|metric| metric.name().to_owned()));
    names.extend(ROOTS.iter().map(|root| (*root).to_owned()));
    names.extend(Warning::KINDS.iter().map(|(kind, _)| (*kind).to_owned()));
    for exit in Exit::BY_PRECEDENCE {
        names.push(exit.name().to_owned());
        names.push(exit.number().to_string());
    }
    names
}

fn list(name: &str) -> Option<String> {
    Some(match name {
        "steps" => Action::ALL.iter().fold(String::new(), |mut text, about| {
            // Writing to a string cannot fail.
            let _infallible = writeln!(text, "{:<12} {}", about.kind, about.what);
            text
        }),
        "metrics" => Metric::ALL.iter().map(|found| metric(*found)).collect(),
        "contexts" => ROOTS.iter().map(|root| context(root)).collect(),
        "warnings" => Warning::KINDS
            .iter()
            .map(|(kind, text)| warning(kind, text))
            .collect(),
        "exit-codes" => {
            let mut all = Exit::BY_PRECEDENCE;
            all.sort_by_key(|exit| exit.number());
            all.map(exit_code).concat()
        }
        "keys" => shapes()
            .iter()
            .map(|(name, fields)| mapping(name, fields))
            .collect::<Vec<_>>()
            .join("\n"),
        _ => return None,
    })
}

/// Every mapping of the language with its fields, by its name.
fn shapes() -> BTreeMap<String, Vec<&'static Field>> {
    let mut all = BTreeMap::new();
    all.insert("step".to_owned(), COMMON.iter().collect());
    collect(&FILE, &mut all);
    collect(&SCENARIO, &mut all);
    for field in COMMON {
        if let Some(shape) = field.takes.shape() {
            collect(shape, &mut all);
        }
    }
    for about in Action::ALL {
        let own = all.entry(about.kind.to_owned()).or_default();
        own.extend(about.beside);
        if let Some(shape) = about.takes.shape() {
            collect(shape, &mut all);
        }
    }
    all
}

fn collect(shape: &'static Shape, all: &mut BTreeMap<String, Vec<&'static Field>>) {
    let fields = all.entry(name_of(shape)).or_default();
    if fields.iter().any(|known| shape.field(known.name).is_some()) {
        return;
    }
    fields.extend(shape.fields);
    for field in shape.fields {
        if let Some(inner) = field.takes.shape() {
            collect(inner, all);
        }
    }
}

/// ``a stage`` is `stage`, `` `exec` `` is `exec`, `the rate of a breakpoint` is `rate`.
fn name_of(shape: &Shape) -> String {
    let what = shape.what.replace('`', "");
    let what = what.split(" of ").next().unwrap_or_default();
    what.split(' ').next_back().unwrap_or_default().to_owned()
}

fn mapping(name: &str, fields: &[&Field]) -> String {
    let mut text = format!("{name}\n");
    text.extend(fields.iter().map(|field| key("  ", field)));
    text
}

/// Every key with this name; `load.vus` is that of one mapping.
fn keys(name: &str) -> Vec<String> {
    let (of, wanted) = match name.split_once('.') {
        Some((of, wanted)) => (Some(of), wanted),
        None => (None, name),
    };
    let mut told = Vec::new();
    for (shape, fields) in shapes() {
        if of.is_some_and(|of| of != shape) {
            continue;
        }
        for field in fields.into_iter().filter(|field| field.name == wanted) {
            told.push(key(&format!("{shape}."), field));
        }
    }
    told
}

fn key(before: &str, field: &Field) -> String {
    let must = if field.required { " (required)" } else { "" };
    format!(
        "{before}{}{must}\n      {}\n      takes {}\n",
        field.name,
        field.what,
        field.takes.name()
    )
}

fn action(about: &About) -> String {
    let mut text = format!(
        "{}\n  {}\n  takes {}\n",
        about.kind,
        about.what,
        about.takes.name()
    );
    let own = about.takes.shape().map_or(&[][..], |shape| shape.fields);
    text.extend(own.iter().map(|field| key("  ", field)));
    text.extend(about.beside.iter().map(|field| key("  beside it: ", field)));
    text.push_str(if about.outputs.is_empty() {
        "  gives nothing\n"
    } else {
        "  gives\n"
    });
    for output in about.outputs {
        // Writing to a string cannot fail.
        let _infallible = writeln!(
            text,
            "    {:<14} {} ({})",
            output.name,
            output.what,
            output.kind.name()
        );
    }
    text.push_str("  example\n");
    for line in about.example.lines() {
        let line = format!("    {line}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn metric(metric: Metric) -> String {
    let unit = match metric.unit() {
        Unit::Nanoseconds => "time",
        Unit::Count => "count",
        Unit::Bytes => "bytes",
        Unit::PerSecond => "per second",
    };
    format!(
        "{:<28} {} ({unit})\n",
        metric.name(),
        metric.description().trim()
    )
}

fn context(root: &str) -> String {
    let fixed = CONTEXTS.iter().find(|(known, _)| *known == root);
    let names = match (fixed, root) {
        (Some((_, names)), _) => names.join(", "),
        (None, "vars") => "variables of the file, and what steps above captured".to_owned(),
        (None, "env") => "environment variables of sandbench; hidden in reports".to_owned(),
        (None, "matrix") => "the values of the cell, by axis".to_owned(),
        (None, "data") => "the columns of the iteration's row".to_owned(),
        (None, "steps") => "outputs of steps above, by id: `steps.ID.OUTPUT`".to_owned(),
        (None, _) => String::new(),
    };
    format!("{root:<10} {names}\n")
}

fn warning(kind: &str, text: &str) -> String {
    format!("{kind:<18} {text}\n")
}

fn exit_code(exit: Exit) -> String {
    format!(
        "{:>3} {:<12} {}\n",
        exit.number(),
        exit.name(),
        exit.meaning()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_has_a_name_has_an_explanation() {
        for name in every_name() {
            let text = named(&name).unwrap();
            assert!(text.lines().all(|line| line.len() < 400), "{name}: {text}");
            let (_, rest) = text.split_once(char::is_whitespace).unwrap();
            assert!(rest.trim().len() > 3, "{name} has no text: {text}");
        }
        let list = |name: &str| list(name).is_some();
        assert!(LISTS.iter().all(|name| list(name)));
    }

    #[test]
    fn every_key_action_metric_warning_and_exit_code_has_a_sentence() {
        let mut texts: Vec<(&str, &str)> = Warning::KINDS.to_vec();
        texts.extend(Exit::BY_PRECEDENCE.map(|exit| (exit.name(), exit.meaning())));
        texts.extend(Metric::ALL.iter().map(|it| (it.name(), it.description())));
        texts.extend(Action::ALL.iter().map(|about| (about.kind, about.what)));
        for fields in shapes().into_values() {
            texts.extend(fields.iter().map(|field| (field.name, field.what)));
        }
        for (name, text) in texts {
            assert!(text.trim().len() > 5, "{name}: {text:?}");
        }
        for root in ROOTS {
            assert!(context(root).trim().len() > root.len() + 2, "{root}");
        }
    }

    #[test]
    fn a_key_is_found_alone_and_in_its_mapping_and_a_stranger_gets_a_hint() {
        let vus = named("load.vus").unwrap();
        assert!(vus.starts_with("load.vus\n"), "{vus}");
        assert_eq!(named("vus").unwrap(), vus);
        let timeouts = named("timeout").unwrap();
        for place in ["scenario.timeout", "step.timeout", "exec.timeout"] {
            assert!(timeouts.contains(place), "{timeouts}");
        }
        let hint = named("exec_durations").unwrap_err().to_string();
        assert!(hint.contains("did you mean `exec_duration`?"), "{hint}");
    }

    #[test]
    fn exit_codes_are_listed_in_their_order() {
        let text = list("exit-codes").unwrap();
        assert!(text.starts_with("  0 ok "), "{text}");
        assert!(text.contains(" 99 thresholds "), "{text}");
        assert!(named("99").unwrap().contains("thresholds"));
    }
}
