//! The state machine: what goes in, what comes out, and the rules of terms.

use crate::config::{Completion, Config, DiskRead, Error, Persist, ReadState, Restored, Role, Status};
use crate::log::{EntryId, Log, Slice};
use crate::message::{has_no_term, is_from_leader, is_local, is_response, message, waits_for_disk};
use crate::progress::Progress;
use crate::read_index::{ReadQueue, ReadRequest};
use crate::tracker::Tracker;
use bytes::Bytes;
use prost::Message as _;
use proto::raftpb::{ConfChange, ConfState, Entry, EntryType, HardState, Message, MessageType, Snapshot};
use stdx::prng::Prng;
use types::{LogIndex, MemberId, Term};

/// Consensus of one member.
///
/// Inputs are [`Raft::tick`], [`Raft::step`], the proposals and reads, and the reports of what was done with the
/// outputs. Outputs are taken: [`Raft::take_messages`], [`Raft::take_persist`], [`Raft::take_committed`],
/// [`Raft::take_reads`], [`Raft::take_disk_read`]. Taking one never changes another.
///
/// Invariants: `term` never falls; `vote` changes within a term only from nobody to somebody; the term of the last
/// entry is at most `term`; a leader is `leader` itself and has a progress unless it was removed.
#[derive(Debug)]
pub struct Raft {
    pub(crate) id: u64,
    pub(crate) config: Config,
    pub(crate) term: u64,
    pub(crate) vote: u64,
    pub(crate) role: Role,
    /// 0: unknown.
    pub(crate) leader: u64,
    pub(crate) log: Log,
    pub(crate) tracker: Tracker,
    pub(crate) own_term_start: u64,
    /// The member that leadership is being handed to; 0: none.
    pub(crate) transferee: u64,
    /// A configuration change may be proposed only when everything up to here is applied.
    pub(crate) pending_conf_index: u64,
    /// Payload bytes proposed in this term and not applied.
    pub(crate) uncommitted_bytes: u64,
    pub(crate) reads: ReadQueue,
    /// Reads that came before the leader had committed in its term.
    pub(crate) early_reads: Vec<ReadRequest>,
    pub(crate) election_elapsed: u64,
    pub(crate) heartbeat_elapsed: u64,
    election_timeout: u64,
    prng: Prng,
    messages: Vec<Message>,
    messages_after_persist: Vec<Message>,
    pub(crate) read_states: Vec<ReadState>,
    taken_hard_state: HardState,
    /// Committed entries that were read back from disk, to be taken.
    committed_from_disk: Vec<Entry>,
    apply_waits_for_disk: bool,
    is_reading_disk: bool,
}

impl Raft {
    /// Takes up the restored state as a follower.
    ///
    /// # Errors
    /// [`Error::BrokenLog`] if the parts do not fit together, [`Error::Configuration`] if the configuration is joint.
    pub fn new(config: Config, restored: Restored) -> Result<Self, Error> {
        let Restored { hard_state, conf_state, snapshot: (term, index), entries, applied } = restored;
        let start = EntryId { term: term.0, index: index.0 };
        let mut log = Log::new(start, entries, (hard_state.commit, applied.0), config.applying_bytes_max)?;
        let last = log.last_id();
        if last.term > hard_state.term {
            let text =
                format!("entry {} has term {}, above the current {}", last.index, last.term, hard_state.term);
            return Err(Error::BrokenLog(text));
        }
        let tracker = Tracker::new(&conf_state, last.index, config.inflight)?;
        if start.index > 0 {
            log.compact(snapshot_of(start, &conf_state), start.index);
        }
        let mut raft = Self {
            id: config.id.0,
            term: hard_state.term,
            vote: hard_state.vote,
            role: Role::Follower,
            leader: 0,
            log,
            tracker,
            own_term_start: u64::MAX,
            transferee: 0,
            pending_conf_index: 0,
            uncommitted_bytes: 0,
            reads: ReadQueue::default(),
            early_reads: Vec::new(),
            election_elapsed: 0,
            heartbeat_elapsed: 0,
            election_timeout: 0,
            prng: Prng::new(config.seed),
            messages: Vec::new(),
            messages_after_persist: Vec::new(),
            read_states: Vec::new(),
            taken_hard_state: hard_state,
            committed_from_disk: Vec::new(),
            apply_waits_for_disk: false,
            is_reading_disk: false,
            config,
        };
        raft.become_follower(hard_state.term, 0);
        raft.evict();
        Ok(raft)
    }

