//! The crashable twin of a disk, in memory.
//!
//! [`MemDisk`] keeps every file twice: as the operating system's cache shows it, and as the device holds it. Between
//! the two stand the changes that no sync has covered yet, each with its place in one order over the whole disk.
//! Names are kept the same way: creating, renaming and removing reach the device with a sync of the directory, apart
//! from the content of the file. [`MemDisk::crash`] gives the disk that a machine finds after a power loss, with a
//! chosen [`Damage`] to the changes in between; [`MemDisk::kill`] gives the one that a new process finds after the old
//! one was killed. Both leave the old disk as it is, and cost little: pages are shared until they are written.
//!
//! Every call of a disk, file or view-making function is one *operation*, counted from 1. Faults are planted by that
//! number; a run repeated from the same start meets the same operation under the same number.
//!
//! Stricter than most file systems, as the contract of [`crate::Disk`] is: syncing a file does not make its name
//! durable, and data behind a failed sync stays in doubt for ever, whatever later syncs report.

mod content;
mod damage;
mod file;
mod tree;

pub use damage::Damage;

use crate::disk::{Disk, File, OpenMode};
use crate::error::{Error, ErrorKind, Result};
use crate::job::Effect;
use file::MemFile;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use stdx::fnv;
use stdx::prng::Prng;
use tree::{Failure, Node, NodeId, ROOT, Standing, Tree};

/// What the device writes whole or not at all.
pub const SECTOR_SIZE_BYTES: u64 = 512;
/// What the cache hands to the device, and what space is counted in.
pub const PAGE_SIZE_BYTES: u64 = 4096;

/// Which function an operation called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named like the functions of the traits")]
pub enum OpKind {
    Open,
    Read,
    Write,
    Len,
    SetLen,
    Allocate,
    Lock,
    View,
    SyncData,
    List,
    Exists,
    CreateDir,
    Rename,
    Remove,
    SyncDir,
}

impl OpKind {
    /// Whether it can change the disk; a crash behind one that cannot equals a crash in front of it.
    pub fn can_change(self) -> bool {
        !matches!(self, Self::Read | Self::Len | Self::Lock | Self::View | Self::List | Self::Exists)
    }
}

/// One operation, as [`MemDisk::trace`] reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// Its number, from 1.
    pub number: u64,
    /// What was called.
    pub kind: OpKind,
    /// On what.
    pub path: PathBuf,
}

/// The disk as it was when an operation had taken effect.
pub struct Image {
    /// The number of the last operation in it.
    pub op: u64,
    /// A copy of the disk, processes and unsynced changes included: [`MemDisk::crash`] or [`MemDisk::kill`] it.
    pub disk: MemDisk,
}

struct Inner {
    tree: Tree,
    op_count: u64,
    faults: BTreeMap<u64, ErrorKind>,
    crash_after: Option<u64>,
    trace: Option<Vec<Op>>,
    images: Option<Vec<(u64, Tree)>>,
    changed: bool,
    capture: Capture,
}

/// A sync that is asked to tell what it would cover instead of doing it: [`MemDisk::begin`].
#[derive(Clone)]
enum Capture {
    Idle,
    Wanted,
    Found { node: NodeId, is_dir: bool },
}

impl Inner {
    /// Counts an operation and applies the faults planted for it.
    fn count(&mut self, operation: &'static str, kind: OpKind, path: &Path) -> Result<()> {
        self.keep_image();
        self.op_count += 1;
        self.changed = kind.can_change();
        if let Some(trace) = &mut self.trace {
            trace.push(Op { number: self.op_count, kind, path: path.to_owned() });
        }
        if self.has_crashed() {
            return Err(Error::new(operation, path, ErrorKind::Other, "the machine has crashed"));
        }
        match self.faults.get(&self.op_count) {
            Some(kind) => Err(Error::new(operation, path, *kind, format!("injected fault: {kind:?}"))),
            None => Ok(()),
        }
    }

    fn has_crashed(&self) -> bool {
        self.crash_after.is_some_and(|last| self.op_count > last)
    }

    fn keep_image(&mut self) {
        if let Some(images) = &mut self.images
            && std::mem::take(&mut self.changed)
        {
            images.push((self.op_count, self.tree.clone()));
        }
    }

