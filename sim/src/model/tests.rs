//! The model by the book: `docs/formats/grpc.md 5 to 8`, `docs/formats/backend.md 2 to 6` and docs/compat.md.

use super::*;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::request_op::Request as Operation;
use proto::etcdserverpb::response_op::Response as Done;
use proto::etcdserverpb::{
    CompactionRequest, Compare, RequestOp, ResponseHeader, ResponseOp, TxnRequest, TxnResponse,
};

fn put(key: &'static str, value: &'static str) -> PutRequest {
    PutRequest { key: key.into(), value: value.into(), prev_kv: true, ..PutRequest::default() }
}

fn delete(key: &'static str, end: &'static str) -> DeleteRangeRequest {
    DeleteRangeRequest { key: key.into(), range_end: end.into(), prev_kv: true }
}

fn range(key: &'static str, end: &'static str) -> RangeRequest {
    RangeRequest { key: key.into(), range_end: end.into(), ..RangeRequest::default() }
}

fn all() -> RangeRequest {
    range("\0", "\0")
}

fn pair(key: &'static str, value: &'static str, created: i64, modified: i64, version: i64) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: value.into(),
        create_revision: created,
        mod_revision: modified,
        version,
        lease: 0,
    }
}

/// A model after these requests, each at a revision of its own from 2 on: `k=v` puts, `-k` deletes.
fn model(changes: &[&'static str]) -> Model {
    let mut model = Model::default();
    for change in changes {
        let request = match change.split_once('=') {
            Some((key, value)) => Request::Put(put(key, value)),
            None => Request::Delete(delete(&change[1..], "")),
        };
        model.apply(&request).unwrap();
    }
    model
}

fn compact(model: &mut Model, revision: i64) -> Outcome {
    model.apply(&Request::Compact(CompactionRequest { revision, physical: false }))
}

/// The changes left as `main.sub` with a `t` for a deletion.
fn names(records: &[(Bytes, Bytes)]) -> Vec<String> {
    let name = |(key, _): &(Bytes, Bytes)| {
        let (revision, is_tombstone) = Revision::from_key(key).unwrap();
        format!("{}.{}{}", revision.main, revision.sub, if is_tombstone { "t" } else { "" })
    };
    records.iter().map(name).collect()
}

#[test]
fn a_key_counts_its_versions_and_begins_anew_after_its_deletion() {
    let mut model = model(&["a=1", "a=2", "-a", "a=3"]);
    assert_eq!(model.revision(), 5);
    assert_eq!(model.newest_pair(b"a"), Some(pair("a", "3", 5, 5, 1)));
    let (revision, response) = model.apply(&Request::Put(put("a", "4"))).unwrap();
    let prev_kv = Some(pair("a", "3", 5, 5, 1));
    assert_eq!((revision, response), (6, Response::Put(PutResponse { prev_kv, ..PutResponse::default() })));
    assert_eq!(model.range_at(&all(), 3).kvs, [pair("a", "2", 2, 3, 2)]);
    assert_eq!(model.range_at(&all(), 4).kvs, []);
    assert_eq!(names(&model.history()), ["2.0", "3.0", "4.0t", "5.0", "6.0"]);
}

#[test]
fn a_deletion_has_one_revision_and_none_if_it_finds_nothing() {
    let mut model = model(&["a=1", "b=2", "c=3"]);
    let (revision, response) = model.apply(&Request::Delete(delete("b", "\0"))).unwrap();
    let prev_kvs = vec![pair("b", "2", 3, 3, 1), pair("c", "3", 4, 4, 1)];
    assert_eq!(revision, 5);
    assert_eq!(response, Response::Delete(DeleteRangeResponse { deleted: 2, prev_kvs, header: None }));
    for (key, end) in [("b", ""), ("b", "c"), ("c", "a"), ("z", "\0")] {
        let (revision, response) = model.apply(&Request::Delete(delete(key, end))).unwrap();
        assert_eq!((revision, response), (5, Response::Delete(DeleteRangeResponse::default())));
    }
    assert_eq!(names(&model.history())[3..], ["5.0t", "5.1t"]);
    let tombstone = KeyValue { key: "b".into(), ..KeyValue::default() };
    assert_eq!(model.history()[3].1, tombstone.encode_to_vec());
}

#[test]
fn what_is_to_be_kept_must_be_there() {
    let mut model = model(&["a=1"]);
    let keep = |key: &'static str, ignore_value, ignore_lease| {
        Request::Put(PutRequest { ignore_value, ignore_lease, value: "".into(), ..put(key, "") })
    };
    for request in [keep("b", true, false), keep("b", false, true)] {
        assert_eq!(model.apply(&request), Err(Refusal::KeyNotFound));
    }
    assert_eq!(model.revision(), 2);
    model.apply(&keep("a", true, true)).unwrap();
    assert_eq!(model.newest_pair(b"a"), Some(pair("a", "1", 2, 3, 2)));
    model.apply(&keep("a", false, true)).unwrap();
    assert_eq!(model.newest_pair(b"a"), Some(pair("a", "", 2, 4, 3)));
}

