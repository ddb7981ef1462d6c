//! The log as it is written.

use crate::error::{Error, Result};
use crate::reader::End;
use crate::record::Batch;
use crate::repair::keep_broken_copy;
use crate::replay::{Replay, replay};
use crate::segment::{self, Segment, SegmentName};
use bytes::Bytes;
use prost::Message as _;
use proto::{raftpb, walpb};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use types::LogIndex;
use vfs::{Cx, Disk, ErrorKind, File, OpenMode};

/// Where etcd starts a new segment, in bytes; it reserves as much for each.
pub const DEFAULT_SEGMENT_SIZE_BYTES: u64 = 64_000_000;

/// Settings of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Space reserved for a segment, and the length from which on the next one is begun.
    pub segment_size_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_size_bytes: DEFAULT_SEGMENT_SIZE_BYTES }
    }
}

/// A log open for writing, at its end.
///
/// Invariants:
/// * `segments` is never empty, in order; all are locked by this process, the last one is written to.
/// * The last segment holds whole frames up to `offset`, and zeros behind it; `batch` goes on from their CRC.
/// * `is_in_doubt` from before the first write of a call until all it asked for is done.
pub struct Wal {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    options: Options,
    metadata: Bytes,
    state: raftpb::HardState,
    last_index: LogIndex,
    segments: Vec<Segment>,
    offset: u64,
    cut_at: u64,
    batch: Batch,
    has_unsynced: bool,
    is_in_doubt: bool,
}

impl Wal {
    /// Makes a log in `dir`, which must not hold one. Its parent must exist, and be durable.
    ///
    /// The log is built in `<dir>.tmp` and renamed when it is durable, so a crash leaves it whole or not at all.
    /// `metadata` is written as its encoding.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::Disk`].
    pub async fn create(
        cx: &Cx,
        disk: &Arc<dyn Disk>,
        dir: &Path,
        metadata: walpb::Metadata,
        options: Options,
    ) -> Result<Self> {
        Self::create_with(cx, disk, dir, metadata, None, &[], options).await
    }

    /// Makes a log as [`Wal::create`] does, with its first entries and hard state in it from the beginning: no crash
    /// can leave a log that has an identity but no members.
    ///
    /// # Errors
    /// As [`Wal::create`].
    pub async fn create_with(
        cx: &Cx,
        disk: &Arc<dyn Disk>,
        dir: &Path,
        metadata: walpb::Metadata,
        hard_state: Option<&raftpb::HardState>,
        entries: &[raftpb::Entry],
        options: Options,
    ) -> Result<Self> {
        if segment::exists(&**disk, dir)? {
            return Err(Error::AlreadyExists { dir: dir.to_owned() });
        }
        let metadata = Bytes::from(metadata.encode_to_vec());
        let mut batch = Batch::new(0);
        batch.push_crc();
        batch.push_metadata(&metadata);
        batch.push_snapshot(&walpb::Snapshot::default());
        let mut state = raftpb::HardState::default();
        let last_index = push_log(&mut batch, &mut state, LogIndex(0), hard_state, entries);

        let building = sibling(dir, ".tmp")?;
        remove_dir_if_present(&**disk, &building)?;
        if let Err(error) = build(cx, &**disk, &building, &batch, options).await {
            // It may be the disk that is full. What cannot be removed now is removed by the next attempt.
            let _ = disk.remove_dir_all(&building);
            return Err(error.into());
        }
        remove_dir_if_present(&**disk, dir)?;
        cx.rename(&building, dir).await?;
        cx.sync_dir(parent(dir)).await?;

        let offset = batch.bytes().len() as u64;
        batch.clear();
        Ok(Self {
            segments: vec![Segment::open_to_write(cx, &**disk, dir, SegmentName::FIRST).await?],
            disk: disk.clone(),
            dir: dir.to_owned(),
            options,
            metadata,
            state,
            last_index,
            offset,
            cut_at: options.segment_size_bytes,
            batch,
            has_unsynced: false,
            is_in_doubt: false,
        })
    }

