//! Power losses and kills at every operation: what was acknowledged is there, what was not is there whole or not at all.

#![allow(clippy::unwrap_used)]

mod common;

use bolt::{Batch, Db};
use common::{Model, PATH, Workload, commit, disk_with, open, open_visited, read_all};
use std::path::Path;
use stdx::prng::Prng;
use vfs::mem::{Damage, MemDisk};
use vfs::{Job, drive};

/// The state after each commit, and the operations within which it became so.
struct History {
    states: Vec<(u64, Model)>,
}

impl History {
    /// The states that a crash right after operation `op` may leave.
    fn allowed(&self, op: u64) -> &[(u64, Model)] {
        let acknowledged = self.states.partition_point(|(end, _)| *end <= op).saturating_sub(1);
        &self.states[acknowledged..self.states.len().min(acknowledged + 2)]
    }
}

fn run(disk: &MemDisk, mut db: Db, workload: &mut Workload, commits: usize) -> (Db, History) {
    let mut states = vec![(disk.op_count(), read_all(&db.root()).unwrap())];
    for _ in 0..commits {
        db = commit(disk, db, workload.batch()).0;
        states.push((disk.op_count(), workload.model.clone()));
    }
    (db, History { states })
}

/// Opens what a crash left, checks it, commits to it; returns its content.
fn recover(disk: &MemDisk) -> Model {
    let (db, visited) = open_visited(disk, 4096).unwrap();
    let found = read_all(&db.root()).unwrap();
    assert!(visited.iter().eq(found.iter().filter(|(_, pairs)| !pairs.is_empty())));
    db.root().check().unwrap();
    drop(db);
    let (db, again) = open_visited(disk, 4096).unwrap();
    assert_eq!(again, visited, "a second recovery is identical");
    let mut batch = Batch::new();
    batch.ensure_bucket(b"after");
    let (_, root) = commit(disk, db, batch);
    root.unwrap().check().unwrap();
    found
}

fn check_images(disk: &MemDisk, history: &History, rng: &mut Prng) {
    for image in disk.take_images() {
        for damage in Damage::ALL {
            let found = recover(&image.disk.crash(damage, rng));
            let allowed = history.allowed(image.op);
            assert!(
                allowed.iter().any(|(_, state)| *state == found),
                "{damage:?} after operation {}",
                image.op
            );
        }
        let found = recover(&image.disk.kill());
        assert!(
            history.allowed(image.op).iter().any(|(_, state)| *state == found),
            "kill after {}",
            image.op
        );
    }
}

#[test]
fn a_power_loss_at_any_operation_leaves_an_acknowledged_state() {
    for seed in 0..4 {
        let disk = MemDisk::new();
        disk.record_images();
        let mut workload = Workload::new(seed);
        workload.large_values = false;
        let db = open(&disk);
        let (_, history) = run(&disk, db, &mut workload, 8);
        check_images(&disk, &history, &mut Prng::new(seed));
    }
}

/// Crashes in commits to a file that is durable before.
fn check_file(bytes: &[u8], seed: u64) {
    let disk = disk_with(bytes);
    disk.settle();
    let mut workload = Workload::new(seed);
    workload.large_values = false;
    let db = open(&disk);
    workload.model = read_all(&db.root()).unwrap();
    disk.record_images();
    let (_, history) = run(&disk, db, &mut workload, 3);
    check_images(&disk, &history, &mut Prng::new(seed));
}

#[test]
fn a_power_loss_leaves_the_stored_free_list_of_the_reference_whole() {
    (0..3).for_each(|seed| check_file(include_bytes!("../testdata/bbolt-1.5.0-page-1024.db"), seed));
}

/// The newest meta of an image is at page 0, also when it should be at page 1 by its number.
#[test]
fn a_commit_to_an_image_leaves_the_meta_it_builds_on_alone() {
    for commits in [4, 5] {
        let disk = MemDisk::new();
        let mut workload = Workload::new(1);
        workload.large_values = false;
        let (db, _) = run(&disk, open(&disk), &mut workload, commits);
        let image = db.root().image();
        let mut bytes = vec![0; image.size_bytes() as usize];
        image.read_at(0, &mut bytes).unwrap();
        check_file(&bytes, commits as u64);

        let copy = disk_with(&bytes);
        let db = open(&copy);
        let mut batch = Batch::new();
        batch.ensure_bucket(b"new");
        let root = commit(&copy, db, batch).1.unwrap();
        let after = copy.content(Path::new(PATH)).unwrap();
        assert!(after[..4096] == bytes[..4096], "page 0 held the newest meta");
        assert!(after[4096..8192] != bytes[4096..8192], "page 1 holds the new one");
        assert_eq!(root.txid().0 % 2, 1, "a meta lies at the page of its parity");
    }
}

#[test]
fn what_a_killed_process_left_cannot_be_taken_back_once_it_has_settled() {
    let disk = MemDisk::new();
    disk.record_images();
    let mut workload = Workload::new(5);
    workload.large_values = false;
    run(&disk, open(&disk), &mut workload, 3);
    let mut could_be_taken_back = 0;
    for image in disk.take_images() {
        let disk = image.disk.kill();
        let mut db = open(&disk);
        let found = read_all(&db.root()).unwrap();
        let after_power_loss = |disk: &MemDisk| {
            let left = disk.crash(Damage::LoseAll, &mut Prng::new(0));
            read_all(&open(&left).root()).unwrap()
        };
        could_be_taken_back += u64::from(after_power_loss(&disk) != found);
        drive(&disk, Job::new(|cx| async move { db.settle(&cx).await })).unwrap();
        assert_eq!(after_power_loss(&disk), found, "after operation {}", image.op);
    }
    assert!(could_be_taken_back >= 3, "{could_be_taken_back}");
}

/// A meta that a killed process wrote but did not sync may be lost with the next power loss, together with what
/// the successor has written.
#[test]
fn a_power_loss_after_a_kill_leaves_an_acknowledged_state() {
    for seed in 0..4 {
        let disk = MemDisk::new();
        let mut workload = Workload::new(seed);
        workload.large_values = false;
        disk.record_images();
        run(&disk, open(&disk), &mut workload, 5);
        for image in disk.take_images().into_iter().step_by(3) {
            let disk = image.disk.kill();
            disk.record_images();
            let start = image.disk.kill();
            let db = open(&disk);
            let mut workload = Workload::new(seed + 100);
            workload.large_values = false;
            workload.model = read_all(&db.root()).unwrap();
            let (_, history) = run(&disk, db, &mut workload, 2);
            let mut rng = Prng::new(seed);
            for later in disk.take_images() {
                for damage in Damage::ALL {
                    let found = recover(&later.disk.crash(damage, &mut rng));
                    let mut allowed = history.allowed(later.op).iter();
                    // Before the successor has synced, what its predecessor had not is in doubt.
                    let is_older = later.op <= history.states[1].0 && is_older_state(&start, &found);
                    assert!(
                        allowed.any(|(_, state)| *state == found) || is_older,
                        "{damage:?} after {}",
                        later.op
                    );
                }
            }
        }
    }
}

/// Whether `found` is what the disk had before the changes that the killed process left unsynced.
fn is_older_state(disk: &MemDisk, found: &Model) -> bool {
    let durable = disk.crash(Damage::LoseAll, &mut Prng::new(0));
    read_all(&open(&durable).root()).unwrap() == *found
}
