//! The state machine for a configuration with one voter.

use bytes::Bytes;
use proto::raftpb::{ConfState, Entry, EntryType, HardState, Message, MessageType};
use std::collections::VecDeque;
use types::{LogIndex, MemberId, Term};

/// What a member is configured with.
#[derive(Clone, Debug)]
pub struct Config {
    /// This member.
    pub id: MemberId,
}

/// What the disk held at the start.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The last hard state in the log; the commit index already raised to the backend's consistent index.
    pub hard_state: HardState,
    /// Voters and learners.
    pub conf_state: ConfState,
    /// The entry before `entries`, from the newest valid snapshot record; (0, 0) if there is none.
    pub snapshot: (Term, LogIndex),
    /// Entries behind the snapshot, without gaps.
    pub entries: Vec<Entry>,
    /// Entries up to here are reflected in the state machine.
    pub applied: LogIndex,
}

/// Why an input is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Only a configuration whose one voter is this member is served so far.
    #[error(
        "the configuration has voters {voters:x?} and learners {learners:x?}; only this member ({own}) alone is supported"
    )]
    NotSoleVoter {
        /// Voters found.
        voters: Vec<u64>,
        /// Learners found.
        learners: Vec<u64>,
        /// This member.
        own: MemberId,
    },
    /// The log does not fit the hard state, the snapshot or the applied index.
    #[error("the log does not fit its state: {0}")]
    BrokenLog(String),
    /// There is no leader yet.
    #[error("no leader")]
    NoLeader,
}

/// The part a member plays in its term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Follows a leader or waits for one.
    Follower,
    /// Asked for votes.
    Candidate,
    /// Leads its term.
    Leader,
}

/// Where consensus stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Current term.
    pub term: Term,
    /// Part played in it.
    pub role: Role,
    /// Leader of the term, if known.
    pub leader: Option<MemberId>,
    /// Last entry known to be committed.
    pub commit: LogIndex,
    /// Last entry in memory, durable or not.
    pub last: LogIndex,
    /// The leader has committed an entry of its own term, so reads may be answered.
    pub has_committed_in_term: bool,
    /// The first entry of this leader's own term; the largest index there is while this member does not lead.
    pub own_term_start: LogIndex,
}

/// What must become durable together, and what may go out only then.
#[derive(Clone, Debug, Default)]
pub struct Persist {
    /// The new hard state, if it changed.
    pub hard_state: Option<HardState>,
    /// New entries, behind the last ones persisted.
    pub entries: Vec<Entry>,
    /// To release when all of it is durable; those to the member itself go into [`Raft::step`].
    pub messages: Vec<Message>,
    /// The last entry of the log with it; named when it is reported durable.
    pub last: (Term, LogIndex),
}

/// What is new since the last call.
#[derive(Clone, Debug, Default)]
pub struct Ready {
    /// To persist; the next `Ready` has none until this one is reported durable.
    pub persist: Option<Persist>,
    /// Committed and durable entries, in order, each once.
    pub committed: Vec<Entry>,
}

/// Consensus of one member.
///
/// Invariants: `first + log.len() - 1` is the last index; `applied_out <= min(commit, durable)`;
/// `durable <= persisting <= last`; the term of the last entry is at most the current term.
#[derive(Debug)]
pub struct Raft {
    id: MemberId,
    hard_state: HardState,
    persisted_hard_state: HardState,
    role: Role,
    /// Entries not yet handed out as committed or not yet durable; the index of `log[0]` is `first`.
    log: VecDeque<Entry>,
    first: u64,
    last_term: u64,
    durable: u64,
    persisting: u64,
    is_persisting: bool,
    applied_out: u64,
    own_term_start: u64,
}

impl Raft {
    /// Takes up the restored state; a sole voter asks for its own vote at once.
    ///
    /// # Errors
    /// [`Error::NotSoleVoter`], or [`Error::BrokenLog`] if the parts do not fit together.
    pub fn new(config: &Config, restored: Restored) -> Result<Self, Error> {
        let Restored { hard_state, conf_state, snapshot, entries, applied } = restored;
        check_sole(config.id, &conf_state)?;
        let (snapshot_term, snapshot_index) = snapshot;
        let last = check_log(&hard_state, snapshot_index, &entries, applied)?;
        let last_term = entries.last().map_or(snapshot_term.0, |entry| entry.term);
        let mut raft = Self {
            id: config.id,
            hard_state,
            persisted_hard_state: hard_state,
            role: Role::Follower,
            first: snapshot_index.0 + 1,
            log: entries.into(),
            last_term,
            durable: last,
            persisting: last,
            is_persisting: false,
            applied_out: applied.0,
            own_term_start: u64::MAX,
        };
        raft.forget_applied();
        raft.campaign();
        Ok(raft)
    }

