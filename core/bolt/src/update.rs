//! Merging sorted changes into a tree.
//!
//! The pages that changes fall into are loaded as drafts: lists of elements that borrow from pages and batch. Changes
//! are merged into the drafts of leaves; on the way back up, drafts that have become too small are joined with a
//! neighbour and empty ones vanish; at last all drafts are cut into new pages from the leaves up, so that every branch
//! names its children by their first keys.

use crate::arena::Arena;
use crate::batch::Change;
use crate::error::Result;
use crate::format::{ELEMENT_BUCKET, ELEMENT_LEN, MAX_DEPTH, PAGE_HEADER_LEN, PageId};
use crate::output::{BranchElement, Output, encode_inline, leaf_len};
use crate::page::{Content, Kind, LeafElement, NodePage, Pages};
use crate::root::{BucketRoot, Place};
use bytes::Bytes;

/// Merges `changes` into a bucket and returns its new root; the pages go to `output`.
pub(crate) fn update_bucket(
    pages: &Pages,
    bucket: &BucketRoot,
    changes: &[Change],
    output: &mut Output<'_>,
) -> Result<BucketRoot> {
    let arena = Arena::new();
    let mut update = Update { pages, arena: &arena, content: Content::Pairs, output };
    let place = match update.merged_root(bucket.page(pages)?, changes)? {
        Draft { content: Nodes::Leaf(elements), .. }
            if leaf_len(&elements) <= update.output.page_size / 4 =>
        {
            Place::Inline(encode_inline(bucket.sequence, &elements).into())
        }
        root => Place::Page(update.write_root(root)),
    };
    Ok(BucketRoot { sequence: bucket.sequence, place })
}

/// Merges new descriptors of buckets into the root tree and returns its new root page.
pub(crate) fn update_root_tree(
    pages: &Pages,
    root: PageId,
    descriptors: &[Change],
    output: &mut Output<'_>,
) -> Result<PageId> {
    let arena = Arena::new();
    let mut update = Update { pages, arena: &arena, content: Content::Buckets, output };
    let root = update.merged_root(pages.node(root)?, descriptors)?;
    Ok(update.write_root(root))
}

/// A page in the making.
struct Draft<'a> {
    content: Nodes<'a>,
    /// Whether it is smaller than it was.
    has_shrunk: bool,
}

enum Nodes<'a> {
    Leaf(Vec<LeafElement<'a>>),
    Branch(Vec<Child<'a>>),
}

/// An element of a branch in the making.
struct Child<'a> {
    /// As in the branch; out of date once there is a draft.
    key: &'a [u8],
    page: PageId,
    draft: Option<Draft<'a>>,
}

impl Draft<'_> {
    fn is_empty(&self) -> bool {
        match &self.content {
            Nodes::Leaf(elements) => elements.is_empty(),
            Nodes::Branch(children) => children.is_empty(),
        }
    }

    /// Whether it should be joined with a neighbour.
    fn is_too_small(&self, page_size: usize) -> bool {
        let is_small = |len: usize| len < page_size / 4;
        self.has_shrunk
            && match &self.content {
                Nodes::Leaf(elements) => is_small(leaf_len(elements)),
                Nodes::Branch(children) => children.len() < 2 || is_small(branch_len(children)),
            }
    }
}

struct Update<'a, 'o, 's> {
    pages: &'a Pages,
    /// The pages that drafts borrow from.
    arena: &'a Arena<NodePage<'a>>,
    content: Content,
    output: &'o mut Output<'s>,
}

