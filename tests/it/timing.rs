//! When the engine begins, ends, drops and stops iterations, on the paused clock: exact counts.

mod tests {
    use std::time::Duration;

    use sandbench::engine::CancelHandle;
    use sandbench::loopback::ClusterConfig;
    use sandbench::metrics::{CellSummary, Metric, Summary};

    use crate::paused;

    async fn run(scenarios: &str) -> Summary {
        let text = format!(
            "version: 1\nname: t\ntarget: {{ warmPool: p, mode: in-cluster-pod-ip }}\n\
             scenarios:\n{scenarios}"
        );
        paused::run(&text, ClusterConfig::default(), 7, &CancelHandle::new()).await
    }

    /// One scenario whose iterations sleep.
    async fn sleeping(load: &str, time: &str) -> CellSummary {
        let scenario = format!("  a:\n    load: {load}\n    steps: [{{ sleep: {time} }}]\n");
        run(&scenario).await.cells.remove(0)
    }

    fn within(millis: u64, seconds: f64) -> bool {
        let off = Duration::from_millis(millis).as_secs_f64() - seconds;
        off.abs() < 0.2
    }

    #[tokio::test(start_paused = true)]
    async fn every_load_runs_as_many_iterations_for_as_long_as_it_says() {
        for (load, time, iterations, seconds) in [
            ("{ rate: 50/s, duration: 10s }", "300ms", 500, 10.3),
            ("{ rate: 20/s, iterations: 100 }", "1s", 100, 5.95),
            (
                "{ stages: [{ target: 20/s, duration: 10s }, { target: 0/s, duration: 10s }] }",
                "10ms",
                200,
                20.0,
            ),
            ("{ vus: 5, duration: 10s }", "100ms", 500, 10.1),
            ("{ vus: 5, iterations: 20 }", "1s", 20, 4.0),
            ("{ vus: 5 }", "1s", 5, 1.0),
        ] {
            let cell = sleeping(load, time).await;
            let near = iterations / 100;
            let passed = cell.iterations_passed;
            assert!(passed.abs_diff(iterations) <= near, "{load}: {passed}");
            assert!(
                within(cell.duration_ms, seconds),
                "{load}: {}",
                cell.duration_ms
            );
            let rest = cell.iterations_failed + cell.iterations_dropped;
            assert_eq!(rest + cell.iterations_interrupted, 0, "{load}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn vus_in_stages_come_and_go() {
        let stages = "{ stages: [{ target: 10, duration: 10s }, { target: 0, duration: 10s }] }";
        let cell = sleeping(stages, "100ms").await;
        // Five VUs on average for twenty seconds, ten iterations a second each.
        assert!(
            (900..=1100).contains(&cell.iterations_passed),
            "{}",
            cell.iterations_passed
        );
        assert_eq!(cell.vus, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_warm_up_comes_on_top_and_its_figures_are_left_out() {
        for (load, warmup, counted) in [
            ("{ rate: 10/s, duration: 10s, warmup: 5s }", 50, 100),
            ("{ rate: 10/s, iterations: 30, warmup: 10 }", 10, 30),
            ("{ vus: 2, iterations: 30, warmup: 10 }", 10, 30),
        ] {
            let cell = sleeping(load, "100ms").await;
            assert_eq!(cell.iterations_warmup, warmup, "{load}");
            assert_eq!(cell.counter(Metric::Iterations), counted, "{load}");
            assert_eq!(cell.iterations_passed, warmup + counted, "{load}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn iterations_in_flight_at_the_end_have_the_graceful_stop_and_no_more() {
        let cell = sleeping("{ rate: 10/s, duration: 10s, gracefulStop: 2s }", "5s").await;
        // Those that came in the last three seconds of ten would have needed more.
        assert!(
            (69..=71).contains(&cell.iterations_passed),
            "{}",
            cell.iterations_passed
        );
        assert_eq!(cell.iterations_passed + cell.iterations_interrupted, 100);
        assert!(within(cell.duration_ms, 12.0), "{}", cell.duration_ms);
        let cell = sleeping("{ vus: 3, duration: 10s, gracefulStop: 2s }", "6s").await;
        assert_eq!(
            (cell.iterations_passed, cell.iterations_interrupted),
            (6, 0)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn arrivals_beyond_what_may_be_in_flight_are_dropped_and_counted() {
        let cell = sleeping("{ rate: 10/s, duration: 10s, maxInFlight: 5 }", "1s").await;
        assert_eq!(cell.iterations_passed + cell.iterations_dropped, 100);
        assert!(
            (40..=60).contains(&cell.iterations_dropped),
            "{}",
            cell.iterations_dropped
        );
        assert_eq!(
            cell.counter(Metric::DroppedIterations),
            cell.iterations_dropped
        );
        assert_eq!(cell.vus, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn scenarios_with_a_start_time_run_beside_each_other() {
        let summary = run(
            "  background:\n    load: { vus: 2, duration: 20s }\n    steps: [{ sleep: 1s }]\n  \
             arrivals:\n    startTime: 5s\n    load: { rate: 10/s, duration: 10s }\n    \
             steps: [{ sleep: 100ms }]\n",
        )
        .await;
        let counts: Vec<u64> = summary
            .cells
            .iter()
            .map(|cell| cell.iterations_passed)
            .collect();
        assert_eq!(counts, [40, 100]);
        // Not twenty seconds and then ten.
        assert!(
            summary.run.duration_ms < 25_000,
            "{}",
            summary.run.duration_ms
        );
    }

    #[tokio::test(start_paused = true)]
    async fn arrivals_are_not_moved_by_iterations_that_take_long() {
        let cell = sleeping("{ rate: 100/s, duration: 10s, maxInFlight: 5000 }", "20s").await;
        assert_eq!(cell.iterations_passed, 1000);
        let mut series = cell.metrics.iter();
        let delay = series
            .find(|series| series.is(Metric::IterationStartDelay))
            .unwrap();
        let delay = delay.statistics.as_ref().unwrap();
        // The timers of the runtime are a millisecond late, and that does not add up.
        assert!(delay.max_ns <= 2_000_000, "{}", delay.max_ns);
    }
}
