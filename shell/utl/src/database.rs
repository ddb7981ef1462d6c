//! Opening a database file: a `db` of a stopped member or a saved snapshot.

use crate::cli::Failure;
use bolt::Root;
use os::RealDisk;
use std::path::Path;
use std::time::{Duration, Instant};
use vfs::{Disk, ErrorKind};

/// Pause between two looks at a lock.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Opens `path` for reading. Waits up to `lock_timeout` (zero: for ever) for a writer to let go of it.
pub(crate) fn open(path: &Path, lock_timeout: Duration) -> Result<Root, Failure> {
    let disk = RealDisk::new();
    if !disk.exists(path).map_err(Failure::error)? {
        return Err(Failure::error(format!("stat {}: no such file or directory", path.display())));
    }
    let start = Instant::now();
    loop {
        match Root::open_read_only(&disk, path) {
            Ok(root) => return Ok(root),
            Err(bolt::Error::NotBolt { .. }) => return Err(Failure::error("invalid database")),
            Err(bolt::Error::Disk(error)) if error.kind == ErrorKind::Locked => {
                if !lock_timeout.is_zero() && start.elapsed() >= lock_timeout {
                    return Err(Failure::error(format!("{}: in use by another process", path.display())));
                }
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(error) => return Err(Failure::error(error)),
        }
    }
}
