//! What can go wrong with snapshot files.

use std::path::PathBuf;

/// `Result` of an operation on snapshot files.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed operation on snapshot files, by what the caller can do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The disk failed. If it was in [`crate::save`], the snapshot does not exist and the member must stop.
    #[error(transparent)]
    Disk(#[from] vfs::Error),
    /// The file is not a snapshot, or not the one its name says.
    #[error("read snapshot {}: expected {expected}, found {found}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What belongs there.
        expected: String,
        /// What is there.
        found: String,
    },
}
