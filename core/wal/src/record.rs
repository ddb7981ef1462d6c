//! Records: their kinds, the batch that encodes them, and their decoding.

use crate::frame::{Length, WORD_LEN};
use prost::Message as _;
use prost::encoding::{encode_varint, encoded_len_varint};
use proto::{raftpb, walpb};

/// What a record holds. The numbers are the format's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Identity of member and cluster, the same bytes in every segment.
    Metadata = 1,
    /// One entry of the replicated log.
    Entry = 2,
    /// Term, vote and commit index.
    State = 3,
    /// The running CRC so far; first in every segment.
    Crc = 4,
    /// A snapshot that the log can start from.
    Snapshot = 5,
}

impl Kind {
    /// The kind with this number.
    pub(crate) fn from_number(number: i64) -> Option<Self> {
        Some(match number {
            1 => Self::Metadata,
            2 => Self::Entry,
            3 => Self::State,
            4 => Self::Crc,
            5 => Self::Snapshot,
            _ => return None,
        })
    }
}

/// Frames on their way to one write, and the running CRC behind the last of them.
///
/// This is the hot path of every write request: an entry's payload is copied once, from the proposal into this
/// buffer, and the buffer is reused.
#[derive(Debug)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    crc: u32,
}

impl Batch {
    /// What the buffer keeps from one batch to the next, in bytes.
    const KEPT_CAPACITY: usize = 1 << 20;

    /// An empty batch that goes on from the running CRC `crc`.
    pub(crate) fn new(crc: u32) -> Self {
        Self { bytes: Vec::new(), crc }
    }

