//! The golden model: the key space by the book, written to be seen through and for nothing else.
//!
//! It keeps every record for ever; a compaction only moves a number. What a compacted store shows is worked out from
//! that number when it is asked for, so how far a real compaction has come can make no difference here.

mod txn;

use crate::request::{Request, Response};
use apply::Refusal;
use bytes::Bytes;
use prost::Message;
use proto::etcdserverpb::{
    DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse, RangeRequest, RangeResponse,
};
use proto::mvccpb::KeyValue;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use types::Revision;

/// What a request comes to: the revision of the answer's header with the answer, or a refusal.
pub type Outcome = Result<(i64, Response), Refusal>;

/// One change of one key.
#[derive(Clone, Debug)]
struct Record {
    revision: Revision,
    is_tombstone: bool,
    pair: KeyValue,
}

impl Record {
    /// Key and value in the `key` bucket.
    fn encode(&self) -> (Bytes, Bytes) {
        let key = if self.is_tombstone {
            Bytes::copy_from_slice(&self.revision.to_tombstone_key())
        } else {
            Bytes::copy_from_slice(&self.revision.to_key())
        };
        (key, self.pair.encode_to_vec().into())
    }
}

/// The key space and its history.
#[derive(Clone, Debug)]
pub struct Model {
    revision: i64,
    compact_revision: i64,
    has_no_space_alarm: bool,
    /// In order of revision.
    records: Vec<Record>,
    /// For each key its places in `records`.
    keys: BTreeMap<Bytes, Vec<usize>>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            revision: 1,
            compact_revision: -1,
            has_no_space_alarm: false,
            records: Vec::new(),
            keys: BTreeMap::new(),
        }
    }
}

impl Model {
    /// The revision of the last change.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The revision compacted at, -1 if never.
    pub fn compact_revision(&self) -> i64 {
        self.compact_revision
    }

    /// Whether puts are refused for want of space.
    pub fn has_no_space_alarm(&self) -> bool {
        self.has_no_space_alarm
    }

    /// Sets or takes back the alarm for want of space, which a member raises by itself.
    pub fn set_no_space_alarm(&mut self, is_active: bool) {
        self.has_no_space_alarm = is_active;
    }

    /// The first living key from `key` on.
    pub fn first_key_from(&self, key: &[u8]) -> Option<Bytes> {
        let mut places = self.keys.range::<[u8], _>((Bound::Included(key), Bound::Unbounded));
        places.find_map(|(key, places)| self.newest(places, self.revision).map(|_| key.clone()))
    }

    /// Whether less than `count` keys live.
    pub fn has_fewer_keys_than(&self, count: u64) -> bool {
        (self.alive_at(self.revision).count() as u64) < count
    }

    /// The pair of a living key.
    pub fn newest_pair(&self, key: &[u8]) -> Option<KeyValue> {
        self.find(key, self.revision).map(|record| record.pair.clone())
    }

    /// Applies a request and says what it comes to.
    pub fn apply(&mut self, request: &Request) -> Outcome {
        if self.has_no_space_alarm && request.needs_space() {
            return Err(Refusal::NoSpace);
        }
        let response = match request {
            Request::Put(put) => {
                self.check_put(put)?;
                let mut sub = 0;
                let response = self.put(put, &mut sub);
                self.revision += 1;
                Response::Put(response)
            }
            Request::Delete(delete) => {
                let mut sub = 0;
                let response = self.delete(delete, &mut sub);
                self.revision += i64::from(sub > 0);
                Response::Delete(response)
            }
            Request::Txn(txn) => Response::Txn(self.txn(txn)?),
            Request::Compact(compaction) => {
                if compaction.revision <= self.compact_revision {
                    return Err(Refusal::Compacted);
                }
                if compaction.revision > self.revision {
                    return Err(Refusal::FutureRevision);
                }
                self.compact_revision = compaction.revision;
                Response::Compact
            }
            Request::Disarm(_) => {
                Response::Disarm { was_active: std::mem::take(&mut self.has_no_space_alarm) }
            }
        };
        Ok((self.revision, response))
    }

    /// What a range without header shows at `revision`, however old that is.
    pub fn range_at(&self, request: &RangeRequest, revision: i64) -> RangeResponse {
        let alive: Vec<KeyValue> = self
            .alive_at(revision)
            .filter(|record| is_inside(&request.key, &request.range_end, &record.pair.key))
            .map(|record| record.pair.clone())
            .collect();
        let count = alive.len();
        if request.count_only {
            return RangeResponse { count: count as i64, ..RangeResponse::default() };
        }
        let limit = if request.limit > 0 { request.limit as usize } else { count };
        let kvs = alive.into_iter().take(limit).map(|pair| {
            // etcd answers these from its index, which knows neither values nor leases.
            if request.keys_only { KeyValue { value: Bytes::new(), lease: 0, ..pair } } else { pair }
        });
        RangeResponse { kvs: kvs.collect(), more: count > limit, count: count as i64, header: None }
    }

