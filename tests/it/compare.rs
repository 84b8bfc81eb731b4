//! Comparisons: their truth on simulated runs, and rounds, baselines and bad input as people use them.

#[path = "../../benches/compare/simulation.rs"]
mod simulation;

use rustix::process::Signal;
use sandbench::metrics::{Caveat, Standing};

use crate::cancel::{end, signal, wait_for};
use crate::program::{Place, result, samples};
use simulation::World;

const WORLD: World = World {
    rounds: 12,
    iterations: 50,
    spread: 0.2,
    disturbance: 0.03,
    hiccups: 0.02,
    drift: 0.05,
};

/// The whole table is printed by `cargo bench --bench compare_truth`; this one has wide margins.
#[test]
fn of_simulated_runs_few_alarm_falsely_and_a_planted_difference_is_found() {
    let runs = 40;
    let mut alarms = 0;
    let mut found = 0;
    let (mut held, mut all) = (0, 0);
    for seed in 0..runs {
        let same = simulation::run(&WORLD, seed, 1.0);
        let mut cells = same.rows.iter().flat_map(|row| &row.cells);
        alarms += usize::from(cells.any(|cell| cell.standing == Standing::Worse));
        let differs = simulation::run(&WORLD, seed + 1_000, 1.2);
        let cell = simulation::shifted(&differs, 0);
        found += usize::from(cell.standing == Standing::Worse);
        for (comparison, truth) in [(&same, 1.0), (&differs, 1.2)] {
            let interval = simulation::shifted(comparison, 0).ratio_interval.unwrap();
            held += usize::from(interval.low <= truth && truth <= interval.high);
            all += 1;
        }
    }
    assert!(alarms <= 6, "{alarms} false alarms in {runs} runs");
    assert!(found >= 36, "{found} of {runs} found");
    assert!(
        held * 100 >= all * 85,
        "{held} of {all} intervals hold the truth"
    );
}

/// Two cells that differ in how long their command sleeps, over rounds of two iterations.
const SLEEPS: &str = "version: 1\nname: sleeps\ntarget: { warmPool: p, mode: in-cluster-pod-ip }\n\
    vars: { more: \"0\" }\nscenarios:\n  turn:\n    matrix: { nap: [\"0\", \"0.2\"] }\n\
    \x20   load: { vus: 1, iterations: 2 }\n\
    \x20   compare: { across: nap, baseline: \"0\", rounds: ROUNDS, metrics: [exec_duration] }\n\
    \x20   steps:\n      - create: {}\n\
    \x20     - exec: sh -c 'sleep ${{ matrix.nap }}; sleep ${{ vars.more }}'\n";

fn sleeps(place: &Place, rounds: u32) -> String {
    let text = SLEEPS.replace("ROUNDS", &rounds.to_string());
    place
        .file("sleeps.yaml", &text)
        .to_str()
        .unwrap()
        .to_owned()
}

fn out(place: &Place, name: &str) -> String {
    format!("json={}", place.path(name).display())
}

