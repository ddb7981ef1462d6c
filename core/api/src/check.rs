//! What a request must look like before anything is done with it. Source: `docs/formats/grpc.md 5 to 7`.

use crate::error::{self, ApiError};
use apply::TXN_LEVELS_MAX;
use proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::{DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

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
/// Too many of them, too many levels ([`TXN_LEVELS_MAX`]), one of them is wrong, or one branch puts a key twice or
/// inside a range that it deletes.
pub fn txn(request: &TxnRequest, max_ops: usize) -> Result<(), ApiError> {
    fields(request, Budget { operations: max_ops, levels: TXN_LEVELS_MAX })?;
    Writes::of(&request.success)?;
    Writes::of(&request.failure)?;
    Ok(())
}

/// What is left for a transaction inside others.
#[derive(Clone, Copy)]
struct Budget {
    operations: usize,
    levels: usize,
}

fn fields(request: &TxnRequest, budget: Budget) -> Result<(), ApiError> {
    let most = request.compare.len().max(request.success.len()).max(request.failure.len());
    let operations = budget.operations.checked_sub(most).ok_or(error::TOO_MANY_OPS)?;
    let levels = budget.levels.checked_sub(1).ok_or(error::TOO_MANY_OPS)?;
    if request.compare.iter().any(|compare| compare.key.is_empty()) {
        return Err(error::EMPTY_KEY);
    }
    request.success.iter().chain(&request.failure).try_for_each(|operation| match &operation.request {
        Some(Request::RequestRange(inner)) => range(inner),
        Some(Request::RequestPut(inner)) => put(inner),
        Some(Request::RequestDeleteRange(inner)) => delete_range(inner),
        Some(Request::RequestTxn(inner)) => fields(inner, Budget { operations, levels }),
        None => Err(error::KEY_NOT_FOUND),
    })
}

/// Whether a transaction reads only, so that it needs no log entry: all operations of both branches are ranges.
pub fn is_read_only(request: &TxnRequest) -> bool {
    let is_range = |operation: &RequestOp| matches!(operation.request, Some(Request::RequestRange(_)));
    request.success.iter().chain(&request.failure).all(is_range)
}

/// What one list of operations writes, nested transactions included.
///
/// Sets are merged into the larger one, so that a deep transaction does not move the same keys at every level.
#[derive(Default)]
struct Writes<'a> {
    puts: BTreeSet<&'a [u8]>,
    deletes: Deletes<'a>,
}

impl<'a> Writes<'a> {
    /// In the order of etcd: this list's deletes, its transactions one after the other, then its puts. So a put may not
    /// follow a delete of its key, whereas a transaction may delete what one before it has put.
    fn of(operations: &'a [RequestOp]) -> Result<Self, ApiError> {
        let mut writes = Self::default();
        for operation in operations {
            if let Some(Request::RequestDeleteRange(inner)) = &operation.request {
                writes.deletes.insert_range(&inner.key, &inner.range_end);
            }
        }
        for operation in operations {
            if let Some(Request::RequestTxn(inner)) = &operation.request {
                // Only one of the two branches runs, so they may share keys with each other but not with the rest.
                let mut nested = Self::of(&inner.success)?;
                nested.absorb(Self::of(&inner.failure)?);
                if !writes.puts.is_disjoint(&nested.puts) || writes.deletes.has_any_of(&nested.puts) {
                    return Err(error::DUPLICATE_KEY);
                }
                writes.absorb(nested);
            }
        }
        for operation in operations {
            let Some(Request::RequestPut(inner)) = &operation.request else { continue };
            if writes.deletes.has(&inner.key) || !writes.puts.insert(&inner.key) {
                return Err(error::DUPLICATE_KEY);
            }
        }
        Ok(writes)
    }

    fn absorb(&mut self, mut other: Self) {
        if self.puts.len() < other.puts.len() {
            std::mem::swap(&mut self.puts, &mut other.puts);
        }
        if is_far_smaller(other.puts.len(), self.puts.len()) {
            self.puts.extend(other.puts);
        } else {
            self.puts.append(&mut other.puts);
        }
        self.deletes.absorb(other.deletes);
    }
}

