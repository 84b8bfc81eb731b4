//! What every report says of the expectations on traces: the figures in words, and lines for a terminal.

use std::fmt::Write as _;

use super::Colour;
use super::text::{GREEN, RED};
use crate::metrics::{Outcome, Summary, TraceResult, humanise};

/// Whether an expectation is met.
pub(super) fn outcome(result: &TraceResult) -> &'static str {
    match result.outcome {
        Outcome::Held => "held",
        Outcome::Failed => "MISSED",
        Outcome::NoSamples => "MISSED (nothing to judge)",
    }
}

/// Over how many traces it was judged, and what was found in them.
pub(super) fn told(result: &TraceResult) -> String {
    let TraceResult {
        iterations,
        judged,
        no_room,
        others_lost,
        without,
        n,
        ..
    } = result;
    let mut beside = match no_room {
        0 => String::new(),
        more => format!("; no room for {more} more, which were not judged"),
    };
    if *others_lost > 0 {
        beside = format!(
            "{beside}; {others_lost} spans of others were lost, what is missing may be among them"
        );
    }
    if result.outcome == Outcome::NoSamples {
        let why = if *no_room > 0 {
            "none of those that were found room"
        } else {
            "raise `--trace-sample`"
        };
        return format!(
            "nothing to judge: 0 of {iterations} iterations that ended well were traced from end to end, {why}{beside}"
        );
    }
    let mut text = format!("{judged} of {iterations} iterations judged, {n} found");
    if *without > 0 {
        text = format!("{text}, none in {without}");
    }
    if let Some(measured) = result.measured {
        text = format!("{text}, measured {measured}");
    }
    if let Some(longest) = result.longest_ns {
        text = format!("{text}, longest {}", humanise(longest));
    }
    if result.beyond > 0 {
        text = format!("{text}, {} beyond the limit", result.beyond);
    }
    format!("{text}{beside}")
}

/// Where the trace that shows it can be seen, or else its id; nothing of one that is met.
pub(super) fn example(summary: &Summary, result: &TraceResult) -> Option<String> {
    let trace = result.example.as_ref().filter(|_| result.is_failed())?;
    let url = summary
        .telemetry
        .as_ref()
        .and_then(|telemetry| telemetry.url(trace));
    Some(url.unwrap_or_else(|| trace.clone()))
}

/// What was expected, below it what was found, and the trace that shows a miss.
pub(super) fn write(out: &mut String, summary: &Summary, colour: Colour) -> std::fmt::Result {
    for result in &summary.traces {
        let mark = if result.is_failed() {
            colour.paint(RED, "MISSED")
        } else {
            colour.paint(GREEN, "held")
        };
        writeln!(out, "{mark} {}", result.expectation)?;
        writeln!(out, "     {}  {}", told(result), result.cell)?;
        if let Some(example) = example(summary, result) {
            writeln!(out, "     = trace {example}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::fixed;
    use super::*;

    #[test]
    fn nothing_to_judge_says_what_to_do_and_a_miss_shows_its_trace() {
        let mut summary = fixed();
        let mut result = summary.traces[1].clone();
        assert!(result.is_failed(), "{result:?}");
        assert_eq!(
            example(&summary, &result).as_deref(),
            result.example.as_deref()
        );
        summary.telemetry = Some(crate::metrics::TelemetrySummary {
            trace_url: Some("http://jaeger/trace/{trace_id}".to_owned()),
            ..Default::default()
        });
        let url = example(&summary, &result).unwrap();
        assert!(url.starts_with("http://jaeger/trace/"), "{url}");
        result.outcome = Outcome::NoSamples;
        assert!(told(&result).contains("raise `--trace-sample`"));
        result.no_room = 7;
        result.others_lost = 9;
        let told = told(&result);
        assert!(told.contains("no room for 7 more"), "{told}");
        assert!(told.contains("9 spans of others were lost"), "{told}");
    }
}
