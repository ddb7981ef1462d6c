//! Branch and leaf pages as they lie in the file, checked as they are read.

use crate::error::{Error, Result};
use crate::format::{
    ELEMENT_BUCKET, ELEMENT_LEN, FIRST_DATA_PAGE, FLAG_BRANCH, FLAG_LEAF, MAX_COUNT, MAX_KEY_LEN,
    PAGE_HEADER_LEN, PageHeader, PageId, u32_at, u64_at,
};
use std::cmp::Ordering;
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;
use vfs::{File, Page, View};

const _: () = assert!(usize::BITS >= 64, "sums of 32-bit positions are taken in usize");

/// A value in the file. Borrows the mapping where there is one.
pub struct Value<'a> {
    page: Page<'a>,
    range: Range<usize>,
}

impl Deref for Value<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.page[self.range.clone()]
    }
}

/// Where pages come from: the file as of one committed state.
pub(crate) struct Pages {
    pub view: Arc<dyn View>,
    pub path: Arc<Path>,
    pub page_size: u32,
    pub high_water: PageId,
}

impl Pages {
    /// The pages of a later state of the same file, through the same view for as long as it reaches.
    pub fn grown_to(&self, high_water: PageId, file: &dyn File) -> Result<Self> {
        let last_page = (high_water.0 - 1) * u64::from(self.page_size);
        let view = match self.view.page(last_page, self.page_size as usize) {
            Some(_) => self.view.clone(),
            None => file.view()?,
        };
        Ok(Self { view, path: self.path.clone(), page_size: self.page_size, high_water })
    }

    /// Reads the branch or leaf page `id`.
    pub fn node(&self, id: PageId) -> Result<NodePage<'_>> {
        let (bytes, header) = self.read(id)?;
        NodePage::new(self, bytes, id, header)
    }

    /// Reads the page of an inline bucket, which lies in the bucket's descriptor.
    pub fn inline_node<'a>(&'a self, bytes: &'a [u8]) -> Result<NodePage<'a>> {
        let id = PageId(0);
        let header = PageHeader::decode(bytes)
            .ok_or_else(|| self.corrupt(id, "inline bucket without a page header"))?;
        if header.flags != FLAG_LEAF || header.overflow != 0 {
            return Err(self.corrupt(id, "inline bucket that is not one leaf"));
        }
        NodePage::new(self, Page::Mapped(bytes), id, header)
    }

    /// Reads page `id` with everything it owns.
    pub fn read(&self, id: PageId) -> Result<(Page<'_>, PageHeader)> {
        if id < FIRST_DATA_PAGE || id >= self.high_water {
            return Err(self.corrupt(id, format!("used, but not within 2..{}", self.high_water)));
        }
        let page_size = self.page_size as usize;
        let beyond_end = || self.corrupt(id, "beyond the end of the file");
        let offset = id.0 * u64::from(self.page_size);
        let mut bytes = self.view.page(offset, page_size).ok_or_else(beyond_end)?;
        let header = PageHeader::decode(&bytes).ok_or_else(beyond_end)?;
        if header.id != id {
            return Err(self.corrupt(id, format!("its header says page {}", header.id)));
        }
        if header.overflow > 0 {
            if u64::from(header.overflow) >= self.high_water.0 - id.0 {
                let what = format!("{} more pages reach beyond page {}", header.overflow, self.high_water);
                return Err(self.corrupt(id, what));
            }
            let len = (header.overflow as usize + 1) * page_size;
            bytes = self.view.page(offset, len).ok_or_else(beyond_end)?;
        }
        Ok((bytes, header))
    }

    /// The error that page `id` breaks the format as `what` says.
    #[cold]
    pub fn corrupt(&self, id: PageId, what: impl Into<String>) -> Error {
        Error::Corrupt { path: self.path.to_path_buf(), page: id, what: what.into() }
    }

    /// The error that the file uses a feature that etcd's files have not.
    #[cold]
    pub fn unsupported(&self, what: impl Into<String>) -> Error {
        Error::Unsupported { path: self.path.to_path_buf(), what: what.into() }
    }
}

/// What a page of a tree holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Branch,
    Leaf,
}

/// What the leaves of a tree hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Keys and values.
    Pairs,
    /// Names and descriptors of buckets: the root tree.
    Buckets,
}

/// An element of a leaf page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeafElement<'a> {
    pub flags: u32,
    pub key: &'a [u8],
    pub value: &'a [u8],
}

/// A branch or leaf page. Kind and count are known to be good, each element is checked when it is read.
pub(crate) struct NodePage<'a> {
    pages: &'a Pages,
    bytes: Page<'a>,
    id: PageId,
    kind: Kind,
    count: usize,
    page_count: u64,
}

impl<'a> NodePage<'a> {
    fn new(pages: &'a Pages, bytes: Page<'a>, id: PageId, header: PageHeader) -> Result<Self> {
        let kind = match header.flags {
            FLAG_BRANCH => Kind::Branch,
            FLAG_LEAF => Kind::Leaf,
            flags => {
                return Err(pages.corrupt(id, format!("flags {flags:#x} of neither a branch nor a leaf")));
            }
        };
        let count = usize::from(header.count);
        if count > MAX_COUNT || PAGE_HEADER_LEN + count * ELEMENT_LEN > bytes.len() {
            return Err(pages.corrupt(id, format!("{count} elements in {} bytes", bytes.len())));
        }
        let page_count = u64::from(header.overflow) + 1;
        Ok(Self { pages, bytes, id, kind, count, page_count })
    }