    /// Opens the log in `dir` from the snapshot `at` on, takes its locks, and returns it with what it holds.
    ///
    /// A frame cut short by a crash at the very end is dropped (see [`crate::TornTail`]). When this returns, all of
    /// the log is durable, also what an earlier process wrote and did not sync.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::NoSegment`], [`Error::SnapshotMismatch`], [`Error::Corrupt`]: nothing was changed.
    /// [`Error::Disk`].
    pub async fn open(
        cx: &Cx,
        disk: &Arc<dyn Disk>,
        dir: &Path,
        at: &walpb::Snapshot,
        options: Options,
    ) -> Result<(Self, Replay)> {
        let names = segment::select(&**disk, dir, LogIndex(at.index))?;
        let mut segments = Vec::with_capacity(names.len());
        for name in names {
            segments.push(Segment::open_to_write(cx, &**disk, dir, name).await?);
        }
        let (mut replay, end) = replay(&segments, at)?;
        let tail = &segments[segments.len() - 1];
        if let Some(torn) = &mut replay.torn {
            torn.copy = Some(keep_broken_copy(cx, &**disk, tail).await?);
        }
        erase_tail(cx, tail, &end, options).await?;
        // A process killed between a rename and its sync leaves names that a power loss would take away again.
        cx.sync_dir(dir).await?;
        cx.sync_dir(parent(dir)).await?;
        for unfinished in ["0.tmp", "1.tmp"] {
            remove_if_present(&**disk, &dir.join(unfinished))?;
        }
        let wal = Self {
            disk: disk.clone(),
            dir: dir.to_owned(),
            options,
            metadata: replay.metadata.clone(),
            state: replay.hard_state,
            last_index: replay.last_index,
            segments,
            offset: end.offset,
            cut_at: options.segment_size_bytes,
            batch: Batch::new(end.crc),
            has_unsynced: false,
            is_in_doubt: false,
        };
        Ok((wal, replay))
    }

    /// The index of the last entry or snapshot written, whichever came last or is higher; 0 in a new log.
    pub fn last_index(&self) -> LogIndex {
        self.last_index
    }

    /// Writes entries, then the hard state, and syncs iff there are entries, or term or vote changed. An empty hard
    /// state is not written.
    ///
    /// The entries are consecutive and may start at any index up to the one behind the last: from there on they
    /// replace what was written before. Goes on in a new segment when this one is full.
    ///
    /// # Errors
    /// [`Error::Disk`], and from then on [`Error::Poisoned`]: the member must stop.
    ///
    /// # Panics
    /// If the entries are not consecutive or leave a gap.
    pub async fn save(
        &mut self,
        cx: &Cx,
        hard_state: Option<&raftpb::HardState>,
        entries: &[raftpb::Entry],
    ) -> Result<()> {
        self.enter_doubt()?;
        let before = self.state;
        self.last_index = push_log(&mut self.batch, &mut self.state, self.last_index, hard_state, entries);
        self.write_batch()?;
        if !entries.is_empty() || self.state.term != before.term || self.state.vote != before.vote {
            self.sync_tail(cx).await?;
        }
        if self.offset >= self.cut_at {
            self.cut(cx).await?;
        }
        self.is_in_doubt = false;
        Ok(())
    }

    /// Writes the hard state, then a snapshot that the log can be opened at, in one write, and syncs.
    ///
    /// `None` if the last saved hard state covers the snapshot already (contract C2, step 4).
    ///
    /// # Errors
    /// As [`Wal::save`].
    ///
    /// # Panics
    /// If the snapshot is above the commit index, or has no configuration though its index is not 0.
    pub async fn save_snapshot(
        &mut self,
        cx: &Cx,
        hard_state: Option<&raftpb::HardState>,
        snapshot: &walpb::Snapshot,
    ) -> Result<()> {
        self.enter_doubt()?;
        self.last_index = push_log(&mut self.batch, &mut self.state, self.last_index, hard_state, &[]);
        assert!(snapshot.index <= self.state.commit, "a snapshot holds committed entries only");
        assert!(snapshot.index == 0 || snapshot.conf_state.is_some(), "a snapshot names its members");
        self.batch.push_snapshot(snapshot);
        self.last_index = self.last_index.max(LogIndex(snapshot.index));
        self.write_batch()?;
        self.sync_tail(cx).await?;
        self.is_in_doubt = false;
        Ok(())
    }