    fn sync(&mut self, node: NodeId, is_dir: bool, mark: u64, standing: Standing) {
        if is_dir {
            self.tree.sync_names(node, mark, standing);
        } else {
            self.tree.sync_file(node, mark, standing);
        }
    }

    /// The common part of both syncs: captured, failed or done.
    fn sync_now(&mut self, path: &Path, node: NodeId, is_dir: bool) -> Result<()> {
        if matches!(self.capture, Capture::Wanted) {
            self.capture = Capture::Found { node, is_dir };
            return Ok(());
        }
        let mark = self.tree.last_seq();
        self.finish_sync(path, node, is_dir, mark)
    }

    fn finish_sync(&mut self, path: &Path, node: NodeId, is_dir: bool, mark: u64) -> Result<()> {
        let kind = if is_dir { OpKind::SyncDir } else { OpKind::SyncData };
        if let Err(error) = self.count("sync", kind, path) {
            if !self.has_crashed() {
                self.sync(node, is_dir, mark, Standing::Doubtful);
            }
            return Err(error);
        }
        self.sync(node, is_dir, mark, Standing::Durable);
        Ok(())
    }
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone)]
pub struct MemDisk {
    inner: Arc<Mutex<Inner>>,
}

impl Default for MemDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl MemDisk {
    /// An empty disk: only the root directory, which relative paths begin at too.
    pub fn new() -> Self {
        Self::of(Tree::new())
    }

    fn of(tree: Tree) -> Self {
        let inner = Inner {
            tree,
            op_count: 0,
            faults: BTreeMap::new(),
            crash_after: None,
            trace: None,
            images: None,
            changed: false,
            capture: Capture::Idle,
        };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Limits the space to `bytes`, counted in pages of cached content and of reservations; `None`: no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.inner.lock().tree.capacity_bytes = bytes;
    }

    /// The operations so far.
    pub fn op_count(&self) -> u64 {
        self.inner.lock().op_count
    }

    /// Makes operation number `op` fail with `kind`.
    ///
    /// It has no effect, except that a failed write leaves about the first half of its bytes, whole sectors as every
    /// damage, and a failed sync leaves the data in doubt: no later sync makes it durable.
    pub fn fail_at(&self, op: u64, kind: ErrorKind) {
        self.inner.lock().faults.insert(op, kind);
    }

    /// Makes every operation after number `op` fail without effect, as if the machine had stopped there.
    pub fn crash_after(&self, op: u64) {
        self.inner.lock().crash_after = Some(op);
    }

    /// Starts to record operations for [`MemDisk::trace`].
    pub fn record_trace(&self) {
        self.inner.lock().trace = Some(Vec::new());
    }

    /// The operations since [`MemDisk::record_trace`].
    pub fn trace(&self) -> Vec<Op> {
        self.inner.lock().trace.clone().unwrap_or_default()
    }

    /// Starts to keep an image after every operation that can change the disk.
    pub fn record_images(&self) {
        let mut inner = self.inner.lock();
        let before = (inner.op_count, inner.tree.clone());
        inner.images = Some(vec![before]);
        inner.changed = false;
    }

    /// Takes the images kept so far, in order; the first is that of [`MemDisk::record_images`].
    pub fn take_images(&self) -> Vec<Image> {
        let mut inner = self.inner.lock();
        inner.keep_image();
        let images = inner.images.as_mut().map(std::mem::take).unwrap_or_default();
        images.into_iter().map(|(op, tree)| Image { op, disk: Self::of(tree) }).collect()
    }

    /// The disk that a machine finds after a power loss at this moment.
    ///
    /// It has no locks, no faults, no unsynced changes, and counts operations from the start. This disk stays as it is.
    pub fn crash(&self, damage: Damage, rng: &mut Prng) -> Self {
        let mut tree = self.inner.lock().tree.clone();
        damage::strike(&mut tree, damage, rng);
        Self::of(tree)
    }

