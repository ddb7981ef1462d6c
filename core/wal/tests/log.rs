//! What is written is read, across segments, overwrites and restarts.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod common;

use common::*;
use proto::walpb;
use std::path::Path;
use types::LogIndex;
use vfs::mem::OpKind;
use vfs::{Disk, ErrorKind, LockKind, OpenMode};
use wal::{Error, Options, valid_snapshots};

#[test]
fn a_new_log_is_empty_and_keeps_its_identity() {
    let disk = new_disk();
    assert!(!wal::exists(&disk, dir()).unwrap());
    drop(Log::create(&disk, Options::default()).unwrap());
    assert!(wal::exists(&disk, dir()).unwrap());
    assert!(!disk.exists(Path::new("/data/member/wal.tmp")).unwrap());
    assert_eq!(disk.open(&segment(&disk, 0), OpenMode::Read).unwrap().len().unwrap(), 64_000_000);

    let (mut log, replay) = Log::open(&disk, Options::default()).unwrap();
    assert_eq!(replay.node, NODE);
    assert_eq!(replay.entries, []);
    assert_eq!(replay.hard_state, state(0, 0, 0));
    assert!(replay.snapshot_found);
    assert_eq!(replay.torn, None);
    assert_eq!(log.wal().last_index(), LogIndex(0));
    assert_eq!(valid_snapshots(&disk, dir()).unwrap(), [walpb::Snapshot::default()]);
}

#[test]
fn a_log_is_not_made_over_another() {
    let disk = new_disk();
    let _log = Log::create(&disk, SMALL).unwrap();
    assert_eq!(Log::create(&disk, SMALL).err(), Some(Error::AlreadyExists { dir: dir().to_owned() }));
}

#[test]
fn what_is_left_of_an_earlier_attempt_is_replaced() {
    let disk = new_disk();
    for left in ["/data/member/wal.tmp", "/data/member/wal"] {
        disk.create_dir_all(Path::new(left), 0o700).unwrap();
        put_file(&disk, &Path::new(left).join("0.tmp"), b"old");
    }
    drop(Log::create(&disk, SMALL).unwrap());
    let names = ["0000000000000000-0000000000000000.wal"];
    assert_eq!(disk.list(dir()).unwrap(), names);
}

#[test]
fn a_log_made_with_its_first_entries_has_them() {
    let disk = new_disk();
    let made = run(&disk, async |cx, disk| {
        let state = state(1, 0, 1);
        wal::Wal::create_with(&cx, &disk, dir(), NODE, Some(&state), &entries(1..=2, 1), SMALL).await
    });
    assert_eq!(made.unwrap().last_index(), LogIndex(2));
    let (_, replay) = Log::open(&disk, SMALL).unwrap();
    assert_eq!(replay.entries, entries(1..=2, 1));
    assert_eq!(replay.hard_state, state(1, 0, 1));
}

#[test]
fn entries_come_back_across_segments() {
    let disk = new_disk();
    let mut log = Log::create(&disk, SMALL).unwrap();
    for index in 1..=300 {
        log.save(Some(state(3, 7, index - 1)), &entries(index..=index, 3)).unwrap();
    }
    assert_eq!(log.wal().last_index(), LogIndex(300));
    drop(log);

    let names = wal::segments(&disk, dir()).unwrap();
    assert!(names.len() > 5, "only {} segments", names.len());
    let lengths: Vec<_> =
        names.iter().map(|name| disk.content(&dir().join(name.to_string())).unwrap().len()).collect();
    let (last, closed) = lengths.split_last().unwrap();
    assert!(
        closed.iter().all(|len| (2048..2300).contains(len)),
        "closed segments end where their records end"
    );
    assert_eq!(*last, 2048);

    let (_, replay) = Log::open(&disk, SMALL).unwrap();
    assert_eq!(replay.entries, entries(1..=300, 3));
    assert_eq!(replay.hard_state, state(3, 7, 299));
    assert_eq!(wal::read_only(&disk, dir(), &walpb::Snapshot::default()).unwrap(), replay);
}

