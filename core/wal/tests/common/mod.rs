//! What the tests of the log share.
#![allow(dead_code, reason = "each test file uses its part")]

use bytes::Bytes;
use proto::raftpb::{ConfState, Entry, HardState};
use proto::walpb;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vfs::mem::MemDisk;
use vfs::{Cx, Disk, Job, OpenMode, drive};
use wal::{Options, Replay, Result, Wal};

/// Small enough that a few entries fill it.
pub const SMALL: Options = Options { segment_size_bytes: 2048 };

pub const NODE: walpb::Metadata = walpb::Metadata { node_id: 0xbdae_9bbc, cluster_id: 0xd1d7_4ccc };

pub fn dir() -> &'static Path {
    Path::new("/data/member/wal")
}

pub fn new_disk() -> MemDisk {
    let disk = MemDisk::new();
    disk.create_dir_all(Path::new("/data/member"), 0o700).unwrap();
    disk.settle();
    disk
}

/// Runs `work` to its end, each sync done at once.
pub fn run<T, F: Future<Output = T> + Send + 'static>(
    disk: &MemDisk,
    work: impl FnOnce(Cx, Arc<dyn Disk>) -> F,
) -> T {
    let shared = Arc::new(disk.clone());
    drive(disk, Job::new(|cx| work(cx, shared)))
}

/// A log with the disk it is on, for calls one after the other.
pub struct Log {
    pub disk: MemDisk,
    /// Out only while a job works on it.
    wal: Option<Wal>,
}

impl Log {
    pub fn create(disk: &MemDisk, options: Options) -> Result<Self> {
        let wal = run(disk, async move |cx, disk| Wal::create(&cx, &disk, dir(), NODE, options).await)?;
        Ok(Self { disk: disk.clone(), wal: Some(wal) })
    }

    pub fn open_at(disk: &MemDisk, at: walpb::Snapshot, options: Options) -> Result<(Self, Replay)> {
        let opened = run(disk, async move |cx, disk| Wal::open(&cx, &disk, dir(), &at, options).await);
        let (wal, replay) = opened?;
        Ok((Self { disk: disk.clone(), wal: Some(wal) }, replay))
    }

    pub fn open(disk: &MemDisk, options: Options) -> Result<(Self, Replay)> {
        Self::open_at(disk, walpb::Snapshot::default(), options)
    }

    pub fn save(&mut self, state: Option<HardState>, entries: &[Entry]) -> Result<()> {
        let entries = entries.to_vec();
        self.with(async move |cx, mut wal| (wal.save(&cx, state.as_ref(), &entries).await, wal))
    }

    pub fn save_snapshot(&mut self, state: Option<HardState>, snapshot: walpb::Snapshot) -> Result<()> {
        self.with(async move |cx, mut wal| (wal.save_snapshot(&cx, state.as_ref(), &snapshot).await, wal))
    }

    pub fn sync(&mut self) -> Result<()> {
        self.with(async move |cx, mut wal| (wal.sync(&cx).await, wal))
    }

    pub fn purge(&mut self, keep: usize) -> Result<Vec<String>> {
        self.with(async move |cx, mut wal| (wal.purge(&cx, keep).await, wal))
    }

    pub fn wal(&mut self) -> &mut Wal {
        self.wal.as_mut().expect("no job is under way")
    }

    fn with<T, F>(&mut self, work: impl FnOnce(Cx, Wal) -> F) -> T
    where
        F: Future<Output = (T, Wal)> + Send + 'static,
    {
        let wal = self.wal.take().expect("no job is under way");
        let (result, wal) = drive(&self.disk, Job::new(|cx| work(cx, wal)));
        self.wal = Some(wal);
        result
    }
}

pub fn entry(index: u64, term: u64, data: &[u8]) -> Entry {
    Entry { r#type: 0, term, index, data: Some(Bytes::copy_from_slice(data)) }
}

pub fn entries(range: std::ops::RangeInclusive<u64>, term: u64) -> Vec<Entry> {
    range.map(|index| entry(index, term, format!("value of {index} in {term}").as_bytes())).collect()
}

pub fn state(term: u64, vote: u64, commit: u64) -> HardState {
    HardState { term, vote, commit }
}

pub fn snapshot(index: u64, term: u64) -> walpb::Snapshot {
    let conf_state = Some(ConfState { voters: vec![NODE.node_id], ..ConfState::default() });
    walpb::Snapshot { index, term, conf_state }
}

/// The path of the segment with this sequence number.
pub fn segment(disk: &MemDisk, sequence: u64) -> PathBuf {
    let names = wal::segments(disk, dir()).unwrap();
    let name = names.iter().find(|name| name.sequence == sequence).expect("a segment with that number");
    dir().join(name.to_string())
}

/// Replaces the content of a file.
pub fn put_file(disk: &MemDisk, path: &Path, content: &[u8]) {
    disk.open(path, OpenMode::Truncate { mode: 0o600 }).unwrap().write_at(0, content).unwrap();
}
