use super::*;
use crate::{Job, LockKind, Step, drive};

const FILE: &str = "/data/file";

fn disk() -> MemDisk {
    let disk = MemDisk::new();
    disk.create_dir_all(Path::new("/data"), 0o700).unwrap();
    disk.settle();
    disk
}

fn create(disk: &MemDisk, path: &str) -> Arc<dyn File> {
    disk.open(Path::new(path), OpenMode::Create { mode: 0o600 }).unwrap()
}

fn lose_all(disk: &MemDisk) -> MemDisk {
    disk.crash(Damage::LoseAll, &mut Prng::new(0))
}

fn content(disk: &MemDisk, path: &str) -> Option<Vec<u8>> {
    disk.content(Path::new(path)).ok()
}

fn sync_data_dir(disk: &MemDisk) {
    disk.sync_dir(Path::new("/data")).unwrap();
}

#[test]
fn content_survives_only_with_its_sync_and_the_name_only_with_the_directory() {
    let disk = disk();
    let file = create(&disk, FILE);
    file.write_at(0, b"one").unwrap();
    file.sync_data().unwrap();
    assert_eq!(content(&lose_all(&disk), FILE), None, "the name was not synced");
    sync_data_dir(&disk);
    file.write_at(3, b"two").unwrap();
    assert_eq!(content(&lose_all(&disk), FILE), Some(b"one".to_vec()));
    assert_eq!(content(&disk.kill(), FILE), Some(b"onetwo".to_vec()), "the cache outlives the process");
    assert_eq!(content(&lose_all(&disk.kill()), FILE), Some(b"one".to_vec()), "but stays unsynced");
    file.sync_data().unwrap();
    assert_eq!(content(&lose_all(&disk), FILE), Some(b"onetwo".to_vec()));
}

#[test]
fn a_synced_name_of_an_unsynced_file_shows_an_empty_file() {
    let disk = disk();
    create(&disk, FILE).write_at(0, b"lost").unwrap();
    sync_data_dir(&disk);
    assert_eq!(content(&lose_all(&disk), FILE), Some(Vec::new()));
}

#[test]
fn a_rename_survives_whole_or_not_at_all() {
    let disk = disk();
    create(&disk, "/data/new").write_at(0, b"new").unwrap();
    create(&disk, FILE).write_at(0, b"old").unwrap();
    disk.settle();
    disk.rename(Path::new("/data/new"), Path::new(FILE)).unwrap();
    let mut rng = Prng::new(3);
    let (mut kept, mut lost) = (0, 0);
    for damage in [Damage::Prefix, Damage::RandomSubset, Damage::Reordered, Damage::TornSectors512] {
        for _ in 0..20 {
            let found = disk.crash(damage, &mut rng);
            match content(&found, FILE).unwrap().as_slice() {
                b"new" => kept += 1,
                b"old" => lost += 1,
                other => panic!("found {other:?}"),
            }
            let renamed = content(&found, FILE).unwrap() == b"new";
            assert_eq!(content(&found, "/data/new").is_none(), renamed, "both names or neither changed");
        }
    }
    assert!(kept > 10 && lost > 10, "{kept} kept, {lost} lost");
    sync_data_dir(&disk);
    assert_eq!(content(&lose_all(&disk), FILE), Some(b"new".to_vec()));
}

#[test]
fn an_unsynced_removal_can_come_back() {
    let disk = disk();
    create(&disk, FILE).write_at(0, b"x").unwrap();
    disk.settle();
    disk.remove_file(Path::new(FILE)).unwrap();
    assert_eq!(content(&disk.kill(), FILE), None);
    assert_eq!(content(&lose_all(&disk.kill()), FILE), Some(b"x".to_vec()));
    sync_data_dir(&disk);
    assert_eq!(content(&lose_all(&disk), FILE), None);
}

