//! Random batches against a model: content, structure, old states, reopening.

#![allow(clippy::unwrap_used)]

mod common;

use bolt::{Batch, Error, Root};
use bytes::Bytes;
use common::{Model, PATH, Workload, commit, open, open_visited, read_all, read_bucket};
use std::path::Path;
use vfs::mem::MemDisk;
use vfs::{Disk, ErrorKind};

fn assert_holds(root: &Root, model: &Model) {
    assert_eq!(&read_all(root).unwrap(), model);
    let report = root.check().unwrap();
    assert_eq!(report.pairs as usize, model.values().map(|pairs| pairs.len()).sum::<usize>());
    assert_eq!(report.leaked_pages, 0);
    assert_eq!(report.used_pages + report.free_pages, root.high_water().0);
}

/// Commits random batches, sometimes opens the file anew, holds some states for a while.
fn check(seed: u64, page_size: u32, commits: usize) {
    let disk = MemDisk::new();
    let (mut db, visited) = open_visited(&disk, page_size).unwrap();
    assert!(visited.is_empty());
    let mut workload = Workload::new(seed);
    workload.large_values = page_size > 512;
    let mut held: Vec<(Root, Model)> = Vec::new();
    for _ in 0..commits {
        let batch = workload.batch();
        let is_empty = batch.is_empty();
        let before = db.stats();
        let (writer, root) = commit(&disk, db, batch);
        db = writer;
        let root = root.unwrap();
        assert_holds(&root, &workload.model);
        if is_empty {
            assert_eq!(db.stats(), before);
        }
        let stats = db.stats();
        let report = root.check().unwrap();
        assert_eq!(report.free_pages, stats.free_pages + stats.pending_pages, "every page has an owner");
        match workload.rng.below(10) {
            0..3 => held.push((root, workload.model.clone())),
            3..6 if !held.is_empty() => {
                let index = workload.rng.below(held.len() as u64) as usize;
                let (root, model) = held.swap_remove(index);
                assert_holds(&root, &model);
            }
            6 => {
                drop(root);
                held.clear();
                drop(db);
                let opened = open_visited(&disk, 8192).unwrap();
                db = opened.0;
                let visited = opened.1;
                let filled = workload.model.iter().filter(|(_, pairs)| !pairs.is_empty());
                assert!(visited.iter().eq(filled), "opening visits every pair");
                assert_eq!(db.root().page_size(), page_size, "a file keeps its page size");
            }
            _ => {}
        }
        for (root, model) in &held {
            assert_eq!(&read_all(root).unwrap(), model, "a held state changed");
        }
    }
}

#[test]
fn any_sequence_of_batches_reads_back_with_pages_of_4096() {
    (0..12).for_each(|seed| check(seed, 4096, 40));
}

#[test]
fn any_sequence_of_batches_reads_back_with_pages_of_512() {
    (100..112).for_each(|seed| check(seed, 512, 40));
}

#[test]
fn get_cursor_and_last_agree_with_the_model() {
    let disk = MemDisk::new();
    let mut db = open(&disk);
    let mut workload = Workload::new(7);
    for _ in 0..20 {
        db = commit(&disk, db, workload.batch()).0;
    }
    let root = db.root();
    for (name, pairs) in &workload.model {
        let bucket = root.bucket(name).unwrap();
        for (key, value) in pairs {
            assert_eq!(bucket.get(key).unwrap().as_deref(), Some(&value[..]));
            let missing = [&key[..], b"\0"].concat();
            assert!(pairs.contains_key(&missing) || bucket.get(&missing).unwrap().is_none());
        }
        assert!(bucket.get(b"").unwrap().is_none());
        for probe in (0..200).map(|_| format!("k{}", workload.rng.below(2500)).into_bytes()) {
            let from_probe: Vec<_> = pairs.range(probe.clone()..).take(3).collect();
            let mut cursor = bucket.cursor(&probe);
            for (key, value) in from_probe {
                assert_eq!(cursor.next().unwrap(), Some((&key[..], &value[..])));
            }
        }
        let mut cursor = bucket.cursor(b"k5");
        let last = pairs.last_key_value().map(|(key, value)| (&key[..], &value[..]));
        assert_eq!(cursor.last().unwrap(), last);
        assert_eq!(cursor.next().unwrap(), None);
        assert!(read_bucket(&bucket, b"\xff\xff").unwrap().is_empty());
    }
    assert!(root.bucket(b"none").is_none());
}

#[test]
fn an_empty_batch_writes_nothing() {
    let disk = MemDisk::new();
    let mut db = open(&disk);
    let mut batch = Batch::new();
    batch.ensure_bucket(b"key");
    db = commit(&disk, db, batch.clone()).0;
    let before = (disk.digest(), disk.op_count(), db.stats());
    for batch in [batch, Batch::new()] {
        db = commit(&disk, db, batch).0;
    }
    assert_eq!((disk.digest(), disk.op_count(), db.stats()), before);
}

