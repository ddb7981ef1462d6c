//! A sound directory with records and log entries of which nobody knows what they hold: a member starts from it, or
//! refuses and leaves it as it was.
//!
//! An input is a list of pairs for the backend's buckets and of entries for the log. Framing and checksums are right:
//! other targets are for them.
#![no_main]

#[path = "../../core/node/tests/common/mod.rs"]
mod common;

use backend::Bucket;
use bolt::{Batch, Db};
use common::{Machine, config};
use fuzz::{Input, Outcome, drive_job};
use membership::Change;
use node::{BootConfig, BootError};
use prost::Message;
use proto::etcdserverpb::{self as etcd, InternalRaftRequest};
use proto::raftpb::{Entry, EntryType, HardState};
use std::path::Path;
use std::sync::OnceLock;
use stdx::prng::Prng;
use types::{MemberId, Revision};
use vfs::mem::{Damage, MemDisk};
use wal::Wal;

fuzz::target!(run, seeds);

/// No more entries than this are added to the log.
const ENTRIES_MAX: usize = 32;

fn small() -> BootConfig {
    BootConfig { segment_size_bytes: 16 << 10, ..config() }
}

fn run(bytes: &[u8]) -> Outcome {
    let (batch, entries) = parse(&mut Input::new(bytes));
    let disk = base().disk.kill();
    add(&disk, batch, entries);
    disk.settle();
    let before = disk.digest();
    let booted = Machine::boot(disk.kill(), small());
    let again = Machine::boot(disk.kill(), small());
    match (booted, again) {
        (Ok(machine), Ok(again)) => {
            assert!(state_of(&machine) == state_of(&again), "started twice it is the same");
            go_on(machine);
            Outcome::Accepted
        }
        (Err(error), Err(again)) => {
            assert_eq!(error.to_string(), again.to_string(), "refused twice it is the same");
            let refused = disk.kill();
            assert!(Machine::boot(refused.clone(), small()).is_err());
            if matches!(error, BootError::Refused { .. } | BootError::Inconsistent { .. }) {
                assert_eq!(refused.digest(), before, "what is refused is left as it was: {error}");
            }
            Outcome::Refused
        }
        _ => panic!("it starts once and is refused once"),
    }
}

fn parse(input: &mut Input<'_>) -> (Batch, Vec<(u8, Vec<u8>)>) {
    let mut batch = Batch::new();
    let mut entries = Vec::new();
    while !input.is_at_end() {
        let choice = input.byte();
        if choice & 1 == 0 {
            if entries.len() < ENTRIES_MAX {
                entries.push((choice / 2 % 4, input.short_bytes().to_vec()));
            }
            continue;
        }
        let bucket = Bucket::ALL[usize::from(choice / 4) % Bucket::ALL.len()].name().as_bytes();
        let (key, value) = (input.short_bytes().to_vec(), input.short_bytes().to_vec());
        match (key.is_empty(), choice & 2 == 0) {
            (true, _) => {}
            (false, true) => batch.put(bucket, key.into(), value.into()),
            (false, false) => batch.delete(bucket, key.into()),
        }
    }
    (batch, entries)
}

/// A member that has run for a while, stopped.
struct Base {
    disk: MemDisk,
    /// The last entry of its log.
    last: Entry,
}

fn base() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| {
        let mut machine = Machine::boot(MemDisk::new(), small()).expect("a new directory");
        (0..6).for_each(|number| _ = machine.put(&format!("k{}", number % 4), "value"));
        machine.compact(4);
        machine.put("k1", "newer");
        let disk = machine.stop();
        disk.settle();
        let wal = Path::new("/data/member/wal");
        let read = wal::read_only(&disk, wal, &Default::default()).expect("its own log");
        let last = read.entries.last().expect("it has written entries").clone();
        Base { disk, last }
    })
}

