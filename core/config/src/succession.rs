//! What old flags mean today.
//!
//! An old flag earns one line `flag is deprecated` and its value goes to its successor; a successor that was given
//! itself wins. Only what would start another cluster than was asked for is refused.

use crate::error::Error;
use crate::flag::{Class, Flag, Successor, Warn};
use crate::flags;
use crate::notice::Notice;
use crate::settings::{Origin, Settings, Value};

/// Moves the values of old flags to their successors and says so in `notices`.
pub(crate) fn apply(settings: &mut Settings, notices: &mut Vec<Notice>) -> Result<(), Error> {
    refuse_other_clusters(settings)?;
    for flag in flags::by_name() {
        if !settings.is_given(flag.name) {
            continue;
        }
        match flag.class {
            Class::Deprecated(successor) => {
                let text = settings.get(flag.name).text.clone();
                notices.push(deprecated(flag, &text, &successor_text(successor, &text)));
                hand_over(settings, flag, successor, &text)?;
            }
            Class::Retired(warn) => {
                let text = &settings.get(flag.name).text;
                if warn == Warn::Always || text != flag.default {
                    notices.push(deprecated(flag, text, "none"));
                }
            }
            Class::Honoured | Class::NotYet | Class::Ignored => {}
        }
    }
    if settings.text("discovery-fallback") == "proxy" {
        // The default of etcd 3.5. There is no proxy to fall back to, so a failed discovery ends the start.
        notices.push(deprecated(
            settings.get("discovery-fallback").flag,
            "proxy",
            "--discovery-fallback=exit",
        ));
    }
    if settings.text("logger") == "capnslog" {
        notices.push(Notice::warn(
            "Deprecated '--logger=capnslog' flag is set; use '--logger=zap' flag instead",
        ));
    }
    Ok(())
}

fn refuse_other_clusters(settings: &Settings) -> Result<(), Error> {
    match settings.text("discovery") {
        "" => {}
        url => return Err(Error::OldDiscovery(url.to_owned())),
    }
    match settings.text("proxy") {
        "off" => Ok(()),
        mode => Err(Error::OldProxy(mode.to_owned())),
    }
}

fn deprecated(flag: &Flag, value: &str, successor: &str) -> Notice {
    let line = Notice::warn("flag is deprecated");
    line.text("flag", format!("--{}", flag.name)).text("value", value).text("successor", successor)
}

fn successor_text(successor: Successor, value: &str) -> String {
    match successor {
        Successor::Flag(name) => format!("--{name}"),
        Successor::Gate(name) => format!("--feature-gates={name}={value}"),
        Successor::DebugLevel => "--log-level=debug".to_owned(),
    }
}

fn hand_over(settings: &mut Settings, old: &Flag, successor: Successor, text: &str) -> Result<(), Error> {
    match successor {
        Successor::Flag(name) => give(settings, old, name, text),
        Successor::DebugLevel if settings.bool(old.name) => give(settings, old, "log-level", "debug"),
        Successor::DebugLevel => Ok(()),
        Successor::Gate(name) => {
            if let (Value::Bool(on), false) = (&settings.get(old.name).value, settings.gates().says(name)) {
                let on = *on;
                settings.set_gate(name, on).map_err(|why| old_value(old, "feature-gates", text, why))?;
            }
            Ok(())
        }
    }
}

fn give(settings: &mut Settings, old: &Flag, name: &str, text: &str) -> Result<(), Error> {
    if settings.is_given(name) {
        return Ok(());
    }
    let flag = settings.get(name).flag;
    settings.set(flag, text, Origin::OldFlag).map_err(|why| old_value(old, name, text, why))
}

fn old_value(old: &Flag, flag: &str, value: &str, why: String) -> Error {
    Error::OldValue { old: old.name.to_owned(), flag: flag.to_owned(), value: value.to_owned(), why }
}
