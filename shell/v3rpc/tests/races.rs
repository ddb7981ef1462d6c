//! Real threads (contract C4): ranges, transactions and hashes on the views that a running member shows, while it
//! applies, commits and compacts. What they find is compared with what the history says; what they may not find, a
//! compacted or overtaken revision, must be so.

#![allow(clippy::unwrap_used)]

use apply::ReadTxn;
use backend::{Event, Task, WriterStep};
use bytes::Bytes;
use mvcc::{Error, HashRead, RangeRead};
use node::{BackendEvent, BootConfig, Booted, Input, Output, Retention, boot};
use prost::Message;
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::response_op::Response;
use proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, InternalRaftRequest, PutRequest, RangeRequest, RangeResponse,
    RequestHeader, RequestOp, TxnRequest, TxnResponse,
};
use proto::mvccpb::KeyValue;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use stdx::prng::Prng;
use types::{RequestIds, Revision};
use v3rpc::{Limits, Member};
use vfs::mem::MemDisk;
use vfs::{Disk, Job, drive};

/// One change, as the file keeps it.
struct Record {
    revision: Revision,
    is_tombstone: bool,
    pair: KeyValue,
}

/// Everything that will happen, known beforehand: readers look up what a revision holds.
struct History {
    requests: Vec<InternalRaftRequest>,
    records: Vec<Record>,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut rng = Prng::new(seed);
        let mut history = Self { requests: Vec::new(), records: Vec::new() };
        let mut alive: BTreeMap<Bytes, KeyValue> = BTreeMap::new();
        let (mut revision, mut compacted) = (1, -1);
        for number in 0..REQUESTS {
            let key = Bytes::from(format!("k{:02}", if number == 0 { 0 } else { rng.below(KEYS) }));
            let mut request = InternalRaftRequest::default();
            match rng.below(12) {
                0 if number > 0 => {
                    // Never the first key: a hash with nothing alive is another matter.
                    let key = key.max(Bytes::from_static(b"k01"));
                    let range_end = Bytes::from(format!("k{:02}", rng.below(KEYS)));
                    let doomed: Vec<_> =
                        alive.keys().filter(|other| **other >= key && **other < range_end).cloned().collect();
                    revision += i64::from(!doomed.is_empty());
                    for (sub, key) in doomed.into_iter().enumerate() {
                        alive.remove(&key);
                        let pair = KeyValue { key, ..KeyValue::default() };
                        let revision = Revision::new(revision, sub as i64);
                        history.records.push(Record { revision, is_tombstone: true, pair });
                    }
                    request.delete_range = Some(DeleteRangeRequest { key, range_end, prev_kv: false });
                }
                1 if revision > compacted + 1 => {
                    // Often at the very revision that is not shown yet.
                    compacted = (revision - rng.below(6).cast_signed()).max(compacted + 1);
                    request.compaction = Some(CompactionRequest { revision: compacted, physical: false });
                }
                _ => {
                    revision += 1;
                    let old = alive.get(&key);
                    let pair = KeyValue {
                        create_revision: old.map_or(revision, |old| old.create_revision),
                        mod_revision: revision,
                        version: old.map_or(1, |old| old.version + 1),
                        key: key.clone(),
                        value: format!("value {revision}").into(),
                        lease: 0,
                    };
                    let value = pair.value.clone();
                    alive.insert(key.clone(), pair.clone());
                    let revision = Revision::new(revision, 0);
                    history.records.push(Record { revision, is_tombstone: false, pair });
                    request.put = Some(PutRequest { key, value, ..PutRequest::default() });
                }
            }
            history.requests.push(request);
        }
        history
    }

    fn until(&self, revision: i64) -> &[Record] {
        &self.records[..self.records.partition_point(|record| record.revision.main <= revision)]
    }

    /// The newest record of each key at `revision`.
    fn newest(&self, revision: i64) -> BTreeMap<&Bytes, &Record> {
        self.until(revision).iter().map(|record| (&record.pair.key, record)).collect()
    }

    fn range(&self, revision: i64, request: &RangeRequest) -> RangeResponse {
        let newest = self.newest(revision);
        let alive = newest.into_values().filter(|record| !record.is_tombstone);
        let kvs: Vec<_> = alive
            .map(|record| record.pair.clone())
            .filter(|pair| pair.key >= request.key && pair.key < request.range_end)
            .collect();
        RangeResponse { header: None, count: kvs.len() as i64, kvs, more: false }
    }

    /// The rule of etcd where a key is alive: of the compacted part only what still lives.
    fn hash(&self, revision: i64, compacted: i64) -> u32 {
        let newest = self.newest(revision);
        let mut bytes = b"key".to_vec();
        for record in self.until(revision) {
            let lives = !record.is_tombstone && newest[&record.pair.key].revision == record.revision;
            if record.revision.main > compacted || lives {
                if record.is_tombstone {
                    bytes.extend(record.revision.to_tombstone_key());
                } else {
                    bytes.extend(record.revision.to_key());
                }
                bytes.extend(record.pair.encode_to_vec());
            }
        }
        crc32c::crc32c(&bytes)
    }
}

