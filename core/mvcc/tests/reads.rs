//! Reads in steps against a plain model, over a file and buffers.

#![allow(clippy::unwrap_used)]

use backend::{Bucket, Buffer, Consistent, Data, Event, FileState, Task, Writer, WriterStep};
use bytes::Bytes;
use mvcc::{Error, HashRead, Index, IndexCompaction, KeyRange, Put, RangeRead, STEP_BYTES_MAX, Store, View};
use prost::Message;
use proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use proto::etcdserverpb::{RangeRequest, RangeResponse};
use proto::mvccpb::KeyValue;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use stdx::prng::Prng;
use types::{LogIndex, Term};
use vfs::mem::MemDisk;
use vfs::{Disk, Job, drive};

/// A store over a disk in memory, and what it must hold.
struct Fixture {
    disk: MemDisk,
    writer: Writer,
    store: Store,
    buffer: Buffer,
    data: Arc<Data>,
    /// The live pairs at each revision.
    states: Vec<BTreeMap<Bytes, KeyValue>>,
}

impl Fixture {
    fn new() -> Self {
        let disk = MemDisk::new();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let job = Job::new(|cx| async move {
            let options = bolt::Options::default();
            let mut db =
                bolt::Db::open(&cx, &shared, Path::new("/db"), options, &mut |_, _, _| {}).await.unwrap();
            let mut batch = bolt::Batch::default();
            Bucket::ALL.into_iter().for_each(|bucket| batch.ensure_bucket(bucket.name().as_bytes()));
            db.commit(&cx, batch).await.unwrap();
            db
        });
        let db = drive(&disk, job);
        let buffer = Buffer::default();
        let data = Arc::new(Data::new(FileState::of(&db), vec![buffer.segment().clone()]));
        let (store, states) = (Store::new(Index::new(), 1, -1), vec![BTreeMap::new(); 2]);
        Self { disk, writer: Writer::new(db), store, buffer, data, states }
    }

    fn put(&mut self, key: &str, value: Bytes, lease: i64) {
        let key = Bytes::from(key.to_owned());
        let put = Put {
            key: key.clone(),
            value: value.clone(),
            lease,
            keeps_value: false,
            keeps_lease: false,
            wants_previous: false,
        };
        let mut txn = self.store.write(&mut self.buffer, &self.data);
        txn.put(put).unwrap();
        let revision = txn.finish();
        let mut state = self.states.last().unwrap().clone();
        let old = state.get(&key);
        let pair = KeyValue {
            create_revision: old.map_or(revision, |old| old.create_revision),
            mod_revision: revision,
            version: old.map_or(1, |old| old.version + 1),
            key: key.clone(),
            value,
            lease,
        };
        state.insert(key, pair);
        self.states.push(state);
    }

    fn delete(&mut self, key: &str) {
        let key = Bytes::from(key.to_owned());
        let mut txn = self.store.write(&mut self.buffer, &self.data);
        let deleted = txn.delete_range(&KeyRange::Single(key.clone()), false).unwrap();
        txn.finish();
        if !deleted.is_empty() {
            let mut state = self.states.last().unwrap().clone();
            state.remove(&key);
            self.states.push(state);
        }
    }

    /// Makes what the buffer holds part of the file.
    fn commit(&mut self) {
        let index = LogIndex(self.states.len() as u64);
        let consistent = Consistent { index, term: Some(Term(1)), conf_state: None };
        let frozen = self.buffer.freeze(consistent);
        self.writer.submit(Task::Commit(frozen));
        let mut resume = Ok(());
        loop {
            match self.writer.step(std::mem::replace(&mut resume, Ok(()))) {
                WriterStep::Perform(target) => resume = target.perform(&self.disk),
                WriterStep::Event(Event::Committed { file, .. }) => {
                    self.data = Arc::new(Data::new(file, vec![self.buffer.segment().clone()]));
                    return;
                }
                _ => panic!("a commit ends with an event"),
            }
        }
    }

