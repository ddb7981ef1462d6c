//! How a command ends badly.

/// Exit statuses, as etcd's tools use them.
pub mod code {
    /// The request failed, or the command line could not be parsed.
    pub const ERROR: u8 = 1;
    /// No connection could be set up.
    pub const BAD_CONNECTION: u8 = 2;
    /// Input was malformed: requests on stdin.
    pub const INVALID_INPUT: u8 = 3;
    /// A flag has a value that is not supported.
    pub const BAD_FEATURE: u8 = 4;
    /// Interrupted.
    pub const INTERRUPTED: u8 = 5;
    /// Arguments are missing, superfluous or contradictory.
    pub const BAD_ARGUMENTS: u8 = 128;
}

/// The end of a command that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit status; see [`code`].
    pub code: u8,
    /// Printed on stderr behind `Error: `; nothing is printed if it is empty.
    pub message: String,
}

impl Failure {
    /// A failed request.
    pub fn error(message: impl ToString) -> Self {
        Self { code: code::ERROR, message: message.to_string() }
    }

    /// Wrong arguments.
    pub fn arguments(message: impl ToString) -> Self {
        Self { code: code::BAD_ARGUMENTS, message: message.to_string() }
    }

    /// An unsupported value.
    pub fn feature(message: impl ToString) -> Self {
        Self { code: code::BAD_FEATURE, message: message.to_string() }
    }

    /// Malformed input.
    pub fn input(message: impl ToString) -> Self {
        Self { code: code::INVALID_INPUT, message: message.to_string() }
    }

    /// A command or an option that does not exist here yet.
    pub fn not_implemented(what: &str) -> Self {
        Self::error(format!("{what}: not implemented yet"))
    }
}
