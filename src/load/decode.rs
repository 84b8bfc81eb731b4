//! Reads `load`; everything that is wrong with it is reported.
//!
//! The model is chosen by the word: `vus` is closed, `rate` is open, `breakpoint` searches; with
//! `stages` alone, the targets say which. `warmup` comes on top of what is asked for.

use std::time::Duration;

use super::stages::{Kind, Level, stages};
use super::{
    Arrival, Breakpoint, Closed, GRACEFUL_STOP, Load, LoadModel, MAX_IN_FLIGHT, Open, Profile,
    Warmup,
};
use crate::source::yaml::Node;
use crate::source::{
    Code, Diagnostic, Field, Fields, Keyword, Problems, Shape, Span, Spanned, Takes, words,
};
use crate::units::HumanDuration;

/// The fields of `load`.
pub const SHAPE: Shape = Shape {
    what: "load",
    fields: &[
        Field::new(
            "vus",
            Takes::Whole(0, 4_294_967_295),
            "closed model: virtual users; each runs iterations one after the other",
        ),
        Field::new(
            "rate",
            Takes::Rate,
            "open model: arrivals per time, `50/s`, whether or not earlier iterations have ended",
        ),
        Field::new(
            "iterations",
            Takes::Whole(1, i64::MAX),
            "the load ends after so many iterations, the total of the cell",
        ),
        Field::new("duration", Takes::Duration, "the load ends after this time"),
        Field::new(
            "stages",
            Takes::List(&Takes::Fields(&super::stages::STAGE)),
            "a profile: VUs or a rate that go in straight lines from target to target",
        ),
        Field::new(
            "arrival",
            Takes::Word(words::<Arrival>),
            "how arrivals of a rate are spaced; default: `constant`",
        ),
        Field::new(
            "maxInFlight",
            Takes::Whole(1, 4_294_967_295),
            "the most iterations at a time under a rate; what finds no room is a dropped iteration; default: 1,000",
        ),
        Field::new(
            "warmup",
            Takes::Either(&[Takes::Whole(0, i64::MAX), Takes::Duration]),
            "iterations or time before the figures, on top of what is asked for; they are run and not counted",
        ),
        Field::new(
            "gracefulStop",
            Takes::Duration,
            "how long iterations in flight may take at the end; default: 30s",
        ),
        Field::new(
            "breakpoint",
            Takes::Fields(&super::breakpoint::SHAPE),
            "looks for the highest rate of arrivals that the system bears",
        ),
    ],
    later: &[],
    help: Some(
        "a closed model uses `vus`, an open one `rate`; `iterations` is the total of the cell",
    ),
};

impl Keyword for Arrival {
    const WHAT: &'static str = "arrival";
    const WORDS: &'static [(&'static str, Self)] =
        &[("constant", Self::Constant), ("poisson", Self::Poisson)];
}

impl Load {
    /// Reads `load`.
    pub fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let fields = Fields::of(node, &SHAPE, problems)?;
        let graceful_stop = fields
            .quantity::<HumanDuration>("gracefulStop", problems)
            .map_or(GRACEFUL_STOP, |duration| duration.0);
        let zeros = no_zeros(&fields, problems);
        if fields.has("breakpoint") {
            let load = Breakpoint::decode(&fields, graceful_stop, problems);
            return zeros.and(load);
        }
        zeros?;
        fields.at_most_one_of(&["vus", "rate"], problems);
        fields.at_most_one_of(&["iterations", "duration", "stages"], problems);
        let stages = match fields.node("stages") {
            Some(node) => Some(stages(node, problems)?),
            None => None,
        };
        let (kind, start) = model(&fields, stages.as_ref().map(|(kind, _)| *kind), problems)?;
        let warmup = warmup(&fields, problems)?;
        let iterations: Option<Spanned<u64>> = fields.optional("iterations", problems);
        let duration = fields
            .quantity::<HumanDuration>("duration", problems)
            .map(|duration| duration.0);
        if (fields.has("iterations") && iterations.is_none())
            || (fields.has("duration") && duration.is_none())
        {
            return None;
        }
        let profile = match &stages {
            None => Profile::constant(start, duration),
            Some((_, stages)) => Profile::stages(start, stages),
        };
        let profile = match warmup {
            Warmup::Duration(warmup) => lengthened(profile, warmup, duration, start),
            Warmup::None | Warmup::Iterations(_) => profile,
        };
        let limited = iterations.is_some() || duration.is_some() || stages.is_some();
        let model = match kind {
            Kind::Closed => closed(&fields, profile, (iterations, limited), warmup, problems)?,
            Kind::Open => open(&fields, profile, (iterations, limited), warmup, problems)?,
        };
        Some(Self {
            model,
            warmup,
            graceful_stop,
        })
    }
}

