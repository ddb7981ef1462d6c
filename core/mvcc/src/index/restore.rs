//! Building the index from the records on disk (contract C22).

use super::history::History;
use super::{Found, Index};
use parking_lot::RwLock;
use types::Revision;

/// One record of the `key` bucket, as far as the index needs it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Where the record is.
    pub revision: Revision,
    /// It is a deletion.
    pub is_tombstone: bool,
    /// The key.
    pub key: &'a [u8],
    /// The record's `create_revision`.
    pub create_revision: i64,
    /// The record's `version`.
    pub version: i64,
}

/// The records do not come in revision order, so the bucket they were read from is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {revision} follows record {previous} in the key bucket")]
pub struct OutOfOrder {
    /// The record's revision.
    pub revision: Revision,
    /// The revision of the record before it.
    pub previous: Revision,
}

/// Takes the records of the `key` bucket in revision order and makes an index of them.
///
/// Records are gathered, sorted by key, and merged into the sorted keys so far whenever they outnumber these. So the
/// work is that of a few sorts and merges, the tree is built at once from sorted keys, and what is gathered takes no more
/// memory than the index.
#[derive(Debug, Default)]
pub struct Restorer {
    gathered: Vec<Gathered>,
    /// The keys of `gathered`, one behind the other.
    key_bytes: Vec<u8>,
    /// Sorted by key.
    merged: Vec<(Box<[u8]>, History)>,
    newest: Option<Revision>,
}

#[derive(Debug)]
struct Gathered {
    key_start: usize,
    key_len: usize,
    revision: Revision,
    create_revision: i64,
    version: i64,
    is_tombstone: bool,
}

impl Restorer {
    const MERGE_RECORDS_MIN: usize = 1 << 16;

    /// A restorer without records.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// [`OutOfOrder`] if its revision is not above that of the record before.
    pub fn record(&mut self, record: &Record<'_>) -> Result<(), OutOfOrder> {
        let revision = record.revision;
        if let Some(previous) = self.newest.filter(|previous| *previous >= revision) {
            return Err(OutOfOrder { revision, previous });
        }
        self.newest = Some(revision);
        if self.gathered.len() >= self.merged.len().max(Self::MERGE_RECORDS_MIN) {
            self.merge();
        }
        self.gathered.push(Gathered {
            key_start: self.key_bytes.len(),
            key_len: record.key.len(),
            revision,
            create_revision: record.create_revision,
            version: record.version,
            is_tombstone: record.is_tombstone,
        });
        self.key_bytes.extend_from_slice(record.key);
        Ok(())
    }

    /// The index of all records taken.
    pub fn finish(mut self) -> Index {
        self.merge();
        self.gathered = Vec::new();
        self.key_bytes = Vec::new();
        // Collecting sorted pairs builds full leaves from left to right, without searching.
        Index { tree: RwLock::new(self.merged.into_iter().collect()) }
    }

    fn merge(&mut self) {
        let bytes = &self.key_bytes;
        self.gathered
            .sort_unstable_by(|a, b| a.key(bytes).cmp(b.key(bytes)).then(a.revision.cmp(&b.revision)));
        let mut known = std::mem::take(&mut self.merged).into_iter().peekable();
        let mut merged = Vec::with_capacity(known.len());
        for records in self.gathered.chunk_by(|a, b| a.key(bytes) == b.key(bytes)) {
            let (first, rest) = records.split_first().expect("chunks are not empty");
            let key = first.key(bytes);
            while let Some(smaller) = known.next_if(|(other, _)| other.as_ref() < key) {
                merged.push(smaller);
            }
            let (key, mut history) = match known.next_if(|(other, _)| other.as_ref() == key) {
                Some((key, mut history)) => {
                    first.add_to(&mut history);
                    (key, history)
                }
                None => (key.into(), first.history()),
            };
            rest.iter().for_each(|record| record.add_to(&mut history));
            merged.push((key, history));
        }
        merged.extend(known);
        self.merged = merged;
        self.gathered.clear();
        self.key_bytes.clear();
    }
}

impl Gathered {
    fn key<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.key_start..self.key_start + self.key_len]
    }

    /// The history of a key whose oldest record is this one.
    fn history(&self) -> History {
        if self.is_tombstone {
            History::restored_tombstone(self.revision)
        } else {
            History::restored(self.state())
        }
    }

    fn state(&self) -> Found {
        let created = Revision::new(self.create_revision, 0);
        Found { modified: self.revision, created, version: self.version }
    }

    fn add_to(&self, history: &mut History) {
        if self.is_tombstone {
            // etcd logs a tombstone of a dead key and goes on, for it changes nothing.
            history.tombstone(self.revision).ok();
        } else {
            history.restore_put(self.state());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(main: i64, key: &[u8], create_revision: i64, version: i64) -> Record<'_> {
        Record { revision: Revision::new(main, 0), is_tombstone: version == 0, key, create_revision, version }
    }

    #[test]
    fn a_key_whose_first_records_were_compacted_keeps_creation_and_version() {
        let mut restorer = Restorer::new();
        restorer.record(&record(7, b"k", 3, 4)).unwrap();
        restorer.record(&record(9, b"k", 3, 5)).unwrap();
        let index = restorer.finish();
        let created = Revision::new(3, 0);
        assert_eq!(index.get(b"k", 6), None);
        assert_eq!(index.get(b"k", 8), Some(Found { modified: Revision::new(7, 0), created, version: 4 }));
        assert_eq!(index.get(b"k", 9), Some(Found { modified: Revision::new(9, 0), created, version: 5 }));
    }

    #[test]
    fn a_lone_tombstone_is_a_dead_key() {
        let mut restorer = Restorer::new();
        restorer.record(&record(7, b"k", 0, 0)).unwrap();
        restorer.record(&record(8, b"k", 0, 0)).unwrap();
        let index = restorer.finish();
        assert_eq!((index.get(b"k", 9), index.len()), (None, 1));
        assert_eq!(index.compact(7).as_slice(), [Revision::new(7, 0)]);
        assert_eq!(index.put(b"k", Revision::new(9, 0)).version, 1);
    }

    #[test]
    fn records_out_of_order_are_an_error() {
        let mut restorer = Restorer::new();
        restorer.record(&record(7, b"k", 7, 1)).unwrap();
        let (revision, previous) = (Revision::new(7, 0), Revision::new(7, 0));
        assert_eq!(restorer.record(&record(7, b"l", 7, 1)), Err(OutOfOrder { revision, previous }));
        assert!(restorer.record(&record(6, b"l", 6, 1)).is_err());
    }

    #[test]
    fn merging_in_parts_makes_the_same_index() {
        let keys: Vec<Vec<u8>> = (0..50_u8).map(|number| vec![number.wrapping_mul(77), number % 3]).collect();
        let restore = |merge_every: i64| {
            let mut restorer = Restorer::new();
            for main in 2..500_i64 {
                let key = &keys[usize::try_from(main * main % 50).unwrap()];
                restorer.record(&record(main, key, main, i64::from(main % 5 != 0))).unwrap();
                if main % merge_every == 0 {
                    restorer.merge();
                }
            }
            restorer.finish().tree.into_inner()
        };
        let whole = restore(1000);
        assert_eq!(whole, restore(7));
        assert_eq!(whole, restore(1));
    }
}
