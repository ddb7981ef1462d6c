//! The level of a directory, and entries that this release must not apply (contract C10).

#![allow(clippy::unwrap_used)]

mod common;

use bytes::Bytes;
use common::{Machine, config};
use membership::V2Request;
use node::{BootConfig, BootError};
use prost::Message;
use proto::etcdserverpb::InternalRaftRequest;
use proto::membershippb::{ClusterMemberAttrSetRequest, ClusterVersionSetRequest};
use proto::raftpb::{ConfChange, Entry, EntryType};
use std::path::Path;
use std::sync::Arc;
use types::{MemberId, RequestId, Version};
use vfs::mem::MemDisk;
use vfs::{Disk, Job, drive};
use wal::Wal;

const LOG: &str = "/data/member/wal";

fn held_at(minor: u32) -> BootConfig {
    BootConfig { hold: Some(Version::new(3, minor, 0)), ..config() }
}

/// The newest snapshot that the log can be opened at.
fn newest_snapshot(disk: &MemDisk) -> proto::walpb::Snapshot {
    let snapshots = wal::valid_snapshots(disk, Path::new(LOG)).unwrap();
    snapshots.into_iter().max_by_key(|snapshot| snapshot.index).unwrap()
}

/// Whether a member of etcd 3.7 finds a request of the second API behind the newest snapshot: it does not start then.
fn holds_v2_requests(disk: &MemDisk) -> bool {
    let replay = wal::read_only(disk, Path::new(LOG), &newest_snapshot(disk)).unwrap();
    let is_v2 = |entry: &Entry| matches!(apply::decode_payload(entry), Ok(apply::Payload::V2(_)));
    replay.entries.iter().any(is_v2)
}

fn raise(disk: MemDisk) -> MemDisk {
    let mut machine = Machine::boot(disk, config()).unwrap();
    machine.after_commit_interval();
    let view = machine.view.as_ref().unwrap();
    assert_eq!(view.state.cluster.version(), Some(Version::new(3, 7, 0)));
    assert_eq!(view.state.storage_version, Some(Version::new(3, 7, 0)));
    machine.stop()
}

#[test]
fn a_raised_directory_holds_no_request_of_the_second_api() {
    for levels in [&[4][..], &[5], &[4, 5], &[5, 6]] {
        let mut disk = MemDisk::new();
        for level in levels {
            disk = Machine::boot(disk, held_at(*level)).unwrap().stop();
        }
        assert!(levels == [5, 6] || holds_v2_requests(&disk), "held at {levels:?} it has them");
        assert!(!holds_v2_requests(&raise(disk)), "raised from {levels:?}");
    }
}

#[test]
fn a_kill_anywhere_in_the_raise_makes_no_difference() {
    let disk = Machine::boot(MemDisk::new(), held_at(5)).unwrap().stop();
    disk.record_images();
    let raised = raise(disk.clone());
    assert!(!holds_v2_requests(&raised));
    let images = disk.take_images();
    assert!(images.len() > 10);
    for image in images {
        assert!(!holds_v2_requests(&raise(image.disk.kill())), "killed after operation {}", image.op);
    }
}

#[test]
fn a_snapshot_at_level_3_4_has_the_term_of_its_entry() {
    let mut machine = Machine::boot(MemDisk::new(), held_at(4)).unwrap();
    (0..60).for_each(|number| _ = machine.put("k", &number.to_string()));
    let disk = machine.stop();
    let last = wal::read_only(&disk, Path::new(LOG), &newest_snapshot(&disk)).unwrap();
    let config = BootConfig { snapshot_count: 20, ..held_at(4) };
    let mut machine = Machine::boot(disk, config).unwrap();
    machine.after_commit_interval();
    let disk = machine.disk.kill();
    for snapshot in wal::valid_snapshots(&disk, Path::new(LOG)).unwrap() {
        let entry = last.entries.iter().find(|entry| entry.index == snapshot.index);
        assert_eq!(snapshot.term, entry.map_or(0, |entry| entry.term), "snapshot at {}", snapshot.index);
    }
    assert!(newest_snapshot(&disk).index > 60);
}

/// Appends an entry to the log of a member that has stopped, as if it had died before it applied it.
fn append(disk: &MemDisk, kind: EntryType, data: Vec<u8>) {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let job = Job::new(async move |cx| {
        let options = wal::Options::default();
        let at = proto::walpb::Snapshot::default();
        let (mut log, replay) = Wal::open(&cx, &shared, Path::new(LOG), &at, options).await.unwrap();
        let index = replay.last_index.0 + 1;
        let data = Some(Bytes::from(data));
        let entry = Entry { r#type: kind as i32, term: replay.hard_state.term, index, data };
        let hard_state = proto::raftpb::HardState { commit: index, ..replay.hard_state };
        log.save(&cx, Some(&hard_state), &[entry]).await.unwrap();
    });
    drive(disk, job);
}

#[track_caller]
fn check_refused(config: &BootConfig, kind: EntryType, data: Vec<u8>, reason: &str) {
    let disk =
        Machine::boot(MemDisk::new(), BootConfig { hold: config.hold, ..common::config() }).unwrap().stop();
    append(&disk, kind, data);
    let before = disk.digest();
    let error = Machine::boot(disk.clone(), config.clone()).err().expect("it is refused");
    assert!(matches!(error, BootError::Refused { .. }), "{error}");
    assert!(error.to_string().contains(reason), "{error}");
    assert_eq!(disk.digest(), before, "nothing is touched: {error}");
}

#[test]
fn entries_that_cannot_be_served_are_refused_before_anything_is_touched() {
    let version = |ver: &str| {
        let cluster_version_set = Some(ClusterVersionSetRequest { ver: ver.into() });
        InternalRaftRequest { cluster_version_set, ..InternalRaftRequest::default() }.encode_to_vec()
    };
    let normal = EntryType::EntryNormal;
    check_refused(&held_at(6), normal, version("3.7.0"), "above the held version 3.6.0");
    check_refused(&config(), normal, version("3.8.0"), "above our own level 3.7.0");
    check_refused(&config(), normal, version("three"), "not a version");
    let old = V2Request::ClusterVersion(Version::new(3, 6, 0)).to_message(RequestId(1)).encode_to_vec();
    check_refused(&held_at(5), normal, old, "above the held version 3.5.0");
    let stranger = Some(ClusterMemberAttrSetRequest { member_id: 7, member_attributes: None });
    let attributes =
        InternalRaftRequest { cluster_member_attr_set: stranger, ..InternalRaftRequest::default() };
    check_refused(&config(), normal, attributes.encode_to_vec(), "a change of attributes");
    // Field 5000, which no release has.
    check_refused(&config(), normal, vec![0xc2, 0xb8, 0x02, 0x00], "of a kind that is not known");
    check_refused(&config(), normal, vec![0xff], "malformed request");
    let change = EntryType::EntryConfChange;
    check_refused(&config(), change, vec![0xff], "malformed configuration change");
    let bad = ConfChange { node_id: 7, context: Some(Bytes::from_static(b"{")), ..ConfChange::default() };
    check_refused(&config(), change, bad.encode_to_vec(), "a malformed change of the membership");
    let member =
        membership::Member { id: MemberId(7), peer_urls: vec!["http://b:1".into()], ..Default::default() };
    let add = membership::Change::Add(member).to_conf_change(None).encode_to_vec();
    check_refused(&config(), change, add, "anything but one voter");
    check_refused(&config(), EntryType::EntryConfChangeV2, vec![], "second form");
}
