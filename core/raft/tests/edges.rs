//! Moments at which parts of a member are ahead of one another.

use bytes::Bytes;
use proto::raftpb::{ConfState, Entry, HardState, Message, MessageType, Snapshot, SnapshotMetadata};
use raft::{Config, Raft, Restored};
use types::{LogIndex, MemberId, Term};

#[test]
fn the_hard_state_for_the_log_is_not_ahead_of_what_was_handed_out() {
    let conf_state = ConfState { voters: vec![1, 2, 3], ..ConfState::default() };
    let restored = Restored {
        hard_state: HardState { term: 1, vote: 0, commit: 0 },
        conf_state,
        snapshot: (Term(0), LogIndex(0)),
        entries: Vec::new(),
        applied: LogIndex(0),
    };
    let mut raft = Raft::new(Config::new(MemberId(1)), restored).unwrap();
    let entry = |index| Entry { term: 2, index, data: Some(Bytes::from_static(b"x")), ..Entry::default() };
    let append = Message {
        r#type: MessageType::MsgApp as i32,
        to: 1,
        from: 2,
        term: 2,
        entries: vec![entry(1), entry(2)],
        commit: 2,
        ..Message::default()
    };
    raft.step(append).unwrap();
    assert_eq!(raft.status().commit, LogIndex(2));
    // A record made now would be in the log before the entries and the term.
    assert_eq!(raft.hard_state_of_log(), HardState { term: 1, vote: 0, commit: 0 });
    let persist = raft.take_persist().unwrap();
    assert_eq!(raft.hard_state_of_log(), persist.hard_state.unwrap(), "behind these it may be");
    raft.persisted(persist.completion).unwrap();
    assert_eq!(raft.hard_state_of_log(), HardState { term: 2, vote: 0, commit: 2 });
}

#[test]
fn a_member_that_waits_for_entries_from_disk_gets_a_snapshot_when_they_are_compacted() {
    let entry = |index| Entry { term: 1, index, data: Some(Bytes::from_static(b"x")), ..Entry::default() };
    let restored = Restored {
        hard_state: HardState { term: 1, vote: 0, commit: 3 },
        conf_state: ConfState { voters: vec![1, 2, 3], ..ConfState::default() },
        snapshot: (Term(0), LogIndex(0)),
        entries: (1..=3).map(entry).collect(),
        applied: LogIndex(3),
    };
    let config = Config { cache_bytes_max: 0, has_pre_vote: false, ..Config::new(MemberId(1)) };
    let mut raft = Raft::new(config, restored).unwrap();
    let from = |from: u64, kind: MessageType| Message {
        r#type: kind as i32,
        to: 1,
        from,
        term: 2,
        ..Message::default()
    };
    raft.campaign();
    let vote = raft.take_persist().unwrap();
    raft.persisted(vote.completion).unwrap();
    raft.step(from(2, MessageType::MsgVoteResp)).unwrap();
    raft.take_messages();
    raft.step(Message { index: 3, reject: true, ..from(3, MessageType::MsgAppResp) }).unwrap();
    assert_eq!(raft.take_messages(), [], "the entries are not in memory");
    let metadata = SnapshotMetadata { index: 3, term: 1, conf_state: raft.conf_state() };
    raft.compact(Snapshot { data: None, metadata }, LogIndex(3));
    assert_eq!(raft.take_disk_read(), None);
    let kinds: Vec<_> = raft.take_messages().iter().map(|message| (message.to, message.r#type())).collect();
    assert_eq!(kinds, [(3, MessageType::MsgSnap)]);
}

#[test]
fn answers_in_the_own_name_and_snapshots_from_nowhere_are_dropped() {
    let restored = Restored {
        hard_state: HardState { term: 1, vote: 0, commit: 0 },
        conf_state: ConfState { voters: vec![1, 2, 3], ..ConfState::default() },
        snapshot: (Term(0), LogIndex(0)),
        entries: Vec::new(),
        applied: LogIndex(0),
    };
    let config = Config { has_pre_vote: false, ..Config::new(MemberId(1)) };
    let mut raft = Raft::new(config, restored).unwrap();
    let message = |from: u64, kind: MessageType| Message {
        r#type: kind as i32,
        to: 1,
        from,
        term: 2,
        ..Message::default()
    };
    raft.campaign();
    raft.step(message(1, MessageType::MsgVoteResp)).unwrap_err();
    raft.step(message(2, MessageType::MsgVoteResp)).unwrap();
    assert_eq!(raft.status().leader, None, "the own vote is not durable yet");
    let metadata = SnapshotMetadata { index: u64::MAX, term: 2, conf_state: raft.conf_state() };
    let snapshot = Some(Snapshot { data: None, metadata });
    raft.step(Message { snapshot, ..message(3, MessageType::MsgSnap) }).unwrap_err();
    assert_eq!(raft.status().commit, LogIndex(0));
}
