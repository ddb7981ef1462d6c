//! Numbers and fixed records of the file format. All integers are little-endian.

use std::fmt;
use std::ops::Range;
use stdx::fnv::fnv1a_64;

/// A page: its position in the file, in pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageId(pub u64);

impl fmt::Display for PageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A write transaction; only grows while a file lives, and starts low again after a defragmentation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxId(pub u64);

impl fmt::Display for TxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Longest key, in bytes. The shortest has one.
pub const MAX_KEY_LEN: usize = 32768;
/// Longest value, in bytes.
pub const MAX_VALUE_LEN: usize = (1 << 31) - 2;
/// Most elements of a page; the count 0xFFFF is reserved.
pub(crate) const MAX_COUNT: usize = 0xFFFE;
/// Deepest tree. A branch has two children or more, so no file reaches it honestly.
pub(crate) const MAX_DEPTH: usize = 64;
/// Page sizes accepted, in bytes; powers of two only. The upper one keeps counts below [`MAX_COUNT`].
pub(crate) const PAGE_SIZES: std::ops::RangeInclusive<u32> = 512..=1 << 20;

pub(crate) const PAGE_HEADER_LEN: usize = 16;
/// Length of an element's fixed part, in leaf and branch pages alike.
pub(crate) const ELEMENT_LEN: usize = 16;
/// Length of a bucket's descriptor; an inline bucket has its page behind it.
pub(crate) const BUCKET_HEADER_LEN: usize = 16;

pub(crate) const FLAG_BRANCH: u16 = 0x01;
pub(crate) const FLAG_LEAF: u16 = 0x02;
pub(crate) const FLAG_META: u16 = 0x04;
pub(crate) const FLAG_FREELIST: u16 = 0x10;
/// Flag of a leaf element whose value is a bucket's descriptor.
pub(crate) const ELEMENT_BUCKET: u32 = 0x01;

/// The first page that is not a meta page.
pub(crate) const FIRST_DATA_PAGE: PageId = PageId(2);
/// Pages of a file that has never seen a commit.
pub(crate) const FRESH_PAGES: u64 = 4;

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
const NO_FREELIST: u64 = u64::MAX;
/// The record within the meta page, checksum included.
const META_RANGE: Range<usize> = PAGE_HEADER_LEN..PAGE_HEADER_LEN + META_LEN;
const META_LEN: usize = 64;
const META_CHECKSUM_AT: usize = META_LEN - 8;
/// How much of a meta page is used, in bytes.
pub(crate) const META_PAGE_USED: usize = META_RANGE.end;
/// The sector that a disk writes whole, in bytes.
const SECTOR_LEN: usize = 512;

const _: () = assert!(META_PAGE_USED <= *PAGE_SIZES.start() as usize);
const _: () = assert!(*PAGE_SIZES.end() as usize / (ELEMENT_LEN + 1) <= MAX_COUNT);

/// Reads the `u16` at `at`, `None` beyond the end.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Reads the `u32` at `at`, `None` beyond the end.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Reads the `u64` at `at`, `None` beyond the end.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The head of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageHeader {
    pub id: PageId,
    pub flags: u16,
    pub count: u16,
    /// Pages that the page owns behind its first one.
    pub overflow: u32,
}

impl PageHeader {
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            id: PageId(u64_at(bytes, 0)?),
            flags: u16_at(bytes, 8)?,
            count: u16_at(bytes, 10)?,
            overflow: u32_at(bytes, 12)?,
        })
    }

    pub fn encode(&self) -> [u8; PAGE_HEADER_LEN] {
        let mut bytes = [0; PAGE_HEADER_LEN];
        bytes[0..8].copy_from_slice(&self.id.0.to_le_bytes());
        bytes[8..10].copy_from_slice(&self.flags.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.count.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.overflow.to_le_bytes());
        bytes
    }
}

/// What a transaction leaves behind to find its state again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub page_size: u32,
    pub root: PageId,
    /// Sequence of the root bucket, which etcd never sets; carried on.
    pub sequence: u64,
    /// Page of the stored list of free pages, if there is one.
    pub freelist: Option<PageId>,
    /// The first page that was never allocated.
    pub high_water: PageId,
    pub txid: TxId,
}

impl Meta {
    /// Reads the meta of a page that begins with `page`; the error says what is wrong with it.
    pub fn decode(page: &[u8]) -> Result<Self, String> {
        let short = || "too short for a meta page".to_owned();
        let record = page.get(META_RANGE).ok_or_else(short)?;
        let long = |at| u64_at(record, at).ok_or_else(short);
        let word = |at| u32_at(record, at).ok_or_else(short);
        if word(0)? != MAGIC {
            return Err(format!("magic {:#x} instead of {MAGIC:#x}", word(0)?));
        }
        if word(4)? != VERSION {
            return Err(format!("version {} instead of {VERSION}", word(4)?));
        }
        let checksum = fnv1a_64(&record[..META_CHECKSUM_AT]);
        if long(META_CHECKSUM_AT)? != checksum {
            return Err(format!("checksum {:#x} instead of {checksum:#x}", long(META_CHECKSUM_AT)?));
        }
        Ok(Self {
            page_size: word(8)?,
            root: PageId(long(16)?),
            sequence: long(24)?,
            freelist: Some(long(32)?).filter(|id| *id != NO_FREELIST).map(PageId),
            high_water: PageId(long(40)?),
            txid: TxId(long(48)?),
        })
    }

