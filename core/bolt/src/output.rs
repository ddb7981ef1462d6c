//! New pages: where a sequence of elements is cut, and how it becomes bytes.

use crate::format::{
    BUCKET_HEADER_LEN, ELEMENT_LEN, FLAG_BRANCH, FLAG_LEAF, PAGE_HEADER_LEN, PageHeader, PageId, TxId,
};
use crate::page::LeafElement;
use crate::space::Space;
use std::ops::Range;

/// An element of a branch: a child and a key not above its first one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BranchElement<'a> {
    pub key: &'a [u8],
    pub page: PageId,
}

/// Adjacent pages to be written.
pub(crate) struct Run {
    pub first: PageId,
    pub bytes: Vec<u8>,
}

/// The pages that a transaction writes, and the space they come from.
pub(crate) struct Output<'s> {
    pub page_size: usize,
    pub txid: TxId,
    pub space: &'s mut Space,
    /// How full a page is left when it is split, in percent.
    pub fill_percent: u32,
    pub runs: Vec<Run>,
}

impl Output<'_> {
    /// Writes leaf pages of `elements`, at least one; returns the elements of the branch above.
    pub fn leaves<'a>(&mut self, elements: &[LeafElement<'a>]) -> Vec<BranchElement<'a>> {
        let cuts = self.cuts(elements.len(), 1);
        let pages = cuts.ranges(|index| leaf_element_len(&elements[index]));
        pages.into_iter().map(|range| self.leaf(&elements[range])).collect()
    }

    /// Writes branch pages of `elements`, at least one of two or more elements; returns the elements of the branch above.
    pub fn branches<'a>(&mut self, elements: &[BranchElement<'a>]) -> Vec<BranchElement<'a>> {
        let cuts = self.cuts(elements.len(), 2);
        let pages = cuts.ranges(|index| branch_element_len(&elements[index]));
        pages.into_iter().map(|range| self.branch(&elements[range])).collect()
    }

    fn cuts(&self, count: usize, keys_min: usize) -> Cuts {
        let threshold = self.page_size * self.fill_percent as usize / 100;
        Cuts { count, keys_min, page_size: self.page_size, threshold }
    }

    fn leaf<'a>(&mut self, elements: &[LeafElement<'a>]) -> BranchElement<'a> {
        let len = leaf_len(elements);
        let (header, bytes) = self.page(len, FLAG_LEAF, elements.len());
        encode_leaf(bytes, header, elements);
        self.end_page();
        BranchElement { key: elements.first().map_or(&[], |element| element.key), page: header.id }
    }

    fn branch<'a>(&mut self, elements: &[BranchElement<'a>]) -> BranchElement<'a> {
        let len = PAGE_HEADER_LEN + elements.iter().map(branch_element_len).sum::<usize>();
        let (header, bytes) = self.page(len, FLAG_BRANCH, elements.len());
        bytes.extend_from_slice(&header.encode());
        let mut position = elements.len() * ELEMENT_LEN;
        for element in elements {
            bytes.extend_from_slice(&word(position));
            bytes.extend_from_slice(&word(element.key.len()));
            bytes.extend_from_slice(&element.page.0.to_le_bytes());
            position = position - ELEMENT_LEN + element.key.len();
        }
        elements.iter().for_each(|element| bytes.extend_from_slice(element.key));
        self.end_page();
        BranchElement { key: elements.first().map_or(&[], |element| element.key), page: header.id }
    }

    /// Allocates pages for `len` bytes; returns their header and where to append it and what follows.
    fn page(&mut self, len: usize, flags: u16, count: usize) -> (PageHeader, &mut Vec<u8>) {
        let page_count = len.div_ceil(self.page_size);
        let header = PageHeader {
            id: self.space.allocate(self.txid, page_count as u64),
            flags,
            count: u16::try_from(count).expect("a page is cut long before it has that many elements"),
            overflow: u32::try_from(page_count - 1)
                .expect("a page is cut long before it has that many bytes"),
        };
        let is_adjacent = |run: &Run| run.first.0 + (run.bytes.len() / self.page_size) as u64 == header.id.0;
        if !self.runs.last().is_some_and(is_adjacent) {
            self.runs.push(Run { first: header.id, bytes: Vec::new() });
        }
        let run = self.runs.last_mut().expect("pushed above if there was none");
        run.bytes.reserve(page_count * self.page_size);
        (header, &mut run.bytes)
    }

    /// Fills the last page with zeros.
    fn end_page(&mut self) {
        if let Some(run) = self.runs.last_mut() {
            run.bytes.resize(run.bytes.len().next_multiple_of(self.page_size), 0);
        }
    }
}

