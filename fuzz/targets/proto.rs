//! Bytes as each message that comes from a disk or a network, and as the payload of a log entry.
//!
//! The first byte of an input chooses what the rest is read as. What decodes must encode to something that decodes to
//! the same.
#![no_main]

use api::{Command, Identity, TxnMessage, check};
use apply::{Inspection, Payload, decode_payload};
use bytes::Bytes;
use fuzz::Outcome;
use membership::{Change, Cluster, Member, V2Request};
use mvcc::RecordHead;
use prost::Message;
use proto::etcdserverpb::{self as etcd, InternalRaftRequest};
use proto::raftpb::{ConfChange, Entry, EntryType};
use proto::{authpb, healthpb, leasepb, membershippb, mvccpb, raftpb, v2pb, v3electionpb, v3lockpb, walpb};
use types::{MemberId, RequestId, Version};

fuzz::target!(run, seeds);

/// `--max-txn-ops`.
const MAX_TXN_OPS: usize = 128;

type Reader = fn(&Bytes) -> Outcome;

/// A table of readers: each message of the list with its name.
macro_rules! messages {
    ($($module:ident: $($message:ident)*;)*) => {
        &[$($((
            concat!(stringify!($module), ".", stringify!($message)),
            round_trip::<$module::$message> as Reader,
        ),)*)*]
    };
}

/// Messages on their own.
const MESSAGES: &[(&str, Reader)] = messages! {
    walpb: Record Metadata Snapshot SnapFile;
    raftpb: Entry Message Snapshot HardState ConfState ConfChange;
    v2pb: Request;
    mvccpb: KeyValue;
    leasepb: Lease LeaseInternalRequest LeaseInternalResponse;
    authpb: User Role;
    membershippb: Member;
    etcd: InternalRaftRequest AlarmMember
        RangeRequest PutRequest DeleteRangeRequest TxnRequest CompactionRequest
        WatchRequest LeaseGrantRequest LeaseRevokeRequest LeaseKeepAliveRequest LeaseTimeToLiveRequest
        MemberAddRequest MemberRemoveRequest MemberUpdateRequest MemberListRequest MemberPromoteRequest
        AlarmRequest HashKvRequest MoveLeaderRequest DowngradeRequest
        AuthenticateRequest AuthUserAddRequest AuthUserGetRequest AuthUserDeleteRequest
        AuthUserChangePasswordRequest AuthUserGrantRoleRequest AuthUserRevokeRoleRequest AuthRoleAddRequest
        AuthRoleGetRequest AuthRoleDeleteRequest AuthRoleGrantPermissionRequest AuthRoleRevokePermissionRequest
        RangeResponse PutResponse DeleteRangeResponse TxnResponse WatchResponse SnapshotResponse
        LeaseGrantResponse LeaseTimeToLiveResponse LeaseLeasesResponse MemberListResponse AlarmResponse
        StatusResponse HashKvResponse AuthUserGetResponse AuthRoleGetResponse AuthRoleListResponse;
    v3lockpb: LockRequest UnlockRequest;
    v3electionpb: CampaignRequest ProclaimRequest LeaderRequest ResignRequest;
    healthpb: HealthCheckRequest;
};

/// What is read in other ways: payloads of entries by their type, and records by their head.
const OTHERS: &[(&str, Reader)] = &[
    ("payload", |bytes| payload(EntryType::EntryNormal.into(), bytes)),
    ("conf-change", |bytes| payload(EntryType::EntryConfChange.into(), bytes)),
    ("conf-change-v2", |bytes| payload(EntryType::EntryConfChangeV2.into(), bytes)),
    ("unknown-type", |bytes| payload(9, bytes)),
    ("record", record),
    ("txn", txn),
    ("put", put),
];

fn readers() -> impl Iterator<Item = &'static (&'static str, Reader)> {
    OTHERS.iter().chain(MESSAGES)
}

