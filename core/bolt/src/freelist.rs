//! The list of free pages that the reference may store; we only read it.

use crate::error::Result;
use crate::format::{FIRST_DATA_PAGE, FLAG_FREELIST, PAGE_HEADER_LEN, PageId, u64_at};
use crate::page::Pages;
use crate::walk::PageSet;

/// A header count that says: the count is the first number of the list.
const COUNT_ELSEWHERE: u16 = 0xFFFF;

/// A stored list of free pages.
pub(crate) struct StoredFreelist {
    /// Its own first page.
    pub first: PageId,
    /// Its own number of pages.
    pub page_count: u64,
    /// The pages it lists.
    pub ids: Vec<PageId>,
}

impl StoredFreelist {
    /// Reads the list at page `id` and checks it against `used`, the pages of the trees. Adds its own pages to `used`.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] if it is no list, or shares a page with a tree.
    pub fn read(pages: &Pages, id: PageId, used: &mut PageSet) -> Result<Self> {
        let (bytes, header) = pages.read(id)?;
        if header.flags != FLAG_FREELIST {
            return Err(pages.corrupt(id, format!("flags {:#x} of no list of free pages", header.flags)));
        }
        let page_count = u64::from(header.overflow) + 1;
        if !used.insert(id, page_count) {
            return Err(pages.corrupt(id, "used twice"));
        }
        let numbers = &bytes[PAGE_HEADER_LEN..];
        let (list, count) = if header.count == COUNT_ELSEWHERE {
            (numbers.get(8..).unwrap_or_default(), u64_at(numbers, 0).unwrap_or(0))
        } else {
            (numbers, u64::from(header.count))
        };
        let (list, _) = list.as_chunks::<8>();
        let Some(list) = usize::try_from(count).ok().and_then(|count| list.get(..count)) else {
            return Err(pages.corrupt(id, format!("{count} free pages in {} bytes", bytes.len())));
        };
        let mut listed = PageSet::new(pages.high_water);
        let mut ids = Vec::with_capacity(list.len());
        for free in list.iter().map(|number| PageId(u64::from_le_bytes(*number))) {
            if free < FIRST_DATA_PAGE || used.contains(free) || !listed.insert(free, 1) {
                return Err(pages
                    .corrupt(id, format!("lists page {free} as free, which is none, used or listed twice")));
            }
            ids.push(free);
        }
        Ok(Self { first: id, page_count, ids })
    }
}
