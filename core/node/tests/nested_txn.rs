//! Transactions nested as deep as they may be: committed, applied, and read from the log again.

#![allow(clippy::unwrap_used)]

mod common;

use apply::TXN_LEVELS_MAX;
use common::{Machine, config};
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::{InternalRaftRequest, PutRequest, RequestOp, TxnRequest};
use stdx::prng::Prng;
use vfs::mem::{Damage, MemDisk};

/// `levels` transactions, one in the other, the innermost of which puts `key`.
fn nested_put(levels: usize, key: &str) -> InternalRaftRequest {
    let put = PutRequest { key: key.to_owned().into(), value: "v".into(), ..PutRequest::default() };
    let mut operation = RequestOp { request: Some(Request::RequestPut(put)) };
    for _ in 0..levels {
        let txn = TxnRequest { success: vec![operation], ..TxnRequest::default() };
        operation = RequestOp { request: Some(Request::RequestTxn(txn)) };
    }
    let Some(Request::RequestTxn(txn)) = operation.request else { panic!("there is a level") };
    InternalRaftRequest { txn: Some(txn), ..InternalRaftRequest::default() }
}

#[test]
fn an_entry_with_nested_transactions_does_not_stop_the_member() {
    let mut machine = Machine::boot(MemDisk::new(), config()).unwrap();
    let levels = [1, 49, 50, 51, 100, 128, 129, TXN_LEVELS_MAX];
    for levels in levels {
        machine.propose(nested_put(levels, &format!("k{levels}"))).result.unwrap();
    }
    // Nothing of it is in the file yet: the next start reads it from the log.
    let disk = machine.disk.crash(Damage::LoseAll, &mut Prng::new(1));
    let machine = Machine::boot(disk, config()).unwrap();
    for levels in levels {
        assert_eq!(machine.get(&format!("k{levels}")).as_deref(), Some("v"), "{levels} levels");
    }
}
