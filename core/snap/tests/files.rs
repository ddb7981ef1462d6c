//! Snapshot files on a disk that crashes.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use bytes::Bytes;
use proto::raftpb::{ConfState, Snapshot, SnapshotMetadata};
use proto::walpb;
use snap::{Error, Loaded, purge, remove_databases_below, remove_temporaries};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use stdx::prng::Prng;
use types::LogIndex;
use vfs::mem::{Damage, MemDisk};
use vfs::{Disk, ErrorKind, Job, OpenMode, drive};

fn dir() -> &'static Path {
    Path::new("/data/member/snap")
}

fn new_disk() -> MemDisk {
    let disk = MemDisk::new();
    disk.create_dir_all(dir(), 0o700).unwrap();
    disk.settle();
    disk
}

fn snapshot(term: u64, index: u64) -> Snapshot {
    let conf_state = ConfState { voters: vec![1, 2, u64::MAX], auto_leave: true, ..Default::default() };
    let data = Some(Bytes::from(format!("{{\"Root\":{index}}}").repeat(200)));
    Snapshot { data, metadata: SnapshotMetadata { conf_state, index, term } }
}

fn record(term: u64, index: u64) -> walpb::Snapshot {
    walpb::Snapshot { index, term, conf_state: None }
}

fn save(disk: &MemDisk, snapshot: &Snapshot) -> snap::Result<()> {
    let (shared, snapshot) = (Arc::new(disk.clone()), snapshot.clone());
    drive(disk, Job::new(async move |cx| snap::save(&cx, &*shared, dir(), &snapshot).await))
}

fn newest_of(disk: &MemDisk, dir: &Path, among: &[walpb::Snapshot]) -> snap::Result<Loaded> {
    let (shared, dir, among) = (Arc::new(disk.clone()), dir.to_owned(), among.to_vec());
    drive(disk, Job::new(async move |cx| snap::load_newest_available(&cx, &*shared, &dir, &among).await))
}

fn put_file(disk: &MemDisk, name: &str, content: &[u8]) -> PathBuf {
    let path = dir().join(name);
    disk.open(&path, OpenMode::Truncate { mode: 0o600 }).unwrap().write_at(0, content).unwrap();
    path
}

#[test]
fn the_newest_snapshot_that_the_log_knows_is_loaded() {
    let disk = new_disk();
    for (term, index) in [(1, 90), (2, 20), (2, 30), (3, 10)] {
        save(&disk, &snapshot(term, index)).unwrap();
    }
    let newest = |among: &[walpb::Snapshot]| newest_of(&disk, dir(), among).unwrap().snapshot;
    assert_eq!(newest(&[record(2, 30), record(1, 90)]), Some(snapshot(2, 30)), "by term, then index");
    assert_eq!(newest(&[record(0, 0), record(2, 20), record(3, 11)]), Some(snapshot(2, 20)));
    assert_eq!(newest(&[record(0, 0)]), None);
    assert_eq!(newest(&[]), None);
}

#[test]
fn a_broken_file_is_put_aside_for_an_older_one() {
    let disk = new_disk();
    save(&disk, &snapshot(1, 10)).unwrap();
    let good = disk.content(&dir().join("0000000000000001-000000000000000a.snap")).unwrap();
    let names = ["0000000000000001-0000000000000014.snap", "0000000000000001-000000000000001e.snap"];
    put_file(&disk, names[0], &good);
    put_file(&disk, names[1], b"");
    let among = [record(1, 10), record(1, 20), record(1, 30)];
    let loaded = newest_of(&disk, dir(), &among).unwrap();
    assert_eq!(loaded.snapshot, Some(snapshot(1, 10)));
    let aside: Vec<_> = loaded.broken.iter().map(|broken| broken.path.clone()).collect();
    assert_eq!(
        aside,
        [dir().join(format!("{}.broken", names[1])), dir().join(format!("{}.broken", names[0]))]
    );
    assert!(matches!(&loaded.broken[1].error, Error::Corrupt { .. }), "of another index than its name");
    assert_eq!(newest_of(&disk, dir(), &among).unwrap().broken, []);
}

#[test]
fn a_saved_snapshot_survives_any_power_loss() {
    let mut rng = Prng::new(1);
    for damage in Damage::ALL {
        let disk = new_disk();
        save(&disk, &snapshot(1, 10)).unwrap();
        let crashed = disk.crash(damage, &mut rng);
        let loaded = newest_of(&crashed, dir(), &[record(1, 10)]).unwrap();
        assert_eq!(loaded.snapshot, Some(snapshot(1, 10)), "{damage:?}");
    }
}

#[test]
fn a_power_loss_while_saving_never_yields_another_snapshot() {
    let disk = new_disk();
    save(&disk, &snapshot(1, 10)).unwrap();
    disk.record_images();
    save(&disk, &snapshot(1, 20)).unwrap();
    for image in disk.take_images() {
        for damage in Damage::ALL {
            for seed in 0..20 {
                let crashed = image.disk.crash(damage, &mut Prng::new(seed));
                let loaded = newest_of(&crashed, dir(), &[record(1, 10), record(1, 20)]).unwrap();
                let found = loaded.snapshot.expect("the older one is still there");
                assert!(
                    found == snapshot(1, 10) || found == snapshot(1, 20),
                    "{damage:?} after {}",
                    image.op
                );
            }
        }
    }
}

#[test]
fn a_failed_save_leaves_no_file() {
    let op_count = {
        let disk = new_disk();
        save(&disk, &snapshot(1, 10)).unwrap();
        disk.op_count()
    };
    let before = new_disk().op_count();
    assert_eq!(op_count - before, 4, "open, write, two syncs");
    for op in before + 1..=op_count {
        let disk = new_disk();
        disk.fail_at(op, ErrorKind::NoSpace);
        assert!(matches!(save(&disk, &snapshot(1, 10)), Err(Error::Disk(_))));
        assert_eq!(disk.list(dir()).unwrap(), [""; 0], "operation {op}");
    }
}

#[test]
fn the_oldest_files_are_removed_and_others_stay() {
    let disk = new_disk();
    for index in 1..=4 {
        save(&disk, &snapshot(1, index)).unwrap();
        put_file(&disk, &snap::database_name(LogIndex(index)), b"");
    }
    for name in ["db", "db.tmp.123", "tmp456", "foo.snap"] {
        put_file(&disk, name, b"");
    }
    assert_eq!(purge(&disk, dir(), 0).unwrap(), [""; 0]);
    let removed = purge(&disk, dir(), 3).unwrap();
    assert_eq!(removed, ["0000000000000001-0000000000000001.snap", "0000000000000001.snap.db"]);
    let removed = remove_databases_below(&disk, dir(), LogIndex(4)).unwrap();
    assert_eq!(removed, ["0000000000000002.snap.db", "0000000000000003.snap.db"]);
    assert_eq!(remove_temporaries(&disk, dir()).unwrap(), ["db.tmp.123", "tmp456"]);
    let left = disk.list(dir()).unwrap();
    assert_eq!(
        left,
        [
            "0000000000000001-0000000000000002.snap",
            "0000000000000001-0000000000000003.snap",
            "0000000000000001-0000000000000004.snap",
            "0000000000000004.snap.db",
            "db",
            "foo.snap",
        ]
    );
}
