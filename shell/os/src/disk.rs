//! The real disk.

use crate::lock;
use crate::map::MappedView;
use crate::words::error;
use rustix::fs::{FallocateFlags, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use vfs::{Disk, Error, ErrorKind, File, LockKind, OpenMode, Result, View};

/// Files and directories of the operating system.
#[derive(Clone, Copy, Debug)]
pub struct RealDisk {
    syncs: bool,
}

impl Default for RealDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl RealDisk {
    /// The disk as it is.
    pub fn new() -> Self {
        Self { syncs: true }
    }

    /// A disk whose syncs do nothing, for `--unsafe-no-fsync`: what was acknowledged is lost with the power.
    pub fn without_syncs() -> Self {
        Self { syncs: false }
    }

    pub(crate) fn open_file(&self, path: &Path, mode: OpenMode) -> Result<RealFile> {
        let (flags, bits) = match mode {
            OpenMode::Read => (OFlags::RDONLY, 0),
            OpenMode::ReadWrite => (OFlags::RDWR, 0),
            OpenMode::Create { mode } => (OFlags::RDWR | OFlags::CREATE, mode),
            OpenMode::Truncate { mode } => (OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC, mode),
        };
        let flags = flags | OFlags::CLOEXEC;
        let fd = retry_on_intr(|| rustix::fs::open(path, flags, Mode::from_raw_mode(bits)))
            .map_err(|cause| error("open", path, cause))?;
        let open = OpenFile { fd, path: path.to_owned(), known_len: AtomicU64::new(0) };
        // Opening a directory for reading succeeds, and every use of it fails with less clear words.
        if rustix::fs::fstat(&open.fd).is_ok_and(|stat| is_directory(&stat)) {
            return Err(error("open", path, Errno::ISDIR));
        }
        Ok(RealFile { open: Arc::new(open), syncs: self.syncs })
    }
}

fn is_directory(stat: &rustix::fs::Stat) -> bool {
    rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir()
}

impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>> {
        Ok(Arc::new(self.open_file(path, mode)?))
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        let entries = fs::read_dir(dir).map_err(|cause| error("list", dir, cause))?;
        // No name of ours is outside UTF-8; one that is stays visible, though it cannot be opened by what is shown.
        let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        let mut names =
            entries.map(name).collect::<io::Result<Vec<_>>>().map_err(|cause| error("list", dir, cause))?;
        names.sort_unstable();
        Ok(names)
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        path.try_exists().map_err(|cause| error("stat", path, cause))
    }

    fn create_dir_all(&self, path: &Path, mode: u32) -> Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder
            .recursive(true)
            .mode(mode)
            .create(path)
            .map_err(|cause| error("create directory", path, cause))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to).map_err(|cause| error("rename", from, cause))
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        fs::remove_file(path).map_err(|cause| error("remove", path, cause))
    }

    fn remove_dir_all(&self, path: &Path) -> Result<()> {
        fs::remove_dir_all(path).map_err(|cause| error("remove", path, cause))
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        if !self.syncs {
            return Ok(());
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        retry_on_intr(|| rustix::fs::open(dir, flags, Mode::empty()))
            .and_then(|fd| retry_on_intr(|| rustix::fs::fsync(&fd)))
            .map_err(|cause| error("sync", dir, cause))
    }
}

/// A descriptor that a file shares with its views.
pub(crate) struct OpenFile {
    fd: OwnedFd,
    path: PathBuf,
    /// A length that the file is known to have had and that nobody here has cut: pages below it need no system call.
    known_len: AtomicU64,
}

impl OpenFile {
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn known_len(&self) -> u64 {
        self.known_len.load(Ordering::Acquire)
    }

    /// Asks for the length, and remembers it.
    pub(crate) fn refresh_len(&self) -> Result<u64> {
        let stat = rustix::fs::fstat(&self.fd).map_err(|cause| self.error("stat", cause))?;
        let len = u64::try_from(stat.st_size).unwrap_or(0);
        self.known_len.store(len, Ordering::Release);
        Ok(len)
    }

    /// Reads exactly `len` bytes; `None` if the file ends before, or cannot be read.
    pub(crate) fn read_exact_at(&self, offset: u64, len: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; len];
        let read = self.read_at(offset, &mut bytes).ok()?;
        (read == len).then_some(bytes)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            let at = offset.saturating_add(done as u64);
            match retry_on_intr(|| rustix::io::pread(&self.fd, &mut buf[done..], at)) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(cause) => return Err(self.error("read", cause)),
            }
        }
        Ok(done)
    }

    fn error(&self, operation: &'static str, cause: Errno) -> Error {
        error(operation, &self.path, cause)
    }
}

/// An open file; its locks end with it and with the last of its views.
pub(crate) struct RealFile {
    open: Arc<OpenFile>,
    syncs: bool,
}

impl RealFile {
    #[cfg(test)]
    pub(crate) fn shared(&self) -> Arc<OpenFile> {
        self.open.clone()
    }
}

impl File for RealFile {
    fn path(&self) -> &Path {
        &self.open.path
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.open.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut done = 0;
        while done < data.len() {
            let at = offset.saturating_add(done as u64);
            match retry_on_intr(|| rustix::io::pwrite(&self.open.fd, &data[done..], at)) {
                Ok(0) => {
                    let detail = "the system wrote nothing";
                    return Err(Error::new("write", &self.open.path, ErrorKind::Other, detail));
                }
                Ok(count) => done += count,
                Err(cause) => return Err(self.open.error("write", cause)),
            }
        }
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        self.open.refresh_len()
    }

    fn set_len(&self, len: u64) -> Result<()> {
        // Before the cut and after it: someone may ask for the length between the two.
        self.open.known_len.fetch_min(len, Ordering::AcqRel);
        let result = retry_on_intr(|| rustix::fs::ftruncate(&self.open.fd, len));
        self.open.known_len.fetch_min(len, Ordering::AcqRel);
        result.map_err(|cause| self.open.error("set length", cause))
    }

    fn allocate(&self, len: u64) -> Result<()> {
        if len == 0 {
            return Ok(());
        }
        match retry_on_intr(|| rustix::fs::fallocate(&self.open.fd, FallocateFlags::empty(), 0, len)) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) if self.len()? < len => self.set_len(len),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(cause) => Err(self.open.error("allocate", cause)),
        }
    }

    fn try_lock(&self, kind: LockKind) -> Result<()> {
        lock::try_lock(self.open.fd(), kind).map_err(|cause| self.open.error("lock", cause))
    }

    fn view(&self) -> Result<Arc<dyn View>> {
        Ok(Arc::new(MappedView::new(self.open.clone())?))
    }

    fn sync_data(&self) -> Result<()> {
        if !self.syncs {
            return Ok(());
        }
        retry_on_intr(|| rustix::fs::fdatasync(&self.open.fd)).map_err(|cause| self.open.error("sync", cause))
    }
}
