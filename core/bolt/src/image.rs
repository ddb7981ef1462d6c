//! A file made of one committed state, as snapshots carry it.

use crate::error::{Error, Result};
use crate::format::{FIRST_DATA_PAGE, Meta, PageId, TxId};
use crate::root::Root;

/// The bytes of a file whose only state is that of a [`Root`]: both metas say so. Pins the root.
///
/// The bytes of free pages are copied as they are, whatever they hold.
pub struct Image {
    root: Root,
    metas: Vec<u8>,
}

impl Image {
    pub(crate) fn new(root: Root) -> Self {
        let newest = root.state().meta;
        let older = Meta { txid: TxId(newest.txid.0.saturating_sub(1)), ..newest };
        let metas = [newest.encode(PageId(0)), older.encode(PageId(1))].concat();
        Self { root, metas }
    }

    /// Length in bytes: the high-water mark.
    pub fn size_bytes(&self) -> u64 {
        self.root.size_bytes()
    }

    /// Copies from `offset` until `buffer` is full or the image ends; returns the bytes copied.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the file has become shorter.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let wanted = self.size_bytes().saturating_sub(offset).min(buffer.len() as u64) as usize;
        let (metas, pages) = buffer[..wanted].split_at_mut(self.metas_at(offset).len().min(wanted));
        metas.copy_from_slice(&self.metas_at(offset)[..metas.len()]);
        if !pages.is_empty() {
            let state = self.root.state();
            let start = offset + metas.len() as u64;
            let bytes = state.pages.view.page(start, pages.len()).ok_or_else(|| Error::Corrupt {
                path: state.pages.path.to_path_buf(),
                page: PageId(start / u64::from(state.meta.page_size)).max(FIRST_DATA_PAGE),
                what: "beyond the end of the file".to_owned(),
            })?;
            pages.copy_from_slice(&bytes);
        }
        Ok(wanted)
    }

    /// The metas from `offset` on.
    fn metas_at(&self, offset: u64) -> &[u8] {
        usize::try_from(offset).ok().and_then(|offset| self.metas.get(offset..)).unwrap_or_default()
    }
}
