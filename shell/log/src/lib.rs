//! The log of every program here: lines as etcd's logger writes them, behind `tracing`.
//!
//! Layer: shell, above nothing. Code logs with the macros of `tracing`; names of fields with dashes are written as
//! literals, and lists or objects go through [`Json`]:
//!
//! ```
//! # let urls = ["http://127.0.0.1:2380"];
//! tracing::info!("listen-peer-urls" = log::Json::strings(urls).value(), "configuring peer listeners");
//! ```
//!
//! * The form of a line ([`Style`]) and its levels are etcd's: `docs/formats/log.md 1 to 3`.
//! * `logger` appears for the target `logger:NAME` only; `caller` is `crate/file.rs:line`.
//! * A line is formatted by the thread that logs it and appended to a queue bounded in bytes; a thread of its own writes.
//!   **No caller ever waits for a disk or a pipe**: when the queue is full, lines are dropped and counted, and a line says
//!   how many once there is room again.
//! * Before the program ends, [`Log::flush`] waits for the queue; [`Log::fatal`] does that and exits with code 1.

mod clock;
mod encode;
mod json;
mod layer;
mod level;
mod output;
mod queue;

use std::io;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tracing_subscriber::layer::SubscriberExt as _;

pub use clock::Clock;
pub use encode::Style;
pub use json::Json;
pub use layer::LogLayer;
pub use level::{Level, ParseLevelError};

use encode::{Caller, Encoder, Head};
use queue::Queue;

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file among the outputs cannot be opened for appending.
    #[error("cannot open log output {path}")]
    Open {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Lines for the journal of systemd.
    #[error("log output systemd/journal is not implemented yet")]
    Journal,
    /// The thread that writes cannot be started.
    #[error("cannot start the thread that writes the log")]
    Thread(#[source] io::Error),
    /// `tracing` has a subscriber already.
    #[error("a log is installed already")]
    Installed,
}

/// What a log is asked to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// Least level that is written.
    pub level: Level,
    /// Form of a line.
    pub style: Style,
    /// `default` (standard error), `stderr`, `stdout`, or files, which are appended to and created with mode 0644.
    /// `/dev/null` anywhere silences all.
    pub outputs: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { level: Level::Info, style: Style::Json, outputs: vec!["default".to_owned()] }
    }
}

/// A value given to [`Log::write`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Text.
    Text(&'a str),
    /// A number.
    Int(i64),
    /// A number that is never negative.
    Uint(u64),
    /// Yes or no.
    Bool(bool),
    /// JSON, written as it is.
    Json(&'a Json),
}

/// A running log; clones share it. The last one to go stops its thread, which first writes what is queued.
#[derive(Clone, Debug)]
pub struct Log {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    level: AtomicU8,
    encoder: Encoder,
    queue: Arc<Queue>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl Log {
    /// Opens the outputs and starts the thread that writes. Call it before other threads run: only then can the time
    /// zone be read; later lines are in UTC.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::Journal`], [`Error::Thread`].
    pub fn start(options: &Options) -> Result<Self, Error> {
        let clock = Clock::local();
        Self::run(options, clock, output::open(&options.outputs)?)
    }

    /// A log into `writer` instead of the outputs of `options`, with a clock of its own. For tests.
    ///
    /// # Errors
    /// [`Error::Thread`].
    pub fn to_writer(
        options: &Options,
        clock: Clock,
        writer: Box<dyn io::Write + Send>,
    ) -> Result<Self, Error> {
        Self::run(options, clock, vec![writer])
    }

    fn run(options: &Options, clock: Clock, outputs: Vec<output::Output>) -> Result<Self, Error> {
        let encoder = Encoder::new(options.style, clock);
        let queue = Arc::new(Queue::new(QUEUE_BYTES_MAX));
        let writing = Arc::clone(&queue);
        let report = move |count: u64| dropped_line(&encoder, count);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writing.write_to(outputs, report))
            .map_err(Error::Thread)?;
        let level = AtomicU8::new(options.level.rank());
        Ok(Self { shared: Arc::new(Shared { level, encoder, queue }) })
    }

    /// Makes this the log of the whole program.
    ///
    /// # Errors
    /// [`Error::Installed`] when there is one.
    pub fn install(&self) -> Result<(), Error> {
        let subscriber = tracing_subscriber::registry().with(self.layer());
        tracing::subscriber::set_global_default(subscriber).map_err(|_| Error::Installed)
    }

    /// The layer that feeds this log from `tracing`.
    pub fn layer(&self) -> LogLayer {
        LogLayer::new(self.clone())
    }

    /// Least level that is written.
    pub fn level(&self) -> Level {
        Level::from_rank(self.shared.level.load(Ordering::Relaxed))
    }

    /// Changes the least level that is written, from now on.
    pub fn set_level(&self, level: Level) {
        self.shared.level.store(level.rank(), Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
    }

    /// Writes a line whose fields are known only at run time. Everything else uses the macros of `tracing`.
    #[track_caller]
    pub fn write(&self, level: Level, message: &str, fields: &[(&str, Value<'_>)]) {
        if level < self.level() {
            return;
        }
        let location = Location::caller();
        let caller = Caller { file: location.file(), line: location.line() };
        let mut encoded = self.shared.encoder.fields();
        for (name, value) in fields {
            encoded.push(name, *value);
        }
        let head = Head { level, logger: None, caller };
        self.append(&self.shared.encoder.line(&head, message, &encoded));
    }

    /// Writes a line of level fatal, waits until it is written, and ends the program with code 1.
    #[track_caller]
    pub fn fatal(&self, message: &str, fields: &[(&str, Value<'_>)]) -> ! {
        self.write(Level::Fatal, message, fields);
        self.flush();
        std::process::exit(1)
    }

    /// Lines dropped so far because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.shared.queue.dropped()
    }

    /// Waits until everything logged so far is written, for at most two seconds: a stuck pipe must not keep a program
    /// from ending. Returns whether it was.
    pub fn flush(&self) -> bool {
        self.shared.queue.flush()
    }

    fn encoder(&self) -> &Encoder {
        &self.shared.encoder
    }

    fn append(&self, line: &str) {
        self.shared.queue.push(line.as_bytes());
    }
}

fn dropped_line(encoder: &Encoder, count: u64) -> String {
    let mut fields = encoder.fields();
    fields.push("count", Value::Uint(count));
    let head = Head { level: Level::Warn, logger: None, caller: Caller { file: file!(), line: line!() } };
    encoder.line(&head, "dropped log lines because the outputs are too slow", &fields)
}

/// Bytes of lines that may wait to be written: some ten thousand lines.
const QUEUE_BYTES_MAX: usize = 4 << 20;
