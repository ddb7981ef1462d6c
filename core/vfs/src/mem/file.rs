//! Open files of the disk in memory, and views of their pages.

use super::tree::{Failure, LockFamily, NodeId, Tree};
use super::{MemDisk, OpKind, SECTOR_SIZE_BYTES};
use crate::disk::{File, LockKind, Page, View};
use crate::error::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An open file of a [`MemDisk`].
pub(super) struct MemFile {
    disk: MemDisk,
    path: PathBuf,
    node: NodeId,
    handle: u64,
    writable: bool,
}

impl MemFile {
    /// The file behind `handle`, which [`Tree::attach`] gave for it.
    pub(super) fn new(disk: MemDisk, path: &Path, node: NodeId, handle: u64, writable: bool) -> Self {
        Self { disk, path: path.to_owned(), node, handle, writable }
    }

    fn operate<T>(
        &self,
        operation: &'static str,
        kind: OpKind,
        action: impl FnOnce(&mut Tree) -> std::result::Result<T, Failure>,
    ) -> Result<T> {
        self.disk.operate(operation, kind, &self.path, action)
    }

    fn check_writable(&self, operation: &'static str) -> Result<()> {
        if self.writable {
            return Ok(());
        }
        let detail = "the file is open for reading";
        Err(Error::new(operation, &self.path, ErrorKind::PermissionDenied, detail))
    }

    /// Refuses offsets that no file system takes.
    fn check_end(&self, operation: &'static str, offset: u64, len: usize) -> Result<()> {
        match offset.checked_add(len as u64) {
            Some(end) if i64::try_from(end).is_ok() => Ok(()),
            _ => Err(Error::new(operation, &self.path, ErrorKind::Other, "file too large")),
        }
    }

    fn no_space(&self, operation: &'static str) -> Error {
        Error::new(operation, &self.path, ErrorKind::NoSpace, "no space left on device")
    }
}

impl Drop for MemFile {
    fn drop(&mut self) {
        self.disk.inner.lock().tree.detach(self.node, self.handle);
    }
}

impl File for MemFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.operate("read", OpKind::Read, |tree| Ok(tree.file(self.node).cached.read(offset, buf)))
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.check_writable("write")?;
        self.check_end("write", offset, data.len())?;
        let mut inner = self.disk.inner.lock();
        if let Err(error) = inner.count("write", OpKind::Write, &self.path) {
            if !inner.has_crashed() {
                inner.tree.write(self.node, offset, &data[..written_before_failure(offset, data.len())]);
            }
            return Err(error);
        }
        if inner.tree.write(self.node, offset, data) { Ok(()) } else { Err(self.no_space("write")) }
    }

    fn len(&self) -> Result<u64> {
        self.operate("stat", OpKind::Len, |tree| Ok(tree.file(self.node).cached.len()))
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.check_writable("set length")?;
        self.check_end("set length", len, 0)?;
        self.operate("set length", OpKind::SetLen, |tree| {
            tree.set_len(self.node, len);
            Ok(())
        })
    }

    fn allocate(&self, len: u64) -> Result<()> {
        self.check_writable("allocate")?;
        self.check_end("allocate", len, 0)?;
        let fits = self.operate("allocate", OpKind::Allocate, |tree| Ok(tree.allocate(self.node, len)))?;
        if fits { Ok(()) } else { Err(self.no_space("allocate")) }
    }

    fn try_lock(&self, kind: LockKind) -> Result<()> {
        let (family, exclusive) = match kind {
            LockKind::OpenFileDescription => (LockFamily::OpenFileDescription, true),
            LockKind::FlockExclusive => (LockFamily::Flock, true),
            LockKind::FlockShared => (LockFamily::Flock, false),
        };
        self.operate("lock", OpKind::Lock, |tree| tree.lock(self.node, self.handle, family, exclusive))
    }

    fn view(&self) -> Result<Arc<dyn View>> {
        let handle = self.operate("map", OpKind::View, |tree| Ok(tree.attach(self.node)))?;
        Ok(Arc::new(MemView(Self::new(self.disk.clone(), &self.path, self.node, handle, false))))
    }

    fn sync_data(&self) -> Result<()> {
        self.disk.inner.lock().sync_now(&self.path, self.node, false)
    }
}

/// How many of `len` bytes at `offset` a failed write leaves: about half of them, up to the end of a sector.
fn written_before_failure(offset: u64, len: usize) -> usize {
    let half = offset + len as u64 / 2;
    (half - half % SECTOR_SIZE_BYTES).saturating_sub(offset) as usize
}

/// The pages of a file; holds it like a handle without locks.
struct MemView(MemFile);

impl View for MemView {
    fn page(&self, offset: u64, len: usize) -> Option<Page<'_>> {
        let inner = self.0.disk.inner.lock();
        let content = &inner.tree.file(self.0.node).cached;
        let end = offset.checked_add(len as u64)?;
        (end <= content.len()).then(|| Page::Copied(content.copy(offset, end)))
    }
}
