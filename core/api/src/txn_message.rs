//! A transaction as it comes from a client.

use crate::error::{self, ApiError};
use apply::{NestedError, TxnEncoder, merge_txn_field};
use bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType};
use prost::{DecodeError, Message};
use proto::etcdserverpb::TxnRequest;

/// A `TxnRequest` that reads itself as deep as the log does, which is deeper than the generated reader goes, and writes
/// itself in a time that does not grow with its depth.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TxnMessage {
    request: TxnRequest,
    is_too_deep: bool,
}

impl TxnMessage {
    /// The request.
    ///
    /// # Errors
    /// [`error::TOO_MANY_OPS`] if it is nested too deep to be kept in the log: each level holds an operation, and etcd
    /// has no other word for it.
    pub fn request(&self) -> Result<&TxnRequest, ApiError> {
        if self.is_too_deep { Err(error::TOO_MANY_OPS) } else { Ok(&self.request) }
    }
}

impl Message for TxnMessage {
    fn encode_raw(&self, out: &mut impl BufMut) {
        TxnEncoder::new(&self.request).encode(out);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        data: &mut impl Buf,
        _: DecodeContext,
    ) -> Result<(), DecodeError> {
        match merge_txn_field(&mut self.request, tag, wire_type, data) {
            Ok(()) => Ok(()),
            Err(NestedError::TooDeep) => {
                self.is_too_deep = true;
                Ok(())
            }
            Err(NestedError::Malformed(error)) => Err(error),
        }
    }

    fn encoded_len(&self) -> usize {
        TxnEncoder::new(&self.request).encoded_len()
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Command, Identity, check, proposal};
    use apply::{Payload, TXN_LEVELS_MAX, decode_payload};
    use proto::etcdserverpb::request_op::Request;
    use proto::etcdserverpb::{Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp};
    use proto::raftpb::Entry;
    use stdx::prng::Prng;
    use types::RequestId;

    /// `levels` transactions, one in the other, each with something beside the next one.
    fn nested(rng: &mut Prng, levels: usize) -> TxnRequest {
        let mut inner = None;
        for level in (0..levels).rev() {
            let mut txn = TxnRequest::default();
            if rng.chance(1, 3) {
                txn.compare.push(Compare { key: "k".into(), ..Compare::default() });
            }
            let key = format!("{level}").into();
            let beside = match rng.below(4) {
                0 => Some(Request::RequestPut(PutRequest { key, ..PutRequest::default() })),
                1 => Some(Request::RequestRange(RangeRequest { key, ..RangeRequest::default() })),
                2 => Some(Request::RequestDeleteRange(DeleteRangeRequest {
                    key,
                    ..DeleteRangeRequest::default()
                })),
                _ => None,
            };
            // An operation each in a branch costs one of the budget, like a single one.
            let (mut some, mut other) = (&mut txn.success, &mut txn.failure);
            if rng.chance(1, 2) {
                std::mem::swap(&mut some, &mut other);
            }
            some.extend(inner.take().map(|inner| RequestOp { request: Some(Request::RequestTxn(inner)) }));
            other.extend(beside.map(|request| RequestOp { request: Some(request) }));
            inner = Some(txn);
        }
        inner.unwrap_or_default()
    }

    fn accepted(data: &[u8], max_ops: usize) -> Result<TxnMessage, ApiError> {
        let message = TxnMessage::decode(data).unwrap();
        check::txn(message.request()?, max_ops)?;
        Ok(message)
    }

    #[test]
    fn what_is_accepted_can_be_read_from_the_log() {
        let mut rng = Prng::new(1);
        let mut deepest = 0;
        for _ in 0..300 {
            let near = [1, 48, 127, TXN_LEVELS_MAX - 2][rng.below(4) as usize];
            let levels = near + rng.below(5) as usize;
            let max_ops = [128, 10_000][rng.below(2) as usize];
            let txn = nested(&mut rng, levels);
            let message = match accepted(&txn.encode_to_vec(), max_ops) {
                Ok(message) => message,
                Err(error) => {
                    assert!(levels > 128, "{levels} levels: {error:?}");
                    assert_eq!(error, error::TOO_MANY_OPS);
                    continue;
                }
            };
            assert_eq!(message.request(), Ok(&txn));
            deepest = deepest.max(levels);
            let id = RequestId(u64::MAX);
            let data = proposal(id, Identity::default(), Command::Txn, &message, 1 << 20).unwrap();
            let entry = Entry { data: Some(data), ..Entry::default() };
            let Ok(Payload::Request(read)) = decode_payload(&entry) else {
                panic!("an entry with {levels} levels is not read");
            };
            assert_eq!(read.txn, Some(txn));
        }
        assert_eq!(deepest, TXN_LEVELS_MAX);
    }

    #[test]
    fn as_many_levels_as_operations_are_accepted_as_in_go() {
        let levels = |levels| {
            let mut txn = TxnRequest::default();
            for _ in 1..levels {
                let inner = RequestOp { request: Some(Request::RequestTxn(txn)) };
                txn = TxnRequest { success: vec![inner], ..TxnRequest::default() };
            }
            accepted(&txn.encode_to_vec(), 128).map(drop)
        };
        // The innermost is empty and costs nothing.
        assert_eq!(levels(129), Ok(()));
        assert_eq!(levels(130), Err(error::TOO_MANY_OPS));
        assert_eq!(levels(5000), Err(error::TOO_MANY_OPS));
    }

    #[test]
    fn what_is_built_too_deep_is_refused_as_well() {
        let mut txn = TxnRequest::default();
        for _ in 0..TXN_LEVELS_MAX {
            let inner = RequestOp { request: Some(Request::RequestTxn(txn)) };
            txn = TxnRequest { success: vec![inner], ..TxnRequest::default() };
        }
        assert_eq!(check::txn(&txn, usize::MAX), Err(error::TOO_MANY_OPS));
    }
}
