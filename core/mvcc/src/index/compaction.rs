//! Compaction of the index, and the sets of revisions that compaction and hashing keep.

use super::{Index, lower_bound};
use std::sync::Arc;
use types::Revision;

/// Revisions whose records stay. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeepSet {
    /// Ascending, without duplicates.
    revisions: Arc<[Revision]>,
}

impl KeepSet {
    pub(super) fn new(mut revisions: Vec<Revision>) -> Self {
        revisions.sort_unstable();
        revisions.dedup();
        Self { revisions: revisions.into() }
    }

    /// Tells whether `revision` is in the set.
    pub fn contains(&self, revision: Revision) -> bool {
        self.revisions.binary_search(&revision).is_ok()
    }

    /// Number of revisions.
    pub fn len(&self) -> usize {
        self.revisions.len()
    }

    /// Tells whether the set has no revision.
    pub fn is_empty(&self) -> bool {
        self.revisions.is_empty()
    }

    /// The revisions, ascending.
    pub fn as_slice(&self) -> &[Revision] {
        &self.revisions
    }
}

impl FromIterator<Revision> for KeepSet {
    fn from_iter<I: IntoIterator<Item = Revision>>(revisions: I) -> Self {
        Self::new(revisions.into_iter().collect())
    }
}

/// A compaction of the index under way.
#[derive(Debug)]
pub struct Compaction {
    at: i64,
    keep: Vec<Revision>,
    /// The last key looked at.
    last: Option<Box<[u8]>>,
}

impl Compaction {
    /// A compaction at main revision `at`: every key keeps the newest revision at or below `at`, unless it is a tombstone
    /// below `at`, and everything above.
    pub fn new(at: i64) -> Self {
        Self { at, keep: Vec::new(), last: None }
    }

    /// The main revision of the compaction.
    pub fn revision(&self) -> i64 {
        self.at
    }

    /// Compacts the next `keys_max` keys (at least one) and returns, after the last one, the revisions at or below the
    /// compaction's whose records stay on disk.
    pub fn step(&mut self, index: &Index, keys_max: usize) -> Option<KeepSet> {
        let mut tree = index.tree.write();
        let mut dropped = Vec::new();
        let mut keys = tree.range_mut::<[u8], _>(lower_bound(self.last.as_deref()));
        let mut last = None;
        for (key, history) in keys.by_ref().take(keys_max.max(1)) {
            last = Some(key);
            history.kept_by_compaction(self.at, |revision| self.keep.push(revision));
            if !history.compact(self.at) {
                dropped.push(key.clone());
            }
        }
        let is_done = keys.next().is_none();
        let last = last.cloned();
        for key in dropped {
            tree.remove(&key);
        }
        drop(tree);
        if is_done {
            return Some(KeepSet::new(std::mem::take(&mut self.keep)));
        }
        self.last = last;
        None
    }
}

/// The search for what a hash at one revision is fed of the compacted part of the history.
///
/// etcd feeds, of the records at or below the compacted revision, those of keys that are still alive at the hashed
/// revision; if no key is alive there, everything that the compaction has not deleted yet. The second case would depend
/// on how far the deletion has come, so here it is settled: what a finished compaction leaves.
/// Source: `docs/formats/backend.md 3.2`, `3.3` and `6.1`; `docs/compat.md`, HashKV.
#[derive(Debug)]
pub struct HashKeep {
    revision: i64,
    compact_revision: i64,
    /// Revisions at or below `compact_revision` of keys that live at `revision`.
    alive: Vec<Revision>,
    /// What a compaction at `compact_revision` keeps; gathered until a live key is found.
    settled: Option<Vec<Revision>>,
    /// The last key looked at.
    last: Option<Box<[u8]>>,
}

impl HashKeep {
    /// The search for the hash at main revision `revision` of a store compacted at `compact_revision` (-1: never).
    pub fn new(revision: i64, compact_revision: i64) -> Self {
        Self { revision, compact_revision, alive: Vec::new(), settled: Some(Vec::new()), last: None }
    }

    /// Looks at the next `keys_max` keys (at least one) and returns, after the last one, the revisions at or below the
    /// compacted one that are fed.
    pub fn step(&mut self, index: &Index, keys_max: usize) -> Option<KeepSet> {
        let tree = index.tree.read();
        let mut keys = tree.range::<[u8], _>(lower_bound(self.last.as_deref()));
        let mut last = None;
        for (key, history) in keys.by_ref().take(keys_max.max(1)) {
            last = Some(key);
            if let Some(found) = history.get(self.revision) {
                self.settled = None;
                if found.modified.main <= self.compact_revision {
                    self.alive.push(found.modified);
                }
            }
            if let Some(settled) = &mut self.settled {
                history.kept_by_compaction(self.compact_revision, |revision| settled.push(revision));
            }
        }
        if keys.next().is_none() {
            let alive = std::mem::take(&mut self.alive);
            return Some(KeepSet::new(self.settled.take().unwrap_or(alive)));
        }
        self.last = last.cloned();
        None
    }
}
