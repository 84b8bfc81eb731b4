//! What goes wrong while a scenario runs is told like what is wrong with its text: file, line, column
//! and the piece of source.

#[cfg(test)]
mod tests {
    use crate::program::Place;

    const HEAD: &str = "version: 1\nname: t\ntarget: { warmPool: p, mode: in-cluster-pod-ip }\n\
        scenarios:\n  one:\n    steps:\n      - create: {}\n";

    /// Runs steps that fail; the report has these lines one after the other.
    fn fails_at(steps: &str, lines: &[&str]) {
        let place = Place::new();
        let file = place.file("t.yaml", &format!("{HEAD}{steps}"));
        let ended = place.run(&["run", file.to_str().unwrap()]);
        assert_eq!(ended.code, Some(100), "{}{}", ended.stdout, ended.stderr);
        let block = lines.join("\n");
        assert!(
            ended.stdout.contains(&block),
            "{block}\n---\n{}",
            ended.stdout
        );
        place.assert_nothing_left();
    }

    #[test]
    fn an_expression_in_a_field_is_shown_with_the_name_that_has_no_value() {
        fails_at(
            "      - exec: echo '{}'\n        id: made\n      - exec: echo ${{ json(steps.made.stdout).name }}\n",
            &[
                "t.yaml:10:24",
                "   |",
                "10 |       - exec: echo ${{ json(steps.made.stdout).name }}",
                "   |                        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ no value",
            ],
        );
    }

    #[test]
    fn a_capture_a_condition_and_turns_are_shown_at_their_places() {
        fails_at(
            "      - exec: echo x\n        capture: { n: int(stdout) }\n      - exec: echo ${{ vars.n }}\n",
            &[
                "9 |         capture: { n: int(stdout) }",
                "  |                       ^^^^^^^^^^^ ",
            ],
        );
        fails_at(
            "      - exec: echo x\n        if: json('{}').wanted\n",
            &[
                "9 |         if: json('{}').wanted",
                "  |             ^^^^^^^^^^^^^^^^^ no value",
            ],
        );
        fails_at(
            "      - exec: echo x\n        forEach: ${{ json('{}').items }}\n",
            &[
                "9 |         forEach: ${{ json('{}').items }}",
                "  |                      ^^^^^^^^^^^^^^^^ no value",
            ],
        );
    }

    #[test]
    fn an_expectation_without_a_value_fails_also_behind_not() {
        fails_at(
            "      - exec: echo x\n        expect: { stdout: { not: \"${{ json('{}').none }}\" } }\n",
            &[
                "9 |         expect: { stdout: { not: \"${{ json('{}').none }}\" } }",
                "  |                                       ^^^^^^^^^^^^^^^ actual none: evaluate",
            ],
        );
    }

    #[test]
    fn a_limit_that_was_exceeded_is_shown_where_it_is_written() {
        fails_at(
            "      - exec: sleep 5\n        timeout: 50ms\n",
            &[
                "9 |         timeout: 50ms",
                "  |                  ^^^^ Timeout",
            ],
        );
    }
}