fn run(input: &[u8]) -> Outcome {
    let Some((chosen, rest)) = input.split_first() else { return Outcome::Refused };
    let count = readers().count();
    let (_, read) = readers().nth(usize::from(*chosen) % count).expect("within the count");
    read(&Bytes::copy_from_slice(rest))
}

fn round_trip<M: Message + Default + PartialEq>(bytes: &Bytes) -> Outcome {
    let Ok(message) = M::decode(bytes.clone()) else { return Outcome::Refused };
    check_encoding(&message);
    assert!(M::decode(&bytes[..]).is_ok_and(|copied| copied == message), "shared or copied it is the same");
    Outcome::Accepted
}

/// What a message is written as is read as the same.
fn check_encoding<M: Message + Default + PartialEq>(message: &M) {
    let encoded = Bytes::from(message.encode_to_vec());
    assert_eq!(encoded.len(), message.encoded_len(), "the length is told in advance");
    let again = M::decode(encoded.clone()).expect("what was written is read");
    assert!(again == *message, "what was written is read as the same");
    assert_eq!(again.encode_to_vec(), encoded, "written again it is the same");
}

/// A transaction from a client: what is accepted can be read from the log, as it was.
fn txn(bytes: &Bytes) -> Outcome {
    let Ok(message) = TxnMessage::decode(bytes.clone()) else { return Outcome::Refused };
    let Ok(request) = message.request() else { return Outcome::Refused };
    if let Ok(generated) = etcd::TxnRequest::decode(bytes.clone()) {
        assert!(generated == *request, "read as the generated reader does");
    }
    if check::txn(request, MAX_TXN_OPS).is_err() {
        return Outcome::Refused;
    }
    let data = propose(Command::Txn, &message);
    match decode_payload(&Entry { data: Some(data), ..Entry::default() }) {
        Ok(Payload::Request(read)) => assert!(read.txn.as_ref() == Some(request), "proposed as it came"),
        other => panic!("{request:?} is proposed as {other:?}"),
    }
    Outcome::Accepted
}

/// The payload of a log entry with this request.
fn propose(command: Command, request: &impl Message) -> Bytes {
    let identity = Identity { user: "u".into(), ..Identity::default() };
    api::proposal(RequestId(9), identity, command, request, usize::MAX).expect("nothing is too large")
}

/// A put from a client: what is accepted can be read from the log, as it was.
fn put(bytes: &Bytes) -> Outcome {
    let Ok(request) = etcd::PutRequest::decode(bytes.clone()) else { return Outcome::Refused };
    if check::put(&request).is_err() {
        return Outcome::Refused;
    }
    match decode_payload(&Entry { data: Some(propose(Command::Put, &request)), ..Entry::default() }) {
        Ok(Payload::Request(read)) => assert!(read.put.as_ref() == Some(&request), "proposed as it came"),
        other => panic!("{request:?} is proposed as {other:?}"),
    }
    Outcome::Accepted
}

