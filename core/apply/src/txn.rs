//! Txn in the log: compares, the checks of the taken path, then its operations. Nothing can fail after the first change.

use crate::access::{Access, Identity};
use crate::alarm::{AlarmKind, is_active};
use crate::answer::{Refusal, put_bytes, put_inner_header};
use crate::applier::Applier;
use crate::compare;
use crate::kv::{Outcome, delete_body, put_body, to_put};
use crate::lease::Leases;
use crate::quota::txn_cost;
use crate::rope::Rope;
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
    pub(crate) fn txn(&mut self, identity: &Identity, request: TxnRequest) -> Outcome {
        let cost = txn_cost(&request);
        if is_active(&self.alarms, AlarmKind::Corrupt) {
            return Ok(Err(Refusal::Corrupt));
        }
        if cost > 0 && is_active(&self.alarms, AlarmKind::NoSpace) {
            return Ok(Err(Refusal::NoSpace));
        }
        if let Err(refusal) = self.auth.authorise(identity, Access::Txn(&request)) {
            return Ok(Err(refusal));
        }
        let fits = self.fits(cost);
        let mut txn = self.store.write(&mut self.buffer, &self.data);
        let before = txn.view();
        let path = choose(&before, &request)?;
        let check = Check { before: &before, leases: &self.leases };
        if let Err(refusal) = check.branch(&request, &path) {
            return Ok(Err(refusal));
        }
        let body = execute(&mut txn, &mut self.leases, request, &path, Vec::new())?;
        txn.finish();
        Ok(self.answer_if_fits(fits, body.into_bytes()))
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

/// Runs the taken branch; returns the fields of its `TxnResponse`, behind `header`.
fn execute(
    txn: &mut WriteTxn<'_>,
    leases: &mut Leases,
    request: TxnRequest,
    path: &Path,
    mut header: Vec<u8>,
) -> mvcc::Result<Rope> {
    put_succeeded(path.succeeded, &mut header);
    let mut body = Rope::from(header);
    let mut nested = path.nested.iter();
    for operation in branch_of(request, path.succeeded) {
        match operation.request {
            Some(Request::RequestTxn(inner)) => {
                let path = nested.next().expect("a path was chosen for every nested transaction");
                // The header of an inner transaction is there and empty.
                let mut header = Vec::new();
                put_bytes(1, &[], &mut header);
                body.put(&[3, 4], execute(txn, leases, inner, path, header)?);
            }
            Some(request) => {
                let (field, message) = execute_one(txn, leases, request)?;
                body.put(&[3, field], message.into());
            }
            None => body.put(&[3], Rope::default()),
        }
    }
    Ok(body)
}

/// Runs one operation that is no transaction; returns its field in `ResponseOp` and the encoded response.
fn execute_one(
    txn: &mut WriteTxn<'_>,
    leases: &mut Leases,
    request: Request,
) -> mvcc::Result<(u32, Vec<u8>)> {
    let mut message = Vec::new();
    Ok(match request {
        Request::RequestRange(range) => {
            let answer = txn.range(&range)?;
            put_inner_header(txn.revision(), &mut message);
            message.reserve_exact(answer.encoded_len());
            answer.encode_body(&mut message);
            (1, message)
        }
        Request::RequestPut(put) => {
            let key = put.key.clone();
            let mut put = to_put(put);
            if txn.find(&key).is_none() {
                // Deleted earlier in this transaction: there is nothing left to keep.
                put.keeps_value = false;
                put.keeps_lease = false;
            }
            let done = txn.put(put)?;
            leases.attach(&key, done.lease);
            put_inner_header(txn.revision(), &mut message);
            put_body(done.previous.as_ref(), &mut message);
            (2, message)
        }
        Request::RequestDeleteRange(delete) => {
            let range = KeyRange::new(&delete.key, &delete.range_end);
            let deleted = txn.delete_range(&range, delete.prev_kv)?;
            deleted.iter().for_each(|(key, _)| leases.detach(key));
            put_inner_header(txn.revision(), &mut message);
            delete_body(&deleted, &mut message);
            (3, message)
        }
        Request::RequestTxn(_) => unreachable!("transactions are executed branch by branch"),
    })
}
