//! Segments written by etcd itself, each by a lone member that put k1 to k8, deleted k3 and was killed.
//! Only the reserved space behind the last frame is left out.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod common;

use common::*;
use prost::Message as _;
use proto::etcdserverpb::InternalRaftRequest;
use proto::raftpb::EntryType;
use proto::walpb;
use vfs::Disk;
use vfs::mem::MemDisk;
use wal::{Replay, SegmentName};

fn check(segment: &[u8], snapshots: &[(u64, u64)]) {
    let disk = disk_with(segment);
    let replay = wal::read_only(&disk, dir(), &walpb::Snapshot::default()).unwrap();
    assert_eq!(replay.torn, None);
    assert!(replay.snapshot_found);
    check_entries(&replay);

    let valid = wal::valid_snapshots(&disk, dir()).unwrap();
    let found: Vec<_> = valid.iter().map(|snapshot| (snapshot.term, snapshot.index)).collect();
    assert_eq!(found, snapshots);
    for snapshot in &valid[1..] {
        let conf_state = snapshot.conf_state.as_ref().unwrap();
        assert_eq!((&conf_state.voters[..], conf_state.auto_leave), (&[replay.node.node_id][..], false));
    }

    // We go on with the log: entries, a new segment, and all of it is read again.
    let newest = valid.last().unwrap().clone();
    let (mut log, opened) = Log::open_at(&disk, newest.clone(), SMALL).unwrap();
    assert_eq!(opened.entries[..], replay.entries[newest.index as usize..]);
    let last = replay.last_index.get();
    let more: Vec<_> = (last + 1..last + 50).map(|index| entry(index, 3, &[7; 100])).collect();
    log.save(Some(state(3, replay.node.node_id, last)), &more).unwrap();
    log.save(None, &[entry(last + 50, 3, b"")]).unwrap();
    drop(log);
    assert_eq!(wal::segments(&disk, dir()).unwrap().len(), 2);
    let (_, again) = Log::open(&disk, SMALL).unwrap();
    assert_eq!(again.entries.len() as u64, last + 50);
    assert_eq!(again.entries[..last as usize], replay.entries[..]);
    assert_eq!(again.metadata, replay.metadata);
}

fn disk_with(segment: &[u8]) -> MemDisk {
    let disk = new_disk();
    disk.create_dir_all(dir(), 0o700).unwrap();
    put_file(&disk, &dir().join(SegmentName::FIRST.to_string()), segment);
    disk
}

/// A change of membership, the leader's empty entry, two of the member's own, an alarm query, then the requests.
fn check_entries(replay: &Replay) {
    let entries = &replay.entries;
    assert!((1..).zip(entries).all(|(index, entry)| entry.index == index));
    assert_eq!(entries[0].r#type, EntryType::EntryConfChange as i32);
    assert_eq!((entries[1].term, entries[1].data.as_deref().unwrap_or_default()), (2, &[][..]));
    let requests: Vec<_> = entries[4..]
        .iter()
        .map(|entry| InternalRaftRequest::decode(entry.data.clone().unwrap()).unwrap())
        .collect();
    let puts = requests.iter().filter_map(|request| request.put.as_ref());
    let keys: Vec<_> = puts.map(|put| (put.key.to_vec(), put.value.to_vec())).collect();
    let expected = (1..=8).map(|i| (format!("k{i}").into_bytes(), format!("value-{i}").into_bytes()));
    assert_eq!(keys, expected.collect::<Vec<_>>());
    assert_eq!(requests.last().unwrap().delete_range.as_ref().unwrap().key, "k3");
    assert_eq!(replay.last_index.get(), 14);
    let state = replay.hard_state;
    assert_eq!((state.term, state.vote), (2, replay.node.node_id));
    assert!(state.commit >= 13);
}

#[test]
fn a_segment_of_etcd_3_7_reads_and_goes_on() {
    check(include_bytes!("fixtures/etcd-3.7.wal"), &[(0, 0), (2, 7)]);
}

#[test]
fn a_segment_of_etcd_3_6_reads_and_goes_on() {
    check(include_bytes!("fixtures/etcd-3.6.wal"), &[(0, 0), (2, 7)]);
}

#[test]
fn a_segment_of_etcd_3_5_reads_and_goes_on() {
    check(include_bytes!("fixtures/etcd-3.5.wal"), &[(0, 0), (2, 7), (2, 14)]);
}