    /// The disk that a new process finds after `kill -9` at this moment: everything written is there, locks and
    /// faults are gone, and a later power loss can still take what was not synced.
    pub fn kill(&self) -> Self {
        let mut tree = self.inner.lock().tree.clone();
        tree.end_processes();
        Self::of(tree)
    }

    /// Makes everything durable, without counting: for building the start of a scenario.
    pub fn settle(&self) {
        self.inner.lock().tree.settle_all();
    }

    /// Begins what a job waits for; its end comes later. A sync does not cover what is written meanwhile; a rename or a
    /// lock takes effect at the end.
    ///
    /// For drivers that deliver completions in virtual time. `effect` must be of this disk, and no other thread may
    /// sync at the same moment. The operation counts when it ends.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for the sync of a directory that is not there.
    pub fn begin(&self, effect: &Effect) -> Result<Pending> {
        if matches!(effect, Effect::Rename { .. } | Effect::Lock(..)) {
            return Ok(Pending { disk: self.clone(), kind: PendingKind::Whole(effect.clone()) });
        }
        self.inner.lock().capture = Capture::Wanted;
        let outcome = effect.perform(self);
        let mut inner = self.inner.lock();
        let capture = std::mem::replace(&mut inner.capture, Capture::Idle);
        outcome?;
        let Capture::Found { node, is_dir } = capture else {
            let detail = "the file is of another disk";
            return Err(Error::new("sync", effect.path(), ErrorKind::Other, detail));
        };
        let mark = inner.tree.last_seq();
        let path = effect.path().to_owned();
        Ok(Pending { disk: self.clone(), kind: PendingKind::Sync { path, node, is_dir, mark } })
    }

    /// A hash of names and contents as a process sees them. Lengths count, the order of changes does not.
    ///
    /// For the durable state take that of `crash(Damage::LoseAll, ..)`.
    pub fn digest(&self) -> u64 {
        let inner = self.inner.lock();
        let mut text = Vec::new();
        walk(&inner.tree, |path, node| {
            text.extend_from_slice(path.as_os_str().as_encoded_bytes());
            text.push(0);
            if let Node::File(file) = node {
                text.extend_from_slice(&file.cached.len().to_le_bytes());
                for (page, bytes) in file.cached.nonzero_pages() {
                    text.extend_from_slice(&page.to_le_bytes());
                    text.extend_from_slice(&fnv::fnv1a_64(bytes).to_le_bytes());
                }
            }
        });
        fnv::fnv1a_64(&text)
    }

    /// Every file with its length in bytes, by path; uncounted.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let inner = self.inner.lock();
        let mut files = Vec::new();
        walk(&inner.tree, |path, node| {
            if let Node::File(file) = node {
                files.push((path.to_owned(), file.cached.len()));
            }
        });
        files
    }

    /// The content of a file as a process sees it; uncounted.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such file.
    pub fn content(&self, path: &Path) -> Result<Vec<u8>> {
        let inner = self.inner.lock();
        let node = inner.tree.find(path).map_err(failed("read", path))?;
        match &inner.tree.nodes[&node] {
            Node::File(file) => Ok(file.cached.copy(0, file.cached.len())),
            Node::Dir(_) => Err(Error::new("read", path, ErrorKind::Other, "is a directory")),
        }
    }

    /// One counted operation on the tree.
    fn operate<T>(
        &self,
        operation: &'static str,
        kind: OpKind,
        path: &Path,
        action: impl FnOnce(&mut Tree) -> std::result::Result<T, Failure>,
    ) -> Result<T> {
        let mut inner = self.inner.lock();
        inner.count(operation, kind, path)?;
        action(&mut inner.tree).map_err(failed(operation, path))
    }
}

/// An effect under way. Dropping it is one that never ends: nothing becomes durable, renamed or locked by it.
pub struct Pending {
    disk: MemDisk,
    kind: PendingKind,
}

enum PendingKind {
    Sync {
        path: PathBuf,
        node: NodeId,
        is_dir: bool,
        mark: u64,
    },
    /// It happens at its end.
    Whole(Effect),
}

impl Pending {
    /// What it is about.
    pub fn path(&self) -> &Path {
        match &self.kind {
            PendingKind::Sync { path, .. } => path,
            PendingKind::Whole(effect) => effect.path(),
        }
    }