#[test]
fn ranges_count_everything_and_show_what_is_asked_for() {
    let model = model(&["a=1", "b=2", "c=3", "d=4"]);
    let keys = |response: &RangeResponse| {
        let keys: Vec<_> = response.kvs.iter().map(|pair| String::from_utf8_lossy(&pair.key)).collect();
        keys.concat()
    };
    let check = |request: RangeRequest, expected: (&str, bool, i64)| {
        let response = model.range_at(&request, 5);
        assert_eq!((keys(&response).as_str(), response.more, response.count), expected, "{request:?}");
    };
    check(all(), ("abcd", false, 4));
    check(range("b", ""), ("b", false, 1));
    check(range("b", "d"), ("bc", false, 2));
    check(range("b", "\0"), ("bcd", false, 3));
    check(range("c", "b"), ("", false, 0));
    check(RangeRequest { limit: 2, ..all() }, ("ab", true, 4));
    check(RangeRequest { limit: 4, ..all() }, ("abcd", false, 4));
    check(RangeRequest { limit: -1, ..all() }, ("abcd", false, 4));
    check(RangeRequest { limit: 2, count_only: true, ..all() }, ("", false, 4));
    let response = model.range_at(&RangeRequest { keys_only: true, ..range("b", "") }, 5);
    assert_eq!(response.kvs, [pair("b", "", 3, 3, 1)]);
}

#[test]
fn a_compaction_goes_forward_and_no_further_than_the_store() {
    let mut model = model(&["a=1", "a=2", "b=1", "-a", "b=2"]);
    assert_eq!(compact(&mut model, 7), Err(Refusal::FutureRevision));
    assert_eq!(compact(&mut model, -1), Err(Refusal::Compacted));
    assert_eq!(compact(&mut model, 0), Ok((6, Response::Compact)), "once, on a store never compacted");
    assert_eq!(compact(&mut model, 0), Err(Refusal::Compacted));
    assert_eq!(compact(&mut model, 4), Ok((6, Response::Compact)));
    assert_eq!(compact(&mut model, 3), Err(Refusal::Compacted));
    assert_eq!(names(&model.left_in_file()), ["3.0", "4.0", "5.0t", "6.0"]);
    assert_eq!(names(&model.history()), ["5.0t", "6.0"]);
    // A deletion at exactly the compacted revision stays, one below it goes.
    compact(&mut model, 5).unwrap();
    assert_eq!(names(&model.left_in_file()), ["4.0", "5.0t", "6.0"]);
    compact(&mut model, 6).unwrap();
    assert_eq!(names(&model.left_in_file()), ["6.0"]);
    assert_eq!(model.history(), []);
}

#[test]
fn the_hash_is_that_of_the_records_that_a_finished_compaction_leaves() {
    let crc = |records: &[(Bytes, Bytes)]| {
        let bytes =
            records.iter().flat_map(|(key, value)| [key.as_ref(), value.as_ref()]).collect::<Vec<_>>();
        crc32c::crc32c(&[&b"key"[..], &bytes.concat()].concat())
    };
    let mut model = model(&["a=1", "a=2", "b=1", "-a", "b=2"]);
    let records = model.history();
    assert_eq!(Model::default().hash_kv(1, -1), mvcc::HASH_OF_NO_RECORDS);
    assert_eq!(model.hash_kv(6, -1), crc(&records));
    assert_eq!(model.hash_kv(4, -1), crc(&records[..3]));
    compact(&mut model, 4).unwrap();
    // Alive at the revision asked for, not at the compacted one, is what counts below it.
    assert_eq!(model.hash_kv(4, 4), crc(&records[1..3]));
    assert_eq!(model.hash_kv(6, 4), crc(&records[3..]));
    assert_eq!(model.hash_kv(5, 4), crc(&records[2..4]));
    // The deletion at the compacted revision is not hashed.
    compact(&mut model, 5).unwrap();
    assert_eq!(model.hash_kv(5, 5), crc(&records[2..3]));
    model.apply(&Request::Delete(delete("b", ""))).unwrap();
    // With nothing alive everything counts that the compaction leaves.
    let left = [&records[2..3], &records[4..], &model.history()[1..]].concat();
    assert_eq!(model.hash_kv(7, 5), crc(&left));
    compact(&mut model, 7).unwrap();
    assert_eq!(model.hash_kv(7, 7), mvcc::HASH_OF_NO_RECORDS);
}