    /// The whole meta page to be written at page `slot`.
    pub fn encode(&self, slot: PageId) -> Vec<u8> {
        let header = PageHeader { id: slot, flags: FLAG_META, count: 0, overflow: 0 };
        let mut page = Vec::with_capacity(self.page_size as usize);
        page.extend_from_slice(&header.encode());
        page.extend_from_slice(&MAGIC.to_le_bytes());
        page.extend_from_slice(&VERSION.to_le_bytes());
        page.extend_from_slice(&self.page_size.to_le_bytes());
        page.extend_from_slice(&0u32.to_le_bytes());
        page.extend_from_slice(&self.root.0.to_le_bytes());
        page.extend_from_slice(&self.sequence.to_le_bytes());
        page.extend_from_slice(&self.freelist.map_or(NO_FREELIST, |id| id.0).to_le_bytes());
        page.extend_from_slice(&self.high_water.0.to_le_bytes());
        page.extend_from_slice(&self.txid.0.to_le_bytes());
        let checksum = fnv1a_64(&page[PAGE_HEADER_LEN..]);
        page.extend_from_slice(&checksum.to_le_bytes());
        page.resize(self.page_size as usize, 0);
        page
    }

    /// The bytes up to the high-water mark, `None` if that is beyond what a file can hold.
    pub fn size_bytes(&self) -> Option<u64> {
        self.high_water.0.checked_mul(u64::from(self.page_size)).filter(|size| i64::try_from(*size).is_ok())
    }
}

/// The four pages of a file that has never seen a commit: two metas, an empty stored list of free pages, an empty root.
pub(crate) fn fresh_file(page_size: u32) -> Vec<u8> {
    let meta = |txid| Meta {
        page_size,
        root: PageId(3),
        sequence: 0,
        freelist: Some(PageId(2)),
        high_water: PageId(FRESH_PAGES),
        txid: TxId(txid),
    };
    let mut file = meta(0).encode(PageId(0));
    file.append(&mut meta(1).encode(PageId(1)));
    for (id, flags) in [(2, FLAG_FREELIST), (3, FLAG_LEAF)] {
        file.extend_from_slice(&PageHeader { id: PageId(id), flags, count: 0, overflow: 0 }.encode());
        file.resize((id as usize + 1) * page_size as usize, 0);
    }
    file
}

/// Whether `file` is what a power loss may leave of writing [`fresh_file`]: each sector is there or zero.
///
/// Such a file has never held a commit, so it may be made anew.
pub(crate) fn is_interrupted_creation(file: &[u8], page_size: u32) -> bool {
    let fresh = fresh_file(page_size);
    file.len() <= fresh.len()
        && file != fresh
        && file
            .chunks(SECTOR_LEN)
            .zip(fresh.chunks(SECTOR_LEN))
            .all(|(found, expected)| found == &expected[..found.len()] || found.iter().all(|byte| *byte == 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stdx::hex;

    fn checksum_hex(meta: &Meta) -> String {
        hex::encode(&meta.encode(PageId(0))[META_RANGE][META_CHECKSUM_AT..])
    }

    #[test]
    fn a_fresh_file_has_the_checksums_of_the_reference() {
        let file = fresh_file(4096);
        assert_eq!(file.len(), 4 * 4096);
        let checksum = |page: usize| hex::encode(&file[page * 4096 + 0x48..page * 4096 + 0x50]);
        assert_eq!(checksum(0), "eefd8946116e5107");
        assert_eq!(checksum(1), "0f4879511a354c26");
        assert_eq!(hex::encode(&file[2 * 4096..2 * 4096 + 16]), "02000000000000001000000000000000");
        assert_eq!(hex::encode(&file[3 * 4096..3 * 4096 + 16]), "03000000000000000200000000000000");
        assert!(file[3 * 4096 + 16..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn metas_of_a_real_etcd_file_encode_to_its_bytes() {
        let mut meta = Meta {
            page_size: 4096,
            root: PageId(3),
            sequence: 0,
            freelist: None,
            high_water: PageId(5),
            txid: TxId(10),
        };
        let page = meta.encode(PageId(0));
        assert_eq!(
            hex::encode(&page[..0x50]),
            "00000000000000000400000000000000edda0ced020000000010000000000000\
             03000000000000000000000000000000ffffffffffffffff0500000000000000\
             0a000000000000002fe7168a2dce2d0e"
        );
        assert_eq!(Meta::decode(&page), Ok(meta));
        (meta.root, meta.txid) = (PageId(2), TxId(9));
        assert_eq!(checksum_hex(&meta), "2dc721a3936a2bd6");
    }

    #[test]
    fn a_flipped_bit_in_a_meta_is_seen() {
        let page = fresh_file(4096);
        for at in META_RANGE {
            let mut damaged = page[..4096].to_vec();
            damaged[at] ^= 0x10;
            assert!(Meta::decode(&damaged).is_err(), "byte {at}");
        }
    }

    #[test]
    fn only_remains_of_a_fresh_file_count_as_interrupted_creation() {
        let fresh = fresh_file(4096);
        assert!(!is_interrupted_creation(&fresh, 4096));
        assert!(is_interrupted_creation(&[], 4096));
        assert!(is_interrupted_creation(&fresh[..5000], 4096));
        assert!(is_interrupted_creation(&[0; 4096], 4096));
        let mut torn = fresh.clone();
        torn[..512].fill(0);
        assert!(is_interrupted_creation(&torn, 4096));
        torn[600] = 1;
        assert!(!is_interrupted_creation(&torn, 4096));
        assert!(!is_interrupted_creation(&[fresh, vec![0]].concat(), 4096));
    }
}
