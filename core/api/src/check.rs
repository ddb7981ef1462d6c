//! What a request must look like before anything is done with it. Source: etcd API, order of validation.

use crate::error::{self, ApiError};
use mvcc::KeyRange;
use proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::{DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest};
use std::collections::BTreeSet;

/// Checks a range request.
///
/// # Errors
/// No key, or a sort order or target that does not exist.
pub fn range(request: &RangeRequest) -> Result<(), ApiError> {
    if request.key.is_empty() {
        return Err(error::EMPTY_KEY);
    }
    let known =
        SortOrder::try_from(request.sort_order).is_ok() && SortTarget::try_from(request.sort_target).is_ok();
    if known { Ok(()) } else { Err(error::INVALID_SORT_OPTION) }
}

/// Checks a put request.
///
/// # Errors
/// No key; a value or lease although it is to be kept.
pub fn put(request: &PutRequest) -> Result<(), ApiError> {
    if request.key.is_empty() {
        return Err(error::EMPTY_KEY);
    }
    if request.ignore_value && !request.value.is_empty() {
        return Err(error::VALUE_PROVIDED);
    }
    if request.ignore_lease && request.lease != 0 { Err(error::LEASE_PROVIDED) } else { Ok(()) }
}

/// Checks a delete request.
///
/// # Errors
/// No key.
pub fn delete_range(request: &DeleteRangeRequest) -> Result<(), ApiError> {
    if request.key.is_empty() { Err(error::EMPTY_KEY) } else { Ok(()) }
}

/// Checks a transaction with at most `max_ops` compares, or operations in a branch (`--max-txn-ops`).
///
/// # Errors
/// Too many of them, one of them is wrong, or one branch puts a key twice or inside a range that it deletes.
pub fn txn(request: &TxnRequest, max_ops: usize) -> Result<(), ApiError> {
    fields(request, max_ops)?;
    Writes::of(&request.success)?;
    Writes::of(&request.failure)?;
    Ok(())
}

fn fields(request: &TxnRequest, max_ops: usize) -> Result<(), ApiError> {
    let most = request.compare.len().max(request.success.len()).max(request.failure.len());
    let left = max_ops.checked_sub(most).ok_or(error::TOO_MANY_OPS)?;
    if request.compare.iter().any(|compare| compare.key.is_empty()) {
        return Err(error::EMPTY_KEY);
    }
    request.success.iter().chain(&request.failure).try_for_each(|operation| match &operation.request {
        Some(Request::RequestRange(inner)) => range(inner),
        Some(Request::RequestPut(inner)) => put(inner),
        Some(Request::RequestDeleteRange(inner)) => delete_range(inner),
        Some(Request::RequestTxn(inner)) => fields(inner, left),
        None => Err(error::KEY_NOT_FOUND),
    })
}

/// Whether a transaction reads only, so that it needs no log entry: all operations of both branches are ranges.
pub fn is_read_only(request: &TxnRequest) -> bool {
    let is_range = |operation: &RequestOp| matches!(operation.request, Some(Request::RequestRange(_)));
    request.success.iter().chain(&request.failure).all(is_range)
}

/// What one list of operations writes, nested transactions included.
#[derive(Default)]
struct Writes<'a> {
    puts: BTreeSet<&'a [u8]>,
    deletes: Vec<KeyRange>,
}

