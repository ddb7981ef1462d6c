//! How grave a line is.

use std::fmt;
use std::str::FromStr;

/// How grave a line is, in etcd's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything else.
    Debug,
    /// A change of state.
    Info,
    /// Odd but handled.
    Warn,
    /// An operator must act.
    Error,
    /// A bug.
    DPanic,
    /// A bug that ends the program.
    Panic,
    /// Ends the program.
    Fatal,
}

/// The word names no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unrecognized level: {0:?}")]
pub struct ParseLevelError(String);

impl Level {
    const ALL: [Self; 7] =
        [Self::Debug, Self::Info, Self::Warn, Self::Error, Self::DPanic, Self::Panic, Self::Fatal];

    /// The word in a line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::DPanic => "dpanic",
            Self::Panic => "panic",
            Self::Fatal => "fatal",
        }
    }

    pub(crate) fn rank(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_rank(rank: u8) -> Self {
        Self::ALL.get(usize::from(rank)).copied().unwrap_or(Self::Fatal)
    }

    /// The level of an event; `None` below debug, which etcd does not have.
    pub(crate) fn of_event(level: tracing::Level) -> Option<Self> {
        match level {
            tracing::Level::ERROR => Some(Self::Error),
            tracing::Level::WARN => Some(Self::Warn),
            tracing::Level::INFO => Some(Self::Info),
            tracing::Level::DEBUG => Some(Self::Debug),
            tracing::Level::TRACE => None,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Level {
    type Err = ParseLevelError;

    /// Any case; `warning` is warn, empty is info.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = text.to_ascii_lowercase();
        match word.as_str() {
            "" => Ok(Self::Info),
            "warning" => Ok(Self::Warn),
            _ => Self::ALL
                .into_iter()
                .find(|level| level.as_str() == word)
                .ok_or_else(|| ParseLevelError(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_ranks_round_trip() {
        for level in Level::ALL {
            assert_eq!(level.as_str().to_uppercase().parse(), Ok(level));
            assert_eq!(Level::from_rank(level.rank()), level);
        }
        assert_eq!("".parse(), Ok(Level::Info));
        assert_eq!("x".parse::<Level>().unwrap_err().to_string(), "unrecognized level: \"x\"");
    }
}
