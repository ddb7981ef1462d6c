//! Damaged files: an error or the content, never a panic, a hang or a large allocation.

#![allow(clippy::unwrap_used)]

mod common;

use bolt::{Batch, Error, Root};
use bytes::Bytes;
use common::{Model, PATH, Workload, commit, disk_with, open, open_visited, read_all};
use std::path::Path;
use stdx::prng::Prng;
use vfs::mem::MemDisk;

const PAGE_SIZE: u32 = 512;

/// The file after `commits` random batches, as an image.
fn sample(seed: u64, commits: usize) -> Vec<u8> {
    let disk = MemDisk::new();
    let mut db = open_visited(&disk, PAGE_SIZE).unwrap().0;
    let mut workload = Workload::new(seed);
    workload.large_values = false;
    for _ in 0..commits {
        db = commit(&disk, db, workload.batch()).0;
    }
    image_of(&db.root())
}

/// A file of few pages with a branch, a value that overflows, an inline bucket and free pages; and its content.
fn small_sample() -> (Vec<u8>, Model) {
    let disk = MemDisk::new();
    let mut db = open_visited(&disk, PAGE_SIZE).unwrap().0;
    let mut model = Model::new();
    for round in 0..2_u8 {
        let mut batch = Batch::new();
        for (bucket, keys) in [("large", 24), ("small", 3)] {
            batch.ensure_bucket(bucket.as_bytes());
            let pairs = model.entry(bucket.into()).or_default();
            for number in 0..keys {
                let key = format!("k{number}").into_bytes();
                let value = vec![round; if number == 20 { 700 } else { 20 }];
                batch.put(bucket.as_bytes(), key.clone().into(), value.clone().into());
                pairs.insert(key, value);
            }
        }
        db = commit(&disk, db, batch).0;
    }
    (image_of(&db.root()), model)
}

fn image_of(root: &Root) -> Vec<u8> {
    let image = root.image();
    let mut bytes = vec![0; image.size_bytes() as usize];
    assert_eq!(image.read_at(0, &mut bytes).unwrap(), bytes.len());
    bytes
}

/// Reads in all ways, whatever comes.
fn read_unchecked(root: &Root) {
    for name in root.bucket_names() {
        let bucket = root.bucket(name).unwrap();
        let _ = (bucket.get(b"k7").map(drop), bucket.cursor(b"").last().map(drop));
        let mut cursor = bucket.cursor(b"k1");
        while let Ok(Some(_)) = cursor.next() {}
    }
}

/// Does all one can do with a file; returns what opening visited.
fn exercise(bytes: &[u8]) -> Result<Model, Error> {
    let disk = disk_with(bytes);
    if let Ok(root) = Root::open_read_only(&disk, Path::new(PATH)) {
        // Without the checks of a writer, but it ends.
        let _ = root.check();
        read_unchecked(&root);
    }
    let (db, visited) = open_visited(&disk, PAGE_SIZE)?;
    let mut workload = Workload::new(1);
    workload.model = visited.clone();
    let mut batch = workload.batch();
    batch.ensure_bucket(b"small");
    let (db, root) = commit(&disk, db, batch);
    let root = root.expect("what opening has checked can be written");
    assert_eq!(root.bucket_names().count(), db.root().bucket_names().count());
    let read = read_all(&root)?;
    for (name, pairs) in &workload.model {
        assert_eq!(read.get(name).unwrap_or(&Default::default()), pairs);
    }
    Ok(visited)
}

#[test]
fn a_flipped_byte_is_an_error_or_harmless() {
    let (bytes, model) = small_sample();
    assert_eq!(exercise(&bytes).unwrap(), model);
    for at in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            let outcome = exercise(&damaged);
            if at < 2 * PAGE_SIZE as usize {
                assert_eq!(outcome.unwrap(), model, "the other meta has the same state");
            }
        }
    }
}

#[test]
fn a_file_cut_short_is_an_error() {
    let (bytes, _) = small_sample();
    // Up to the root's page number it looks like a new file whose creation was interrupted.
    for len in 0x21..bytes.len() {
        let disk = disk_with(&bytes[..len]);
        let outcome = open_visited(&disk, PAGE_SIZE);
        assert!(matches!(outcome, Err(Error::Corrupt { .. } | Error::NotBolt { .. })), "{len} bytes");
        assert_eq!(disk.content(Path::new(PATH)).unwrap(), bytes[..len], "nothing was written");
    }
}