    /// The frames so far.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets the frames, which have been written, and keeps the CRC.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(Self::KEPT_CAPACITY);
    }

    /// Adds the record that opens a segment.
    pub(crate) fn push_crc(&mut self) {
        self.push_frame(Kind::Crc, None);
    }

    /// Adds the encoded metadata as it is.
    pub(crate) fn push_metadata(&mut self, metadata: &[u8]) {
        self.push(Kind::Metadata, metadata, &[]);
    }

    /// Adds an entry, all its scalars written.
    pub(crate) fn push_entry(&mut self, entry: &raftpb::Entry) {
        let mut head = Fields::new();
        // Enumerations travel as sign-extended 64-bit numbers.
        head.put(1, i64::from(entry.r#type).cast_unsigned());
        head.put(2, entry.term);
        head.put(3, entry.index);
        let Some(data) = &entry.data else {
            self.push(Kind::Entry, head.bytes(), &[]);
            return;
        };
        head.put_length(4, data.len() as u64);
        self.push(Kind::Entry, head.bytes(), data);
    }

    /// Adds a hard state, zeros included.
    pub(crate) fn push_state(&mut self, state: &raftpb::HardState) {
        let mut fields = Fields::new();
        fields.put(1, state.term);
        fields.put(2, state.vote);
        fields.put(3, state.commit);
        self.push(Kind::State, fields.bytes(), &[]);
    }

    /// Adds a snapshot.
    pub(crate) fn push_snapshot(&mut self, snapshot: &walpb::Snapshot) {
        self.push(Kind::Snapshot, &snapshot.encode_to_vec(), &[]);
    }

    /// Adds a record whose data is `head` and `tail` joined.
    fn push(&mut self, kind: Kind, head: &[u8], tail: &[u8]) {
        self.crc = crc32c::crc32c_append(crc32c::crc32c_append(self.crc, head), tail);
        self.push_frame(kind, Some([head, tail]));
    }

    fn push_frame(&mut self, kind: Kind, data: Option<[&[u8]; 2]>) {
        let data_len = data.map(|[head, tail]| head.len() + tail.len());
        let fixed_len = 2 + 1 + encoded_len_varint(u64::from(self.crc));
        let length =
            Length::of(fixed_len + data_len.map_or(0, |len| 1 + encoded_len_varint(len as u64) + len));
        let bytes = &mut self.bytes;
        bytes.reserve(WORD_LEN + length.body() as usize);
        bytes.extend_from_slice(&length.word());
        bytes.extend_from_slice(&[TYPE_TAG, kind as u8, CRC_TAG]);
        encode_varint(u64::from(self.crc), bytes);
        if let (Some([head, tail]), Some(len)) = (data, data_len) {
            bytes.push(DATA_TAG);
            encode_varint(len as u64, bytes);
            bytes.extend_from_slice(head);
            bytes.extend_from_slice(tail);
        }
        bytes.resize(bytes.len() + length.padding as usize, 0);
    }
}

const TYPE_TAG: u8 = 1 << 3;
const CRC_TAG: u8 = 2 << 3;
const DATA_TAG: u8 = 3 << 3 | 2;

/// Up to four numeric fields, encoded on the stack.
struct Fields {
    bytes: [u8; Self::CAPACITY],
    len: usize,
}

impl Fields {
    /// A tag byte and at most ten bytes of number, four times.
    const CAPACITY: usize = 4 * 11;

    fn new() -> Self {
        Self { bytes: [0; Self::CAPACITY], len: 0 }
    }

    fn put(&mut self, field: u8, value: u64) {
        self.put_tagged(field << 3, value);
    }

    /// Puts the tag and length of a bytes field, whose content follows elsewhere.
    fn put_length(&mut self, field: u8, len: u64) {
        self.put_tagged(field << 3 | 2, len);
    }

    fn put_tagged(&mut self, tag: u8, value: u64) {
        self.bytes[self.len] = tag;
        let mut free = &mut self.bytes[self.len + 1..];
        encode_varint(value, &mut free);
        self.len = Self::CAPACITY - free.len();
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use stdx::hex;

    fn check_bytes(batch: &Batch, expected: &str) {
        assert_eq!(hex::encode(batch.bytes()), expected.replace([' ', '\n'], ""));
    }

    #[test]
    fn the_first_records_of_a_segment_are_etcds_bytes() {
        let mut batch = Batch::new(0);
        batch.push_crc();
        let metadata = walpb::Metadata { node_id: 0xbdae_9bbc_11dd_390d, cluster_id: 0xd1cf_af99_9eb9_7a2a };
        batch.push_metadata(&metadata.encode_to_vec());
        check_bytes(
            &batch,
            "0400000000000084 08041000 00000000
             1f00000000000081 080110c0eee05a1a16 088df2f48ec1f7a6d7bd01 10aaf4e5f599f3ebe7d101 00",
        );
    }

    #[test]
    fn entries_and_states_encode_as_their_messages_do() {
        let entries = [
            raftpb::Entry { r#type: 0, term: 0, index: 0, data: None },
            raftpb::Entry { r#type: 1, term: 7, index: u64::MAX, data: Some(Bytes::from_static(b"x")) },
            raftpb::Entry {
                r#type: -1,
                term: u64::MAX,
                index: u64::MAX,
                data: Some(Bytes::from(vec![9; 70_000])),
            },
            raftpb::Entry { r#type: 2, term: 1 << 35, index: 300, data: Some(Bytes::new()) },
        ];
        let state = raftpb::HardState { term: u64::MAX, vote: 0, commit: 5 };
        let mut batch = Batch::new(17);
        entries.iter().for_each(|entry| batch.push_entry(entry));
        batch.push_state(&state);

        let mut by_message = Batch::new(17);
        entries.iter().for_each(|entry| by_message.push(Kind::Entry, &entry.encode_to_vec(), &[]));
        by_message.push(Kind::State, &state.encode_to_vec(), &[]);
        assert_eq!(batch.bytes(), by_message.bytes());
        assert_eq!(batch.bytes().len() % 8, 0);
        assert_eq!(batch.crc, by_message.crc);
    }

    #[test]
    fn a_frame_holds_the_record_message() {
        let mut batch = Batch::new(0);
        batch.push_snapshot(&walpb::Snapshot::default());
        let length = Length::parse(batch.bytes()[..8].try_into().unwrap());
        let record = walpb::Record::decode(&batch.bytes()[8..8 + length.record as usize]).unwrap();
        let data = Bytes::from_static(&[8, 0, 16, 0]);
        let crc = crc32c::crc32c(&data);
        assert_eq!(record, walpb::Record { r#type: 5, crc, data: Some(data) });
    }
}
