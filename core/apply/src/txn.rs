//! Txn in the log: compares, the checks of the taken path, then its operations. Nothing can fail after the first change.

use crate::alarm::{AlarmKind, is_active};
use crate::answer::{Refusal, put_bytes, put_inner_header};
use crate::applier::Applier;
use crate::compare;
use crate::kv::{Outcome, delete_body, put_body, to_put};
use crate::lease::Leases;
use crate::quota::txn_cost;
use mvcc::{KeyRange, View, WriteTxn};
use prost::encoding::{WireType, encode_key, encode_varint};
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::{RequestOp, TxnRequest};

/// Which branch is taken, here and in the nested transactions of that branch, in order.
struct Path {
    succeeded: bool,
    nested: Vec<Path>,
}

impl Applier {
    pub(crate) fn txn(&mut self, request: TxnRequest) -> Outcome {
        let cost = txn_cost(&request);
        if is_active(&self.alarms, AlarmKind::Corrupt) {
            return Ok(Err(Refusal::Corrupt));
        }
        if cost > 0 && is_active(&self.alarms, AlarmKind::NoSpace) {
            return Ok(Err(Refusal::NoSpace));
        }
        let fits = self.fits(cost);
        let mut txn = self.store.write(&mut self.buffer, &self.data);
        let before = txn.view();
        let path = choose(&before, &request)?;
        let check = Check { before: &before, leases: &self.leases };
        if let Err(refusal) = check.branch(&request, &path) {
            return Ok(Err(refusal));
        }
        let mut body = Vec::new();
        execute(&mut txn, &mut self.leases, request, &path, &mut body)?;
        txn.finish();
        Ok(self.answer_if_fits(fits, body))
    }
}

/// Appends field 2 of a `TxnResponse`.
pub(crate) fn put_succeeded(succeeded: bool, body: &mut Vec<u8>) {
    if succeeded {
        encode_key(2, WireType::Varint, body);
        encode_varint(1, body);
    }
}

fn branch_of(request: TxnRequest, succeeded: bool) -> Vec<RequestOp> {
    if succeeded { request.success } else { request.failure }
}

/// Evaluates the compares on the state before the transaction.
fn choose(before: &View, request: &TxnRequest) -> mvcc::Result<Path> {
    let mut succeeded = true;
    for compare in &request.compare {
        if !compare::holds(before, compare)? {
            succeeded = false;
            break;
        }
    }
    let operations = if succeeded { &request.success } else { &request.failure };
    let mut nested = Vec::new();
    for operation in operations {
        if let Some(Request::RequestTxn(inner)) = &operation.request {
            nested.push(choose(before, inner)?);
        }
    }
    Ok(Path { succeeded, nested })
}

/// The checks of the operations on the taken path, made on the state before the transaction.
struct Check<'a> {
    before: &'a View,
    leases: &'a Leases,
}

impl Check<'_> {
    fn branch(&self, request: &TxnRequest, path: &Path) -> Result<(), Refusal> {
        let operations = if path.succeeded { &request.success } else { &request.failure };
        let mut nested = path.nested.iter();
        for operation in operations {
            match &operation.request {
                Some(Request::RequestRange(range)) => check_range_revision(self.before, range.revision)?,
                Some(Request::RequestPut(put)) => {
                    if put.lease != 0 && !self.leases.contains(put.lease) {
                        return Err(Refusal::LeaseNotFound);
                    }
                    if (put.ignore_value || put.ignore_lease) && self.before.find(&put.key).is_none() {
                        return Err(Refusal::KeyNotFound);
                    }
                }
                Some(Request::RequestTxn(inner)) => {
                    let path = nested.next().expect("a path was chosen for every nested transaction");
                    self.branch(inner, path)?;
                }
                Some(Request::RequestDeleteRange(_)) | None => {}
            }
        }
        Ok(())
    }
}

/// Whether a range inside a transaction can be read at `revision`.
pub(crate) fn check_range_revision(before: &View, revision: i64) -> Result<(), Refusal> {
    if revision > before.revision() {
        return Err(Refusal::FutureRevision);
    }
    // Unlike a plain range, a negative revision is compared too.
    if revision != 0 && revision < before.compact_revision() { Err(Refusal::Compacted) } else { Ok(()) }
}

/// Runs the taken branch and appends the fields of its `TxnResponse` behind the header.
fn execute(
    txn: &mut WriteTxn<'_>,
    leases: &mut Leases,
    request: TxnRequest,
    path: &Path,
    body: &mut Vec<u8>,
) -> mvcc::Result<()> {
    put_succeeded(path.succeeded, body);
    let mut nested = path.nested.iter();
    for operation in branch_of(request, path.succeeded) {
        let (field, message) = execute_one(txn, leases, operation, &mut nested)?;
        let mut response = Vec::with_capacity(message.len() + 8);
        if let Some(field) = field {
            put_bytes(field, &message, &mut response);
        }
        put_bytes(3, &response, body);
    }
    Ok(())
}

/// Runs one operation; returns its field in `ResponseOp` and the encoded response.
fn execute_one(
    txn: &mut WriteTxn<'_>,
    leases: &mut Leases,
    operation: RequestOp,
    nested: &mut std::slice::Iter<'_, Path>,
) -> mvcc::Result<(Option<u32>, Vec<u8>)> {
    let mut rest = Vec::new();
    let field = match operation.request {
        Some(Request::RequestRange(range)) => {
            txn.range(&range)?.encode_body(&mut rest);
            1
        }
        Some(Request::RequestPut(put)) => {
            let key = put.key.clone();
            let mut put = to_put(put);
            if txn.find(&key).is_none() {
                // Deleted earlier in this transaction: there is nothing left to keep.
                put.keeps_value = false;
                put.keeps_lease = false;
            }
            let done = txn.put(put)?;
            leases.attach(&key, done.lease);
            put_body(done.previous.as_ref(), &mut rest);
            2
        }
        Some(Request::RequestDeleteRange(delete)) => {
            let range = KeyRange::new(&delete.key, &delete.range_end);
            let deleted = txn.delete_range(&range, delete.prev_kv)?;
            deleted.iter().for_each(|(key, _)| leases.detach(key));
            delete_body(&deleted, &mut rest);
            3
        }
        Some(Request::RequestTxn(inner)) => {
            let path = nested.next().expect("a path was chosen for every nested transaction");
            let mut message = Vec::new();
            put_bytes(1, &[], &mut message);
            execute(txn, leases, inner, path, &mut message)?;
            return Ok((Some(4), message));
        }
        None => return Ok((None, Vec::new())),
    };
    let mut message = Vec::with_capacity(rest.len() + 12);
    put_inner_header(txn.revision(), &mut message);
    message.extend_from_slice(&rest);
    Ok((Some(field), message))
}