    fn view(&self) -> View {
        self.store.view(self.data.clone())
    }

    fn any(seed: u64) -> Self {
        let mut rng = Prng::new(seed);
        let mut fixture = Self::new();
        for number in 0..300 {
            let key = format!("k{:02}", rng.below(40));
            if rng.chance(1, 4) {
                fixture.delete(&key);
            } else {
                // Few values, so that sorting by them has ties.
                let value = Bytes::from(format!("v{}", rng.below(6)));
                fixture.put(&key, value, rng.below(3).cast_signed());
            }
            if number % 110 == 109 {
                fixture.commit();
            }
        }
        fixture
    }
}

/// The answer to `request`, computed from the pairs alive at its revision.
fn expected(state: &BTreeMap<Bytes, KeyValue>, request: &RangeRequest) -> RangeResponse {
    let range = KeyRange::new(&request.key, &request.range_end);
    let mut pairs: Vec<KeyValue> = state.values().filter(|pair| range.contains(&pair.key)).cloned().collect();
    let count = pairs.len() as i64;
    if request.count_only {
        return RangeResponse { count, ..RangeResponse::default() };
    }
    let within = |value: i64, min: i64, max: i64| (min == 0 || value >= min) && (max == 0 || value <= max);
    pairs.retain(|pair| {
        within(pair.mod_revision, request.min_mod_revision, request.max_mod_revision)
            && within(pair.create_revision, request.min_create_revision, request.max_create_revision)
    });
    let limit = usize::try_from(request.limit).unwrap();
    let has_filter = request.min_mod_revision != 0
        || request.max_mod_revision != 0
        || request.min_create_revision != 0
        || request.max_create_revision != 0;
    let is_cut_first = request.sort_order() == SortOrder::None && !has_filter;
    if is_cut_first && limit > 0 {
        pairs.truncate(limit + 1);
    }
    let descends = request.sort_order() == SortOrder::Descend;
    let directed = |ordering: std::cmp::Ordering| if descends { ordering.reverse() } else { ordering };
    // Pairs of equal rank stay in the order of their keys, whatever the direction.
    match request.sort_target() {
        SortTarget::Key => pairs.sort_by(|a, b| directed(a.key.cmp(&b.key))),
        SortTarget::Version => pairs.sort_by(|a, b| directed(a.version.cmp(&b.version))),
        SortTarget::Create => pairs.sort_by(|a, b| directed(a.create_revision.cmp(&b.create_revision))),
        SortTarget::Mod => pairs.sort_by(|a, b| directed(a.mod_revision.cmp(&b.mod_revision))),
        SortTarget::Value => pairs.sort_by(|a, b| directed(a.value.cmp(&b.value))),
    }
    let more = limit > 0 && pairs.len() > limit;
    if more {
        pairs.truncate(limit);
    }
    if request.keys_only {
        for pair in &mut pairs {
            pair.value = Bytes::new();
            if request.sort_target() != SortTarget::Value {
                pair.lease = 0;
            }
        }
    }
    RangeResponse { header: None, kvs: pairs, more, count }
}

fn any_request(rng: &mut Prng, newest: i64) -> RangeRequest {
    let key = |rng: &mut Prng| Bytes::from(format!("k{:02}", rng.below(40)));
    let (from, to) = (key(rng), key(rng));
    let bound = |rng: &mut Prng| if rng.chance(1, 5) { rng.below(300).cast_signed() } else { 0 };
    let ends = [Bytes::from_static(b"\0"), to, Bytes::new()];
    let is_all = rng.chance(1, 2);
    RangeRequest {
        key: if is_all { Bytes::from_static(b"\0") } else { from },
        range_end: if is_all { Bytes::from_static(b"\0") } else { ends[rng.below(3) as usize].clone() },
        limit: if rng.chance(1, 2) { rng.below(20).cast_signed() } else { 0 },
        revision: if rng.chance(1, 2) { 0 } else { 1 + rng.below(newest as u64).cast_signed() },
        sort_order: rng.below(3) as i32,
        sort_target: rng.below(5) as i32,
        keys_only: rng.chance(1, 4),
        count_only: rng.chance(1, 8),
        min_mod_revision: bound(rng),
        max_mod_revision: bound(rng),
        min_create_revision: bound(rng),
        max_create_revision: bound(rng),
        ..RangeRequest::default()
    }
}