#[test]
fn the_alarm_refuses_what_needs_space() {
    let mut model = model(&["a=1"]);
    model.set_no_space_alarm(true);
    let with_put =
        TxnRequest { failure: vec![op(Operation::RequestPut(put("b", "2")))], ..TxnRequest::default() };
    assert_eq!(model.apply(&Request::Put(put("b", "2"))), Err(Refusal::NoSpace));
    assert_eq!(model.apply(&Request::Txn(with_put)), Err(Refusal::NoSpace), "the branch not taken counts");
    let without = TxnRequest {
        success: vec![op(Operation::RequestDeleteRange(delete("a", "")))],
        ..TxnRequest::default()
    };
    assert_eq!(model.apply(&Request::Txn(without)).unwrap().0, 3);
    let disarm = Request::Disarm(types::MemberId(1));
    assert_eq!(model.apply(&disarm), Ok((3, Response::Disarm { was_active: true })));
    assert_eq!(model.apply(&disarm), Ok((3, Response::Disarm { was_active: false })));
    assert_eq!(model.apply(&Request::Put(put("b", "2"))).unwrap().0, 4);
}

fn op(request: Operation) -> RequestOp {
    RequestOp { request: Some(request) }
}

fn compare(key: &'static str, end: &'static str, result: CompareResult, union: TargetUnion) -> Compare {
    let target = match &union {
        TargetUnion::Version(_) => CompareTarget::Version,
        TargetUnion::CreateRevision(_) => CompareTarget::Create,
        TargetUnion::ModRevision(_) => CompareTarget::Mod,
        TargetUnion::Value(_) => CompareTarget::Value,
        TargetUnion::Lease(_) => CompareTarget::Lease,
    };
    Compare {
        result: result as i32,
        target: target as i32,
        key: key.into(),
        range_end: end.into(),
        target_union: Some(union),
    }
}

#[test]
fn compares_look_at_every_key_of_their_range() {
    use CompareResult::{Equal, Greater, Less, NotEqual};
    use TargetUnion::{CreateRevision, Lease, ModRevision, Value, Version};
    let model = model(&["a=1", "b=2", "b=3"]);
    let check = |key, end, result, union: TargetUnion, expected| {
        let compare = compare(key, end, result, union);
        let request = TxnRequest { compare: vec![compare.clone()], ..TxnRequest::default() };
        let (_, response) = model.clone().apply(&Request::Txn(request)).unwrap();
        let Response::Txn(TxnResponse { succeeded, .. }) = response else { panic!("{response:?}") };
        assert_eq!(succeeded, expected, "{compare:?}");
    };
    check("b", "", Equal, Version(2), true);
    check("b", "", Greater, Version(2), false);
    check("b", "", Less, CreateRevision(4), true);
    check("b", "", NotEqual, ModRevision(4), false);
    check("b", "", Equal, Value("3".into()), true);
    check("b", "", Greater, Value("1".into()), true);
    check("b", "", Equal, Lease(0), true);
    // A missing key has no value, and zero for everything else.
    check("z", "", Equal, Version(0), true);
    check("z", "", NotEqual, ModRevision(0), false);
    check("z", "", Equal, Value("".into()), false);
    check("z", "", NotEqual, Value("x".into()), false);
    // All keys of a range must hold; an empty one is a missing key.
    check("a", "c", Less, ModRevision(5), true);
    check("a", "c", Less, ModRevision(4), false);
    check("a", "\0", Greater, Version(0), true);
    check("c", "\0", Equal, Version(0), true);
    check("c", "\0", NotEqual, Value("x".into()), false);
}