/// The member's thread: proposes in batches, as a sync makes them, and shows what was applied.
fn run_member(
    mut node: node::Member,
    disk: &MemDisk,
    member: &Member,
    history: &History,
    (tasks, events): (Sender<Task>, Receiver<Event>),
) {
    let mut rng = Prng::new(7);
    let mut ids = RequestIds::for_clients(member.id, 1);
    let mut requests = history.requests.iter();
    let mut left = history.requests.len();
    while left > 0 {
        // Entries that are applied together are shown together.
        for request in requests.by_ref().take(1 + rng.below(12) as usize) {
            let id = ids.next_id();
            let header = Some(RequestHeader { id: id.0, ..RequestHeader::default() });
            let data = InternalRaftRequest { header, ..request.clone() }.encode_to_vec();
            node.handle(Input::Propose { id, data: data.into() });
        }
        while let Ok(event) = events.try_recv() {
            node.handle(Input::Backend(BackendEvent(event)));
        }
        while let Some(output) = node.poll_output(rng.below(1 << 40)) {
            match output {
                Output::PerformLog(target) => {
                    let result = target.perform(disk);
                    node.handle(Input::LogPerformed(result));
                }
                Output::Backend(task) => tasks.send(task).unwrap(),
                Output::Publish(view) => member.publish(view),
                Output::Replies(replies) => {
                    left -= replies.len();
                    replies.into_iter().for_each(|reply| drop(reply.result.unwrap()));
                }
                Output::Continue => node.handle(Input::Wake),
                Output::Halt(reason) => panic!("the member stops: {reason}"),
                Output::ReadsReady(_)
                | Output::Ready
                | Output::Send(_)
                | Output::SendSnapshot(_)
                | Output::Restart
                | Output::WakeAt(_)
                | Output::Stopped => {}
            }
        }
    }
}

fn run_writer(mut writer: backend::Writer, disk: &MemDisk, (tasks, events): (Receiver<Task>, Sender<Event>)) {
    for task in tasks {
        writer.submit(task);
        let mut resume = Ok(());
        loop {
            match writer.step(std::mem::replace(&mut resume, Ok(()))) {
                WriterStep::Perform(target) => resume = target.perform(disk),
                // The member may have ended.
                WriterStep::Event(event) => drop(events.send(event)),
                WriterStep::Pause => {}
                WriterStep::Idle => break,
                WriterStep::Failed(error) => panic!("the backend fails: {error}"),
            }
        }
    }
}

/// A reader's thread.
struct Reader<'a> {
    member: &'a Member,
    history: &'a History,
    rng: Prng,
    /// The newest revision seen: views only go forward.
    newest: i64,
}

