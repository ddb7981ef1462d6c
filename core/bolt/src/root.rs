//! A committed state of a file, for readers.

use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::format::{
    BUCKET_HEADER_LEN, FIRST_DATA_PAGE, FLAG_LEAF, MAX_DEPTH, META_PAGE_USED, Meta, PAGE_HEADER_LEN,
    PAGE_SIZES, PageHeader, PageId, TxId, u64_at,
};
use crate::freelist::StoredFreelist;
use crate::image::Image;
use crate::page::{Content, Kind, NodePage, Pages, Value};
use crate::walk::{PageSet, Separators, TreeWalk};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use vfs::{Disk, File, LockKind, OpenMode};

/// A committed state of a file. Immutable, cheap to clone, read without locks.
///
/// While any clone lives the pages of this state stay as they are, and the file stays open and locked.
#[derive(Clone)]
pub struct Root {
    state: Arc<State>,
}

/// What a [`Root`] shares.
pub(crate) struct State {
    pub pages: Pages,
    pub file: Arc<dyn File>,
    pub meta: Meta,
    pub buckets: BTreeMap<Bytes, BucketRoot>,
}

/// Where a bucket's tree begins.
#[derive(Clone, Debug)]
pub(crate) struct BucketRoot {
    /// A number that etcd never sets; carried on.
    pub sequence: u64,
    pub place: Place,
}

#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// The root page.
    Page(PageId),
    /// The whole descriptor, in which the one page lies.
    Inline(Bytes),
}

/// What [`Root::check`] found in a file that is in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Number of buckets.
    pub buckets: u64,
    /// Number of pairs in all buckets.
    pub pairs: u64,
    /// Pages that trees, the metas and a stored list of free pages use.
    pub used_pages: u64,
    /// Pages below the high-water mark that nothing uses.
    pub free_pages: u64,
    /// Those of them that a stored list of free pages should name but does not. Our writer finds them again, the
    /// reference's does not.
    pub leaked_pages: u64,
}

impl Root {
    /// Opens a file for reading only, with a shared lock: for tools. Reads the metas and the root tree.
    ///
    /// # Errors
    /// [`Error::Disk`], also with [`vfs::ErrorKind::Locked`] while a writer has the file; [`Error::NotBolt`];
    /// [`Error::Corrupt`]; [`Error::Unsupported`].
    pub fn open_read_only(disk: &dyn Disk, path: &Path) -> Result<Self> {
        let file = disk.open(path, OpenMode::Read)?;
        file.try_lock(LockKind::FlockShared)?;
        let (meta, _) = newest_meta(&*file)?;
        State::load(file, meta, &mut PageSet::new(meta.high_water)).map(Self::new)
    }

    pub(crate) fn new(state: State) -> Self {
        Self { state: Arc::new(state) }
    }

    pub(crate) fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// The transaction that committed this state.
    pub fn txid(&self) -> TxId {
        self.state.meta.txid
    }

    /// Bytes in a page.
    pub fn page_size(&self) -> u32 {
        self.state.meta.page_size
    }

    /// The first page never allocated.
    pub fn high_water(&self) -> PageId {
        self.state.meta.high_water
    }

    /// The high-water mark in bytes: etcd's database size, and the length of an [`Image`]. The file may be longer.
    pub fn size_bytes(&self) -> u64 {
        self.state
            .meta
            .size_bytes()
            .expect("checked against the length of the file when it was opened or grown")
    }

    /// The names of the buckets, in order.
    pub fn bucket_names(&self) -> impl Iterator<Item = &[u8]> {
        self.state.buckets.keys().map(|name| &name[..])
    }