/// Adds the pairs to the backend and the entries, committed, to the log.
fn add(disk: &MemDisk, batch: Batch, entries: Vec<(u8, Vec<u8>)>) {
    let last = &base().last;
    // Types that do not exist are refused before a start looks at them.
    let known = entries.into_iter().filter(|(kind, _)| EntryType::try_from(i32::from(*kind)).is_ok());
    let entries: Vec<Entry> = (last.index + 1..)
        .zip(known)
        .map(|(index, (kind, data))| Entry {
            r#type: kind.into(),
            term: last.term,
            index,
            data: Some(data.into()),
        })
        .collect();
    let commit = last.index + entries.len() as u64;
    drive_job(disk, async move |cx, disk| {
        let db = Path::new("/data/member/snap/db");
        let mut db =
            Db::open(&cx, &disk, db, bolt::Options::default(), &mut |_, _, _| {}).await.expect("its own");
        db.commit(&cx, batch).await.expect("the disk takes everything");
        let (dir, options) = (Path::new("/data/member/wal"), wal::Options { segment_size_bytes: 16 << 10 });
        let (mut wal, read) =
            Wal::open(&cx, &disk, dir, &Default::default(), options).await.expect("its own");
        let state = HardState { commit, ..read.hard_state };
        wal.save(&cx, Some(&state), &entries).await.expect("the disk takes everything");
        wal.sync(&cx).await.expect("the disk takes everything");
    });
}

/// What a client sees: everything there is.
fn state_of(machine: &Machine) -> (i64, Vec<u8>, String) {
    let state = &machine.view.as_ref().expect("it was published").state;
    let all = etcd::RangeRequest { key: vec![0].into(), range_end: vec![0].into(), ..Default::default() };
    let mut body = Vec::new();
    let read = mvcc::RangeRead::new(state.store.clone(), all).expect("a good request");
    read.run().expect("a sound file").encode_body(&mut body);
    let rest = format!("{:?} {:?} {:?}", state.cluster, state.alarms, state.storage_version);
    (state.store.revision(), body, rest)
}

/// It takes requests, and is the same after a crash and after a stop in order.
fn go_on(mut machine: Machine) {
    if state_of(&machine).0 >= Revision::MAIN_MAX {
        return; // no store comes there, and a further write would not be read again
    }
    let put = etcd::PutRequest { key: "k1".into(), value: "newest".into(), ..Default::default() };
    // The answer may be a refusal: an alarm may be active.
    let _ = machine.propose(InternalRaftRequest { put: Some(put), ..Default::default() });
    let expected = state_of(&machine);
    let crashed = machine.disk.crash(Damage::LoseAll, &mut Prng::new(1));
    let stopped = machine.stop();
    for disk in [crashed, stopped] {
        let again = Machine::boot(disk, small()).expect("it has started before");
        assert!(state_of(&again) == expected, "{:?} is {expected:?} after a restart", state_of(&again));
    }
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let entry = |kind: u8, data: &[u8]| [&[kind * 2, data.len() as u8], data].concat();
    let pair = |bucket: Bucket, key: &[u8], value: &[u8]| {
        let number = Bucket::ALL.iter().position(|known| *known == bucket).expect("one of them") as u8;
        [&[number * 4 + 1, key.len() as u8], key, &[value.len() as u8], value].concat()
    };
    let mut seeds = vec![("nothing".to_owned(), Vec::new()), ("empty-entry".to_owned(), entry(0, &[]))];
    for (name, request) in requests() {
        seeds.push((name.to_owned(), entry(0, &request.encode_to_vec())));
    }
    let version = membership::V2Request::ClusterVersion(types::Version::new(3, 5, 0));
    seeds.push(("v2".to_owned(), entry(0, &version.to_message(types::RequestId(9)).encode_to_vec())));
    let own = MemberId(0x8e9e_05c5_2164_694d);
    let update = Change::Update { id: own, peer_urls: vec!["http://a:1".into()] };
    for (name, change) in [("update", update), ("remove-unknown", Change::Remove(MemberId(7)))] {
        seeds.push((name.to_owned(), entry(1, &change.to_conf_change(None).encode_to_vec())));
    }
    let record = proto::mvccpb::KeyValue {
        key: "k9".into(),
        create_revision: 20,
        mod_revision: 20,
        version: 1,
        value: "v".into(),
        lease: 5,
    };
    let revision = Revision::new(20, 0).to_key();
    let highest = Revision::new(Revision::MAIN_MAX - 2, i64::MAX).to_key();
    let lease = proto::leasepb::Lease { id: 5, ttl: 60, ..Default::default() };
    let lease = pair(Bucket::Lease, &5_i64.to_be_bytes(), &lease.encode_to_vec());
    seeds
        .push(("record".to_owned(), [pair(Bucket::Key, &revision, &record.encode_to_vec()), lease].concat()));
    seeds.push(("highest".to_owned(), pair(Bucket::Key, &highest, &record.encode_to_vec())));
    seeds.push(("scheduled".to_owned(), pair(Bucket::Meta, backend::META_SCHEDULED_COMPACT, &revision)));
    seeds
}