#[test]
fn the_first_commit_of_etcd_uses_five_pages_of_a_grown_file() {
    let disk = MemDisk::new();
    let db = open(&disk);
    assert_eq!((db.stats().high_water.0, db.stats().txid.0, db.stats().file_bytes), (4, 1, 16384));
    let mut batch = Batch::new();
    for name in ["key", "meta", "lease", "auth", "authUsers", "authRoles", "members", "cluster", "alarm"] {
        batch.ensure_bucket(name.as_bytes());
    }
    batch.put(b"auth", Bytes::from_static(b"authRevision"), Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0, 1]));
    let (db, root) = commit(&disk, db, batch);
    assert_eq!(db.stats().file_bytes, 16_801_792);
    let root = root.unwrap();
    assert_eq!((root.txid().0, root.size_bytes()), (2, 20_480));
    let page = &disk.content(Path::new(PATH)).unwrap()[4 * 4096..5 * 4096];
    let text = |bytes: &[u8]| stdx::hex::encode(bytes);
    // "alarm" is empty, "auth" holds one pair; both lie inline.
    let alarm = page.windows(5).position(|window| window == b"alarm").unwrap();
    assert_eq!(text(&page[alarm + 5..alarm + 37]), format!("{:032}00000000000000000200000000000000", 0));
    assert_eq!(
        text(&page[alarm + 41..alarm + 41 + 68]),
        format!(
            "{:032}0000000000000000020001000000000000000000100000000c00000008000000{}0000000000000001",
            0,
            text(b"authRevision")
        )
    );
}

#[test]
fn an_image_is_a_file_of_the_same_state() {
    let disk = MemDisk::new();
    let mut db = open(&disk);
    let mut workload = Workload::new(3);
    for _ in 0..7 {
        db = commit(&disk, db, workload.batch()).0;
    }
    let root = db.root();
    let (image, model) = (root.image(), workload.model.clone());
    assert_eq!(image.size_bytes(), root.size_bytes());
    // Commits go on while the image is read.
    let copy = MemDisk::new();
    let file = copy.open(Path::new(PATH), vfs::OpenMode::Create { mode: 0o600 }).unwrap();
    let mut offset = 0;
    loop {
        let mut piece = vec![0; 1 + workload.rng.below(10_000) as usize];
        let read = image.read_at(offset, &mut piece).unwrap();
        if read == 0 {
            break;
        }
        file.write_at(offset, &piece[..read]).unwrap();
        offset += read as u64;
        if workload.rng.chance(1, 20) {
            db = commit(&disk, db, workload.batch()).0;
        }
    }
    assert_eq!(offset, image.size_bytes());
    let (mut twin, visited) = open_visited(&copy, 4096).unwrap();
    assert_eq!(twin.root().txid(), root.txid());
    assert_eq!(
        visited,
        model.iter().filter(|(_, p)| !p.is_empty()).map(|(n, p)| (n.clone(), p.clone())).collect()
    );
    assert_holds(&twin.root(), &model);
    // The copy takes commits, too.
    workload.model = model;
    for _ in 0..5 {
        twin = commit(&copy, twin, workload.batch()).0;
        assert_holds(&twin.root(), &workload.model);
    }
}

#[test]
fn pairs_outside_of_the_limits_are_refused_without_effect() {
    let disk = MemDisk::new();
    let mut db = open(&disk);
    for (key_len, is_good) in [(0, false), (1, true), (32768, true), (32769, false)] {
        let mut batch = Batch::new();
        batch.ensure_bucket(b"b");
        batch.put(b"b", vec![1; key_len].into(), Bytes::new());
        let (writer, outcome) = commit(&disk, db, batch);
        db = writer;
        assert_eq!(outcome.is_ok(), is_good, "{key_len} bytes");
        assert!(is_good || matches!(outcome, Err(Error::PairSize { .. })));
    }
    let mut batch = Batch::new();
    batch.put(b"none", Bytes::from_static(b"k"), Bytes::new());
    let (db, outcome) = commit(&disk, db, batch);
    assert!(matches!(outcome, Err(Error::NoSuchBucket { .. })));
    db.root().check().unwrap();
}

#[test]
fn large_values_and_long_keys_overflow_and_come_back() {
    let disk = MemDisk::new();
    let mut db = open(&disk);
    let mut model = Model::new();
    let pairs = model.entry(b"key".to_vec()).or_default();
    for step in 0..30_u32 {
        let mut batch = Batch::new();
        batch.ensure_bucket(b"key");
        let mut key = step.to_be_bytes().to_vec();
        if step % 3 == 0 {
            key.resize(32768, step as u8);
        }
        let value = vec![step as u8; if step % 5 == 0 { 1_572_864 } else { 100 }];
        batch.put(b"key", key.clone().into(), value.clone().into());
        pairs.insert(key, value);
        db = commit(&disk, db, batch).0;
    }
    assert_holds(&db.root(), &model);
    for step in (0..30_u32).filter(|step| step % 4 != 0) {
        let model_bucket = model.get_mut(&b"key"[..]).unwrap();
        let key = model_bucket.keys().find(|key| key.starts_with(&step.to_be_bytes())).unwrap().clone();
        model_bucket.remove(&key);
        let mut batch = Batch::new();
        batch.delete(b"key", key.into());
        db = commit(&disk, db, batch).0;
        assert_holds(&db.root(), &model);
    }
}

