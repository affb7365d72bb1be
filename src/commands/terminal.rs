//! What is for a person at a terminal alone: colours, and a line that says how far something is.

use std::{
    io::{IsTerminal, Write as _},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How often the line changes at most.
const PACE: Duration = Duration::from_millis(100);

/// Whether a stream is shown in colour: on a terminal, unless `NO_COLOR` is set (<https://no-color.org>) or the terminal is a dumb one.
pub(super) fn is_coloured(stream: &impl IsTerminal) -> bool {
    let is_set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    stream.is_terminal() && is_set("NO_COLOR").is_none() && is_set("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// A line on standard error that is written over and gone at the end; nothing where nobody watches.
pub(super) struct Progress {
    is_watched: bool,
    shown: Mutex<Option<Instant>>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { is_watched: std::io::stderr().is_terminal(), shown: Mutex::new(None) }
    }

    /// Shows this, unless something was shown a moment ago.
    pub(super) fn passing(&self, line: &str) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.is_none_or(|at| at.elapsed() >= PACE) {
            self.write(line);
            *shown = Some(Instant::now());
        }
    }

    /// Shows this in any case: what comes now takes a while.
    pub(super) fn staying(&self, line: &str) {
        self.write(line);
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn write(&self, line: &str) {
        if self.is_watched {
            // To the line's beginning, the text, and what is left of a longer one erased (ECMA-48: EL). Nobody is left to hear of a failure.
            let _unsaid = write!(std::io::stderr(), "\r{line}\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.get_mut().unwrap_or_else(PoisonError::into_inner).is_some() {
            self.write("");
        }
    }
}
