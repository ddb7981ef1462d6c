//! What the index knows about one key.

use types::Revision;

/// The state of one key at some revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The newest change of the key at or below that revision: where its record is.
    pub modified: Revision,
    /// The change that created the key (`create_revision` is its main number).
    pub created: Revision,
    /// Number of changes since then, this one included.
    pub version: i64,
}

/// The key is not alive, so there is nothing to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key not found")]
pub struct NotFound;

/// The revisions of one key, oldest first, in generations: a generation begins with the creation of the key and, unless
/// it is the last one, ends with a tombstone.
///
/// # Invariants
/// * Revisions grow strictly, within a generation and from one to the next.
/// * There is at least one generation, none is empty, and all but the last are ended.
///
/// Source: `docs/formats/backend.md 3.1` and `3.2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum History {
    /// One generation, alive, of which only the newest revision is kept: most keys, and no allocation.
    Single(Found),
    /// Everything else.
    Many(Vec<Generation>),
}

/// One life of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Generation {
    created: Revision,
    /// Version at the newest revision; a tombstone counts.
    version: i64,
    /// The kept revisions. Compaction drops the oldest, so the first one need not be `created`.
    revisions: Vec<Revision>,
    /// The newest revision is a tombstone.
    is_ended: bool,
}

impl History {
    /// A key created at `revision`.
    pub(super) fn new(revision: Revision) -> Self {
        Self::Single(Found { modified: revision, created: revision, version: 1 })
    }

    /// A key whose oldest record on disk is `found.modified`; its earlier ones were compacted.
    pub(super) fn restored(found: Found) -> Self {
        Self::Single(found)
    }

    /// A key whose oldest record on disk is a tombstone.
    pub(super) fn restored_tombstone(revision: Revision) -> Self {
        let created = Revision::default();
        Self::Many(vec![Generation { created, version: 1, revisions: vec![revision], is_ended: true }])
    }

    /// Adds a put that a record on disk tells of; `restored` is what the record says.
    ///
    /// # Panics
    /// If its revision is not above all earlier ones.
    pub(super) fn restore_put(&mut self, restored: Found) {
        if self.is_alive() {
            self.put(restored.modified);
            return;
        }
        // A new life. Its first records are compacted if the tombstone before it has the compacted revision as well.
        self.assert_newer(restored.modified);
        let Found { modified, created, version } = restored;
        let revisions = vec![modified];
        self.generations().push(Generation { created, version, revisions, is_ended: false });
    }

    /// The newest change of the key, tombstones included.
    pub(super) fn newest(&self) -> Revision {
        match self {
            Self::Single(found) => found.modified,
            Self::Many(generations) => last(generations).newest(),
        }
    }

    /// Adds a put at `revision` and returns the key's state after it.
    ///
    /// # Panics
    /// If `revision` is not above all earlier ones.
    pub(super) fn put(&mut self, revision: Revision) -> Found {
        self.assert_newer(revision);
        let generations = self.generations();
        match generations.last_mut() {
            Some(generation) if !generation.is_ended => generation.push(revision),
            _ => generations.push(Generation::new(revision)),
        }
        let generation = last(generations);
        Found { modified: revision, created: generation.created, version: generation.version }
    }

    /// Adds a deletion at `revision`.
    ///
    /// # Errors
    /// [`NotFound`] if the key is not alive; nothing changes then.
    ///
    /// # Panics
    /// If `revision` is not above all earlier ones.
    pub(super) fn tombstone(&mut self, revision: Revision) -> Result<(), NotFound> {
        self.assert_newer(revision);
        if !self.is_alive() {
            return Err(NotFound);
        }
        if let Some(generation) = self.generations().last_mut() {
            generation.push(revision);
            generation.is_ended = true;
        }
        Ok(())
    }

    /// The key's state at main revision `at`; `None` if it was not alive then.
    pub(super) fn get(&self, at: i64) -> Option<Found> {
        match self {
            Self::Single(found) => (found.modified.main <= at).then_some(*found),
            // A generation whose oldest revision is above `at` is a later life; the one before it decides.
            Self::Many(generations) => {
                generations.iter().rev().find(|life| life.oldest().main <= at)?.get(at)
            }
        }
    }

