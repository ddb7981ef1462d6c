//! The `etcd` program: flags, log, start, signals, stop. `main` calls [`run`] and does nothing else.

use crate::from_config::options;
use crate::running::{Ended, Running, StartError, start};
use config::{Action, Build, Config, Field, Notice};
use log::{Json, Log, Value};
use os::signals::{Signal, Signals};
use std::io::Write;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Runs the program with `args` (without its name) and the variables of its environment; returns the exit code.
pub fn run(args: &[String], env: &[(String, String)], build: Build) -> i32 {
    // Before any thread, so that all of them inherit the mask.
    let signals = Signals::block();
    os::process::raise_fd_limit();
    match config::parse(args, env) {
        Ok((Action::PrintVersion, _)) => print(&config::version_text(build), ""),
        Ok((Action::PrintHelp, _)) => print(&config::flags_text(), config::SHORT_USAGE),
        Ok((Action::Run(config), notices)) => match start_log(&config.logging) {
            Ok(log) => serve(&config, &notices, args, build, &log, signals),
            Err(code) => code,
        },
        Err(failure) => {
            eprint!("{}", failure.stderr);
            if let Ok(log) = start_log(&failure.logging) {
                write_notices(&log, &failure.notices);
                log.flush();
            }
            failure.exit_code
        }
    }
}

fn print(stdout: &str, stderr: &str) -> i32 {
    eprint!("{stderr}");
    // A closed pipe is the reader's business.
    let _ = std::io::stdout().write_all(stdout.as_bytes());
    0
}

fn start_log(logging: &config::Logging) -> Result<Log, i32> {
    let options = log::Options {
        level: level(logging.level),
        style: match logging.style {
            config::Style::Json => log::Style::Json,
            config::Style::Console => log::Style::Console,
            config::Style::Capnslog => log::Style::Capnslog,
        },
        outputs: logging.outputs.clone(),
    };
    let started = Log::start(&options).and_then(|log| log.install().map(|()| log));
    started.map_err(|error| {
        eprintln!("{error}");
        1
    })
}

fn value(field: &Field) -> Value<'_> {
    match field {
        Field::Text(text) => Value::Text(text),
        Field::Number(number) => Value::Int(*number),
    }
}

fn level(level: config::Level) -> log::Level {
    match level {
        config::Level::Debug => log::Level::Debug,
        config::Level::Info => log::Level::Info,
        config::Level::Warn => log::Level::Warn,
        config::Level::Error => log::Level::Error,
        config::Level::DPanic => log::Level::DPanic,
        config::Level::Panic => log::Level::Panic,
        config::Level::Fatal => log::Level::Fatal,
    }
}

fn write_notices(log: &Log, notices: &[Notice]) {
    for notice in notices {
        let fields: Vec<_> = notice.fields.iter().map(|(name, field)| (*name, value(field))).collect();
        log.write(level(notice.level), &notice.message, &fields);
    }
}

fn serve(
    config: &Config,
    notices: &[Notice],
    args: &[String],
    build: Build,
    log: &Log,
    signals: std::io::Result<Signals>,
) -> i32 {
    let program = std::env::args_os().next().unwrap_or_default().to_string_lossy().into_owned();
    let words: Vec<&str> = std::iter::once(program.as_str()).chain(args.iter().map(String::as_str)).collect();
    tracing::info!(args = Json::strings(&words).value(), "Running: ");
    write_notices(log, notices);
    let running = match begin(config, build, log, signals) {
        Ok(running) => running,
        Err(error) => {
            log.write(log::Level::Fatal, "discovery failed", &[("error", Value::Text(&error))]);
            log.flush();
            return 1;
        }
    };
    let ended = running.wait_ended();
    if let Ended::Failed(reason) = ended {
        log.write(log::Level::Fatal, "the member cannot go on and stops", &[("error", Value::Text(&reason))]);
        log.flush();
        return 1;
    }
    tracing::info!(name = %config.name, "data-dir" = %config.data_dir, "closed etcd server");
    log.flush();
    // The signal is raised again with its default action, so that the parent sees what ended the process.
    match STOP_SIGNAL.get() {
        Some(signal) => os::signals::end_by(*signal),
        None => 0,
    }
}

