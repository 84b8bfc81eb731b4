//! `run --baseline`, `--save-baseline` and `--fail-on-regression`: a run against one that was kept.

use std::path::Path;
use std::sync::Arc;

use super::args::BaselineArguments;
use super::compare::{baseline_path, judge};
use super::exit_code::Exit;
use super::failure::Failure;
use super::report::read;
use crate::compare::{self, ALPHA, MIN_EFFECT, Side};
use crate::metrics::{Summary, Verdict};
use crate::plan::Plan;
use crate::report::{Colour, Format, Out};

/// What is done with the summary of a run.
#[derive(Debug)]
pub(super) struct Baseline {
    against: Option<Side>,
    save: Option<Out>,
    fail: bool,
}

impl Baseline {
    /// Reads the baseline and prepares the file of the new one, before anything runs.
    pub(super) fn prepare(
        arguments: &BaselineArguments,
        plans: &[Arc<Plan>],
    ) -> Result<Self, Failure> {
        let directory = &arguments.baseline_dir;
        let compares = plans.iter().any(|plan| !plan.questions.is_empty());
        if arguments.fail_on_regression && arguments.baseline.is_none() && !compares {
            return Err(Failure::usage("fail on a regression: nothing is compared")
                .help("give `--baseline NAME`, or a scenario with `compare`"));
        }
        if plans.len() > 1 && (arguments.baseline.is_some() || arguments.save_baseline.is_some()) {
            return Err(Failure::usage("keep one baseline of several files")
                .help("run the files one by one, each with a baseline of its own"));
        }
        let against = match &arguments.baseline {
            None => None,
            Some(name) => Some(against(directory, name, plans)?),
        };
        let save = match &arguments.save_baseline {
            None => None,
            Some(name) => {
                let path = baseline_path(directory, name)?;
                let out = Out::prepare(Format::Json.word(), &path.to_string_lossy());
                Some(out.map_err(|error| {
                    Failure::usage(format!("keep the baseline `{name}`")).because(error)
                })?)
            }
        };
        Ok(Self {
            against,
            save,
            fail: arguments.fail_on_regression,
        })
    }

    /// Adds the comparison with the baseline. Without one, a regression is what the file's own
    /// `compare` shows.
    pub(super) fn compare(&self, plan: &Plan, summary: &mut Summary) -> Exit {
        let Some(baseline) = &self.against else {
            if self.fail && !plan.questions.is_empty() {
                return judge(&summary.comparisons);
            }
            return Exit::Ok;
        };
        let question = plan.questions.first();
        let limits = question.map_or((ALPHA, MIN_EFFECT), |question| {
            (question.alpha, question.min_effect)
        });
        let this = Side {
            name: "this run".to_owned(),
            results: vec![summary.clone()],
        };
        match compare::results(&[baseline.clone(), this], &[], limits) {
            Ok(found) => {
                let exit = if self.fail { judge(&found) } else { Exit::Ok };
                summary.comparisons.extend(found);
                exit
            }
            // The run itself is still to be reported.
            Err(error) => {
                let failure = Failure::usage("compare the run with its baseline").because(error);
                eprintln!("{failure}");
                if self.fail { judge(&[]) } else { Exit::Ok }
            }
        }
    }

    /// Keeps the run, unless it was stopped.
    pub(super) fn save(&mut self, summary: &Summary) -> Result<(), Failure> {
        let Some(out) = self.save.take() else {
            return Ok(());
        };
        if summary.verdict == Verdict::Interrupted {
            eprintln!("the run was stopped: it is not kept as a baseline");
            return Ok(());
        }
        let report = out.format.render(summary, Colour::Off);
        let written = out.write(report);
        written.map_err(|error| Failure::setup("keep the baseline").because(error))?;
        Ok(())
    }
}

/// The baseline of a name; it must have a cell of the plan.
fn against(directory: &Path, name: &str, plans: &[Arc<Plan>]) -> Result<Side, Failure> {
    let path = baseline_path(directory, name)?;
    if !path.exists() {
        return Err(Failure::usage(format!(
            "find the baseline `{name}` at `{}`",
            path.display()
        ))
        .help(format!(
            "keep one first: `sandbench run FILE --save-baseline {name}`"
        )));
    }
    let summary = read(&path)?;
    let mut cells = plans.iter().flat_map(|plan| &plan.cells);
    if !cells.any(|cell| summary.cells.iter().any(|known| known.cell == cell.name)) {
        return Err(Failure::usage(format!(
            "compare with the baseline `{name}`: it has no cell of this run"
        )));
    }
    Ok(Side {
        name: name.to_owned(),
        results: vec![summary],
    })
}
