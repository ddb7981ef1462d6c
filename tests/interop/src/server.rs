//! A running server: waited for, ended, and its log.

use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The line in which etcd says that clients are served.
const READY: &str = "ready to serve client requests";

/// How long a server may take to start or to end.
const LIMIT: Duration = Duration::from_secs(60);

/// How much of a log a failure shows.
const LINES_SHOWN: usize = 12;

const POLL: Duration = Duration::from_millis(5);

/// A server process; it is killed when the value is dropped.
pub struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `command`, with its output in a file in `directory`, and waits until it serves clients.
    ///
    /// # Panics
    /// If it ends or takes too long.
    pub fn start(command: Command, directory: &Path) -> Self {
        let mut server = Self::spawn(command, directory);
        server.wait_for(READY);
        server
    }

    /// Starts `command` and waits for nothing.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn spawn(mut command: Command, directory: &Path) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let log = directory.join(format!("log.{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        let file = std::fs::File::create(&log).expect("a log file can be made");
        let second = file.try_clone().expect("a file can be opened twice");
        command.stdin(Stdio::null()).stdout(file).stderr(second);
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self { child, log }
    }

    /// Everything it has written so far, to standard output and standard error.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).expect("the log can be read")).into_owned()
    }

    fn last_lines(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        format!("the end of its log:\n{}", lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n"))
    }

    /// Ends it as a power cut ends a process: nothing more is done.
    pub fn kill(mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// Ends it with `signal` and waits until it has ended; returns its status and its whole log.
    ///
    /// # Panics
    /// If it does not end in time.
    pub fn end_with(mut self, signal_: Signal) -> (ExitStatus, String) {
        signal(self.child.id(), signal_);
        let status = self.wait();
        (status, self.log())
    }

    /// Sends it `signal_` and waits for nothing.
    pub fn signal(&self, signal_: Signal) {
        signal(self.child.id(), signal_);
    }

    /// Waits until its log holds `text`.
    ///
    /// # Panics
    /// If it ends before, or takes too long.
    pub fn wait_for(&mut self, text: &str) {
        let start = Instant::now();
        while !self.log().contains(text) {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                panic!("the server ended with {status}; {}", self.last_lines());
            }
            assert!(start.elapsed() < LIMIT, "no {text:?} within {LIMIT:?}; {}", self.last_lines());
            std::thread::sleep(POLL);
        }
    }

    /// Ends it with SIGTERM; returns its status.
    pub fn stop(self) -> ExitStatus {
        self.end_with(Signal::TERM).0
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// If it does not in time.
    pub fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                return status;
            }
            assert!(
                start.elapsed() < LIMIT,
                "the server did not end within {LIMIT:?}; {}",
                self.last_lines()
            );
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends `signal` to a child of ours; a child that has ended by itself is fine.
pub(crate) fn signal(process: u32, signal: Signal) {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw).expect("a child has a process id");
    let _ = kill_process(process, signal);
}
