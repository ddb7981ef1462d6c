//! Writing and reading one snapshot file, and finding the newest good one.

use crate::directory::SnapshotName;
use crate::error::{Error, Result};
use bytes::Bytes;
use prost::Message as _;
use proto::{raftpb, walpb};
use std::path::{Path, PathBuf};
use types::{LogIndex, Term};
use vfs::{Cx, Disk, OpenMode};

/// Writes `snapshot` to its file in `dir`, and returns when file and name are durable.
///
/// Like etcd it writes to the final name: a file cut short by a crash has no record in the log, so it does not count.
///
/// # Errors
/// [`Error::Disk`]: the file is removed if that is still possible, and the member must stop.
///
/// # Panics
/// If the snapshot is empty (index 0).
pub async fn save(cx: &Cx, disk: &dyn Disk, dir: &Path, snapshot: &raftpb::Snapshot) -> Result<()> {
    assert!(snapshot.metadata.index > 0, "a snapshot holds at least one entry");
    let data = Bytes::from(snapshot.encode_to_vec());
    let content = walpb::SnapFile { crc: crc32c::crc32c(&data), data: Some(data) }.encode_to_vec();
    let path = dir.join(name_of(&snapshot.metadata).to_string());
    if let Err(error) = write(cx, disk, dir, &path, &content).await {
        // The first error is the one to report.
        let _ = disk.remove_file(&path);
        return Err(error.into());
    }
    Ok(())
}

async fn write(cx: &Cx, disk: &dyn Disk, dir: &Path, path: &Path, content: &[u8]) -> vfs::Result<()> {
    // The mode that etcd's files have under the usual umask of 022.
    let file = disk.open(path, OpenMode::Truncate { mode: 0o666 })?;
    file.write_at(0, content)?;
    cx.sync_data(&file).await?;
    cx.sync_dir(dir).await
}

/// Reads a snapshot file of any name.
///
/// # Errors
/// [`Error::Corrupt`], [`Error::Disk`].
pub fn load(disk: &dyn Disk, path: &Path) -> Result<raftpb::Snapshot> {
    let file = disk.open(path, OpenMode::Read)?;
    let len = usize::try_from(file.len()?).expect("a file's length fits the address space of 64 bits");
    let mut content = vec![0; len];
    let read = file.read_at(0, &mut content)?;
    content.truncate(read);
    decode(Bytes::from(content)).map_err(|(expected, found)| Error::Corrupt {
        path: path.to_owned(),
        expected,
        found,
    })
}

/// Checks and decodes the content of a file; an error says what was expected and what was found.
fn decode(content: Bytes) -> std::result::Result<raftpb::Snapshot, (String, String)> {
    let file = walpb::SnapFile::decode(content)
        .map_err(|error| ("a snapshot file".to_owned(), error.to_string()))?;
    let data = file.data.unwrap_or_default();
    // Both as in etcd, which takes them for an unfinished write.
    if data.is_empty() || file.crc == 0 {
        return Err(("a CRC and data".to_owned(), format!("CRC {:08x} and {} bytes", file.crc, data.len())));
    }
    let crc = crc32c::crc32c(&data);
    if crc != file.crc {
        return Err((format!("CRC {crc:08x}"), format!("{:08x}", file.crc)));
    }
    raftpb::Snapshot::decode(data).map_err(|error| ("a snapshot".to_owned(), error.to_string()))
}

/// What [`load_newest_available`] found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// The newest good snapshot among those that count.
    pub snapshot: Option<raftpb::Snapshot>,
    /// Newer ones that were not good.
    pub broken: Vec<Broken>,
}

/// A snapshot file that was put aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Its new path, with `.broken` at the end.
    pub path: PathBuf,
    /// What was wrong with it.
    pub error: Error,
}

/// Loads the newest good snapshot in `dir` whose term and index are in `among`, the snapshots that the write-ahead
/// log holds valid. Files tried and found broken are renamed to `<name>.broken`.
///
/// # Errors
/// [`Error::Disk`].
pub async fn load_newest_available(
    cx: &Cx,
    disk: &dyn Disk,
    dir: &Path,
    among: &[walpb::Snapshot],
) -> Result<Loaded> {
    let counts =
        |name: &SnapshotName| among.iter().any(|of| of.term == name.term.0 && of.index == name.index.0);
    let mut names: Vec<_> = disk.list(dir)?.iter().filter_map(|name| SnapshotName::parse(name)).collect();
    names.retain(counts);
    names.sort_unstable();
    let mut loaded = Loaded::default();
    for name in names.into_iter().rev() {
        let path = dir.join(name.to_string());
        match load_named(disk, &path, name) {
            Ok(snapshot) => {
                loaded.snapshot = Some(snapshot);
                break;
            }
            Err(error @ Error::Corrupt { .. }) => {
                let aside = dir.join(format!("{name}.broken"));
                cx.rename(&path, &aside).await?;
                loaded.broken.push(Broken { path: aside, error });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(loaded)
}

fn load_named(disk: &dyn Disk, path: &Path, name: SnapshotName) -> Result<raftpb::Snapshot> {
    let snapshot = load(disk, path)?;
    let found = name_of(&snapshot.metadata);
    if found == name {
        return Ok(snapshot);
    }
    Err(Error::Corrupt {
        path: path.to_owned(),
        expected: format!("snapshot {name}"),
        found: found.to_string(),
    })
}

fn name_of(metadata: &raftpb::SnapshotMetadata) -> SnapshotName {
    SnapshotName { term: Term(metadata.term), index: LogIndex(metadata.index) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stdx::hex;

    /// Written by etcd 3.4 but for the data, which is shortened: term 2, index 7, one voter.
    const METADATA: &str = "12130a0d088df2f48ec1f7a6d7bd01280010071802";

    #[test]
    fn the_metadata_is_etcds_bytes() {
        let conf_state = raftpb::ConfState { voters: vec![0xbdae_9bbc_11dd_390d], ..Default::default() };
        let metadata = raftpb::SnapshotMetadata { conf_state, index: 7, term: 2 };
        let snapshot = raftpb::Snapshot { data: Some(Bytes::from_static(b"{}")), metadata };
        assert_eq!(hex::encode(&snapshot.encode_to_vec()), format!("0a027b7d{METADATA}"));
    }

    #[test]
    fn damage_is_found_wherever_it_is() {
        let data = hex::decode(&format!("0a027b7d{METADATA}")).unwrap();
        let file = walpb::SnapFile { crc: crc32c::crc32c(&data), data: Some(Bytes::from(data)) };
        let good = file.encode_to_vec();
        let snapshot = decode(Bytes::from(good.clone())).unwrap();
        for len in 0..good.len() {
            assert!(decode(Bytes::copy_from_slice(&good[..len])).is_err(), "cut to {len} bytes");
        }
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            // The CRC's number has spare bits, which mean nothing.
            assert!(decode(Bytes::from(bad)).map_or(true, |read| read == snapshot), "bit {bit}");
        }
    }
}
