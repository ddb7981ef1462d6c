//! The hash of the key space at a revision, read in bounded steps from a view.

use crate::hash::HashKv;
use crate::index::HashKeep;
use crate::range::STEP_BYTES_MAX;
use crate::view::View;
use crate::{Error, Result};
use types::Revision;

/// The answer of HashKV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashAnswer {
    /// CRC-32C of the history; see [`HashKv`].
    pub hash: u32,
    /// The revision compacted at when the read began, -1 if never.
    pub compact_revision: i64,
    /// The revision hashed.
    pub hash_revision: i64,
}

/// A hash under way. It begins with one look at revision and compacted revision and is started again by its caller
/// when a compaction passes by ([`Error::Overtaken`]), so what it gives never depends on how far deletes have come
/// (contract C4).
pub struct HashRead {
    view: View,
    revision: i64,
    compact_revision: i64,
    phase: Phase,
}

enum Phase {
    Keep(HashKeep),
    Feed(HashKv, Revision),
}

impl HashRead {
    /// Starts the hash at `requested`; 0 is the newest revision.
    ///
    /// # Errors
    /// [`Error::FutureRevision`], [`Error::Compacted`] (for a positive revision). [`Error::Overtaken`] if a compaction
    /// above the view's revision was applied, which the next view will show: start again on that one.
    pub fn new(view: View, requested: i64) -> Result<Self> {
        let compact_revision = view.compact_revision();
        let revision = if requested == 0 { view.revision() } else { requested };
        if requested > 0 && requested < compact_revision {
            return Err(Error::Compacted);
        }
        if compact_revision > view.revision() {
            return Err(Error::Overtaken);
        }
        if revision > view.revision() {
            return Err(Error::FutureRevision);
        }
        let phase = Phase::Keep(HashKeep::new(revision, compact_revision));
        Ok(Self { view, revision, compact_revision, phase })
    }

    /// Does a bounded part of the work: about `records` records, and few more than [`STEP_BYTES_MAX`] bytes. Returns the
    /// hash at the end.
    ///
    /// # Errors
    /// [`Error::Overtaken`]: start again on a fresh view. [`Error::Backend`] for the file.
    pub fn step(&mut self, records: usize) -> Result<Option<HashAnswer>> {
        match &mut self.phase {
            Phase::Keep(keep) => {
                if let Some(keep) = keep.step(self.view.index(), records) {
                    let hash = HashKv::new(self.revision, self.compact_revision, keep);
                    self.phase = Phase::Feed(hash, Revision::default());
                }
                if self.view.compact_revision() != self.compact_revision {
                    return Err(Error::Overtaken);
                }
                Ok(None)
            }
            Phase::Feed(hash, next) => {
                let (mut seen, mut bytes, mut bad) = (0, 0, None);
                loop {
                    let batch = BATCH_RECORDS.min(records.max(1) - seen);
                    let rest = self.view.data().scan(*next, batch, &mut |key, value| {
                        bytes += key.len() + value.len();
                        if let Err(error) = hash.feed(key, value) {
                            bad.get_or_insert(error);
                        }
                    })?;
                    if let Some(error) = bad {
                        return Err(Error::BadRecord(error.to_string()));
                    }
                    let Some(rest) = rest.filter(|rest| rest.main <= self.revision) else { break };
                    *next = rest;
                    seen += batch;
                    if seen >= records || bytes >= STEP_BYTES_MAX {
                        return Ok(None);
                    }
                }
                Ok(Some(HashAnswer {
                    hash: hash.finish(),
                    compact_revision: self.compact_revision,
                    hash_revision: self.revision,
                }))
            }
        }
    }
}

/// Records read from the file at once; a step ends behind those that cross its bytes.
const BATCH_RECORDS: usize = 32;
