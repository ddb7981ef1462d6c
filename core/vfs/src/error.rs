//! What a disk operation can fail with.

use std::fmt;
use std::path::{Path, PathBuf};

/// `Result` of a disk operation.
pub type Result<T> = std::result::Result<T, Error>;

/// What the caller can tell apart and act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// No such file or directory.
    NotFound,
    /// It exists already.
    AlreadyExists,
    /// Another process holds the lock.
    Locked,
    /// The disk or the quota is full.
    NoSpace,
    /// Not allowed.
    PermissionDenied,
    /// Anything else the device or the system reports.
    Other,
}

/// A failed disk operation: what was tried on which file, and what the system said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The operation, a verb: `open`, `write`, `sync`.
    pub operation: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// For decisions.
    pub kind: ErrorKind,
    /// For people: the words of the system.
    pub detail: String,
}

impl Error {
    /// An error of `kind` with the words `detail`.
    pub fn new(operation: &'static str, path: &Path, kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self { operation, path: path.to_owned(), kind, detail: detail.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.operation, self.path.display(), self.detail)
    }
}

impl std::error::Error for Error {}
