//! What is on the disk: the tree of names and the files, each as cached and as durable.

use super::content::Content;
use super::{PAGE_SIZE_BYTES, SECTOR_SIZE_BYTES};
use crate::error::ErrorKind;
use std::collections::BTreeMap;
use std::path::{Component, Path};
use std::sync::Arc;

/// A file or directory, whatever its name is at the moment.
pub(super) type NodeId = u64;
/// The directory that everything hangs from.
pub(super) const ROOT: NodeId = 0;

/// Why an operation on the tree failed: the kind and the words.
pub(super) type Failure = (ErrorKind, &'static str);

const NOT_FOUND: Failure = (ErrorKind::NotFound, "no such file or directory");
const IS_DIRECTORY: Failure = (ErrorKind::Other, "is a directory");
const NOT_DIRECTORY: Failure = (ErrorKind::Other, "not a directory");
const NOT_EMPTY: Failure = (ErrorKind::Other, "directory not empty");
const INVALID: Failure = (ErrorKind::Other, "invalid argument");
const LOCKED: Failure = (ErrorKind::Locked, "resource temporarily unavailable");

/// How sure it is that a change is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not asked for yet: a power loss may drop it.
    Unsynced,
    /// A sync that covered it failed: no later sync makes it durable.
    Doubtful,
    /// It is on the disk, but an earlier change is not.
    Durable,
}

/// A change on its way to the disk.
#[derive(Clone)]
pub(super) struct Pending<C> {
    /// Place in the order of all changes on this disk.
    pub(super) seq: u64,
    pub(super) standing: Standing,
    pub(super) change: C,
}

/// A change of a file's content.
#[derive(Clone)]
pub(super) enum DataChange {
    /// Whole sectors from `start` as they were in the cache after a write; those of them that were part of the file
    /// end at `end`, and the file is at least that long where they survive.
    Write { start: u64, end: u64, sectors: Arc<[u8]> },
    /// A new length.
    Resize { len: u64 },
}

/// A change of names. A rename is one change: journalling file systems never show half of it.
#[derive(Clone)]
pub(super) enum NameChange {
    Link { dir: NodeId, name: String, node: NodeId },
    Unlink { dir: NodeId, name: String, node: NodeId },
    Rename { from: NodeId, to: NodeId, name: String, node: NodeId },
}