/// Whether it costs less to insert one set into another item by item than to merge the two.
fn is_far_smaller(smaller: usize, larger: usize) -> bool {
    smaller.saturating_mul(16) < larger
}

/// Deleted keys, as ranges that neither overlap nor touch: first key inside, and where the range ends.
///
/// A deliberate difference from etcd, which overlooks an open-ended delete here and then loses the key in a compaction
/// (docs/compat.md, transactions): an open end counts as what it is.
#[derive(Default)]
struct Deletes<'a> {
    ranges: BTreeMap<&'a [u8], End<'a>>,
}

/// Where a range ends, in byte order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End<'a> {
    At(&'a [u8], Side),
    Never,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Before,
    Behind,
}

impl<'a> Deletes<'a> {
    /// Adds the range of a request, in the forms of [`mvcc::KeyRange::new`].
    fn insert_range(&mut self, key: &'a [u8], range_end: &'a [u8]) {
        match range_end {
            [] => self.insert(key, End::At(key, Side::Behind)),
            [0] => self.insert(key, End::Never),
            _ if range_end <= key => {}
            _ => self.insert(key, End::At(range_end, Side::Before)),
        }
    }

    fn insert(&mut self, mut start: &'a [u8], mut end: End<'a>) {
        if let Some((&first, &last)) = self.ranges.range(..=start).next_back()
            && last >= End::At(start, Side::Before)
        {
            start = first;
            end = end.max(last);
        }
        while let Some((&first, &last)) = self.ranges.range(start..).next()
            && End::At(first, Side::Before) <= end
        {
            self.ranges.remove(first);
            end = end.max(last);
        }
        self.ranges.insert(start, end);
    }

    fn has(&self, key: &[u8]) -> bool {
        let before = self.ranges.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back();
        before.is_some_and(|(_, end)| is_before(key, *end))
    }

    fn has_any_of(&self, keys: &BTreeSet<&'a [u8]>) -> bool {
        if keys.len() <= self.ranges.len() {
            return keys.iter().any(|key| self.has(key));
        }
        self.ranges
            .iter()
            .any(|(&first, &end)| keys.range(first..).next().is_some_and(|key| is_before(key, end)))
    }

    fn absorb(&mut self, mut other: Self) {
        if self.ranges.len() < other.ranges.len() {
            std::mem::swap(&mut self.ranges, &mut other.ranges);
        }
        if is_far_smaller(other.ranges.len(), self.ranges.len()) {
            for (start, end) in other.ranges {
                self.insert(start, end);
            }
            return;
        }
        let mut all: Vec<_> = std::mem::take(&mut self.ranges).into_iter().chain(other.ranges).collect();
        // Two runs in order, which the sort merges.
        all.sort();
        all.dedup_by(|(start, end), (_, last)| {
            let touches = *last >= End::At(start, Side::Before);
            if touches {
                *last = (*last).max(*end);
            }
            touches
        });
        self.ranges = all.into_iter().collect();
    }
}