/// Starts the member and serves clients.
fn begin(
    config: &Config,
    build: Build,
    log: &Log,
    signals: std::io::Result<Signals>,
) -> Result<Arc<Running>, String> {
    let signals = signals.map_err(|error| format!("cannot wait for signals: {error}"))?;
    config.check_listeners().map_err(|error| error.to_string())?;
    let grace = Duration::from_secs(5) + 2 * config.election_timeout;
    watch_signals(signals, config, log.clone(), grace).map_err(|error| error.to_string())?;
    announce(config, build);
    let options = options(config)?;
    let running = Arc::new(start(options).map_err(|error| error.to_string())?);
    let info = running.info();
    tracing::info!(
        "local-member-id" = %info.member,
        "cluster-id" = %info.cluster,
        "commit-index" = info.commit.0,
        "consistent-index" = info.consistent_index.0,
        "current-rev" = info.revision,
        "{}",
        if info.is_restart { "restarting local member" } else { "starting local member" }
    );
    if let Some(torn) = &info.repaired {
        tracing::warn!(torn = %torn, "dropped a record that a crash had cut short at the end of the log");
    }
    for url in &config.listen_peer_urls {
        tracing::info!(address = %url.address(), "serving peer traffic");
    }
    RUNNING.get_or_init(|| running.clone());
    match running.wait_ready() {
        Ok(()) => {}
        // It was told to stop before clients could come; that is no failure.
        Err(StartError::Stopped) => return Ok(running),
        Err(error) => return Err(error.to_string()),
    }
    running.serve_clients().map_err(|error| error.to_string())?;
    announce_ready(config, &running);
    Ok(running)
}

fn announce(config: &Config, build: Build) {
    let urls = |urls: &[config::Url]| {
        let texts: Vec<_> = urls.iter().map(config::Url::as_str).collect();
        Json::strings(&texts)
    };
    tracing::info!("listen-peer-urls" = urls(&config.listen_peer_urls).value(), "configuring peer listeners");
    tracing::info!(
        "listen-client-urls" = urls(&config.listen_client_urls).value(),
        "configuring client listeners"
    );
    tracing::info!(
        "etcd-version" = %types::ETCD_VERSION,
        "oxetcd-version" = types::OWN_VERSION,
        "git-sha" = build.git_sha,
        name = %config.name,
        "data-dir" = %config.data_dir,
        "snapshot-count" = config.snapshot_count,
        "initial-advertise-peer-urls" = urls(&config.initial_advertise_peer_urls).value(),
        "advertise-client-urls" = urls(&config.advertise_client_urls).value(),
        "initial-cluster" = %config.initial_cluster(),
        "initial-cluster-state" = config.initial_cluster_state.as_str(),
        "initial-cluster-token" = %config.initial_cluster_token,
        "starting an etcd server"
    );
}

fn announce_ready(config: &Config, running: &Running) {
    let urls: Vec<_> = config.advertise_client_urls.iter().map(config::Url::as_str).collect();
    tracing::info!(
        "local-member-id" = %running.info().member,
        "local-member-attributes" = %format!("{{Name:{} ClientURLs:[{}]}}", config.name, urls.join(" ")),
        "cluster-id" = %running.info().cluster,
        "published local member to cluster through raft"
    );
    tracing::info!("ready to serve client requests");
    // The service manager may not listen; a member that runs is worth more than one that says so.
    if let Err(error) = os::notify::ready() {
        tracing::warn!(error = %error, "failed to notify init daemon");
    }
    for url in &config.listen_client_urls {
        tracing::info!(
            traffic = "grpc+http",
            address = %url.address(),
            "serving client traffic insecurely; this is strongly discouraged!"
        );
    }
}

/// The member, for the thread that waits for signals; empty while it starts.
static RUNNING: OnceLock<Arc<Running>> = OnceLock::new();
/// The signal that stops the program.
static STOP_SIGNAL: OnceLock<Signal> = OnceLock::new();

/// Repeats of the first signal within this time are the same wish: `timeout` and service managers signal the process and
/// then its group.
const SAME_SIGNAL: Duration = Duration::from_secs(1);

/// Starts the thread that waits for signals. The first one stops the member in order; a later second one ends the
/// program at once, a deliberate difference from etcd, which ignores it (docs/compat.md, stopping).
fn watch_signals(signals: Signals, config: &Config, log: Log, grace: Duration) -> std::io::Result<()> {
    let name = config.name.clone();
    let data_dir = config.data_dir.clone();
    let watch = move || {
        let Ok(first) = signals.wait() else { return };
        STOP_SIGNAL.get_or_init(|| first);
        tracing::info!(signal = first.name(), "received signal; shutting down");
        let Some(running) = RUNNING.get() else {
            // Nothing was acknowledged to anyone yet.
            log.flush();
            os::signals::end_by(first)
        };
        tracing::info!(name = %name, "data-dir" = %data_dir, "closing etcd server");
        let stopping =
            std::thread::Builder::new().name("stop".into()).spawn(move || running.shut_down(grace));
        if stopping.is_err() {
            os::signals::end_by(first)
        }
        let first_at = Instant::now();
        while let Ok(second) = signals.wait() {
            if first_at.elapsed() < SAME_SIGNAL {
                continue;
            }
            tracing::warn!(signal = second.name(), "received a second signal; ending at once");
            log.flush();
            os::signals::end_by(second)
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(watch).map(drop)
}