impl NameChange {
    fn touches(&self, changed: NodeId) -> bool {
        match self {
            Self::Link { dir, .. } | Self::Unlink { dir, .. } => *dir == changed,
            Self::Rename { from, to, .. } => *from == changed || *to == changed,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LockFamily {
    OpenFileDescription,
    Flock,
}

#[derive(Clone)]
struct Lock {
    family: LockFamily,
    exclusive: bool,
    handle: u64,
}

/// A file. Invariant: `cached` is `durable` with every pending change applied in order.
#[derive(Clone, Default)]
pub(super) struct FileNode {
    pub(super) cached: Arc<Content>,
    pub(super) durable: Arc<Content>,
    pub(super) pending: Vec<Pending<DataChange>>,
    reserved: u64,
    handles: u64,
    linked: bool,
    locks: Vec<Lock>,
}

impl FileNode {
    fn pages_used(&self) -> u64 {
        let reserved = self.reserved.div_ceil(PAGE_SIZE_BYTES);
        reserved + self.cached.pages_from(reserved)
    }

    /// How many bytes of a write at `offset` fit into `free` bytes of space.
    fn bytes_that_fit(&self, offset: u64, len: usize, free: u64) -> usize {
        let end = offset + len as u64;
        let mut free_pages = free / PAGE_SIZE_BYTES;
        for page in offset / PAGE_SIZE_BYTES..end.div_ceil(PAGE_SIZE_BYTES) {
            let start = page * PAGE_SIZE_BYTES;
            if start < self.reserved || self.cached.has_page(page) {
                continue;
            }
            if free_pages == 0 {
                return start.saturating_sub(offset) as usize;
            }
            free_pages -= 1;
        }
        len
    }
}

#[derive(Clone, Default)]
pub(super) struct DirNode {
    pub(super) cached: BTreeMap<String, NodeId>,
    pub(super) durable: BTreeMap<String, NodeId>,
}

#[derive(Clone)]
pub(super) enum Node {
    File(FileNode),
    Dir(DirNode),
}

/// Everything on the disk. A node has at most one name: there are no hard links.
#[derive(Clone)]
pub(super) struct Tree {
    pub(super) nodes: BTreeMap<NodeId, Node>,
    pub(super) names: Vec<Pending<NameChange>>,
    next_node: NodeId,
    last_seq: u64,
    last_handle: u64,
    pub(super) capacity_bytes: Option<u64>,
}

impl Tree {
    pub(super) fn new() -> Self {
        Self {
            nodes: BTreeMap::from([(ROOT, Node::Dir(DirNode::default()))]),
            names: Vec::new(),
            next_node: ROOT + 1,
            last_seq: 0,
            last_handle: 0,
            capacity_bytes: None,
        }
    }

    /// The last change made so far; a sync that begins now covers changes up to it.
    pub(super) fn last_seq(&self) -> u64 {
        self.last_seq
    }

    fn next_seq(&mut self) -> u64 {
        self.last_seq += 1;
        self.last_seq
    }

    pub(super) fn file(&self, node: NodeId) -> &FileNode {
        match self.nodes.get(&node) {
            Some(Node::File(file)) => file,
            _ => panic!("an open file keeps its node"),
        }
    }

    fn file_mut(&mut self, node: NodeId) -> &mut FileNode {
        match self.nodes.get_mut(&node) {
            Some(Node::File(file)) => file,
            _ => panic!("an open file keeps its node"),
        }
    }

    pub(super) fn dir(&self, node: NodeId) -> Result<&DirNode, Failure> {
        match self.nodes.get(&node) {
            Some(Node::Dir(dir)) => Ok(dir),
            Some(Node::File(_)) => Err(NOT_DIRECTORY),
            None => Err(NOT_FOUND),
        }
    }

    fn dir_mut(&mut self, node: NodeId) -> &mut DirNode {
        match self.nodes.get_mut(&node) {
            Some(Node::Dir(dir)) => dir,
            _ => panic!("the caller found this directory"),
        }
    }

    /// Finds the node of `path`.
    pub(super) fn find(&self, path: &Path) -> Result<NodeId, Failure> {
        let mut node = ROOT;
        for name in parts(path)? {
            node = *self.dir(node)?.cached.get(&name).ok_or(NOT_FOUND)?;
        }
        Ok(node)
    }

    /// Finds the directory that holds, or would hold, the last name of `path`.
    fn find_parent(&self, path: &Path) -> Result<(NodeId, String), Failure> {
        let mut names = parts(path)?;
        let last = names.pop().ok_or(INVALID)?;
        let mut dir = ROOT;
        for name in names {
            dir = *self.dir(dir)?.cached.get(&name).ok_or(NOT_FOUND)?;
        }
        self.dir(dir)?;
        Ok((dir, last))
    }

    fn change_names(&mut self, change: NameChange) {
        match &change {
            NameChange::Link { dir, name, node } => {
                self.dir_mut(*dir).cached.insert(name.clone(), *node);
            }
            NameChange::Unlink { dir, name, .. } => {
                self.dir_mut(*dir).cached.remove(name);
            }
            NameChange::Rename { from, to, name, node } => {
                self.dir_mut(*from).cached.retain(|_, named| named != node);
                self.dir_mut(*to).cached.insert(name.clone(), *node);
            }
        }
        let seq = self.next_seq();
        self.names.push(Pending { seq, standing: Standing::Unsynced, change });
    }

    fn link(&mut self, dir: NodeId, name: String, node: Node) -> NodeId {
        let id = self.next_node;
        self.next_node += 1;
        self.nodes.insert(id, node);
        self.change_names(NameChange::Link { dir, name, node: id });
        id
    }

    /// Finds the file `path`; if it is missing and `create` is set, makes it.
    pub(super) fn open(&mut self, path: &Path, create: bool) -> Result<NodeId, Failure> {
        let (dir, name) = self.find_parent(path)?;
        match self.dir(dir)?.cached.get(&name) {
            Some(node) => match &self.nodes[node] {
                Node::File(_) => Ok(*node),
                Node::Dir(_) => Err(IS_DIRECTORY),
            },
            None if create => {
                Ok(self.link(dir, name, Node::File(FileNode { linked: true, ..FileNode::default() })))
            }
            None => Err(NOT_FOUND),
        }
    }

    /// Makes the directory `path` in an existing parent; fine if it exists.
    pub(super) fn create_dir(&mut self, path: &Path) -> Result<(), Failure> {
        let (dir, name) = self.find_parent(path)?;
        match self.dir(dir)?.cached.get(&name) {
            Some(node) => self.dir(*node).map(|_| ()),
            None => {
                self.link(dir, name, Node::Dir(DirNode::default()));
                Ok(())
            }
        }
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> Result<(), Failure> {
        let node = self.find(from)?;
        let (from_dir, _) = self.find_parent(from)?;
        let (to_dir, name) = self.find_parent(to)?;
        if parts(to)?.starts_with(&parts(from)?) {
            return if parts(to)? == parts(from)? { Ok(()) } else { Err(INVALID) };
        }
        if let Some(replaced) = self.dir(to_dir)?.cached.get(&name).copied() {
            match (&self.nodes[&node], &self.nodes[&replaced]) {
                (Node::File(_), Node::Dir(_)) => return Err(IS_DIRECTORY),
                (Node::Dir(_), Node::File(_)) => return Err(NOT_DIRECTORY),
                (Node::Dir(_), Node::Dir(dir)) if !dir.cached.is_empty() => return Err(NOT_EMPTY),
                _ => self.forget_name(replaced),
            }
        }
        self.change_names(NameChange::Rename { from: from_dir, to: to_dir, name, node });
        Ok(())
    }

    /// Removes the file, or the empty directory if `directory` is set.
    pub(super) fn remove(&mut self, path: &Path, directory: bool) -> Result<(), Failure> {
        let (dir, name) = self.find_parent(path)?;
        let node = *self.dir(dir)?.cached.get(&name).ok_or(NOT_FOUND)?;
        match &self.nodes[&node] {
            Node::File(_) if directory => return Err(NOT_DIRECTORY),
            Node::Dir(_) if !directory => return Err(IS_DIRECTORY),
            Node::Dir(found) if !found.cached.is_empty() => return Err(NOT_EMPTY),
            _ => self.forget_name(node),
        }
        self.change_names(NameChange::Unlink { dir, name, node });
        Ok(())
    }

    fn forget_name(&mut self, node: NodeId) {
        if let Some(Node::File(file)) = self.nodes.get_mut(&node) {
            file.linked = false;
        }
    }

    /// The bytes still free; everything if there is no limit.
    fn free_bytes(&self) -> u64 {
        let Some(capacity) = self.capacity_bytes else { return u64::MAX };
        let used = self.nodes.values().map(|node| match node {
            Node::File(file) if file.linked || file.handles > 0 => file.pages_used(),
            _ => 0,
        });
        capacity.saturating_sub(used.sum::<u64>() * PAGE_SIZE_BYTES)
    }

    /// Writes as much of `data` as fits; false if that is not all.
    pub(super) fn write(&mut self, node: NodeId, offset: u64, data: &[u8]) -> bool {
        let free = self.free_bytes();
        let fits = match self.capacity_bytes {
            Some(_) => self.file(node).bytes_that_fit(offset, data.len(), free),
            None => data.len(),
        };
        if fits > 0 {
            let seq = self.next_seq();
            let file = self.file_mut(node);
            let cached = Arc::make_mut(&mut file.cached);
            cached.write(offset, &data[..fits]);
            let start = offset / SECTOR_SIZE_BYTES * SECTOR_SIZE_BYTES;
            let sectors_end = (offset + fits as u64).next_multiple_of(SECTOR_SIZE_BYTES);
            let sectors = cached.copy(start, sectors_end).into();
            let end = sectors_end.min(cached.len());
            let change = DataChange::Write { start, end, sectors };
            file.pending.push(Pending { seq, standing: Standing::Unsynced, change });
        }
        fits == data.len()
    }

    pub(super) fn set_len(&mut self, node: NodeId, len: u64) {
        let seq = self.next_seq();
        let file = self.file_mut(node);
        file.reserved = file.reserved.min(len);
        Arc::make_mut(&mut file.cached).resize(len);
        file.pending.push(Pending { seq, standing: Standing::Unsynced, change: DataChange::Resize { len } });
    }

    /// Reserves space up to `len` and extends the file to it; false if the space is missing.
    pub(super) fn allocate(&mut self, node: NodeId, len: u64) -> bool {
        let before = self.file(node).reserved;
        let free = self.free_bytes();
        let file = self.file_mut(node);
        let used = file.pages_used();
        file.reserved = file.reserved.max(len);
        let more = (file.pages_used() - used) * PAGE_SIZE_BYTES;
        if more > free {
            file.reserved = before;
            return false;
        }
        if len > file.cached.len() {
            let reserved = file.reserved;
            self.set_len(node, len);
            self.file_mut(node).reserved = reserved;
        }
        true
    }

    /// Settles the fate of what was written to a file up to `mark`: durable, or in doubt for ever.
    pub(super) fn sync_file(&mut self, node: NodeId, mark: u64, standing: Standing) {
        let Some(Node::File(file)) = self.nodes.get_mut(&node) else { return };
        settle(&mut file.pending, mark, standing, |_| true);
        if file.pending.iter().all(|pending| pending.standing == Standing::Durable) {
            file.durable = file.cached.clone();
            file.pending.clear();
            return;
        }
        for change in take_durable(&mut file.pending) {
            apply_data(Arc::make_mut(&mut file.durable), &change, |_| true);
        }
    }

    /// The same for the names in a directory.
    pub(super) fn sync_names(&mut self, dir: NodeId, mark: u64, standing: Standing) {
        settle(&mut self.names, mark, standing, |change| change.touches(dir));
        for change in take_durable(&mut self.names) {
            self.apply_name(&change);
        }
        self.collect();
    }

    /// Applies a change to the durable names.
    pub(super) fn apply_name(&mut self, change: &NameChange) {
        let (dir, name, node) = match change {
            NameChange::Unlink { dir, name, node } => {
                if let Some(Node::Dir(dir)) = self.nodes.get_mut(dir)
                    && dir.durable.get(name) == Some(node)
                {
                    dir.durable.remove(name);
                }
                return;
            }
            NameChange::Link { dir, name, node } => (*dir, name, *node),
            NameChange::Rename { to, name, node, .. } => (*to, name, *node),
        };
        for other in self.nodes.values_mut() {
            if let Node::Dir(other) = other {
                other.durable.retain(|_, named| *named != node);
            }
        }
        if let Some(Node::Dir(dir)) = self.nodes.get_mut(&dir) {
            dir.durable.insert(name.clone(), node);
        }
    }

    /// Drops the nodes that no name, no pending change and no handle leads to.
    pub(super) fn collect(&mut self) {
        let mut found = vec![ROOT];
        for pending in &self.names {
            match &pending.change {
                NameChange::Link { dir, node, .. } | NameChange::Unlink { dir, node, .. } => {
                    found.extend([*dir, *node]);
                }
                NameChange::Rename { from, to, node, .. } => found.extend([*from, *to, *node]),
            }
        }
        found.extend(self.nodes.iter().filter_map(|(id, node)| match node {
            Node::File(file) if file.handles > 0 => Some(*id),
            _ => None,
        }));
        let mut reached = std::collections::BTreeSet::new();
        while let Some(id) = found.pop() {
            if reached.insert(id)
                && let Some(Node::Dir(dir)) = self.nodes.get(&id)
            {
                found.extend(dir.cached.values().chain(dir.durable.values()));
            }
        }
        self.nodes.retain(|id, _| reached.contains(id));
    }

    pub(super) fn attach(&mut self, node: NodeId) -> u64 {
        self.last_handle += 1;
        self.file_mut(node).handles += 1;
        self.last_handle
    }

    pub(super) fn detach(&mut self, node: NodeId, handle: u64) {
        let file = self.file_mut(node);
        file.handles -= 1;
        file.locks.retain(|lock| lock.handle != handle);
        if !file.linked && file.handles == 0 {
            self.collect();
        }
    }

    /// Takes or converts the lock of a handle.
    pub(super) fn lock(
        &mut self,
        node: NodeId,
        handle: u64,
        family: LockFamily,
        exclusive: bool,
    ) -> Result<(), Failure> {
        let file = self.file_mut(node);
        let conflicts =
            |lock: &Lock| lock.family == family && lock.handle != handle && (exclusive || lock.exclusive);
        if file.locks.iter().any(conflicts) {
            return Err(LOCKED);
        }
        file.locks.retain(|lock| lock.family != family || lock.handle != handle);
        file.locks.push(Lock { family, exclusive, handle });
        Ok(())
    }

    /// Ends every process: no handle, no lock, what was removed but open is gone.
    pub(super) fn end_processes(&mut self) {
        for node in self.nodes.values_mut() {
            if let Node::File(file) = node {
                file.handles = 0;
                file.locks.clear();
            }
        }
        self.collect();
    }

    /// Makes everything durable.
    pub(super) fn settle_all(&mut self) {
        for node in self.nodes.values_mut() {
            match node {
                Node::File(file) => {
                    file.durable = file.cached.clone();
                    file.pending.clear();
                }
                Node::Dir(dir) => dir.durable = dir.cached.clone(),
            }
        }
        self.names.clear();
        self.collect();
    }

    /// Takes the durable state as the cached one: what a machine finds when it starts.
    pub(super) fn reload(&mut self) {
        for node in self.nodes.values_mut() {
            match node {
                Node::File(file) => {
                    file.cached = file.durable.clone();
                    file.reserved = file.reserved.min(file.cached.len());
                    file.linked = true;
                }
                Node::Dir(dir) => dir.cached = dir.durable.clone(),
            }
        }
        self.end_processes();
    }
}

/// Applies a change to `content`, as far as `keep` wants the sectors that start at an offset.
pub(super) fn apply_data(content: &mut Content, change: &DataChange, keep: impl Fn(u64) -> bool) {
    let (start, end, sectors) = match change {
        DataChange::Resize { len } => return content.resize(*len),
        DataChange::Write { start, end, sectors } => (*start, *end, sectors),
    };
    let mut offset = start;
    for sector in sectors.chunks(SECTOR_SIZE_BYTES as usize) {
        let sector_end = offset + sector.len() as u64;
        if keep(offset) {
            let len = content.len().max(end.min(sector_end));
            let visible = len.min(sector_end) - offset;
            content.write(offset, &sector[..visible as usize]);
        }
        offset = sector_end;
    }
}

fn settle<C>(pending: &mut [Pending<C>], mark: u64, standing: Standing, covers: impl Fn(&C) -> bool) {
    for entry in pending {
        if entry.seq <= mark && entry.standing == Standing::Unsynced && covers(&entry.change) {
            entry.standing = standing;
        }
    }
}

fn take_durable<C>(pending: &mut Vec<Pending<C>>) -> Vec<C> {
    let count = pending.iter().take_while(|entry| entry.standing == Standing::Durable).count();
    pending.drain(..count).map(|entry| entry.change).collect()
}

/// The names of a path from the root; a relative path begins there too.
fn parts(path: &Path) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir => {
                names.pop();
            }
            Component::Normal(name) => names.push(name.to_str().ok_or(INVALID)?.to_owned()),
            Component::Prefix(_) => return Err(INVALID),
        }
    }
    Ok(names)
}
