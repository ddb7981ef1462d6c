//! The global flags and the environment of a command that connects.

use crate::legacy::{API_VARIABLE, api_note};
use crate::print::{Format, Style};
use crate::tree::PROGRAM;
use client::{Client, Config};
use std::ffi::OsStr;
use std::future::Future;
use std::os::unix::ffi::OsStrExt;
use time::OffsetDateTime;
use utl::cli::{Failure, Flags, Invocation, code, warn};

/// How a command connects and prints.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// Whom to call, and for how long.
    pub config: Config,
    /// How answers are printed.
    pub style: Style,
    /// The flags of the command, with what the environment added.
    pub flags: Flags,
}

const VARIABLE_PREFIX: &str = "ETCDCTL_";
const SEND_BYTES_MAX: i64 = 2 << 20;
const RECEIVE_BYTES_MAX: i64 = (1 << 31) - 1;

impl Session {
    /// Reads flags and environment; the format must be one of `formats`.
    pub(crate) fn new(invocation: &Invocation, formats: &[Format]) -> Result<Self, Failure> {
        let mut flags = invocation.flags.clone();
        set_from_environment(&mut flags)?;
        if flags.bool("debug") {
            PROGRAM
                .root
                .shared_flags
                .iter()
                .for_each(|flag| warn(format!("{}={}", variable_of(flag.name), flags.shown(flag.name))));
        }
        refuse_missing_parts(&flags)?;
        let format = Format::parse(&flags.text("write-out"))
            .ok_or_else(|| Failure::feature("unsupported output format"))?;
        if !formats.contains(&format) {
            return Err(Failure::feature(format!("{} not supported as output format", format.name())));
        }
        let bytes_max = |name: &str, default: i64| {
            let given = flags.int(name);
            usize::try_from(if given == 0 { default } else { given }).unwrap_or(0)
        };
        let config = Config {
            endpoints: endpoints(&flags),
            dial_timeout: flags.duration("dial-timeout"),
            call_timeout: Some(flags.duration("command-timeout")),
            keepalive_time: flags.duration("keepalive-time"),
            keepalive_timeout: flags.duration("keepalive-timeout"),
            send_bytes_max: bytes_max("max-request-bytes", SEND_BYTES_MAX),
            receive_bytes_max: bytes_max("max-recv-bytes", RECEIVE_BYTES_MAX),
        };
        let style = Style { format, is_hex: flags.bool("hex"), is_value_only: false };
        Ok(Self { config, style, flags })
    }

    /// A client of all endpoints.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        client(self.config.clone())
    }

    /// A client of one endpoint.
    pub(crate) fn client_of(&self, endpoint: &str) -> Result<Client, Failure> {
        client(Config { endpoints: vec![endpoint.to_owned()], ..self.config.clone() })
    }
}

fn client(config: Config) -> Result<Client, Failure> {
    Client::new(config).map_err(|error| match error {
        client::Error::NoEndpoints => Failure { code: code::BAD_CONNECTION, message: error.to_string() },
        _ => Failure::error(error),
    })
}

/// Waits for calls, on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::error(format!("cannot start: {error}")))?;
    Ok(runtime.block_on(future))
}

/// The endpoints of the flag. An empty flag, as an unset shell variable leaves it, means the default.
fn endpoints(flags: &Flags) -> Vec<String> {
    let given: Vec<String> =
        flags.list("endpoints").iter().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect();
    if !given.is_empty() {
        return given;
    }
    let default = Config::default().endpoints;
    warn(format!("Note: no endpoints given; using {}", default.join(",")));
    default
}

fn variable_of(flag: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", flag.to_uppercase().replace('-', "_"))
}

/// Takes flags that are not given from the environment; complains about variables that no flag takes.
fn set_from_environment(flags: &mut Flags) -> Result<(), Failure> {
    let given: Vec<String> = global_names().filter(|name| flags.is_given(name)).map(variable_of).collect();
    for name in global_names().filter(|name| !given.contains(&variable_of(name))) {
        if let Ok(value) = std::env::var(variable_of(name))
            && !value.is_empty()
        {
            // A value that does not parse is ignored, as in the original.
            let _ = flags.set(name, &value);
        }
    }
    for (variable, value) in std::env::vars_os() {
        let is_ours = variable.as_bytes().starts_with(VARIABLE_PREFIX.as_bytes());
        let variable = variable.to_string_lossy();
        if !is_ours {
            continue;
        }
        if given.contains(&variable.as_ref().to_owned()) {
            log_line("fatal", SHADOWED, &variable);
            return Err(Failure { code: code::ERROR, message: String::new() });
        }
        let is_known = !value.is_empty() && global_names().any(|name| variable_of(name) == variable);
        if variable == API_VARIABLE {
            api_note(&value.to_string_lossy()).iter().for_each(warn);
        } else if !is_known {
            log_line("warn", UNRECOGNIZED, &assignment(&variable, &value));
        }
    }
    Ok(())
}

const UNRECOGNIZED: &str = "unrecognized environment variable";
const SHADOWED: &str = "conflicting environment variable is shadowed by corresponding command-line flag (either unset environment variable or disable flag))";

fn global_names() -> impl Iterator<Item = &'static str> {
    PROGRAM.root.shared_flags.iter().map(|flag| flag.name)
}

fn assignment(variable: &str, value: &OsStr) -> String {
    format!("{variable}={}", value.to_string_lossy())
}

/// A line in the form of the original's log, for those who read it by machine.
fn log_line(level: &str, message: &str, variable: &str) {
    let now = OffsetDateTime::now_utc();
    let time = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
        now.year(),
        u8::from(now.month()),
        now.day(),
        now.hour(),
        now.minute(),
        now.second(),
        now.microsecond()
    );
    let mut line = format!("{{\"level\":\"{level}\",\"ts\":\"{time}\",\"caller\":\"ctl/session.rs\",\"msg\":");
    stdx::json::push_string(&mut line, message);
    line.push_str(",\"environment-variable\":");
    stdx::json::push_string(&mut line, variable);
    line.push('}');
    warn(line);
}

/// TLS, authentication and discovery are still missing: their flags are known and refused when they ask for something.
fn refuse_missing_parts(flags: &Flags) -> Result<(), Failure> {
    for name in ["cert", "key", "cacert"] {
        if flags.is_given(name) && flags.text(name).is_empty() {
            return Err(Failure::arguments(format!("empty string is passed to --{name} option")));
        }
    }
    let texts = ["cert", "key", "cacert", "user", "password", "auth-jwt-token", "discovery-srv", "discovery-srv-name"];
    let asked = texts.into_iter().find(|name| !flags.text(name).is_empty());
    let asked = asked.or_else(|| (!flags.bool("insecure-transport")).then_some("insecure-transport=false"));
    let asked = asked.or_else(|| flags.bool("insecure-skip-tls-verify").then_some("insecure-skip-tls-verify"));
    match asked {
        Some(name) => Err(Failure::not_implemented(&format!("--{name}"))),
        None => Ok(()),
    }
}