#[test]
fn a_later_entry_of_the_same_index_replaces_the_rest() {
    let disk = new_disk();
    let mut log = Log::create(&disk, SMALL).unwrap();
    log.save(Some(state(1, 1, 0)), &entries(1..=100, 1)).unwrap();
    log.save(Some(state(2, 2, 0)), &entries(50..=60, 2)).unwrap();
    assert_eq!(log.wal().last_index(), LogIndex(60));
    log.save(None, &entries(61..=62, 2)).unwrap();
    drop(log);
    let (mut log, replay) = Log::open(&disk, SMALL).unwrap();
    assert_eq!(replay.entries, [entries(1..=49, 1), entries(50..=62, 2)].concat());
    log.save(None, &entries(1..=1, 2)).unwrap();
    drop(log);
    assert_eq!(Log::open(&disk, SMALL).unwrap().1.entries, entries(1..=1, 2));
}

#[test]
fn an_overwrite_below_the_snapshot_drops_what_came_behind() {
    let disk = new_disk();
    let mut log = Log::create(&disk, SMALL).unwrap();
    log.save(Some(state(1, 1, 0)), &entries(1..=9, 1)).unwrap();
    log.save(Some(state(2, 1, 0)), &entries(4..=5, 2)).unwrap();
    log.save_snapshot(Some(state(2, 1, 5)), snapshot(5, 2)).unwrap();
    drop(log);
    let (mut log, replay) = Log::open_at(&disk, snapshot(5, 2), SMALL).unwrap();
    assert_eq!(replay.entries, []);
    assert_eq!(log.wal().last_index(), LogIndex(5));
}

#[test]
fn only_a_commit_index_goes_without_a_sync() {
    let disk = new_disk();
    let mut log = Log::create(&disk, SMALL).unwrap();
    let mut syncs = |state, entries: &[_]| {
        disk.record_trace();
        log.save(state, entries).unwrap();
        let kinds: Vec<_> = disk.trace().iter().map(|op| op.kind).collect();
        assert!(kinds.iter().filter(|kind| **kind == OpKind::Write).count() <= 1, "one write for all");
        kinds.iter().filter(|kind| **kind == OpKind::SyncData).count()
    };
    assert_eq!(syncs(Some(state(1, 0, 0)), &[]), 1, "the term changed");
    assert_eq!(syncs(Some(state(1, 5, 0)), &[]), 1, "the vote changed");
    assert_eq!(syncs(None, &entries(1..=3, 1)), 1, "entries");
    assert_eq!(syncs(Some(state(1, 5, 3)), &[]), 0, "the commit index changed");
    assert_eq!(syncs(Some(state(0, 0, 0)), &[]), 0, "an empty state is not written");
    assert_eq!(syncs(None, &[]), 0, "nothing");
    log.sync().unwrap();
    let crashed = disk.crash(vfs::mem::Damage::LoseAll, &mut stdx::prng::Prng::new(0));
    assert_eq!(Log::open(&crashed, SMALL).unwrap().1.hard_state, state(1, 5, 3));
}

#[test]
fn every_segment_opens_with_the_last_state_also_after_a_restart() {
    let disk = new_disk();
    let mut log = Log::create(&disk, SMALL).unwrap();
    log.save(Some(state(4, 9, 0)), &entries(1..=1, 4)).unwrap();
    drop(log);
    let (mut log, _) = Log::open(&disk, SMALL).unwrap();
    log.save(None, &entries(2..=100, 4)).unwrap();
    let names = wal::segments(&disk, dir()).unwrap();
    assert_eq!((names[1].sequence, names[1].first_index), (1, LogIndex(101)));
    disk.remove_file(&segment(&disk, 0)).unwrap();
    drop(log);
    let (_, replay) = Log::open_at(&disk, snapshot(101, 4), SMALL).unwrap();
    assert_eq!(replay.hard_state, state(4, 9, 0));
    assert_eq!(replay.node, NODE);
    assert!(!replay.snapshot_found);
}

#[test]
fn opening_at_a_snapshot_gives_what_is_behind_it() {
    let disk = new_disk();
    let mut log = Log::create(&disk, SMALL).unwrap();
    log.save(Some(state(1, 1, 0)), &entries(1..=80, 1)).unwrap();
    log.save_snapshot(Some(state(1, 1, 70)), snapshot(70, 1)).unwrap();
    log.save(None, &entries(81..=90, 1)).unwrap();
    drop(log);
    assert_eq!(valid_snapshots(&disk, dir()).unwrap(), [walpb::Snapshot::default(), snapshot(70, 1)]);
    let (_, replay) = Log::open_at(&disk, snapshot(70, 1), SMALL).unwrap();
    assert_eq!(replay.entries, entries(71..=90, 1));
    assert!(replay.snapshot_found);
    let (_, replay) = Log::open_at(&disk, snapshot(71, 1), SMALL).unwrap();
    assert_eq!(replay.entries, entries(72..=90, 1));
    assert!(!replay.snapshot_found);
    let error = Log::open_at(&disk, snapshot(70, 2), SMALL).err();
    let expected = Error::SnapshotMismatch { index: LogIndex(70), expected_term: 2, found_term: 1 };
    assert_eq!(error, Some(expected));
}