#[test]
fn a_subtree_vanishes_with_the_unsynced_name_of_its_directory() {
    let disk = disk();
    disk.create_dir_all(Path::new("/data/member/wal"), 0o700).unwrap();
    let file = create(&disk, "/data/member/wal/a");
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("/data/member/wal")).unwrap();
    disk.sync_dir(Path::new("/data/member")).unwrap();
    assert_eq!(lose_all(&disk).list(Path::new("/data")).unwrap(), Vec::<String>::new());
    sync_data_dir(&disk);
    assert_eq!(lose_all(&disk).list(Path::new("/data/member/wal")).unwrap(), ["a"]);
}

#[test]
fn data_behind_a_failed_sync_stays_in_doubt() {
    let disk = disk();
    let file = create(&disk, FILE);
    file.write_at(0, &[1; 4096]).unwrap();
    sync_data_dir(&disk);
    disk.fail_at(disk.op_count() + 1, ErrorKind::Other);
    assert_eq!(file.sync_data().unwrap_err().kind, ErrorKind::Other);
    file.write_at(4096, &[2; 4096]).unwrap();
    file.sync_data().unwrap();
    let found = content(&lose_all(&disk), FILE).unwrap();
    assert_eq!(found[..4096], [0; 4096], "a later sync says nothing about it");
    assert_eq!(found[4096..], [2; 4096], "what was written later is durable");
    assert_eq!(content(&disk, FILE).unwrap()[..4096], [1; 4096], "the cache still shows it");
}

#[test]
fn a_sync_covers_nothing_written_after_it_began() {
    let disk = disk();
    let file = create(&disk, FILE);
    sync_data_dir(&disk);
    file.write_at(0, b"early").unwrap();
    let sync = disk.begin(&Effect::SyncData(file.clone())).unwrap();
    let before = disk.op_count();
    file.write_at(0, b"later").unwrap();
    assert_eq!(content(&lose_all(&disk), FILE), Some(Vec::new()), "nothing is durable before the end");
    sync.finish().unwrap();
    assert_eq!(disk.op_count(), before + 2, "a sync counts once, at its end");
    assert_eq!(content(&lose_all(&disk), FILE), Some(b"early".to_vec()));

    create(&disk, "/data/a");
    let sync = disk.begin(&Effect::SyncDir(PathBuf::from("/data"))).unwrap();
    create(&disk, "/data/b");
    sync.finish().unwrap();
    assert_eq!(lose_all(&disk).list(Path::new("/data")).unwrap(), ["a", "file"]);
}

#[test]
fn faults_hit_the_operation_of_their_number_and_a_crash_stops_all_later_ones() {
    let disk = disk();
    let file = create(&disk, FILE);
    let start = disk.op_count();
    disk.fail_at(start + 2, ErrorKind::NoSpace);
    disk.crash_after(start + 3);
    file.write_at(0, &[b'a'; 1200]).unwrap();
    assert_eq!(file.write_at(0, &[b'b'; 1200]).unwrap_err().kind, ErrorKind::NoSpace);
    let expected = [[b'b'; 512].as_slice(), &[b'a'; 688]].concat();
    assert_eq!(content(&disk, FILE), Some(expected), "a failed write leaves half, in whole sectors");
    file.write_at(0, b"cccc").unwrap();
    for _ in 0..3 {
        assert_eq!(file.write_at(0, b"dddd").unwrap_err().detail, "the machine has crashed");
        assert!(disk.list(Path::new("/data")).is_err() && file.sync_data().is_err());
    }
    assert_eq!(content(&disk, FILE).unwrap()[..5], *b"ccccb");
    let restarted = disk.kill();
    assert!(restarted.list(Path::new("/data")).is_ok(), "the next start has no faults");
}

