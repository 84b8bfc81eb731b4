//! A load with `breakpoint` against loopback clusters whose capacity is known, on the paused clock.

mod tests {
    use std::time::Duration;

    use sandbench::engine::{CancelHandle, CancelReason, Phase};
    use sandbench::loopback::ClusterConfig;
    use sandbench::metrics::{
        BreakpointSummary, Finding, LevelVerdict, Outcome, Summary, Verdict, Warning,
    };

    use crate::paused;
    use crate::program::{Place, result};

    /// A scenario with this load; thresholds of the file.
    fn scenario_of(load: &str, steps: &str, thresholds: &str) -> String {
        format!(
            "version: 1\nname: t\ntarget: {{ warmPool: p, mode: in-cluster-pod-ip }}\nscenarios:\n  \
             a:\n    load: {load}\n    steps: {steps}\n{thresholds}"
        )
    }

    fn search(from: &str, to: &str, more: &str) -> String {
        format!(
            "{{ breakpoint: {{ rate: {{ from: {from}, to: {to} }}, settle: 2s, hold: 10s, \
             holdsWhile: {{ sandbox_ready_duration: p95 < 200ms }} }}{more} }}"
        )
    }

    const CREATE: &str = "[{ create: {} }]";

    /// Runs a scenario on a cluster that serves so many claims a second.
    async fn run(text: &str, capacity: Option<&str>, seed: u64, cancel: &CancelHandle) -> Summary {
        let config = ClusterConfig {
            claim_capacity: capacity.map(|rate| rate.parse().unwrap()),
            seed,
            ..ClusterConfig::default()
        };
        paused::run(text, config, seed, cancel).await
    }