    /// Where consensus stands.
    pub fn status(&self) -> Status {
        Status {
            term: Term(self.hard_state.term),
            role: self.role,
            leader: (self.role == Role::Leader).then_some(self.id),
            commit: LogIndex(self.hard_state.commit),
            last: LogIndex(self.last()),
            has_committed_in_term: self.role == Role::Leader && self.hard_state.commit >= self.own_term_start,
            own_term_start: LogIndex(self.own_term_start),
        }
    }

    /// The hard state as of now; what of it is durable is the log stage's business.
    pub fn hard_state(&self) -> HardState {
        self.hard_state
    }

    /// Appends a proposal; it is committed when it comes out of [`Raft::ready`].
    ///
    /// # Errors
    /// [`Error::NoLeader`] while this member does not lead.
    pub fn propose(&mut self, data: Bytes) -> Result<(Term, LogIndex), Error> {
        self.append(EntryType::EntryNormal, Some(data))
    }

    /// Takes a message in. Of a sole voter only its own acknowledgements count; all else is dropped.
    pub fn step(&mut self, message: &Message) {
        if message.from != self.id.0 || message.to != self.id.0 || message.term != self.hard_state.term {
            return;
        }
        match MessageType::try_from(message.r#type) {
            Ok(MessageType::MsgVoteResp) if self.role == Role::Candidate && !message.reject => self.lead(),
            Ok(MessageType::MsgAppResp) if self.role == Role::Leader => self.acknowledge(message.index),
            _ => {}
        }
    }

    /// Tells that the outstanding [`Persist`] is durable, by the entry that it ended with. Call before stepping its
    /// messages. An entry that the log does not hold any more counts for nothing (contract C3).
    ///
    /// # Panics
    /// If none is outstanding: that is a bug of the caller.
    pub fn persisted(&mut self, last: (Term, LogIndex)) {
        assert!(self.is_persisting, "nothing was being persisted");
        self.is_persisting = false;
        let (term, index) = (last.0.0, last.1.0);
        let position = index.checked_sub(self.first).and_then(|position| usize::try_from(position).ok());
        if position.and_then(|position| self.log.get(position)).is_some_and(|entry| entry.term == term) {
            self.durable = self.durable.max(index);
        }
    }

    /// Takes the configuration as an applied change has left it (contract C13).
    ///
    /// # Errors
    /// [`Error::NotSoleVoter`] if it is not one that this consensus serves: the member must stop.
    pub fn conf_applied(&mut self, conf_state: &ConfState) -> Result<(), Error> {
        check_sole(self.id, conf_state)
    }

    /// Hands out what is new, or `None`.
    pub fn ready(&mut self) -> Option<Ready> {
        let ready = Ready { persist: self.take_persist(), committed: self.take_committed() };
        (ready.persist.is_some() || !ready.committed.is_empty()).then_some(ready)
    }

    fn last(&self) -> u64 {
        self.first + self.log.len() as u64 - 1
    }

    fn campaign(&mut self) {
        self.role = Role::Candidate;
        self.hard_state.term += 1;
        self.hard_state.vote = self.id.0;
    }

    fn lead(&mut self) {
        self.role = Role::Leader;
        self.own_term_start = self.last() + 1;
        let appended = self.append(EntryType::EntryNormal, None);
        assert!(appended.is_ok(), "a leader may append");
    }

