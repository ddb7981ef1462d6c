//! What a follower tells about its log.

use bytes::Bytes;
use proto::raftpb::{ConfState, Entry, HardState, Message, MessageType};
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