    /// Where consensus stands.
    pub fn status(&self) -> Status {
        let commit = self.log.committed();
        Status {
            term: Term(self.term),
            role: self.role,
            leader: (self.leader != 0).then_some(MemberId(self.leader)),
            commit: LogIndex(commit),
            last: LogIndex(self.log.last()),
            has_committed_in_term: self.role == Role::Leader && commit >= self.own_term_start,
            own_term_start: LogIndex(self.own_term_start),
            transferee: (self.transferee != 0).then_some(MemberId(self.transferee)),
        }
    }

    /// What a leader knows of each member, ascending by id; itself included.
    pub fn progress(&self) -> &[Progress] {
        self.tracker.members()
    }

    /// The configuration as of the last applied change.
    pub fn conf_state(&self) -> ConfState {
        self.tracker.conf_state()
    }

    /// Whether this member alone decides.
    pub fn is_sole_voter(&self) -> bool {
        self.tracker.has_sole_voter() && self.tracker.is_voter(self.id)
    }

    /// The hard state as of now; what of it is durable is the log stage's business.
    fn hard_state(&self) -> HardState {
        HardState { term: self.term, vote: self.vote, commit: self.log.committed() }
    }

    /// The term of the entry at `index`, if the log has it or ends its compacted part with it.
    pub fn term_of(&self, index: LogIndex) -> Option<Term> {
        self.log.term(index.0).map(Term)
    }

    /// Entries in memory.
    pub fn cached_entries(&self) -> usize {
        self.log.cached_entries()
    }

    /// The hard state for a record in the log that does not come from a [`Persist`]: term and vote as handed out last,
    /// and a commit index that the log reaches with what was handed out. The one as of now may be ahead of both.
    pub fn hard_state_of_log(&self) -> HardState {
        let commit = self.log.committed().min(self.log.durable()).max(self.taken_hard_state.commit);
        HardState { commit, ..self.taken_hard_state }
    }

    /// One unit of time has passed.
    pub fn tick(&mut self) {
        self.election_elapsed += 1;
        if self.role == Role::Leader {
            self.tick_leader();
        } else if self.is_promotable() && self.election_elapsed >= self.election_timeout {
            self.election_elapsed = 0;
            self.campaign();
        }
    }

