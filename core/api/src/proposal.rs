//! From a request to the payload of a log entry.

use crate::error::{self, ApiError};
use apply::{Identity, Payload, decode_payload};
use bytes::{Bytes, BytesMut};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use proto::etcdserverpb::RequestHeader;
use proto::raftpb::Entry;
use types::RequestId;

/// Requests that become log entries; the numbers are their fields in `InternalRaftRequest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `PutRequest`
    Put = 4,
    /// `DeleteRangeRequest`
    DeleteRange = 5,
    /// `TxnRequest`
    Txn = 6,
    /// `CompactionRequest`
    Compaction = 7,
    /// `AlarmRequest`
    Alarm = 10,
}

const HEADER_FIELD: u32 = 100;

/// Encodes the `InternalRaftRequest` of a checked `request`; a large value is copied once.
///
/// # Errors
/// [`error::REQUEST_TOO_LARGE`] if the result is longer than `max_bytes` (`--max-request-bytes`).
pub fn proposal(
    id: RequestId,
    identity: Identity,
    command: Command,
    request: &impl Message,
    max_bytes: usize,
) -> Result<Bytes, ApiError> {
    let header = RequestHeader { id: id.0, username: identity.user, auth_revision: identity.auth_revision };
    let header_len = header.encoded_len();
    // Tags: 1 byte for fields up to 15, 2 bytes for field 100.
    let request_len = request.encoded_len();
    let len = 1 + encoded_len_varint(request_len as u64) + request_len + 2 + 1 + header_len;
    if len > max_bytes {
        return Err(error::REQUEST_TOO_LARGE);
    }
    let mut out = BytesMut::with_capacity(len);
    encode_key(command as u32, WireType::LengthDelimited, &mut out);
    encode_varint(request_len as u64, &mut out);
    request.encode_raw(&mut out);
    encode_key(HEADER_FIELD, WireType::LengthDelimited, &mut out);
    encode_varint(header_len as u64, &mut out);
    header.encode_raw(&mut out);
    let out = out.freeze();
    // An entry that cannot be read stops the member at every start.
    debug_assert!(is_readable(&out), "a checked request can be read from the log");
    Ok(out)
}

fn is_readable(data: &Bytes) -> bool {
    let entry = Entry { data: Some(data.clone()), ..Entry::default() };
    matches!(decode_payload(&entry), Ok(Payload::Request(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::etcdserverpb::{InternalRaftRequest, PutRequest};

    #[test]
    fn a_put_looks_as_go_writes_it() {
        let put = PutRequest { key: "foo".into(), value: "bar".into(), ..PutRequest::default() };
        let id = RequestId(4_155_219_371_842_384_643);
        let data = proposal(id, Identity::default(), Command::Put, &put, 1000).unwrap();
        assert!(data.starts_with(b"\x22\x0a\x0a\x03foo\x12\x03bar\xa2\x06\x0a\x08"));
        let decoded = InternalRaftRequest::decode(data.clone()).unwrap();
        assert_eq!((decoded.put, decoded.header.unwrap().id), (Some(put.clone()), id.0));
        let exact = proposal(id, Identity::default(), Command::Put, &put, data.len());
        assert_eq!(exact.unwrap().len(), data.len());
        let short = proposal(id, Identity::default(), Command::Put, &put, data.len() - 1);
        assert_eq!(short, Err(error::REQUEST_TOO_LARGE));
    }
}
