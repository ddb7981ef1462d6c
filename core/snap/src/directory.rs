//! The names in a snapshot directory, and what is removed from it.

use crate::error::Result;
use std::fmt;
use std::path::Path;
use types::{LogIndex, Term};
use vfs::Disk;

/// The name of a snapshot file: `<term>-<index>.snap`. Orders by term, then index, as etcd orders the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotName {
    /// Term of the last entry in the snapshot.
    pub term: Term,
    /// Index of the last entry in the snapshot.
    pub index: LogIndex,
}

impl SnapshotName {
    /// Reads a file name; `None` for any other name.
    pub fn parse(name: &str) -> Option<Self> {
        let (term, index) = name.strip_suffix(SNAPSHOT_SUFFIX)?.split_once('-')?;
        Some(Self { term: Term(parse_hex(term)?), index: LogIndex(parse_hex(index)?) })
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:016x}{SNAPSHOT_SUFFIX}", self.term.0, self.index.0)
    }
}

/// The name of a backend received with the snapshot of that index.
pub fn database_name(index: LogIndex) -> String {
    format!("{:016x}{DATABASE_SUFFIX}", index.0)
}

fn parse_database_name(name: &str) -> Option<LogIndex> {
    parse_hex(name.strip_suffix(DATABASE_SUFFIX)?).map(LogIndex)
}

fn parse_hex(digits: &str) -> Option<u64> {
    // `from_str_radix` alone would take a sign.
    let is_plain = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_plain { u64::from_str_radix(digits, 16).ok() } else { None }
}

const SNAPSHOT_SUFFIX: &str = ".snap";
const DATABASE_SUFFIX: &str = ".snap.db";

/// Removes the oldest snapshot files while there are more than `keep`, and the same for received backends; `keep` 0
/// removes none. Returns the names removed.
///
/// # Errors
/// [`crate::Error::Disk`].
pub fn purge(disk: &dyn Disk, dir: &Path, keep: usize) -> Result<Vec<String>> {
    if keep == 0 {
        return Ok(Vec::new());
    }
    // Names have a fixed width, so the order of bytes is that of the numbers.
    let names = disk.list(dir)?;
    let is_snapshot = |name: &&String| SnapshotName::parse(name).is_some();
    let is_database = |name: &&String| parse_database_name(name).is_some();
    let snapshots: Vec<_> = names.iter().filter(is_snapshot).collect();
    let databases: Vec<_> = names.iter().filter(is_database).collect();
    let surplus = |names: &[&String]| names.len().saturating_sub(keep);
    let oldest = snapshots[..surplus(&snapshots)].iter().chain(&databases[..surplus(&databases)]);
    remove(disk, dir, oldest.copied())
}

/// Removes received backends of snapshots below `index`, which newer ones have overtaken. Returns their names.
///
/// # Errors
/// [`crate::Error::Disk`].
pub fn remove_databases_below(disk: &dyn Disk, dir: &Path, index: LogIndex) -> Result<Vec<String>> {
    let names = disk.list(dir)?;
    let is_overtaken = |name: &&String| parse_database_name(name).is_some_and(|of| of < index);
    remove(disk, dir, names.iter().filter(is_overtaken))
}

/// Removes what an interrupted receive (`tmp…`) or defragmentation (`db.tmp…`) left, at boot. Returns the names.
///
/// # Errors
/// [`crate::Error::Disk`].
pub fn remove_temporaries(disk: &dyn Disk, dir: &Path) -> Result<Vec<String>> {
    let names = disk.list(dir)?;
    remove(disk, dir, names.iter().filter(|name| name.starts_with("tmp") || name.starts_with("db.tmp")))
}

fn remove<'a>(disk: &dyn Disk, dir: &Path, names: impl Iterator<Item = &'a String>) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    for name in names {
        disk.remove_file(&dir.join(name))?;
        removed.push(name.clone());
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_others_are_refused() {
        let name = SnapshotName { term: Term(2), index: LogIndex(0x1a) };
        assert_eq!(name.to_string(), "0000000000000002-000000000000001a.snap");
        assert_eq!(SnapshotName::parse(&name.to_string()), Some(name));
        assert_eq!(database_name(LogIndex(7)), "0000000000000007.snap.db");
        assert_eq!(parse_database_name("0000000000000007.snap.db"), Some(LogIndex(7)));
        for other in
            ["db", "0000000000000002-000000000000001a.snap.broken", "2-1a.snap", "0000000000000007.snap.db"]
        {
            assert_eq!(SnapshotName::parse(other), None, "{other}");
        }
    }
}