impl Reader<'_> {
    fn turn(&mut self) {
        let view = self.member.view().unwrap().state.store.clone();
        assert!(view.revision() >= self.newest, "a view goes back");
        self.newest = view.revision();
        match self.rng.below(3) {
            0 => self.hash(view),
            1 => self.txn(view),
            _ => self.range(view),
        }
    }

    fn request(&mut self, newest: i64) -> RangeRequest {
        let revision = match self.rng.below(2) {
            0 => 0,
            _ => (newest - self.rng.below(40).cast_signed()).max(1),
        };
        RangeRequest {
            key: format!("k{:02}", self.rng.below(KEYS)).into(),
            range_end: "l".into(),
            revision,
            ..RangeRequest::default()
        }
    }

    /// Whether a read at `revision` may fail with `error`, given the compacted revision of now.
    fn is_fair(error: &Error, is_explicit: bool, revision: i64, compacted: i64) -> bool {
        match error {
            Error::Compacted => is_explicit && revision < compacted,
            Error::Overtaken => !is_explicit && revision < compacted,
            _ => false,
        }
    }

    fn range(&mut self, view: mvcc::View) {
        let request = self.request(view.revision());
        let is_explicit = request.revision > 0;
        let revision = if is_explicit { request.revision } else { view.revision() };
        let keys = 1 + self.rng.below(8) as usize;
        let found = RangeRead::new(view.clone(), request.clone()).and_then(|mut read| {
            loop {
                if let Some(answer) = read.step(keys)? {
                    return Ok(answer);
                }
                thread::yield_now();
            }
        });
        match found {
            Ok(answer) => {
                let mut body = Vec::new();
                answer.encode_body(&mut body);
                let found = RangeResponse::decode(body.as_slice()).unwrap();
                assert_eq!(found, self.history.range(revision, &request), "{request:?} at {revision}");
            }
            Err(error) => {
                let is_fair = Self::is_fair(&error, is_explicit, revision, view.compact_revision());
                assert!(is_fair, "{request:?} at {revision}: {error}");
            }
        }
    }

    fn txn(&mut self, view: mvcc::View) {
        let ranges: Vec<_> = (0..3).map(|_| self.request(view.revision())).collect();
        let op = |range: &RangeRequest| RequestOp { request: Some(Request::RequestRange(range.clone())) };
        let request = TxnRequest { success: ranges.iter().map(op).collect(), ..TxnRequest::default() };
        let mut read = ReadTxn::new(view.clone(), request);
        let keys = 1 + self.rng.below(20) as usize;
        let answer = loop {
            match read.step(keys) {
                Ok(None) => thread::yield_now(),
                Ok(Some(Ok(answer))) => break answer,
                Ok(Some(Err(refusal))) => {
                    assert_eq!(refusal, apply::Refusal::Compacted);
                    let compacted = view.compact_revision();
                    assert!(ranges.iter().any(|range| range.revision > 0 && range.revision < compacted));
                    return;
                }
                Err(apply::Error::Mvcc(Error::Overtaken)) => {
                    assert!(view.compact_revision() > view.revision(), "it was not overtaken");
                    return;
                }
                Err(error) => panic!("{error}"),
            }
        };
        let found = TxnResponse::decode(answer.body).unwrap();
        for (request, response) in ranges.iter().zip(found.responses) {
            let Some(Response::ResponseRange(mut found)) = response.response else { panic!("no range") };
            assert_eq!(found.header.take().unwrap().revision, view.revision());
            let revision = if request.revision > 0 { request.revision } else { view.revision() };
            assert_eq!(found, self.history.range(revision, request), "{request:?} of {}", view.revision());
        }
    }

    fn hash(&mut self, view: mvcc::View) {
        let requested = match self.rng.below(3) {
            0 => (view.revision() - self.rng.below(10).cast_signed()).max(1),
            _ => 0,
        };
        let records = 1 + self.rng.below(200) as usize;
        let found = HashRead::new(view.clone(), requested).and_then(|mut read| {
            loop {
                if let Some(answer) = read.step(records)? {
                    return Ok(answer);
                }
                thread::yield_now();
            }
        });
        match found {
            Ok(answer) => {
                assert!(answer.compact_revision <= view.revision(), "a hash below the compacted revision");
                assert_eq!(answer.hash_revision, if requested == 0 { view.revision() } else { requested });
                let expected = self.history.hash(answer.hash_revision, answer.compact_revision);
                assert_eq!(answer.hash, expected, "{answer:?}");
            }
            Err(Error::Compacted) => assert!(requested > 0 && requested < view.compact_revision()),
            // A compaction since the view was taken, whatever its revision.
            Err(Error::Overtaken) => assert!(view.compact_revision() > 0),
            Err(error) => panic!("hash at {requested}: {error}"),
        }
    }
}

