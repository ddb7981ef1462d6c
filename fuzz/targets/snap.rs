//! Bytes as a snapshot file: read by any name and by its own, and saved again.
//!
//! The first byte of an input says whether the rest is a file, or the snapshot in one with the right checksum.
#![no_main]

use bytes::Bytes;
use fuzz::{Outcome, contents_of, disk_with, drive_job};
use membership::V2Membership;
use prost::Message as _;
use proto::raftpb::{ConfState, Snapshot, SnapshotMetadata};
use proto::walpb;
use snap::{Error, SnapshotName};
use std::path::Path;
use types::{LogIndex, Term};
use vfs::mem::{Damage, MemDisk};
use vfs::{Job, drive};

fuzz::target!(run, seeds);

const DIR: &str = "/data/snap";

fn run(bytes: &[u8]) -> Outcome {
    let Some((form, rest)) = bytes.split_first() else { return Outcome::Refused };
    let file = if *form == 0 { rest.to_vec() } else { file_of(rest) };
    let any_name = Path::new(DIR).join("snapshot");
    let disk = disk_with([(any_name.as_path(), &file[..])]);
    let before = contents_of(&disk);
    let loaded = snap::load(&disk, &any_name);
    assert_eq!(loaded, snap::load(&disk, &any_name), "read twice");
    assert_eq!(contents_of(&disk), before, "reading changes nothing");
    check_newest(&file, loaded.as_ref().ok());
    let Ok(snapshot) = loaded else { return Outcome::Refused };
    check_saved(&snapshot);
    // What releases up to 3.6 keep the membership in.
    let data = snapshot.data.unwrap_or_default();
    assert_eq!(V2Membership::parse(&data), V2Membership::parse(&data), "read twice");
    Outcome::Accepted
}

/// A file of this snapshot with the right checksum.
fn file_of(snapshot: &[u8]) -> Vec<u8> {
    let data = Some(Bytes::copy_from_slice(snapshot));
    walpb::SnapFile { crc: crc32c::crc32c(snapshot), data }.encode_to_vec()
}

/// Under the names of two snapshots a file is found as the newer one that it is, and put aside as the other.
fn check_newest(file: &[u8], snapshot: Option<&Snapshot>) {
    let own = snapshot.map_or((7, 7), |snapshot| (snapshot.metadata.term, snapshot.metadata.index));
    let other = (own.0.wrapping_add(1), own.1);
    let path = |(term, index)| {
        Path::new(DIR).join(SnapshotName { term: Term(term), index: LogIndex(index) }.to_string())
    };
    let (own_path, other_path) = (path(own), path(other));
    let disk = disk_with([(own_path.as_path(), file), (other_path.as_path(), file)]);
    let among = [own, other].map(|(term, index)| walpb::Snapshot { index, term, conf_state: None });
    let shared = disk.clone();
    let job =
        Job::new(async move |cx| snap::load_newest_available(&cx, &shared, Path::new(DIR), &among).await);
    let found = drive(&disk, job).expect("the disk works");
    assert_eq!(found.snapshot.as_ref(), snapshot, "the good one is found");
    let is_own_newer = own > other;
    let broken = if snapshot.is_none() { 2 } else { usize::from(!is_own_newer) };
    assert_eq!(found.broken.len(), broken, "what is not good is put aside");
    for broken in &found.broken {
        assert!(matches!(broken.error, Error::Corrupt { .. }));
        assert_eq!(disk.content(&broken.path).as_deref(), Ok(file), "put aside as it is");
    }
}

/// Saved again it is the same, also after a crash.
fn check_saved(snapshot: &Snapshot) {
    if snapshot.metadata.index == 0 {
        return; // it holds nothing, and is never saved
    }
    let disk = disk_with([(Path::new("/data/snap/placeholder"), &[][..])]);
    let saved = snapshot.clone();
    drive_job(&disk, async move |cx, disk| {
        snap::save(&cx, &*disk, Path::new(DIR), &saved).await.expect("the disk takes everything");
    });
    let name = SnapshotName { term: Term(snapshot.metadata.term), index: LogIndex(snapshot.metadata.index) };
    let crashed: MemDisk = disk.crash(Damage::LoseAll, &mut stdx::prng::Prng::new(1));
    let read = snap::load(&crashed, &Path::new(DIR).join(name.to_string()));
    assert_eq!(read.as_ref(), Ok(snapshot), "what was saved is read");
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let snapshot = |data: &[u8], conf_state| Snapshot {
        data: Some(Bytes::copy_from_slice(data)),
        metadata: SnapshotMetadata { conf_state, index: 7, term: 2 },
    };
    let learner = ConfState { voters: vec![1, u64::MAX], learners: vec![2], ..ConfState::default() };
    let joint =
        ConfState { voters_outgoing: vec![3], learners_next: vec![4], auto_leave: true, ..learner.clone() };
    let empty = membership::v2_snapshot(&membership::Cluster::default());
    let plain = snapshot(empty.as_bytes(), learner).encode_to_vec();
    vec![
        ("file".into(), [&[0][..], &file_of(&plain)].concat()),
        ("plain".into(), [&[1][..], &plain].concat()),
        ("joint".into(), [&[1][..], &snapshot(b"{}", joint).encode_to_vec()].concat()),
        ("empty".into(), vec![1, 18, 0]),
    ]
}
