//! What can go wrong with a bolt file.

use crate::format::PageId;
use std::path::PathBuf;

/// `Result` of an operation on a bolt file.
pub type Result<T> = std::result::Result<T, Error>;

/// What the caller can tell apart and act on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The disk failed, or another process holds the lock. After a failed commit nothing is known about what reached
    /// the disk.
    #[error(transparent)]
    Disk(#[from] vfs::Error),
    /// Neither meta page is valid: not a bolt file, or one damaged at its start.
    #[error("{path}: no valid meta page: {what}", path = path.display())]
    NotBolt {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// A page breaks the rules of the format.
    #[error("{path}: page {page}: {what}", path = path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The page, which lies at this id times the page size.
        page: PageId,
        /// Expected and found.
        what: String,
    },
    /// Legal in a bolt file, but not in one of etcd.
    #[error("{path}: {what} is not supported", path = path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The feature.
        what: String,
    },
    /// A batch holds a key or value outside of the format's limits. Nothing was written.
    #[error(
        "bucket {bucket:?}: key of {key_len} bytes with value of {value_len} bytes is outside of the limits"
    )]
    PairSize {
        /// Name of the bucket.
        bucket: String,
        /// Bytes in the key.
        key_len: usize,
        /// Bytes in the value.
        value_len: usize,
    },
    /// A batch changes a bucket that neither exists nor is created by it. Nothing was written.
    #[error("bucket {bucket:?} does not exist")]
    NoSuchBucket {
        /// Name of the bucket.
        bucket: String,
    },
    /// An earlier commit failed, so what is on the disk is not known; only a new opening tells.
    #[error("{path}: unusable since a commit failed", path = path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
    },
}