impl<'a> Update<'a, '_, '_> {
    /// Merges `changes` into the tree of `root`; the result is a leaf or has two children or more.
    fn merged_root(&mut self, root: NodePage<'a>, changes: &'a [Change]) -> Result<Draft<'a>> {
        let mut draft = self.draft(root)?;
        self.merge(&mut draft, changes, 1)?;
        for _ in 0..MAX_DEPTH {
            match &mut draft.content {
                Nodes::Branch(children) if children.is_empty() => draft.content = Nodes::Leaf(Vec::new()),
                Nodes::Branch(children) if children.len() == 1 => {
                    let mut only = children.remove(0);
                    self.load(&mut only)?;
                    draft = only.draft.expect("just loaded");
                }
                Nodes::Branch(_) | Nodes::Leaf(_) => break,
            }
        }
        Ok(draft)
    }

    /// Merges `changes`, which all belong below `draft`.
    fn merge(&mut self, draft: &mut Draft<'a>, changes: &'a [Change], depth: usize) -> Result<()> {
        match &mut draft.content {
            Nodes::Leaf(elements) => {
                let len = leaf_len(elements);
                *elements = merge_leaf(elements, changes, self.content);
                draft.has_shrunk |= leaf_len(elements) < len;
            }
            Nodes::Branch(children) => {
                let count = children.len();
                self.merge_children(children, changes, depth)?;
                self.join_small(children)?;
                draft.has_shrunk |= children.len() < count;
            }
        }
        Ok(())
    }

    fn merge_children(
        &mut self,
        children: &mut [Child<'a>],
        changes: &'a [Change],
        depth: usize,
    ) -> Result<()> {
        let mut rest = changes;
        while let Some(first) = rest.first() {
            let index = children.partition_point(|child| *child.key <= *first.key).saturating_sub(1);
            let end = match children.get(index + 1) {
                Some(next) => rest.partition_point(|change| *change.key < *next.key),
                None => rest.len(),
            };
            let (below, behind) = rest.split_at(end);
            let child = &mut children[index];
            if depth >= MAX_DEPTH {
                return Err(self.pages.corrupt(child.page, format!("deeper than {MAX_DEPTH} pages")));
            }
            let draft = self.load(child)?;
            self.merge(draft, below, depth + 1)?;
            rest = behind;
        }
        Ok(())
    }

    /// Drops empty drafts and joins the ones that are too small with the child to the left, the first with its right.
    fn join_small(&mut self, children: &mut Vec<Child<'a>>) -> Result<()> {
        children.retain(|child| !child.draft.as_ref().is_some_and(Draft::is_empty));
        let page_size = self.output.page_size;
        let mut index = 0;
        while index < children.len() && children.len() > 1 {
            if children[index].draft.as_ref().is_some_and(|draft| draft.is_too_small(page_size)) {
                index = index.saturating_sub(1);
                let mut right = children.remove(index + 1);
                self.load(&mut right)?;
                let right = right.draft.expect("just loaded");
                let page = children[index].page;
                let left = self.load(&mut children[index])?;
                self.join(left, right, page)?;
            } else {
                index += 1;
            }
        }
        Ok(())
    }

    /// Appends `right` to `left`, which came from page `page`.
    fn join(&mut self, left: &mut Draft<'a>, right: Draft<'a>, page: PageId) -> Result<()> {
        left.has_shrunk = true;
        match (&mut left.content, right.content) {
            (Nodes::Leaf(left), Nodes::Leaf(mut right)) => left.append(&mut right),
            (Nodes::Branch(left), Nodes::Branch(mut right)) => {
                left.append(&mut right);
                // An only child had no neighbour to be joined with before.
                self.join_small(left)?;
            }
            (Nodes::Leaf(_), Nodes::Branch(_)) | (Nodes::Branch(_), Nodes::Leaf(_)) => {
                return Err(self.pages.corrupt(page, "a leaf beside a branch"));
            }
        }
        Ok(())
    }

    fn load<'c>(&mut self, child: &'c mut Child<'a>) -> Result<&'c mut Draft<'a>> {
        if child.draft.is_none() {
            child.draft = Some(self.draft(self.pages.node(child.page)?)?);
        }
        Ok(child.draft.as_mut().expect("filled above"))
    }

    /// Turns a page into a draft and gives its place back.
    fn draft(&mut self, page: NodePage<'a>) -> Result<Draft<'a>> {
        page.validate(self.content)?;
        if page.kind() == Kind::Branch && page.count() == 0 {
            return Err(page.corrupt("a branch without children"));
        }
        if page.id() != PageId(0) {
            self.output.space.free(self.output.txid, page.id(), page.page_count());
        }
        let page = self.arena.add(page);
        let all = 0..page.count();
        let content = match page.kind() {
            Kind::Leaf => Nodes::Leaf(all.map(|index| page.leaf(index)).collect::<Result<_>>()?),
            Kind::Branch => Nodes::Branch(
                all.map(|index| Ok(Child { key: page.key(index)?, page: page.child(index)?, draft: None }))
                    .collect::<Result<_>>()?,
            ),
        };
        Ok(Draft { content, has_shrunk: false })
    }

    /// Writes a whole tree; returns its root page.
    fn write_root(&mut self, root: Draft<'a>) -> PageId {
        let mut level = self.write(root);
        while level.len() > 1 {
            level = self.output.branches(&level);
        }
        level.first().expect("at least one page is written").page
    }

    /// Writes a draft and what is below it; returns what the branch above says of it.
    fn write(&mut self, draft: Draft<'a>) -> Vec<BranchElement<'a>> {
        match draft.content {
            Nodes::Leaf(elements) => self.output.leaves(&elements),
            Nodes::Branch(children) => {
                let mut elements = Vec::with_capacity(children.len());
                for child in children {
                    match child.draft {
                        Some(draft) => elements.append(&mut self.write(draft)),
                        None => elements.push(BranchElement { key: child.key, page: child.page }),
                    }
                }
                self.output.branches(&elements)
            }
        }
    }
}

/// Bytes of the branch page of `children`, about: the keys of drafts are out of date.
fn branch_len(children: &[Child<'_>]) -> usize {
    PAGE_HEADER_LEN + children.iter().map(|child| ELEMENT_LEN + child.key.len()).sum::<usize>()
}

fn merge_leaf<'a>(old: &[LeafElement<'a>], changes: &'a [Change], content: Content) -> Vec<LeafElement<'a>> {
    let flags = match content {
        Content::Pairs => 0,
        Content::Buckets => ELEMENT_BUCKET,
    };
    let mut merged = Vec::with_capacity(old.len() + changes.len());
    let mut old = old.iter().peekable();
    for change in changes {
        while let Some(element) = old.next_if(|element| *element.key < *change.key) {
            merged.push(*element);
        }
        old.next_if(|element| *element.key == *change.key);
        if let Change { key, value: Some(value) } = change {
            merged.push(LeafElement { flags, key, value });
        }
    }
    merged.extend(old);
    merged
}

/// The descriptors of `buckets` as changes of the root tree.
pub(crate) fn descriptors<'b>(buckets: impl Iterator<Item = (&'b Bytes, &'b BucketRoot)>) -> Vec<Change> {
    buckets.map(|(name, root)| Change { key: name.clone(), value: Some(root.encode()) }).collect()
}
