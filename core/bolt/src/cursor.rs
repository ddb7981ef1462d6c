//! In key order through a bucket.

use crate::error::Result;
use crate::format::MAX_DEPTH;
use crate::page::{Kind, NodePage, Pages};
use crate::root::Bucket;

/// A position in a bucket. Hands out pairs that stay borrowed until the next call.
pub struct Cursor<'a> {
    bucket: Bucket<'a>,
    /// Pages from the root to a leaf, each with the element that is next (leaf) or that the page below belongs to.
    path: Vec<(NodePage<'a>, usize)>,
    /// Where to begin, until then.
    start: Option<Box<[u8]>>,
    /// Pages that may still be read; a damaged file could lead through more than there are.
    pages_left: u64,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bucket: Bucket<'a>, start: &[u8]) -> Self {
        let pages_left = bucket.pages().high_water.0;
        Self { bucket, path: Vec::new(), start: Some(start.into()), pages_left }
    }

    /// Returns the next pair, at first the one at or behind the start; `None` behind the last one, and again then.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] if a page on the way breaks the format.
    #[expect(clippy::should_implement_trait, reason = "an iterator's items cannot borrow it")]
    pub fn next(&mut self) -> Result<Option<(&'_ [u8], &'_ [u8])>> {
        if let Some(start) = self.start.take() {
            self.seek(&start)?;
        }
        while self.path.last().is_some_and(|(page, next)| *next >= page.count()) {
            self.next_leaf()?;
        }
        let Some((page, next)) = self.path.last_mut() else { return Ok(None) };
        *next += 1;
        page.pair(*next - 1).map(Some)
    }

    /// Returns the last pair of the bucket, whatever the start was; [`Cursor::next`] returns `None` afterwards.
    ///
    /// # Errors
    /// As [`Cursor::next`].
    pub fn last(&mut self) -> Result<Option<(&'_ [u8], &'_ [u8])>> {
        self.start = None;
        self.path.clear();
        self.pages_left = self.bucket.pages().high_water.0;
        let root = self.bucket.root_page()?;
        self.descend(root, |page| Ok(page.count().saturating_sub(1)))?;
        let Some((page, next)) = self.path.last_mut() else { return Ok(None) };
        if page.count() == 0 {
            return Ok(None);
        }
        *next = page.count();
        page.pair(*next - 1).map(Some)
    }

    fn seek(&mut self, start: &[u8]) -> Result<()> {
        let root = self.bucket.root_page()?;
        self.descend(root, |page| match page.kind() {
            Kind::Branch => page.search_child(start),
            Kind::Leaf => Ok(page.search(start)?.unwrap_or_else(|insert| insert)),
        })
    }

    /// From the end of a leaf to the start of the next one, or to an empty path.
    fn next_leaf(&mut self) -> Result<()> {
        self.path.pop();
        while let Some((page, child)) = self.path.last_mut() {
            *child += 1;
            if *child < page.count() {
                let id = page.child(*child)?;
                let below = self.pages().node(id)?;
                return self.descend(below, |_| Ok(0));
            }
            self.path.pop();
        }
        Ok(())
    }

    /// Walks down from `page` to a leaf, at each page to the element that `choose` names.
    fn descend(
        &mut self,
        mut page: NodePage<'a>,
        choose: impl Fn(&NodePage<'a>) -> Result<usize>,
    ) -> Result<()> {
        loop {
            if self.pages_left == 0 || self.path.len() >= MAX_DEPTH {
                return Err(page.corrupt("the pages of the tree form no tree"));
            }
            self.pages_left -= 1;
            let index = choose(&page)?;
            let below = match page.kind() {
                Kind::Branch => Some(self.pages().node(page.child(index)?)?),
                Kind::Leaf => None,
            };
            self.path.push((page, index));
            match below {
                Some(next) => page = next,
                None => return Ok(()),
            }
        }
    }

    fn pages(&self) -> &'a Pages {
        self.bucket.pages()
    }
}