#[test]
fn a_transaction_reads_its_own_writes_at_one_revision() {
    let mut model = model(&["a=1", "b=2"]);
    let inner = TxnRequest {
        // Decided before anything changes: a is still at its first version.
        compare: vec![compare("a", "", CompareResult::Equal, TargetUnion::Version(1))],
        success: vec![op(Operation::RequestPut(put("c", "3")))],
        ..TxnRequest::default()
    };
    let request = TxnRequest {
        success: vec![
            op(Operation::RequestRange(range("a", ""))),
            op(Operation::RequestPut(put("a", "2"))),
            op(Operation::RequestRange(all())),
            op(Operation::RequestTxn(inner)),
            op(Operation::RequestDeleteRange(delete("a", "c"))),
            op(Operation::RequestRange(RangeRequest { revision: 3, count_only: true, ..all() })),
        ],
        ..TxnRequest::default()
    };
    let (revision, response) = model.apply(&Request::Txn(request)).unwrap();
    assert_eq!((revision, model.revision()), (4, 4));
    assert_eq!(names(&model.history())[2..], ["4.0", "4.1", "4.2t", "4.3t"]);
    let Response::Txn(TxnResponse { header: None, succeeded: true, responses }) = response else {
        panic!("{response:?}")
    };
    let at = |revision| Some(ResponseHeader { revision, ..ResponseHeader::default() });
    let range_of = |revision, kvs: Vec<KeyValue>, count| {
        Done::ResponseRange(RangeResponse { header: at(revision), count, kvs, more: false })
    };
    let (old, new) = (pair("a", "1", 2, 2, 1), pair("a", "2", 2, 4, 2));
    let other = pair("b", "2", 3, 3, 1);
    let put_of = |prev_kv| Done::ResponsePut(PutResponse { header: at(4), prev_kv });
    let inner = TxnResponse {
        header: Some(ResponseHeader::default()),
        succeeded: true,
        responses: vec![ResponseOp { response: Some(put_of(None)) }],
    };
    let prev_kvs = vec![new.clone(), other.clone()];
    let expected = [
        range_of(3, vec![old.clone()], 1),
        put_of(Some(old)),
        range_of(4, vec![new, other], 2),
        Done::ResponseTxn(inner),
        Done::ResponseDeleteRange(DeleteRangeResponse { header: at(4), deleted: 2, prev_kvs }),
        range_of(4, Vec::new(), 2),
    ];
    let found: Vec<_> = responses.into_iter().filter_map(|response| response.response).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_transaction_that_is_refused_changes_nothing() {
    let mut model = model(&["a=1", "a=2", "a=3"]);
    let keep = PutRequest { ignore_value: true, value: "".into(), ..put("b", "") };
    let check = |model: &mut Model, last: Operation, expected: Refusal| {
        let nested = TxnRequest { success: vec![op(last)], ..TxnRequest::default() };
        let request = TxnRequest {
            success: vec![op(Operation::RequestPut(put("b", "1"))), op(Operation::RequestTxn(nested))],
            ..TxnRequest::default()
        };
        assert_eq!(model.apply(&Request::Txn(request)), Err(expected));
        assert_eq!((model.revision(), names(&model.history()).len()), (4, 3));
    };
    let at = |revision| Operation::RequestRange(RangeRequest { revision, ..all() });
    // Checks look at the state before, although b would be there by then.
    check(&mut model, Operation::RequestPut(keep), Refusal::KeyNotFound);
    check(&mut model, at(5), Refusal::FutureRevision);
    let nothing = TxnRequest { success: vec![op(at(-1))], ..TxnRequest::default() };
    assert_eq!(model.apply(&Request::Txn(nothing.clone())).unwrap().0, 4);
    compact(&mut model, 1).unwrap();
    check(&mut model, at(-1), Refusal::Compacted);
    assert_eq!(model.apply(&Request::Txn(nothing)), Err(Refusal::Compacted), "unlike a plain range");
}

#[test]
fn a_key_deleted_and_put_in_one_transaction_lives_and_a_later_compaction_keeps_it() {
    let mut model = model(&["a=1"]);
    let request = TxnRequest {
        success: vec![
            op(Operation::RequestDeleteRange(delete("a", "\0"))),
            op(Operation::RequestPut(PutRequest { ignore_lease: true, ..put("a", "2") })),
        ],
        ..TxnRequest::default()
    };
    model.apply(&Request::Txn(request)).unwrap();
    assert_eq!(names(&model.history()), ["2.0", "3.0t", "3.1"]);
    assert_eq!(model.newest_pair(b"a"), Some(pair("a", "2", 3, 3, 1)));
    model.apply(&Request::Put(put("b", "1"))).unwrap();
    compact(&mut model, 4).unwrap();
    assert_eq!(names(&model.left_in_file()), ["3.1", "4.0"]);
}
