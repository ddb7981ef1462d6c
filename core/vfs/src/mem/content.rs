//! The bytes of one file: sparse, and cheap to copy.

use super::PAGE_SIZE_BYTES;
use std::collections::BTreeMap;
use std::sync::Arc;

const PAGE: usize = PAGE_SIZE_BYTES as usize;

/// Sparse bytes in shared pages. A page that is missing reads as zeros.
///
/// Invariant: every byte at or beyond `len` is zero, so growing never shows old bytes.
#[derive(Clone, Default)]
pub(super) struct Content {
    len: u64,
    pages: BTreeMap<u64, Arc<[u8; PAGE]>>,
}

impl Content {
    /// Length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Reads at `offset` until `buf` is full or the content ends; returns the bytes read.
    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> usize {
        let available = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = buf.len().min(available);
        let mut done = 0;
        while done < wanted {
            let (page, start) = place(offset + done as u64);
            let count = (PAGE - start).min(wanted - done);
            match self.pages.get(&page) {
                Some(bytes) => buf[done..done + count].copy_from_slice(&bytes[start..start + count]),
                None => buf[done..done + count].fill(0),
            }
            done += count;
        }
        wanted
    }

    /// Writes `data` at `offset`, growing the content if it reaches beyond the end.
    pub(super) fn write(&mut self, offset: u64, data: &[u8]) {
        let mut done = 0;
        while done < data.len() {
            let (page, start) = place(offset + done as u64);
            let count = (PAGE - start).min(data.len() - done);
            let bytes = self.pages.entry(page).or_insert_with(|| Arc::new([0; PAGE]));
            Arc::make_mut(bytes)[start..start + count].copy_from_slice(&data[done..done + count]);
            done += count;
        }
        self.len = self.len.max(offset + data.len() as u64);
    }

    /// Cuts or extends with zeros.
    pub(super) fn resize(&mut self, len: u64) {
        if len < self.len {
            let (page, start) = place(len);
            self.pages.split_off(&len.div_ceil(PAGE_SIZE_BYTES));
            if start > 0
                && let Some(bytes) = self.pages.get_mut(&page)
            {
                Arc::make_mut(bytes)[start..].fill(0);
            }
        }
        self.len = len;
    }

    /// The bytes of `start..end`, zeros beyond the end of the content.
    pub(super) fn copy(&self, start: u64, end: u64) -> Vec<u8> {
        let mut bytes = vec![0; (end - start) as usize];
        self.read(start, &mut bytes);
        bytes
    }

    /// How many pages at or after page `first` take space.
    pub(super) fn pages_from(&self, first: u64) -> u64 {
        self.pages.range(first..).count() as u64
    }

    /// Whether page `page` takes space.
    pub(super) fn has_page(&self, page: u64) -> bool {
        self.pages.contains_key(&page)
    }

    /// The pages that hold anything but zeros, in order.
    pub(super) fn nonzero_pages(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.pages
            .iter()
            .filter(|(_, bytes)| bytes.iter().any(|byte| *byte != 0))
            .map(|(page, bytes)| (*page, &bytes[..]))
    }
}

/// Page number and offset in the page of a byte.
fn place(offset: u64) -> (u64, usize) {
    (offset / PAGE_SIZE_BYTES, (offset % PAGE_SIZE_BYTES) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stdx::prng::Prng;

    #[test]
    fn content_behaves_like_a_vector() {
        let mut rng = Prng::new(1);
        let mut content = Content::default();
        let mut model: Vec<u8> = Vec::new();
        for _ in 0..2000 {
            let offset = rng.below(20_000);
            match rng.below(4) {
                0 => {
                    content.resize(offset);
                    model.resize(offset as usize, 0);
                }
                1 => {
                    let mut buf = vec![7; rng.below(9000) as usize];
                    let read = content.read(offset, &mut buf);
                    let begin = (offset as usize).min(model.len());
                    let end = (offset as usize + buf.len()).min(model.len()).max(begin);
                    assert_eq!(&buf[..read], &model[begin..end]);
                }
                _ => {
                    let data = vec![rng.below(256) as u8; 1 + rng.below(9000) as usize];
                    content.write(offset, &data);
                    let end = offset as usize + data.len();
                    model.resize(model.len().max(end), 0);
                    model[offset as usize..end].copy_from_slice(&data);
                }
            }
            assert_eq!(content.len(), model.len() as u64);
        }
        assert_eq!(content.copy(0, model.len() as u64), model);
    }

    #[test]
    fn copies_share_pages_until_written() {
        let mut first = Content::default();
        first.write(0, &[1; 3 * PAGE]);
        let second = first.clone();
        first.write(PAGE as u64, &[2]);
        assert_eq!(second.copy(0, 3 * PAGE as u64), vec![1; 3 * PAGE]);
        assert!(Arc::ptr_eq(&first.pages[&0], &second.pages[&0]));
    }
}