#[test]
fn scrambled_structure_never_panics() {
    let mut rng = Prng::new(11);
    let samples: Vec<Vec<u8>> = (0..5).map(|seed| sample(seed, 6)).collect();
    for round in 0..400 {
        let mut damaged = samples[round % samples.len()].clone();
        for _ in 0..1 + rng.below(6) {
            let page = 2 + rng.below(damaged.len() as u64 / u64::from(PAGE_SIZE) - 2) as usize;
            // Headers and element arrays are where it hurts.
            let at = page * PAGE_SIZE as usize + rng.below(96) as usize;
            damaged[at] = match rng.below(4) {
                0 => 0,
                1 => 0xff,
                2 => damaged[at].wrapping_add(1),
                _ => rng.next_u64() as u8,
            };
        }
        let _ = exercise(&damaged);
    }
}

/// Finds the root branch of the only bucket, whose children's keys are `k0000` and on.
fn branch_sample() -> (Vec<u8>, usize) {
    let disk = MemDisk::new();
    let db = open(&disk);
    let mut batch = Batch::new();
    batch.ensure_bucket(b"b");
    for number in 0..400 {
        batch.put(b"b", format!("k{number:04}0").into(), vec![7; 100].into());
    }
    let (_, root) = commit(&disk, db, batch);
    let bytes = image_of(&root.unwrap());
    let branch = (2..bytes.len() / 4096).find(|page| bytes[page * 4096 + 8] == 1).unwrap() * 4096;
    (bytes, branch)
}

#[test]
fn a_separator_below_its_child_is_readable_and_put_right_by_the_next_change() {
    let (mut bytes, branch) = branch_sample();
    // The key of the second element, found by its position; its last byte made smaller.
    let element = branch + 32;
    let position = u32::from_le_bytes(bytes[element..element + 4].try_into().unwrap()) as usize;
    bytes[element + position + 5] = b'/';
    let separator = bytes[element + position..element + position + 6].to_vec();
    let disk = disk_with(&bytes);
    let (db, visited) = open_visited(&disk, 4096).unwrap();
    assert_eq!(visited[&b"b"[..]].len(), 400);
    let refused = db.root().check();
    assert!(
        matches!(&refused, Err(Error::Corrupt { what, .. }) if what.contains("does not fit")),
        "{refused:?}"
    );
    let mut key = separator;
    *key.last_mut().unwrap() = b'5';
    let mut batch = Batch::new();
    batch.put(b"b", key.into(), Bytes::new());
    let (_, root) = commit(&disk, db, batch);
    assert_eq!(root.unwrap().check().unwrap().pairs, 401);
}

#[test]
fn a_tree_that_meets_a_page_twice_is_an_error() {
    let (mut bytes, branch) = branch_sample();
    for target in [branch as u64 / 4096, 2, 3, 4, 6, 1 << 40, u64::MAX] {
        bytes[branch + 32 + 8..branch + 32 + 16].copy_from_slice(&target.to_le_bytes());
        assert!(
            matches!(open_visited(&disk_with(&bytes), 4096), Err(Error::Corrupt { .. })),
            "child {target}"
        );
        let root = Root::open_read_only(&disk_with(&bytes), Path::new(PATH)).unwrap();
        assert!(root.check().is_err());
        read_unchecked(&root);
    }
}

#[test]
fn other_kinds_of_buckets_are_refused_by_name() {
    let (bytes, _) = branch_sample();
    let root_leaf = (2..bytes.len() / 4096).rev().find(|page| bytes[page * 4096 + 8] == 2).unwrap() * 4096;
    let mut plain_in_root = bytes.clone();
    plain_in_root[root_leaf + 16] = 0;
    let leaf = (4..root_leaf / 4096).find(|page| bytes[page * 4096 + 8] == 2).unwrap() * 4096;
    let mut nested = bytes;
    nested[leaf + 16] = 1;
    for (bytes, what) in [(plain_in_root, "a plain key in the root"), (nested, "a bucket in a bucket")] {
        match open_visited(&disk_with(&bytes), 4096).map(drop) {
            Err(Error::Unsupported { what: found, .. }) => assert_eq!(found, what),
            other => panic!("{other:?}"),
        }
    }
}
