//! Writing: one transaction of apply, at one revision.

use crate::index::{Found, Index, KeyRange};
use crate::range::{RangeAnswer, RangeRead, decode};
use crate::view::{CompactRevision, View};
use crate::{Error, Result};
use backend::{Buffer, Data};
use bytes::Bytes;
use prost::Message;
use proto::etcdserverpb::RangeRequest;
use proto::mvccpb::KeyValue;
use std::sync::Arc;
use types::Revision;

/// The store as its one writer, apply, holds it.
pub struct Store {
    index: Arc<Index>,
    compacted: Arc<CompactRevision>,
    revision: i64,
}

/// A put.
#[derive(Clone, Debug)]
pub struct Put {
    /// The key, not empty.
    pub key: Bytes,
    /// The value; unused if `keeps_value`.
    pub value: Bytes,
    /// The lease, 0 for none; unused if `keeps_lease`.
    pub lease: i64,
    /// Keep the present value.
    pub keeps_value: bool,
    /// Keep the present lease.
    pub keeps_lease: bool,
    /// Return the pair that was there.
    pub wants_previous: bool,
}

/// What a put did.
#[derive(Clone, Debug, Default)]
pub struct PutDone {
    /// The lease that the key has now.
    pub lease: i64,
    /// The encoded pair that was there, if asked for.
    pub previous: Option<Bytes>,
}

impl Store {
    /// The store of `index` at `revision`, compacted at `compact_revision` (-1: never).
    pub fn new(index: Index, revision: i64, compact_revision: i64) -> Self {
        Self { index: Arc::new(index), compacted: Arc::new(CompactRevision::new(compact_revision)), revision }
    }

    /// Current revision.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The revision compacted at, -1 if never.
    pub fn compact_revision(&self) -> i64 {
        self.compacted.get()
    }

    /// The index, for compaction steps.
    pub fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// What readers may see now, over `data`.
    pub fn view(&self, data: Arc<Data>) -> View {
        View { revision: self.revision, index: self.index.clone(), compacted: self.compacted.clone(), data }
    }

    /// Starts a compaction at `revision`: from here on reads below it are refused. The index part follows in steps.
    ///
    /// # Errors
    /// [`Error::Compacted`] at or below the compacted revision, [`Error::FutureRevision`] above the current one.
    pub fn compact(&mut self, revision: i64) -> Result<()> {
        if revision <= self.compact_revision() {
            return Err(Error::Compacted);
        }
        if revision > self.revision {
            return Err(Error::FutureRevision);
        }
        self.compacted.raise(revision);
        Ok(())
    }

    /// Begins a transaction that writes into `buffer` and reads `data`, whose last segment is the buffer's.
    pub fn write<'a>(&'a mut self, buffer: &'a mut Buffer, data: &'a Arc<Data>) -> WriteTxn<'a> {
        WriteTxn { store: self, buffer, data, changes: 0 }
    }
}

/// A transaction of apply. All its changes have one main revision; it cannot fail half-way by a *result*, so validate
/// before the first change. What it wrote becomes visible to readers only when apply publishes the new revision.
pub struct WriteTxn<'a> {
    store: &'a mut Store,
    buffer: &'a mut Buffer,
    data: &'a Arc<Data>,
    changes: i64,
}

impl WriteTxn<'_> {
    /// The revision that reads inside the transaction see.
    pub fn revision(&self) -> i64 {
        self.store.revision + i64::from(self.changes > 0)
    }

    fn next_revision(&mut self) -> Revision {
        let revision = Revision::new(self.store.revision + 1, self.changes);
        self.changes += 1;
        revision
    }

    /// What the transaction sees, as a view: before its first change the state that it starts from.
    pub fn view(&self) -> View {
        View { revision: self.revision(), ..self.store.view(self.data.clone()) }
    }

    /// Finds a key as the transaction sees it.
    pub fn find(&self, key: &[u8]) -> Option<Found> {
        self.store.index.get(key, self.revision())
    }

    fn value(&self, found: &Found) -> Result<Bytes> {
        Ok(self.data.value(found.modified)?)
    }

    /// Writes a pair.
    ///
    /// # Errors
    /// [`Error::KeyNotFound`] before anything is changed if value or lease are to be kept and there is no key;
    /// [`Error::Backend`] if the present pair cannot be read.
    pub fn put(&mut self, put: Put) -> Result<PutDone> {
        let found = self.find(&put.key);
        let keeps = put.keeps_value || put.keeps_lease;
        let previous = match &found {
            Some(found) if keeps || put.wants_previous => Some(self.value(found)?),
            None if keeps => return Err(Error::KeyNotFound),
            _ => None,
        };
        let (mut value, mut lease) = (put.value, put.lease);
        if let Some(previous) = previous.as_ref().filter(|_| keeps) {
            let present = decode(previous.clone())?;
            if put.keeps_value {
                value = present.value;
            }
            if put.keeps_lease {
                lease = present.lease;
            }
        }
        let revision = self.next_revision();
        let pair = KeyValue {
            create_revision: found.map_or(revision.main, |found| found.created.main),
            mod_revision: revision.main,
            version: found.map_or(1, |found| found.version + 1),
            key: put.key,
            value,
            lease,
        };
        self.buffer.push_record(revision, false, pair.encode_to_vec().into());
        self.store.index.put(&pair.key, revision);
        Ok(PutDone { lease, previous: previous.filter(|_| put.wants_previous) })
    }

    /// Deletes the live keys of `range` and returns them in order, with their encoded pairs if `wants_previous`.
    ///
    /// # Errors
    /// [`Error::Backend`] before anything is changed if a pair cannot be read.
    pub fn delete_range(
        &mut self,
        range: &KeyRange,
        wants_previous: bool,
    ) -> Result<Vec<(Bytes, Option<Bytes>)>> {
        let mut found = Vec::new();
        self.store.index.range(range, self.revision(), 0, &mut found);
        let mut deleted = Vec::with_capacity(found.len());
        for (key, found) in found {
            let previous = if wants_previous { Some(self.value(&found)?) } else { None };
            deleted.push((key, previous));
        }
        for (key, _) in &deleted {
            let revision = self.next_revision();
            let value = KeyValue { key: key.clone(), ..KeyValue::default() }.encode_to_vec();
            self.buffer.push_record(revision, true, value.into());
            let known = self.store.index.tombstone(key, revision);
            assert!(known.is_ok(), "a key that was found can be deleted");
        }
        Ok(deleted)
    }

    /// Reads a range as the transaction sees it; a revision of 0 sees its own writes.
    ///
    /// # Errors
    /// As a read; the caller has checked the revision before the first change.
    pub fn range(&self, request: &RangeRequest) -> Result<RangeAnswer> {
        RangeRead::new(self.view(), request.clone())?.run()
    }

    /// Ends the transaction: the revision rises if anything was changed. Returns the store's revision.
    pub fn finish(self) -> i64 {
        if self.changes > 0 {
            self.store.revision += 1;
        }
        self.store.revision
    }
}