    fn append(&mut self, kind: EntryType, data: Option<Bytes>) -> Result<(Term, LogIndex), Error> {
        if self.role != Role::Leader {
            return Err(Error::NoLeader);
        }
        let index = self.last() + 1;
        let term = self.hard_state.term;
        self.log.push_back(Entry { r#type: kind as i32, term, index, data });
        self.last_term = term;
        Ok((Term(term), LogIndex(index)))
    }

    fn acknowledge(&mut self, index: u64) {
        // A leader of one commits what it has durable, but counts only entries of its own term.
        let index = index.min(self.durable);
        if index >= self.own_term_start && index > self.hard_state.commit {
            self.hard_state.commit = index;
        }
    }

    fn take_persist(&mut self) -> Option<Persist> {
        if self.is_persisting {
            return None;
        }
        let is_vote = self.hard_state.term != self.persisted_hard_state.term;
        let last = self.last();
        // A new commit index alone waits for the next entries: it can be learned again from the log.
        if !is_vote && last == self.persisting {
            return None;
        }
        let skip = usize::try_from(self.persisting + 1 - self.first).expect("the log fits into memory");
        let entries: Vec<Entry> = self.log.iter().skip(skip).cloned().collect();
        let hard_state = (self.hard_state != self.persisted_hard_state).then_some(self.hard_state);
        self.persisted_hard_state = self.hard_state;
        self.persisting = last;
        self.is_persisting = true;
        let reply = |kind: MessageType, index: u64| Message {
            r#type: kind as i32,
            to: self.id.0,
            from: self.id.0,
            term: self.hard_state.term,
            index,
            ..Message::default()
        };
        let message =
            if is_vote { reply(MessageType::MsgVoteResp, 0) } else { reply(MessageType::MsgAppResp, last) };
        let last = (Term(self.last_term), LogIndex(last));
        Some(Persist { hard_state, entries, messages: vec![message], last })
    }

    fn take_committed(&mut self) -> Vec<Entry> {
        let until = self.hard_state.commit.min(self.durable);
        if until <= self.applied_out {
            return Vec::new();
        }
        let skip = usize::try_from(self.applied_out + 1 - self.first).expect("the log fits into memory");
        let count = usize::try_from(until - self.applied_out).expect("the log fits into memory");
        let committed: Vec<Entry> = self.log.iter().skip(skip).take(count).cloned().collect();
        assert_eq!(committed.len(), count, "committed entries are in memory");
        self.applied_out = until;
        self.forget_applied();
        committed
    }

    /// Drops what nobody needs any more: a sole voter has no follower to catch up.
    fn forget_applied(&mut self) {
        let keep_from = self.applied_out.min(self.persisting) + 1;
        while self.first < keep_from && !self.log.is_empty() {
            self.log.pop_front();
            self.first += 1;
        }
        // Applied entries may all lie before the snapshot; an empty log starts behind them.
        if self.log.is_empty() {
            self.first = self.first.max(keep_from);
        }
    }
}

fn check_sole(own: MemberId, conf_state: &ConfState) -> Result<(), Error> {
    let is_sole = conf_state.voters == [own.0]
        && conf_state.learners.is_empty()
        && conf_state.voters_outgoing.is_empty()
        && conf_state.learners_next.is_empty();
    if is_sole {
        return Ok(());
    }
    let (voters, learners) = (conf_state.voters.clone(), conf_state.learners.clone());
    Err(Error::NotSoleVoter { voters, learners, own })
}

/// Checks that snapshot, entries, commit and applied fit together; returns the last index.
fn check_log(
    hard_state: &HardState,
    snapshot: LogIndex,
    entries: &[Entry],
    applied: LogIndex,
) -> Result<u64, Error> {
    let mut last = snapshot.0;
    let mut term = 0;
    for entry in entries {
        if entry.index != last + 1 {
            return Err(Error::BrokenLog(format!("entry {} follows entry {last}", entry.index)));
        }
        if entry.term < term {
            return Err(Error::BrokenLog(format!("entry {} goes back to term {}", entry.index, entry.term)));
        }
        (last, term) = (entry.index, entry.term);
    }
    if term > hard_state.term {
        return Err(Error::BrokenLog(format!(
            "entry {last} has term {term}, above the current {}",
            hard_state.term
        )));
    }
    if hard_state.term == u64::MAX {
        return Err(Error::BrokenLog("the term cannot rise any more".into()));
    }
    if hard_state.commit > last {
        return Err(Error::BrokenLog(format!(
            "commit index {} is behind the last entry {last}",
            hard_state.commit
        )));
    }
    if applied.0 < snapshot.0 || applied.0 > hard_state.commit {
        return Err(Error::BrokenLog(format!(
            "applied index {applied} is outside of snapshot index {snapshot} to commit index {}",
            hard_state.commit
        )));
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn persist(raft: &mut Raft) -> Persist {
        let persist = raft.ready().and_then(|ready| ready.persist).expect("something to persist");
        raft.persisted(persist.last);
        persist.messages.iter().for_each(|message| raft.step(message));
        persist
    }

    #[test]
    fn a_sole_voter_leads_at_once_and_commits_only_what_is_durable() {
        let hard_state = HardState { term: 1, vote: 0, commit: 1 };
        let mut raft =
            Raft::new(&Config { id: MemberId(7) }, restored(vec![entry(1, 1)], hard_state)).unwrap();
        assert_eq!(raft.propose(Bytes::new()), Err(Error::NoLeader));
        let first = raft.ready().unwrap();
        assert_eq!(first.committed, vec![entry(1, 1)], "what was committed before comes first");
        let vote = first.persist.unwrap();
        assert_eq!(vote.hard_state, Some(HardState { term: 2, vote: 7, commit: 1 }));
        assert!(vote.entries.is_empty(), "the vote is durable before the first entry of its term");
        raft.persisted(vote.last);
        raft.step(&vote.messages[0]);
        assert_eq!(raft.status().role, Role::Leader);

        raft.propose(Bytes::from_static(b"x")).unwrap();
        let ready = raft.ready().unwrap();
        assert_eq!(ready.persist.as_ref().unwrap().entries.len(), 2, "the empty entry and the proposal");
        assert!(ready.committed.is_empty(), "nothing is committed before it is durable");
        raft.propose(Bytes::from_static(b"y")).unwrap();
        assert!(raft.ready().is_none(), "one persist at a time");
        let persist = ready.persist.unwrap();
        raft.persisted(persist.last);
        raft.step(&persist.messages[0]);
        let ready = raft.ready().unwrap();
        assert_eq!(ready.committed.iter().map(|entry| entry.index).collect::<Vec<_>>(), vec![2, 3]);
        let next = ready.persist.unwrap();
        assert_eq!(next.hard_state, Some(HardState { term: 2, vote: 7, commit: 3 }));
        assert_eq!(next.entries.len(), 1);
        assert!(raft.status().has_committed_in_term);
    }

    #[test]
    fn a_stale_acknowledgement_does_not_commit() {
        let hard_state = HardState { term: 1, vote: 0, commit: 1 };
        let mut raft =
            Raft::new(&Config { id: MemberId(7) }, restored(vec![entry(1, 1)], hard_state)).unwrap();
        persist(&mut raft);
        let stale = Message {
            r#type: MessageType::MsgAppResp as i32,
            to: 7,
            from: 7,
            term: 1,
            index: 2,
            ..Message::default()
        };
        raft.step(&stale);
        let early = Message { term: 2, ..stale };
        raft.step(&early);
        assert_eq!(raft.status().commit, LogIndex(1));
    }

    #[test]
    fn a_completion_for_an_entry_of_another_term_counts_for_nothing() {
        let hard_state = HardState { term: 1, vote: 0, commit: 1 };
        let mut raft =
            Raft::new(&Config { id: MemberId(7) }, restored(vec![entry(1, 1)], hard_state)).unwrap();
        persist(&mut raft);
        let persist = raft.ready().and_then(|ready| ready.persist).unwrap();
        assert_eq!(persist.last, (Term(2), LogIndex(2)));
        raft.persisted((Term(1), LogIndex(2)));
        raft.step(&persist.messages[0]);
        assert_eq!(raft.status().commit, LogIndex(1));
    }

    #[test]
    fn a_configuration_with_others_is_refused_when_it_is_applied() {
        let hard_state = HardState { term: 1, vote: 0, commit: 1 };
        let mut raft =
            Raft::new(&Config { id: MemberId(7) }, restored(vec![entry(1, 1)], hard_state)).unwrap();
        let conf_state = |voters| ConfState { voters, ..ConfState::default() };
        assert_eq!(raft.conf_applied(&conf_state(vec![7])), Ok(()));
        assert!(matches!(raft.conf_applied(&conf_state(vec![7, 8])), Err(Error::NotSoleVoter { .. })));
    }

    #[test]
    fn a_log_that_does_not_fit_is_refused() {
        let config = Config { id: MemberId(7) };
        let hard_state = HardState { term: 2, vote: 7, commit: 2 };
        for entries in [vec![entry(1, 1)], vec![entry(1, 1), entry(1, 3)], vec![entry(1, 1), entry(3, 2)]] {
            assert!(matches!(Raft::new(&config, restored(entries, hard_state)), Err(Error::BrokenLog(_))));
        }
        let mut other = restored(vec![entry(1, 1), entry(2, 2)], hard_state);
        other.conf_state.voters.push(8);
        assert!(matches!(Raft::new(&config, other), Err(Error::NotSoleVoter { .. })));
    }

    #[test]
    fn entries_that_are_applied_and_durable_leave_memory() {
        let hard_state = HardState { term: 1, vote: 0, commit: 1 };
        let mut raft =
            Raft::new(&Config { id: MemberId(7) }, restored(vec![entry(1, 1)], hard_state)).unwrap();
        persist(&mut raft);
        for _ in 0..1000 {
            raft.propose(Bytes::from_static(b"x")).unwrap();
            persist(&mut raft);
        }
        raft.ready();
        assert!(raft.log.len() <= 1, "{}", raft.log.len());
    }
}