#[test]
fn locks_exclude_other_handles_until_the_last_one_is_dropped() {
    let disk = disk();
    let (first, second) = (create(&disk, FILE), create(&disk, FILE));
    first.try_lock(LockKind::OpenFileDescription).unwrap();
    first.try_lock(LockKind::OpenFileDescription).unwrap();
    assert_eq!(second.try_lock(LockKind::OpenFileDescription).unwrap_err().kind, ErrorKind::Locked);
    second.try_lock(LockKind::FlockShared).unwrap();
    assert_eq!(first.try_lock(LockKind::FlockExclusive).unwrap_err().kind, ErrorKind::Locked);
    first.try_lock(LockKind::FlockShared).unwrap();
    let after_kill = disk.kill();
    create(&after_kill, FILE).try_lock(LockKind::OpenFileDescription).unwrap();
    drop(first);
    second.try_lock(LockKind::OpenFileDescription).unwrap();
    second.try_lock(LockKind::FlockExclusive).unwrap();
}

#[test]
fn a_full_disk_takes_what_fits_and_freed_space_can_be_used() {
    let disk = disk();
    disk.set_capacity(Some(4 * 4096));
    let first = create(&disk, FILE);
    first.allocate(2 * 4096).unwrap();
    assert_eq!(first.len().unwrap(), 2 * 4096);
    let second = create(&disk, "/data/second");
    assert_eq!(second.write_at(0, &[1; 3 * 4096]).unwrap_err().kind, ErrorKind::NoSpace);
    assert_eq!(second.len().unwrap(), 2 * 4096);
    first.write_at(0, &[1; 2 * 4096]).unwrap();
    assert_eq!(first.allocate(3 * 4096).unwrap_err().kind, ErrorKind::NoSpace);
    disk.remove_file(Path::new("/data/second")).unwrap();
    assert!(first.allocate(3 * 4096).is_err(), "an open file keeps its space");
    drop(second);
    first.allocate(3 * 4096).unwrap();
}

#[test]
fn a_removed_file_stays_readable_through_its_handle_and_view() {
    let disk = disk();
    let file = create(&disk, FILE);
    file.write_at(0, b"still here").unwrap();
    let view = file.view().unwrap();
    disk.remove_file(Path::new(FILE)).unwrap();
    sync_data_dir(&disk);
    drop(file);
    assert_eq!(&*view.page(6, 4).unwrap(), b"here");
    assert!(view.page(6, 5).is_none());
}

#[test]
fn removing_a_tree_can_be_interrupted_between_its_names() {
    let disk = disk();
    disk.create_dir_all(Path::new("/data/tmp/inner"), 0o700).unwrap();
    create(&disk, "/data/tmp/a");
    create(&disk, "/data/tmp/inner/b");
    // List, remove a, list inner; then the machine stops in front of removing b.
    disk.crash_after(disk.op_count() + 3);
    assert!(disk.remove_dir_all(Path::new("/data/tmp")).is_err());
    let found = disk.kill();
    assert_eq!(found.list(Path::new("/data/tmp")).unwrap(), ["inner"]);
    found.remove_dir_all(Path::new("/data/tmp")).unwrap();
    assert_eq!(found.list(Path::new("/data")).unwrap(), Vec::<String>::new());
    let missing = found.remove_dir_all(Path::new("/data/tmp")).unwrap_err();
    assert_eq!(missing.kind, ErrorKind::NotFound);
}

