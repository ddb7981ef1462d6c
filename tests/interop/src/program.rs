//! Programs: ours, the references, and how one is run to its end.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// The most time that a program which is run to its end may take.
const RUN_LIMIT: Duration = Duration::from_secs(120);

/// The programs that a test needs, each by its name in `target/interop/bin`, or `etcd`, `etcdctl`, `etcdutl` for ours.
pub struct Programs(());

impl Programs {
    /// Nothing, after a line on standard error, if one of `names` has not been built.
    ///
    /// # Panics
    /// In that case too, if the variable `CI` is `true`.
    pub fn find(names: &[&str]) -> Option<Self> {
        match names.iter().find(|name| !path_of(name).exists()) {
            None => Some(Self(())),
            Some(missing) => {
                skip(&format!("{missing} is not built; `cargo xtask interop` builds it"));
                None
            }
        }
    }

    /// The path of a program that was asked for.
    pub fn path(&self, name: &str) -> PathBuf {
        let path = path_of(name);
        assert!(path.exists(), "{name} was not among the programs this test asked for");
        path
    }

    /// Runs a program to its end with nothing on its standard input.
    pub fn run(&self, name: &str, arguments: &[&str]) -> Outcome {
        run(Command::new(self.path(name)).args(arguments), "")
    }

    /// Runs a command to its end with nothing on its standard input.
    pub fn run_command(&self, command: &mut Command) -> Outcome {
        run(command, "")
    }

    /// Runs a program to its end with `input` on its standard input.
    pub fn run_with_input(&self, name: &str, arguments: &[&str], input: &str) -> Outcome {
        run(Command::new(self.path(name)).args(arguments), input)
    }

    /// What `probe`, our client in Go, prints; it must succeed.
    pub fn probe(&self, arguments: &[&str]) -> String {
        self.run("probe", arguments).expect_success()
    }
}

/// One of our own programs.
pub fn ours(name: &str) -> PathBuf {
    let directory = std::env::var_os("OXETCD_BIN").map_or_else(|| root().join("target/ci"), PathBuf::from);
    directory.join(name)
}

/// Says that a test did not run, in spite of the test runner's capture.
///
/// # Panics
/// If the variable `CI` is `true`: there everything must run.
pub fn skip(reason: &str) {
    assert!(std::env::var("CI").is_ok_and(|value| value == "true").eq(&false), "cannot run: {reason}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {reason}");
}

/// The directory of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("this crate is two levels below the workspace")
}

fn path_of(name: &str) -> PathBuf {
    match name {
        "etcd" | "etcdctl" | "etcdutl" => ours(name),
        "python" => root().join("target/interop/venv/bin/python"),
        "rust-client" => root().join("target/interop/rust-client/debug/rust-client"),
        _ => root().join("target/interop/bin").join(name),
    }
}

/// How a program ended.
#[derive(Debug)]
pub struct Outcome {
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    /// Its exit status.
    pub status: ExitStatus,
    shown: String,
}

impl Outcome {
    /// Standard output, if the program ended with status 0.
    ///
    /// # Panics
    /// Otherwise, with everything that is known.
    pub fn expect_success(self) -> String {
        assert!(self.status.success(), "{}: {}\n{}{}", self.shown, self.status, self.stdout, self.stderr);
        self.stdout
    }

    /// The exit code, or 128 plus the number of the signal that ended it, as a shell shows it.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or_default())
    }
}

/// Runs `command` to its end; see [`Programs::run`].
///
/// # Panics
/// If it cannot be started or does not end in time.
pub(crate) fn run(command: &mut Command, input: &str) -> Outcome {
    let shown = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {shown}: {error}"));
    let mut stdin = child.stdin.take().expect("standard input is piped");
    // A program that does not read its input has closed it: that is no error of the test.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let process = child.id();
    let (ended, has_ended) = std::sync::mpsc::channel::<()>();
    let guard = std::thread::spawn(move || {
        if has_ended.recv_timeout(RUN_LIMIT) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            crate::server::signal(process, rustix::process::Signal::KILL);
        }
    });
    let start = Instant::now();
    let Output { stdout, stderr, status } =
        child.wait_with_output().expect("the output of a child can be read");
    drop(ended);
    guard.join().expect("the guard does not panic");
    assert!(start.elapsed() < RUN_LIMIT, "{shown} did not end within {RUN_LIMIT:?}");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Outcome { stdout: text(stdout), stderr: text(stderr), status, shown }
}
