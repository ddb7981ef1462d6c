//! Reading and writing transactions that hold transactions.
//!
//! The generated reader takes messages at most 100 deep, two for each level, counted from whatever message it begins
//! with: it would take a transaction from a client and then refuse the log entry around it, which is one message deeper.
//! etcd takes as many levels as `--max-txn-ops` has operations. So levels are read here and counted by themselves, by
//! the client's side and by the log's alike; everything else, which has a fixed depth, is left to the generated reader.
//!
//! The generated writer measures a message again for each one around it: with a hundred levels a request of 2 MiB takes
//! it seconds. Here every level is measured once.

use bytes::{Buf, BufMut, Bytes};
use prost::Message;
use prost::encoding::{
    self, DecodeContext, WireType, decode_key, encode_key, encode_varint, encoded_len_varint,
};
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::{InternalRaftRequest, RequestOp, TxnRequest};

/// The most levels of transactions, the outermost one included: bounds the stack of whatever walks them. etcd has no
/// such bound; at its default of 128 operations a client gets no deeper than 129 (docs/compat.md, transactions).
pub const TXN_LEVELS_MAX: usize = 256;

/// Why bytes are not a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NestedError {
    /// More than [`TXN_LEVELS_MAX`] levels.
    #[error("transactions are nested more than {TXN_LEVELS_MAX} deep")]
    TooDeep,
    /// Not what the message looks like.
    #[error(transparent)]
    Malformed(#[from] prost::DecodeError),
}

/// Reads one field of an outermost transaction, as [`Message::merge_field`] does; `tag` and `wire_type` are read
/// already.
///
/// # Errors
/// See [`NestedError`].
pub fn merge_txn_field(
    txn: &mut TxnRequest,
    tag: u32,
    wire_type: WireType,
    data: &mut impl Buf,
) -> Result<(), NestedError> {
    merge_field(txn, tag, wire_type, data, 1)
}

/// Writes transactions, each level measured once.
pub struct TxnEncoder<'a> {
    txn: &'a TxnRequest,
    len: usize,
    /// Lengths of the transactions inside, in the order in which they are written.
    inner: Vec<usize>,
}

impl<'a> TxnEncoder<'a> {
    /// Measures `txn`.
    pub fn new(txn: &'a TxnRequest) -> Self {
        let mut inner = Vec::new();
        Self { txn, len: measure(txn, &mut inner), inner }
    }

    /// Bytes that [`TxnEncoder::encode`] appends.
    pub fn encoded_len(&self) -> usize {
        self.len
    }

    /// Appends the fields of the transaction, byte for byte as the generated writer does.
    pub fn encode(&self, out: &mut impl BufMut) {
        write(self.txn, &mut self.inner.iter().copied(), out);
    }
}

fn measure(txn: &TxnRequest, inner: &mut Vec<usize>) -> usize {
    let mut len = 0;
    for compare in &txn.compare {
        len += field_len(compare.encoded_len());
    }
    for operation in txn.success.iter().chain(&txn.failure) {
        let operation_len = if let Some(Request::RequestTxn(txn)) = &operation.request {
            let place = inner.len();
            inner.push(0);
            inner[place] = measure(txn, inner);
            field_len(inner[place])
        } else {
            operation.encoded_len()
        };
        len += field_len(operation_len);
    }
    len
}

/// Bytes of a field that holds `len` bytes; all numbers here are below 16 and take one.
fn field_len(len: usize) -> usize {
    1 + encoded_len_varint(len as u64) + len
}

fn write(txn: &TxnRequest, inner: &mut impl Iterator<Item = usize>, out: &mut impl BufMut) {
    for compare in &txn.compare {
        encoding::message::encode(TXN_COMPARE, compare, out);
    }
    for (tag, branch) in [(TXN_SUCCESS, &txn.success), (TXN_FAILURE, &txn.failure)] {
        for operation in branch {
            let Some(Request::RequestTxn(txn)) = &operation.request else {
                encoding::message::encode(tag, operation, out);
                continue;
            };
            let len = inner.next().expect("every transaction inside was measured");
            for (tag, len) in [(tag, field_len(len)), (OPERATION_TXN, len)] {
                encode_key(tag, WireType::LengthDelimited, out);
                encode_varint(len as u64, out);
            }
            write(txn, inner, out);
        }
    }
}

