//! Leases in the log: what is granted and what is refused, on every member alike.

#![allow(clippy::unwrap_used)]

mod common;

use apply::Refusal;
use common::{Machine, config};
use node::Failure;
use proto::etcdserverpb::{InternalRaftRequest, LeaseGrantRequest};
use vfs::mem::MemDisk;

fn check(machine: &mut Machine, id: i64, ttl: i64, expected: Result<(), Refusal>) {
    let lease_grant = Some(LeaseGrantRequest { id, ttl });
    let reply = machine.propose(InternalRaftRequest { lease_grant, ..InternalRaftRequest::default() });
    let found = reply.result.map(drop);
    assert_eq!(found, expected.map_err(Failure::Refused), "lease {id} with TTL {ttl}");
}

#[test]
fn a_lease_needs_an_id_and_a_time_to_live_that_is_not_too_long() {
    let mut machine = Machine::boot(MemDisk::new(), config()).unwrap();
    check(&mut machine, 0, 10, Err(Refusal::LeaseNotFound));
    // In the order of etcd: the id first, then the time, then whether it exists.
    check(&mut machine, 0, 9_000_000_001, Err(Refusal::LeaseNotFound));
    check(&mut machine, 1, 9_000_000_001, Err(Refusal::LeaseTtlTooLarge));
    check(&mut machine, 1, 9_000_000_000, Ok(()));
    check(&mut machine, 1, 9_000_000_001, Err(Refusal::LeaseTtlTooLarge));
    check(&mut machine, 1, 10, Err(Refusal::LeaseExists));
    check(&mut machine, -1, -1, Ok(()));
}
