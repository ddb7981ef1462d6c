//! Reading the environment: `ETCD_` and the name of a flag.

use crate::error::Error;
use crate::flags;
use crate::logging::Level;
use crate::notice::Notice;
use crate::settings::{Origin, Settings};

/// What stops the start.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A value cannot be read.
    Bad(Error),
    /// A variable and a flag say the same thing: etcd refuses to choose. The line for the log.
    Conflict(Notice),
}

/// The value of `variable`, if it is set and not empty.
pub(crate) fn value_of<'a>(variables: &'a [(String, String)], variable: &str) -> Option<&'a str> {
    let found = variables.iter().find(|(name, _)| name == variable);
    found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

/// Sets in `settings` what `variables` say about flags that the command line left alone.
pub(crate) fn read(
    variables: &[(String, String)],
    settings: &mut Settings,
    notices: &mut Vec<Notice>,
) -> Result<(), Stop> {
    if let Some(value) = value_of(variables, VERSION) {
        let line = Notice::warn("cannot set special environment variable");
        notices.push(line.text("key", VERSION).text("value", value));
    }
    let mut used = Vec::new();
    let mut shadowed = Vec::new();
    let mut bad = None;
    for flag in flags::by_name() {
        let Some(variable) = flag.env_name() else { continue };
        if settings.is_given(flag.name) {
            shadowed.push(variable);
            continue;
        }
        let Some(value) = value_of(variables, &variable) else { continue };
        match settings.set(flag, value, Origin::Environment) {
            Ok(()) => {
                let line = Notice::info("recognized and used environment variable");
                notices.push(line.text("variable-name", &variable).text("variable-value", value));
            }
            Err(why) => {
                bad = Some(Error::Environment { variable: variable.clone(), value: value.to_owned(), why });
            }
        }
        used.push(variable);
    }
    for (name, value) in variables {
        let is_special = name == ARCHITECTURE || (name == VERSION && !value.is_empty());
        if is_special || used.contains(name) {
            continue;
        }
        if shadowed.contains(name) {
            let line = Notice::new(Level::Fatal, CONFLICT);
            return Err(Stop::Conflict(line.text("environment-variable", name)));
        }
        if name.starts_with("ETCD_") {
            let line = Notice::warn("unrecognized environment variable");
            notices.push(line.text("environment-variable", format!("{name}={value}")));
        }
    }
    bad.map_or(Ok(()), |error| Err(Stop::Bad(error)))
}

/// Etcd reads no flag from it: a wrapper's own variable must not make every start print a version.
const VERSION: &str = "ETCD_VERSION";
/// Taken in silence: every architecture is supported here.
const ARCHITECTURE: &str = "ETCD_UNSUPPORTED_ARCH";
// The closing brackets are etcd's.
const CONFLICT: &str = "conflicting environment variable is shadowed by corresponding command-line flag (either unset \
                        environment variable or disable flag))";