/// A profile with its warm-up before it.
fn lengthened(
    profile: Profile,
    warmup: Duration,
    duration: Option<Duration>,
    start: f64,
) -> Profile {
    match duration {
        Some(duration) => Profile::constant(start, Some(duration.saturating_add(warmup))),
        None => profile.after(warmup),
    }
}

pub(super) fn bad(span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(Code::BadValue, span, message)
}

/// Numbers that would mean "nothing happens".
fn no_zeros(fields: &Fields<'_>, problems: &mut Problems) -> Option<()> {
    for name in ["vus", "iterations", "maxInFlight", "duration"] {
        let node = fields.node(name).filter(|node| {
            node.as_scalar()
                .is_some_and(|s| ["0", "0s", "0ms"].contains(&&*s.text))
        });
        // With stages, VUs may start from nothing.
        if let Some(node) = node.filter(|_| name != "vus" || !fields.has("stages")) {
            problems.push(bad(node.span, format!("`{name}: 0` does nothing")));
            return None;
        }
    }
    Some(())
}

/// Which model, and its level at the start.
fn model(
    fields: &Fields<'_>,
    targets: Option<Kind>,
    problems: &mut Problems,
) -> Option<(Kind, f64)> {
    let written = if let Some(node) = fields.node("vus") {
        let vus: u32 = fields.optional("vus", problems)?;
        Some((Kind::Closed, f64::from(vus), node.span))
    } else if let Some(node) = fields.node("rate") {
        let rate = crate::source::quantity::<Level>(node, problems)?;
        if rate.kind() == Kind::Closed || (rate.number() <= 0.0 && targets.is_none()) {
            let text = node.as_scalar().map_or("", |scalar| &scalar.text);
            problems.push(
                bad(node.span, format!("`{text}` is no rate")).label("write for example `50/s`"),
            );
            return None;
        }
        Some((Kind::Open, rate.number(), node.span))
    } else {
        None
    };
    match (written, targets) {
        (Some((kind, _, span)), Some(target)) if kind != target => {
            problems.push(Diagnostic::error(
                Code::Combination,
                span,
                format!("the load starts with {kind}, its stages go to {target}"),
            ));
            None
        }
        (Some((kind, start, _)), _) => Some((kind, start)),
        (None, Some(kind)) => Some((kind, 0.0)),
        (None, None) => {
            problems.push(
                Diagnostic::error(
                    Code::MissingField,
                    fields.head(),
                    "load needs `vus`, `rate`, `stages` or `breakpoint`",
                )
                .help("a closed model: `{ vus: 5, duration: 1m }`; an open one: `{ rate: 5/s, duration: 1m }`"),
            );
            None
        }
    }
}

fn warmup(fields: &Fields<'_>, problems: &mut Problems) -> Option<Warmup> {
    let Some(node) = fields.node("warmup") else {
        return Some(Warmup::None);
    };
    let number = node
        .as_scalar()
        .is_some_and(|s| s.text.parse::<u64>().is_ok());
    let (warmup, fits) = if number {
        let count: u64 = fields.optional("warmup", problems)?;
        (Warmup::Iterations(count), fields.has("iterations"))
    } else {
        let duration: HumanDuration = fields.quantity("warmup", problems)?;
        (Warmup::Duration(duration.0), !fields.has("iterations"))
    };
    if !fits {
        problems.push(
            Diagnostic::error(
                Code::Combination,
                node.span,
                "`warmup` is in another measure than the load",
            )
            .help("with `iterations` write a number, with `duration` or `stages` a time: both come on top"),
        );
        return None;
    }
    Some(warmup)
}