    /// HashKV at `revision` of a store compacted at `compact_revision`.
    ///
    /// Of the records at or below the compacted revision, those of keys that live at `revision` count; if no key does,
    /// those that the compaction leaves. A tombstone at exactly the compacted revision never does.
    pub fn hash_kv(&self, revision: i64, compact_revision: i64) -> u32 {
        let mut below: BTreeSet<Revision> = self.alive_at(revision).map(|record| record.revision).collect();
        if below.is_empty() {
            below = self.kept_by_compaction(compact_revision);
        }
        let mut crc = crc32c::crc32c(b"key");
        for record in self.records.iter().filter(|record| record.revision.main <= revision) {
            let main = record.revision.main;
            let is_compacted = main <= compact_revision && !below.contains(&record.revision);
            if is_compacted || (record.is_tombstone && main == compact_revision) {
                continue;
            }
            let (key, value) = record.encode();
            crc = crc32c::crc32c_append(crc32c::crc32c_append(crc, &key), &value);
        }
        crc
    }

    /// The records above the compacted revision, as key and value of the `key` bucket.
    pub fn history(&self) -> Vec<(Bytes, Bytes)> {
        let newer = self.records.iter().filter(|record| record.revision.main > self.compact_revision);
        newer.map(Record::encode).collect()
    }

    /// Everything that is left in the `key` bucket when the last compaction has done its work.
    pub fn left_in_file(&self) -> Vec<(Bytes, Bytes)> {
        let kept = self.kept_by_compaction(self.compact_revision);
        let is_left = |record: &&Record| {
            record.revision.main > self.compact_revision || kept.contains(&record.revision)
        };
        self.records.iter().filter(is_left).map(Record::encode).collect()
    }

    /// The records at or below `at` that a compaction there leaves: the state of each key that is alive, and the
    /// tombstones of exactly that revision.
    fn kept_by_compaction(&self, at: i64) -> BTreeSet<Revision> {
        let alive = self.alive_at(at);
        let tombstones =
            self.records.iter().filter(|record| record.is_tombstone && record.revision.main == at);
        alive.chain(tombstones).map(|record| record.revision).collect()
    }

    /// The newest record of each key that is alive at `revision`, in order of keys.
    fn alive_at(&self, revision: i64) -> impl Iterator<Item = &Record> {
        self.keys.values().filter_map(move |places| self.newest(places, revision))
    }

    fn find(&self, key: &[u8], revision: i64) -> Option<&Record> {
        self.newest(self.keys.get(key)?, revision)
    }

    fn newest(&self, places: &[usize], revision: i64) -> Option<&Record> {
        let older = places.partition_point(|place| self.records[*place].revision.main <= revision);
        let newest = &self.records[*places[..older].last()?];
        (!newest.is_tombstone).then_some(newest)
    }

    fn check_put(&self, put: &PutRequest) -> Result<(), Refusal> {
        let keeps = put.ignore_value || put.ignore_lease;
        if keeps && self.find(&put.key, self.revision).is_none() { Err(Refusal::KeyNotFound) } else { Ok(()) }
    }

    /// Puts at the next revision, as change number `sub` of it.
    fn put(&mut self, put: &PutRequest, sub: &mut i64) -> PutResponse {
        let revision = Revision::new(self.revision + 1, *sub);
        *sub += 1;
        let previous = self.find(&put.key, revision.main).map(|record| record.pair.clone());
        let (created, version) =
            previous.as_ref().map_or((revision.main, 1), |pair| (pair.create_revision, pair.version + 1));
        let value = match &previous {
            Some(pair) if put.ignore_value => pair.value.clone(),
            _ => put.value.clone(),
        };
        let pair = KeyValue {
            key: put.key.clone(),
            create_revision: created,
            mod_revision: revision.main,
            version,
            value,
            lease: 0,
        };
        self.push(Record { revision, is_tombstone: false, pair });
        PutResponse { header: None, prev_kv: previous.filter(|_| put.prev_kv) }
    }

    /// Deletes at the next revision, as changes from number `sub` on.
    fn delete(&mut self, delete: &DeleteRangeRequest, sub: &mut i64) -> DeleteRangeResponse {
        let seen = self.revision + i64::from(*sub > 0);
        let gone: Vec<KeyValue> = self
            .alive_at(seen)
            .filter(|record| is_inside(&delete.key, &delete.range_end, &record.pair.key))
            .map(|record| record.pair.clone())
            .collect();
        for pair in &gone {
            let revision = Revision::new(self.revision + 1, *sub);
            *sub += 1;
            let pair = KeyValue { key: pair.key.clone(), ..KeyValue::default() };
            self.push(Record { revision, is_tombstone: true, pair });
        }
        let deleted = gone.len() as i64;
        DeleteRangeResponse {
            header: None,
            deleted,
            prev_kvs: if delete.prev_kv { gone } else { Vec::new() },
        }
    }

    fn push(&mut self, record: Record) {
        self.keys.entry(record.pair.key.clone()).or_default().push(self.records.len());
        self.records.push(record);
    }
}

/// Whether `key` is in the range of a request: an empty end means one key, a zero byte all from `start` on.
fn is_inside(start: &[u8], end: &[u8], key: &[u8]) -> bool {
    match end {
        [] => key == start,
        [0] => key >= start,
        _ => key >= start && key < end,
    }
}

#[cfg(test)]
mod tests;
