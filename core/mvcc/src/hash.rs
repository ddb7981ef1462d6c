//! Hashes over the backend that members and tools compare: all are CRC-32C, fed record by record.
//!
//! Source: `docs/formats/backend.md 6`.

use crate::index::KeepSet;
use types::{REVISION_KEY_LEN, Revision};

/// The CRC-32C of the bucket name `key`: what [`HashKv`] gives when no record is fed.
pub const HASH_OF_NO_RECORDS: u32 = 1_084_519_789;

/// A key of the `key` bucket is no revision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key {} of the key bucket is not a revision", stdx::hex::encode(.0))]
pub struct BadRevisionKey(pub Box<[u8]>);

/// The hash of the key-value history up to one revision: the RPC HashKV, and the hash that a compaction leaves.
#[derive(Clone, Debug)]
pub struct HashKv {
    revision: i64,
    compact_revision: i64,
    keep: Option<KeepSet>,
    crc: u32,
}

impl HashKv {
    /// The hash at `revision` of a store compacted at `compact_revision` (-1: never).
    ///
    /// `keep` is what [`HashKeep`](crate::index::HashKeep) found for these two. The result is the one that etcd gives
    /// once its compaction has deleted everything it has to, however far ours has come.
    pub fn new(revision: i64, compact_revision: i64, keep: KeepSet) -> Self {
        Self { revision, compact_revision, keep: Some(keep), crc: crc32c::crc32c(b"key") }
    }

    /// The hash that a compaction at `revision` leaves for comparison, over the records before it deletes any.
    ///
    /// `previous` is the revision of the compaction before (-1: none), which has finished; `keep` what this one keeps.
    pub fn of_compaction(revision: i64, previous: i64, keep: KeepSet) -> Self {
        // If it keeps nothing, etcd feeds whatever the one before has left.
        let keep = (!keep.is_empty()).then_some(keep);
        Self { revision, compact_revision: previous, keep, crc: crc32c::crc32c(b"key") }
    }

    /// Takes the next record of the `key` bucket, in its order.
    ///
    /// # Errors
    /// [`BadRevisionKey`] if `key` is not a revision.
    pub fn feed(&mut self, key: &[u8], value: &[u8]) -> Result<(), BadRevisionKey> {
        let Some((revision, is_tombstone)) = Revision::from_key(key) else {
            return Err(BadRevisionKey(key[..key.len().min(REVISION_KEY_LEN + 2)].into()));
        };
        if self.is_fed(revision, is_tombstone) {
            self.crc = crc32c::crc32c_append(self.crc, key);
            self.crc = crc32c::crc32c_append(self.crc, value);
        }
        Ok(())
    }

    /// The hash of what was fed so far.
    pub fn finish(&self) -> u32 {
        self.crc
    }

    fn is_fed(&self, revision: Revision, is_tombstone: bool) -> bool {
        if revision.main > self.revision || (is_tombstone && revision.main == self.compact_revision) {
            return false;
        }
        revision.main > self.compact_revision || self.keep.as_ref().is_none_or(|keep| keep.contains(revision))
    }
}

/// The hash of the whole database, bucket by bucket: the RPC Hash, and the hash of `etcdutl snapshot status`.
///
/// Buckets come in byte order of their names, records in that of their keys.
#[derive(Clone, Debug)]
pub struct DbHash {
    skips: Skips,
    is_meta: bool,
    crc: u32,
}

/// Which records a [`DbHash`] leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skips {
    /// Those that differ between healthy members, for the RPC.
    MemberOwn,
    /// None, for the status of a snapshot file.
    Nothing,
}

impl DbHash {
    /// A hash of nothing yet.
    pub fn new(skips: Skips) -> Self {
        Self { skips, is_meta: false, crc: 0 }
    }

    /// Takes the name of the next bucket.
    pub fn bucket(&mut self, name: &[u8]) {
        self.is_meta = name == b"meta";
        self.crc = crc32c::crc32c_append(self.crc, name);
    }

    /// Takes the next record of the bucket.
    pub fn feed(&mut self, key: &[u8], value: &[u8]) {
        let is_own = self.is_meta && matches!(key, b"consistent_index" | b"term" | b"storageVersion");
        if is_own && self.skips == Skips::MemberOwn {
            return;
        }
        self.crc = crc32c::crc32c_append(self.crc, key);
        self.crc = crc32c::crc32c_append(self.crc, value);
    }

