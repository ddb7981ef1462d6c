//! Flags of the log.

use crate::flag::{Flag, Kind, Section};

const fn flag(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Flag {
    Flag::new(Section::Logging, name, kind, default, help)
}

/// Defaults of rotation, as etcd writes them.
const ROTATION: &str =
    r#"{"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false}"#;

pub(super) const FLAGS: &[Flag] = &[
    flag("logger", Kind::Text, "zap", "'zap' for structured lines; 'capnslog' for the text lines of etcd 3.4."),
    flag("log-outputs", Kind::Set, "default", "Where lines go: default (stderr), stderr, stdout or files, several with commas."),
    flag("log-level", Kind::Text, "info", "Least level written: debug, info, warn, error, panic or fatal."),
    flag("log-format", Kind::Text, "json", "Form of a line: json or console."),
    flag("enable-log-rotation", Kind::Bool, "false", "Rotate the one file given with --log-outputs.").not_yet(),
    flag(
        "log-rotation-config-json",
        Kind::Text,
        ROTATION,
        "How to rotate: maxsize in MB, maxage in days, maxbackups as a count (0: no limit), localtime, compress.",
    )
    .not_yet(),
    flag("warning-unary-request-duration", Kind::Duration, "300ms", "Duration from which a slow call earns a warning.").not_yet(),
];
