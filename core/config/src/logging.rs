//! The settings of the log.

use crate::error::Error;
use crate::settings::Settings;

/// How grave a line of the log is.
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

impl Level {
    /// Reads a level as typed, in any case; empty is info.
    ///
    /// # Errors
    /// [`Error::LogLevel`] for any other word.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match text.to_ascii_lowercase().as_str() {
            "debug" => Ok(Self::Debug),
            "info" | "" => Ok(Self::Info),
            "warn" | "warning" => Ok(Self::Warn),
            "error" => Ok(Self::Error),
            "dpanic" => Ok(Self::DPanic),
            "panic" => Ok(Self::Panic),
            "fatal" => Ok(Self::Fatal),
            _ => Err(Error::LogLevel(text.to_owned())),
        }
    }
}

/// The form of a line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// One JSON object.
    Json,
    /// Columns with tabs.
    Console,
    /// The text lines of etcd 3.4 (`--logger=capnslog`).
    Capnslog,
}

/// The settings of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// Least level that is written.
    pub level: Level,
    /// Form of a line.
    pub style: Style,
    /// `default`, `stderr`, `stdout`, `systemd/journal` or paths of files; sorted, without doubles.
    pub outputs: Vec<String>,
}

impl Default for Logging {
    fn default() -> Self {
        Self { level: Level::Info, style: Style::Json, outputs: vec![DEFAULT_OUTPUT.to_owned()] }
    }
}

impl Logging {
    pub(crate) fn from_settings(settings: &Settings) -> Result<Self, Error> {
        let logger = settings.text("logger");
        if !["zap", "capnslog"].contains(&logger) {
            return Err(Error::Logger(logger.to_owned()));
        }
        let outputs = settings.list("log-outputs").to_vec();
        if outputs.len() > 1 && outputs.iter().any(|output| output == DEFAULT_OUTPUT) {
            return Err(Error::LogOutputs);
        }
        if settings.bool("enable-log-rotation") {
            let files = outputs.iter().filter(|output| !STREAMS.contains(&output.as_str())).count();
            if outputs.len() != 1 || files != 1 {
                return Err(Error::LogRotation);
            }
        }
        let level = Level::parse(settings.text("log-level"))?;
        let style = match (logger, settings.text("log-format")) {
            ("capnslog", "json" | "console") => Style::Capnslog,
            (_, "json") => Style::Json,
            (_, "console") => Style::Console,
            (_, other) => return Err(Error::LogFormat(other.to_owned())),
        };
        Ok(Self { level, style, outputs })
    }
}

const DEFAULT_OUTPUT: &str = "default";
const STREAMS: [&str; 4] = [DEFAULT_OUTPUT, "stderr", "stdout", "systemd/journal"];
