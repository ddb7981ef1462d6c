//! The writer of a file.

use crate::batch::{Batch, BucketBatch};
use crate::error::{Error, Result};
use crate::format::{
    FIRST_DATA_PAGE, FRESH_PAGES, Meta, PAGE_SIZES, PageId, TxId, fresh_file, is_interrupted_creation,
};
use crate::freelist::StoredFreelist;
use crate::output::{Output, Run};
use crate::page::{Content, Pages};
use crate::root::{BucketRoot, Root, State, newest_meta};
use crate::space::Space;
use crate::update::{descriptors, update_bucket, update_root_tree};
use crate::walk::{PageSet, Separators, TreeWalk};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, Weak};
use vfs::{Cx, Disk, File, LockKind, OpenMode};

/// Is called with bucket, key and value of each pair.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8], &[u8]) + Send + 'a;

/// How to create a file that is missing or empty.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes in a page, a power of two within 512 and 1 MiB: the operating system's. A file that exists keeps its own.
    pub page_size: u32,
    /// Unix permission bits.
    pub mode: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { page_size: 4096, mode: 0o600 }
    }
}

/// Figures of the newest committed state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// The newest transaction.
    pub txid: TxId,
    /// Bytes in a page.
    pub page_size: u32,
    /// The first page never allocated; times `page_size` etcd's database size.
    pub high_water: PageId,
    /// Pages that the next commit may use.
    pub free_pages: u64,
    /// Pages that were replaced and become free with the next commit, or when older roots are dropped.
    pub pending_pages: u64,
    /// Length of the file, which grows ahead of the high-water mark.
    pub file_bytes: u64,
}

/// The one writer of a file (contract C6).
///
/// * The file is locked against other writers, by other programs too.
/// * Between commits `root` is the state of the valid meta with the highest transaction, which is durable but for what
///   an earlier process left (`must_settle`).
/// * A commit writes only pages of `space`, and the meta page that `root` is not in.
/// * After a failed commit the object stays unusable: what reached the disk is not known.
pub struct Db {
    root: Root,
    /// The page that the meta of `root` lies in.
    meta_slot: PageId,
    /// Earlier states that may still be read, in order.
    older: Vec<(TxId, Weak<State>)>,
    space: Space,
    /// A stored list of free pages, not yet given back.
    stored_freelist: Option<(PageId, u64)>,
    file_bytes: u64,
    /// The file was found, not created: what an earlier process wrote to it may be in the caches only.
    must_settle: bool,
    is_broken: bool,
}

/// A commit that is ready to be written.
struct Plan {
    meta: Meta,
    buckets: BTreeMap<Bytes, BucketRoot>,
    runs: Vec<Run>,
}

impl Db {
    /// Opens the file, or creates it if it is missing or its creation was interrupted.
    ///
    /// Reads and checks every page of the trees once, which also tells the free pages, and calls
    /// `visit(bucket, key, value)` for every pair, in order (contract C22). Yields now and then.
    ///
    /// # Errors
    /// [`Error::Disk`], with [`vfs::ErrorKind::Locked`] if another program has the file open; [`Error::NotBolt`],
    /// [`Error::Corrupt`] and [`Error::Unsupported`] for what the file holds. Nothing was written then.
    ///
    /// # Panics
    /// If the page size of `options` is not one.
    pub async fn open(
        cx: &Cx,
        disk: &Arc<dyn Disk>,
        path: &Path,
        options: Options,
        visit: &mut Visit<'_>,
    ) -> Result<Self> {
        let page_size = options.page_size;
        assert!(
            PAGE_SIZES.contains(&page_size) && page_size.is_power_of_two(),
            "{page_size} is no page size"
        );
        let file = disk.open(path, OpenMode::Create { mode: options.mode })?;
        cx.lock(&file, LockKind::FlockExclusive).await?;
        let is_new = create_if_new(cx, &file, page_size).await?;
        let (meta, meta_slot) = newest_meta(&*file)?;

        let mut used = PageSet::new(meta.high_water);
        let state = State::load(file, meta, &mut used)?;
        for (name, bucket) in &state.buckets {
            visit_bucket(cx, &state.pages, (name, bucket), &mut used, visit).await?;
        }
        let mut stored_freelist = None;
        if let Some(id) = meta.freelist {
            let list = StoredFreelist::read(&state.pages, id, &mut used)?;
            stored_freelist = Some((list.first, list.page_count));
        }
        Ok(Self {
            file_bytes: state.file.len()?,
            root: Root::new(state),
            meta_slot,
            older: Vec::new(),
            space: Space::new(&used, meta.high_water),
            stored_freelist,
            must_settle: !is_new,
            is_broken: false,
        })
    }

