//! From an event to a line of text.

use std::fmt::Write as _;

use crate::Value;
use crate::clock::Clock;
use crate::json::{self, Json};
use crate::level::Level;

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// One JSON object: `{"level":"info","ts":"...","caller":"embed/run.rs:10","msg":"...","name":"m1"}`.
    Json,
    /// Columns with tabs: time, level, caller, message, fields as JSON.
    Console,
    /// As etcd 3.4 wrote: `2019-12-12 12:56:57.536110 I | embed: name = default`.
    Capnslog,
}

/// Where in the source a line comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller<'a> {
    pub(crate) file: &'a str,
    pub(crate) line: u32,
}

impl Caller<'_> {
    /// The crate, and the file below its `src`; the last folder and the file where there is none.
    fn parts(&self) -> (&str, &str) {
        let (before, file) = match self.file.rfind("/src/") {
            Some(position) => (&self.file[..position], &self.file[position + "/src/".len()..]),
            None => self.file.rsplit_once('/').unwrap_or(("", self.file)),
        };
        (before.rsplit('/').next().unwrap_or_default(), file)
    }

    fn push(&self, out: &mut String) {
        let (folder, file) = self.parts();
        if !folder.is_empty() {
            out.push_str(folder);
            out.push('/');
        }
        let _ = write!(out, "{file}:{}", self.line);
    }
}

/// What stands before the message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) level: Level,
    pub(crate) logger: Option<&'a str>,
    pub(crate) caller: Caller<'a>,
}

/// Writes lines of one style.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encoder {
    style: Style,
    clock: Clock,
}

impl Encoder {
    pub(crate) fn new(style: Style, clock: Clock) -> Self {
        Self { style, clock }
    }

    /// A place for the fields of one line.
    pub(crate) fn fields(&self) -> Fields {
        Fields { is_spaced: self.style != Style::Json, text: String::new() }
    }

    /// The line, its newline included.
    pub(crate) fn line(&self, head: &Head<'_>, message: &str, fields: &Fields) -> String {
        let mut out = String::with_capacity(LINE_BYTES_USUAL + message.len() + fields.text.len());
        match self.style {
            Style::Json => self.push_json(&mut out, head, message, fields),
            Style::Console => self.push_console(&mut out, head, message, fields),
            Style::Capnslog => self.push_capnslog(&mut out, head, message, fields),
        }
        out.push('\n');
        out
    }

    fn push_json(self, out: &mut String, head: &Head<'_>, message: &str, fields: &Fields) {
        let _ = write!(out, "{{\"level\":\"{}\",\"ts\":\"", head.level);
        self.clock.push_timestamp(out);
        out.push('"');
        if let Some(logger) = head.logger {
            out.push_str(",\"logger\":");
            json::push_string(out, logger);
        }
        out.push_str(",\"caller\":\"");
        head.caller.push(out);
        out.push_str("\",\"msg\":");
        json::push_string(out, message);
        if !fields.text.is_empty() {
            out.push(',');
            out.push_str(&fields.text);
        }
        out.push('}');
    }

    fn push_console(self, out: &mut String, head: &Head<'_>, message: &str, fields: &Fields) {
        self.clock.push_timestamp(out);
        let _ = write!(out, "\t{}\t", head.level);
        if let Some(logger) = head.logger {
            let _ = write!(out, "{logger}\t");
        }
        head.caller.push(out);
        let _ = write!(out, "\t{message}");
        if !fields.text.is_empty() {
            let _ = write!(out, "\t{{{}}}", fields.text);
        }
    }

    fn push_capnslog(self, out: &mut String, head: &Head<'_>, message: &str, fields: &Fields) {
        if head.logger == Some(RAFT) {
            out.push_str(RAFT);
            self.clock.push_slashed(out);
            let _ = write!(out, " {}: {message}", head.level.as_str().to_ascii_uppercase());
        } else {
            self.clock.push_date_and_time(out);
            let letter = match head.level {
                Level::Debug => 'D',
                Level::Info => 'I',
                Level::Warn => 'W',
                Level::Error => 'E',
                Level::DPanic | Level::Panic | Level::Fatal => 'C',
            };
            let _ = write!(out, " {letter} | {}: {message}", head.logger.unwrap_or(head.caller.parts().0));
        }
        if !fields.text.is_empty() {
            let _ = write!(out, " {{{}}}", fields.text);
        }
    }
}

/// The fields of one line as the inside of a JSON object.
#[derive(Debug)]
pub(crate) struct Fields {
    /// With a space behind `:` and `,`.
    is_spaced: bool,
    text: String,
}

impl Fields {
    pub(crate) fn push(&mut self, name: &str, value: Value<'_>) {
        match value {
            Value::Text(text) => self.push_text(name, text),
            Value::Int(number) => self.push_plain(name, number),
            Value::Uint(number) => self.push_plain(name, number),
            Value::Bool(is_true) => self.push_plain(name, is_true),
            Value::Json(json) => self.push_json(name, json),
        }
    }

    pub(crate) fn push_text(&mut self, name: &str, text: &str) {
        self.push_name(name);
        json::push_string(&mut self.text, text);
    }

    /// A number or a boolean.
    pub(crate) fn push_plain(&mut self, name: &str, value: impl std::fmt::Display) {
        self.push_name(name);
        let _ = write!(self.text, "{value}");
    }

    pub(crate) fn push_json(&mut self, name: &str, json: &Json) {
        self.push_name(name);
        if self.is_spaced {
            json::push_spaced(&mut self.text, json.as_str());
        } else {
            self.text.push_str(json.as_str());
        }
    }

    fn push_name(&mut self, name: &str) {
        if !self.text.is_empty() {
            self.text.push_str(if self.is_spaced { ", " } else { "," });
        }
        json::push_string(&mut self.text, name);
        self.text.push_str(if self.is_spaced { ": " } else { ":" });
    }
}

/// The logger whose lines etcd 3.4 wrote in a form of their own.
const RAFT: &str = "raft";
/// Bytes of a line besides message and fields, roughly.
const LINE_BYTES_USUAL: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_name_the_crate_and_the_file() {
        for (file, expected) in [
            ("shell/embed/src/run.rs", "embed/run.rs:7"),
            ("core/node/src/stage/apply.rs", "node/stage/apply.rs:7"),
            ("/home/u/.cargo/registry/src/index-0/h2-0.4.19/src/codec/mod.rs", "h2-0.4.19/codec/mod.rs:7"),
            ("shell/log/tests/lines.rs", "tests/lines.rs:7"),
            ("main.rs", "main.rs:7"),
        ] {
            let mut out = String::new();
            Caller { file, line: 7 }.push(&mut out);
            assert_eq!(out, expected);
        }
    }
}
