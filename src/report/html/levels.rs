//! The levels of a `breakpoint`: what was tried, what held, what broke it.

use std::fmt::Write as _;

use super::super::levels::{HEAD, Row, lengths};
use super::cells::scrolled;
use super::escape::e;
use crate::metrics::{BreakpointSummary, LevelVerdict, Summary};

pub(super) fn section(summary: &Summary) -> String {
    let cells = summary.cells.iter();
    let found = cells.filter_map(|cell| Some((&cell.cell, cell.breakpoint.as_ref()?)));
    found.map(|(cell, found)| one(cell, found)).collect()
}

fn one(cell: &str, found: &BreakpointSummary) -> String {
    let mut head = "<th scope=\"col\"><span class=\"hidden\">verdict</span></th>".to_owned();
    for name in HEAD {
        // Writing to a string cannot fail.
        let _infallible = write!(head, "<th scope=\"col\" class=\"n\">{name}</th>");
    }
    let mut rows = String::new();
    for level in &found.levels {
        let row = Row::of(level);
        let class = match level.verdict {
            LevelVerdict::Held => "pass",
            LevelVerdict::Broke => "fail",
            LevelVerdict::Stopped => "warn",
        };
        let _infallible = write!(
            rows,
            "<tr><td><span class=\"badge {class}\">{}</span></td>",
            row.verdict
        );
        for figure in &row.figures {
            let _infallible = write!(rows, "<td class=\"n\">{}</td>", e(figure));
        }
        let _infallible = write!(rows, "<td>{}</td></tr>", e(&row.limits));
    }
    let table = format!(
        "<table><thead><tr>{head}<th scope=\"col\">measured</th></tr></thead><tbody>{rows}</tbody></table>"
    );
    format!(
        "<h3>{} <small>{}</small></h3>\n<p>{}</p>\n{}",
        e(cell),
        e(&lengths(found)),
        e(&found.to_string()),
        scrolled("Levels, in the order in which they were tried", &table)
    )
}