    /// The newest committed state. Its pages are kept for as long as it or a clone of it lives.
    pub fn root(&self) -> Root {
        self.root.clone()
    }

    /// Figures of the newest committed state.
    pub fn stats(&self) -> Stats {
        Stats {
            txid: self.root.txid(),
            page_size: self.root.page_size(),
            high_water: self.root.high_water(),
            free_pages: self.space.free_pages(),
            pending_pages: self.space.pending_pages(),
            file_bytes: self.file_bytes,
        }
    }

    /// Makes the state that was found durable: an earlier process may have left the last of it in the caches, and until
    /// they are written a power loss takes it back. Does nothing when that is done. The first commit begins with it.
    ///
    /// # Errors
    /// [`Error::Disk`], and [`Error::Unusable`] from then on.
    pub async fn settle(&mut self, cx: &Cx) -> Result<()> {
        let file = self.root.state().file.clone();
        if self.is_broken {
            return Err(Error::Unusable { path: file.path().to_owned() });
        }
        if self.must_settle {
            self.is_broken = true;
            cx.sync_data(&file).await?;
            cx.sync_dir(parent_of(file.path())).await?;
            self.must_settle = false;
            self.is_broken = false;
        }
        Ok(())
    }

    /// Commits `batch` as one transaction and returns the new state, durable. Writes nothing if there is no change.
    ///
    /// Order (contract C1): pages, sync, meta, sync. A crash before the second sync is done leaves the old state or the
    /// new one.
    ///
    /// # Errors
    /// [`Error::PairSize`] and [`Error::NoSuchBucket`] for what the batch asks for: nothing happened then. After any
    /// other error every later commit is refused with [`Error::Unusable`]; the same holds if the future is dropped.
    pub async fn commit(&mut self, cx: &Cx, batch: Batch) -> Result<Root> {
        let file = self.root.state().file.clone();
        if self.is_broken {
            return Err(Error::Unusable { path: file.path().to_owned() });
        }
        let buckets = self.effective(batch)?;
        if buckets.is_empty() {
            return Ok(self.root());
        }
        self.settle(cx).await?;
        self.is_broken = true;
        let Plan { meta, buckets, runs } = self.plan(buckets)?;
        let page_size = u64::from(meta.page_size);
        self.grow(&*file, &meta)?;
        for run in &runs {
            file.write_at(run.first.0 * page_size, &run.bytes)?;
        }
        drop(runs);
        cx.sync_data(&file).await?;
        let slot = other_slot(self.meta_slot);
        file.write_at(slot.0 * page_size, &meta.encode(slot))?;
        cx.sync_data(&file).await?;

        let pages = self.root.state().pages.grown_to(meta.high_water, &*file)?;
        let root = Root::new(State { pages, file, meta, buckets });
        let previous = std::mem::replace(&mut self.root, root);
        self.older.push((previous.txid(), Arc::downgrade(previous.state())));
        self.meta_slot = slot;
        self.is_broken = false;
        Ok(self.root())
    }

    /// The changes of `batch`, without buckets that it leaves as they are.
    fn effective(&self, batch: Batch) -> Result<BTreeMap<Bytes, BucketBatch>> {
        let mut buckets = batch.into_sorted();
        let existing = &self.root.state().buckets;
        for (name, bucket) in &buckets {
            bucket.check_sizes(name)?;
            let bucket_name = || String::from_utf8_lossy(name).into_owned();
            if bucket.create && (name.is_empty() || name.len() > crate::MAX_KEY_LEN) {
                return Err(Error::PairSize { bucket: bucket_name(), key_len: name.len(), value_len: 0 });
            }
            if !bucket.create && !bucket.changes().is_empty() && !existing.contains_key(name) {
                return Err(Error::NoSuchBucket { bucket: bucket_name() });
            }
        }
        buckets.retain(|name, bucket| {
            !bucket.changes().is_empty() || (bucket.create && !existing.contains_key(name))
        });
        Ok(buckets)
    }

