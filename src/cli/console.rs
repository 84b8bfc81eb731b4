//! [`Console`]: standard error with a block of live lines at its end that other lines do not tear.

use std::io::{self, IsTerminal as _, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

/// Redraws per second, at most.
const REDRAWS: u8 = 10;

/// Standard error. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Console(ProgressBar);

impl Console {
    /// Without a live block.
    pub(super) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("{msg}");
        Self(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner())))
    }

    /// Begins a live block, where there is a terminal.
    pub(super) fn go_live(&self) {
        self.0
            .set_draw_target(ProgressDrawTarget::stderr_with_hz(REDRAWS));
    }

    /// Replaces the lines of the live block.
    pub(super) fn draw(&self, lines: &[String]) {
        self.0.set_message(lines.join("\n"));
        self.0.tick();
    }

    /// Ends the live block and takes it off the screen.
    pub(super) fn end_live(&self) {
        self.0.finish_and_clear();
        self.0.set_draw_target(ProgressDrawTarget::hidden());
    }

    /// Writes a line above the live block.
    pub(super) fn say(&self, line: &str) {
        self.0.suspend(|| eprintln!("{line}"));
    }
}

/// For the harness's own warnings.
impl Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Columns and rows of the terminal on standard error.
pub(super) fn size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok();
    let size = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
    size.map_or((80, 24), |size| {
        (usize::from(size.ws_col), usize::from(size.ws_row))
    })
}

/// The keyboard without echo, key by key; as it was before when this is dropped.
pub(super) struct Keys(Termios);

impl Keys {
    /// None where no keyboard is, or where it is another program's just now.
    pub(super) fn take() -> Option<Self> {
        let stdin = io::stdin();
        if !stdin.is_terminal() || tcgetpgrp(&stdin).ok()? != rustix::process::getpgrp() {
            return None;
        }
        let before = tcgetattr(&stdin).ok()?;
        let mut now = before.clone();
        now.local_modes
            .remove(LocalModes::ICANON | LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Now, &now).ok()?;
        Some(Self(before))
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // The terminal may be gone, and then needs nothing.
        let _restored = tcsetattr(io::stdin(), OptionalActions::Now, &self.0).is_ok();
    }
}
