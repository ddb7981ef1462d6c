//! Transactions that only read: in steps of any length the answer is the one that the log would give.

#![allow(clippy::unwrap_used)]

mod common;

use apply::ReadTxn;
use bytes::Bytes;
use common::{Machine, config};
use node::Failure;
use proto::etcdserverpb::compare::TargetUnion;
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::{Compare, InternalRaftRequest, RangeRequest, RequestOp, TxnRequest};
use stdx::prng::Prng;
use vfs::mem::MemDisk;

fn key(rng: &mut Prng) -> Bytes {
    Bytes::from(format!("k{:02}", rng.below(30)))
}

fn any_compare(rng: &mut Prng) -> Compare {
    let number = rng.below(40).cast_signed();
    let unions = [
        TargetUnion::Version(number % 4),
        TargetUnion::CreateRevision(number),
        TargetUnion::ModRevision(number),
        TargetUnion::Value(format!("v{}", number % 4).into()),
        TargetUnion::Lease(0),
    ];
    let target = rng.below(5) as usize;
    Compare {
        // Mostly something that holds, so that the other compares count as well.
        result: if rng.chance(1, 3) { rng.below(4) as i32 } else { 1 },
        target: target as i32,
        key: key(rng),
        range_end: if rng.chance(1, 2) { key(rng) } else { Bytes::new() },
        target_union: rng.chance(9, 10).then(|| unions[target].clone()),
    }
}

fn any_range(rng: &mut Prng, newest: i64) -> RequestOp {
    let range = RangeRequest {
        key: key(rng),
        range_end: if rng.chance(2, 3) { key(rng) } else { Bytes::new() },
        limit: rng.below(6).cast_signed(),
        revision: if rng.chance(1, 3) { rng.below(newest as u64 + 2).cast_signed() } else { 0 },
        sort_order: rng.below(3) as i32,
        sort_target: rng.below(5) as i32,
        ..RangeRequest::default()
    };
    RequestOp { request: Some(Request::RequestRange(range)) }
}

#[test]
fn a_read_in_steps_answers_as_the_log_does() {
    let mut machine = Machine::boot(MemDisk::new(), config()).unwrap();
    let mut rng = Prng::new(1);
    let mut newest = 1;
    for number in 0..60 {
        newest = machine.put(&format!("k{:02}", rng.below(30)), &format!("v{}", number % 4));
    }
    machine.compact(newest - 40);
    let mut successes = [0, 0];
    for _ in 0..2000 {
        let request = TxnRequest {
            compare: (0..rng.below(4)).map(|_| any_compare(&mut rng)).collect(),
            success: (0..rng.below(4)).map(|_| any_range(&mut rng, newest)).collect(),
            failure: (0..rng.below(3)).map(|_| any_range(&mut rng, newest)).collect(),
        };
        let txn = Some(request.clone());
        let expected = machine.propose(InternalRaftRequest { txn, ..InternalRaftRequest::default() });
        let view = machine.view.as_ref().unwrap().state.store.clone();
        let mut read = ReadTxn::new(view, request.clone());
        let keys = [1, 2, 10, 1000][rng.below(4) as usize];
        let found = loop {
            if let Some(outcome) = read.step(keys).unwrap() {
                break outcome;
            }
        };
        successes[usize::from(found.is_ok())] += 1;
        assert_eq!(found.map_err(Failure::Refused), expected.result, "{request:?}");
    }
    assert!(successes.iter().all(|count| *count > 200), "{successes:?}");
}

fn everything(sort_target: i32) -> TxnRequest {
    let all = Bytes::from_static(b"\0");
    let compare = Compare {
        key: all.clone(),
        range_end: all.clone(),
        result: 1,
        target: 3,
        target_union: Some(TargetUnion::Value("u".into())),
    };
    let range = RangeRequest { key: all.clone(), range_end: all, sort_target, ..RangeRequest::default() };
    let success = vec![RequestOp { request: Some(Request::RequestRange(range)) }];
    TxnRequest { compare: vec![compare], success, ..TxnRequest::default() }
}

#[test]
fn all_steps_are_short_and_see_one_revision() {
    let mut machine = Machine::boot(MemDisk::new(), config()).unwrap();
    for number in 0..200 {
        machine.put(&format!("k{number:03}"), "value");
    }
    let view = machine.view.as_ref().unwrap().state.store.clone();
    let revision = view.revision();
    let expected = apply::read_txn(&view, everything(4)).unwrap().unwrap();
    let mut read = ReadTxn::new(view, everything(4));
    let mut steps = 1;
    let found = loop {
        if let Some(outcome) = read.step(10).unwrap() {
            break outcome.unwrap();
        }
        // It comes behind the place of the read, into it, and before it.
        machine.put(&format!("k{:03}", 37 * steps % 200), "a");
        steps += 1;
    };
    // Index for compare and range, ranks, merge and values: 200 keys each.
    assert!(steps >= 100, "{steps}");
    assert_eq!((found.revision, &found.body), (revision, &expected.body));
}

#[test]
fn a_compaction_that_passes_by_is_noticed() {
    let mut machine = Machine::boot(MemDisk::new(), config()).unwrap();
    for number in 0..200 {
        machine.put(&format!("k{number:03}"), "value");
    }
    for steps_before in [0, 5, 25] {
        let view = machine.view.as_ref().unwrap().state.store.clone();
        let mut read = ReadTxn::new(view, everything(0));
        for _ in 0..steps_before {
            assert!(read.step(10).unwrap().is_none());
        }
        let newest = machine.put("k000", "value");
        machine.compact(newest);
        let end = loop {
            match read.step(10) {
                Ok(None) => {}
                end => break end,
            }
        };
        assert!(matches!(end, Err(apply::Error::Mvcc(mvcc::Error::Overtaken))), "after {steps_before}");
    }
}
