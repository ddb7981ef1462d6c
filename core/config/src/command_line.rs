//! Reading the command line as Go's `flag` package does.

use crate::flag::Kind;
use crate::flags;
use crate::go::quote;
use crate::settings::{Origin, Settings};

/// How reading ended, when it did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// `-h` or `--help` came first.
    Help,
    /// Everything was read up to this word, which is not a flag.
    Read { left_over: Option<String> },
}

/// Sets in `settings` what `args` (without the program's name) say.
///
/// The rules are Go's: one dash or two; `--x v` or `--x=v`, booleans only `--x` or `--x=v`; the last of several wins;
/// the first word that is no flag, or `--`, ends it.
///
/// # Errors
/// The line that Go prints.
pub(crate) fn read(args: &[String], settings: &mut Settings) -> Result<Outcome, String> {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            return Ok(Outcome::Read { left_over: args.next().cloned() });
        }
        let Some(name) = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')).filter(|_| arg.len() > 1)
        else {
            return Ok(Outcome::Read { left_over: Some(arg.clone()) });
        };
        if name.is_empty() || name.starts_with(['-', '=']) {
            return Err(format!("bad flag syntax: {arg}"));
        }
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (name, None),
        };
        let Some(flag) = flags::find(name) else {
            if name == "help" || name == "h" {
                return Ok(Outcome::Help);
            }
            return Err(format!("flag provided but not defined: -{name}"));
        };
        let value = match value {
            Some(value) => value,
            None if flag.kind.is_boolean() => "true",
            None => args.next().ok_or_else(|| format!("flag needs an argument: -{name}"))?,
        };
        settings.set(flag, value, Origin::CommandLine).map_err(|why| match flag.kind {
            Kind::Bool => format!("invalid boolean value {} for -{name}: {why}", quote(value)),
            _ => format!("invalid value {} for flag -{name}: {why}", quote(value)),
        })?;
    }
    Ok(Outcome::Read { left_over: None })
}
