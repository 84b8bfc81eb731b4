//! Progress on standard error while a run is under way: live lines on a terminal; in a log a line per
//! stage and at most one per ten seconds in between. `t` or SIGUSR1 tells what is in flight.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use super::Look;
use super::board::{Board, CellView, State};
use super::console::{Console, Keys, size};
use crate::engine::RunEvent;
use crate::metrics::{LevelVerdict, humanise, humanise_millis, nanos};
use crate::units::HumanDuration;

/// The least time between two counting lines.
const PERIOD: Duration = Duration::from_secs(10);
/// Between two looks at the board.
const LOOK: Duration = Duration::from_millis(100);
/// Of each cell, how many of those in flight are told.
const TOLD: usize = 10;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// A line per cell that runs, redrawn in place.
    Bar,
    /// One line for all cells, redrawn in place.
    Counter,
    /// A line per stage, and at most one per ten seconds.
    Lines,
    /// Nothing, but answers to SIGUSR1.
    None,
}

/// Shows progress until the engine's end of the channel is gone.
pub(super) async fn show(
    (mode, look): (Mode, Look),
    board: Board,
    mut events: mpsc::Receiver<RunEvent>,
    console: Console,
) {
    let live = matches!(mode, Mode::Bar | Mode::Counter);
    if live {
        console.go_live();
    }
    let keys = live.then(Keys::take).flatten();
    let mut stdin = tokio::io::stdin();
    let mut asked = signal(SignalKind::user_defined1()).ok();
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    let mut key = [0_u8; 1];
    let mut listening = keys.is_some();
    loop {
        let tell = tokio::select! {
            event = events.recv() => {
                let Some(event) = event else { break };
                if let Some(line) = stage(&event, mode) {
                    console.say(&line);
                }
                false
            }
            _ = looks.tick() => false,
            read = stdin.read(&mut key), if listening => {
                listening = matches!(read, Ok(1));
                listening && key[0].eq_ignore_ascii_case(&b't')
            }
            () = usr1(asked.as_mut()) => true,
        };
        let state = board.lock();
        if tell {
            for line in state.in_flight(TOLD) {
                console.say(&line);
            }
        }
        match mode {
            Mode::Bar => console.draw(&block(&state, size(), look)),
            Mode::Counter => console.draw(&[fit(&[totals(&state)], size().0)]),
            Mode::Lines if last.elapsed() >= PERIOD && !state.cells.is_empty() => {
                last = Instant::now();
                console.say(&format!("         {}", totals(&state)));
            }
            Mode::Lines | Mode::None => {}
        }
    }
    if live {
        console.end_live();
    }
    drop(keys);
}

async fn usr1(asked: Option<&mut tokio::signal::unix::Signal>) {
    if let Some(asked) = asked
        && asked.recv().await.is_some()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// The line of a stage. On a terminal cells have lines of their own anyway.
fn stage(event: &RunEvent, mode: Mode) -> Option<String> {
    if mode == Mode::None {
        return None;
    }
    match event {
        RunEvent::RoundStarted {
            scenario,
            round,
            of,
        } => Some(format!("round    {round} of {of}  {scenario}")),
        RunEvent::CellStarted { cell, load } => {
            (mode == Mode::Lines).then(|| format!("running  {cell}  {load}"))
        }
        RunEvent::CellEnded { .. } => None,
        RunEvent::StoppedByThreshold { cell, threshold } => {
            Some(format!("stopping: {threshold} does not hold in {cell}"))
        }
        RunEvent::LevelEnded {
            cell,
            level,
            verdict,
        } => Some(format!("         {cell}  {level} {}", words(*verdict))),
        RunEvent::CleanUpFails {
            namespace,
            reason,
            limit,
        } => Some(format!(
            "clean-up in namespace {namespace} fails: {reason}\n\
             it is tried again for up to {} in all; Ctrl-C gives up",
            HumanDuration(*limit)
        )),
        RunEvent::CellsEnded => {
            (mode == Mode::Lines).then(|| "looking for what is left".to_owned())
        }
    }
}

fn words(verdict: LevelVerdict) -> &'static str {
    match verdict {
        LevelVerdict::Held => "held",
        LevelVerdict::Broke => "broke",
        LevelVerdict::Stopped => "was stopped",
    }
}

/// All cells in one line.
fn totals(state: &State) -> String {
    let sum = |of: fn(&CellView) -> u64| state.cells.iter().map(of).sum::<u64>();
    let running = state.cells.iter().filter(|cell| !cell.over);
    let (mut count, mut rate, mut in_flight, mut slowest) = (0_usize, 0.0, 0, Duration::ZERO);
    for cell in running {
        count += 1;
        rate += cell.rate;
        in_flight += cell.facts.figures.in_flight();
        slowest = slowest.max(cell.latency.map_or(Duration::ZERO, |[.., p99]| p99));
    }
    let failed = sum(|cell| cell.failures);
    let passed = sum(|cell| cell.iterations) - failed;
    let mut line = format!(
        "{passed} iterations passed, {failed} failed, {count} cells running, {rate:.1}/s, {in_flight} in flight"
    );
    if slowest > Duration::ZERO {
        line = format!("{line}, p99 {}", time(slowest));
    }
    let missed: usize = state.cells.iter().map(|cell| cell.missed().count()).sum();
    if missed > 0 {
        line = format!("{line}, {missed} thresholds do not hold");
    }
    line
}

