//! The files of a data directory, looked at from outside.

use crate::shape::DATA_DIR;
use backend::{Bucket, META_CONSISTENT_INDEX};
use std::path::Path;
use vfs::mem::MemDisk;
use vfs::{Job, drive};

/// Checks what must hold of the files at any moment, also right after a crash: the backend file is whole, the indices
/// are in their order (contract C2), and the newest snapshot has its file. A directory without a log is not looked at:
/// it is one that was never started.
///
/// # Errors
/// The first thing that does not hold.
pub fn audit(disk: &MemDisk) -> Result<(), String> {
    // A copy, because looking is not to count as operations, and the locks are the member's.
    let disk = &disk.kill();
    let member = Path::new(DATA_DIR).join("member");
    let (snap_dir, wal_dir) = (member.join("snap"), member.join("wal"));
    if !wal::exists(disk, &wal_dir).map_err(|error| error.to_string())? {
        return Ok(());
    }
    let root = bolt::Root::open_read_only(disk, &snap_dir.join("db")).map_err(|error| error.to_string())?;
    root.check().map_err(|error| format!("the check of the backend file fails: {error}"))?;
    let consistent = consistent_index(&root)?;

    let snapshots = wal::valid_snapshots(disk, &wal_dir).map_err(|error| error.to_string())?;
    let newest = snapshots.iter().max_by_key(|snapshot| snapshot.index).cloned().unwrap_or_default();
    let log = wal::read_only(disk, &wal_dir, &newest).map_err(|error| error.to_string())?;
    if newest.index > consistent {
        return Err(format!("the snapshot at {} is ahead of the backend at {consistent}", newest.index));
    }
    if consistent > log.last_index.0 {
        return Err(format!("the backend at {consistent} is ahead of the log at {}", log.last_index));
    }
    if log.hard_state.commit > log.last_index.0 {
        return Err(format!("commit {} is behind the log at {}", log.hard_state.commit, log.last_index));
    }
    if newest.index == 0 {
        return Ok(());
    }
    let shared = disk.clone();
    let job =
        Job::new(async move |cx| snap::load_newest_available(&cx, &shared, &snap_dir, &snapshots).await);
    let loaded = drive(disk, job).map_err(|error| error.to_string())?;
    match loaded.snapshot.map(|snapshot| snapshot.metadata.index) {
        Some(index) if index == newest.index => Ok(()),
        other => {
            Err(format!("the newest snapshot in the log is {}, among the files {other:?}", newest.index))
        }
    }
}

fn consistent_index(root: &bolt::Root) -> Result<u64, String> {
    let Some(meta) = root.bucket(Bucket::Meta.name().as_bytes()) else { return Ok(0) };
    let value = meta.get(META_CONSISTENT_INDEX).map_err(|error| error.to_string())?;
    let Some(value) = value else { return Ok(0) };
    let bytes = value[..].try_into().map_err(|_| "the consistent index is not a number".to_owned())?;
    Ok(u64::from_be_bytes(bytes))
}