fn requests() -> Vec<(&'static str, InternalRaftRequest)> {
    let put = etcd::PutRequest {
        key: "k1".into(),
        value: "v".into(),
        lease: 7,
        prev_kv: true,
        ..Default::default()
    };
    let delete = etcd::DeleteRangeRequest { key: "k".into(), range_end: "l".into(), prev_kv: true };
    let range = etcd::RangeRequest { key: "k".into(), range_end: "l".into(), limit: 3, ..Default::default() };
    let compare = etcd::Compare {
        key: "k1".into(),
        target_union: Some(etcd::compare::TargetUnion::Version(1)),
        ..Default::default()
    };
    let operations = [
        etcd::request_op::Request::RequestRange(range),
        etcd::request_op::Request::RequestDeleteRange(delete.clone()),
    ];
    let success = operations.map(|request| etcd::RequestOp { request: Some(request) }).into();
    let txn = etcd::TxnRequest { compare: vec![compare], success, failure: vec![] };
    let header = Some(etcd::RequestHeader { id: 9, ..Default::default() });
    let of = || InternalRaftRequest { header: header.clone(), ..Default::default() };
    let grant = etcd::LeaseGrantRequest { id: 7, ttl: 60 };
    let revoke = etcd::LeaseRevokeRequest { id: 7 };
    let checkpoint = etcd::LeaseCheckpoint { id: 7, remaining_ttl: 3 };
    let checkpoint = etcd::LeaseCheckpointRequest { checkpoints: vec![checkpoint] };
    let compaction = etcd::CompactionRequest { revision: 5, physical: true };
    let alarm = etcd::AlarmRequest { action: 1, member_id: 3, alarm: 1 };
    let version = proto::membershippb::ClusterVersionSetRequest { ver: "3.7.0".into() };
    let put_alone = etcd::PutRequest { lease: 0, ..put.clone() };
    vec![
        ("put", InternalRaftRequest { put: Some(put_alone), ..of() }),
        ("put-with-lease", InternalRaftRequest { put: Some(put), ..of() }),
        ("delete", InternalRaftRequest { delete_range: Some(delete), ..of() }),
        ("txn", InternalRaftRequest { txn: Some(txn), ..of() }),
        ("compaction", InternalRaftRequest { compaction: Some(compaction), ..of() }),
        ("grant", InternalRaftRequest { lease_grant: Some(grant), ..of() }),
        ("revoke", InternalRaftRequest { lease_revoke: Some(revoke), ..of() }),
        ("checkpoint", InternalRaftRequest { lease_checkpoint: Some(checkpoint), ..of() }),
        ("alarm", InternalRaftRequest { alarm: Some(alarm), ..of() }),
        ("version", InternalRaftRequest { cluster_version_set: Some(version), ..of() }),
    ]
}
