//! From `tracing` to the log.

use std::error::Error;
use std::fmt;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::Log;
use crate::encode::{Caller, Fields, Head};
use crate::json::Json;
use crate::level::Level;

/// The layer that feeds a [`Log`]. Spans are not written.
#[derive(Clone, Debug)]
pub struct LogLayer {
    log: Log,
}

impl LogLayer {
    pub(crate) fn new(log: Log) -> Self {
        Self { log }
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let Some(level) = Level::of_event(*metadata.level()) else { return false };
        level >= self.log.level() && (level >= Level::Warn || !is_foreign(metadata.target()))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match self.log.level() {
            Level::Debug => LevelFilter::DEBUG,
            Level::Info => LevelFilter::INFO,
            Level::Warn => LevelFilter::WARN,
            Level::Error => LevelFilter::ERROR,
            Level::DPanic | Level::Panic | Level::Fatal => LevelFilter::OFF,
        })
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let Some(level) = Level::of_event(*metadata.level()) else { return };
        let mut visitor = Visitor { message: String::new(), fields: self.log.encoder().fields() };
        event.record(&mut visitor);
        let caller =
            Caller { file: metadata.file().unwrap_or_default(), line: metadata.line().unwrap_or_default() };
        let head = Head { level, logger: metadata.target().strip_prefix(LOGGER), caller };
        self.log.append(&self.log.encoder().line(&head, &visitor.message, &visitor.fields));
    }
}

/// The inner life of libraries is not for operators: they are heard from warnings on.
fn is_foreign(target: &str) -> bool {
    let library = target.split("::").next().unwrap_or_default();
    FOREIGN.contains(&library)
}

struct Visitor {
    message: String,
    fields: Fields,
}

impl Visit for Visitor {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            value.clone_into(&mut self.message);
        } else {
            self.fields.push_text(field.name(), value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.fields.push_plain(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.fields.push_plain(field.name(), value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.fields.push_plain(field.name(), value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.fields.push_plain(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.fields.push_plain(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.fields.push_plain(field.name(), value);
        } else {
            // JSON has no such numbers.
            self.fields.push_text(field.name(), &value.to_string());
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        if let Some(json) = value.downcast_ref::<Json>() {
            self.fields.push_json(field.name(), json);
            return;
        }
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        self.fields.push_text(field.name(), &text);
    }
}

/// Targets that name a logger begin so.
const LOGGER: &str = "logger:";
/// The field in which `tracing` carries the text of an event.
const MESSAGE: &str = "message";
const FOREIGN: [&str; 8] = ["h2", "hyper", "hyper_util", "mio", "rustls", "tokio", "tonic", "tower"];