    /// Makes everything written durable, also a commit index that [`Wal::save`] did not wait for. Before a clean stop.
    ///
    /// # Errors
    /// As [`Wal::save`].
    pub async fn sync(&mut self, cx: &Cx) -> Result<()> {
        self.enter_doubt()?;
        if self.has_unsynced {
            self.sync_tail(cx).await?;
        }
        self.is_in_doubt = false;
        Ok(())
    }

    /// Gives up the segments that opening at a snapshot of `index` does not need, so that [`Wal::purge`], or another
    /// program's, may remove them.
    pub fn release_to(&mut self, index: LogIndex) {
        let first_needed = self.segments.iter().rposition(|segment| segment.name.first_index <= index);
        self.segments.drain(..first_needed.unwrap_or(0));
    }

    /// Removes released segments, oldest first, while there are more than `keep` in all; `keep` 0 removes none.
    /// Stops at one that another process has locked. Returns the names removed.
    ///
    /// # Errors
    /// [`Error::Disk`]; the log itself is unharmed.
    pub async fn purge(&mut self, cx: &Cx, keep: usize) -> Result<Vec<String>> {
        let names = segment::segments(&*self.disk, &self.dir)?;
        let surplus = if keep == 0 { 0 } else { names.len().saturating_sub(keep) };
        let mut removed = Vec::new();
        for name in names.into_iter().take(surplus).take_while(|&name| name < self.segments[0].name) {
            match Segment::open_to_write(cx, &*self.disk, &self.dir, name).await {
                Ok(_) => {}
                Err(Error::InUse { .. }) => break,
                Err(error) => return Err(error),
            }
            self.disk.remove_file(&self.dir.join(name.to_string()))?;
            // One by one: a crash must not leave an older segment without the one behind it.
            cx.sync_dir(&self.dir).await?;
            removed.push(name.to_string());
        }
        Ok(removed)
    }

    fn enter_doubt(&mut self) -> Result<()> {
        if self.is_in_doubt {
            return Err(Error::Poisoned { dir: self.dir.clone() });
        }
        self.is_in_doubt = true;
        Ok(())
    }

    fn tail(&self) -> &Segment {
        &self.segments[self.segments.len() - 1]
    }

    fn write_batch(&mut self) -> Result<()> {
        if self.batch.bytes().is_empty() {
            return Ok(());
        }
        self.tail().file.write_at(self.offset, self.batch.bytes())?;
        self.offset += self.batch.bytes().len() as u64;
        self.batch.clear();
        self.has_unsynced = true;
        Ok(())
    }

    async fn sync_tail(&mut self, cx: &Cx) -> Result<()> {
        cx.sync_data(&self.tail().file).await?;
        self.has_unsynced = false;
        Ok(())
    }