    /// Whether it is a sync, which leaves its data in doubt when it fails; anything else has not happened then.
    pub fn is_sync(&self) -> bool {
        matches!(self.kind, PendingKind::Sync { .. })
    }

    /// Ends it: of a sync, everything from before its beginning is durable, unless a fault is planted here.
    ///
    /// # Errors
    /// The planted fault; the data of a sync is in doubt then. Or the error of the operation.
    pub fn finish(self) -> Result<()> {
        match self.kind {
            PendingKind::Sync { path, node, is_dir, mark } => {
                self.disk.inner.lock().finish_sync(&path, node, is_dir, mark)
            }
            PendingKind::Whole(effect) => effect.perform(&self.disk),
        }
    }
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(Failure) -> Error {
    move |(kind, detail)| Error::new(operation, path, kind, detail)
}

/// Visits every name in order.
fn walk(tree: &Tree, mut visit: impl FnMut(&Path, &Node)) {
    let mut left = vec![(PathBuf::from("/"), ROOT)];
    while let Some((path, id)) = left.pop() {
        let node = &tree.nodes[&id];
        visit(&path, node);
        if let Node::Dir(dir) = node {
            left.extend(dir.cached.iter().rev().map(|(name, id)| (path.join(name), *id)));
        }
    }
}

impl Disk for MemDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>> {
        let (node, handle) = self.operate("open", OpKind::Open, path, |tree| {
            let create = matches!(mode, OpenMode::Create { .. } | OpenMode::Truncate { .. });
            let node = tree.open(path, create)?;
            if matches!(mode, OpenMode::Truncate { .. }) && tree.file(node).cached.len() > 0 {
                tree.set_len(node, 0);
            }
            Ok((node, tree.attach(node)))
        })?;
        let writable = mode != OpenMode::Read;
        Ok(Arc::new(MemFile::new(self.clone(), path, node, handle, writable)))
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        self.operate("list", OpKind::List, dir, |tree| {
            let node = tree.find(dir)?;
            Ok(tree.dir(node)?.cached.keys().cloned().collect())
        })
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        self.operate("stat", OpKind::Exists, path, |tree| match tree.find(path) {
            Ok(_) => Ok(true),
            Err((ErrorKind::NotFound, _)) => Ok(false),
            Err(failure) => Err(failure),
        })
    }

    fn create_dir_all(&self, path: &Path, _mode: u32) -> Result<()> {
        let mut missing = Vec::new();
        for ancestor in path.ancestors() {
            if self.inner.lock().tree.find(ancestor).is_ok() {
                break;
            }
            missing.push(ancestor);
        }
        // The last one is made even if it exists, so that the call counts and a file of that name is refused.
        if missing.is_empty() {
            missing.push(path);
        }
        for dir in missing.into_iter().rev() {
            self.operate("create directory", OpKind::CreateDir, dir, |tree| match tree.find(dir) {
                Ok(node) => tree.dir(node).map(|_| ()),
                Err(_) => tree.create_dir(dir),
            })?;
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.operate("rename", OpKind::Rename, from, |tree| tree.rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.operate("remove", OpKind::Remove, path, |tree| tree.remove(path, false))
    }

    fn remove_dir_all(&self, path: &Path) -> Result<()> {
        let children = self.operate("remove", OpKind::List, path, |tree| {
            let is_dir = |id| matches!(tree.nodes[id], Node::Dir(_));
            let dir = tree.dir(tree.find(path)?)?;
            Ok(dir.cached.iter().map(|(name, id)| (path.join(name), is_dir(id))).collect::<Vec<_>>())
        })?;
        for (child, is_dir) in children {
            if is_dir {
                self.remove_dir_all(&child)?;
            } else {
                self.remove_file(&child)?;
            }
        }
        self.operate("remove", OpKind::Remove, path, |tree| tree.remove(path, true))
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        let mut inner = self.inner.lock();
        let node = inner.tree.find(dir).map_err(failed("sync", dir))?;
        inner.tree.dir(node).map_err(failed("sync", dir))?;
        inner.sync_now(dir, node, true)
    }
}

#[cfg(test)]
mod tests;
