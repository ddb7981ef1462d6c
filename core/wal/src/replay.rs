//! What the records of a log mean together.

use crate::error::{Error, Result};
use crate::reader::{End, Next, Reader, Record};
use crate::record::Kind;
use crate::segment::{self, Segment};
use bytes::Bytes;
use proto::{raftpb, walpb};
use std::path::{Path, PathBuf};
use types::LogIndex;
use vfs::Disk;

/// What a log holds from a snapshot on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// The bytes of the first METADATA record. They are the same in every segment, also in those to come.
    pub metadata: Bytes,
    /// `metadata` decoded: member and cluster.
    pub node: walpb::Metadata,
    /// The last STATE, zero if there is none. Its commit index may be older than what was committed: a commit index
    /// alone is not synced.
    pub hard_state: raftpb::HardState,
    /// The entries behind the snapshot, consecutive, without those that were overwritten later.
    pub entries: Vec<raftpb::Entry>,
    /// Whether the log has a SNAPSHOT record of the snapshot asked for. Servers start without; Go's tools refuse.
    pub snapshot_found: bool,
    /// The index of the last entry or snapshot, whichever is higher.
    pub last_index: LogIndex,
    /// What a crash cut short at the end.
    pub torn: Option<TornTail>,
}

/// The remains of a write that a crash cut short. Nobody was told that it had succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment.
    pub path: PathBuf,
    /// Where the remains start, in bytes.
    pub offset: u64,
    /// What was expected there.
    pub reason: String,
    /// The copy made of the segment before the remains were dropped; `None` if only read.
    pub copy: Option<PathBuf>,
}

/// Reads the log in `dir` from the snapshot `at` on, for tools: no lock, no repair.
///
/// # Errors
/// [`Error::NoSegment`], [`Error::SnapshotMismatch`], [`Error::Corrupt`], [`Error::Disk`]. A torn end is no error.
pub fn read_only(disk: &dyn Disk, dir: &Path, at: &walpb::Snapshot) -> Result<Replay> {
    let names = segment::select(disk, dir, LogIndex(at.index))?;
    let opened: Result<Vec<_>> =
        names.into_iter().map(|name| Segment::open_to_read(disk, dir, name)).collect();
    Ok(replay(&opened?, at)?.0)
}

/// Reads `segments` from the snapshot `at` on. The torn tail's `copy` is `None`.
pub(crate) fn replay(segments: &[Segment], at: &walpb::Snapshot) -> Result<(Replay, End)> {
    let mut reader = Reader::new(segments)?;
    let mut state = Collected::new(at);
    let end = loop {
        match reader.next()? {
            Next::Record(record) => state.take(record)?,
            Next::End(end) => break end,
        }
    };
    let last = &segments[segments.len() - 1];
    let Some(metadata) = state.metadata else {
        return Err(last.corrupt(end.offset, "a METADATA record", "none"));
    };
    let torn = end.torn.as_ref().map(|reason| TornTail {
        path: last.file.path().to_owned(),
        offset: end.offset,
        reason: reason.clone(),
        copy: None,
    });
    let replay = Replay {
        node: state.node,
        metadata,
        hard_state: state.hard_state,
        entries: state.entries,
        snapshot_found: state.snapshot_found,
        last_index: LogIndex(state.last_index),
        torn,
    };
    Ok((replay, end))
}

/// The snapshots that the log in `dir` can be opened at, in the order written: all that the commit index of the last
/// STATE covers.
///
/// A later one may belong to a commit that was lost in a crash; its `.snap` file does not count either. Tolerates a
/// torn end, because it runs before the repair of [`crate::Wal::open`].
///
/// # Errors
/// [`Error::NoSegment`] without any segment, [`Error::Corrupt`], [`Error::Disk`].
pub fn valid_snapshots(disk: &dyn Disk, dir: &Path) -> Result<Vec<walpb::Snapshot>> {
    let names = segment::newest_run(disk, dir)?;
    if names.is_empty() {
        return Err(Error::NoSegment { dir: dir.to_owned(), index: LogIndex(0) });
    }
    let opened: Result<Vec<_>> =
        names.into_iter().map(|name| Segment::open_to_read(disk, dir, name)).collect();
    let opened = opened?;
    let mut reader = Reader::new(&opened)?;
    let mut snapshots: Vec<walpb::Snapshot> = Vec::new();
    let mut commit = 0;
    while let Next::Record(record) = reader.next()? {
        match record.kind {
            Kind::Snapshot => snapshots.push(record.decode()?),
            Kind::State => commit = record.decode::<raftpb::HardState>()?.commit,
            Kind::Metadata | Kind::Entry | Kind::Crc => {}
        }
    }
    snapshots.retain(|snapshot| snapshot.index <= commit);
    Ok(snapshots)
}