    /// The hash of what was fed so far.
    pub fn finish(&self) -> u32 {
        self.crc
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Index;
    use prost::Message;
    use proto::mvccpb::KeyValue;

    type Records = Vec<(Vec<u8>, Vec<u8>)>;

    fn put(main: i64, key: &'static str, create_revision: i64, version: i64) -> (Vec<u8>, Vec<u8>) {
        let value = KeyValue {
            key: key.into(),
            create_revision,
            mod_revision: main,
            version,
            value: format!("v{main}").into(),
            lease: 0,
        };
        (Revision::new(main, 0).to_key().to_vec(), value.encode_to_vec())
    }

    fn tombstone(main: i64, key: &'static str) -> (Vec<u8>, Vec<u8>) {
        let value = KeyValue { key: key.into(), ..KeyValue::default() };
        (Revision::new(main, 0).to_tombstone_key().to_vec(), value.encode_to_vec())
    }

    fn hash(mut hasher: HashKv, records: &Records) -> u32 {
        for (key, value) in records {
            hasher.feed(key, value).unwrap();
        }
        hasher.finish()
    }

    /// CRC-32C of `key` and the given records, one after the other.
    fn crc_of(records: &[&(Vec<u8>, Vec<u8>)]) -> u32 {
        let mut bytes = b"key".to_vec();
        for (key, value) in records {
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(value);
        }
        crc32c::crc32c(&bytes)
    }

    #[test]
    fn no_records_give_the_hash_of_the_bucket_name() {
        assert_eq!(HashKv::new(1, -1, KeepSet::default()).finish(), HASH_OF_NO_RECORDS);
        // A negative revision feeds nothing.
        assert_eq!(
            hash(HashKv::new(-5, -1, KeepSet::default()), &vec![put(2, "a", 2, 1)]),
            HASH_OF_NO_RECORDS
        );
    }

    #[test]
    fn records_above_the_revision_are_not_fed() {
        let records = vec![put(2, "a", 2, 1), put(3, "a", 2, 2), put(4, "b", 4, 1)];
        let expected = crc_of(&[&records[0], &records[1]]);
        assert_eq!(hash(HashKv::new(3, -1, KeepSet::default()), &records), expected);
    }

    #[test]
    fn with_a_live_key_the_hash_does_not_depend_on_the_deletion() {
        let index = Index::new();
        index.put(b"a", Revision::new(2, 0));
        index.put(b"a", Revision::new(3, 0));
        index.put(b"b", Revision::new(4, 0));
        index.tombstone(b"b", Revision::new(5, 0)).unwrap();
        index.put(b"c", Revision::new(6, 0));
        let all = vec![
            put(2, "a", 2, 1),
            put(3, "a", 2, 2),
            put(4, "b", 4, 1),
            tombstone(5, "b"),
            put(6, "c", 6, 1),
        ];
        let left = vec![all[1].clone(), all[3].clone(), all[4].clone()];
        // The tombstone at the compacted revision is fed neither way.
        let expected = crc_of(&[&all[1], &all[4]]);
        let keep = index.hash_keep(6, 5);
        assert_eq!(hash(HashKv::new(6, 5, keep.clone()), &all), expected);
        index.compact(5);
        assert_eq!(index.hash_keep(6, 5), keep);
        assert_eq!(hash(HashKv::new(6, 5, keep), &left), expected);
    }

    #[test]
    fn with_no_live_key_the_hash_is_that_of_a_finished_compaction() {
        // Alive at the compacted revision 4, deleted at 5: the record at 3 stays on disk and is fed.
        let index = Index::new();
        index.put(b"a", Revision::new(2, 0));
        index.put(b"a", Revision::new(3, 0));
        index.put(b"b", Revision::new(4, 0));
        index.tombstone(b"a", Revision::new(5, 0)).unwrap();
        index.tombstone(b"b", Revision::new(6, 0)).unwrap();
        let all = vec![
            put(2, "a", 2, 1),
            put(3, "a", 2, 2),
            put(4, "b", 4, 1),
            tombstone(5, "a"),
            tombstone(6, "b"),
        ];
        let expected = crc_of(&[&all[1], &all[2], &all[3], &all[4]]);
        let keep = index.hash_keep(6, 4);
        assert_eq!(hash(HashKv::new(6, 4, keep.clone()), &all), expected);
        index.compact(4);
        assert_eq!(index.hash_keep(6, 4), keep);
        assert_eq!(hash(HashKv::new(6, 4, keep), &all[1..].to_vec()), expected);
        // Nothing is left in the end.
        assert_eq!(hash(HashKv::new(6, 6, index.hash_keep(6, 6)), &all), HASH_OF_NO_RECORDS);
    }

    #[test]
    fn the_hash_of_a_compaction_is_the_live_one_before_it() {
        let index = Index::new();
        index.put(b"a", Revision::new(2, 0));
        index.put(b"a", Revision::new(3, 0));
        let records = vec![put(2, "a", 2, 1), put(3, "a", 2, 2)];
        let live = hash(HashKv::new(3, -1, index.hash_keep(3, -1)), &records);
        assert_eq!(hash(HashKv::of_compaction(3, -1, index.compact(3)), &records), live);
    }

    #[test]
    fn a_compaction_that_keeps_only_a_tombstone_does_not_hash_what_the_one_before_left() {
        let index = Index::new();
        index.put(b"a", Revision::new(2, 0));
        index.compact(2);
        index.tombstone(b"a", Revision::new(3, 0)).unwrap();
        let records = vec![put(2, "a", 2, 1), tombstone(3, "a")];
        let hasher = HashKv::of_compaction(3, 2, index.compact(3));
        assert_eq!(hash(hasher, &records), crc_of(&[&records[1]]));
        // If it keeps nothing at all, what is left is hashed.
        let hasher = HashKv::of_compaction(4, 3, index.compact(4));
        assert_eq!(hash(hasher, &vec![put(2, "a", 2, 1)]), crc_of(&[&records[0]]));
    }

    #[test]
    fn a_bad_revision_key_is_an_error() {
        let mut hasher = HashKv::new(3, -1, KeepSet::default());
        assert!(hasher.feed(b"", b"").is_err());
        assert!(hasher.feed(&[b'x'; 1000], b"").is_err());
    }

    #[test]
    fn the_hash_of_the_database_skips_what_is_the_members_own() {
        let feed = |skips, index: &[u8]| {
            let mut hash = DbHash::new(skips);
            hash.bucket(b"key");
            hash.feed(b"term", index);
            hash.bucket(b"meta");
            hash.feed(b"consistent_index", index);
            hash.feed(b"confState", b"{}");
            hash.finish()
        };
        assert_eq!(feed(Skips::Nothing, b"1"), crc32c::crc32c(b"keyterm1metaconsistent_index1confState{}"));
        assert_eq!(feed(Skips::MemberOwn, b"1"), crc32c::crc32c(b"keyterm1metaconfState{}"));
    }
}
