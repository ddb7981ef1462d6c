//! Leases as replicated state: granted, attached, revoked. Time is not part of it.

use crate::alarm::{AlarmKind, is_active};
use crate::answer::{Answer, Refusal, put_int};
use crate::applier::Applier;
use crate::quota::LEASE_GRANT_COST;
use backend::Bucket;
use bytes::Bytes;
use mvcc::KeyRange;
use prost::Message;
use proto::etcdserverpb::{LeaseCheckpointRequest, LeaseGrantRequest, LeaseRevokeRequest};
use proto::leasepb::Lease;
use std::collections::{BTreeMap, BTreeSet};

/// All leases and the keys attached to them.
///
/// Invariant: `keys[k] == l` if and only if `leases[l]` contains `k`.
#[derive(Clone, Debug, Default)]
pub struct Leases {
    leases: BTreeMap<i64, (Lease, BTreeSet<Bytes>)>,
    keys: BTreeMap<Bytes, i64>,
}

impl Leases {
    /// Takes a record of bucket `lease`; `None` if it is malformed.
    pub fn restore(&mut self, value: &[u8]) -> Option<()> {
        let lease = Lease::decode(value).ok()?;
        self.leases.insert(lease.id, (lease, BTreeSet::new()));
        Some(())
    }

    /// Attaches `key` to `lease` (0: to none) and detaches it from what it had. An unknown lease detaches only.
    /// Keeps a copy of `key`, which may be a piece of a whole log entry.
    pub fn attach(&mut self, key: &[u8], lease: i64) {
        if lease == 0 && self.keys.is_empty() {
            return;
        }
        self.detach(key);
        if let Some((_, keys)) = self.leases.get_mut(&lease).filter(|_| lease != 0) {
            let key = Bytes::copy_from_slice(key);
            keys.insert(key.clone());
            self.keys.insert(key, lease);
        }
    }

    /// Detaches `key` from its lease, if it has one.
    pub fn detach(&mut self, key: &[u8]) {
        if let Some((_, keys)) = self.keys.remove(key).and_then(|lease| self.leases.get_mut(&lease)) {
            keys.remove(key);
        }
    }

    /// Whether the lease exists.
    pub fn contains(&self, lease: i64) -> bool {
        self.leases.contains_key(&lease)
    }
}

impl Applier {
    pub(crate) fn lease_grant(&mut self, request: &LeaseGrantRequest) -> Result<Answer, Refusal> {
        if is_active(&self.alarms, AlarmKind::Corrupt) {
            return Err(Refusal::Corrupt);
        }
        if is_active(&self.alarms, AlarmKind::NoSpace) {
            return Err(Refusal::NoSpace);
        }
        // Whoever proposes draws an id for a client that names none.
        if request.id == 0 {
            return Err(Refusal::LeaseNotFound);
        }
        if request.ttl > LEASE_TTL_MAX {
            return Err(Refusal::LeaseTtlTooLarge);
        }
        if self.leases.contains(request.id) {
            return Err(Refusal::LeaseExists);
        }
        let fits = self.fits(LEASE_GRANT_COST);
        let ttl = request.ttl.max(self.options.min_lease_ttl);
        let lease = Lease { id: request.id, ttl, remaining_ttl: 0 };
        self.write_lease(&lease);
        self.leases.leases.insert(lease.id, (lease, BTreeSet::new()));
        let mut body = Vec::new();
        put_int(2, request.id, &mut body);
        put_int(3, ttl, &mut body);
        self.answer_if_fits(fits, body)
    }

    pub(crate) fn lease_revoke(
        &mut self,
        request: &LeaseRevokeRequest,
    ) -> crate::Result<Result<Answer, Refusal>> {
        if is_active(&self.alarms, AlarmKind::Corrupt) {
            return Ok(Err(Refusal::Corrupt));
        }
        let Some((_, keys)) = self.leases.leases.remove(&request.id) else {
            return Ok(Err(Refusal::LeaseNotFound));
        };
        self.buffer.delete(Bucket::Lease, be64(request.id));
        // In ascending order of the keys, at one revision: visible in the hash.
        let mut txn = self.store.write(&mut self.buffer, &self.data);
        for key in &keys {
            txn.delete_range(&KeyRange::new(key, &Bytes::new()), false)?;
            self.leases.keys.remove(key);
        }
        txn.finish();
        Ok(Ok(self.answer(Vec::new())))
    }

    pub(crate) fn lease_checkpoint(&mut self, request: &LeaseCheckpointRequest) -> Answer {
        // Persisted if and only if the cluster is at 3.6 or above: a rule all members share (contract C23).
        let persists = self.cluster.version().is_some_and(|version| version >= types::Version::new(3, 6, 0));
        for checkpoint in &request.checkpoints {
            let Some((lease, _)) = self.leases.leases.get_mut(&checkpoint.id) else { continue };
            lease.remaining_ttl = checkpoint.remaining_ttl;
            let lease = *lease;
            if persists {
                self.write_lease(&lease);
            }
        }
        self.answer(Vec::new())
    }

    fn write_lease(&mut self, lease: &Lease) {
        self.buffer.put(Bucket::Lease, be64(lease.id), lease.encode_to_vec());
    }
}

fn be64(id: i64) -> Bytes {
    Bytes::copy_from_slice(&id.to_be_bytes())
}

/// The longest time to live that is granted, in seconds; etcd's.
const LEASE_TTL_MAX: i64 = 9_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attached_key_does_not_keep_the_entry_that_it_came_in() {
        let entry = Bytes::from(b"a whole log entry".repeat(1000));
        let key = entry.slice(2..7);
        let mut leases = Leases::default();
        leases.leases.insert(1, (Lease { id: 1, ..Lease::default() }, BTreeSet::new()));
        leases.attach(&key, 1);
        let (kept, lease) = leases.keys.first_key_value().expect("it is attached");
        assert_eq!((kept, *lease), (&key, 1));
        assert!(!entry.as_ptr_range().contains(&kept.as_ptr()));
    }
}
