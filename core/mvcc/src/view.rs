//! What a reader sees: one revision, and everything needed to read at it (contract C5).

use crate::index::{Found, Index};
use crate::range::decode;
use crate::{Error, Result};
use backend::Data;
use proto::mvccpb::KeyValue;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The revision compacted at, -1 before the first compaction. Raised by apply, read by everyone (contract C4).
#[derive(Debug)]
pub struct CompactRevision(AtomicI64);

impl CompactRevision {
    /// A store compacted at `revision`, -1 if never.
    pub fn new(revision: i64) -> Self {
        Self(AtomicI64::new(revision))
    }

    /// The current one.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Acquire)
    }

    /// Raises it; the index may drop what is below only afterwards.
    pub(crate) fn raise(&self, revision: i64) {
        assert!(revision > self.get(), "a compaction only goes forward");
        self.0.store(revision, Ordering::Release);
    }
}

/// An immutable state of the store. Cheap to clone; old bolt pages stay as long as a clone lives.
#[derive(Clone)]
pub struct View {
    pub(crate) revision: i64,
    pub(crate) index: Arc<Index>,
    pub(crate) compacted: Arc<CompactRevision>,
    pub(crate) data: Arc<Data>,
}

/// How long a view may be read: as long as it lives, pages that it reaches are not used again (contract C4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewBudget {
    /// Nanoseconds.
    pub age_ns: u64,
    /// Bytes that the file may grow by meanwhile.
    pub growth_bytes: u64,
}

impl Default for ViewBudget {
    /// Longer than any request waits, and a fifth of a good disk's space for a large store.
    fn default() -> Self {
        Self { age_ns: 30_000_000_000, growth_bytes: 256 << 20 }
    }
}

impl ViewBudget {
    /// Checks a view that has been read for `age_ns`; `newest` is the newest one.
    ///
    /// # Errors
    /// [`Error::Outlived`] if it is to be given up.
    pub fn check(&self, age_ns: u64, view: &View, newest: &View) -> Result<()> {
        let size = |view: &View| view.data.file().size_bytes();
        let growth = size(newest).saturating_sub(size(view));
        let is_within = age_ns <= self.age_ns && growth <= self.growth_bytes;
        if is_within { Ok(()) } else { Err(Error::Outlived) }
    }
}

impl View {
    /// The store's revision when the view was made; 1 for an empty store.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The revision compacted at *now*, -1 before the first compaction.
    pub fn compact_revision(&self) -> i64 {
        self.compacted.get()
    }

    /// The records.
    pub fn data(&self) -> &Arc<Data> {
        &self.data
    }

    /// The index, for the hash.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The revision to read at for a request that names `requested` (at most 0: the newest).
    ///
    /// # Errors
    /// [`Error::FutureRevision`] above the view's; [`Error::Compacted`] below the compacted one.
    pub fn read_revision(&self, requested: i64) -> Result<i64> {
        if requested > self.revision {
            return Err(Error::FutureRevision);
        }
        if requested <= 0 {
            return Ok(self.revision);
        }
        if requested < self.compact_revision() { Err(Error::Compacted) } else { Ok(requested) }
    }

    /// To be called after reading the index at `revision`: whether what was read can be trusted (contract C4).
    ///
    /// # Errors
    /// [`Error::Compacted`] if a compaction has overtaken a read that named its revision, [`Error::Overtaken`] if it
    /// has overtaken one that did not: that one starts again on a fresh view.
    pub fn check_not_compacted(&self, revision: i64, is_explicit: bool) -> Result<()> {
        if self.compact_revision() <= revision {
            Ok(())
        } else if is_explicit {
            Err(Error::Compacted)
        } else {
            Err(Error::Overtaken)
        }
    }

    /// Finds a key at the view's revision. Check with [`View::check_not_compacted`] afterwards.
    pub fn find(&self, key: &[u8]) -> Option<Found> {
        self.index.get(key, self.revision)
    }

    /// The pair of a found key, decoded.
    ///
    /// # Errors
    /// [`Error::Backend`] if it cannot be read, [`Error::BadRecord`] if it does not decode.
    pub fn pair(&self, found: &Found) -> Result<KeyValue> {
        decode(self.data.value(found.modified)?)
    }
}