    /// Builds all pages of a commit in memory.
    fn plan(&mut self, changed: BTreeMap<Bytes, BucketBatch>) -> Result<Plan> {
        let base = self.root.state().clone();
        let pins = self.pins();
        let txid = next_txid(base.meta.txid, self.meta_slot);
        self.space.begin(&pins).map_err(|page| base.pages.corrupt(page, "used twice, seen when freed"))?;
        if let Some((first, count)) = self.stored_freelist.take() {
            self.space.free(txid, first, count);
        }
        let mut output = Output {
            page_size: base.meta.page_size as usize,
            txid,
            space: &mut self.space,
            fill_percent: Batch::FILL_PERCENT_DEFAULT,
            runs: Vec::new(),
        };
        let mut updated = BTreeMap::new();
        for (name, batch) in changed {
            let bucket = base.buckets.get(&name).cloned().unwrap_or_default();
            output.fill_percent = batch.fill_percent;
            updated.insert(name, update_bucket(&base.pages, &bucket, batch.changes(), &mut output)?);
        }
        output.fill_percent = Batch::FILL_PERCENT_DEFAULT;
        let root = update_root_tree(&base.pages, base.meta.root, &descriptors(updated.iter()), &mut output)?;
        let mut runs = output.runs;
        runs.sort_by_key(|run| run.first);

        let mut buckets = base.buckets.clone();
        buckets.append(&mut updated);
        let meta = Meta { root, freelist: None, high_water: self.space.high_water(), txid, ..base.meta };
        Ok(Plan { meta, buckets, runs })
    }

    /// The transactions whose states are read or may be, ascending, the newest one included.
    fn pins(&mut self) -> Vec<TxId> {
        self.older.retain(|(_, state)| state.strong_count() > 0);
        // The count is read relaxed. This pairs with the release of the last reader that let go, so that its reads come
        // before our writes to the pages.
        fence(Ordering::Acquire);
        self.older.iter().map(|(txid, _)| *txid).chain([self.root.txid()]).collect()
    }

    /// Makes the file long enough for `meta`, with room ahead, as the reference does it.
    fn grow(&mut self, file: &dyn File, meta: &Meta) -> Result<()> {
        let page_size = u64::from(meta.page_size);
        let needed = (meta.high_water.0 + 1) * page_size;
        if meta.high_water > self.root.high_water() && needed > self.file_bytes {
            self.file_bytes = needed + GROWTH_BYTES;
            file.set_len(self.file_bytes)?;
        }
        Ok(())
    }
}

/// How far the file is grown beyond what is needed.
const GROWTH_BYTES: u64 = 16 << 20;
/// Leaves that opening reads between two yields.
const YIELD_LEAVES: u64 = 256;

/// Writes the pages of an empty file if the file holds nothing yet; returns whether it did.
async fn create_if_new(cx: &Cx, file: &Arc<dyn File>, page_size: u32) -> Result<bool> {
    let len = file.len()?;
    if len > FRESH_PAGES * u64::from(page_size) {
        return Ok(false);
    }
    let mut found = vec![0; len as usize];
    let read = file.read_at(0, &mut found)?;
    if !is_interrupted_creation(&found[..read], page_size) {
        return Ok(false);
    }
    file.write_at(0, &fresh_file(page_size))?;
    cx.sync_data(file).await?;
    cx.sync_dir(parent_of(file.path())).await?;
    Ok(true)
}

async fn visit_bucket(
    cx: &Cx,
    pages: &Pages,
    (name, bucket): (&Bytes, &BucketRoot),
    used: &mut PageSet,
    visit: &mut Visit<'_>,
) -> Result<()> {
    let mut walk = TreeWalk::new(pages, bucket.page(pages)?, Content::Pairs, Separators::NotAbove);
    let mut leaves = 0;
    while let Some(leaf) = walk.next_leaf(used)? {
        for index in 0..leaf.count() {
            let (key, value) = leaf.pair(index)?;
            visit(name, key, value);
        }
        leaves += 1;
        if leaves % YIELD_LEAVES == 0 {
            cx.yield_now().await;
        }
    }
    Ok(())
}

/// The transaction after `txid`, whose meta lies at page `slot`.
///
/// The meta of a transaction goes to the page of its parity. A snapshot's file has its newest meta at page 0 whatever
/// the parity: one transaction is left out then, so that a commit never overwrites the meta it builds on.
fn next_txid(txid: TxId, slot: PageId) -> TxId {
    let next = txid.0 + 1;
    TxId(if next % 2 == slot.0 { next + 1 } else { next })
}

fn other_slot(slot: PageId) -> PageId {
    PageId(FIRST_DATA_PAGE.0 - 1 - slot.0)
}

fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
