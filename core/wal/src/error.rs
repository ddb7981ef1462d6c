//! What the log can fail with.

use std::path::PathBuf;
use types::LogIndex;

/// `Result` of an operation on the log.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed operation on the log, by what the caller can do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The disk failed. If it was a write or a sync of the log, the member must stop.
    #[error(transparent)]
    Disk(#[from] vfs::Error),
    /// Another process has the log open.
    #[error("lock {}: another process has the log open", path.display())]
    InUse {
        /// The locked segment.
        path: PathBuf,
    },
    /// There is a log already where one was to be made.
    #[error("create log {}: it exists", dir.display())]
    AlreadyExists {
        /// The directory of the log.
        dir: PathBuf,
    },
    /// No run of consecutive segments reaches back to the wanted index.
    #[error("open log {}: no consecutive segments from index {index} on", dir.display())]
    NoSegment {
        /// The directory of the log.
        dir: PathBuf,
        /// Where reading was to start.
        index: LogIndex,
    },
    /// The bytes are not a log, or not the one they claim to be.
    #[error("read log {} at offset {offset}: expected {expected}, found {found}", path.display())]
    Corrupt {
        /// The segment.
        path: PathBuf,
        /// Where the frame starts, in bytes.
        offset: u64,
        /// What belongs there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The log has the wanted snapshot's index under another term.
    #[error("read log at snapshot {index}: expected term {expected_term}, found {found_term}")]
    SnapshotMismatch {
        /// Index of the snapshot.
        index: LogIndex,
        /// Term of the snapshot asked for.
        expected_term: u64,
        /// Term in the log.
        found_term: u64,
    },
    /// An earlier write or sync failed, so nothing is known about what is durable. The member must stop.
    #[error("write log {}: an earlier write failed", dir.display())]
    Poisoned {
        /// The directory of the log.
        dir: PathBuf,
    },
}
