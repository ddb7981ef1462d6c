//! What reading the flags has to say: lines for the log, and the reason not to start.

use crate::logging::{Level, Logging};

/// One line for the log, written once logging stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How grave it is.
    pub level: Level,
    /// The message; operators match it.
    pub message: String,
    /// Names and values, in order.
    pub fields: Vec<(&'static str, Field)>,
}

/// The value of a field of a [`Notice`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// Text.
    Text(String),
    /// A number.
    Number(i64),
}

impl Notice {
    pub(crate) fn new(level: Level, message: impl Into<String>) -> Self {
        Self { level, message: message.into(), fields: Vec::new() }
    }

    pub(crate) fn info(message: impl Into<String>) -> Self {
        Self::new(Level::Info, message)
    }

    pub(crate) fn warn(message: impl Into<String>) -> Self {
        Self::new(Level::Warn, message)
    }

    pub(crate) fn text(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, Field::Text(value.into())));
        self
    }

    pub(crate) fn number(mut self, name: &'static str, value: u64) -> Self {
        self.fields.push((name, Field::Number(i64::try_from(value).unwrap_or(i64::MAX))));
        self
    }
}

/// Why the program ends instead of starting, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The code of the process: 2 when the command line cannot be read, else 1.
    pub exit_code: i32,
    /// Text for standard error, newlines included; may be empty.
    pub stderr: String,
    /// Lines for the log, after `stderr`.
    pub notices: Vec<Notice>,
    /// How to write those lines, as far as the flags were understood.
    pub logging: Logging,
}