#[test]
fn every_mode_runs_once_per_round_in_an_order_of_its_own() {
    let place = Place::new();
    let out = out(&place, "r.json");
    let file = "scenarios/modes.yaml";
    let ended = place.run(&["run", file, "--rounds", "2", "--seed", "7", "--out", &out]);
    ended
        .assert_code(0)
        .assert_says("round    2 of 2  one-agent-turn")
        .assert_says("compare one-agent-turn across mode  2 rounds, shuffled  1 VU")
        .assert_says("in-cluster-pod-ip (base)")
        .assert_says("need ≥ 9 rounds");
    let summary = result(&place.path("r.json"));
    let comparison = &summary.comparisons[0];
    let columns = [
        "in-cluster-pod-ip",
        "in-cluster",
        "direct",
        "gateway",
        "tunnel",
    ];
    assert_eq!(comparison.columns, columns);
    assert_eq!(
        (comparison.tests, comparison.needed, comparison.done),
        (12, 9, 2)
    );
    assert_eq!(comparison.rows.len(), 3);
    for cell in comparison
        .rows
        .iter()
        .flat_map(|row| row.cells.iter().skip(1))
    {
        assert_eq!(
            (cell.standing, cell.samples),
            (Standing::TooFew, 2),
            "{cell:?}"
        );
        assert!(cell.value.unwrap() > 0.0 && cell.reason.is_none());
    }
    for round in 0..2 {
        let positions = summary.cells.iter().map(|cell| cell.rounds[round].position);
        let mut positions: Vec<u32> = positions.collect();
        positions.sort_unstable();
        assert_eq!(positions, [1, 2, 3, 4, 5]);
    }
    for cell in &summary.cells {
        assert_eq!(
            (cell.rounds.len(), cell.iterations_passed),
            (2, 44),
            "{}",
            cell.cell
        );
        assert_eq!(cell.iterations_warmup, 4, "warm-up in each round");
        let counted = cell.rounds.iter().flat_map(|round| &round.trends);
        let execs: u64 = counted
            .filter(|trend| trend.metric == "exec_duration")
            .map(|trend| trend.n)
            .sum();
        assert_eq!(execs, 2 * 20 * 6, "the rounds add up to the cell");
    }
    assert_eq!(samples(&summary, 0, "exec_duration"), 240);
    place.assert_nothing_left();
}

#[test]
fn the_same_seed_shuffles_alike_and_another_one_differs() {
    let order = |seed: &str| {
        let place = Place::new();
        let file = sleeps(&place, 6);
        let (out, path) = (out(&place, "r.json"), place.path("r.json"));
        place
            .run(&["run", &file, "--rounds", "8", "--seed", seed, "--out", &out])
            .assert_code(0);
        let first = result(&path).cells.remove(0);
        first
            .rounds
            .iter()
            .map(|round| round.position)
            .collect::<Vec<_>>()
    };
    let seven = order("7");
    assert_eq!(seven, order("7"));
    assert_ne!(seven, order("8"));
}

#[test]
fn a_difference_between_cells_is_shown_and_can_fail_the_run() {
    let place = Place::new();
    let file = sleeps(&place, 8);
    let out = out(&place, "r.json");
    let ended = place.run(&["run", &file, "--out", &out, "--fail-on-regression"]);
    ended.assert_code(98).assert_says("▲");
    let summary = result(&place.path("r.json"));
    let slow = &summary.comparisons[0].rows[0].cells[1];
    assert_eq!((slow.standing, slow.samples), (Standing::Worse, 8));
    assert!(slow.ratio_interval.unwrap().low > 1.5, "{slow:?}");
    place.assert_nothing_left();
}

#[test]
fn a_run_slower_than_its_baseline_ends_with_98() {
    let place = Place::new();
    let file = sleeps(&place, 6);
    let baselines = place.path("baselines");
    let directory = baselines.to_str().unwrap();
    let run = |more: &[&str]| {
        let mut arguments = vec![
            "run",
            &file,
            "--only",
            "turn[nap=0]",
            "--baseline-dir",
            directory,
        ];
        arguments.extend(more);
        place.run(&arguments)
    };
    run(&["--baseline", "main"])
        .assert_code(2)
        .assert_says("find the baseline `main`")
        .assert_says("--save-baseline main");
    run(&["--save-baseline", "../main"]).assert_code(2);
    run(&["--save-baseline", "main"]).assert_code(0);
    assert!(baselines.join("main.json").is_file());
    let slower = [
        "--baseline",
        "main",
        "--fail-on-regression",
        "--var",
        "more=0.2",
    ];
    run(&slower)
        .assert_code(98)
        .assert_says("compare turn across result  6 rounds per column")
        .assert_says("main (base)")
        .assert_says("this run: another set of variables")
        .assert_says("each column is one run");
    place.assert_nothing_left();
}

