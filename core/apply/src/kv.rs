//! Put and DeleteRange.

use crate::access::{Access, Identity};
use crate::alarm::{AlarmKind, is_active};
use crate::answer::{Answer, Refusal, put_bytes, put_int};
use crate::applier::Applier;
use crate::quota::put_cost;
use bytes::Bytes;
use mvcc::{KeyRange, Put};
use proto::etcdserverpb::{DeleteRangeRequest, PutRequest};

pub(crate) type Outcome = crate::Result<Result<Answer, Refusal>>;

/// The put of the store that a request stands for.
pub(crate) fn to_put(request: PutRequest) -> Put {
    Put {
        key: request.key,
        value: request.value,
        lease: request.lease,
        keeps_value: request.ignore_value,
        keeps_lease: request.ignore_lease,
        wants_previous: request.prev_kv,
    }
}

/// The fields of a `PutResponse` behind the header.
pub(crate) fn put_body(previous: Option<&Bytes>, out: &mut Vec<u8>) {
    if let Some(previous) = previous {
        put_bytes(2, previous, out);
    }
}

/// The fields of a `DeleteRangeResponse` behind the header.
pub(crate) fn delete_body(deleted: &[(Bytes, Option<Bytes>)], out: &mut Vec<u8>) {
    put_int(2, i64::try_from(deleted.len()).unwrap_or(i64::MAX), out);
    deleted
        .iter()
        .filter_map(|(_, previous)| previous.as_ref())
        .for_each(|previous| put_bytes(3, previous, out));
}

impl Applier {
    pub(crate) fn put(&mut self, identity: &Identity, request: PutRequest) -> Outcome {
        if is_active(&self.alarms, AlarmKind::Corrupt) {
            return Ok(Err(Refusal::Corrupt));
        }
        if is_active(&self.alarms, AlarmKind::NoSpace) {
            return Ok(Err(Refusal::NoSpace));
        }
        if let Err(refusal) = self.auth.authorise(identity, Access::Put(&request)) {
            return Ok(Err(refusal));
        }
        if request.lease != 0 && !self.leases.contains(request.lease) {
            return Ok(Err(Refusal::LeaseNotFound));
        }
        let fits = self.fits(put_cost(&request));
        let key = request.key.clone();
        let mut txn = self.store.write(&mut self.buffer, &self.data);
        let done = match txn.put(to_put(request)) {
            Ok(done) => done,
            Err(mvcc::Error::KeyNotFound) => return Ok(Err(Refusal::KeyNotFound)),
            Err(error) => return Err(error.into()),
        };
        txn.finish();
        self.leases.attach(&key, done.lease);
        let mut body = Vec::new();
        put_body(done.previous.as_ref(), &mut body);
        Ok(self.answer_if_fits(fits, body))
    }

    pub(crate) fn delete_range(&mut self, identity: &Identity, request: &DeleteRangeRequest) -> Outcome {
        if is_active(&self.alarms, AlarmKind::Corrupt) {
            return Ok(Err(Refusal::Corrupt));
        }
        if let Err(refusal) = self.auth.authorise(identity, Access::Delete(request)) {
            return Ok(Err(refusal));
        }
        let range = KeyRange::new(&request.key, &request.range_end);
        let mut txn = self.store.write(&mut self.buffer, &self.data);
        let deleted = txn.delete_range(&range, request.prev_kv)?;
        txn.finish();
        deleted.iter().for_each(|(key, _)| self.leases.detach(key));
        let mut body = Vec::new();
        delete_body(&deleted, &mut body);
        Ok(Ok(self.answer(body)))
    }
}