/// Reads the request of a log entry.
pub(crate) fn decode_raft_request(mut data: Bytes) -> Result<InternalRaftRequest, NestedError> {
    let mut request = InternalRaftRequest::default();
    while data.has_remaining() {
        let (tag, wire_type) = decode_key(&mut data)?;
        if tag == RAFT_REQUEST_TXN {
            let inner = message(wire_type, &mut data)?;
            merge_txn(request.txn.get_or_insert_default(), inner, 1)?;
        } else {
            request.merge_field(tag, wire_type, &mut data, DecodeContext::default())?;
        }
    }
    Ok(request)
}

fn merge_txn(txn: &mut TxnRequest, mut data: Bytes, level: usize) -> Result<(), NestedError> {
    if level > TXN_LEVELS_MAX {
        return Err(NestedError::TooDeep);
    }
    while data.has_remaining() {
        let (tag, wire_type) = decode_key(&mut data)?;
        merge_field(txn, tag, wire_type, &mut data, level)?;
    }
    Ok(())
}

fn merge_field(
    txn: &mut TxnRequest,
    tag: u32,
    wire_type: WireType,
    data: &mut impl Buf,
    level: usize,
) -> Result<(), NestedError> {
    let branch = match tag {
        TXN_SUCCESS => &mut txn.success,
        TXN_FAILURE => &mut txn.failure,
        _ => return Ok(txn.merge_field(tag, wire_type, data, DecodeContext::default())?),
    };
    branch.push(operation(message(wire_type, data)?, level)?);
    Ok(())
}

fn operation(mut data: Bytes, level: usize) -> Result<RequestOp, NestedError> {
    let mut operation = RequestOp::default();
    while data.has_remaining() {
        let (tag, wire_type) = decode_key(&mut data)?;
        if tag == OPERATION_TXN {
            let inner = message(wire_type, &mut data)?;
            // Once more the same member of the union is merged, another one replaces it: as in every reader.
            let mut txn = match operation.request.take() {
                Some(Request::RequestTxn(txn)) => txn,
                _ => TxnRequest::default(),
            };
            merge_txn(&mut txn, inner, level + 1)?;
            operation.request = Some(Request::RequestTxn(txn));
        } else {
            operation.merge_field(tag, wire_type, &mut data, DecodeContext::default())?;
        }
    }
    Ok(operation)
}

/// The bytes of an embedded message, shared with `data`.
fn message(wire_type: WireType, data: &mut impl Buf) -> Result<Bytes, prost::DecodeError> {
    let mut inner = Bytes::new();
    encoding::bytes::merge(wire_type, &mut inner, data, DecodeContext::default())?;
    Ok(inner)
}

