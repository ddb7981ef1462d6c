//! The multi-version key space: index, views, ranges, transactions, compaction, hashes.
//!
//! Layer: above `backend`. One writer, apply, through [`Store`] and [`WriteTxn`]; any number of readers through [`View`],
//! which is one immutable state (contract C5). Nothing here waits for the disk.
//!
//! The index ([`Index`]) says which revisions a key has; the records themselves are in the backend's buffer segments
//! and its file ([`backend::Data`]). A compaction first raises the compacted revision, then drops from the index, then
//! deletes from the file; a reader checks the compacted revision *after* it has read the index (contract C4), so what
//! it uses was complete.

mod hash;
mod hash_read;
mod index;
mod range;
mod record;
mod sort;
mod txn;
mod view;

pub use hash::{BadRevisionKey, DbHash, HASH_OF_NO_RECORDS, HashKv, Skips};
pub use hash_read::{HashAnswer, HashRead};
pub use index::{
    Compaction as IndexCompaction, Found, HashKeep, Index, KeepSet, KeyRange, NotFound, OutOfOrder,
};
pub use index::{Record, Restorer, Scan};
pub use range::{Budget, RangeAnswer, RangeRead, STEP_BYTES_MAX};
pub use record::RecordHead;
pub use txn::{Put, PutDone, Store, WriteTxn};
pub use view::{CompactRevision, View, ViewBudget};

/// What reading and writing can fail with.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The revision is below the compacted one.
    #[error("revision is compacted")]
    Compacted,
    /// The revision is above the current one.
    #[error("revision is in the future")]
    FutureRevision,
    /// A value or lease was to be kept and there is no key.
    #[error("key not found")]
    KeyNotFound,
    /// A compaction overtook a read that did not name its revision: read again on a fresh view.
    #[error("a compaction has overtaken the read")]
    Overtaken,
    /// The read has kept its view for too long: read again on a fresh one.
    #[error("the read has outlived its view")]
    Outlived,
    /// A stored record does not decode.
    #[error("malformed record: {0}")]
    BadRecord(String),
    /// The file or the buffers.
    #[error(transparent)]
    Backend(#[from] backend::Error),
}

impl From<bolt::Error> for Error {
    fn from(error: bolt::Error) -> Self {
        Self::Backend(error.into())
    }
}

/// `Result` of this crate.
pub type Result<T> = std::result::Result<T, Error>;