/// Also with keys so long that branches are as sparse as leaves.
#[test]
fn what_is_left_after_deletes_lies_in_few_pages() {
    for key_len in [8, 900] {
        let disk = MemDisk::new();
        let mut db = open(&disk);
        let key = |number: u32| {
            let mut key = format!("k{number:05}").into_bytes();
            key.resize(key_len, b'.');
            Bytes::from(key)
        };
        let mut batch = Batch::new();
        batch.ensure_bucket(b"key");
        (0..4000).for_each(|number| batch.put(b"key", key(number), vec![1; 100].into()));
        db = commit(&disk, db, batch).0;
        let full = db.root().check().unwrap().used_pages;
        let mut batch = Batch::new();
        (0..4000).filter(|number| number % 40 != 0).for_each(|number| batch.delete(b"key", key(number)));
        db = commit(&disk, db, batch).0;
        let report = db.root().check().unwrap();
        assert_eq!(report.pairs, 100);
        assert!(report.used_pages < full / 10, "{} of {full} pages", report.used_pages);
    }
}

#[test]
fn a_long_held_state_does_not_keep_what_came_and_went_after_it() {
    let disk = MemDisk::new();
    let mut db = open(&disk);
    let mut batch = Batch::new();
    batch.ensure_bucket(b"key");
    for key in 0..1000_u32 {
        batch.put(b"key", Bytes::copy_from_slice(&key.to_be_bytes()), vec![0; 200].into());
    }
    db = commit(&disk, db, batch).0;
    let held = db.root();
    let mut high_water = 0;
    for round in 0..200_u32 {
        let mut batch = Batch::new();
        for key in 0..1000_u32 {
            batch.put(b"key", Bytes::copy_from_slice(&key.to_be_bytes()), vec![round as u8; 200].into());
        }
        db = commit(&disk, db, batch).0;
        if round == 10 {
            high_water = db.stats().high_water.0;
        }
    }
    assert_eq!(db.stats().high_water.0, high_water, "space is reused while an old state is held");
    assert_eq!(held.bucket(b"key").unwrap().get(&[0; 4]).unwrap().as_deref(), Some(&[0; 200][..]));
    drop(held);
    let mut batch = Batch::new();
    batch.put(b"key", Bytes::from_static(b"x"), Bytes::new());
    db = commit(&disk, db, batch).0;
    assert!(db.stats().pending_pages < 5, "all is free but what the last commit replaced");
}

#[test]
fn a_second_writer_is_locked_out_and_readers_share() {
    let disk = MemDisk::new();
    let db = open(&disk);
    let locked = |outcome: bolt::Result<()>| match outcome {
        Err(Error::Disk(error)) => error.kind == ErrorKind::Locked,
        _ => false,
    };
    assert!(locked(open_visited(&disk, 4096).map(drop)));
    assert!(locked(Root::open_read_only(&disk, Path::new(PATH)).map(drop)));
    drop(db);
    let first = Root::open_read_only(&disk, Path::new(PATH)).unwrap();
    let second = Root::open_read_only(&disk, Path::new(PATH)).unwrap();
    assert!(locked(open_visited(&disk, 4096).map(drop)));
    drop((first, second));
    open(&disk);
}

#[test]
fn a_failed_commit_makes_the_writer_unusable() {
    let disk = MemDisk::new();
    let mut batch = Batch::new();
    batch.ensure_bucket(b"b");
    let mut operation = 0;
    loop {
        operation += 1;
        let disk = disk.kill();
        let db = open(&disk);
        disk.fail_at(disk.op_count() + operation, ErrorKind::NoSpace);
        let (db, outcome) = commit(&disk, db, batch.clone());
        if outcome.is_ok() {
            break;
        }
        assert!(matches!(outcome, Err(Error::Disk(_))));
        assert_eq!(db.root().bucket_names().count(), 0, "the old state is still there");
        let (_, again) = commit(&disk, db, batch.clone());
        assert!(matches!(again, Err(Error::Unusable { .. })));
    }
    assert!(operation >= 5, "grow, pages, sync, meta, sync");
}

#[test]
fn handles_may_be_shared_between_threads() {
    fn assert_shared<T: Send + Sync>() {}
    assert_shared::<Root>();
    assert_shared::<bolt::Image>();
    assert_shared::<Batch>();
    assert_shared::<bolt::Db>();
}
