//! The space quota and what requests cost. Source: `docs/formats/backend.md 8`, `docs/formats/grpc.md 8`.

use proto::etcdserverpb::{PutRequest, RequestOp, TxnRequest, request_op::Request};

/// The limit on the size of the backend, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    limit: Option<u64>,
    reported: i64,
}

impl Quota {
    /// `--quota-backend-bytes`: 0 is the default of 2 GiB, a negative number no limit.
    pub fn from_flag(bytes: i64) -> Self {
        const DEFAULT: i64 = 2 << 30;
        let reported = if bytes == 0 { DEFAULT } else { bytes };
        Self { limit: u64::try_from(reported).ok(), reported }
    }

    /// What Status says: the limit, or the negative number that turned it off.
    pub fn reported(&self) -> i64 {
        self.reported
    }

    /// Whether a request of `cost` fits while `used` bytes are taken; one that costs nothing always does.
    pub fn allows(&self, used: u64, cost: u64) -> bool {
        cost == 0 || self.limit.is_none_or(|limit| used.saturating_add(cost) < limit)
    }
}

/// Bytes that a put is counted with.
pub fn put_cost(put: &PutRequest) -> u64 {
    256 + put.key.len() as u64 + put.value.len() as u64
}

/// Bytes that a transaction is counted with: the dearer of its branches.
pub fn txn_cost(txn: &TxnRequest) -> u64 {
    branch_cost(&txn.success).max(branch_cost(&txn.failure))
}

fn branch_cost(operations: &[RequestOp]) -> u64 {
    let cost = |operation: &RequestOp| match &operation.request {
        Some(Request::RequestPut(put)) => put_cost(put),
        Some(Request::RequestTxn(txn)) => txn_cost(txn),
        _ => 0,
    };
    operations.iter().map(cost).sum()
}

/// Bytes that a lease grant is counted with.
pub(crate) const LEASE_GRANT_COST: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flag_values() {
        assert_eq!(Quota::from_flag(0).reported(), 2 << 30);
        assert!(!Quota::from_flag(100).allows(90, 10));
        assert!(Quota::from_flag(100).allows(90, 9));
        assert!(Quota::from_flag(100).allows(1000, 0));
        assert!(Quota::from_flag(-1).allows(u64::MAX, 1));
    }
}
