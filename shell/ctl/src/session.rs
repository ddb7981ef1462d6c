//! The global flags and the environment of a command that connects.

use crate::legacy::{API_VARIABLE, api_note};
use crate::print::{Format, Style};
use crate::tree::PROGRAM;
use client::{Client, Config};
use std::ffi::OsString;
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
        let variables: Vec<_> = std::env::vars_os().collect();
        set_from(&mut flags, &variables)?.iter().for_each(warn);
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
    let given: Vec<String> = flags
        .list("endpoints")
        .iter()
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .collect();
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

/// Takes flags that are not given from `variables`, the environment; returns remarks for stderr.
///
/// A variable beside its flag ends the command; one that no flag takes, or an empty one, is remarked on.
fn set_from(flags: &mut Flags, variables: &[(OsString, OsString)]) -> Result<Vec<String>, Failure> {
    let ours = variables.iter().filter(|(name, _)| name.as_bytes().starts_with(VARIABLE_PREFIX.as_bytes()));
    let mut remarks = Vec::new();
    for (name, value) in ours {
        let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
        match global_names().find(|flag| variable_of(flag) == name) {
            Some(flag) if flags.is_given(flag) => {
                let message = remarks.into_iter().chain([log_line("fatal", SHADOWED, &name)]);
                message.for_each(warn);
                return Err(Failure { code: code::ERROR, message: String::new() });
            }
            Some(_) if !value.is_empty() => {}
            _ if name == API_VARIABLE => remarks.extend(api_note(&value)),
            _ => remarks.push(log_line("warn", UNRECOGNIZED, &format!("{name}={value}"))),
        }
    }
    for (name, value) in variables.iter().filter(|(_, value)| !value.is_empty()) {
        if let Some(flag) = global_names().find(|flag| *name == *variable_of(flag)) {
            // A value that does not parse is ignored, as in the original.
            let _ = flags.set(flag, &value.to_string_lossy());
        }
    }
    Ok(remarks)
}

const UNRECOGNIZED: &str = "unrecognized environment variable";
const SHADOWED: &str = "conflicting environment variable is shadowed by corresponding command-line flag (either unset environment variable or disable flag))";

fn global_names() -> impl Iterator<Item = &'static str> {
    PROGRAM.root.shared_flags.iter().map(|flag| flag.name)
}

/// A line in the form of the original's log, for those who read it by machine.
fn log_line(level: &str, message: &str, variable: &str) -> String {
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
    let mut line =
        format!("{{\"level\":\"{level}\",\"ts\":\"{time}\",\"caller\":\"ctl/session.rs\",\"msg\":");
    stdx::json::push_string(&mut line, message);
    line.push_str(",\"environment-variable\":");
    stdx::json::push_string(&mut line, variable);
    line.push('}');
    line
}

/// TLS, authentication and discovery are still missing: their flags are known and refused when they ask for something.
fn refuse_missing_parts(flags: &Flags) -> Result<(), Failure> {
    for name in ["cert", "key", "cacert"] {
        if flags.is_given(name) && flags.text(name).is_empty() {
            return Err(Failure::arguments(format!("empty string is passed to --{name} option")));
        }
    }
    let texts = ["cert", "key", "cacert", "user", "auth-jwt-token", "discovery-srv"];
    let asked = texts.into_iter().find(|name| !flags.text(name).is_empty());
    let asked = asked.or_else(|| (!flags.bool("insecure-transport")).then_some("insecure-transport=false"));
    let asked =
        asked.or_else(|| flags.bool("insecure-skip-tls-verify").then_some("insecure-skip-tls-verify"));
    match asked {
        Some(name) => Err(Failure::not_implemented(&format!("--{name}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use utl::cli::{Resolved, resolve};

    fn flags_of(line: &str) -> Flags {
        let args = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        let Resolved::Run { invocation, .. } = resolve(&PROGRAM, args) else { panic!("{line} runs nothing") };
        invocation.flags
    }

    fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn the_environment_stands_in_for_flags_that_are_not_given() {
        let mut flags = flags_of("get a --hex");
        let given =
            [("ETCDCTL_ENDPOINTS", "a:1,b:2"), ("ETCDCTL_DIAL_TIMEOUT", "nonsense"), ("ETCDCTL_API", "3")];
        assert_eq!(set_from(&mut flags, &variables(&given)), Ok(Vec::new()));
        assert_eq!(flags.list("endpoints"), ["a:1", "b:2"]);
        assert_eq!(flags.shown("dial-timeout"), "2s");
    }

    #[test]
    fn a_flag_and_its_variable_together_are_refused() {
        let mut flags = flags_of("get a --hex");
        assert_eq!(
            set_from(&mut flags, &variables(&[("ETCDCTL_HEX", "true")])).unwrap_err().code,
            code::ERROR
        );
    }

    #[test]
    fn variables_without_a_flag_are_remarked_on() {
        let mut flags = flags_of("get a");
        let given = [("ETCDCTL_FOO", "1"), ("ETCDCTL_HEX", ""), ("ETCDCTL_API", "2"), ("PATH", "x")];
        let remarks = set_from(&mut flags, &variables(&given)).unwrap();
        assert_eq!(remarks.len(), 3);
        assert!(remarks[0].starts_with("{\"level\":\"warn\",\"ts\":\"20"));
        assert!(remarks[0].ends_with("\"environment-variable\":\"ETCDCTL_FOO=1\"}"));
        assert!(remarks[1].ends_with("\"environment-variable\":\"ETCDCTL_HEX=\"}"));
        assert!(remarks[2].contains("API v2 is gone"));
    }

    #[test]
    fn flags_of_missing_parts_are_refused() {
        let refused = |line: &str| refuse_missing_parts(&flags_of(line)).unwrap_err();
        assert_eq!(refused("--cert= get a").code, code::BAD_ARGUMENTS);
        for line in ["--user root get a", "--insecure-transport=false get a", "get a -d example.org"] {
            assert!(refused(line).message.ends_with("not implemented yet"), "{line}");
        }
        assert_eq!(refuse_missing_parts(&flags_of("--user= --password x get a")), Ok(()));
    }

    #[test]
    fn an_empty_list_of_endpoints_means_the_default() {
        assert_eq!(endpoints(&flags_of("--endpoints= get a")), ["127.0.0.1:2379"]);
        assert_eq!(endpoints(&flags_of("--endpoints=,b:1, --endpoints c:2 get a")), ["b:1", "c:2"]);
    }
}