fn is_before(key: &[u8], end: End<'_>) -> bool {
    match end {
        End::At(at, Side::Before) => key < at,
        End::At(at, Side::Behind) => key <= at,
        End::Never => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use mvcc::KeyRange;
    use proto::etcdserverpb::Compare;
    use stdx::prng::Prng;

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
        check(vec![txn_op(vec![delete_op("a", "")], vec![]), txn_op(vec![put_op("a")], vec![])], duplicate);
        check(vec![txn_op(vec![delete_op("a", "\0")], vec![]), txn_op(vec![put_op("b")], vec![])], duplicate);
        check(vec![delete_op("b", "a"), put_op("a")], Ok(()));
    }

    #[test]
    fn a_transaction_may_delete_what_one_before_it_has_put() {
        check(vec![txn_op(vec![put_op("a")], vec![]), txn_op(vec![delete_op("a", "")], vec![])], Ok(()));
        check(vec![txn_op(vec![put_op("b")], vec![]), txn_op(vec![delete_op("a", "\0")], vec![])], Ok(()));
    }

    /// The rule as etcd has it, in the plainest form, but for open ends.
    fn expected_writes(operations: &[RequestOp]) -> Option<(Vec<Bytes>, Vec<KeyRange>)> {
        let (mut puts, mut deletes) = (Vec::new(), Vec::new());
        for operation in operations {
            if let Some(Request::RequestDeleteRange(inner)) = &operation.request {
                deletes.push(KeyRange::new(&inner.key, &inner.range_end));
            }
        }
        let is_taken = |key: &Bytes, puts: &[Bytes], deletes: &[KeyRange]| {
            puts.contains(key) || deletes.iter().any(|range| range.contains(key))
        };
        for operation in operations {
            if let Some(Request::RequestTxn(inner)) = &operation.request {
                let (then_puts, then_deletes) = expected_writes(&inner.success)?;
                let (else_puts, else_deletes) = expected_writes(&inner.failure)?;
                if then_puts.iter().chain(&else_puts).any(|key| is_taken(key, &puts, &deletes)) {
                    return None;
                }
                puts.extend(then_puts.into_iter().chain(else_puts));
                deletes.extend(then_deletes.into_iter().chain(else_deletes));
            }
        }
        for operation in operations {
            if let Some(Request::RequestPut(inner)) = &operation.request {
                if is_taken(&inner.key, &puts, &deletes) {
                    return None;
                }
                puts.push(inner.key.clone());
            }
        }
        Some((puts, deletes))
    }

    fn any_operations(rng: &mut Prng, levels: u64, keys: u64) -> Vec<RequestOp> {
        // Keys that follow each other closely, some by a zero byte.
        let key = |rng: &mut Prng| {
            let number = rng.below(keys);
            Bytes::from([vec![b'a' + (number / 2) as u8], vec![0; (number % 2) as usize]].concat())
        };
        let mut operations = Vec::new();
        for _ in 0..rng.below(4) {
            operations.push(op(match rng.below(3) {
                0 => Request::RequestPut(PutRequest { key: key(rng), ..PutRequest::default() }),
                1 => {
                    let ends = [Bytes::new(), Bytes::from_static(b"\0"), key(rng), key(rng)];
                    let range_end = ends[rng.below(4) as usize].clone();
                    let key = key(rng);
                    Request::RequestDeleteRange(DeleteRangeRequest { key, range_end, prev_kv: false })
                }
                _ if levels == 0 => continue,
                _ => Request::RequestTxn(TxnRequest {
                    success: any_operations(rng, levels - 1, keys),
                    failure: any_operations(rng, levels - 1, keys),
                    ..TxnRequest::default()
                }),
            }));
        }
        operations
    }

    #[test]
    fn duplicates_are_those_of_the_plain_rule() {
        let mut rng = Prng::new(1);
        let mut counts = [0, 0];
        for round in 0..40_000_u64 {
            let operations = any_operations(&mut rng, 3, 4 + round % 40);
            let expected = expected_writes(&operations).is_some();
            let request = TxnRequest { success: operations, ..TxnRequest::default() };
            assert_eq!(txn(&request, 128).is_ok(), expected, "{request:?}");
            counts[usize::from(expected)] += 1;
        }
        assert!(counts.iter().all(|count| *count > 5000), "{counts:?}");
    }

    #[test]
    fn a_large_transaction_is_checked_in_time_that_grows_with_its_length() {
        // Compared pair by pair this would be 2.5 * 10^9 comparisons.
        let numbers = 0..50_000_u32;
        let key = |number: u32| Bytes::copy_from_slice(&(2 * number + 1).to_be_bytes());
        let delete = |number| {
            let key = key(number);
            op(Request::RequestDeleteRange(DeleteRangeRequest { key, ..DeleteRangeRequest::default() }))
        };
        let put = |number: u32| {
            let key = Bytes::copy_from_slice(&(2 * number).to_be_bytes());
            op(Request::RequestPut(PutRequest { key, ..PutRequest::default() }))
        };
        let mut operations: Vec<_> = numbers.clone().map(delete).chain(numbers.map(put)).collect();
        // All levels but the innermost carry one thing more, so that sets of very different sizes meet.
        for level in 0..100_u32 {
            operations = vec![delete(60_000 + level), txn_op(vec![], operations)];
        }
        let request = TxnRequest { success: operations, ..TxnRequest::default() };
        assert_eq!(txn(&request, 200_000), Ok(()));
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
