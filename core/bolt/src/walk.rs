//! Every page of a tree once, checked.

use crate::error::Result;
use crate::format::{MAX_DEPTH, PageId};
use crate::page::{Content, Kind, NodePage, Pages};

/// A set of pages.
pub(crate) struct PageSet {
    words: Vec<u64>,
    high_water: PageId,
}

impl PageSet {
    /// The empty set of pages below `high_water`, which the caller has checked against the length of the file.
    pub fn new(high_water: PageId) -> Self {
        Self { words: vec![0; high_water.0.div_ceil(64) as usize], high_water }
    }

    /// Adds `count` pages from `first`; returns whether all of them were missing and within the set's bound.
    #[must_use]
    pub fn insert(&mut self, first: PageId, count: u64) -> bool {
        let Some(end) = first.0.checked_add(count).filter(|end| *end <= self.high_water.0) else {
            return false;
        };
        (first.0..end).all(|id| {
            let word = &mut self.words[(id / 64) as usize];
            let is_new = *word & (1 << (id % 64)) == 0;
            *word |= 1 << (id % 64);
            is_new
        })
    }

    pub fn contains(&self, id: PageId) -> bool {
        self.words.get((id.0 / 64) as usize).is_some_and(|word| word & (1 << (id.0 % 64)) != 0)
    }
}

/// How the key of a branch element must relate to the first key of its child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Separators {
    /// Not above it: all that reading needs, and all that the reference's check demands.
    NotAbove,
    /// Equal to it: what the reference relies on when it writes.
    Equal,
}

/// A walk through the leaves of one tree, in order.
///
/// Checks everything: each page is met once and within the file, elements are good, keys ascend over the whole tree and
/// lie between their separators, only the root may be empty.
pub(crate) struct TreeWalk<'a> {
    pages: &'a Pages,
    content: Content,
    separators: Separators,
    /// The branches above the current leaf, each with the element to go to next.
    path: Vec<(NodePage<'a>, usize)>,
    root: Option<NodePage<'a>>,
    /// The last key of the leaves before; empty at first.
    last_key: Vec<u8>,
}

impl<'a> TreeWalk<'a> {
    pub fn new(pages: &'a Pages, root: NodePage<'a>, content: Content, separators: Separators) -> Self {
        Self { pages, content, separators, path: Vec::new(), root: Some(root), last_key: Vec::new() }
    }

    /// Returns the next leaf; adds the pages passed to `seen`.
    pub fn next_leaf(&mut self, seen: &mut PageSet) -> Result<Option<NodePage<'a>>> {
        let mut page = match self.root.take() {
            Some(root) => {
                if root.kind() == Kind::Leaf && root.count() == 0 {
                    self.mark(&root, seen)?;
                    return Ok(Some(root));
                }
                root
            }
            None => match self.next_child()? {
                Some(child) => child,
                None => return Ok(None),
            },
        };
        loop {
            self.enter(&page, seen)?;
            if page.kind() == Kind::Leaf {
                self.last_key.clear();
                self.last_key.extend_from_slice(page.key(page.count() - 1)?);
                return Ok(Some(page));
            }
            if self.path.len() >= MAX_DEPTH {
                return Err(page.corrupt(format!("deeper than {MAX_DEPTH} pages")));
            }
            let child = self.pages.node(page.child(0)?)?;
            self.path.push((page, 1));
            page = child;
        }
    }

    /// The next page to the right of the current leaf.
    fn next_child(&mut self) -> Result<Option<NodePage<'a>>> {
        while let Some((branch, next)) = self.path.last_mut() {
            if *next < branch.count() {
                *next += 1;
                let id = branch.child(*next - 1)?;
                return self.pages.node(id).map(Some);
            }
            self.path.pop();
        }
        Ok(None)
    }

    /// Checks a page on the way down.
    fn enter(&self, page: &NodePage<'a>, seen: &mut PageSet) -> Result<()> {
        self.mark(page, seen)?;
        if page.count() == 0 {
            return Err(page.corrupt("no elements"));
        }
        page.validate(self.content)?;
        let first = page.key(0)?;
        if let Some((branch, next)) = self.path.last() {
            let separator = branch.key(*next - 1)?;
            let is_good = match self.separators {
                Separators::NotAbove => separator <= first,
                Separators::Equal => separator == first,
            };
            if !is_good {
                return Err(
                    page.corrupt(format!("its first key does not fit element {} above it", *next - 1))
                );
            }
            if *next > 1 && separator <= self.last_key.as_slice() {
                return Err(page.corrupt("its separator is not above the keys before it"));
            }
        }
        if first <= self.last_key.as_slice() {
            return Err(page.corrupt("its first key is not above the keys before it"));
        }
        Ok(())
    }

    /// Notes that `page` was met. The page of an inline bucket has no place of its own.
    fn mark(&self, page: &NodePage<'a>, seen: &mut PageSet) -> Result<()> {
        if page.id() != PageId(0) && !seen.insert(page.id(), page.page_count()) {
            return Err(page.corrupt("used twice"));
        }
        Ok(())
    }
}
