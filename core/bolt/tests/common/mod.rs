//! What the tests share: a disk in memory, jobs driven at once, and a model of a file.
#![allow(dead_code, reason = "each test uses a part")]

use bolt::{Batch, Bucket, Db, Options, Result, Root};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use stdx::prng::Prng;
use vfs::mem::MemDisk;
use vfs::{Disk, Job, OpenMode, drive};

/// Buckets with their pairs.
pub type Model = BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, Vec<u8>>>;

pub const PATH: &str = "/db";

/// Opens the file and returns what opening visited, too.
pub fn open_visited(disk: &MemDisk, page_size: u32) -> Result<(Db, Model)> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let job = Job::new(|cx| async move {
        let visited = Mutex::new(Model::new());
        let options = Options { page_size, ..Options::default() };
        let db = Db::open(&cx, &shared, Path::new(PATH), options, &mut |bucket, key, value| {
            let mut visited = visited.lock().unwrap();
            let earlier = visited.entry(bucket.to_vec()).or_default().insert(key.to_vec(), value.to_vec());
            assert!(earlier.is_none(), "visited twice");
        })
        .await?;
        Ok((db, visited.into_inner().unwrap()))
    });
    drive(disk, job)
}

/// A disk that holds `bytes` as the file.
pub fn disk_with(bytes: &[u8]) -> MemDisk {
    let disk = MemDisk::new();
    let file = disk.open(Path::new(PATH), OpenMode::Create { mode: 0o600 }).unwrap();
    file.write_at(0, bytes).unwrap();
    disk
}

pub fn open(disk: &MemDisk) -> Db {
    open_visited(disk, 4096).unwrap().0
}

/// Commits and gives the writer back with the outcome.
pub fn commit(disk: &MemDisk, mut db: Db, batch: Batch) -> (Db, Result<Root>) {
    drive(
        disk,
        Job::new(|cx| async move {
            let root = db.commit(&cx, batch).await;
            (db, root)
        }),
    )
}

/// A bucket as a cursor from `start` reads it.
pub fn read_bucket(bucket: &Bucket<'_>, start: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut pairs = BTreeMap::new();
    let mut cursor = bucket.cursor(start);
    while let Some((key, value)) = cursor.next()? {
        if let Some((last, _)) = pairs.last_key_value() {
            assert!(last < &key.to_vec(), "cursor out of order");
        }
        pairs.insert(key.to_vec(), value.to_vec());
    }
    assert!(cursor.next()?.is_none(), "the end is the end");
    Ok(pairs)
}

/// Everything in a state.
pub fn read_all(root: &Root) -> Result<Model> {
    root.bucket_names()
        .map(|name| Ok((name.to_vec(), read_bucket(&root.bucket(name).unwrap(), b"")?)))
        .collect()
}

/// Applies to `model` what [`random_batch`] puts into a batch.
pub struct Workload {
    pub rng: Prng,
    pub model: Model,
    next_revision: u64,
    /// Values of more than a page now and then.
    pub large_values: bool,
}

impl Workload {
    pub fn new(seed: u64) -> Self {
        Self { rng: Prng::new(seed), model: Model::new(), next_revision: 1, large_values: true }
    }

    fn value(&mut self) -> Vec<u8> {
        let len = match self.rng.below(100) {
            0..50 => self.rng.below(40),
            50..90 => self.rng.below(400),
            90..98 => self.rng.below(3000),
            _ if self.large_values => self.rng.below(60_000),
            _ => 0,
        };
        let byte = self.rng.next_u64() as u8;
        vec![byte; len as usize]
    }

    /// A batch of appends, overwrites and deletes in a few buckets, already applied to the model.
    pub fn batch(&mut self) -> Batch {
        let mut batch = Batch::new();
        for name in [&b"key"[..], b"lease", b"meta"] {
            if self.rng.chance(1, 4) && self.model.contains_key(name) {
                continue;
            }
            batch.ensure_bucket(name);
            self.model.entry(name.to_vec()).or_default();
            match self.rng.below(10) {
                0..4 => self.append(&mut batch, name),
                4..7 => self.scatter(&mut batch, name),
                7 | 8 => self.delete_run(&mut batch, name),
                _ => self.delete_most(&mut batch, name),
            }
        }
        batch
    }

    fn put(&mut self, batch: &mut Batch, name: &[u8], key: Vec<u8>, value: Vec<u8>) {
        batch.put(name, key.clone().into(), value.clone().into());
        self.model.get_mut(name).unwrap().insert(key, value);
    }

    fn delete(&mut self, batch: &mut Batch, name: &[u8], key: &[u8]) {
        batch.delete(name, Bytes::copy_from_slice(key));
        self.model.get_mut(name).unwrap().remove(key);
    }

    fn append(&mut self, batch: &mut Batch, name: &[u8]) {
        batch.set_fill_percent(name, 90);
        for _ in 0..self.rng.below(200) {
            let key = [b"~".as_slice(), &self.next_revision.to_be_bytes()].concat();
            self.next_revision += 1;
            let value = self.value();
            self.put(batch, name, key, value);
        }
    }

    fn scatter(&mut self, batch: &mut Batch, name: &[u8]) {
        for _ in 0..self.rng.below(100) {
            let mut key = format!("k{}", self.rng.below(2000)).into_bytes();
            if self.rng.chance(1, 50) {
                key.resize(1 + self.rng.below(4000) as usize, b'x');
            }
            if self.rng.chance(1, 3) {
                self.delete(batch, name, &key);
            } else {
                let value = self.value();
                self.put(batch, name, key, value);
            }
        }
    }

    fn delete_run(&mut self, batch: &mut Batch, name: &[u8]) {
        let keys: Vec<Vec<u8>> = self.model[name].keys().cloned().collect();
        if !keys.is_empty() {
            let start = self.rng.below(keys.len() as u64) as usize;
            let len = self.rng.below(400) as usize;
            keys.iter().skip(start).take(len).for_each(|key| self.delete(batch, name, key));
        }
    }

    fn delete_most(&mut self, batch: &mut Batch, name: &[u8]) {
        let keys: Vec<Vec<u8>> = self.model[name].keys().cloned().collect();
        let kept = self.rng.below(20) + 1;
        for key in keys {
            if self.rng.below(100) >= kept {
                self.delete(batch, name, &key);
            }
        }
    }
}