    /// The bucket `name`, if it exists.
    pub fn bucket(&self, name: &[u8]) -> Option<Bucket<'_>> {
        Some(Bucket { pages: &self.state.pages, root: self.state.buckets.get(name)? })
    }

    /// A file with this state, to be read in pieces (contract C8).
    pub fn image(&self) -> Image {
        Image::new(self.clone())
    }

    /// Reads every page and checks everything that the format demands, that each branch names its children by exactly
    /// their first keys included, and a stored list of free pages.
    ///
    /// # Errors
    /// The first violation found.
    pub fn check(&self) -> Result<Report> {
        let State { pages, meta, buckets, .. } = &*self.state;
        let mut seen = PageSet::new(meta.high_water);
        let mut names = TreeWalk::new(pages, pages.node(meta.root)?, Content::Buckets, Separators::Equal);
        while names.next_leaf(&mut seen)?.is_some() {}
        let mut report = Report { buckets: buckets.len() as u64, ..Report::default() };
        for bucket in buckets.values() {
            let mut walk = TreeWalk::new(pages, bucket.page(pages)?, Content::Pairs, Separators::Equal);
            while let Some(leaf) = walk.next_leaf(&mut seen)? {
                report.pairs += leaf.count() as u64;
            }
        }
        let mut listed = None;
        if let Some(id) = meta.freelist {
            listed = Some(StoredFreelist::read(pages, id, &mut seen)?.ids.len() as u64);
        }
        let data_pages = (FIRST_DATA_PAGE.0..meta.high_water.0).map(PageId);
        report.free_pages = data_pages.filter(|id| !seen.contains(*id)).count() as u64;
        report.used_pages = meta.high_water.0 - report.free_pages;
        report.leaked_pages = listed.map_or(0, |listed| report.free_pages - listed);
        Ok(report)
    }
}

impl State {
    /// Reads the names and roots of the buckets; adds the pages of the root tree to `seen`.
    pub fn load(file: Arc<dyn File>, meta: Meta, seen: &mut PageSet) -> Result<Self> {
        let pages = Pages {
            view: file.view()?,
            path: file.path().into(),
            page_size: meta.page_size,
            high_water: meta.high_water,
        };
        let mut buckets = BTreeMap::new();
        let mut walk = TreeWalk::new(&pages, pages.node(meta.root)?, Content::Buckets, Separators::NotAbove);
        while let Some(leaf) = walk.next_leaf(seen)? {
            for index in 0..leaf.count() {
                let element = leaf.leaf(index)?;
                let bucket = BucketRoot::decode(element.value)
                    .ok_or_else(|| leaf.corrupt(format!("element {index} is no descriptor of a bucket")))?;
                buckets.insert(Bytes::copy_from_slice(element.key), bucket);
            }
        }
        Ok(Self { pages, file, meta, buckets })
    }
}

impl BucketRoot {
    fn decode(descriptor: &[u8]) -> Option<Self> {
        let root = PageId(u64_at(descriptor, 0)?);
        let sequence = u64_at(descriptor, 8)?;
        let place = match root {
            PageId(0) => Place::Inline(Bytes::copy_from_slice(descriptor)),
            page => Place::Page(page),
        };
        Some(Self { sequence, place })
    }

    /// The value of the bucket's name in the root tree.
    pub fn encode(&self) -> Bytes {
        match &self.place {
            Place::Inline(descriptor) => descriptor.clone(),
            Place::Page(id) => [id.0.to_le_bytes(), self.sequence.to_le_bytes()].concat().into(),
        }
    }

    /// The root page of the bucket's tree.
    pub fn page<'a>(&'a self, pages: &'a Pages) -> Result<NodePage<'a>> {
        match &self.place {
            Place::Page(id) => pages.node(*id),
            Place::Inline(descriptor) => pages.inline_node(&descriptor[BUCKET_HEADER_LEN..]),
        }
    }
}

impl Default for BucketRoot {
    /// A bucket without pairs.
    fn default() -> Self {
        let header = PageHeader { id: PageId(0), flags: FLAG_LEAF, count: 0, overflow: 0 };
        let mut descriptor = vec![0; BUCKET_HEADER_LEN + PAGE_HEADER_LEN];
        descriptor[BUCKET_HEADER_LEN..].copy_from_slice(&header.encode());
        Self { sequence: 0, place: Place::Inline(descriptor.into()) }
    }
}