const RAFT_REQUEST_TXN: u32 = 6;
const TXN_COMPARE: u32 = 1;
const TXN_SUCCESS: u32 = 2;
const TXN_FAILURE: u32 = 3;
const OPERATION_TXN: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use proto::etcdserverpb::compare::TargetUnion;
    use proto::etcdserverpb::{Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestHeader};
    use stdx::prng::Prng;

    fn put_op() -> RequestOp {
        let put = PutRequest { key: "key".into(), value: "value".into(), ..PutRequest::default() };
        RequestOp { request: Some(Request::RequestPut(put)) }
    }

    /// `levels` transactions, one in the other, with a put in the innermost.
    fn nested(levels: usize) -> TxnRequest {
        let mut txn = TxnRequest { success: vec![put_op()], ..TxnRequest::default() };
        for _ in 1..levels {
            let inner = RequestOp { request: Some(Request::RequestTxn(txn)) };
            txn = TxnRequest { failure: vec![inner], ..TxnRequest::default() };
        }
        txn
    }

    fn entry(txn: TxnRequest) -> InternalRaftRequest {
        let header = Some(RequestHeader { id: 7, ..RequestHeader::default() });
        InternalRaftRequest { header, txn: Some(txn), ..InternalRaftRequest::default() }
    }

    fn any_txn(rng: &mut Prng, levels: u64) -> TxnRequest {
        let mut txn = TxnRequest::default();
        for _ in 0..rng.below(3) {
            let union = TargetUnion::Value("v".into());
            txn.compare.push(Compare { key: "k".into(), target_union: Some(union), ..Compare::default() });
        }
        for number in 0..rng.below(5) {
            let request = match rng.below(5) {
                0 => Some(Request::RequestRange(RangeRequest { limit: 3, ..RangeRequest::default() })),
                1 => put_op().request,
                2 => Some(Request::RequestDeleteRange(DeleteRangeRequest::default())),
                3 if levels > 0 => Some(Request::RequestTxn(any_txn(rng, levels - 1))),
                _ => None,
            };
            let branch = if number % 2 == 0 { &mut txn.success } else { &mut txn.failure };
            branch.push(RequestOp { request });
        }
        txn
    }

    #[test]
    fn what_the_generated_reader_takes_is_read_as_it_does() {
        let mut rng = Prng::new(1);
        for _ in 0..2000 {
            let request = entry(any_txn(&mut rng, 4));
            let mut data = request.encode_to_vec();
            let damages = rng.below(3);
            for _ in 0..damages {
                let position = rng.below(data.len() as u64) as usize;
                data[position] ^= 1 << rng.below(8);
            }
            let expected = InternalRaftRequest::decode(data.as_slice());
            let found = decode_raft_request(data.clone().into());
            // A reader of parts knows less about where it failed: only the verdict is compared.
            assert_eq!(found.as_ref().ok(), expected.as_ref().ok(), "{data:x?}");
            assert!(damages > 0 || found == Ok(request));
        }
    }

    #[test]
    fn what_is_written_is_what_the_generated_writer_writes() {
        let mut rng = Prng::new(2);
        for _ in 0..1000 {
            let txn = any_txn(&mut rng, 4);
            let encoder = TxnEncoder::new(&txn);
            let mut found = Vec::new();
            encoder.encode(&mut found);
            assert_eq!((encoder.encoded_len(), &found), (found.len(), &txn.encode_to_vec()));
        }
    }

    #[test]
    fn fields_of_one_member_of_the_union_are_merged() {
        let inner = nested(2).encode_to_vec();
        let mut operation = vec![0x22, inner.len() as u8];
        operation.extend(&inner);
        let twice = [operation.clone(), operation].concat();
        let mut data = vec![0x12, twice.len() as u8];
        data.extend(&twice);
        let expected = TxnRequest::decode(data.as_slice()).unwrap();
        let mut found = TxnRequest::default();
        merge_txn(&mut found, data.into(), 1).unwrap();
        assert_eq!(found, expected);
        assert!(
            matches!(&found.success[0].request, Some(Request::RequestTxn(txn)) if txn.failure.len() == 2)
        );
    }

    #[test]
    fn levels_are_counted_from_the_outermost_transaction() {
        for levels in [1, 49, 50, 51, 129, TXN_LEVELS_MAX] {
            let request = entry(nested(levels));
            let found = decode_raft_request(request.encode_to_vec().into());
            assert_eq!(found, Ok(request), "{levels} levels");
        }
        for levels in [TXN_LEVELS_MAX + 1, 2 * TXN_LEVELS_MAX] {
            let found = decode_raft_request(entry(nested(levels)).encode_to_vec().into());
            assert_eq!(found, Err(NestedError::TooDeep), "{levels} levels");
        }
    }
}
