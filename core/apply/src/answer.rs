//! What a request is answered with, before the API layer adds the header and the error's code.

use bytes::Bytes;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use types::RequestId;

/// A success: everything of the response message but its header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// For the header: the store's revision.
    pub revision: i64,
    /// The encoded fields behind the header, which has number 1 in every response.
    pub body: Bytes,
}

/// A failure that every member has in common and that changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The revision is below the compacted one.
    Compacted,
    /// The revision is above the current one.
    FutureRevision,
    /// A value or lease was to be kept and there is no key.
    KeyNotFound,
    /// No such lease.
    LeaseNotFound,
    /// The lease exists.
    LeaseExists,
    /// A lease was to live longer than any may.
    LeaseTtlTooLarge,
    /// The space quota is used up.
    NoSpace,
    /// A CORRUPT alarm is active.
    Corrupt,
    /// The action of an alarm request is none of the known ones.
    UnknownAlarmAction,
    /// No such member.
    MemberNotFound,
    /// The member exists.
    MemberExists,
    /// Another member has one of the peer URLs.
    PeerUrlsExist,
    /// Only a learner can be promoted.
    NotALearner,
    /// There are as many learners as allowed.
    TooManyLearners,
}

/// The answer to one request of this member.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Which request.
    pub id: RequestId,
    /// Its outcome.
    pub result: Result<Answer, Refusal>,
}

/// Appends a `ResponseHeader` that holds only `revision` as field 1, as etcd answers inside transactions.
pub(crate) fn put_inner_header(revision: i64, out: &mut Vec<u8>) {
    let revision = revision.cast_unsigned();
    encode_key(1, WireType::LengthDelimited, out);
    encode_varint((1 + encoded_len_varint(revision)) as u64, out);
    encode_key(3, WireType::Varint, out);
    encode_varint(revision, out);
}

/// Appends `bytes` as the length-delimited field `number`.
pub(crate) fn put_bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    put_key_len(number, bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// Appends what stands before the `len` bytes of the length-delimited field `number`.
pub(crate) fn put_key_len(number: u32, len: usize, out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(len as u64, out);
}

/// Appends a number as the varint field `number`, nothing if it is zero.
pub(crate) fn put_int(number: u32, value: i64, out: &mut Vec<u8>) {
    if value != 0 {
        encode_key(number, WireType::Varint, out);
        encode_varint(value.cast_unsigned(), out);
    }
}