#[test]
fn names_fail_as_on_a_real_disk() {
    let disk = disk();
    let path = Path::new;
    let kind = |result: Result<()>| result.unwrap_err().kind;
    create(&disk, FILE);
    let open = |name: &str, mode| disk.open(path(name), mode).map(|_| ());
    assert_eq!(kind(open("/data/none", OpenMode::Read)), ErrorKind::NotFound);
    assert_eq!(kind(open("/none/x", OpenMode::Create { mode: 0o600 })), ErrorKind::NotFound);
    assert_eq!(kind(open("/data", OpenMode::Read)), ErrorKind::Other);
    assert_eq!(kind(disk.create_dir_all(path(FILE), 0o700)), ErrorKind::Other);
    assert_eq!(kind(disk.rename(path(FILE), path("/data"))), ErrorKind::Other);
    assert_eq!(kind(disk.rename(path("/data"), path("/data/file/sub"))), ErrorKind::Other);
    assert_eq!(kind(disk.rename(path("/none"), path("/data/x"))), ErrorKind::NotFound);
    assert_eq!(kind(disk.remove_file(path("/data"))), ErrorKind::Other);
    let reader = disk.open(path(FILE), OpenMode::Read).unwrap();
    assert_eq!(kind(reader.write_at(0, b"x")), ErrorKind::PermissionDenied);
    assert_eq!(kind(create(&disk, FILE).write_at(u64::MAX, b"x")), ErrorKind::Other);
    assert!(disk.exists(path("data/./file")).unwrap(), "relative paths begin at the root");
    assert!(!disk.exists(path("/data/none")).unwrap());
}

#[test]
fn images_are_the_disk_after_each_change() {
    let run = |disk: &MemDisk| {
        let file = create(disk, FILE);
        file.write_at(0, b"a").unwrap();
        file.read_at(0, &mut [0]).unwrap();
        file.sync_data().unwrap();
        file.write_at(1, b"b").unwrap();
        disk.sync_dir(Path::new("/data")).unwrap();
    };
    let recorded = disk();
    recorded.record_images();
    recorded.record_trace();
    run(&recorded);
    let images = recorded.take_images();
    let kinds: Vec<OpKind> = recorded.trace().iter().map(|op| op.kind).collect();
    use OpKind::{Open, Read, SyncData, SyncDir, Write};
    assert_eq!(kinds, [Open, Write, Read, SyncData, Write, SyncDir]);
    assert_eq!(images.iter().map(|image| image.op - images[0].op).collect::<Vec<_>>(), [0, 1, 2, 4, 5, 6]);
    for image in &images {
        let stopped = disk();
        stopped.crash_after(image.op);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&stopped)));
        assert_eq!(outcome.is_ok(), image.op == images.last().unwrap().op);
        assert_eq!(stopped.kill().digest(), image.disk.digest());
        for damage in Damage::ALL {
            let found = |disk: &MemDisk| disk.crash(damage, &mut Prng::new(image.op)).digest();
            assert_eq!(found(&stopped), found(&image.disk), "{damage:?} after {}", image.op);
        }
    }
}

#[test]
fn jobs_run_on_it() {
    let disk = disk();
    let other = disk.clone();
    let work = move |cx: crate::Cx| async move {
        let file = create(&other, FILE);
        file.write_at(0, b"data").unwrap();
        cx.sync_data(&file).await.unwrap();
        cx.sync_dir(Path::new("/data")).await.unwrap();
    };
    let mut job = Job::new(work.clone());
    assert!(matches!(job.step(Ok(())), Step::Perform(Effect::SyncData(_))));
    assert_eq!(content(&lose_all(&disk), FILE), None);
    drive(&disk, Job::new(work));
    assert_eq!(content(&lose_all(&disk), FILE), Some(b"data".to_vec()));
}

/// Every version a file had, and the version that the last sync covered.
struct Versions {
    all: Vec<Vec<u8>>,
    synced: usize,
}

/// Whether each unit of `found` is as in some version that a power loss may show.
fn check_units(found: &[u8], versions: &Versions, unit: usize, damage: Damage) {
    for start in (0..found.len()).step_by(unit) {
        let end = (start + unit).min(found.len());
        let possible = versions.all[versions.synced..]
            .iter()
            .any(|version| (start..end).all(|at| version.get(at).copied().unwrap_or(0) == found[at]));
        assert!(possible, "{damage:?}: bytes {start}..{end} were never so");
    }
}

