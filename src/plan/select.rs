//! `--only`: which cells run.

use std::collections::BTreeMap;

/// Whether a cell is one of those that `only` names; all are when it names none.
///
/// `NAME` takes a whole scenario, `NAME[axis=value,…]` the cells with these values.
pub(super) fn is_selected(
    only: &[String],
    scenario: &str,
    matrix: &BTreeMap<String, String>,
) -> bool {
    only.is_empty()
        || only
            .iter()
            .any(|selection| matches(selection, scenario, matrix))
}

fn matches(selection: &str, scenario: &str, matrix: &BTreeMap<String, String>) -> bool {
    let Some((name, rest)) = selection.split_once('[') else {
        return selection == scenario;
    };
    let Some(axes) = rest.strip_suffix(']') else {
        return false;
    };
    name == scenario
        && axes.split(',').all(|axis| {
            axis.split_once('=').is_some_and(|(name, value)| {
                matrix
                    .get(name.trim())
                    .is_some_and(|found| found == value.trim())
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_names_a_scenario_or_some_of_its_cells() {
        let matrix = BTreeMap::from([
            ("mode".to_owned(), "tunnel".to_owned()),
            ("size".to_owned(), "1KiB".to_owned()),
        ]);
        let selected = |only: &str| is_selected(&[only.to_owned()], "life", &matrix);
        assert!(selected("life"));
        assert!(selected("life[mode=tunnel]"));
        assert!(selected("life[size=1KiB, mode=tunnel]"));
        for other in [
            "other",
            "life[mode=gateway]",
            "life[mode]",
            "life[mode=tunnel",
            "life[x=y]",
        ] {
            assert!(!selected(other), "{other}");
        }
        assert!(is_selected(&[], "life", &matrix));
    }
}
