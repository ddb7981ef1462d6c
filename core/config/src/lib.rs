//! The flags of the `etcd` program: one table of names, variables, file keys, defaults and help, and what follows from it.
//!
//! Layer: above `types`. Deterministic: arguments and environment are passed in, nothing is read from the world, and
//! lines for the log are returned as [`Notice`]s because logging stands only once the flags are read.
//!
//! [`parse`] reads the command line as Go's `flag` package does, then the environment, moves old flags to their
//! successors, checks what can be checked without I/O, and gives a typed [`Config`]. Texts of errors are those of
//! etcd 3.7.1: operators and test suites match them. What differs on purpose stands in `docs/compat.md`, flags.

mod bootstrap;
mod check;
mod command_line;
mod config;
mod environment;
mod error;
mod flag;
mod flags;
mod gates;
mod go;
mod help;
mod logging;
mod notice;
mod settings;
mod succession;
mod url;

pub use bootstrap::Members;
pub use config::{
    ClusterState, Config, DEFAULT_NAME, DEFAULT_QUOTA_BYTES, MAX_QUOTA_BYTES, MAX_REQUEST_BYTES_RECOMMENDED,
    Quota,
};
pub use error::Error;
pub use flag::{Class, Flag, Kind, Section, Successor, Warn};
pub use flags::{all as all_flags, find as find_flag};
pub use gates::{GATES, Gate, Gates, Stage};
pub use go::GoDuration;
pub use help::{Build, SHORT_USAGE, flags_text, version_text};
pub use logging::{Level, Logging, Style};
pub use notice::{Failure, Field, Notice};
pub use settings::{Origin, Setting, Settings, Value};
pub use url::{Scheme, Url, join_urls};

use command_line::Outcome;
use environment::Stop;

/// What the program is asked to do.
#[derive(Clone, Debug)]
pub enum Action {
    /// Run a member.
    Run(Box<Config>),
    /// Print [`version_text`] to standard output and end with code 0.
    PrintVersion,
    /// Print [`SHORT_USAGE`] to standard error, [`flags_text`] to standard output, and end with code 0.
    PrintHelp,
}

/// Reads the command line and the environment.
///
/// `args` come without the program's name; `env` are all variables of the process, in their order. The notices are
/// to be logged, in order, as soon as logging stands.
///
/// # Errors
/// [`Failure`]: what to print and to log instead of starting, and the exit code. Code 2 when the command line cannot be
/// read, 1 when what it says cannot be done.
pub fn parse(args: &[String], env: &[(String, String)]) -> Result<(Action, Vec<Notice>), Failure> {
    if let Some(word) = args.first().filter(|word| ["gateway", "grpc-proxy"].contains(&word.as_str())) {
        let stderr = format!("Error: 'etcd {word}' is not implemented yet\n");
        return Err(Failure { exit_code: 1, stderr, notices: Vec::new(), logging: Logging::default() });
    }
    let mut settings = Settings::defaults();
    let mut notices = Vec::new();
    let left_over = match command_line::read(args, &mut settings) {
        Ok(Outcome::Help) => return Ok((Action::PrintHelp, notices)),
        Ok(Outcome::Read { left_over }) => left_over,
        Err(line) => {
            let stderr = format!("{line}\n{SHORT_USAGE}");
            return Err(Failure { exit_code: 2, stderr, notices, logging: Logging::default() });
        }
    };
    if let Some(word) = left_over {
        return Err(refuse(&Error::NotAFlag(word), notices, Logging::default()));
    }
    if settings.bool("version") {
        return Ok((Action::PrintVersion, notices));
    }
    let logging = match prepare(env, &mut settings, &mut notices) {
        Ok(logging) => logging,
        Err(Stop::Bad(error)) => return Err(refuse(&error, notices, Logging::default())),
        Err(Stop::Conflict(line)) => {
            notices.push(line);
            return Err(Failure {
                exit_code: 1,
                stderr: String::new(),
                notices,
                logging: Logging::default(),
            });
        }
    };
    let mut config = Config::from_settings(settings, logging);
    match check::check(&mut config, &mut notices) {
        Ok(()) => Ok((Action::Run(Box::new(config)), notices)),
        Err(error) => Err(refuse(&error, notices, config.logging)),
    }
}

/// Everything between the command line and the checks: environment, old flags, settings of the log.
fn prepare(
    env: &[(String, String)],
    settings: &mut Settings,
    notices: &mut Vec<Notice>,
) -> Result<Logging, Stop> {
    let has_file =
        !settings.text("config-file").is_empty() || environment::value_of(env, CONFIG_FILE).is_some();
    if has_file {
        return Err(Stop::Bad(Error::NotImplemented("--config-file".to_owned())));
    }
    environment::read(env, settings, notices)?;
    raise_raft_timeouts(settings, notices);
    succession::apply(settings, notices).map_err(Stop::Bad)?;
    Logging::from_settings(settings).map_err(Stop::Bad)
}

/// Peer connections may not time out faster than this in etcd, whatever was asked for.
fn raise_raft_timeouts(settings: &mut Settings, notices: &mut Vec<Notice>) {
    for name in ["raft-read-timeout", "raft-write-timeout"] {
        let (flag, origin) = (settings.get(name).flag, settings.get(name).origin);
        if settings.duration(name) < GoDuration::parse(flag.default).unwrap_or_default() {
            settings.set(flag, flag.default, origin).expect("the defaults of the table are valid");
            notices.push(Notice::info(format!("{name} increased to minimum value: {}", flag.default)));
        }
    }
}

fn refuse(error: &Error, mut notices: Vec<Notice>, logging: Logging) -> Failure {
    let text = error.to_string();
    notices.push(Notice::warn("failed to verify flags").text("error", &text));
    if *error == Error::AdvertiseClientMissing {
        notices.push(Notice::warn("advertise client URLs are not set").text("error", &text));
    }
    Failure { exit_code: 1, stderr: String::new(), notices, logging }
}

const CONFIG_FILE: &str = "ETCD_CONFIG_FILE";