/// Every cell that runs, as many as there is room for.
fn block(state: &State, (width, height): (usize, usize), look: Look) -> Vec<String> {
    let (ended, running): (Vec<&CellView>, Vec<&CellView>) =
        state.cells.iter().partition(|cell| cell.over);
    let room = height.saturating_sub(3).max(1);
    let mut lines: Vec<String> = Vec::new();
    for cell in running.iter().take(room) {
        lines.push(line(cell, width, look));
    }
    let all = state.plan.cells.len();
    let rest = running.len().saturating_sub(room);
    let mut last = vec![format!("{} of {all} cells ended", ended.len())];
    if rest > 0 {
        last.push(format!("{rest} more running"));
    }
    last.push("t: what is in flight".to_owned());
    lines.push(fit(&last, width));
    lines
}

/// A cell in one line of at most `width` columns: the most important that fits.
fn line(cell: &CellView, width: usize, look: Look) -> String {
    let red = |text: String| Part { text, red: true };
    let plain = |text: String| Part { text, red: false };
    let mut parts = vec![plain(short(&cell.facts.cell, (width / 3).max(12)))];
    match cell.share() {
        Some(share) if width >= 60 => parts.push(plain(bar(share))),
        Some(share) => parts.push(plain(format!("{:.0}%", share * 100.0))),
        None => {
            let millis = u64::try_from(cell.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            parts.push(plain(humanise_millis(millis / 1000 * 1000)));
        }
    }
    if cell.failures > 0 {
        parts.push(red(format!("{} failed", cell.failures)));
    }
    for limit in cell.missed() {
        let measured = limit.measured.as_ref().map_or("", |(text, _)| text);
        parts.push(red(format!("✗ {} ({measured})", limit.text)));
    }
    parts.push(plain(format!("{:.1}/s", cell.rate)));
    parts.push(plain(format!(
        "{} in flight",
        cell.facts.figures.in_flight()
    )));
    if let Some([p50, p95, p99]) = cell.latency {
        let (p50, p95, p99) = (time(p50), time(p95), time(p99));
        parts.push(plain(format!("p50 {p50} p95 {p95} p99 {p99}")));
    }
    if cell.failures == 0 {
        parts.push(plain("0 failed".to_owned()));
    }
    joined(&parts, width, look)
}

struct Part {
    text: String,
    red: bool,
}

/// Those parts, in their order, that fit.
fn joined(parts: &[Part], width: usize, look: Look) -> String {
    let mut out = String::new();
    let mut used = 0;
    for part in parts {
        let gap = if used == 0 { 0 } else { 2 };
        let needs = gap + part.text.chars().count();
        // The last column stays free: a terminal may begin a new line after it.
        if used + needs >= width.max(2) {
            continue;
        }
        used += needs;
        out.extend(std::iter::repeat_n(' ', gap));
        if part.red && look == Look::Coloured {
            out = format!("{out}\x1b[31m{}\x1b[0m", part.text);
        } else {
            out.push_str(&part.text);
        }
    }
    out
}

fn fit(parts: &[String], width: usize) -> String {
    let parts: Vec<Part> = parts
        .iter()
        .map(|text| Part {
            text: short(text, width.saturating_sub(1).max(2)),
            red: false,
        })
        .collect();
    joined(&parts, width, Look::Plain)
}

/// The beginning of a text that is too long, without control characters.
fn short(text: &str, width: usize) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    if text.chars().count() <= width {
        return text;
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of the bar is between 0 and its length"
)]
fn bar(share: f64) -> String {
    const LENGTH: usize = 12;
    let done = ((share * LENGTH as f64) as usize).min(LENGTH);
    format!(
        "{}{} {:>3.0}%",
        "━".repeat(done),
        "╌".repeat(LENGTH - done),
        share * 100.0
    )
}

fn time(time: Duration) -> String {
    humanise(nanos(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(texts: &[(&str, bool)]) -> Vec<Part> {
        let part = |(text, red): &(&str, bool)| Part {
            text: (*text).to_owned(),
            red: *red,
        };
        texts.iter().map(part).collect()
    }

    #[test]
    fn a_line_has_what_fits_and_is_never_longer() {
        let all = parts(&[
            ("name[mode=tunnel]", false),
            ("40%", false),
            ("3 failed", true),
            ("12.3/s", false),
            ("p50 1ms p95 2ms p99 3ms", false),
        ]);
        for width in 1..120 {
            let line = joined(&all, width, Look::Plain);
            assert!(line.chars().count() < width.max(2), "{width}: {line}");
        }
        assert_eq!(joined(&all, 20, Look::Plain), "name[mode=tunnel]");
        assert_eq!(
            joined(&all, 36, Look::Plain),
            "name[mode=tunnel]  40%  3 failed"
        );
        assert!(joined(&all, 120, Look::Coloured).contains("\x1b[31m3 failed\x1b[0m"));
    }

    #[test]
    fn a_name_is_cut_and_cannot_move_the_cursor() {
        assert_eq!(short("a\x1b[2Jb\n", 10), "a[2Jb");
        assert_eq!(short("full-life[mode=tunnel]", 10), "full-life…");
        assert_eq!(short("é".repeat(20).as_str(), 5), "éééé…");
    }

    #[test]
    fn a_bar_is_as_long_whatever_it_shows() {
        for share in [0.0, 0.3, 1.0] {
            assert_eq!(bar(share).chars().count(), 17);
        }
        assert!(bar(1.0).ends_with("100%"));
    }
}
