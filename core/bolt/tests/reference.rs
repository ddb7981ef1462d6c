//! A file that the reference wrote: read, checked, and changed.

#![allow(clippy::unwrap_used)]

mod common;

use bolt::{Batch, Root};
use common::{Model, PATH, commit, disk_with, open_visited, read_all};
use std::path::Path;

const FILE: &[u8] = include_bytes!("../testdata/bbolt-1.5.0-page-1024.db");

/// As `testdata/README.md` describes it.
fn content() -> Model {
    let key = (0..200_u8).filter(|number| !(50..80).contains(number)).map(|number| {
        let len = if number == 100 { 3000 } else { usize::from(number) * 7 % 50 };
        (format!("k{number:03}").into_bytes(), vec![number; len])
    });
    let small = ["a", "b", "c"].map(|key| (key.into(), format!("value of {key}").into_bytes()));
    Model::from([
        (b"empty".into(), [].into()),
        (b"key".into(), key.collect()),
        (b"small".into(), small.into()),
    ])
}

#[test]
fn a_file_of_the_reference_is_read_and_in_order() {
    let root = Root::open_read_only(&disk_with(FILE), Path::new(PATH)).unwrap();
    assert_eq!(root.page_size(), 1024);
    assert_eq!(root.size_bytes(), FILE.len() as u64);
    assert_eq!(read_all(&root).unwrap(), content());
    let report = root.check().unwrap();
    assert_eq!((report.buckets, report.pairs, report.leaked_pages), (3, 173, 0));
    assert!(report.free_pages > 0, "the sample has a stored list with pages in it");
}

#[test]
fn a_file_of_the_reference_takes_commits() {
    let disk = disk_with(FILE);
    let (mut db, visited) = open_visited(&disk, 4096).unwrap();
    let mut model = content();
    assert!(visited.iter().eq(model.iter().filter(|(_, pairs)| !pairs.is_empty())));
    let before = db.stats();
    for number in 0..300_u32 {
        let mut batch = Batch::new();
        let key = format!("k{:03}", number * 37 % 250).into_bytes();
        let pairs = model.get_mut(&b"key"[..]).unwrap();
        if pairs.remove(&key).is_some() {
            batch.delete(b"key", key.into());
        } else {
            batch.put(b"key", key.clone().into(), vec![1; 90].into());
            pairs.insert(key, vec![1; 90]);
        }
        db = commit(&disk, db, batch).0;
        let report = db.root().check().unwrap();
        let stats = db.stats();
        assert_eq!(
            report.free_pages,
            stats.free_pages + stats.pending_pages,
            "the stored list was given back, too"
        );
        assert_eq!(read_all(&db.root()).unwrap(), model);
    }
    assert!(db.stats().high_water.0 < before.high_water.0 * 2, "free pages are found and reused");
}