/// An entry of that type with these bytes as its payload.
fn payload(kind: i32, bytes: &Bytes) -> Outcome {
    let entry = Entry { r#type: kind, term: 1, index: 1, data: Some(bytes.clone()) };
    let Ok(payload) = decode_payload(&entry) else { return Outcome::Refused };
    let mut inspections = [inspection(), inspection()];
    let [first, second] = inspections.each_mut().map(|inspection| inspection.take(&payload));
    assert_eq!(first, second, "inspected twice");
    assert_eq!(inspections[0].cluster, inspections[1].cluster, "inspected twice");
    match payload {
        Payload::Empty => assert!(bytes.is_empty(), "only nothing is nothing"),
        Payload::Request(request) => check_request(&request, bytes),
        Payload::V2(request) => check_v2(&request),
        Payload::ConfChange(change) => check_change(&change),
    }
    Outcome::Accepted
}

/// What a start takes entries with: one voter, held at 3.6.
fn inspection() -> Inspection {
    let mut cluster = Cluster::default();
    let own = Member { id: MemberId(3), peer_urls: vec!["http://a:1".into()], ..Member::default() };
    cluster.apply(Change::Add(own), 1).expect("the first member");
    Inspection {
        own: MemberId(3),
        cluster,
        version_max: (Version::new(3, 6, 0), "held at"),
        max_learners: 1,
        serves_clusters: false,
    }
}

/// Transactions in it may be deeper than the generated reader takes them.
fn check_request(request: &InternalRaftRequest, bytes: &Bytes) {
    let encoded = Bytes::from(request.encode_to_vec());
    assert_eq!(encoded.len(), request.encoded_len(), "the length is told in advance");
    let entry = |data| Entry { data: Some(data), ..Entry::default() };
    match decode_payload(&entry(encoded.clone())) {
        Ok(Payload::Request(again)) => assert!(*again == *request, "what was written is read as the same"),
        Ok(Payload::Empty) => assert!(encoded.is_empty(), "only nothing is nothing"),
        other => panic!("{request:?} is written as {other:?}"),
    }
    if let Ok(generated) = InternalRaftRequest::decode(bytes.clone()) {
        assert!(generated == *request, "read as the generated reader does");
    }
}

/// A request that means something to us is proposed in a form that means the same.
fn check_v2(request: &v2pb::Request) {
    check_encoding(request);
    let Ok(parsed) = V2Request::parse(&request.method, &request.path, &request.val) else { return };
    let again = parsed.to_message(RequestId(request.id));
    assert_eq!(V2Request::parse(&again.method, &again.path, &again.val), Ok(parsed));
}

fn check_change(change: &ConfChange) {
    check_encoding(change);
    let Ok(parsed) = Change::from_conf_change(change) else { return };
    let again = parsed.to_conf_change(change.id.map(RequestId));
    assert_eq!((again.id, again.r#type, again.node_id), (change.id, change.r#type, change.node_id));
    assert_eq!(Change::from_conf_change(&again), Ok(parsed));
}

/// The head of a record is that of the whole record.
fn record(bytes: &Bytes) -> Outcome {
    let Some(head) = RecordHead::parse(bytes) else { return Outcome::Refused };
    if let Ok(whole) = mvccpb::KeyValue::decode(bytes.clone()) {
        let (key, lease) = (&whole.key[..], whole.lease);
        let (create_revision, version) = (whole.create_revision, whole.version);
        assert_eq!(head, RecordHead { key, create_revision, version, lease });
    }
    Outcome::Accepted
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    let mut add = |name: &str, reader: &str, bytes: Vec<u8>| {
        let number = readers().position(|(known, _)| *known == reader).expect("a reader of that name");
        let number = u8::try_from(number).expect("fewer than 256 readers");
        seeds.push((name.to_owned(), [&[number][..], &bytes].concat()));
    };
    // A field of every number that is used, as a number and as bytes: what has no such field skips it.
    let numbers: Vec<u8> = (1..=15).flat_map(|field| [field << 3, field]).collect();
    let texts: Vec<u8> = (1..=15).flat_map(|field| [field << 3 | 2, 2, 8, 1]).collect();
    for (number, (name, read)) in readers().enumerate() {
        for (form, bytes) in [("numbers", &numbers[..]), ("texts", &texts), ("empty", &[])] {
            if read(&Bytes::copy_from_slice(bytes)) == Outcome::Accepted {
                add(&format!("{number:03}-{form}"), name, bytes.to_vec());
            }
        }
    }
    for (name, request) in requests() {
        add(&format!("payload-{name}"), "payload", request.encode_to_vec());
    }
    let [(_, of_put), (_, of_txn), ..] = requests();
    add("client-put", "put", of_put.put.unwrap_or_default().encode_to_vec());
    let txn = of_txn.txn.unwrap_or_default();
    let outer = |txn| etcd::TxnRequest {
        success: vec![etcd::RequestOp { request: Some(etcd::request_op::Request::RequestTxn(txn)) }],
        ..Default::default()
    };
    add("client-txn", "txn", txn.encode_to_vec());
    add("client-txn-in-txn", "txn", outer(outer(txn)).encode_to_vec());
    for (name, request) in v2_requests() {
        add(&format!("v2-{name}"), "payload", request.encode_to_vec());
        let wrapped = InternalRaftRequest { v2: request.encode_to_vec().into(), ..Default::default() };
        add(&format!("v2-{name}-wrapped"), "payload", wrapped.encode_to_vec());
    }
    let member = Member { id: MemberId(3), peer_urls: vec!["http://a:1".into()], ..Default::default() };
    let learner = Member { is_learner: true, ..member.clone() };
    let update = Change::Update { id: member.id, peer_urls: vec!["http://b:2".into()] };
    let (promote, remove) = (Change::Promote(member.id), Change::Remove(member.id));
    for (number, change) in (0..).zip([Change::Add(member), Change::Add(learner), update, promote, remove]) {
        let bytes = change.to_conf_change(Some(RequestId(9))).encode_to_vec();
        add(&format!("change-{number}"), "conf-change", bytes);
    }
    let pair =
        mvccpb::KeyValue { key: "k".into(), create_revision: 1, version: 2, lease: 3, ..Default::default() };
    add("record", "record", pair.encode_to_vec());
    seeds
}

fn requests() -> [(&'static str, InternalRaftRequest); 5] {
    let put = etcd::PutRequest {
        key: "k".into(),
        value: "v".into(),
        lease: 7,
        prev_kv: true,
        ..Default::default()
    };
    let range = etcd::RangeRequest { key: "k".into(), range_end: "l".into(), limit: 3, ..Default::default() };
    let delete = etcd::DeleteRangeRequest { key: "m".into(), ..Default::default() };
    let delete = etcd::request_op::Request::RequestDeleteRange(delete);
    let inner =
        etcd::TxnRequest { failure: vec![etcd::RequestOp { request: Some(delete) }], ..Default::default() };
    let operations = [
        etcd::request_op::Request::RequestPut(put.clone()),
        etcd::request_op::Request::RequestRange(range),
        etcd::request_op::Request::RequestTxn(inner),
    ];
    let compare = etcd::Compare { key: "k".into(), ..Default::default() };
    let txn = etcd::TxnRequest {
        compare: vec![compare],
        success: operations.map(|request| etcd::RequestOp { request: Some(request) }).into(),
        failure: vec![],
    };
    let version = membershippb::ClusterVersionSetRequest { ver: "3.6.0".into() };
    let attributes = membershippb::ClusterMemberAttrSetRequest {
        member_id: 3,
        member_attributes: Some(membershippb::Attributes { name: "n".into(), client_urls: vec!["u".into()] }),
    };
    let header = Some(etcd::RequestHeader { id: 9, username: "u".into(), auth_revision: 1 });
    let of = || InternalRaftRequest { header: header.clone(), ..Default::default() };
    [
        ("put", InternalRaftRequest { put: Some(put), ..of() }),
        ("txn", InternalRaftRequest { txn: Some(txn), ..of() }),
        ("version", InternalRaftRequest { cluster_version_set: Some(version), ..of() }),
        ("attributes", InternalRaftRequest { cluster_member_attr_set: Some(attributes), ..of() }),
        ("auth", InternalRaftRequest { auth_enable: Some(etcd::AuthEnableRequest {}), ..of() }),
    ]
}

fn v2_requests() -> [(&'static str, v2pb::Request); 2] {
    let attributes =
        V2Request::MemberAttributes { id: MemberId(3), name: "n".into(), client_urls: vec!["u".into()] };
    let version = V2Request::ClusterVersion(Version::new(3, 4, 0));
    [("attributes", attributes.to_message(RequestId(9))), ("version", version.to_message(RequestId(9)))]
}
