//! What a follower does with the messages of its leader.

use crate::config::{Error, ReadState, Role};
use crate::log::EntryId;
use crate::message::message;
use crate::raft::Raft;
use crate::tracker::Tracker;
use proto::raftpb::{Message, MessageType, Snapshot};
use types::LogIndex;

/// The highest index that a snapshot may have: far from what could be counted to, and indices behind it still fit.
const INDEX_MAX: u64 = u64::MAX >> 1;

impl Raft {
    pub(crate) fn step_follower(&mut self, kind: MessageType, received: Message) -> Result<(), Error> {
        match kind {
            MessageType::MsgApp | MessageType::MsgHeartbeat | MessageType::MsgSnap => {
                self.election_elapsed = 0;
                self.leader = received.from;
                match kind {
                    MessageType::MsgApp => self.take_entries(&received),
                    MessageType::MsgHeartbeat => self.take_heartbeat(received),
                    _ => self.take_snapshot(received),
                }
            }
            MessageType::MsgProp if self.leader == 0 => Err(Error::NoLeader),
            MessageType::MsgProp | MessageType::MsgTransferLeader | MessageType::MsgReadIndex => {
                // Passed on in the name of the one who asked.
                if self.leader != 0 {
                    self.send(Message { to: self.leader, ..received });
                }
                Ok(())
            }
            MessageType::MsgTimeoutNow => {
                self.campaign_for_transfer();
                Ok(())
            }
            MessageType::MsgReadIndexResp => {
                if let [entry] = &received.entries[..] {
                    let context = entry.data.clone().unwrap_or_default();
                    self.read_states.push(ReadState { index: LogIndex(received.index), context });
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn pass_on_transfer(&mut self, to: u64) {
        if self.leader != 0 {
            self.send(Message { from: to, ..message(MessageType::MsgTransferLeader, self.leader) });
        }
    }

    fn take_entries(&mut self, received: &Message) -> Result<(), Error> {
        let answer = message(MessageType::MsgAppResp, received.from);
        let committed = self.log.committed();
        if received.index < committed {
            self.send(Message { index: committed, ..answer });
            return Ok(());
        }
        if received.entries.last().is_some_and(|entry| entry.term > received.term) {
            return Err(Error::Malformed("entries of a future term"));
        }
        let prev = EntryId { term: received.log_term, index: received.index };
        if let Some(index) = self.log.maybe_append(prev, &received.entries, received.commit)? {
            self.send(Message { index, ..answer });
            return Ok(());
        }
        // The logs part somewhere before: say where they can agree at most, so that the leader skips the rest.
        let index = received.index.min(self.log.last());
        let hint = self.log.find_conflict_by_term(index, received.log_term);
        let (reject_hint, log_term) = (hint.index, hint.term);
        self.send(Message { index: received.index, reject: true, reject_hint, log_term, ..answer });
        Ok(())
    }

    fn take_heartbeat(&mut self, received: Message) -> Result<(), Error> {
        self.log.commit_to(received.commit)?;
        let answer = message(MessageType::MsgHeartbeatResp, received.from);
        self.send(Message { context: received.context, ..answer });
        Ok(())
    }

    fn take_snapshot(&mut self, received: Message) -> Result<(), Error> {
        let answer = message(MessageType::MsgAppResp, received.from);
        let is_taken = match received.snapshot {
            Some(snapshot) => self.restore(snapshot)?,
            None => false,
        };
        let index = if is_taken { self.log.last() } else { self.log.committed() };
        self.send(Message { index, ..answer });
        Ok(())
    }

    /// Starts anew from a snapshot; false if it is old, not for this member, or not needed.
    fn restore(&mut self, snapshot: Snapshot) -> Result<bool, Error> {
        let metadata = &snapshot.metadata;
        let id = EntryId { term: metadata.term, index: metadata.index };
        if id.index <= self.log.committed() || self.role != Role::Follower {
            return Ok(false);
        }
        if id.index > INDEX_MAX {
            return Err(Error::Malformed("an index that no log reaches"));
        }
        let conf_state = &metadata.conf_state;
        let mut members =
            conf_state.voters.iter().chain(&conf_state.learners).chain(&conf_state.voters_outgoing);
        if !members.any(|member| *member == self.id) {
            return Ok(false);
        }
        if self.log.matches(id) {
            // Everything in it is in the log already.
            self.log.commit_to(id.index)?;
            return Ok(false);
        }
        self.tracker = Tracker::new(conf_state, id.index, self.config.inflight)?;
        self.log.restore(snapshot);
        Ok(true)
    }
}