#[test]
fn saved_results_are_compared_and_what_cannot_be_is_told() {
    let place = Place::new();
    let file = sleeps(&place, 6);
    let only = ["--only", "turn[nap=0]", "--rounds", "5"];
    for (name, more) in [("old.json", "more=0"), ("new.json", "more=0.2")] {
        let out = out(&place, name);
        let mut arguments = vec!["run", &file, "--out", &out, "--var", more];
        arguments.extend(only);
        place.run(&arguments).assert_code(0);
    }
    let path = |name: &str| place.path(name).to_str().unwrap().to_owned();
    let (old, new) = (path("old.json"), path("new.json"));
    place
        .run(&["compare", &old, &new, "--fail-on-regression"])
        .assert_code(98)
        .assert_says("old (base)")
        .assert_says("▲");
    let json = place.run(&["compare", &old, &new, "--out", "json=-"]);
    let summary: sandbench::metrics::Summary = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(summary.comparisons[0].columns, ["old", "new"]);
    place
        .run(&[
            "compare",
            &old,
            &new,
            "--metric",
            "write_duration",
            "--fail-on-regression",
        ])
        .assert_code(4)
        .assert_says("nothing could be judged");

    let text = std::fs::read_to_string(&old).unwrap();
    place.file("cut.json", &text[..text.len() / 2]);
    place.file(
        "newer.json",
        &text.replacen("\"format_version\": 1", "\"format_version\": 99", 1),
    );
    place.file("foreign.json", "{\"results\": []}");
    place.file("empty.json", "");
    for (name, said) in [
        ("missing.json", "No such file"),
        ("cut.json", "ends in the middle"),
        ("newer.json", "format version 99"),
        ("foreign.json", "no result of sandbench"),
        ("empty.json", "the file is empty"),
    ] {
        place
            .run(&["compare", &old, &path(name)])
            .assert_code(104)
            .assert_says(said);
    }
    let several = format!("{old},{old}");
    place
        .run(&["compare", &old, &several])
        .assert_code(2)
        .assert_says("not alike");
    place.run(&["compare", &old]).assert_code(2);
    place
        .run(&["compare", &old, &new, "--metric", "exec_durations"])
        .assert_code(2)
        .assert_says("unknown metric");
}

#[test]
fn a_run_that_is_stopped_compares_its_whole_rounds() {
    let place = Place::new();
    let file = sleeps(&place, 100);
    let out = out(&place, "r.json");
    let mut child = place.start(&["run", &file, "--out", &out]);
    wait_for(&mut child, "round    3 of 100");
    signal(&child, Signal::INT);
    end(child)
        .assert_code(105)
        .assert_says("nothing left behind");
    let comparison = result(&place.path("r.json")).comparisons.remove(0);
    assert!((2..6).contains(&comparison.done), "{}", comparison.done);
    assert_eq!(
        comparison.caveats,
        [Caveat::Stopped {
            rounds: comparison.done,
            planned: 100
        }]
    );
    assert!(comparison.rows[0].cells[1].samples >= 2);
    place.assert_nothing_left();
}

#[test]
fn a_cell_that_fails_is_not_compared() {
    let place = Place::new();
    let text = SLEEPS.replace("ROUNDS", "6").replace(
        "sleep ${{ matrix.nap }}; sleep ${{ vars.more }}",
        "test ${{ matrix.nap }} = 0 && sleep ${{ vars.more }}",
    );
    let file = place.file("fails.yaml", &text);
    let out = out(&place, "r.json");
    place
        .run(&[
            "run",
            file.to_str().unwrap(),
            "--rounds",
            "2",
            "--out",
            &out,
        ])
        .assert_code(100)
        .assert_says("N/A  0.2 exec_duration p50: 4 of 4 iterations failed, in rounds 1, 2");
    let cell = &result(&place.path("r.json")).comparisons[0].rows[0].cells[1];
    assert_eq!((cell.standing, cell.value), (Standing::NotApplicable, None));
    place.assert_nothing_left();
}
