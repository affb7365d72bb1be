//! The built binary, run with nothing of this machine's environment but what a test gives it.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use rustix::pty::OpenptFlags;
use serde_json::Value;
use tempfile::TempDir;

/// A place of its own to run the binary in.
pub(crate) struct Binary {
    folder: TempDir,
    environment: Vec<(String, String)>,
}

/// What a finished command left.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Its exit code.
    pub(crate) code: Option<i32>,
    /// Its standard output.
    pub(crate) out: String,
    /// Its standard error.
    pub(crate) err: String,
}

impl Binary {
    /// With these variables and no others.
    pub(crate) fn with(environment: &[(&str, &str)]) -> Self {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { folder: tempfile::tempdir().unwrap(), environment }
    }

    /// In development, with passwords that are quick to hash.
    pub(crate) fn in_development() -> Self {
        Self::with(&[("DASHTAM_ENVIRONMENT", "development"), ("DASHTAM_PASSWORDS__COST", "4")])
    }

    /// Where it runs.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file in its folder; answers the path.
    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dashtam"));
        command.args(arguments).env_clear().envs(self.environment.iter().cloned()).current_dir(self.folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// A line of shell in its folder, with the binary on the path.
    pub(crate) fn shell(&self, line: &str) -> Command {
        let programs = std::path::Path::new(env!("CARGO_BIN_EXE_dashtam")).parent().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", line]).env_clear().envs(self.environment.iter().cloned()).current_dir(self.folder.path());
        command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display())).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        self.run_with_input(arguments, "")
    }

    /// The same, with text on standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Finished {
        let mut child = self.command(arguments).spawn().unwrap();
        // A command that reads nothing may be gone already.
        let _unread = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Finished { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// The same on a terminal, which sees standard output and standard error as they come.
    pub(crate) fn run_on_a_terminal(&self, arguments: &[&str]) -> Finished {
        let ours = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        rustix::pty::grantpt(&ours).unwrap();
        rustix::pty::unlockpt(&ours).unwrap();
        let name = rustix::pty::ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
        let theirs = File::options().read(true).write(true).open(name).unwrap();
        let mut child = self.command(arguments).stdout(theirs.try_clone().unwrap()).stderr(theirs).spawn().unwrap();
        let mut seen = Vec::new();
        // A terminal whose last writer is gone ends in an error (EIO) on Linux.
        let _gone = File::from(ours).read_to_end(&mut seen);
        Finished { code: child.wait().unwrap().code(), out: String::from_utf8(seen).unwrap(), err: String::new() }
    }

    /// Starts a command that runs until it is told to stop.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let mut child = self.command(arguments).stderr(Stdio::null()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Running { child, out }
    }

    /// Starts a demo on a free port and waits until it is ready.
    pub(crate) fn demo(&self) -> Demo {
        let mut running = self.start(&["demo", "--json", "--bind", "127.0.0.1:0", "--data-dir", "demo"]);
        let mut line = String::new();
        running.out.read_line(&mut line).unwrap();
        Demo { running, ready: serde_json::from_str(&line).unwrap() }
    }
}

impl Finished {
    /// It went well; answers what it said.
    #[track_caller]
    pub(crate) fn succeeds(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// It failed with exit code 1, nothing on standard output, and these words on standard error.
    #[track_caller]
    pub(crate) fn fails_saying(self, words: &[&str]) {
        assert_eq!((self.code, self.out.as_str()), (Some(1), ""), "{self:?}");
        assert!(words.iter().all(|word| self.err.contains(word)), "{words:?}: {}", self.err);
        assert!(!self.err.contains("panicked") && !self.err.contains("Stack backtrace"), "{}", self.err);
    }
}

/// A command that is running.
pub(crate) struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Running {
    /// The id of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end; answers the exit code, and what it said that nobody has read yet.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Running {
    /// For a test that failed on the way: the process is not left behind.
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A demo that is running.
pub(crate) struct Demo {
    running: Running,
    /// Its one line.
    pub(crate) ready: Value,
}

impl Demo {
    /// The id of its process.
    pub(crate) fn id(&self) -> u32 {
        self.running.id()
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, signal: &str) {
        self.running.signal(signal);
    }

    /// Waits for its end; answers the exit code, and what it said after its one line.
    pub(crate) fn end(self) -> (Option<i32>, String) {
        self.running.end()
    }
}
