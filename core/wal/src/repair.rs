//! Keeps what a crash left of the last frame, before it is dropped.

use crate::error::Result;
use crate::segment::Segment;
use std::path::PathBuf;
use vfs::{Cx, Disk, OpenMode};

/// Copies the segment to `<name>.broken`, replacing an earlier copy, and returns the copy's path.
///
/// Parts that are all zero become holes, so the copy takes the room of what was written.
pub(crate) async fn keep_broken_copy(cx: &Cx, disk: &dyn Disk, segment: &Segment) -> Result<PathBuf> {
    let path = segment.file.path().with_file_name(format!("{}.broken", segment.name));
    let copy = disk.open(&path, OpenMode::Truncate { mode: 0o600 })?;
    let len = segment.file.len()?;
    copy.set_len(len)?;
    let mut chunk = vec![0; CHUNK_LEN];
    let mut offset = 0;
    while offset < len {
        let read = segment.file.read_at(offset, &mut chunk)?;
        if read == 0 {
            break;
        }
        if chunk[..read].iter().any(|&byte| byte != 0) {
            copy.write_at(offset, &chunk[..read])?;
        }
        offset += read as u64;
    }
    cx.sync_data(&copy).await?;
    Ok(path)
}

const CHUNK_LEN: usize = 64 << 10;
