//! The key index: which revisions each key has, in memory.
//!
//! One writer (apply), many readers. A reader names the main revision it reads at and ignores what is newer, so nothing
//! here needs to be copied for it. Compaction is the exception: it drops what is older, and its caller sees to it that
//! nobody reads there any more (contract C4).
//!
//! All work over many keys is done in steps of a bounded number of keys ([`Scan`], [`Compaction`], [`HashKeep`]), and
//! the lock is held during one step only. Steps may interleave with writes above the revision that they are about:
//! those change no result.
//!
//! The tree is a plain one behind a lock; the interface allows for a packed tree that readers enter without one.
//! Source: `docs/formats/backend.md 3`.

mod compaction;
mod history;
mod key_range;
#[cfg(test)]
mod model_test;
mod restore;
mod scan;

pub use compaction::{Compaction, HashKeep, KeepSet};
pub use history::{Found, NotFound};
pub use key_range::KeyRange;
pub use restore::{OutOfOrder, Record, Restorer};
pub use scan::Scan;

use bytes::Bytes;
use history::History;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use types::Revision;

/// Keys looked at under one lock by the calls that do all their steps at once.
const STEP_KEYS: usize = 1024;

type Tree = BTreeMap<Box<[u8]>, History>;

/// The index of all keys; see the module.
#[derive(Debug, Default)]
pub struct Index {
    tree: RwLock<Tree>,
}

impl Index {
    /// An index without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of keys, including deleted ones that compaction has not dropped yet.
    pub fn len(&self) -> usize {
        self.tree.read().len()
    }

    /// Tells whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a put of `key` at `revision` and returns the key's state after it: what its record has to say.
    ///
    /// # Panics
    /// If `revision` is not above every earlier one of the key: apply is the only writer and only counts up.
    pub fn put(&self, key: &[u8], revision: Revision) -> Found {
        let mut tree = self.tree.write();
        if let Some(history) = tree.get_mut(key) {
            return history.put(revision);
        }
        tree.insert(key.into(), History::new(revision));
        Found { modified: revision, created: revision, version: 1 }
    }

    /// Adds a deletion of `key` at `revision`.
    ///
    /// # Errors
    /// [`NotFound`] if the key is not alive; nothing changes then.
    ///
    /// # Panics
    /// As [`Index::put`].
    pub fn tombstone(&self, key: &[u8], revision: Revision) -> Result<(), NotFound> {
        self.tree.write().get_mut(key).ok_or(NotFound)?.tombstone(revision)
    }

    /// The state of `key` at main revision `at`; `None` if it was not alive then.
    pub fn get(&self, key: &[u8], at: i64) -> Option<Found> {
        self.tree.read().get(key)?.get(at)
    }

