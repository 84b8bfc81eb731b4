//! `sandbench run --dry-run`: every effective value and where it came from; nothing runs.

use std::fmt::Write as _;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory};

use super::args::{Arguments, RunArguments};
use super::exit_code::Exit;
use super::failure::Failure;
use super::{Look, output, run};
use crate::plan::{Effective, Plan, Setting, effective};
use crate::report::Out;

/// The flags of `run`, with their values and where these came from.
pub(super) fn flags(matches: &ArgMatches) -> Vec<Setting> {
    let mut command = Arguments::command();
    command.build();
    let Some((name, matches)) = matches.subcommand() else {
        return Vec::new();
    };
    let Some(command) = command.find_subcommand(name) else {
        return Vec::new();
    };
    let flags = command.get_arguments().filter(|flag| {
        let id = flag.get_id().as_str();
        !flag.is_positional() && !["help", "version", "dry_run"].contains(&id)
    });
    let flags = flags.map(|flag| {
        let id = flag.get_id().as_str();
        let variable = flag.get_env().unwrap_or_default().to_string_lossy();
        let from = match matches.value_source(id) {
            Some(ValueSource::CommandLine) => "flag".to_owned(),
            Some(ValueSource::EnvVariable) => format!("environment {variable}"),
            Some(_) | None => "default".to_owned(),
        };
        let values = matches.get_raw(id).map(|values| {
            let values = values.map(|value| value.to_string_lossy().into_owned());
            values.collect::<Vec<_>>().join(" ")
        });
        let value = match (values, id) {
            (Some(_), _) if flag.is_hide_env_values_set() => "***".to_owned(),
            (Some(values), _) => values,
            (None, "seed") => "drawn anew for each run".to_owned(),
            (None, _) => "none".to_owned(),
        };
        let name = format!("--{}", flag.get_long().unwrap_or(id));
        Setting { name, value, from }
    });
    flags.collect()
}

/// Prints the values of every file, or writes them as JSON.
pub(super) fn dry_run(
    arguments: &RunArguments,
    flags: &[Setting],
    look: Look,
) -> Result<Exit, Failure> {
    let mut outs = Vec::new();
    for out in &arguments.out {
        if out.name != "json" {
            return Err(Failure::usage(format!("write `{}` of a dry run", out.name))
                .help("with `--dry-run` there is `--out json=PATH`"));
        }
        outs.push(output::prepare(out, None)?);
    }
    let mut all = Vec::new();
    let mut exit = Exit::Ok;
    for path in &arguments.files {
        let Some(plan) = run::plan_of(path, arguments, look)? else {
            exit = Exit::Invalid;
            continue;
        };
        if plan.cells.is_empty() {
            eprintln!("{}: nothing matches `--only`", plan.file.path());
            exit = Exit::decide(&[exit, Exit::NothingRan]);
        }
        let mut values = effective(&plan, |name| given(name, arguments, flags));
        let flags = flags.iter().cloned();
        let mut flags: Vec<Setting> = flags.collect();
        listens(&mut flags, &plan, arguments);
        values.settings.splice(0..0, flags);
        all.push(values);
    }
    let to_stdout = outs.iter().any(Out::is_stdout);
    if !to_stdout {
        output::print(&text(&all))?;
    }
    // Texts in lists and maps always have a JSON form.
    let json = serde_json::to_string_pretty(&all).unwrap_or_default();
    for out in outs {
        output::put(out, format!("{json}\n"))?;
    }
    Ok(exit)
}

/// What a file expects of traces may need an address to receive them on that no flag gives.
fn listens(flags: &mut [Setting], plan: &Plan, arguments: &RunArguments) {
    let flag = flags.iter_mut().find(|flag| flag.name == "--otlp-listen");
    let address = arguments.telemetry.listens_for(plan, &arguments.cluster);
    if let (Some(flag), Some(address)) = (flag.filter(|flag| flag.from == "default"), address) {
        flag.value = address.to_string();
        "traces.expect".clone_into(&mut flag.from);
    }
}

/// Where a setting comes from that the file does not decide.
fn given(setting: &str, arguments: &RunArguments, flags: &[Setting]) -> Option<String> {
    let flag = |name: &str| {
        let flag = flags.iter().find(|flag| flag.name == name)?;
        let from = &flag.from;
        (from != "default").then(|| from.replace("flag", &format!("flag {name}")))
    };
    let name = match setting {
        "target.timeToLive" => return flag("--ttl"),
        "compare.rounds" => return flag("--rounds"),
        _ => setting.strip_prefix("vars.")?,
    };
    if arguments.var.iter().any(|var| var.name == name) {
        return Some(format!("flag --var {name}"));
    }
    let variable = format!("SANDBENCH_VAR_{name}");
    std::env::var_os(&variable).map(|_| format!("environment {variable}"))
}

fn text(all: &[Effective]) -> String {
    let mut text = String::new();
    for values in all {
        let count = values.cells.len();
        let plural = if count == 1 { "" } else { "s" };
        // Writing to a string cannot fail.
        let _infallible = writeln!(
            text,
            "{}: {count} cell{plural}; nothing is run",
            values.file
        );
        lines(&mut text, &values.settings);
        for cell in &values.cells {
            let _infallible = writeln!(text, "\n{}", cell.cell);
            lines(&mut text, &cell.settings);
        }
    }
    text
}

fn lines(text: &mut String, settings: &[Setting]) {
    let width = |of: fn(&Setting) -> &str| {
        let widths = settings.iter().map(|setting| of(setting).chars().count());
        widths.max().unwrap_or(0).min(40)
    };
    let (names, values) = (width(|it| &it.name), width(|it| &it.value));
    for Setting { name, value, from } in settings {
        let value = value.replace('\n', "\\n");
        // Writing to a string cannot fail.
        let _infallible = writeln!(text, "  {name:names$}  {value:values$}  {from}");
    }
}
