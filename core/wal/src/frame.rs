//! The length word in front of every record, and the padding behind it.

/// Bytes of the length word, and the alignment of every frame.
pub(crate) const WORD_LEN: usize = 8;

/// Disks write sectors of this size or a multiple whole or not at all, in bytes.
const SECTOR_LEN: u64 = 512;

/// What a length word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Length {
    /// Bytes of the record.
    pub(crate) record: u64,
    /// Zero bytes behind it, 0 to 7.
    pub(crate) padding: u64,
}

impl Length {
    const RECORD_MASK: u64 = (1 << 56) - 1;
    const IS_PADDED: u64 = 1 << 63;
    const PADDING_SHIFT: u32 = 56;

    /// The length of a record of `len` bytes, padded to a multiple of eight.
    pub(crate) fn of(len: usize) -> Self {
        let record = len as u64;
        assert!(record <= Self::RECORD_MASK, "a record's length has 56 bits");
        Self { record, padding: record.wrapping_neg() % WORD_LEN as u64 }
    }

    /// Reads a word. Without the top bit there is no padding; bits 59 to 62 mean nothing, as in etcd.
    pub(crate) fn parse(word: [u8; WORD_LEN]) -> Self {
        let word = u64::from_le_bytes(word);
        let padding = if word & Self::IS_PADDED == 0 { 0 } else { (word >> Self::PADDING_SHIFT) & 7 };
        Self { record: word & Self::RECORD_MASK, padding }
    }

    /// The word as written.
    pub(crate) fn word(self) -> [u8; WORD_LEN] {
        let flags = if self.padding == 0 { 0 } else { Self::IS_PADDED | self.padding << Self::PADDING_SHIFT };
        (self.record | flags).to_le_bytes()
    }

    /// Bytes of record and padding.
    pub(crate) fn body(self) -> u64 {
        self.record + self.padding
    }
}

/// Whether a crash may have cut the write of `body` short: some sector's part of it is all zero.
///
/// `body` is record and padding, read at `offset` in the file. Space is reserved as zeros and disks write whole
/// sectors, so a sector that never arrived reads as zeros.
pub(crate) fn has_unwritten_sector(offset: u64, body: &[u8]) -> bool {
    let first = (SECTOR_LEN - offset % SECTOR_LEN) as usize;
    let (head, rest) = body.split_at(first.min(body.len()));
    let is_zero = |piece: &[u8]| piece.iter().all(|&byte| byte == 0);
    (!head.is_empty() && is_zero(head)) || rest.chunks(SECTOR_LEN as usize).any(is_zero)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_pads_to_eight_and_reads_back() {
        for len in 0..40 {
            let length = Length::of(len);
            assert_eq!(length.body() % 8, 0);
            assert!(length.padding < 8);
            assert_eq!(Length::parse(length.word()), length);
        }
        assert_eq!(Length::of(4).word(), [4, 0, 0, 0, 0, 0, 0, 0x84]);
        assert_eq!(Length::of(31).word(), [31, 0, 0, 0, 0, 0, 0, 0x81]);
        assert_eq!(Length::of(16).word(), [16, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn padding_without_the_top_bit_is_none() {
        assert_eq!(Length::parse([16, 0, 0, 0, 0, 0, 0, 0x05]), Length { record: 16, padding: 0 });
        assert_eq!(Length::parse([16, 0, 0, 0, 0, 0, 0, 0xf8]), Length { record: 16, padding: 0 });
    }

    #[test]
    fn sectors_are_cut_at_multiples_of_512_in_the_file() {
        let mut body = vec![1; 1024];
        assert!(!has_unwritten_sector(8, &body));
        body[504..1016].fill(0);
        assert!(has_unwritten_sector(8, &body), "the sector 512..1024 of the file");
        assert!(!has_unwritten_sector(16, &body), "no sector lies within the zeros");
        assert!(has_unwritten_sector(508, &[0, 0, 0, 0, 1]), "the last four bytes of a sector");
        assert!(has_unwritten_sector(508, &[1, 0, 0, 0, 0]), "the first byte of the next");
        assert!(!has_unwritten_sector(508, &[1, 0, 0, 0, 1]));
        assert!(!has_unwritten_sector(512, &[]));
    }
}