#[test]
fn a_snapshot_from_the_leader_moves_the_log_ahead() {
    let disk = new_disk();
    let mut log = Log::create(&disk, SMALL).unwrap();
    log.save(Some(state(1, 1, 0)), &entries(1..=5, 1)).unwrap();
    log.save_snapshot(Some(state(2, 0, 1000)), snapshot(1000, 2)).unwrap();
    assert_eq!(log.wal().last_index(), LogIndex(1000));
    log.save(None, &entries(1001..=1100, 2)).unwrap();
    assert_eq!(wal::segments(&disk, dir()).unwrap()[1].first_index, LogIndex(1101));
    drop(log);
    let (mut log, replay) = Log::open_at(&disk, snapshot(1000, 2), SMALL).unwrap();
    assert_eq!(replay.entries, entries(1001..=1100, 2));
    assert_eq!(log.wal().last_index(), LogIndex(1100));
    assert!(matches!(Log::open(&disk.kill(), SMALL).err(), Some(Error::Corrupt { .. })), "a gap");
}

#[test]
fn a_gap_is_an_error_that_names_it() {
    let disk = new_disk();
    let mut log = Log::create(&disk, SMALL).unwrap();
    log.save(Some(state(1, 1, 10)), &entries(1..=2, 1)).unwrap();
    log.save_snapshot(None, snapshot(8, 1)).unwrap();
    log.save(None, &entries(9..=9, 1)).unwrap();
    drop(log);
    let Err(Error::Corrupt { path, expected, found, .. }) = Log::open(&disk, SMALL) else {
        panic!("the gap went unseen");
    };
    assert_eq!(path, segment(&disk, 0));
    assert_eq!((&*expected, &*found), ("an entry of index 3 or lower", "index 9"));
}

#[test]
fn a_snapshot_above_the_last_commit_is_not_valid() {
    let disk = new_disk();
    let mut log = Log::create(&disk, SMALL).unwrap();
    log.save(Some(state(1, 1, 5)), &entries(1..=9, 1)).unwrap();
    log.save_snapshot(None, snapshot(5, 1)).unwrap();
    log.save_snapshot(Some(state(1, 1, 6)), snapshot(6, 1)).unwrap();
    // No log of ours goes back with its commit index, but one may end with an older state after a crash of another.
    log.save(Some(state(1, 1, 5)), &[]).unwrap();
    drop(log);
    assert_eq!(valid_snapshots(&disk, dir()).unwrap(), [walpb::Snapshot::default(), snapshot(5, 1)]);
}

#[test]
fn a_log_is_open_for_writing_once() {
    let disk = new_disk();
    let mut log = Log::create(&disk, SMALL).unwrap();
    log.save(Some(state(1, 1, 0)), &entries(1..=100, 1)).unwrap();
    let path = segment(&disk, 0);
    assert_eq!(Log::open(&disk, SMALL).err(), Some(Error::InUse { path }));
    assert_eq!(wal::read_only(&disk, dir(), &walpb::Snapshot::default()).unwrap().entries.len(), 100);
    drop(log);
    assert!(Log::open(&disk, SMALL).is_ok());
}

#[test]
fn released_segments_are_removed_oldest_first_down_to_the_number_kept() {
    let disk = new_disk();
    let mut log = Log::create(&disk, SMALL).unwrap();
    for start in [1, 101, 201, 301] {
        log.save(Some(state(1, 1, start)), &entries(start..=start + 99, 1)).unwrap();
    }
    let names: Vec<_> = wal::segments(&disk, dir()).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), 5);
    assert_eq!(log.purge(1).unwrap(), [""; 0], "nothing is released");
    log.wal().release_to(LogIndex(250));
    assert_eq!(log.purge(0).unwrap(), [""; 0], "0 keeps all");
    assert_eq!(log.purge(4).unwrap(), names[..1]);
    let reader = disk.open(&dir().join(&names[1]), OpenMode::ReadWrite).unwrap();
    reader.try_lock(LockKind::OpenFileDescription).unwrap();
    assert_eq!(log.purge(1).unwrap(), [""; 0], "another process has it");
    drop(reader);
    assert_eq!(log.purge(1).unwrap(), names[1..2], "the segment with index 250 is needed");
    drop(log);
    let (_, replay) = Log::open_at(&disk, snapshot(250, 1), SMALL).unwrap();
    assert_eq!(replay.entries, entries(251..=400, 1));
}

