//! Segments: their names, and which of them to read.

use crate::error::{Error, Result};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use types::LogIndex;
use vfs::{Cx, Disk, ErrorKind, File, LockKind, OpenMode};

/// The name of a segment: `<sequence>-<first index>.wal`, both as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentName {
    /// Counts the segments of a log from 0.
    pub sequence: u64,
    /// Entries from this index on are in this segment or a later one.
    pub first_index: LogIndex,
}

impl SegmentName {
    /// The first segment of every log.
    pub const FIRST: Self = Self { sequence: 0, first_index: LogIndex(0) };

    /// Reads a file name; `None` for any other name. There is no segment with the highest of all numbers, so that
    /// each has a successor.
    pub fn parse(name: &str) -> Option<Self> {
        let (sequence, index) = name.strip_suffix(SUFFIX)?.split_once('-')?;
        let sequence = parse_hex(sequence).filter(|&sequence| sequence != u64::MAX)?;
        Some(Self { sequence, first_index: LogIndex(parse_hex(index)?) })
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:016x}{SUFFIX}", self.sequence, self.first_index.0)
    }
}

fn parse_hex(digits: &str) -> Option<u64> {
    // `from_str_radix` alone would take a sign.
    let is_plain = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_plain { u64::from_str_radix(digits, 16).ok() } else { None }
}

const SUFFIX: &str = ".wal";

/// Whether `dir` holds a log: any name that ends in `.wal`. False if there is no such directory.
///
/// # Errors
/// [`Error::Disk`] if the directory cannot be listed.
pub fn exists(disk: &dyn Disk, dir: &Path) -> Result<bool> {
    Ok(disk.exists(dir)? && disk.list(dir)?.iter().any(|name| name.ends_with(SUFFIX)))
}

/// The segments in `dir`, oldest first. Other names are skipped.
///
/// # Errors
/// [`Error::Disk`] if the directory cannot be listed.
pub fn segments(disk: &dyn Disk, dir: &Path) -> Result<Vec<SegmentName>> {
    let mut names: Vec<_> = disk.list(dir)?.iter().filter_map(|name| SegmentName::parse(name)).collect();
    names.sort_unstable();
    Ok(names)
}

/// The segments to read for starting at the snapshot index `at`: from the last one whose first index is not above
/// `at`.
///
/// # Errors
/// [`Error::NoSegment`] if there is none, or one is missing behind it.
pub(crate) fn select(disk: &dyn Disk, dir: &Path, at: LogIndex) -> Result<Vec<SegmentName>> {
    let mut names = segments(disk, dir)?;
    let start = names.iter().rposition(|name| name.first_index <= at);
    let selected = start.map(|start| names.split_off(start)).filter(|names| is_consecutive(names));
    selected.ok_or_else(|| Error::NoSegment { dir: dir.to_owned(), index: at })
}

/// The newest segments without a gap between them.
pub(crate) fn newest_run(disk: &dyn Disk, dir: &Path) -> Result<Vec<SegmentName>> {
    let mut names = segments(disk, dir)?;
    let start = (1..names.len()).rev().find(|&i| !is_consecutive(&names[i - 1..=i]));
    Ok(names.split_off(start.unwrap_or(0)))
}

fn is_consecutive(names: &[SegmentName]) -> bool {
    names.is_sorted_by(|a, b| a.sequence + 1 == b.sequence)
}

/// An open segment. While one is open for writing it is locked.
#[derive(Clone)]
pub(crate) struct Segment {
    pub(crate) name: SegmentName,
    pub(crate) file: Arc<dyn File>,
}

impl Segment {
    /// Opens a segment for reading, without a lock.
    pub(crate) fn open_to_read(disk: &dyn Disk, dir: &Path, name: SegmentName) -> Result<Self> {
        let file = disk.open(&dir.join(name.to_string()), OpenMode::Read)?;
        Ok(Self { name, file })
    }

    /// Opens a segment for writing and takes its lock.
    pub(crate) async fn open_to_write(
        cx: &Cx,
        disk: &dyn Disk,
        dir: &Path,
        name: SegmentName,
    ) -> Result<Self> {
        let file = disk.open(&dir.join(name.to_string()), OpenMode::ReadWrite)?;
        lock(cx, &file).await?;
        Ok(Self { name, file })
    }

    /// An error about the frame at `offset`.
    pub(crate) fn corrupt(
        &self,
        offset: u64,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Error {
        Error::Corrupt {
            path: self.file.path().to_owned(),
            offset,
            expected: expected.into(),
            found: found.into(),
        }
    }
}

/// Takes the lock that keeps other processes from the log.
async fn lock(cx: &Cx, file: &Arc<dyn File>) -> Result<()> {
    cx.lock(file, LockKind::OpenFileDescription).await.map_err(|error| match error.kind {
        ErrorKind::Locked => Error::InUse { path: error.path },
        _ => Error::Disk(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_others_are_refused() {
        let name = SegmentName { sequence: 1, first_index: LogIndex(0x45) };
        assert_eq!(name.to_string(), "0000000000000001-0000000000000045.wal");
        assert_eq!(SegmentName::parse(&name.to_string()), Some(name));
        for other in [
            "0.tmp",
            "0000000000000001-0000000000000045.wal.broken",
            "0000000000000001-000000000000045.wal",
            "+000000000000001-0000000000000045.wal",
            "000000000000000g-0000000000000045.wal",
            "0000000000000001.wal",
            "ffffffffffffffff-0000000000000045.wal",
            "",
        ] {
            assert_eq!(SegmentName::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_missing_sequence_number_ends_a_run() {
        let name = |sequence| SegmentName { sequence, first_index: LogIndex(sequence) };
        assert!(is_consecutive(&[name(3), name(4), name(5)]));
        assert!(!is_consecutive(&[name(3), name(5)]));
        assert!(!is_consecutive(&[name(3), name(3)]));
        assert!(is_consecutive(&[]));
    }
}
