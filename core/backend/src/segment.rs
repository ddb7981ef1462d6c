//! The part of the write buffer that readers share: records of the `key` bucket in order of revision.

use bytes::Bytes;
use parking_lot::RwLock;
use std::ops::ControlFlow;
use types::Revision;

/// One change of one key.
#[derive(Clone, Debug)]
pub struct Record {
    /// Where it stands.
    pub revision: Revision,
    /// A deletion.
    pub is_tombstone: bool,
    /// The encoded `mvccpb.KeyValue`.
    pub value: Bytes,
}

impl Record {
    /// Hands the record's key in the bucket to `use_key`.
    pub fn with_key<R>(&self, use_key: impl FnOnce(&[u8]) -> R) -> R {
        if self.is_tombstone {
            use_key(&self.revision.to_tombstone_key())
        } else {
            use_key(&self.revision.to_key())
        }
    }
}

/// Records between two freezes, append-only: one writer, any number of readers.
///
/// Invariant: revisions ascend strictly. Readers never ask for a revision above the one that was published when their
/// view was made, so an append that they happen to see changes nothing for them.
#[derive(Debug, Default)]
pub struct Segment {
    records: RwLock<Vec<Record>>,
}

impl Segment {
    /// Appends a record; only the owner of the buffer does.
    ///
    /// # Panics
    /// If its revision is not above the last one.
    pub(crate) fn push(&self, record: Record) {
        let mut records = self.records.write();
        let ascends = records.last().is_none_or(|last| last.revision < record.revision);
        assert!(ascends, "revision {} does not ascend", record.revision);
        records.push(record);
    }

    /// The value of the record at `revision`.
    pub fn get(&self, revision: Revision) -> Option<Bytes> {
        let records = self.records.read();
        let first = records.first()?.revision;
        if revision < first {
            return None;
        }
        // Most transactions have one change, so the position is nearly always the distance of the main revisions.
        let guess = usize::try_from(revision.main - first.main).ok()?;
        if let Some(record) = records.get(guess).filter(|record| record.revision == revision) {
            return Some(record.value.clone());
        }
        let position = records.binary_search_by_key(&revision, |record| record.revision).ok()?;
        Some(records[position].value.clone())
    }

    /// The revision of the first record.
    pub fn first_revision(&self) -> Option<Revision> {
        self.records.read().first().map(|record| record.revision)
    }

    /// The record at `revision` or the first behind it.
    pub fn at_or_after(&self, revision: Revision) -> Option<Record> {
        let records = self.records.read();
        let position = records.partition_point(|record| record.revision < revision);
        records.get(position).cloned()
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.records.read().len()
    }

    /// Whether it has no record.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Visits all records in order while `visit` says so.
    pub fn for_each(&self, mut visit: impl FnMut(&Record) -> ControlFlow<()>) {
        for record in self.records.read().iter() {
            if visit(record).is_break() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_found_by_revision_with_and_without_gaps() {
        let segment = Segment::default();
        let revisions = [(2, 0), (3, 0), (5, 0), (5, 1), (5, 2), (6, 0), (9, 0)];
        for (main, sub) in revisions {
            let value = Bytes::from(format!("{main}.{sub}"));
            segment.push(Record { revision: Revision::new(main, sub), is_tombstone: false, value });
        }
        for (main, sub) in revisions {
            assert_eq!(segment.get(Revision::new(main, sub)).unwrap(), format!("{main}.{sub}"));
        }
        for (main, sub) in [(1, 0), (4, 0), (5, 3), (7, 0), (10, 0)] {
            assert_eq!(segment.get(Revision::new(main, sub)), None);
        }
        assert_eq!(segment.at_or_after(Revision::new(7, 0)).unwrap().revision, Revision::new(9, 0));
        assert!(segment.at_or_after(Revision::new(10, 0)).is_none());
    }
}