#[test]
fn segments_before_a_missing_one_do_not_count() {
    let disk = new_disk();
    let mut log = Log::create(&disk, SMALL).unwrap();
    for start in [1, 101, 201] {
        log.save(Some(state(1, 1, start)), &entries(start..=start + 99, 1)).unwrap();
        log.save_snapshot(None, snapshot(start, 1)).unwrap();
    }
    drop(log);
    disk.remove_file(&segment(&disk, 1)).unwrap();
    assert_eq!(valid_snapshots(&disk, dir()).unwrap(), [snapshot(101, 1), snapshot(201, 1)]);
    assert_eq!(Log::open_at(&disk, snapshot(201, 1), SMALL).unwrap().1.entries, entries(202..=300, 1));
    let missing = Error::NoSegment { dir: dir().to_owned(), index: LogIndex(0) };
    assert_eq!(Log::open(&disk, SMALL).err(), Some(missing.clone()));
    disk.remove_dir_all(dir()).unwrap();
    disk.create_dir_all(dir(), 0o700).unwrap();
    assert_eq!(valid_snapshots(&disk, dir()).err(), Some(missing));
}

#[test]
fn after_a_failed_write_or_sync_nothing_more_is_written() {
    let clean = new_disk();
    drop(Log::create(&clean, SMALL).unwrap());
    let op_count = {
        let disk = clean.kill();
        let mut log = Log::open(&disk, SMALL).unwrap().0;
        let before = disk.op_count();
        log.save(Some(state(1, 1, 0)), &entries(1..=100, 1)).unwrap();
        assert_eq!(wal::segments(&disk, dir()).unwrap().len(), 2, "the save has cut");
        disk.op_count() - before
    };
    for op in 1..op_count {
        let disk = clean.kill();
        let mut log = Log::open(&disk, SMALL).unwrap().0;
        disk.fail_at(disk.op_count() + op, ErrorKind::Other);
        let failed = log.save(Some(state(1, 1, 0)), &entries(1..=100, 1));
        assert!(matches!(failed, Err(Error::Disk(_))), "operation {op}: {failed:?}");
        let poisoned = Err(Error::Poisoned { dir: dir().to_owned() });
        assert_eq!(log.save(None, &entries(101..=101, 1)), poisoned);
        assert_eq!(log.save_snapshot(None, walpb::Snapshot::default()), poisoned);
        assert_eq!(log.sync(), poisoned);
    }
}

#[test]
fn a_full_disk_delays_the_next_segment_only() {
    let disk = new_disk();
    let mut log = Log::create(&disk, Options { segment_size_bytes: 8192 }).unwrap();
    disk.set_capacity(Some(8192 * 2 - 1));
    let mut index = 0;
    let mut fill = |log: &mut Log, times| {
        for _ in 0..times {
            index += 1;
            log.save(Some(state(1, 1, 0)), &entries(index..=index, 1)).unwrap();
        }
    };
    fill(&mut log, 100);
    assert_eq!(disk.list(dir()).unwrap().len(), 1, "no room for a second segment");
    disk.set_capacity(None);
    fill(&mut log, 50);
    assert_eq!(wal::segments(&disk, dir()).unwrap().len(), 2);
    drop(log);
    assert_eq!(Log::open(&disk, SMALL).unwrap().1.entries, entries(1..=150, 1));
}

#[test]
fn a_failed_creation_leaves_no_log() {
    let op_count = {
        let disk = new_disk();
        drop(Log::create(&disk, SMALL).unwrap());
        disk.op_count()
    };
    for op in 1..=op_count {
        let disk = new_disk();
        disk.fail_at(op, ErrorKind::NoSpace);
        let log = Log::create(&disk, SMALL);
        let renamed = wal::exists(&disk, dir()).unwrap();
        if log.is_err() && renamed {
            // The last steps come behind the rename: the log is whole.
            assert_eq!(Log::open(&disk, SMALL).unwrap().1.node, NODE);
            continue;
        }
        drop(log);
        if !renamed {
            assert!(Log::create(&disk, SMALL).is_ok(), "operation {op}");
        }
    }
}
