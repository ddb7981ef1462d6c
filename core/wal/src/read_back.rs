//! Reads entries back that are no longer in memory (contract C16).

use crate::error::Result;
use crate::reader::{Next, Reader};
use crate::record::Kind;
use crate::segment::{self, Segment};
use proto::raftpb::Entry;
use std::path::Path;
use types::LogIndex;
use vfs::{Cx, Disk};

/// Records between two yields.
const STEP_RECORDS: usize = 500;

/// Which entries to read.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The first one.
    pub from: LogIndex,
    /// The last one.
    pub until: LogIndex,
    /// Data bytes after which to stop; at least one entry is read.
    pub bytes_max: u64,
    /// The first index of each run of entries of one term, and the term; ascending. An entry of another term was
    /// overwritten later.
    pub terms: Vec<(u64, u64)>,
}

impl Wanted {
    fn term_of(&self, index: u64) -> Option<u64> {
        let runs = self.terms.partition_point(|(first, _)| *first <= index);
        self.terms.get(runs.checked_sub(1)?).map(|(_, term)| *term)
    }
}

/// Reads the entries that `wanted` names from the log in `dir`, which nobody writes to meanwhile. There are fewer if
/// the log has fewer, and none if its first part is gone.
///
/// # Errors
/// [`crate::Error::Corrupt`], [`crate::Error::Disk`], or [`crate::Error::NoSegment`] if the first entry is in none.
pub async fn read_back(cx: &Cx, disk: &dyn Disk, dir: &Path, wanted: &Wanted) -> Result<Vec<Entry>> {
    let names = segment::select(disk, dir, wanted.from)?;
    let mut segments = Vec::with_capacity(names.len());
    for name in names {
        segments.push(Segment::open_to_read(disk, dir, name)?);
    }
    let mut reader = Reader::new(&segments)?;
    let mut entries: Vec<Entry> = Vec::new();
    let (mut bytes, mut records) = (0, 0);
    while let Next::Record(record) = reader.next()? {
        records += 1;
        if records % STEP_RECORDS == 0 {
            cx.yield_now().await;
        }
        if record.kind != Kind::Entry {
            continue;
        }
        let entry: Entry = record.decode()?;
        let next = wanted.from.0 + entries.len() as u64;
        if entry.index != next || wanted.term_of(next) != Some(entry.term) {
            continue;
        }
        bytes += entry.data.as_ref().map_or(0, |data| data.len() as u64);
        if next > wanted.until.0 || bytes > wanted.bytes_max && !entries.is_empty() {
            break;
        }
        entries.push(entry);
        if next == wanted.until.0 {
            break;
        }
    }
    Ok(entries)
}
