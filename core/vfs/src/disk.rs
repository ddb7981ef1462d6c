//! The traits that the real disk and the crashable one share.

use crate::error::Result;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// It must exist; writing fails.
    Read,
    /// It must exist.
    ReadWrite,
    /// Created with these permission bits (before the umask) if it is missing.
    Create {
        /// Unix permission bits, as in `0o600`.
        mode: u32,
    },
    /// Created; any earlier content is dropped.
    Truncate {
        /// Unix permission bits, as in `0o600`.
        mode: u32,
    },
}

/// The two locks of a data directory, which exclude Go's programs and ours from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// An exclusive open-file-description record lock over the whole file: log segments.
    OpenFileDescription,
    /// `flock`, exclusive: the backend file.
    FlockExclusive,
    /// `flock`, shared: the backend file when only read.
    FlockShared,
}

#[allow(clippy::len_without_is_empty, reason = "a file is not a collection")]
/// An open file. Dropping the last handle closes it and releases its locks.
pub trait File: Send + Sync {
    /// The path it was opened by, for messages.
    fn path(&self) -> &Path;
    /// Reads at `offset` until `buf` is full or the file ends; returns the bytes read.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize>;
    /// Writes all of `data` at `offset`, extending the file if needed. Durable only after a sync.
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()>;
    /// Length in bytes.
    fn len(&self) -> Result<u64>;
    /// Cuts or extends (with zeros, sparse) to `len` bytes.
    fn set_len(&self, len: u64) -> Result<()>;
    /// Extends to `len` bytes with space reserved on the disk; falls back to [`File::set_len`] where the file system
    /// cannot reserve. The new bytes read as zero.
    fn allocate(&self, len: u64) -> Result<()>;
    /// Takes a lock without waiting; [`crate::ErrorKind::Locked`] if another process has it. **For drivers, and tools
    /// that only read** (contract C1): jobs ask through [`crate::Cx`].
    fn try_lock(&self, kind: LockKind) -> Result<()>;
    /// A view of the pages that stays valid while the file grows.
    fn view(&self) -> Result<Arc<dyn View>>;
    /// Makes content and length durable. **For drivers only** (contract C1): core asks through [`crate::Cx`].
    fn sync_data(&self) -> Result<()>;
}

/// Reads of a file's pages without a system call each: mapped in production, shared buffers in memory.
pub trait View: Send + Sync {
    /// The `len` bytes at `offset`, or `None` if they reach beyond the end of the file.
    ///
    /// The bytes must not be overwritten while the page is held: bolt writes only pages that no reader can reach,
    /// and copies its meta pages.
    fn page(&self, offset: u64, len: usize) -> Option<Page<'_>>;
}

/// Bytes of a [`View`].
pub enum Page<'a> {
    /// Part of a mapping.
    Mapped(&'a [u8]),
    /// A copy.
    Copied(Vec<u8>),
}

impl Deref for Page<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Page::Mapped(bytes) => bytes,
            Page::Copied(bytes) => bytes,
        }
    }
}

/// A name space of files. Paths are as the operator gave them.
///
/// Creating, renaming and removing take effect at once and are durable after [`crate::Cx::sync_dir`] of the parent.
pub trait Disk: Send + Sync {
    /// Opens or creates a file.
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>>;
    /// The names in a directory, sorted bytewise.
    fn list(&self, dir: &Path) -> Result<Vec<String>>;
    /// Whether a file or directory of that name exists.
    fn exists(&self, path: &Path) -> Result<bool>;
    /// Creates a directory and its missing parents, with the permission bits `mode`; fine if it exists.
    fn create_dir_all(&self, path: &Path, mode: u32) -> Result<()>;
    /// Renames a file or directory, replacing a file of the new name. **For drivers only** (contract C1).
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> Result<()>;
    /// Removes a directory with everything in it.
    fn remove_dir_all(&self, path: &Path) -> Result<()>;
    /// Makes the names in `dir` durable. **For drivers only** (contract C1): core asks through [`crate::Cx`].
    fn sync_dir(&self, dir: &Path) -> Result<()>;
}