fn config() -> BootConfig {
    BootConfig {
        data_dir: PathBuf::from("/data"),
        wal_dir: None,
        name: "default".into(),
        initial_cluster: vec![("default".into(), vec!["http://localhost:2380".into()])],
        token: "etcd-cluster".into(),
        joins_existing: false,
        client_urls: vec!["http://localhost:2379".into()],
        hold: None,
        quota_bytes: 0,
        catch_up_entries: 5000,
        serves_clusters: false,
        joining: None,
        timing: node::Timing::default(),
        snapshot_count: 10_000,
        retention: Retention { wals: 5, snapshots: 5 },
        // Small, so that records move from buffer to file all the time.
        limits: backend::Limits { operations: 30, ..backend::Limits::default() },
        compaction_batch_limit: 20,
        min_lease_ttl: 2,
        max_learners: 1,
        segment_size_bytes: 1 << 20,
        now_ms: 1_700_000_000_000,
    }
}

#[test]
fn readers_on_other_threads_find_whole_revisions() {
    let disk = MemDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let job = Job::new(move |cx| async move { boot(&cx, shared, config()).await });
    let Booted { member: mut node, writer, info } = drive(&disk, job).unwrap();
    let limits = Limits {
        request_bytes_max: 1 << 20,
        txn_ops_max: 128,
        request_timeout: Duration::from_secs(7),
        view: mvcc::ViewBudget::default(),
        quota: apply::Quota::from_flag(0),
    };
    let ids = RequestIds::for_clients(info.member, 1);
    let member = Member::new(info.member, info.cluster, limits, ids);
    while let Some(output) = node.poll_output(0) {
        match output {
            Output::PerformLog(target) => node.handle(Input::LogPerformed(target.perform(&disk))),
            Output::Publish(view) => member.publish(view),
            Output::Backend(_) => panic!("nothing is due at the start"),
            _ => {}
        }
    }
    let history = History::new(1);
    let is_over = AtomicBool::new(false);
    let turns = Mutex::new(Vec::new());
    thread::scope(|scope| {
        let (to_writer, tasks) = channel();
        let (to_member, events) = channel();
        let (member, history, disk, is_over, turns) = (&member, &history, &disk, &is_over, &turns);
        scope.spawn(move || run_writer(writer, disk, (tasks, to_member)));
        for seed in 0..READERS {
            scope.spawn(move || {
                let mut reader = Reader { member, history, rng: Prng::new(seed), newest: 0 };
                let mut done = 0;
                while !is_over.load(Ordering::Acquire) || done < TURNS_MIN {
                    reader.turn();
                    done += 1;
                }
                turns.lock().unwrap().push(done);
            });
        }
        scope.spawn(move || {
            // Readers end, too, if this one panics.
            struct Over<'a>(&'a AtomicBool);
            impl Drop for Over<'_> {
                fn drop(&mut self) {
                    self.0.store(true, Ordering::Release);
                }
            }
            let _over = Over(is_over);
            run_member(node, disk, member, history, (to_writer, events));
        });
    });
    assert_eq!(turns.lock().unwrap().len(), READERS as usize);
    let last = history.records.last().unwrap().revision.main;
    assert_eq!(member.view().unwrap().state.store.revision(), last);
}

const KEYS: u64 = 30;
const REQUESTS: usize = 6000;
const READERS: u64 = 3;
/// Turns that a reader has at least, however the threads are scheduled.
const TURNS_MIN: usize = 200;