/// A named tree of pairs in a [`Root`].
#[derive(Clone, Copy)]
pub struct Bucket<'a> {
    pages: &'a Pages,
    root: &'a BucketRoot,
}

impl<'a> Bucket<'a> {
    /// Returns the value of `key`, `None` if it is missing.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if a page on the way breaks the format.
    pub fn get(&self, key: &[u8]) -> Result<Option<Value<'a>>> {
        let mut page = self.root_page()?;
        for _ in 0..MAX_DEPTH {
            if page.kind() == Kind::Leaf {
                return match page.search(key)? {
                    Ok(index) => page.into_value(index).map(Some),
                    Err(_) => Ok(None),
                };
            }
            page = self.pages.node(page.child(page.search_child(key)?)?)?;
        }
        Err(page.corrupt(format!("deeper than {MAX_DEPTH} pages")))
    }

    /// Returns a cursor before the first pair whose key is not below `start`; empty: before the first of all.
    pub fn cursor(&self, start: &[u8]) -> Cursor<'a> {
        Cursor::new(*self, start)
    }

    pub(crate) fn root_page(&self) -> Result<NodePage<'a>> {
        self.root.page(self.pages)
    }

    pub(crate) fn pages(&self) -> &'a Pages {
        self.pages
    }
}

/// Returns the valid meta of the newest transaction, and the page that it lies in.
///
/// # Errors
/// [`Error::NotBolt`] if there is none, [`Error::Corrupt`] if it does not fit the file.
pub(crate) fn newest_meta(file: &dyn File) -> Result<(Meta, PageId)> {
    let first = meta_at(file, 0)?;
    let second = match &first {
        Ok(meta) => second_meta(file, meta.page_size)?,
        Err(_) => find_second_meta(file)?,
    };
    let (meta, slot) = match (first, second) {
        (Ok(first), Some(second)) if second.txid > first.txid => (second, PageId(1)),
        (Ok(first), _) => (first, PageId(0)),
        (Err(_), Some(second)) => (second, PageId(1)),
        (Err(what), None) => return Err(Error::NotBolt { path: file.path().to_owned(), what }),
    };
    let corrupt = |what| Err(Error::Corrupt { path: file.path().to_owned(), page: slot, what });
    let (page_size, file_len) = (meta.page_size, file.len()?);
    if !PAGE_SIZES.contains(&page_size) || !page_size.is_power_of_two() {
        return corrupt(format!("page size {page_size}"));
    }
    if meta.size_bytes().is_none_or(|size| size > file_len) {
        return corrupt(format!(
            "{} pages of {page_size} bytes in a file of {file_len} bytes",
            meta.high_water
        ));
    }
    let data_pages = FIRST_DATA_PAGE..meta.high_water;
    if !data_pages.contains(&meta.root) || meta.freelist.is_some_and(|id| !data_pages.contains(&id)) {
        return corrupt(format!("root or list of free pages is not within 2..{}", meta.high_water));
    }
    if meta.txid.0 >= u64::MAX / 2 {
        return corrupt(format!("transaction {} is out of range", meta.txid));
    }
    Ok((meta, slot))
}

/// The meta of page 1, if it is valid and agrees with the page size by which it was found.
fn second_meta(file: &dyn File, page_size: u32) -> Result<Option<Meta>> {
    Ok(meta_at(file, u64::from(page_size))?.ok().filter(|meta| meta.page_size == page_size))
}

/// The meta of page 1 when page 0 does not tell the page size.
fn find_second_meta(file: &dyn File) -> Result<Option<Meta>> {
    let mut page_size = *PAGE_SIZES.start();
    while PAGE_SIZES.contains(&page_size) {
        if let Some(meta) = second_meta(file, page_size)? {
            return Ok(Some(meta));
        }
        page_size *= 2;
    }
    Ok(None)
}

/// The meta of the page at `offset`, or what is wrong with it.
fn meta_at(file: &dyn File, offset: u64) -> Result<std::result::Result<Meta, String>> {
    let mut page = [0; META_PAGE_USED];
    let read = file.read_at(offset, &mut page)?;
    Ok(Meta::decode(&page[..read]))
}