#[test]
fn a_crash_shows_each_sector_as_it_was_at_or_after_the_last_sync() {
    let mut rng = Prng::new(11);
    let mut outcomes = std::collections::BTreeSet::new();
    for round in 0..200 {
        let disk = disk();
        let file = create(&disk, FILE);
        disk.settle();
        let mut versions = Versions { all: vec![Vec::new()], synced: 0 };
        for _ in 0..rng.below(12) {
            let mut next = versions.all.last().unwrap().clone();
            match rng.below(8) {
                0 | 1 => {
                    file.sync_data().unwrap();
                    versions.synced = versions.all.len() - 1;
                    continue;
                }
                2 => {
                    next.resize(next.len() + rng.below(3000) as usize, 0);
                    file.set_len(next.len() as u64).unwrap();
                }
                _ => {
                    let (start, len) = (rng.below(9000) as usize, 1 + rng.below(6000) as usize);
                    let data = vec![1 + rng.below(255) as u8; len];
                    next.resize(next.len().max(start + len), 0);
                    next[start..start + len].copy_from_slice(&data);
                    file.write_at(start as u64, &data).unwrap();
                }
            }
            versions.all.push(next);
        }
        for damage in Damage::ALL {
            let crashed = disk.crash(damage, &mut rng);
            let found = content(&crashed, FILE).unwrap();
            assert!(found.len() >= versions.all[versions.synced].len());
            check_units(&found, &versions, SECTOR_SIZE_BYTES as usize, damage);
            match damage {
                Damage::LoseAll => assert_eq!(found, versions.all[versions.synced]),
                Damage::Prefix => assert!(versions.all[versions.synced..].contains(&found)),
                _ => {}
            }
            let in_one_piece = versions.all.contains(&found);
            outcomes.insert((damage, in_one_piece));
            assert_eq!(
                lose_all(&crashed).digest(),
                crashed.digest(),
                "what was found is durable, round {round}"
            );
        }
    }
    for damage in [Damage::RandomSubset, Damage::Reordered, Damage::TornSectors512, Damage::TornPages4096] {
        assert!(outcomes.contains(&(damage, false)), "{damage:?} never mixed two versions");
    }
}

#[test]
fn page_damage_never_tears_a_page() {
    let mut rng = Prng::new(5);
    for _ in 0..100 {
        let disk = disk();
        let file = create(&disk, FILE);
        disk.settle();
        let mut versions = Versions { all: vec![Vec::new()], synced: 0 };
        for byte in 1..6 {
            let start = rng.below(4) as usize * 4096;
            let mut next = versions.all.last().unwrap().clone();
            next.resize(next.len().max(start + 3 * 4096), 0);
            next[start..start + 3 * 4096].fill(byte);
            file.write_at(start as u64, &[byte; 3 * 4096]).unwrap();
            versions.all.push(next);
        }
        for damage in [Damage::RandomSubset, Damage::Reordered, Damage::TornPages4096] {
            let found = content(&disk.crash(damage, &mut rng), FILE).unwrap();
            check_units(&found, &versions, 4096, damage);
        }
    }
}

#[test]
fn the_digest_sees_names_lengths_and_bytes_but_not_the_way_there() {
    let build = |steps: &[(&str, u64, &[u8])]| {
        let disk = disk();
        for (path, offset, data) in steps {
            create(&disk, path).write_at(*offset, data).unwrap();
        }
        disk.digest()
    };
    let base = build(&[("/data/a", 0, b"one"), ("/data/b", 0, b"two")]);
    assert_eq!(base, build(&[("/data/b", 0, b"two"), ("/data/a", 0, b"xne"), ("/data/a", 0, b"o")]));
    assert_ne!(base, build(&[("/data/a", 0, b"one"), ("/data/c", 0, b"two")]));
    assert_ne!(base, build(&[("/data/a", 0, b"one"), ("/data/b", 0, b"two\0")]));
    assert_ne!(base, build(&[("/data/a", 0, b"two"), ("/data/b", 0, b"one")]));
}
