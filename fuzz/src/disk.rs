//! Disks in memory that hold the files of an input.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vfs::mem::MemDisk;
use vfs::{Cx, Disk, Job, OpenMode, drive};

/// A disk with these files, durable, and the directories above them.
///
/// # Panics
/// If a path has no parent, or is that of a directory.
pub fn disk_with<'a>(files: impl IntoIterator<Item = (&'a Path, &'a [u8])>) -> MemDisk {
    let disk = MemDisk::new();
    for (path, content) in files {
        let parent = path.parent().expect("a file is in a directory");
        disk.create_dir_all(parent, 0o700).expect("nothing of that name is there");
        let file = disk.open(path, OpenMode::Truncate { mode: 0o600 }).expect("the directory is there");
        file.write_at(0, content).expect("a disk without limits takes everything");
    }
    disk.settle();
    disk
}

/// Everything on the disk, to be compared with what is there later.
///
/// # Panics
/// Never: the files are those that the disk has named.
pub fn contents_of(disk: &MemDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let files = disk.files().into_iter();
    files.map(|(path, _)| (path.clone(), disk.content(&path).expect("the disk has named it"))).collect()
}

/// Runs `work` to its end, each sync done at once.
pub fn drive_job<T, F>(disk: &MemDisk, work: impl FnOnce(Cx, Arc<dyn Disk>) -> F) -> T
where
    F: Future<Output = T> + Send + 'static,
{
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    drive(disk, Job::new(|cx| work(cx, shared)))
}
