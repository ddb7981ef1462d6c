//! Mapped pages of a file that grows (contract C9).
//!
//! A mapping reserves far more addresses than the file has bytes; pages beyond the end of the file become valid as it
//! grows, without another call. When the file outgrows the reservation a second, larger mapping is made, and the first
//! one stays for the pages handed out from it.
#![allow(unsafe_code, reason = "mappings have no safe wrapper")]

use crate::disk::OpenFile;
use crate::sigbus::{Registration, register};
use crate::words::error;
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::ffi::c_void;
use std::ptr;
use std::sync::{Arc, OnceLock};
use vfs::{Page, Result, View};

/// Addresses reserved for a file of any smaller size: etcd's quota is rarely larger.
const RESERVATION_BYTES_MIN: u64 = 10 << 30;
/// Each further mapping of a view is twice as large as the one before; addresses end long before the last.
const MAPPING_COUNT_MAX: usize = 16;

/// The whole of a file's reservation.
struct Mapping {
    address: *mut c_void,
    len: usize,
    /// Taken back before the addresses are.
    registration: Option<Registration>,
}

// SAFETY: the mapping is shared and read-only, and its address belongs to the process, not to a thread.
unsafe impl Send for Mapping {}
// SAFETY: as above; all access through `&self` is reading.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(file: &OpenFile, reservation: u64) -> rustix::io::Result<Self> {
        let len = usize::try_from(reservation).map_err(|_| Errno::NOMEM)?;
        let flags = MapFlags::SHARED | MapFlags::NORESERVE;
        // SAFETY: the kernel chooses unused addresses, so that no memory of ours is replaced.
        let address = unsafe { mmap(ptr::null_mut(), len, ProtFlags::READ, flags, file.fd(), 0)? };
        let registration = Some(register(file.path(), address as usize, len));
        Ok(Self { address, len, registration })
    }

    /// The bytes `offset..offset + len`, which the caller knows to be part of the file.
    fn bytes(&self, offset: usize, len: usize) -> &[u8] {
        assert!(offset <= self.len, "the page begins in the mapping");
        assert!(len <= self.len - offset, "the page ends in the mapping");
        // SAFETY: the range is inside the mapping, which lives as long as `self`. The file had these bytes; should it
        // be cut by someone else, reading them ends the process (see `sigbus`). That nobody overwrites them while they
        // are held is the condition of `View::page`.
        unsafe { std::slice::from_raw_parts(self.address.cast::<u8>().add(offset), len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.registration = None;
        // SAFETY: address and length are those of the mapping, and every page borrowed from it has ended. Unmapping a
        // range that exists does not fail.
        let _ = unsafe { munmap(self.address, self.len) };
    }
}

/// A view over one or, after much growth, several mappings.
pub(crate) struct MappedView {
    file: Arc<OpenFile>,
    reservation_bytes: u64,
    mappings: [OnceLock<Option<Mapping>>; MAPPING_COUNT_MAX],
}

impl MappedView {
    pub(crate) fn new(file: Arc<OpenFile>) -> Result<Self> {
        Self::with_reservation(file, RESERVATION_BYTES_MIN)
    }

    fn with_reservation(file: Arc<OpenFile>, reservation_min: u64) -> Result<Self> {
        let twice = file.refresh_len()?.saturating_mul(2);
        let reservation_bytes =
            twice.max(reservation_min).next_multiple_of(rustix::param::page_size() as u64);
        let first =
            Mapping::new(&file, reservation_bytes).map_err(|cause| error("map", file.path(), cause))?;
        let view = Self { file, reservation_bytes, mappings: [const { OnceLock::new() }; MAPPING_COUNT_MAX] };
        view.mappings[0].get_or_init(|| Some(first));
        Ok(view)
    }

    /// The smallest mapping that reaches to `end`; `None` if the system has no room for it.
    fn mapping_to(&self, end: u64) -> Option<&Mapping> {
        let mut reservation = self.reservation_bytes;
        for mapping in &self.mappings {
            if end <= reservation {
                return mapping.get_or_init(|| Mapping::new(&self.file, reservation).ok()).as_ref();
            }
            reservation = reservation.checked_mul(2)?;
        }
        None
    }
}

impl View for MappedView {
    fn page(&self, offset: u64, len: usize) -> Option<Page<'_>> {
        let end = offset.checked_add(len as u64)?;
        if end > self.file.known_len() && end > self.file.refresh_len().ok()? {
            return None;
        }
        match self.mapping_to(end) {
            Some(mapping) => Some(Page::Mapped(mapping.bytes(offset as usize, len))),
            None => self.file.read_exact_at(offset, len).map(Page::Copied),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RealDisk;
    use vfs::{File, OpenMode};

    #[test]
    fn pages_stay_valid_while_the_file_outgrows_its_reservation() {
        let dir = std::env::temp_dir().join(format!("oxetcd-map-test-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let file = RealDisk::new().open_file(&dir.join("db"), OpenMode::Create { mode: 0o600 }).unwrap();
        file.write_at(0, &[1; 4096]).unwrap();
        let view = MappedView::with_reservation(file.shared(), 8192).unwrap();
        let first = view.page(0, 4096).unwrap();
        assert!(view.page(4096, 1).is_none(), "beyond the end");
        for step in 1..40_u64 {
            file.write_at(step * 4096, &[step as u8; 4096]).unwrap();
            let page = view.page(step * 4096, 4096).unwrap();
            assert!(matches!(page, Page::Mapped(_)));
            assert_eq!(&*page, &[step as u8; 4096]);
        }
        assert_eq!(&*first, &[1; 4096]);
        assert_eq!(view.mappings.iter().filter(|mapping| mapping.get().is_some()).count(), 6);
        file.set_len(4096).unwrap();
        assert!(view.page(4096, 1).is_none(), "cut by ourselves");
        assert!(view.page(u64::MAX, 1).is_none());
        drop(std::fs::remove_dir_all(&dir));
    }
}