/// The descriptor of an inline bucket with `sequence` and `elements`.
pub(crate) fn encode_inline(sequence: u64, elements: &[LeafElement<'_>]) -> Vec<u8> {
    let count = u16::try_from(elements.len()).expect("an inline bucket is smaller than a page");
    let mut bytes = Vec::with_capacity(BUCKET_HEADER_LEN + leaf_len(elements));
    bytes.extend_from_slice(&0u64.to_le_bytes());
    bytes.extend_from_slice(&sequence.to_le_bytes());
    encode_leaf(&mut bytes, PageHeader { id: PageId(0), flags: FLAG_LEAF, count, overflow: 0 }, elements);
    bytes
}

/// Bytes of a page of `elements`, its header included.
pub(crate) fn leaf_len(elements: &[LeafElement<'_>]) -> usize {
    PAGE_HEADER_LEN + elements.iter().map(leaf_element_len).sum::<usize>()
}

fn leaf_element_len(element: &LeafElement<'_>) -> usize {
    ELEMENT_LEN + element.key.len() + element.value.len()
}

fn branch_element_len(element: &BranchElement<'_>) -> usize {
    ELEMENT_LEN + element.key.len()
}

fn encode_leaf(bytes: &mut Vec<u8>, header: PageHeader, elements: &[LeafElement<'_>]) {
    bytes.extend_from_slice(&header.encode());
    // From the element to its key.
    let mut position = elements.len() * ELEMENT_LEN;
    for element in elements {
        let mut fixed = [0; ELEMENT_LEN];
        fixed[0..4].copy_from_slice(&element.flags.to_le_bytes());
        fixed[4..8].copy_from_slice(&word(position));
        fixed[8..12].copy_from_slice(&word(element.key.len()));
        fixed[12..16].copy_from_slice(&word(element.value.len()));
        bytes.extend_from_slice(&fixed);
        position = position - ELEMENT_LEN + element.key.len() + element.value.len();
    }
    for element in elements {
        bytes.extend_from_slice(element.key);
        bytes.extend_from_slice(element.value);
    }
}

fn word(number: usize) -> [u8; 4] {
    u32::try_from(number).expect("a page is cut long before it has that many bytes").to_le_bytes()
}

/// How a sequence of elements is cut into pages.
struct Cuts {
    count: usize,
    /// Least number of elements of a page.
    keys_min: usize,
    page_size: usize,
    /// A page that is cut ends before it gets larger than this.
    threshold: usize,
}

impl Cuts {
    /// A page of one element is cut only if the second would make it larger than this number of pages. Below, two large
    /// elements share what their last page leaves empty; above, that is little, and appending rewrites less.
    const PAIR_PAGES_MAX: usize = 8;

    /// Returns the ranges of the pages: one for as long as all fits a page.
    fn ranges(&self, len_of: impl Fn(usize) -> usize) -> Vec<Range<usize>> {
        let mut rest = PAGE_HEADER_LEN + (0..self.count).map(&len_of).sum::<usize>();
        let mut ranges = Vec::new();
        let mut start = 0;
        while rest > self.page_size && self.count - start >= 2 * self.keys_min {
            let (end, len) = self.page_end(start, &len_of);
            ranges.push(start..end);
            rest -= len;
            start = end;
        }
        ranges.push(start..self.count);
        ranges
    }

    /// Where the page that begins at element `start` ends, and the length of its elements.
    fn page_end(&self, start: usize, len_of: impl Fn(usize) -> usize) -> (usize, usize) {
        let (mut end, mut len) = (start, 0);
        while end < self.count - self.keys_min {
            let next = len + len_of(end);
            let (keys, page) = (end - start, PAGE_HEADER_LEN + next);
            let is_pair = keys >= 2 || page > Self::PAIR_PAGES_MAX * self.page_size;
            if page > self.threshold && keys >= self.keys_min && is_pair {
                break;
            }
            len = next;
            end += 1;
        }
        (end, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::walk::PageSet;

    fn cut(lens: &[usize], keys_min: usize, fill_percent: usize) -> Vec<usize> {
        let cuts =
            Cuts { count: lens.len(), keys_min, page_size: 4096, threshold: 4096 * fill_percent / 100 };
        cuts.ranges(|index| lens[index]).into_iter().map(|range| range.len()).collect()
    }

    #[test]
    fn a_branch_has_the_bytes_of_the_reference_and_a_zero_tail() {
        let keys = ["k00", "k17", "k34", "k51", "k68"];
        let elements: Vec<_> = (4..).zip(keys).map(|(id, key)| (key.as_bytes(), PageId(id))).collect();
        let elements: Vec<_> = elements.into_iter().map(|(key, page)| BranchElement { key, page }).collect();
        let mut space = Space::new(&PageSet::new(PageId(0)), PageId(9));
        assert_eq!(space.allocate(TxId(2), 7), PageId(2));
        let mut output =
            Output { page_size: 4096, txid: TxId(2), space: &mut space, fill_percent: 50, runs: Vec::new() };
        let above = output.branches(&elements);
        assert_eq!((above.len(), above[0].key, above[0].page), (1, &b"k00"[..], PageId(9)));
        let [run] = &output.runs[..] else { panic!("one run") };
        let (used, tail) = run.bytes.split_at(16 + 5 * 16 + 5 * 3);
        assert_eq!(
            stdx::hex::encode(used),
            "09000000000000000100050000000000\
             50000000030000000400000000000000\
             43000000030000000500000000000000\
             36000000030000000600000000000000\
             29000000030000000700000000000000\
             1c000000030000000800000000000000\
             6b30306b31376b33346b35316b3638"
        );
        assert_eq!(tail, &[0; 4096 - 111]);
    }

    #[test]
    fn pages_are_cut_as_the_reference_cuts_them() {
        // 100 keys of 3 bytes with values of 100 bytes.
        assert_eq!(cut(&[119; 100], 1, 50), [17, 17, 17, 17, 32]);
        assert_eq!(cut(&[340; 12], 1, 90), [12]);
        assert_eq!(cut(&[340; 13], 1, 90), [10, 3]);
    }

    #[test]
    fn no_page_is_left_with_too_few_keys() {
        assert_eq!(cut(&[], 1, 50), [0]);
        assert_eq!(cut(&[1_500_000], 1, 50), [1]);
        assert_eq!(cut(&[1_500_000; 3], 1, 50), [1, 1, 1]);
        assert_eq!(cut(&[5000; 5], 1, 50), [2, 2, 1]);
        assert_eq!(cut(&[32_784; 7], 2, 50), [2, 2, 3]);
        assert_eq!(cut(&[32_784; 3], 2, 50), [3]);
        assert_eq!(cut(&[30, 1_500_000, 30], 1, 50), [1, 1, 1]);
    }
}