    /// Calls `keep` with each revision that a compaction at `at` keeps although it is not above `at`: that of the state
    /// at `at`, and a tombstone at exactly `at`.
    ///
    /// A transaction that deletes and puts one key leaves a tombstone and a live record with one main revision. etcd
    /// 3.7.1 keeps only the tombstone of the two; here the live record is kept as well (`docs/compat.md`).
    pub(super) fn kept_by_compaction(&self, at: i64, mut keep: impl FnMut(Revision)) {
        match self {
            Self::Single(found) if found.modified.main <= at => keep(found.modified),
            Self::Single(_) => {}
            Self::Many(generations) => generations.iter().filter_map(|life| life.kept(at)).for_each(keep),
        }
    }

    /// Forgets what a compaction at `at` drops. Returns false if that is everything.
    pub(super) fn compact(&mut self, at: i64) -> bool {
        let Self::Many(generations) = self else { return true };
        generations.retain_mut(|life| life.compact(at));
        match generations.as_mut_slice() {
            [] => return false,
            [life] if !life.is_ended && life.revisions.len() == 1 => {
                *self = Self::Single(life.newest_state());
            }
            _ => generations.shrink_to_fit(),
        }
        true
    }

    fn is_alive(&self) -> bool {
        match self {
            Self::Single(_) => true,
            Self::Many(generations) => !last(generations).is_ended,
        }
    }

    fn assert_newer(&self, revision: Revision) {
        let newest = self.newest();
        assert!(revision > newest, "revision {revision} of a key is not above its newest one {newest}");
    }

    /// The long form of this history, which it takes on.
    fn generations(&mut self) -> &mut Vec<Generation> {
        if let Self::Single(Found { modified, created, version }) = *self {
            let revisions = vec![modified];
            *self = Self::Many(vec![Generation { created, version, revisions, is_ended: false }]);
        }
        match self {
            Self::Many(generations) => generations,
            Self::Single(_) => unreachable!("replaced above"),
        }
    }
}

impl Generation {
    fn new(revision: Revision) -> Self {
        Self { created: revision, version: 1, revisions: vec![revision], is_ended: false }
    }

    fn oldest(&self) -> Revision {
        self.revisions[0]
    }

    fn newest(&self) -> Revision {
        self.revisions[self.revisions.len() - 1]
    }

    fn newest_state(&self) -> Found {
        Found { modified: self.newest(), created: self.created, version: self.version }
    }

    fn push(&mut self, revision: Revision) {
        self.revisions.push(revision);
        self.version = self.version.saturating_add(1);
    }

    /// Number of revisions with a main number at or below `at`.
    fn count_until(&self, at: i64) -> usize {
        // Reads are nearly always of the newest state.
        if self.newest().main <= at {
            self.revisions.len()
        } else {
            self.revisions.partition_point(|revision| revision.main <= at)
        }
    }

    fn get(&self, at: i64) -> Option<Found> {
        let count = self.count_until(at);
        let later = self.revisions.len() - count;
        if count == 0 || (self.is_ended && later == 0) {
            return None;
        }
        // `later` fits: a vector has at most isize::MAX items.
        let version = self.version - later as i64;
        Some(Found { modified: self.revisions[count - 1], created: self.created, version })
    }

    /// The newest revision at or below `at`, unless it is a tombstone below `at`.
    fn kept(&self, at: i64) -> Option<Revision> {
        let count = self.count_until(at);
        let is_tombstone = self.is_ended && count == self.revisions.len();
        let newest = *self.revisions[..count].last()?;
        (!is_tombstone || newest.main == at).then_some(newest)
    }

    /// Drops all revisions at or below `at` but the kept one. Returns false if no revision is left.
    fn compact(&mut self, at: i64) -> bool {
        let count = self.count_until(at);
        let is_kept = self.kept(at).is_some();
        if count == self.revisions.len() && !is_kept {
            return false;
        }
        let dropped = count.saturating_sub(usize::from(is_kept));
        if dropped > 0 {
            self.revisions.drain(..dropped);
            self.revisions.shrink_to_fit();
        }
        true
    }
}

/// The newest generation.
fn last(generations: &[Generation]) -> &Generation {
    &generations[generations.len() - 1]
}