    /// Appends to `out` the keys of `range` that were alive at main revision `at`, in order, at most `limit` of them
    /// (0: all).
    pub fn range(&self, range: &KeyRange, at: i64, limit: usize, out: &mut Vec<(Bytes, Found)>) {
        let end = if limit == 0 { usize::MAX } else { out.len().saturating_add(limit) };
        let mut scan = Scan::new(range.clone(), at);
        while !scan.is_done() && out.len() < end {
            scan.step(self, STEP_KEYS, |key, found| {
                out.push((Bytes::copy_from_slice(key), found));
                if out.len() < end { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
        }
    }

    /// Number of keys of `range` that were alive at main revision `at`.
    pub fn count(&self, range: &KeyRange, at: i64) -> usize {
        let mut count = 0;
        let mut scan = Scan::new(range.clone(), at);
        while !scan.is_done() {
            scan.step(self, STEP_KEYS, |_, _| {
                count += 1;
                ControlFlow::Continue(())
            });
        }
        count
    }

    /// Compacts at main revision `at` in one go; [`Compaction`] does it in steps.
    pub fn compact(&self, at: i64) -> KeepSet {
        let mut compaction = Compaction::new(at);
        loop {
            if let Some(keep) = compaction.step(self, STEP_KEYS) {
                return keep;
            }
        }
    }

    /// What a hash at `revision` is fed of the compacted part, in one go; [`HashKeep`] does it in steps.
    pub fn hash_keep(&self, revision: i64, compact_revision: i64) -> KeepSet {
        let mut keep = HashKeep::new(revision, compact_revision);
        loop {
            if let Some(keep) = keep.step(self, STEP_KEYS) {
                return keep;
            }
        }
    }
}

/// The first key behind `last`, or the first key of all.
fn lower_bound(last: Option<&[u8]>) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (last.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rev(main: i64, sub: i64) -> Revision {
        Revision::new(main, sub)
    }

    fn found(modified: Revision, created: Revision, version: i64) -> Option<Found> {
        Some(Found { modified, created, version })
    }

    #[test]
    fn a_key_lives_from_put_to_tombstone() {
        let index = Index::new();
        assert_eq!(index.tombstone(b"k", rev(2, 0)), Err(NotFound));
        assert_eq!(index.put(b"k", rev(2, 0)).version, 1);
        assert_eq!(index.put(b"k", rev(4, 1)).version, 2);
        assert_eq!(index.tombstone(b"k", rev(5, 0)), Ok(()));
        assert_eq!(index.tombstone(b"k", rev(6, 0)), Err(NotFound));
        assert_eq!(index.put(b"k", rev(7, 0)), Found { modified: rev(7, 0), created: rev(7, 0), version: 1 });
        assert_eq!(index.get(b"k", 1), None);
        assert_eq!(index.get(b"k", 3), found(rev(2, 0), rev(2, 0), 1));
        assert_eq!(index.get(b"k", 4), found(rev(4, 1), rev(2, 0), 2));
        assert_eq!(index.get(b"k", 6), None);
        assert_eq!(index.get(b"k", 7), found(rev(7, 0), rev(7, 0), 1));
    }

    #[test]
    fn a_tombstone_at_the_compacted_revision_is_kept_until_the_next_compaction() {
        let index = Index::new();
        index.put(b"k", rev(2, 0));
        index.tombstone(b"k", rev(3, 0)).unwrap();
        assert_eq!(index.compact(3).as_slice(), [rev(3, 0)]);
        assert_eq!((index.get(b"k", 3), index.len()), (None, 1));
        assert!(index.compact(4).is_empty());
        assert!(index.is_empty());
    }

    #[test]
    fn compaction_keeps_the_live_record_of_a_delete_and_put_in_one_transaction() {
        let index = Index::new();
        index.put(b"k", rev(2, 0));
        index.tombstone(b"k", rev(5, 0)).unwrap();
        index.put(b"k", rev(5, 1));
        assert_eq!(index.get(b"k", 4), found(rev(2, 0), rev(2, 0), 1));
        assert_eq!(index.get(b"k", 5), found(rev(5, 1), rev(5, 1), 1));
        assert_eq!(index.hash_keep(5, 5).as_slice(), [rev(5, 1)]);
        assert_eq!(index.compact(5).as_slice(), [rev(5, 0), rev(5, 1)]);
        assert_eq!(index.get(b"k", 5), found(rev(5, 1), rev(5, 1), 1));
        assert_eq!(index.compact(6).as_slice(), [rev(5, 1)]);
    }

    #[test]
    fn a_limit_counts_what_is_appended() {
        let index = Index::new();
        for key in [b"a", b"b", b"c"] {
            index.put(key, rev(2, 0));
        }
        let mut out = Vec::new();
        for expected in [2, 4] {
            index.range(&KeyRange::all(), 2, 2, &mut out);
            assert_eq!(out.len(), expected);
        }
        assert_eq!(index.count(&KeyRange::all(), 2), 3);
        assert_eq!(index.count(&KeyRange::all(), 1), 0);
    }
}