#[test]
fn ranges_in_steps_of_any_length_are_those_of_the_model() {
    let fixture = Fixture::any(1);
    let newest = fixture.store.revision();
    let mut rng = Prng::new(2);
    for _ in 0..5000 {
        let request = any_request(&mut rng, newest);
        let revision = if request.revision == 0 { newest } else { request.revision };
        let mut read = RangeRead::new(fixture.view(), request.clone()).unwrap();
        let keys = [1, 3, 10, usize::MAX][rng.below(4) as usize];
        let answer = loop {
            if let Some(answer) = read.step(keys).unwrap() {
                break answer;
            }
        };
        let mut body = Vec::new();
        answer.encode_body(&mut body);
        let found = RangeResponse::decode(body.as_slice()).unwrap();
        assert_eq!(found, expected(&fixture.states[revision as usize], &request), "{request:?}");
    }
}

/// Number of steps that a read of everything takes.
fn steps_of(view: View, sort_order: SortOrder, sort_target: SortTarget, keys: usize) -> usize {
    let request = RangeRequest {
        key: Bytes::from_static(b"\0"),
        range_end: Bytes::from_static(b"\0"),
        sort_order: sort_order as i32,
        sort_target: sort_target as i32,
        ..RangeRequest::default()
    };
    let mut read = RangeRead::new(view, request).unwrap();
    let mut steps = 1;
    while read.step(keys).unwrap().is_none() {
        steps += 1;
    }
    steps
}

#[test]
fn a_step_is_bounded_by_keys_and_by_bytes_of_values() {
    let mut fixture = Fixture::new();
    for number in 0..20 {
        fixture.put(&format!("k{number}"), vec![b'x'; STEP_BYTES_MAX / 2].into(), 0);
    }
    // Two values fill a step.
    assert!(steps_of(fixture.view(), SortOrder::None, SortTarget::Key, usize::MAX) >= 10);
    assert!(steps_of(fixture.view(), SortOrder::Ascend, SortTarget::Value, usize::MAX) >= 20);
    // Index, ranks, merge and values each in steps of their own.
    assert!(steps_of(fixture.view(), SortOrder::Descend, SortTarget::Mod, 2) >= 40);
    let mut hash = HashRead::new(fixture.view(), 0).unwrap();
    fixture.commit();
    let mut large = HashRead::new(fixture.view(), 0).unwrap();
    for read in [&mut hash, &mut large] {
        let mut steps = 1;
        while read.step(2).unwrap().is_none() {
            steps += 1;
        }
        assert!(steps >= 20, "index and records, two at a time: {steps}");
    }
}

#[test]
fn a_hash_waits_for_the_view_that_shows_the_compaction() {
    let mut fixture = Fixture::any(3);
    let before = fixture.view();
    fixture.put("k00", Bytes::from_static(b"new"), 0);
    let newest = fixture.store.revision();
    // Applied and not published yet: the view is below the compacted revision.
    fixture.store.compact(newest).unwrap();
    let mut compaction = IndexCompaction::new(newest);
    while compaction.step(fixture.store.index(), 7).is_none() {}
    assert!(matches!(HashRead::new(before.clone(), 0), Err(Error::Overtaken)));
    assert!(matches!(HashRead::new(before.clone(), newest), Err(Error::Overtaken)));
    assert!(matches!(HashRead::new(before, newest - 1), Err(Error::Compacted)));
    assert!(HashRead::new(fixture.view(), 0).is_ok());
    assert!(matches!(HashRead::new(fixture.view(), newest + 1), Err(Error::FutureRevision)));
}
