//! The header of a response.

use bytes::BufMut;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use proto::etcdserverpb::ResponseHeader;
use types::{ClusterId, MemberId, Term};

/// The part of every response header that the answering member knows.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// The cluster.
    pub cluster: ClusterId,
    /// The answering member.
    pub member: MemberId,
    /// Its term.
    pub term: Term,
}

impl Header {
    /// The header message of an answer at `revision`.
    pub fn at(&self, revision: i64) -> ResponseHeader {
        ResponseHeader {
            cluster_id: self.cluster.0,
            member_id: self.member.0,
            revision,
            raft_term: self.term.0,
        }
    }

    /// Length of what [`Header::encode`] appends, in bytes.
    pub fn encoded_len(&self, revision: i64) -> usize {
        // A header is shorter than 128 bytes, so its length takes one.
        2 + self.at(revision).encoded_len()
    }

    /// Appends the header as field 1, where every response that has one has it.
    pub fn encode(&self, revision: i64, out: &mut impl BufMut) {
        let header = self.at(revision);
        encode_key(1, WireType::LengthDelimited, out);
        encode_varint(header.encoded_len() as u64, out);
        header.encode_raw(out);
    }
}
