//! Entries that are read back, and logs that were begun anew at a snapshot from another member.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod common;

use common::*;
use proto::raftpb::Entry;
use types::LogIndex;
use vfs::mem::MemDisk;
use wal::{Error, Options, Wanted};

fn read(disk: &MemDisk, range: (u64, u64), bytes_max: u64, terms: &[(u64, u64)]) -> wal::Result<Vec<Entry>> {
    let (from, until) = (LogIndex(range.0), LogIndex(range.1));
    let wanted = Wanted { from, until, bytes_max, terms: terms.to_vec() };
    run(disk, async move |cx, disk| wal::read_back(&cx, &*disk, dir(), &wanted).await)
}

#[test]
fn entries_are_read_back_from_whichever_segments_they_are_in() {
    let disk = new_disk();
    let mut log = Log::create(&disk, SMALL).unwrap();
    for index in 1..=300 {
        log.save(Some(state(3, 7, index - 1)), &entries(index..=index, 3)).unwrap();
    }
    assert!(wal::segments(&disk, dir()).unwrap().len() > 5);
    for range in [(1, 300), (1, 1), (120, 180), (300, 300)] {
        let expected = entries(range.0..=range.1, 3);
        assert_eq!(read(&disk, range, u64::MAX, &[(1, 3)]).unwrap(), expected, "{range:?}");
    }
    assert_eq!(read(&disk, (50, 300), 0, &[(1, 3)]).unwrap(), entries(50..=50, 3), "at least one");
    assert!(read(&disk, (50, 300), 200, &[(1, 3)]).unwrap().len() < 50);
    assert_eq!(read(&disk, (290, 400), u64::MAX, &[(1, 3)]).unwrap(), entries(290..=300, 3));
    assert_eq!(read(&disk, (301, 302), u64::MAX, &[(1, 3)]).unwrap(), []);
}

#[test]
fn of_entries_that_were_replaced_the_wanted_ones_are_read() {
    let disk = new_disk();
    let mut log = Log::create(&disk, SMALL).unwrap();
    log.save(Some(state(1, 1, 0)), &entries(1..=100, 1)).unwrap();
    log.save(Some(state(2, 2, 0)), &entries(50..=60, 2)).unwrap();
    log.save(Some(state(4, 2, 0)), &entries(55..=70, 4)).unwrap();
    let terms = [(1, 1), (50, 2), (55, 4)];
    let all = [entries(1..=49, 1), entries(50..=54, 2), entries(55..=70, 4)].concat();
    for from in [1, 48, 50, 54, 55, 70] {
        let skip = usize::try_from(from - 1).unwrap();
        assert_eq!(read(&disk, (from, 70), u64::MAX, &terms).unwrap(), all[skip..], "from {from}");
    }
}

#[test]
fn entries_in_segments_that_are_gone_are_an_error_of_their_own() {
    let disk = new_disk();
    let mut log = Log::create(&disk, SMALL).unwrap();
    for index in 1..=300 {
        log.save(Some(state(3, 7, index)), &entries(index..=index, 3)).unwrap();
    }
    log.save_snapshot(None, snapshot(280, 3)).unwrap();
    log.wal().release_to(LogIndex(280));
    log.purge(1).unwrap();
    assert!(matches!(read(&disk, (10, 20), u64::MAX, &[(1, 3)]), Err(Error::NoSegment { .. })));
    assert_eq!(read(&disk, (290, 300), u64::MAX, &[(1, 3)]).unwrap(), entries(290..=300, 3));
}

#[test]
fn a_log_begun_anew_at_a_snapshot_forgets_what_did_not_lead_there() {
    let behind = |term_there: u64, snapshot_term: u64| {
        let disk = new_disk();
        let mut log = Log::create(&disk, Options::default()).unwrap();
        log.save(Some(state(6, 0, 0)), &entries(1..=20, term_there)).unwrap();
        log.save_snapshot(Some(state(7, 0, 10)), snapshot(10, snapshot_term)).unwrap();
        let at = snapshot(10, snapshot_term);
        let before = wal::read_only(&disk, dir(), &at).unwrap().entries;
        log.save(Some(state(7, 0, 10)), &entries(11..=12, 7)).unwrap();
        (before, wal::read_only(&disk, dir(), &at).unwrap().entries)
    };
    // The entry at the snapshot's index is the one that it covers: a snapshot of this member's own state.
    assert_eq!(behind(6, 6), (entries(11..=20, 6), entries(11..=12, 7)));
    // Another entry was there: the snapshot is the leader's, and what lies behind the other entry is nobody's.
    assert_eq!(behind(6, 5), (vec![], entries(11..=12, 7)));
    assert_eq!(behind(2, 5), (vec![], entries(11..=12, 7)));
}
