//! A group of one: it decides alone, and nothing counts before it is durable.

use bytes::Bytes;
use proto::raftpb::{ConfChange, ConfChangeType, ConfState, Entry, HardState};
use raft::{Config, Error, Persist, Raft, Restored, Role};
use types::{LogIndex, MemberId, Term};

fn restored(entries: Vec<Entry>, hard_state: HardState) -> Restored {
    Restored {
        hard_state,
        conf_state: ConfState { voters: vec![7], ..ConfState::default() },
        snapshot: (Term(0), LogIndex(0)),
        entries,
        applied: LogIndex(0),
    }
}

fn entry(term: u64, index: u64) -> Entry {
    Entry { r#type: 0, term, index, data: None }
}

/// A member with one committed entry that stands for election; it has taken out that entry.
fn candidate() -> Raft {
    let hard_state = HardState { term: 1, vote: 0, commit: 1 };
    let mut raft =
        Raft::new(Config::new(MemberId(7)), restored(vec![entry(1, 1)], hard_state)).expect("the log fits");
    assert_eq!(raft.take_committed(), [entry(1, 1)]);
    raft.applied(LogIndex(1));
    raft.campaign();
    raft
}

fn persist(raft: &mut Raft) -> Persist {
    let persist = raft.take_persist().expect("something to persist");
    assert_eq!(raft.persisted(persist.completion.clone()), Ok(vec![]));
    persist
}

fn leader() -> Raft {
    let mut raft = candidate();
    let pre_vote = persist(&mut raft);
    assert!(!pre_vote.must_sync && pre_vote.hard_state.is_none(), "a pre-vote decides nothing");
    let vote = persist(&mut raft);
    assert_eq!(vote.hard_state, Some(HardState { term: 2, vote: 7, commit: 1 }));
    assert!(
        vote.must_sync && vote.entries.is_empty(),
        "the vote is durable before the first entry of its term"
    );
    assert_eq!(raft.status().role, Role::Leader);
    raft
}

fn indices(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.index).collect()
}

#[test]
fn it_leads_at_once_and_commits_only_what_is_durable() {
    assert_eq!(candidate().propose(Bytes::new()), Err(Error::NoLeader));
    let mut raft = leader();
    raft.propose(Bytes::from_static(b"x")).unwrap();
    let first = raft.take_persist().unwrap();
    assert_eq!(indices(&first.entries), [2, 3], "the empty entry and the proposal");
    assert!(raft.take_committed().is_empty(), "nothing is committed before it is durable");
    raft.propose(Bytes::from_static(b"y")).unwrap();
    let second = raft.take_persist().unwrap();
    assert_eq!(indices(&second.entries), [4], "a second one may be under way");
    raft.persisted(first.completion).unwrap();
    assert_eq!(indices(&raft.take_committed()), [2, 3]);
    assert!(raft.status().has_committed_in_term);
    raft.persisted(second.completion).unwrap();
    assert_eq!(indices(&raft.take_committed()), [4]);
    assert!(raft.take_messages().is_empty());
}

#[test]
fn reads_wait_for_the_first_commit_of_the_term() {
    let mut raft = leader();
    raft.read_index(Bytes::from_static(b"early"));
    assert!(raft.take_reads().is_empty());
    persist(&mut raft);
    let reads = raft.take_reads();
    assert_eq!((reads.len(), reads[0].index), (1, LogIndex(2)));
    raft.read_index(Bytes::from_static(b"now"));
    assert_eq!(&raft.take_reads()[0].context[..], b"now");
}

#[test]
fn it_does_not_stand_while_a_configuration_change_is_not_applied() {
    let change = ConfChange { node_id: 7, ..ConfChange::default() };
    let (hard_state, entries) =
        raft::bootstrap(&[raft::Peer { id: MemberId(7), context: Bytes::from_static(b"{}") }]);
    let mut raft = Raft::new(Config::new(MemberId(7)), restored(entries, hard_state)).unwrap();
    raft.campaign();
    assert_eq!(raft.status().role, Role::Follower);
    assert_eq!(indices(&raft.take_committed()), [1]);
    raft.apply_conf_change(&change).unwrap();
    raft.applied(LogIndex(1));
    raft.campaign();
    assert_eq!(raft.status().role, Role::PreCandidate);
}

#[test]
fn it_cannot_be_removed() {
    let mut raft = leader();
    let r#type = ConfChangeType::ConfChangeRemoveNode as i32;
    let removal = ConfChange { r#type, node_id: 7, ..ConfChange::default() };
    let error = raft.apply_conf_change(&removal).unwrap_err();
    assert!(error.is_fatal(), "{error}");
}

#[test]
fn a_log_that_does_not_fit_is_refused() {
    let config = Config::new(MemberId(7));
    let hard_state = HardState { term: 2, vote: 7, commit: 2 };
    for entries in [vec![entry(1, 1)], vec![entry(1, 1), entry(1, 3)], vec![entry(1, 1), entry(3, 2)]] {
        let refused = Raft::new(config.clone(), restored(entries, hard_state));
        assert!(matches!(refused, Err(Error::BrokenLog(_))));
    }
    let mut joint = restored(vec![entry(1, 1), entry(2, 2)], hard_state);
    joint.conf_state.voters_outgoing.push(8);
    assert!(matches!(Raft::new(config, joint), Err(Error::Configuration(_))));
}

#[test]
fn entries_that_are_applied_and_durable_leave_memory() {
    let mut raft = leader();
    persist(&mut raft);
    for index in 3..1003 {
        raft.propose(Bytes::from_static(b"x")).unwrap();
        persist(&mut raft);
        let committed = raft.take_committed();
        assert_eq!(committed.last().map(|entry| entry.index), Some(index));
        raft.applied(LogIndex(index));
    }
    assert!(raft.cached_entries() <= 1, "{}", raft.cached_entries());
}
