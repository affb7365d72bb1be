//! What the product logs on the test's thread, caught in memory, down to the last detail.

use std::{
    io::Write,
    sync::{Arc, LazyLock, Mutex},
};

use tracing::{
    Dispatch,
    subscriber::{DefaultGuard, NoSubscriber},
};
use tracing_subscriber::fmt::MakeWriter;

/// While a process has had one subscriber only, an event first met on another thread is taken for one that nobody wants, for good.
static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::new()));

/// Catches the log until it is dropped. Only of a runtime that runs on the test's own thread.
pub(crate) struct Log {
    caught: Caught,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Caught(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// From now on.
    pub(crate) fn capture() -> Self {
        LazyLock::force(&SECOND);
        let caught = Caught::default();
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false).with_writer(caught.clone()).finish();
        Self { caught, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// All of it so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.caught.0.lock().unwrap()).into_owned()
    }
}

impl Write for Caught {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Caught {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