/// The records so far.
///
/// Invariants: `entries` are consecutive from the one behind the snapshot; their terms do not decrease.
struct Collected {
    at_index: u64,
    at_term: u64,
    metadata: Option<Bytes>,
    node: walpb::Metadata,
    hard_state: raftpb::HardState,
    entries: Vec<raftpb::Entry>,
    snapshot_found: bool,
    /// The term of the entry at `at_index`, if it was seen.
    term_there: Option<u64>,
    last_index: u64,
}

impl Collected {
    fn new(at: &walpb::Snapshot) -> Self {
        Self {
            at_index: at.index,
            at_term: at.term,
            metadata: None,
            node: walpb::Metadata::default(),
            hard_state: raftpb::HardState::default(),
            entries: Vec::new(),
            snapshot_found: false,
            term_there: None,
            last_index: at.index,
        }
    }

    fn take(&mut self, record: Record<'_>) -> Result<()> {
        match record.kind {
            Kind::Metadata => self.take_metadata(record),
            Kind::Entry => self.take_entry(&record),
            Kind::State => self.take_state(&record),
            Kind::Snapshot => self.take_snapshot(&record),
            Kind::Crc => Ok(()),
        }
    }

    fn take_metadata(&mut self, record: Record<'_>) -> Result<()> {
        match &self.metadata {
            None => {
                self.node = record.decode()?;
                self.metadata = Some(record.data);
                Ok(())
            }
            // Compared as bytes because etcd does.
            Some(first) if *first == record.data => Ok(()),
            Some(first) => {
                Err(record.corrupt(format!("METADATA {first:02x?}"), format!("{:02x?}", record.data)))
            }
        }
    }

    fn take_entry(&mut self, record: &Record<'_>) -> Result<()> {
        let entry: raftpb::Entry = record.decode()?;
        if raftpb::EntryType::try_from(entry.r#type).is_err() {
            return Err(record.corrupt("an entry of type 0 to 2", format!("type {}", entry.r#type)));
        }
        check_index(record, entry.index)?;
        if entry.index <= self.at_index {
            self.term_there = (entry.index == self.at_index).then_some(entry.term);
            // What came behind an entry that was overwritten is gone. etcd keeps it here, against its own rule.
            self.entries.clear();
            self.last_index = self.at_index;
            return Ok(());
        }
        let position = entry.index - self.at_index - 1;
        if position > self.entries.len() as u64 {
            let next = self.at_index + 1 + self.entries.len() as u64;
            return Err(record
                .corrupt(format!("an entry of index {next} or lower"), format!("index {}", entry.index)));
        }
        self.entries.truncate(position as usize);
        let term_before = self.entries.last().map_or(0, |last| last.term);
        if entry.term < term_before {
            return Err(record.corrupt(
                format!("an entry of term {term_before} or higher"),
                format!("term {}", entry.term),
            ));
        }
        self.last_index = entry.index;
        self.entries.push(entry);
        Ok(())
    }

    fn take_state(&mut self, record: &Record<'_>) -> Result<()> {
        let state: raftpb::HardState = record.decode()?;
        let term_before = self.hard_state.term;
        if state.term < term_before {
            return Err(record.corrupt(
                format!("a state of term {term_before} or higher"),
                format!("term {}", state.term),
            ));
        }
        self.hard_state = state;
        Ok(())
    }

    fn take_snapshot(&mut self, record: &Record<'_>) -> Result<()> {
        let snapshot: walpb::Snapshot = record.decode()?;
        check_index(record, snapshot.index)?;
        self.last_index = self.last_index.max(snapshot.index);
        if snapshot.index == self.at_index {
            if snapshot.term != self.at_term {
                let (expected_term, found_term) = (self.at_term, snapshot.term);
                return Err(Error::SnapshotMismatch {
                    index: LogIndex(snapshot.index),
                    expected_term,
                    found_term,
                });
            }
            if !self.snapshot_found && self.term_there != Some(snapshot.term) {
                // It came from another member, in place of a log that did not lead to it: what that held is gone.
                self.entries.clear();
                self.last_index = self.at_index;
            }
            self.snapshot_found = true;
        }
        Ok(())
    }
}

/// Every index has a successor; no log has ever come near the highest.
fn check_index(record: &Record<'_>, index: u64) -> Result<()> {
    if index == u64::MAX { Err(record.corrupt("a lower index", format!("index {index}"))) } else { Ok(()) }
}
