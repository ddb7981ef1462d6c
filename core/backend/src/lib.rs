//! The backend: etcd's buckets over a bolt file, a write buffer in front of it, and the one writer behind it.
//!
//! Layer: above `bolt`. Apply writes into a [`Buffer`] and never waits for the disk. [`Buffer::freeze`] cuts it between
//! entries; one [`Frozen`] becomes one bolt transaction that also holds the consistent index of its last entry
//! (contract C5). The [`Writer`] is the only one that changes the file and takes its tasks in order (contract C6).
//! Readers use a [`Data`]: buffer segments plus a pinned bolt root, an immutable whole.
//!
//! The `key` bucket's part of the buffer is an append-only [`Segment`] addressed by revision and shared with readers
//! (contract C19); all other buckets are maps of apply's own, read by others only once frozen.

mod buffer;
mod data;
mod schema;
mod segment;
mod writer;

pub use buffer::{Buffer, Consistent, Frozen, Limits};
pub use data::{Data, FileState};
pub use schema::{
    AUTH_ENABLED, AUTH_REVISION, CLUSTER_DOWNGRADE, CLUSTER_VERSION, META_STORAGE_VERSION, META_TERM,
};
pub use schema::{
    Bucket, META_CONF_STATE, META_CONSISTENT_INDEX, META_FINISHED_COMPACT, META_SCHEDULED_COMPACT,
};
pub use segment::{Record, Segment};
pub use writer::{Compaction, Event, Task, Writer, WriterStep};

/// What the backend can fail with.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The file.
    #[error(transparent)]
    Bolt(#[from] bolt::Error),
    /// A record that the index knows is not in the file: the file and the log do not belong together, or it is damaged.
    #[error("bucket key has no record of revision {0}")]
    MissingRevision(types::Revision),
    /// A bucket that every directory has is not there.
    #[error("bucket {0} is missing")]
    MissingBucket(&'static str),
}

/// `Result` of this crate.
pub type Result<T> = std::result::Result<T, Error>;