impl<'a> Writes<'a> {
    fn of(operations: &'a [RequestOp]) -> Result<Self, ApiError> {
        let mut writes = Self::default();
        for operation in operations {
            if let Some(Request::RequestDeleteRange(inner)) = &operation.request {
                writes.deletes.push(KeyRange::new(&inner.key, &inner.range_end));
            }
        }
        for operation in operations {
            if let Some(Request::RequestTxn(inner)) = &operation.request {
                // Only one of the two branches runs, so they may share keys with each other but not with the rest.
                let (then, otherwise) = (Self::of(&inner.success)?, Self::of(&inner.failure)?);
                let nested: BTreeSet<_> = then.puts.union(&otherwise.puts).copied().collect();
                if nested.iter().any(|key| writes.collides(key)) {
                    return Err(error::DUPLICATE_KEY);
                }
                let nested_deletes: Vec<_> = then.deletes.into_iter().chain(otherwise.deletes).collect();
                let put_before =
                    writes.puts.iter().any(|key| nested_deletes.iter().any(|range| range.contains(key)));
                if put_before {
                    return Err(error::DUPLICATE_KEY);
                }
                writes.puts.extend(nested);
                writes.deletes.extend(nested_deletes);
            }
        }
        for operation in operations {
            if let Some(Request::RequestPut(inner)) = &operation.request {
                if writes.collides(&inner.key) {
                    return Err(error::DUPLICATE_KEY);
                }
                writes.puts.insert(&inner.key);
            }
        }
        Ok(writes)
    }

    /// A deliberate difference from etcd, which overlooks an open-ended delete here and then loses the key in a
    /// compaction (docs/compat.md, transactions): an open end counts as what it is.
    fn collides(&self, key: &[u8]) -> bool {
        self.puts.contains(key) || self.deletes.iter().any(|range| range.contains(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::etcdserverpb::Compare;

    fn op(request: Request) -> RequestOp {
        RequestOp { request: Some(request) }
    }

    fn put_op(key: &'static str) -> RequestOp {
        op(Request::RequestPut(PutRequest { key: key.into(), ..PutRequest::default() }))
    }

    fn delete_op(key: &'static str, end: &'static str) -> RequestOp {
        op(Request::RequestDeleteRange(DeleteRangeRequest {
            key: key.into(),
            range_end: end.into(),
            prev_kv: false,
        }))
    }

    fn txn_op(success: Vec<RequestOp>, failure: Vec<RequestOp>) -> RequestOp {
        op(Request::RequestTxn(TxnRequest { success, failure, ..TxnRequest::default() }))
    }

    fn check(success: Vec<RequestOp>, expected: Result<(), ApiError>) {
        let request = TxnRequest { success, ..TxnRequest::default() };
        assert_eq!(txn(&request, 128), expected);
    }

    #[test]
    fn a_branch_writes_each_key_once() {
        let duplicate = Err(error::DUPLICATE_KEY);
        check(vec![put_op("a"), put_op("b")], Ok(()));
        check(vec![put_op("a"), put_op("a")], duplicate);
        check(vec![put_op("b"), delete_op("a", "c")], duplicate);
        check(vec![delete_op("a", "\0"), put_op("z")], duplicate);
        check(vec![delete_op("a", "c"), delete_op("b", "d")], Ok(()));
        check(vec![txn_op(vec![put_op("a")], vec![put_op("a")])], Ok(()));
        check(vec![txn_op(vec![put_op("a")], vec![]), txn_op(vec![put_op("a")], vec![])], duplicate);
        check(vec![put_op("a"), txn_op(vec![delete_op("a", "b")], vec![])], duplicate);
    }

    #[test]
    fn budget_and_fields() {
        check(vec![put_op("")], Err(error::EMPTY_KEY));
        check(vec![RequestOp { request: None }], Err(error::KEY_NOT_FOUND));
        let request = TxnRequest {
            compare: vec![Compare { key: "a".into(), ..Compare::default() }; 3],
            success: vec![txn_op(vec![put_op("a"), put_op("b")], vec![])],
            ..TxnRequest::default()
        };
        assert_eq!(txn(&request, 5), Ok(()));
        assert_eq!(txn(&request, 4), Err(error::TOO_MANY_OPS));
        assert_eq!(txn(&request, 2), Err(error::TOO_MANY_OPS));
        assert!(is_read_only(&TxnRequest::default()));
        assert!(!is_read_only(&request));
    }
}
