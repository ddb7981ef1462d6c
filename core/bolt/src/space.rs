//! Which pages may be written: free ones, ones that become free once nobody reads them, and the end of the file.

use crate::format::{FIRST_DATA_PAGE, PageId, TxId};
use crate::walk::PageSet;
use std::collections::{BTreeMap, BTreeSet};

/// The pages of a file that no committed tree uses.
///
/// * A page is either in a tree, free, or pending.
/// * A page that transaction T replaces is pending from T on. A reader of transaction R uses it if it was allocated by
///   A ≤ R < T; it becomes free at the begin of a later transaction when there is no such reader.
/// * So it is reused by T + 1 at the earliest, when the meta that a crash falls back to is that of T.
pub(crate) struct Space {
    free: Spans,
    /// In the order of `freed_by`.
    pending: Vec<Pending>,
    /// Who allocated a page, by its first page; missing if that was no later than the oldest reader.
    allocated: BTreeMap<PageId, TxId>,
    oldest_pin: TxId,
    high_water: PageId,
}

/// Pages replaced by one transaction.
struct Pending {
    freed_by: TxId,
    /// Readers older than `freed_by` when `spans` was last looked through; they only become fewer.
    pins_below: Option<usize>,
    spans: Vec<PendingSpan>,
}

struct PendingSpan {
    first: PageId,
    count: u64,
    allocated_by: TxId,
}

impl Space {
    /// All pages from the first data page to `high_water` that are not in `used` are free.
    pub fn new(used: &PageSet, high_water: PageId) -> Self {
        let mut free = Spans::default();
        let mut start = FIRST_DATA_PAGE;
        for id in (FIRST_DATA_PAGE.0..high_water.0).map(PageId) {
            if used.contains(id) {
                free.add_new(start, id.0 - start.0);
                start = PageId(id.0 + 1);
            }
        }
        free.add_new(start, high_water.0.saturating_sub(start.0));
        Self { free, pending: Vec::new(), allocated: BTreeMap::new(), oldest_pin: TxId(0), high_water }
    }

    /// Begins a transaction: frees what no reader uses any more. `pins` are the transactions that are being read,
    /// ascending; the newest committed one is always among them.
    ///
    /// # Errors
    /// A page that was freed twice, so that two trees used it.
    pub fn begin(&mut self, pins: &[TxId]) -> Result<(), PageId> {
        for group in &mut self.pending {
            let below = pins.partition_point(|pin| *pin < group.freed_by);
            if group.pins_below == Some(below) {
                continue;
            }
            group.pins_below = Some(below);
            let is_read =
                |span: &PendingSpan| pins[..below].last().is_some_and(|pin| *pin >= span.allocated_by);
            for span in group.spans.extract_if(.., |span| !is_read(span)) {
                self.free.add(span.first, span.count)?;
            }
        }
        self.pending.retain(|group| !group.spans.is_empty());
        let oldest = pins.first().copied().unwrap_or(TxId(u64::MAX));
        if oldest != self.oldest_pin {
            self.oldest_pin = oldest;
            self.allocated.retain(|_, by| *by > oldest);
        }
        Ok(())
    }

    /// Takes `count` adjacent pages for transaction `by`.
    pub fn allocate(&mut self, by: TxId, count: u64) -> PageId {
        let first = self.free.take(count).unwrap_or_else(|| {
            let end = self.high_water;
            self.high_water.0 += count;
            end
        });
        self.allocated.insert(first, by);
        first
    }

    /// Gives back `count` pages that transaction `by` replaces.
    pub fn free(&mut self, by: TxId, first: PageId, count: u64) {
        let allocated_by = self.allocated.remove(&first).unwrap_or(TxId(0));
        let span = PendingSpan { first, count, allocated_by };
        match self.pending.last_mut() {
            Some(group) if group.freed_by == by => group.spans.push(span),
            _ => self.pending.push(Pending { freed_by: by, pins_below: None, spans: vec![span] }),
        }
    }

    /// The first page that was never allocated.
    pub fn high_water(&self) -> PageId {
        self.high_water
    }

    /// Number of pages that the next transaction may use.
    pub fn free_pages(&self) -> u64 {
        self.free.total
    }

    /// Number of pages that are replaced but may still be read.
    pub fn pending_pages(&self) -> u64 {
        self.pending.iter().flat_map(|group| &group.spans).map(|span| span.count).sum()
    }
}

/// Free pages as maximal runs.
#[derive(Default)]
struct Spans {
    /// Length of the run by its first page.
    by_start: BTreeMap<PageId, u64>,
    /// The same as (length, first page).
    by_len: BTreeSet<(u64, PageId)>,
    total: u64,
}

