//! Standing for election, voting, and changing roles.

use crate::config::{Error, Role};
use crate::log::EntryId;
use crate::message::{CAMPAIGN_TRANSFER, message};
use crate::raft::Raft;
use crate::tracker::VoteResult;
use bytes::Bytes;
use proto::raftpb::{Entry, Message, MessageType};

/// Why a member stands for election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Campaign {
    /// To find out whether it could win.
    Pre,
    /// To win.
    Real,
    /// The leader asked it to: nobody needs to wait for a lease to end.
    Transfer,
}

impl Raft {
    /// Stands for election, if this member may: first by asking, if so configured.
    pub fn campaign(&mut self) {
        self.stand(if self.config.has_pre_vote { Campaign::Pre } else { Campaign::Real });
    }

    /// Stands for election because the leader wants it to.
    pub(crate) fn campaign_for_transfer(&mut self) {
        self.stand(Campaign::Transfer);
    }

    fn stand(&mut self, why: Campaign) {
        let may_stand = self.role != Role::Leader
            && self.is_promotable()
            // The member may not be one any more, or not know who has a vote (contract C13).
            && !self.log.has_unapplied_conf_change()
            && self.term < u64::MAX;
        if may_stand {
            self.ask_for_votes(why);
        }
    }

    /// Whether this member may lead: it is a voter, and its state machine is in place.
    pub(crate) fn is_promotable(&self) -> bool {
        self.tracker.progress(self.id).is_some_and(|progress| !progress.is_learner)
            && !self.log.has_incoming_snapshot()
    }

    fn ask_for_votes(&mut self, why: Campaign) {
        let (request, response, term) = if why == Campaign::Pre {
            self.become_pre_candidate();
            (MessageType::MsgPreVote, MessageType::MsgPreVoteResp, self.term + 1)
        } else {
            self.become_candidate();
            (MessageType::MsgVote, MessageType::MsgVoteResp, self.term)
        };
        let last = self.log.last_id();
        let context = (why == Campaign::Transfer).then(|| Bytes::from_static(CAMPAIGN_TRANSFER));
        for id in self.tracker.voters().to_vec() {
            if id == self.id {
                // The own vote counts when it is durable, as any other (contract C3).
                self.send(Message { term, ..message(response, id) });
                continue;
            }
            let (log_term, index, context) = (last.term, last.index, context.clone());
            self.send(Message { term, log_term, index, context, ..message(request, id) });
        }
    }

    pub(crate) fn is_from_transfer(message: &Message) -> bool {
        message.context.as_deref() == Some(CAMPAIGN_TRANSFER)
    }

    /// Answers a request for a vote or a pre-vote. Learners answer, too: the one who asks may know already that this
    /// member has become a voter.
    pub(crate) fn answer_vote_request(&mut self, kind: MessageType, request: &Message) {
        let can_vote = self.vote == request.from
            || self.vote == 0 && self.leader == 0
            || kind == MessageType::MsgPreVote && request.term > self.term;
        let theirs = EntryId { term: request.log_term, index: request.index };
        let is_granted = can_vote && self.log.is_up_to_date(theirs);
        let response =
            if kind == MessageType::MsgVote { MessageType::MsgVoteResp } else { MessageType::MsgPreVoteResp };
        // A grant names the term that was asked about; for a pre-vote it is not the own one.
        let term = if is_granted { request.term } else { self.term };
        self.send(Message { term, reject: !is_granted, ..message(response, request.from) });
        if is_granted && kind == MessageType::MsgVote {
            self.election_elapsed = 0;
            self.vote = request.from;
        }
    }

    pub(crate) fn step_candidate(&mut self, kind: MessageType, received: Message) -> Result<(), Error> {
        match kind {
            MessageType::MsgProp => Err(Error::NoLeader),
            MessageType::MsgApp | MessageType::MsgHeartbeat | MessageType::MsgSnap => {
                // Somebody else has won this term.
                self.become_follower(received.term, received.from);
                self.step_follower(kind, received)
            }
            MessageType::MsgVoteResp if self.role == Role::Candidate => self.count_vote(&received),
            MessageType::MsgPreVoteResp if self.role == Role::PreCandidate => self.count_vote(&received),
            _ => Ok(()),
        }
    }

    fn count_vote(&mut self, response: &Message) -> Result<(), Error> {
        match self.tracker.record_vote(response.from, !response.reject) {
            VoteResult::Pending => {}
            VoteResult::Won if self.role == Role::PreCandidate => self.ask_for_votes(Campaign::Real),
            VoteResult::Won => self.become_leader(),
            VoteResult::Lost => self.become_follower(self.term, 0),
        }
        Ok(())
    }

    pub(crate) fn become_follower(&mut self, term: u64, leader: u64) {
        self.reset(term);
        self.leader = leader;
        self.role = Role::Follower;
    }

    fn become_pre_candidate(&mut self) {
        assert_ne!(self.role, Role::Leader, "a leader does not stand for election");
        // Neither term nor vote change: nothing has been decided.
        self.tracker.forget_votes();
        self.leader = 0;
        self.role = Role::PreCandidate;
    }

    fn become_candidate(&mut self) {
        assert_ne!(self.role, Role::Leader, "a leader does not stand for election");
        self.reset(self.term + 1);
        self.vote = self.id;
        self.role = Role::Candidate;
    }

    fn become_leader(&mut self) {
        assert_eq!(self.role, Role::Candidate, "only a candidate can win");
        self.reset(self.term);
        self.leader = self.id;
        self.role = Role::Leader;
        if let Some(own) = self.tracker.progress_mut(self.id) {
            own.become_replicate();
            own.is_recently_active = true;
        }
        // There may be a configuration change in the tail; looking for it is not worth it.
        self.pending_conf_index = self.log.last();
        self.own_term_start = self.log.last() + 1;
        let appended = self.append(vec![Entry::default()]);
        assert!(appended.is_ok(), "an empty entry is never refused");
        self.broadcast_append();
    }
}