/// Iterations in total, warm-up included.
fn total(iterations: u64, warmup: Warmup) -> u64 {
    match warmup {
        Warmup::Iterations(count) => iterations.saturating_add(count),
        Warmup::None | Warmup::Duration(_) => iterations,
    }
}

fn closed(
    fields: &Fields<'_>,
    vus: Profile,
    (iterations, limited): (Option<Spanned<u64>>, bool),
    warmup: Warmup,
    problems: &mut Problems,
) -> Option<LoadModel> {
    for name in ["arrival", "maxInFlight"] {
        if let Some((key, _)) = fields.entry(name) {
            problems.push(
                Diagnostic::error(
                    Code::Combination,
                    key.span,
                    format!("`{name}` is of the open model"),
                )
                .help("use `rate` instead of `vus`, or leave it out"),
            );
            return None;
        }
    }
    let most = vus.highest();
    if let Some(iterations) = iterations.filter(|iterations| most > iterations.value as f64) {
        problems.push(
            Diagnostic::error(
                Code::Combination,
                iterations.span,
                format!(
                    "{most} VUs share {} iterations: some VUs would never run",
                    iterations.value
                ),
            )
            .label("fewer than `vus`")
            .help("`iterations` is the total of the cell: for 10 each, write 10 × `vus`"),
        );
        return None;
    }
    let each_once = fields
        .node("vus")
        .and_then(|node| node.as_scalar()?.as_i64())
        .and_then(|vus| u64::try_from(vus).ok());
    let iterations = match (iterations, limited) {
        (Some(iterations), _) => Some(total(iterations.value, warmup)),
        (None, true) => None,
        (None, false) => each_once,
    };
    Some(LoadModel::Closed(Closed { vus, iterations }))
}