impl Spans {
    /// Takes the run that fits best, the lowest of equal ones.
    fn take(&mut self, count: u64) -> Option<PageId> {
        let (len, start) = *self.by_len.range((count, PageId(0))..).next()?;
        self.remove(start, len);
        if len > count {
            self.add_new(PageId(start.0 + count), len - count);
        }
        Some(start)
    }

    /// Adds a run and joins it with its neighbours; the error is a page that is free already.
    fn add(&mut self, first: PageId, count: u64) -> Result<(), PageId> {
        let (mut start, mut end) = (first, PageId(first.0 + count));
        if let Some((before, len)) =
            self.by_start.range(..=first).next_back().map(|(start, len)| (*start, *len))
        {
            if before.0 + len > first.0 {
                return Err(first);
            }
            if before.0 + len == first.0 {
                self.remove(before, len);
                start = before;
            }
        }
        if let Some((after, len)) = self.by_start.range(first..).next().map(|(start, len)| (*start, *len)) {
            if after < end {
                return Err(after);
            }
            if after == end {
                self.remove(after, len);
                end = PageId(after.0 + len);
            }
        }
        self.add_new(start, end.0 - start.0);
        Ok(())
    }

    /// Adds a run that touches no other; none if `count` is zero.
    fn add_new(&mut self, start: PageId, count: u64) {
        if count > 0 {
            self.by_start.insert(start, count);
            self.by_len.insert((count, start));
            self.total += count;
        }
    }

    fn remove(&mut self, start: PageId, len: u64) {
        self.by_start.remove(&start);
        self.by_len.remove(&(len, start));
        self.total -= len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space_with_free(pages: std::ops::Range<u64>, high_water: u64) -> Space {
        let mut used = PageSet::new(PageId(high_water));
        for id in (2..high_water).filter(|id| !pages.contains(id)) {
            assert!(used.insert(PageId(id), 1));
        }
        Space::new(&used, PageId(high_water))
    }

    #[test]
    fn runs_join_and_the_best_fit_is_taken() {
        let mut spans = Spans::default();
        for (start, count) in [(10, 2), (14, 2), (12, 2), (30, 3)] {
            spans.add(PageId(start), count).unwrap();
        }
        assert_eq!(spans.by_start, BTreeMap::from([(PageId(10), 6), (PageId(30), 3)]));
        assert_eq!(spans.take(2), Some(PageId(30)));
        assert_eq!(spans.take(6), Some(PageId(10)));
        assert_eq!(spans.take(2), None);
        assert_eq!(spans.total, 1);
        assert_eq!(spans.add(PageId(32), 1), Err(PageId(32)));
        assert_eq!(spans.add(PageId(31), 5), Err(PageId(32)));
    }

    #[test]
    fn what_the_tree_does_not_use_is_free() {
        let space = space_with_free(4..7, 9);
        assert_eq!((space.free_pages(), space.pending_pages()), (3, 0));
    }

    #[test]
    fn a_page_is_reused_only_when_no_reader_can_reach_it() {
        let mut space = space_with_free(0..0, 10);
        space.begin(&[TxId(5)]).unwrap();
        space.free(TxId(6), PageId(4), 1);
        let early = space.allocate(TxId(6), 1);
        assert_eq!(early, PageId(10));

        // A reader of 5 stays: page 4 is kept. One allocated by 6 and freed by 7 is never seen by it.
        space.begin(&[TxId(5), TxId(6)]).unwrap();
        assert_eq!(space.free_pages(), 0);
        space.free(TxId(7), early, 1);
        space.begin(&[TxId(5), TxId(6), TxId(7)]).unwrap();
        assert_eq!((space.free_pages(), space.pending_pages()), (0, 2));
        space.begin(&[TxId(5), TxId(7)]).unwrap();
        assert_eq!((space.free_pages(), space.pending_pages()), (1, 1));
        assert_eq!(space.allocate(TxId(8), 1), early);

        space.begin(&[TxId(8)]).unwrap();
        assert_eq!((space.free_pages(), space.pending_pages()), (1, 0));
        assert!(space.allocated.is_empty(), "only needed while there are older readers");
    }

    #[test]
    fn a_page_freed_twice_is_reported() {
        let mut space = space_with_free(0..0, 10);
        space.free(TxId(6), PageId(4), 2);
        space.free(TxId(6), PageId(5), 1);
        assert_eq!(space.begin(&[TxId(6)]), Err(PageId(5)));
    }
}