    pub fn id(&self) -> PageId {
        self.id
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Number of elements.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Number of pages, those that it overflows into included.
    pub fn page_count(&self) -> u64 {
        self.page_count
    }

    /// The key of element `index`.
    pub fn key(&self, index: usize) -> Result<&[u8]> {
        self.raw_key(index).map(|(key, _)| key).ok_or_else(|| self.bad_element(index))
    }

    /// The child of element `index` of a branch.
    pub fn child(&self, index: usize) -> Result<PageId> {
        let id =
            self.element(index).filter(|_| self.kind == Kind::Branch).and_then(|element| u64_at(element, 8));
        id.map(PageId).ok_or_else(|| self.bad_element(index))
    }

    /// Element `index` of a leaf.
    pub fn leaf(&self, index: usize) -> Result<LeafElement<'_>> {
        let (flags, key, value) = self.raw_leaf(index).ok_or_else(|| self.bad_element(index))?;
        Ok(LeafElement { flags, key, value: &self.bytes[value] })
    }

    /// Key and value of element `index` of a leaf of a bucket.
    pub fn pair(&self, index: usize) -> Result<(&[u8], &[u8])> {
        let element = self.leaf(index)?;
        if element.flags != 0 {
            return Err(self.pages.unsupported("a bucket in a bucket"));
        }
        Ok((element.key, element.value))
    }

    /// The value of element `index` of a leaf of a bucket.
    pub fn into_value(self, index: usize) -> Result<Value<'a>> {
        match self.raw_leaf(index).map(|(flags, _, value)| (flags, value)) {
            Some((0, range)) => Ok(Value { page: self.bytes, range }),
            Some(_) => Err(self.pages.unsupported("a bucket in a bucket")),
            None => Err(self.bad_element(index)),
        }
    }

    /// Where `key` is (`Ok`), or would have to be inserted (`Err`), as in a search of a slice.
    pub fn search(&self, key: &[u8]) -> Result<std::result::Result<usize, usize>> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = (low + high) / 2;
            match self.key(middle)?.cmp(key) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok(Ok(middle)),
            }
        }
        Ok(Err(low))
    }

    /// The element of a branch whose child would hold `key`: the last one not above it, else the first.
    pub fn search_child(&self, key: &[u8]) -> Result<usize> {
        Ok(self.search(key)?.unwrap_or_else(|insert| insert.saturating_sub(1)))
    }

    /// Checks all elements: within the page, keys of legal length and strictly ascending, values as `content` demands.
    pub fn validate(&self, content: Content) -> Result<()> {
        let mut previous: &[u8] = &[];
        for index in 0..self.count {
            let key = self.key(index)?;
            if key.is_empty() || key.len() > MAX_KEY_LEN {
                return Err(self.corrupt(format!("element {index} has a key of {} bytes", key.len())));
            }
            if key <= previous {
                return Err(
                    self.corrupt(format!("the key of element {index} is not above the one before it"))
                );
            }
            previous = key;
            if self.kind == Kind::Leaf {
                match (self.leaf(index)?.flags, content) {
                    (0, Content::Pairs) | (ELEMENT_BUCKET, Content::Buckets) => {}
                    (0, Content::Buckets) => return Err(self.pages.unsupported("a plain key in the root")),
                    (ELEMENT_BUCKET, Content::Pairs) => {
                        return Err(self.pages.unsupported("a bucket in a bucket"));
                    }
                    (flags, _) => return Err(self.corrupt(format!("element {index} has flags {flags:#x}"))),
                }
            }
        }
        Ok(())
    }

    /// The error that this page breaks the format as `what` says.
    #[cold]
    pub fn corrupt(&self, what: impl Into<String>) -> Error {
        self.pages.corrupt(self.id, what)
    }

    #[cold]
    fn bad_element(&self, index: usize) -> Error {
        self.corrupt(format!("element {index} of {} lies outside of the page", self.count))
    }

    /// The bytes from element `index` to the end of the page.
    fn element(&self, index: usize) -> Option<&[u8]> {
        if index >= self.count {
            return None;
        }
        self.bytes.get(PAGE_HEADER_LEN + index * ELEMENT_LEN..)
    }

    /// The key of an element, and where in the page it ends.
    fn raw_key(&self, index: usize) -> Option<(&[u8], usize)> {
        let element = self.element(index)?;
        let fixed: &[u8; ELEMENT_LEN] = element.first_chunk()?;
        let at = if self.kind == Kind::Leaf { 4 } else { 0 };
        let start = u32_at(fixed, at)? as usize;
        let end = start + u32_at(fixed, at + 4)? as usize;
        Some((element.get(start..end)?, PAGE_HEADER_LEN + index * ELEMENT_LEN + end))
    }

    /// Flags, key, and where in the page the value is.
    fn raw_leaf(&self, index: usize) -> Option<(u32, &[u8], Range<usize>)> {
        let element = self.element(index).filter(|_| self.kind == Kind::Leaf)?;
        let (key, start) = self.raw_key(index)?;
        let end = start + u32_at(element, 12)? as usize;
        (end <= self.bytes.len()).then(|| (u32_at(element, 0).unwrap_or(0), key, start..end))
    }
}
