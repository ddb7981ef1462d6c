//! Taking up what the backend file holds, in one pass over its leaves (contract C22).

use apply::{Alarm, Leases};
use backend::Bucket;
use bytes::Bytes;
use mvcc::{Record, RecordHead, Restorer};
use std::collections::{BTreeMap, BTreeSet};
use types::{LogIndex, Revision, Version};

/// Everything that the pass collects.
#[derive(Default)]
pub(crate) struct Scan {
    pub index: Restorer,
    pub last_revision: i64,
    pub leases: Leases,
    attachments: BTreeMap<Bytes, i64>,
    pub alarms: BTreeSet<Alarm>,
    pub members: BTreeMap<Bytes, Bytes>,
    pub removed: BTreeSet<Bytes>,
    pub cluster: BTreeMap<Bytes, Bytes>,
    pub meta: BTreeMap<Bytes, Bytes>,
    pub auth: BTreeMap<Bytes, Bytes>,
    /// The first thing that does not decode.
    pub bad: Option<String>,
}

impl Scan {
    /// Takes one pair of the file; pairs come in order.
    pub fn visit(&mut self, bucket: &[u8], key: &[u8], value: &[u8]) {
        let Some(bucket) = Bucket::from_name(bucket) else { return };
        let owned = || (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        match bucket {
            Bucket::Key => self.record(key, value),
            Bucket::Lease => {
                if self.leases.restore(value).is_none() {
                    self.bad(bucket, key);
                }
            }
            Bucket::Alarm => match Alarm::from_key(key) {
                Some(alarm) => drop(self.alarms.insert(alarm)),
                None => self.bad(bucket, key),
            },
            Bucket::Members => self.members.extend([owned()]),
            Bucket::MembersRemoved => drop(self.removed.insert(owned().0)),
            Bucket::Cluster => self.cluster.extend([owned()]),
            Bucket::Meta => self.meta.extend([owned()]),
            Bucket::Auth => self.auth.extend([owned()]),
            Bucket::AuthRoles | Bucket::AuthUsers => {}
        }
    }

    fn record(&mut self, key: &[u8], value: &[u8]) {
        let Some((revision, is_tombstone)) = Revision::from_key(key) else {
            return self.bad(Bucket::Key, key);
        };
        let Some(head) = RecordHead::parse(value) else { return self.bad(Bucket::Key, key) };
        self.last_revision = self.last_revision.max(revision.main);
        let RecordHead { key: of, create_revision, version, .. } = head;
        let record = Record { revision, is_tombstone, key: of, create_revision, version };
        if self.index.record(&record).is_err() {
            return self.bad(Bucket::Key, key);
        }
        if is_tombstone || head.lease == 0 {
            if !self.attachments.is_empty() {
                self.attachments.remove(head.key);
            }
        } else {
            self.attachments.insert(Bytes::copy_from_slice(head.key), head.lease);
        }
    }

    fn bad(&mut self, bucket: Bucket, key: &[u8]) {
        let what =
            || format!("bucket {} has a malformed record at key {}", bucket.name(), stdx::hex::encode(key));
        self.bad.get_or_insert_with(what);
    }

    /// Attaches the keys to their leases; to be called once, behind the last pair.
    pub fn attach_leases(&mut self) {
        for (key, lease) in std::mem::take(&mut self.attachments) {
            self.leases.attach(&key, lease);
        }
    }

    /// Index of the last entry in the file; zero in a new one.
    pub fn consistent(&self) -> LogIndex {
        let number = self.meta.get(backend::META_CONSISTENT_INDEX);
        LogIndex(number.and_then(|value| value.as_ref().try_into().ok()).map_or(0, u64::from_be_bytes))
    }

    /// The revision of a compaction key, if present and well formed.
    pub fn compaction(&self, key: &[u8]) -> Option<i64> {
        Revision::from_key(self.meta.get(key)?).map(|(revision, _)| revision.main)
    }

    /// A version stored as text.
    pub fn version(&self, pairs: &BTreeMap<Bytes, Bytes>, key: &[u8]) -> Option<Result<Version, String>> {
        let text = String::from_utf8_lossy(pairs.get(key)?);
        Some(text.parse().map_err(|_| format!("{:?} is not a version", text)))
    }

    /// Whether users must log in.
    pub fn auth_is_enabled(&self) -> bool {
        self.auth.get(backend::AUTH_ENABLED).is_some_and(|value| value.as_ref() == [1])
    }
}
