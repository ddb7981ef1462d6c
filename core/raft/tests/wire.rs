//! Messages as the releases of etcd write them, and what a member makes of them.
//!
//! Source: messages seen between members of etcd 3.5, 3.6 and 3.7, with short ids in place of the real ones.

use prost::Message as _;
use proto::raftpb::{
    ConfChange, ConfChangeType, ConfState, Entry, EntryType, HardState, Message, MessageType,
};
use raft::{Config, Raft, Restored};
use types::{LogIndex, MemberId, Term};

fn decode(hex: &str) -> Message {
    let bytes = stdx::hex::decode(&hex.replace(' ', "")).expect("hexadecimal");
    Message::decode(&bytes[..]).expect("a message")
}

/// A follower with three entries of term 1.
fn follower() -> Raft {
    let entry = |index| Entry { term: 1, index, ..Entry::default() };
    let restored = Restored {
        hard_state: HardState { term: 2, vote: 0, commit: 1 },
        conf_state: ConfState { voters: vec![1, 2, 3], ..ConfState::default() },
        snapshot: (Term(0), LogIndex(0)),
        entries: (1..=3).map(entry).collect(),
        applied: LogIndex(1),
    };
    Raft::new(Config::new(MemberId(1)), restored).expect("the log fits")
}

#[test]
fn a_heartbeat_is_the_same_from_every_release() {
    for bytes in [
        "0808 1001 1802 2002 4003",
        "0808 1001 1802 2002 2800 3000 4003 5000 5800 6800",
        // An empty snapshot is none.
        "0808 1001 1802 2002 2800 3000 4003 4a0a12080a02280010001800 5000 5800",
    ] {
        let mut raft = follower();
        raft.step(decode(bytes)).unwrap();
        assert_eq!((raft.status().commit, raft.status().leader), (LogIndex(3), Some(MemberId(2))));
        let answers = raft.take_messages();
        assert_eq!((answers.len(), answers[0].r#type()), (1, MessageType::MsgHeartbeatResp));
    }
}

#[test]
fn entries_are_the_same_from_every_release() {
    for bytes in [
        "0803 1001 1802 2002 2801 3003 3a04 1002 1804 4003",
        "0803 1001 1802 2002 2801 3003 3a06 0800 1002 1804 4003 4a0a12080a02280010001800 5000 5800",
    ] {
        let message = decode(bytes);
        assert_eq!(message.entries, [Entry { term: 2, index: 4, ..Entry::default() }]);
        let mut raft = follower();
        raft.step(message).unwrap();
        assert_eq!((raft.status().last, raft.status().commit), (LogIndex(4), LogIndex(3)));
    }
}

#[test]
fn votes_proposals_and_answers_are_read() {
    let vote = decode("0805 1001 1802 2003 2801 3003");
    assert_eq!((vote.r#type(), vote.term, vote.log_term, vote.index), (MessageType::MsgVote, 3, 1, 3));
    let mut raft = follower();
    raft.step(vote).unwrap();
    assert_eq!(raft.take_persist().and_then(|persist| persist.hard_state).unwrap().vote, 2);

    let proposal = decode("0802 1001 1802 3a05 2203616263");
    assert_eq!((proposal.term, proposal.entries[0].data.as_deref()), (0, Some(&b"abc"[..])));
    let answer = decode("0810 1001 1802 2002 300b 3a0a 2208 8134a202bdb1e304");
    assert_eq!((answer.r#type(), answer.index), (MessageType::MsgReadIndexResp, 11));
    let accepted = decode("0804 1001 1802 2002 2800 3004 4000 5000 5800 6800");
    assert_eq!(accepted, decode("0804 1001 1802 2002 3004"));
}

#[test]
fn kinds_that_no_member_sends_are_dropped() {
    // Hup, Beat, Unreachable, SnapStatus, CheckQuorum, the storage's own, ForgetLeader, and one from the future.
    for kind in [0, 1, 10, 11, 12, 19, 20, 21, 22, 23, 24] {
        let mut raft = follower();
        let before = raft.describe().to_string();
        let message = Message { r#type: kind, to: 1, from: 2, term: 9, ..Message::default() };
        assert!(raft.step(message).is_err(), "{kind}");
        assert_eq!(raft.describe().to_string(), before);
    }
}

#[test]
fn changes_have_the_numbers_of_go() {
    for (kind, bytes) in [
        (ConfChangeType::ConfChangeAddNode, "10001807"),
        (ConfChangeType::ConfChangeRemoveNode, "10011807"),
        (ConfChangeType::ConfChangeUpdateNode, "10021807"),
        (ConfChangeType::ConfChangeAddLearnerNode, "10031807"),
    ] {
        let change = ConfChange::decode(&stdx::hex::decode(bytes).unwrap()[..]).unwrap();
        assert_eq!((change.r#type(), change.node_id), (kind, 7));
    }
    let [normal, change, change_v2] =
        [EntryType::EntryNormal, EntryType::EntryConfChange, EntryType::EntryConfChangeV2]
            .map(|kind| kind as i32);
    assert_eq!((normal, change, change_v2), (0, 1, 2));
}
