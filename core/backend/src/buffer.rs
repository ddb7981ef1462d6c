//! What apply has written and the file does not have yet.

use crate::schema::{Bucket, META_CONF_STATE, META_CONSISTENT_INDEX, META_TERM};
use crate::segment::{Record, Segment};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use types::{LogIndex, Revision, Term};

/// When to cut the buffer. Defaults are etcd's.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest time that a change stays in the buffer, in nanoseconds (`--backend-batch-interval`).
    pub interval_ns: u64,
    /// Changes at which the buffer is cut early (`--backend-batch-limit`).
    pub operations: usize,
    /// Bytes at which it is cut early.
    pub bytes_soft: usize,
    /// Bytes, frozen ones included, at which apply takes no further entries until a commit is done (contract C7).
    pub bytes_hard: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { interval_ns: 100_000_000, operations: 10_000, bytes_soft: 16 << 20, bytes_hard: 256 << 20 }
    }
}

/// The last entry whose effects a frozen buffer holds; written with them in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consistent {
    /// Its index.
    pub index: LogIndex,
    /// Its term; `None` where the cluster's level has no such key (up to 3.4).
    pub term: Option<Term>,
    /// The configuration as JSON, if it changed.
    pub conf_state: Option<Bytes>,
}

/// Changes of one bucket; `None` is a deletion.
pub(crate) type Changes = BTreeMap<Bucket, BTreeMap<Bytes, Option<Bytes>>>;

/// The write buffer of apply.
#[derive(Debug, Default)]
pub struct Buffer {
    segment: Arc<Segment>,
    changes: Changes,
    operations: usize,
    bytes: usize,
}

impl Buffer {
    /// Appends a record to the `key` bucket.
    pub fn push_record(&mut self, revision: Revision, is_tombstone: bool, value: Bytes) {
        self.operations += 1;
        self.bytes += RECORD_OVERHEAD + value.len();
        self.segment.push(Record { revision, is_tombstone, value });
    }

    /// Sets a key of a bucket other than `key`.
    pub fn put(&mut self, bucket: Bucket, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.change(bucket, key.into(), Some(value.into()));
    }

    /// Deletes a key of a bucket other than `key`.
    pub fn delete(&mut self, bucket: Bucket, key: impl Into<Bytes>) {
        self.change(bucket, key.into(), None);
    }

    fn change(&mut self, bucket: Bucket, key: Bytes, value: Option<Bytes>) {
        assert!(bucket != Bucket::Key, "records of bucket key go through push_record");
        self.operations += 1;
        self.bytes += RECORD_OVERHEAD + key.len() + value.as_ref().map_or(0, Bytes::len);
        self.changes.entry(bucket).or_default().insert(key, value);
    }

    /// The shared part.
    pub fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// Changes since the last freeze.
    pub fn operations(&self) -> usize {
        self.operations
    }

    /// Estimate of the bytes that the changes will take in the file.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Cuts the buffer: returns what it held, ready to commit, and is empty again. Only between entries (contract C5).
    pub fn freeze(&mut self, consistent: Consistent) -> Arc<Frozen> {
        let mut taken = std::mem::take(self);
        let meta = taken.changes.entry(Bucket::Meta).or_default();
        if consistent.index > LogIndex(0) {
            meta.insert(META_CONSISTENT_INDEX.into(), Some(be64(consistent.index.0)));
            if let Some(term) = consistent.term.filter(|term| *term > Term(0)) {
                meta.insert(META_TERM.into(), Some(be64(term.0)));
            }
        }
        if let Some(json) = &consistent.conf_state {
            meta.insert(META_CONF_STATE.into(), Some(json.clone()));
        }
        Arc::new(Frozen { segment: taken.segment, changes: taken.changes, bytes: taken.bytes, consistent })
    }
}

fn be64(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

/// A buffer that no longer changes: the content of one bolt transaction.
#[derive(Debug)]
pub struct Frozen {
    segment: Arc<Segment>,
    changes: Changes,
    bytes: usize,
    /// The last entry in it.
    pub consistent: Consistent,
}

impl Frozen {
    /// Estimate of its bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Its part of the `key` bucket.
    pub fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// The changes of the small buckets, the consistent index among them, and the records of the keys, as two buffers.
    /// Committing them one by one is the bug that contract C5 is about: the simulator plants it, to show that it would
    /// be found.
    #[doc(hidden)]
    pub fn apart(&self) -> [Arc<Self>; 2] {
        let part = |segment: Arc<Segment>, changes: Changes| {
            Arc::new(Self { segment, changes, bytes: self.bytes, consistent: self.consistent.clone() })
        };
        [part(Arc::default(), self.changes.clone()), part(self.segment.clone(), Changes::new())]
    }

    /// The same as a batch of bolt.
    pub(crate) fn to_batch(&self) -> bolt::Batch {
        let mut batch = bolt::Batch::default();
        for (bucket, changes) in &self.changes {
            let name = bucket.name().as_bytes();
            for (key, value) in changes {
                match value {
                    Some(value) => batch.put(name, key.clone(), value.clone()),
                    None => batch.delete(name, key.clone()),
                }
            }
        }
        let name = Bucket::Key.name().as_bytes();
        self.segment.for_each(|record| {
            let key = record.with_key(Bytes::copy_from_slice);
            batch.put(name, key, record.value.clone());
            ControlFlow::Continue(())
        });
        // Revisions only ascend, so pages of this bucket are filled, as etcd does.
        batch.set_fill_percent(name, KEY_FILL_PERCENT);
        batch
    }
}

/// Bytes of a leaf element and a revision key.
const RECORD_OVERHEAD: usize = 33;
const KEY_FILL_PERCENT: u32 = 90;
