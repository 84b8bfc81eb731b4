//! Flow, set-up and tries as the built program does them: exit codes and what the result says.

#[cfg(test)]
mod tests {
    use crate::program::Place;

    const HEAD: &str = "version: 1\nname: t\n\
        target: { warmPool: python-pool, mode: in-cluster-pod-ip }\nscenarios:\n  one:\n";

    #[test]
    fn a_failed_setup_ends_with_96_and_no_iteration_runs() {
        let place = Place::new();
        let text = format!(
            "{HEAD}    setup:\n      - create: {{}}\n      - exec: \"false\"\n    \
             steps:\n      - create: {{}}\n    teardown:\n      - exec: echo after\n"
        );
        let file = place.file("t.yaml", &text);
        let ended = place.run(&["run", file.to_str().unwrap()]);
        assert_eq!(ended.code, Some(96), "{}{}", ended.stdout, ended.stderr);
        assert!(ended.stdout.contains("setup: exec"), "{}", ended.stdout);
        assert!(ended.stdout.contains("0 passed"), "{}", ended.stdout);
        place.assert_nothing_left();
    }

    #[test]
    fn a_step_that_passes_when_tried_again_makes_the_cell_flaky() {
        let place = Place::new();
        let text = format!(
            "{HEAD}    steps:\n      - create: {{}}\n      - exec: sh -c 'test -e once || {{ touch once; exit 1; }}'\n        \
             retries: 1\n"
        );
        let file = place.file("t.yaml", &text);
        let ended = place.run(&["run", file.to_str().unwrap()]);
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        assert!(ended.stdout.contains("FLAKY one"), "{}", ended.stdout);
    }

    #[test]
    fn a_threshold_that_does_not_hold_ends_with_99_and_says_what_was_measured() {
        let place = Place::new();
        let text = format!(
            "{HEAD}    steps:\n      - create: {{}}\n      - exec: ls\n    thresholds:\n      \
             exec_duration: [p95 < 1ns, count == 1]\n      read_duration: p95 < 1s\n"
        );
        let file = place.file("t.yaml", &text);
        let ended = place.run(&["run", file.to_str().unwrap()]);
        assert_eq!(ended.code, Some(99), "{}{}", ended.stdout, ended.stderr);
        for line in [
            "MISSED exec_duration: p95 < 1ns  measured ",
            "held exec_duration: count == 1  measured 1  one",
            "MISSED read_duration: p95 < 1.00s  measured no samples  one",
        ] {
            assert!(ended.stdout.contains(line), "{line}: {}", ended.stdout);
        }
        assert!(ended.stdout.starts_with("FAIL"), "{}", ended.stdout);
    }

    #[test]
    fn a_threshold_with_abort_on_fail_ends_the_run_early_with_99_and_leaves_nothing() {
        let place = Place::new();
        let text = format!(
            "{HEAD}    load: {{ vus: 2, duration: 10m }}\n    steps:\n      - create: {{}}\n      - exec: ls\n    \
             thresholds:\n      exec_duration: {{ threshold: p95 < 1ns, abortOnFail: true, delayAbortEval: 1500ms }}\n      \
             iterations: {{ threshold: count > 0 }}\n"
        );
        let file = place.file("t.yaml", &text);
        let ended = place.run(&["run", file.to_str().unwrap()]);
        assert_eq!(ended.code, Some(99), "{}{}", ended.stdout, ended.stderr);
        let missed = "MISSED exec_duration: p95 < 1ns  measured ";
        assert!(ended.stdout.contains(missed), "{}", ended.stdout);
        assert!(
            ended.stdout.contains("one  stopped the run after "),
            "{}",
            ended.stdout
        );
        assert!(
            ended.stdout.contains("held iterations: count > 0"),
            "{}",
            ended.stdout
        );
        let told = "stopping: exec_duration: p95 < 1ns does not hold in one";
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
        place.assert_nothing_left();
    }

    #[test]
    fn a_limit_that_one_stretch_of_the_run_misses_is_missed() {
        let place = Place::new();
        // The first iterations take 400 ms longer than all others.
        let text = format!(
            "{HEAD}    load: {{ vus: 1, duration: 4s }}\n    steps:\n      - sleep: 400ms\n        id: first\n        \
             if: iteration.number < 5\n      - sleep: 5ms\n    thresholds:\n      \
             iteration_duration: [p50 < 300ms, {{ threshold: p50 < 300ms, window: 1s }}]\n"
        );
        let file = place.file("t.yaml", &text);
        let ended = place.run(&["run", file.to_str().unwrap()]);
        assert_eq!(ended.code, Some(99), "{}{}", ended.stdout, ended.stderr);
        let held = "held iteration_duration: p50 < 300ms  measured ";
        assert!(ended.stdout.contains(held), "{}", ended.stdout);
        let missed = "MISSED iteration_duration: p50 < 300ms in every 1s  measured 4";
        assert!(ended.stdout.contains(missed), "{}", ended.stdout);
    }

    #[test]
    fn what_never_holds_tells_how_long_it_was_tried() {
        let place = Place::new();
        let text = format!(
            "{HEAD}    retries: 1\n    steps:\n      - create: {{}}\n      - exec: \"false\"\n        \
             eventually: {{ timeout: 200ms, interval: 20ms }}\n"
        );
        let file = place.file("t.yaml", &text);
        let ended = place.run(&["run", file.to_str().unwrap()]);
        assert_eq!(ended.code, Some(100), "{}{}", ended.stdout, ended.stderr);
        assert!(
            ended
                .stdout
                .contains("not within 200ms (`eventually`), tries: "),
            "{}",
            ended.stdout
        );
        assert!(
            ended.stdout.contains("0 passed, 1 failed"),
            "{}",
            ended.stdout
        );
        place.assert_nothing_left();
    }
}