fn open(
    fields: &Fields<'_>,
    rate: Profile,
    (iterations, limited): (Option<Spanned<u64>>, bool),
    warmup: Warmup,
    problems: &mut Problems,
) -> Option<LoadModel> {
    if !limited {
        problems.push(
            Diagnostic::error(
                Code::MissingField,
                fields.head(),
                "load with a rate needs an end",
            )
            .help("add `duration`, `iterations` or `stages`"),
        );
        return None;
    }
    let arrival = match fields.node("arrival") {
        Some(_) => fields.keyword("arrival", problems)?,
        None => Arrival::Constant,
    };
    let max_in_flight = match fields.node("maxInFlight") {
        Some(_) => fields.optional("maxInFlight", problems)?,
        None => MAX_IN_FLIGHT,
    };
    Some(LoadModel::Open(Open {
        rate,
        iterations: iterations.map(|iterations| total(iterations.value, warmup)),
        arrival,
        max_in_flight,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{End, VuCurve as _};
    use crate::source::{SourceFile, yaml};

    fn decode(text: &str) -> (Option<Load>, Vec<String>) {
        let file = SourceFile::from_text("t.yaml", text);
        let mut problems = Problems::new();
        let node = yaml::parse(&file, &mut problems);
        let load = node.and_then(|node| Load::decode(&node, &mut problems));
        let told = problems.iter().map(|problem| problem.message.clone());
        (load, told.collect())
    }

    fn good(text: &str) -> Load {
        let (load, problems) = decode(text);
        load.unwrap_or_else(|| panic!("{text}: {problems:?}"))
    }

    fn end(text: &str) -> End {
        match good(text).model {
            other @ (LoadModel::Open(_) | LoadModel::Breakpoint(_)) => panic!("{other:?}"),
            LoadModel::Closed(closed) => closed.end(),
        }
    }

    fn rate(text: &str) -> Open {
        match good(text).model {
            other @ (LoadModel::Closed(_) | LoadModel::Breakpoint(_)) => panic!("{other:?}"),
            LoadModel::Open(open) => open,
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn vus_with_iterations_or_a_duration_are_read() {
        assert_eq!(end("{ vus: 20, iterations: 100 }"), End::Iterations(100));
        assert_eq!(end("{ vus: 2, duration: 1m }"), End::At(60 * SECOND));
        assert_eq!(end("{ vus: 3 }"), End::Iterations(3));
        let load = good("{ vus: 3, gracefulStop: 5s }");
        assert_eq!(load.graceful_stop, 5 * SECOND);
    }

    #[test]
    fn a_warm_up_comes_on_top_of_what_is_asked_for() {
        assert_eq!(
            end("{ vus: 2, iterations: 100, warmup: 10 }"),
            End::Iterations(110)
        );
        assert_eq!(
            end("{ vus: 2, duration: 10s, warmup: 5s }"),
            End::At(15 * SECOND)
        );
        let stages = "{ rate: 2/s, warmup: 5s, stages: [{ target: 4/s, duration: 10s }] }";
        assert_eq!(rate(stages).rate.end(), Some(15 * SECOND));
        let warmup = good(stages).warmup;
        assert!(warmup.holds(99, 4 * SECOND) && !warmup.holds(0, 5 * SECOND));
    }

    #[test]
    fn rates_are_read_with_their_spread_and_their_cap() {
        let open = rate("{ rate: 50/s, duration: 2s }");
        assert_eq!(
            (open.planned(), open.max_in_flight),
            (Some(100), MAX_IN_FLIGHT)
        );
        let open = rate("{ rate: 60/m, iterations: 7, arrival: poisson, maxInFlight: 3 }");
        assert_eq!((open.arrival, open.max_in_flight), (Arrival::Poisson, 3));
        assert_eq!(open.planned(), Some(7));
        let open =
            rate("{ stages: [{ target: 10/s, duration: 2s }, { target: 0/s, duration: 2s }] }");
        assert_eq!(open.planned(), Some(20));
    }

    #[test]
    fn stages_with_numbers_are_of_vus() {
        let load = good("{ vus: 0, stages: [{ target: 4, duration: 2s }] }");
        let LoadModel::Closed(closed) = load.model else {
            panic!("{load:?}")
        };
        assert_eq!((closed.most(), closed.vus(SECOND)), (4, 2));
    }

    #[test]
    fn what_cannot_be_is_told() {
        for (text, problem) in [
            (
                "{ iterations: 5 }",
                "load needs `vus`, `rate`, `stages` or `breakpoint`",
            ),
            ("{ vus: 0 }", "`vus: 0` does nothing"),
            (
                "{ vus: 9, iterations: 5 }",
                "9 VUs share 5 iterations: some VUs would never run",
            ),
            (
                "{ vus: 1, iterations: 5, duration: 1s }",
                "load has both `iterations` and `duration`",
            ),
            (
                "{ vus: 1, rate: 5/s, duration: 1s }",
                "load has both `vus` and `rate`",
            ),
            ("{ rate: 5/s }", "load with a rate needs an end"),
            ("{ rate: 5, duration: 1s }", "`5` is no rate"),
            ("{ rate: 0/s, duration: 1s }", "`0/s` is no rate"),
            (
                "{ vus: 1, arrival: poisson }",
                "`arrival` is of the open model",
            ),
            (
                "{ rate: 1/s, duration: 1s, arrival: random }",
                "unknown arrival `random`",
            ),
            ("{ vus: 1, duration: 5 }", "`5` has no unit"),
            (
                "{ vus: 1, iterations: 2, warmup: 5s }",
                "`warmup` is in another measure than the load",
            ),
            ("{ stages: [] }", "`stages` has no stage"),
            (
                "{ stages: [{ target: 1, duration: 1s }, { target: 1/s, duration: 1s }] }",
                "the stages have VUs and rates as targets",
            ),
            (
                "{ vus: 1, stages: [{ target: 1/s, duration: 1s }] }",
                "the load starts with VUs, its stages go to a rate",
            ),
            (
                "{ stages: [{ target: 0, duration: 1s }] }",
                "no stage has a target above zero",
            ),
            (
                "{ stages: [{ target: 5, duration: 0s }] }",
                "a stage of no duration",
            ),
        ] {
            let (load, problems) = decode(text);
            assert!(
                problems.iter().any(|found| found == problem),
                "{text}: {problems:?}"
            );
            assert!(
                load.is_none() || text.contains("both") || !problems.is_empty(),
                "{text}"
            );
        }
    }
}