    fn found(summary: &Summary) -> &BreakpointSummary {
        summary.cells[0].breakpoint.as_ref().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_known_capacity_is_found_within_the_tolerance() {
        for (seed, capacity) in [(1, 3.0), (2, 4.2), (3, 5.0)] {
            let text = scenario_of(&search("2/s", "20/s", ""), CREATE, "");
            let rate = format!("{capacity}/s");
            let summary = run(&text, Some(&rate), seed, &CancelHandle::new()).await;
            let found = found(&summary);
            assert_eq!(found.finding, Finding::Found, "{found}");
            let held = found.held.unwrap().as_per_second();
            let missed = (held - capacity).abs() / capacity;
            assert!(missed <= 0.05, "{capacity} was found as {found}");
            assert_eq!(summary.verdict, Verdict::Passed);
            for level in &found.levels {
                let ended = level.iterations + level.dropped + level.unfinished;
                assert_eq!(level.due, ended, "{level:?}");
                assert_eq!(level.to_ms - level.from_ms, 10_000);
                let hold = level.rate.as_per_second() * 10.0;
                assert!((level.due as f64 - hold).abs() <= 1.0, "{level:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_system_that_never_breaks_and_one_that_breaks_at_once_are_told() {
        let limits = "thresholds:\n  breakpoint_rate: value >= 3/s\n";
        let text = scenario_of(&search("2/s", "4/s", ""), CREATE, limits);
        let summary = run(&text, None, 1, &CancelHandle::new()).await;
        assert_eq!(found(&summary).finding, Finding::NeverBroke);
        assert_eq!(found(&summary).levels.len(), 3, "2, 3, 4");
        assert_eq!(summary.thresholds[0].outcome, Outcome::Held);
        let summary = run(&text, Some("1/s"), 1, &CancelHandle::new()).await;
        assert_eq!(found(&summary).finding, Finding::BrokeAtOnce);
        assert_eq!(found(&summary).held, None);
        assert_eq!(summary.thresholds[0].outcome, Outcome::NoSamples);
        assert_eq!(summary.verdict, Verdict::Failed);
    }

    #[tokio::test(start_paused = true)]
    async fn iterations_that_do_not_end_break_their_level_and_are_told() {
        let steps = "[{ create: {} }, { sleep: 10s }]";
        let load = search("2/s", "4/s", ", gracefulStop: 2s");
        let summary = run(
            &scenario_of(&load, steps, ""),
            None,
            1,
            &CancelHandle::new(),
        )
        .await;
        let level = &found(&summary).levels[0];
        assert_eq!(level.verdict, LevelVerdict::Broke);
        // Those of the last 8 s of the hold.
        assert!((15..=17).contains(&level.unfinished), "{level:?}");
        let told = |warning: &Warning| matches!(warning, Warning::NotDrained { .. });
        assert!(summary.warnings.iter().any(told), "{:?}", summary.warnings);
        let cell = &summary.cells[0];
        let ended = cell.iterations_passed + cell.iterations_interrupted;
        assert_eq!(ended, 12 * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_of_its_own_a_level_breaks_with_the_first_failure() {
        let steps = "[{ create: {}, expect: { launchType: cold } }]";
        let text = scenario_of(&search("2/s", "4/s", ""), steps, "");
        let summary = run(&text, None, 1, &CancelHandle::new()).await;
        let level = &found(&summary).levels[0];
        assert_eq!((level.failures, level.due), (20, 20));
        let missed: Vec<&str> = level
            .limits
            .iter()
            .filter(|limit| limit.outcome != Outcome::Held)
            .map(|limit| limit.threshold.as_str())
            .collect();
        assert_eq!(missed, ["failures: count == 0"]);
    }

    #[tokio::test(start_paused = true)]
    async fn arrivals_without_room_break_their_level() {
        let load = "{ maxInFlight: 14, breakpoint: { rate: { from: 4/s, to: 40/s }, settle: 4s, \
                    hold: 20s, holdsWhile: { iteration_duration: p95 < 1m } } }";
        let text = scenario_of(load, "[{ sleep: 2s }]", "");
        let summary = run(&text, None, 1, &CancelHandle::new()).await;
        let found = found(&summary);
        assert_eq!(found.finding, Finding::Found);
        // Fourteen places for two seconds and a little each.
        let held = found.held.unwrap().as_per_second();
        assert!((6.0..=7.0).contains(&held), "{found}");
        assert!(found.levels.iter().any(|level| level.dropped > 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_search_that_is_stopped_says_what_it_knows_and_leaves_nothing() {
        let cancel = CancelHandle::new();
        let text = scenario_of(&search("2/s", "20/s", ""), CREATE, "");
        let stop = async {
            tokio::time::sleep(Duration::from_secs(18)).await;
            cancel.advance(Phase::Draining, CancelReason::Interrupt);
        };
        let (summary, ()) = tokio::join!(run(&text, None, 1, &cancel), stop);
        let found = found(&summary);
        assert_eq!(found.finding, Finding::Stopped);
        assert_eq!(found.levels.last().unwrap().verdict, LevelVerdict::Stopped);
        assert_eq!(summary.verdict, Verdict::Interrupted);
    }

    /// The program itself, on the real clock: only order and wide limits are asked for.
    #[test]
    fn the_program_shows_the_levels_and_judges_the_rate() {
        let place = Place::new();
        let load = "{ breakpoint: { rate: { from: 4/s, to: 64/s }, step: x4, tolerance: 50%, \
                    settle: 500ms, hold: 2s, holdsWhile: { sandbox_ready_duration: p90 < 1s } } }";
        let limits = "thresholds:\n  breakpoint_rate: value >= 4/s\n";
        let file = place.file("f.yaml", &scenario_of(load, CREATE, limits));
        let json = place.path("result.json");
        let ended = place.run(&[
            "run",
            file.to_str().unwrap(),
            "--claim-capacity",
            "20/s",
            "--out",
            &format!("json={}", json.display()),
        ]);
        ended.assert_code(0);
        assert!(ended.stdout.contains("held    4/s"), "{}", ended.stdout);
        assert!(
            ended.stdout.contains("held breakpoint_rate"),
            "{}",
            ended.stdout
        );
        assert!(ended.stderr.contains("a  4/s held"), "{}", ended.stderr);
        let summary = result(&json);
        let held = found(&summary).held.unwrap().as_per_second();
        assert!((4.0..64.0).contains(&held), "{held}");
        let ended = place.run(&[
            "run",
            file.to_str().unwrap(),
            "--claim-capacity",
            "20/s",
            "--cluster",
            "current",
        ]);
        ended.assert_code(2);
    }
}