    /// Ends this segment and goes on in a new one, which becomes part of the log only when its head is durable.
    async fn cut(&mut self, cx: &Cx) -> Result<()> {
        let name =
            SegmentName { sequence: self.tail().name.sequence + 1, first_index: self.last_index.next() };
        let unfinished = self.dir.join(format!("{}.tmp", name.sequence % 2));
        let file = match self.reserve(&unfinished) {
            Ok(file) => file,
            Err(error) if error.kind == ErrorKind::NoSpace => {
                // Nothing of the log was touched, and this segment may still have room: try again further on.
                remove_if_present(&*self.disk, &unfinished)?;
                self.cut_at = self.offset + self.options.segment_size_bytes / CUT_RETRIES_PER_SEGMENT;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        self.tail().file.set_len(self.offset)?;
        self.sync_tail(cx).await?;

        self.batch.push_crc();
        self.batch.push_metadata(&self.metadata);
        if self.state != raftpb::HardState::default() {
            self.batch.push_state(&self.state);
        }
        file.write_at(0, self.batch.bytes())?;
        cx.sync_data(&file).await?;
        drop(file);
        cx.rename(&unfinished, &self.dir.join(name.to_string())).await?;
        cx.sync_dir(&self.dir).await?;
        // Opened anew, so that messages show its final name.
        self.segments.push(Segment::open_to_write(cx, &*self.disk, &self.dir, name).await?);
        self.offset = self.batch.bytes().len() as u64;
        self.cut_at = self.options.segment_size_bytes;
        self.batch.clear();
        Ok(())
    }

    /// Makes the file of the next segment with its space reserved.
    fn reserve(&self, path: &Path) -> vfs::Result<Arc<dyn File>> {
        let file = self.disk.open(path, OpenMode::Truncate { mode: 0o600 })?;
        file.allocate(self.options.segment_size_bytes)?;
        Ok(file)
    }
}

impl std::fmt::Debug for Wal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wal")
            .field("dir", &self.dir)
            .field("segment", &self.tail().name.to_string())
            .field("offset", &self.offset)
            .field("last_index", &self.last_index)
            .field("is_in_doubt", &self.is_in_doubt)
            .finish_non_exhaustive()
    }
}

/// While the disk is too full for another segment, the next attempts, per segment's worth of growth.
const CUT_RETRIES_PER_SEGMENT: u64 = 16;

/// Encodes entries, then the hard state if there is one, and returns the last index now.
fn push_log(
    batch: &mut Batch,
    state: &mut raftpb::HardState,
    last_index: LogIndex,
    hard_state: Option<&raftpb::HardState>,
    entries: &[raftpb::Entry],
) -> LogIndex {
    let mut last_index = last_index;
    for (position, entry) in entries.iter().enumerate() {
        let next = last_index.next().get();
        let fits = if position == 0 { (1..=next).contains(&entry.index) } else { entry.index == next };
        assert!(fits, "entry {} does not follow entry {last_index}", entry.index);
        batch.push_entry(entry);
        last_index = LogIndex(entry.index);
    }
    if let Some(new) = hard_state.filter(|new| **new != raftpb::HardState::default()) {
        batch.push_state(new);
        *state = *new;
    }
    last_index
}

/// Makes the directory with the first segment, durable under that name.
async fn build(cx: &Cx, disk: &dyn Disk, dir: &Path, batch: &Batch, options: Options) -> vfs::Result<()> {
    disk.create_dir_all(dir, 0o700)?;
    let path = dir.join(SegmentName::FIRST.to_string());
    let file = disk.open(&path, OpenMode::Truncate { mode: 0o600 })?;
    file.allocate(options.segment_size_bytes)?;
    file.write_at(0, batch.bytes())?;
    cx.sync_data(&file).await?;
    cx.sync_dir(dir).await
}

/// Erases what follows the last whole frame, and makes that and the frames durable.
async fn erase_tail(cx: &Cx, tail: &Segment, end: &End, options: Options) -> vfs::Result<()> {
    tail.file.set_len(end.offset)?;
    if end.offset < options.segment_size_bytes {
        tail.file.allocate(options.segment_size_bytes)?;
    }
    cx.sync_data(&tail.file).await
}

fn remove_if_present(disk: &dyn Disk, path: &Path) -> vfs::Result<()> {
    match disk.remove_file(path) {
        Err(error) if error.kind != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn remove_dir_if_present(disk: &dyn Disk, path: &Path) -> vfs::Result<()> {
    if disk.exists(path)? { disk.remove_dir_all(path) } else { Ok(()) }
}

/// The path of `dir` with `suffix` at the end of its name.
fn sibling(dir: &Path, suffix: &str) -> vfs::Result<PathBuf> {
    let Some(name) = dir.file_name() else {
        return Err(vfs::Error::new("create", dir, ErrorKind::Other, "not the name of a directory"));
    };
    let mut name = name.to_owned();
    name.push(suffix);
    Ok(dir.with_file_name(name))
}

fn parent(dir: &Path) -> &Path {
    dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