    /// Takes a message from another member.
    ///
    /// # Errors
    /// A fatal error means that the member must stop ([`Error::is_fatal`]); after any other the message was dropped.
    pub fn step(&mut self, message: Message) -> Result<(), Error> {
        let kind = MessageType::try_from(message.r#type)
            .map_err(|_| Error::Malformed("a kind that is not known"))?;
        if is_local(kind) {
            return Err(Error::Malformed("a kind that no member sends"));
        }
        // A proposal or a read may come back to who passed it on, and the one who is to lead is the sender of that wish.
        // But what this member has made durable, or does as a leader, it knows itself.
        let may_be_own = has_no_term(kind) || kind == MessageType::MsgTransferLeader;
        if !may_be_own && (message.from == self.id || message.from == 0) {
            return Err(Error::Malformed("not from another member"));
        }
        self.dispatch(kind, message)
    }

    /// Takes a message from another member, or an answer to itself that rests on what is durable now.
    fn dispatch(&mut self, kind: MessageType, message: Message) -> Result<(), Error> {
        if is_response(kind) && self.tracker.progress(message.from).is_none() {
            return Err(Error::UnknownMember(MemberId(message.from)));
        }
        let is_vote = matches!(kind, MessageType::MsgVote | MessageType::MsgPreVote);
        if message.term == 0 && (is_vote || is_from_leader(kind)) {
            return Err(Error::Malformed("no term"));
        }
        // A message without a term is local or passed on, and is not about terms.
        if message.term > self.term {
            if !self.take_up_term(kind, &message) {
                return Ok(());
            }
        } else if message.term != 0 && message.term < self.term {
            self.answer_from_newer_term(kind, &message);
            return Ok(());
        }
        if is_vote {
            self.answer_vote_request(kind, &message);
            return Ok(());
        }
        match self.role {
            Role::Leader => self.step_leader(kind, message),
            Role::PreCandidate | Role::Candidate => self.step_candidate(kind, message),
            Role::Follower => self.step_follower(kind, message),
        }
    }

    /// Follows the newer term of a message; false if the message is to be ignored.
    fn take_up_term(&mut self, kind: MessageType, message: &Message) -> bool {
        let is_request = matches!(kind, MessageType::MsgVote | MessageType::MsgPreVote);
        if is_request && self.is_lease_valid() && !Self::is_from_transfer(message) {
            return false;
        }
        // A pre-vote asks about a term that nobody is in yet, and so does its grant.
        let is_about_future =
            kind == MessageType::MsgPreVote || kind == MessageType::MsgPreVoteResp && !message.reject;
        if !is_about_future {
            let leader = if is_from_leader(kind) { message.from } else { 0 };
            self.become_follower(message.term, leader);
        }
        true
    }

    /// Whether a leader was heard from so lately that nobody else needs a vote.
    fn is_lease_valid(&self) -> bool {
        self.config.checks_quorum && self.leader != 0 && self.election_elapsed < self.config.election_ticks
    }

    /// Tells a sender of an older term about the newer one where it could not learn of it otherwise.
    fn answer_from_newer_term(&mut self, kind: MessageType, received: &Message) {
        let knows_leases = self.config.checks_quorum || self.config.has_pre_vote;
        match kind {
            MessageType::MsgHeartbeat | MessageType::MsgApp if knows_leases => {
                self.send(message(MessageType::MsgAppResp, received.from));
            }
            MessageType::MsgPreVote => {
                let rejection = message(MessageType::MsgPreVoteResp, received.from);
                self.send(Message { term: self.term, reject: true, ..rejection });
            }
            _ => {}
        }
    }

    /// Proposes a request. A follower passes it on to its leader. It is committed when it comes out of
    /// [`Raft::take_committed`]; it may be lost without a trace.
    ///
    /// # Errors
    /// [`Error::NoLeader`] or [`Error::TooMuchUncommitted`].
    pub fn propose(&mut self, data: Bytes) -> Result<(), Error> {
        self.propose_entry(EntryType::EntryNormal, data)
    }

    /// Proposes what a leader decided in `term`; it is never passed on (contract C15).
    ///
    /// # Errors
    /// [`Error::NoLeader`] if this member does not lead that term, or [`Error::TooMuchUncommitted`].
    pub fn propose_as_leader(&mut self, term: Term, data: Bytes) -> Result<(), Error> {
        if self.role != Role::Leader || self.term != term.0 {
            return Err(Error::NoLeader);
        }
        self.propose(data)
    }

    /// Proposes a change of the configuration. While another one may be under way it becomes an empty entry.
    ///
    /// # Errors
    /// As [`Raft::propose`].
    pub fn propose_conf_change(&mut self, change: &ConfChange) -> Result<(), Error> {
        self.propose_entry(EntryType::EntryConfChange, change.encode_to_vec().into())
    }

    fn propose_entry(&mut self, kind: EntryType, data: Bytes) -> Result<(), Error> {
        let entry = Entry { r#type: kind as i32, term: 0, index: 0, data: Some(data) };
        match self.role {
            Role::Leader => self.append_proposals(vec![entry]),
            Role::Follower if self.leader != 0 => {
                let forwarded = message(MessageType::MsgProp, self.leader);
                self.send(Message { entries: vec![entry], ..forwarded });
                Ok(())
            }
            _ => Err(Error::NoLeader),
        }
    }

    /// Asks for an index to read at; it comes out of [`Raft::take_reads`] with `context`, or never.
    pub fn read_index(&mut self, context: Bytes) {
        let entry = Entry { data: Some(context), ..Entry::default() };
        match self.role {
            Role::Leader => self.lead_read(ReadRequest { from: self.id, entries: vec![entry] }),
            Role::Follower if self.leader != 0 => {
                let forwarded = message(MessageType::MsgReadIndex, self.leader);
                self.send(Message { entries: vec![entry], ..forwarded });
            }
            _ => {}
        }
    }

    /// Hands the leadership to a member, once it has everything; given up after an election timeout.
    pub fn transfer_leader(&mut self, to: MemberId) {
        match self.role {
            Role::Leader => self.begin_transfer(to.0),
            Role::Follower => self.pass_on_transfer(to.0),
            _ => {}
        }
    }

    /// Tells that messages to a member are being lost.
    pub fn report_unreachable(&mut self, id: MemberId) {
        if self.role == Role::Leader {
            self.peer_unreachable(id.0);
        }
    }

    /// Tells how the delivery of a snapshot to a member ended.
    pub fn report_snapshot(&mut self, id: MemberId, is_delivered: bool) {
        if self.role == Role::Leader {
            self.snapshot_ended(id.0, is_delivered);
        }
    }

    /// Takes the messages that may leave at once, in order.
    pub fn take_messages(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.messages)
    }

    /// Takes the indices that reads may look at.
    pub fn take_reads(&mut self) -> Vec<ReadState> {
        std::mem::take(&mut self.read_states)
    }

    /// Whether [`Raft::take_persist`] has more than a new commit index, which can be learned again from others.
    pub fn needs_persist(&self) -> bool {
        self.log.has_entries_to_persist()
            || self.log.has_snapshot_to_persist()
            || self.is_vote_new()
            || !self.messages_after_persist.is_empty()
    }

    fn is_vote_new(&self) -> bool {
        (self.term, self.vote) != (self.taken_hard_state.term, self.taken_hard_state.vote)
    }

    /// Takes what is new to persist. Several may be under way; they are to become durable in order.
    pub fn take_persist(&mut self) -> Option<Persist> {
        let hard_state = self.hard_state();
        let is_new = hard_state != self.taken_hard_state;
        if !self.needs_persist() && !is_new {
            return None;
        }
        let is_vote_new = self.is_vote_new();
        self.taken_hard_state = hard_state;
        let entries = self.log.take_entries_to_persist();
        let snapshot = self.log.take_snapshot_to_persist();
        let last = self.log.has_volatile_entries().then(|| {
            let last = self.log.last_id();
            (Term(last.term), LogIndex(last.index))
        });
        Some(Persist {
            hard_state: is_new.then_some(hard_state),
            must_sync: is_vote_new || !entries.is_empty() || snapshot.is_some(),
            entries,
            completion: Completion {
                term: Term(self.term),
                last,
                snapshot: snapshot.as_ref().map(|snapshot| LogIndex(snapshot.metadata.index)),
                messages: std::mem::take(&mut self.messages_after_persist),
            },
            snapshot,
        })
    }

    /// Takes the report that a [`Persist`] is durable; returns the messages for others that waited for it.
    ///
    /// Entries are taken for durable only if the term is still that of the `Persist`, and the log still holds the
    /// last of them (contract C3): in between they may have been replaced by others of the same index. A new term
    /// makes a new `Persist`, whose report covers them.
    ///
    /// # Errors
    /// A fatal error, as from [`Raft::step`].
    pub fn persisted(&mut self, completion: Completion) -> Result<Vec<Message>, Error> {
        let Completion { term, last, snapshot, messages } = completion;
        let mut outgoing = Vec::new();
        for message in messages {
            if message.to != self.id {
                outgoing.push(message);
            } else if let Err(error) = self.dispatch(message.r#type(), message)
                && error.is_fatal()
            {
                return Err(error);
            }
        }
        if let Some((last_term, index)) = last
            && term.0 >= self.term
        {
            self.log.persisted(EntryId { term: last_term.0, index: index.0 });
        }
        if let Some(index) = snapshot {
            self.log.snapshot_persisted(index.0);
        }
        self.evict();
        Ok(outgoing)
    }

    /// Takes the next committed entries, each once; they are durable here. At most
    /// [`Config::applying_bytes_max`] are on the way before [`Raft::applied`].
    pub fn take_committed(&mut self) -> Vec<Entry> {
        if !self.committed_from_disk.is_empty() {
            return std::mem::take(&mut self.committed_from_disk);
        }
        match self.log.take_committed() {
            Slice::Here(entries) => entries,
            Slice::OnDisk => {
                self.apply_waits_for_disk = true;
                Vec::new()
            }
        }
    }

    /// Takes the report that committed entries up to `index` are applied, their configuration changes by
    /// [`Raft::apply_conf_change`] before.
    pub fn applied(&mut self, index: LogIndex) {
        let payload = self.log.applied_to(index.0);
        self.uncommitted_bytes = self.uncommitted_bytes.saturating_sub(payload);
        self.evict();
    }

    /// Changes the configuration by a committed change. One that was refused when it was applied is reported with
    /// `node_id` 0.
    ///
    /// # Errors
    /// [`Error::Configuration`]: the member must stop.
    pub fn apply_conf_change(&mut self, change: &ConfChange) -> Result<ConfState, Error> {
        self.tracker.apply(change, self.log.last())?;
        self.configuration_changed();
        Ok(self.tracker.conf_state())
    }

    /// Tells that followers can be given a snapshot, and that entries up to `until` are not needed in the log.
    pub fn compact(&mut self, snapshot: Snapshot, until: LogIndex) {
        self.log.compact(snapshot, until.0);
        // Who waited for entries from the disk may have waited for these.
        self.send_instead_of_compacted();
    }

    /// Takes a wish for entries that were evicted; the next one comes after [`Raft::entries_read`].
    pub fn take_disk_read(&mut self) -> Option<DiskRead> {
        if self.is_reading_disk {
            return None;
        }
        let from_apply = self.apply_waits_for_disk.then(|| self.log.applying() + 1);
        let waiting = self.tracker.members().iter().filter(|progress| progress.waits_for_disk);
        let from = from_apply.or_else(|| waiting.map(|progress| progress.next).min())?;
        self.is_reading_disk = true;
        let bytes_max = self.config.message_bytes_max.max(self.config.applying_bytes_max);
        let until = self.log.durable();
        let terms = self.log.terms(from, until);
        Some(DiskRead { from: LogIndex(from), until: LogIndex(until), bytes_max, terms })
    }

    /// Takes the entries of a [`DiskRead`]; none if they are not on disk any more: who waits for them gets a snapshot.
    ///
    /// # Errors
    /// [`Error::BrokenLog`] if entries that are not applied yet are gone.
    pub fn entries_read(&mut self, entries: &[Entry]) -> Result<(), Error> {
        self.is_reading_disk = false;
        // The log may have changed meanwhile.
        let count = entries.iter().take_while(|entry| self.log.matches(EntryId::of(entry))).count();
        let is_gone = entries.is_empty();
        let entries = &entries[..count];
        if std::mem::take(&mut self.apply_waits_for_disk) {
            if is_gone {
                let index = self.log.applying() + 1;
                return Err(Error::BrokenLog(format!("entry {index} is committed and not on disk any more")));
            }
            self.committed_from_disk = self.log.take_committed_from(entries);
        }
        if self.role == Role::Leader {
            self.send_from_disk(entries, is_gone);
        }
        Ok(())
    }

    /// Queues a message: at once, or behind what it rests on.
    pub(crate) fn send(&mut self, mut message: Message) {
        let kind = message.r#type();
        if message.from == 0 {
            message.from = self.id;
        }
        if has_no_term(kind) {
            message.term = 0;
        } else if message.term == 0 {
            message.term = self.term;
        }
        if !waits_for_disk(kind) {
            assert_ne!(message.to, self.id, "only acknowledgements and votes go to oneself");
            self.messages.push(message);
            return;
        }
        // A leader acknowledges its own entries once for all that become durable together.
        if kind == MessageType::MsgAppResp
            && message.to == self.id
            && let Some(last) = self.messages_after_persist.last_mut()
            && (last.to, last.r#type, last.term) == (message.to, message.r#type, message.term)
        {
            *last = message;
            return;
        }
        self.messages_after_persist.push(message);
    }

    /// Ends what belongs to the term or role before.
    pub(crate) fn reset(&mut self, term: u64) {
        if self.term != term {
            self.term = term;
            self.vote = 0;
        }
        self.leader = 0;
        self.election_elapsed = 0;
        self.heartbeat_elapsed = 0;
        self.election_timeout = self.config.election_ticks + self.prng.below(self.config.election_ticks);
        self.transferee = 0;
        self.tracker.forget_votes();
        self.tracker.reset(self.id, self.log.last());
        self.own_term_start = u64::MAX;
        self.pending_conf_index = 0;
        self.uncommitted_bytes = 0;
        self.reads = ReadQueue::default();
    }

    /// Drops from memory what is on disk and not needed soon.
    fn evict(&mut self) {
        let bytes_max = self.config.cache_bytes_max;
        // Nobody needs to catch up from a member without others.
        let is_alone = self.tracker.members().len() <= 1 && bytes_max != u64::MAX;
        let until = if is_alone { self.log.applying() } else { 0 };
        self.log.evict(bytes_max, until);
    }
}

fn snapshot_of(id: EntryId, conf_state: &ConfState) -> Snapshot {
    let metadata =
        proto::raftpb::SnapshotMetadata { conf_state: conf_state.clone(), index: id.index, term: id.term };
    Snapshot { data: None, metadata }
}

/// For comparisons with another implementation.
impl Raft {
    /// Ticks without a leader after which this member stands for election; drawn anew whenever the role changes.
    pub fn election_timeout(&self) -> u64 {
        self.election_timeout
    }

    /// Numbers inside, by the names of Go's library: what must be equal after every step.
    pub fn describe(&self) -> crate::describe::Description<'_> {
        crate::describe::Description(self)
    }
}
