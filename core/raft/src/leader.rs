//! What a leader does: replicating, committing, confirming reads, handing over.

use crate::config::{Error, ReadState, Role};
use crate::log::{EntryId, Slice, payload_bytes};
use crate::message::message;
use crate::progress::ProgressState;
use crate::raft::Raft;
use crate::read_index::{ReadRequest, number_of};
use prost::Message as _;
use proto::raftpb::{ConfChange, Entry, EntryType, Message, MessageType};
use types::LogIndex;

impl Raft {
    pub(crate) fn tick_leader(&mut self) {
        self.heartbeat_elapsed += 1;
        if self.election_elapsed >= self.config.election_ticks {
            self.election_elapsed = 0;
            if self.config.checks_quorum {
                self.check_quorum();
            }
            if self.role != Role::Leader {
                return;
            }
            // A successor that needs longer than an election does not come.
            self.transferee = 0;
        }
        if self.heartbeat_elapsed >= self.config.heartbeat_ticks {
            self.heartbeat_elapsed = 0;
            self.broadcast_heartbeat();
        }
    }

    /// Steps down if no majority was heard from since the last time.
    fn check_quorum(&mut self) {
        if !self.tracker.is_quorum_active() {
            self.become_follower(self.term, 0);
        }
        let own = self.id;
        for progress in self.tracker.members_mut() {
            progress.is_recently_active &= progress.id == own;
        }
    }

    pub(crate) fn step_leader(&mut self, kind: MessageType, received: Message) -> Result<(), Error> {
        match kind {
            MessageType::MsgProp => return self.append_proposals(received.entries),
            MessageType::MsgReadIndex => {
                let from = if received.from == 0 { self.id } else { received.from };
                self.lead_read(ReadRequest { from, entries: received.entries });
                return Ok(());
            }
            _ => {}
        }
        if self.tracker.progress(received.from).is_none() {
            return Ok(());
        }
        match kind {
            MessageType::MsgAppResp if received.reject => self.entries_rejected(&received),
            MessageType::MsgAppResp => return self.entries_acknowledged(received.from, received.index),
            MessageType::MsgHeartbeatResp => self.heartbeat_answered(&received),
            MessageType::MsgTransferLeader => self.begin_transfer(received.from),
            _ => {}
        }
        Ok(())
    }

    /// Appends proposals and sends them out.
    ///
    /// # Errors
    /// [`Error::NoLeader`] while leadership is handed over or after this member was removed;
    /// [`Error::TooMuchUncommitted`]; [`Error::Malformed`] for what cannot be proposed.
    pub(crate) fn append_proposals(&mut self, mut entries: Vec<Entry>) -> Result<(), Error> {
        if entries.is_empty() {
            return Err(Error::Malformed("a proposal of nothing"));
        }
        if self.tracker.progress(self.id).is_none() || self.transferee != 0 {
            return Err(Error::NoLeader);
        }
        // Everything is looked at before anything changes.
        for entry in &entries {
            check_proposal(entry)?;
        }
        let mut pending = self.pending_conf_index;
        for (index, entry) in (self.log.last() + 1..).zip(&mut entries) {
            if entry.r#type != EntryType::EntryConfChange as i32 {
                continue;
            }
            if pending > self.log.applied() {
                // Another one may be under way: its place in the log stays, without effect.
                *entry = Entry::default();
            } else {
                pending = index;
            }
        }
        self.pending_conf_index = pending;
        self.append(entries)?;
        self.broadcast_append();
        Ok(())
    }

    /// Appends entries in this term; the own acknowledgement follows when they are durable.
    pub(crate) fn append(&mut self, entries: Vec<Entry>) -> Result<(), Error> {
        let bytes: u64 = entries.iter().map(payload_bytes).sum();
        let total = self.uncommitted_bytes.saturating_add(bytes);
        if self.uncommitted_bytes > 0 && bytes > 0 && total > self.config.uncommitted_bytes_max {
            return Err(Error::TooMuchUncommitted);
        }
        self.uncommitted_bytes = total;
        for entry in entries {
            let index = self.log.last() + 1;
            self.log.push(Entry { term: self.term, index, ..entry });
        }
        let index = self.log.last();
        self.send(Message { index, ..message(MessageType::MsgAppResp, self.id) });
        Ok(())
    }

    /// Sends every other member what it lacks, or at least the commit index.
    pub(crate) fn broadcast_append(&mut self) {
        for position in 0..self.tracker.members().len() {
            if self.tracker.members()[position].id != self.id {
                self.maybe_send_append(position, Empty::Send);
            }
        }
    }

    fn broadcast_heartbeat(&mut self) {
        let context = self.reads.context();
        for position in 0..self.tracker.members().len() {
            let progress = &mut self.tracker.members_mut()[position];
            if progress.id == self.id {
                continue;
            }
            // It may have more entries than are known to match: those must not be committed by this.
            let commit = progress.matched.min(self.log.committed());
            progress.sent_commit = commit;
            let heartbeat = message(MessageType::MsgHeartbeat, progress.id);
            self.send(Message { commit, context: context.clone(), ..heartbeat });
        }
    }

    fn send_append(&mut self, to: u64) {
        if let Some(position) = self.position(to) {
            self.maybe_send_append(position, Empty::Send);
        }
    }

    fn position(&self, id: u64) -> Option<usize> {
        self.tracker.members().iter().position(|progress| progress.id == id)
    }

    /// Sends a member the next entries, or a snapshot if they are gone. False if nothing was sent.
    fn maybe_send_append(&mut self, position: usize, empty: Empty) -> bool {
        let progress = &self.tracker.members()[position];
        if progress.is_throttled() {
            return false;
        }
        let prev = progress.next - 1;
        let Some(prev_term) = self.log.term(prev) else { return self.maybe_send_snapshot(position) };
        // Without room for more an empty message still finds out that those under way were lost.
        let is_full = progress.state == ProgressState::Replicate && progress.inflights.is_full();
        let entries = if is_full {
            Vec::new()
        } else {
            match self.log.entries(progress.next, self.config.message_bytes_max) {
                Slice::Here(entries) => entries,
                Slice::OnDisk => {
                    self.tracker.members_mut()[position].waits_for_disk = true;
                    return false;
                }
            }
        };
        if entries.is_empty() && empty == Empty::Skip {
            return false;
        }
        self.send_entries(position, EntryId { term: prev_term, index: prev }, entries);
        true
    }

    fn send_entries(&mut self, position: usize, prev: EntryId, entries: Vec<Entry>) {
        let commit = self.log.committed();
        let progress = &mut self.tracker.members_mut()[position];
        progress.waits_for_disk = false;
        progress.sent_entries(entries.len() as u64, entries.iter().map(payload_bytes).sum());
        progress.sent_commit = commit;
        let append = message(MessageType::MsgApp, progress.id);
        self.send(Message { index: prev.index, log_term: prev.term, entries, commit, ..append });
    }

    fn maybe_send_snapshot(&mut self, position: usize) -> bool {
        let progress = &mut self.tracker.members_mut()[position];
        // One who does not speak would not take it either.
        if !progress.is_recently_active {
            return false;
        }
        let Some(snapshot) = self.log.available_snapshot().cloned() else { return false };
        progress.become_snapshot(snapshot.metadata.index);
        let message = message(MessageType::MsgSnap, progress.id);
        self.send(Message { snapshot: Some(snapshot), ..message });
        true
    }

    /// Sends entries that were read back from disk to those that wait for them, or snapshots if they are gone.
    pub(crate) fn send_from_disk(&mut self, entries: &[Entry], is_gone: bool) {
        for position in 0..self.tracker.members().len() {
            let progress = &mut self.tracker.members_mut()[position];
            if !std::mem::take(&mut progress.waits_for_disk) || progress.is_throttled() {
                continue;
            }
            let (id, prev) = (progress.id, progress.next - 1);
            if is_gone {
                self.maybe_send_snapshot(position);
                continue;
            }
            let range = (prev + 1, self.log.last());
            let wanted = self.log.join(entries, range, self.config.message_bytes_max);
            if let Some(term) = self.log.term(prev)
                && !wanted.is_empty()
            {
                self.send_entries(position, EntryId { term, index: prev }, wanted);
            }
            self.send_all(id);
        }
    }

    /// Sends a snapshot to those that wait for entries that are compacted.
    pub(crate) fn send_instead_of_compacted(&mut self) {
        let first = self.log.first();
        for position in 0..self.tracker.members().len() {
            let progress = &mut self.tracker.members_mut()[position];
            if progress.waits_for_disk && progress.next < first {
                progress.waits_for_disk = false;
                self.maybe_send_append(position, Empty::Send);
            }
        }
    }

    /// Sends entries as long as there are some and the member may be sent more.
    fn send_all(&mut self, to: u64) {
        if let Some(position) = self.position(to) {
            while self.maybe_send_append(position, Empty::Skip) {}
        }
    }

    fn entries_rejected(&mut self, response: &Message) {
        // The greatest entry there of a term not above the hint's: nothing behind it can match, for terms only rise
        // along a log.
        let hint = if response.log_term > 0 {
            self.log.find_conflict_by_term(response.reject_hint, response.log_term).index
        } else {
            response.reject_hint
        };
        let Some(progress) = self.tracker.progress_mut(response.from) else { return };
        progress.is_recently_active = true;
        if progress.reject(response.index, hint) {
            if progress.state == ProgressState::Replicate {
                progress.become_probe();
            }
            self.send_append(response.from);
        }
    }

    fn entries_acknowledged(&mut self, from: u64, index: u64) -> Result<(), Error> {
        if index > self.log.last() {
            return Err(Error::Malformed("an acknowledgement of entries that do not exist"));
        }
        let first = self.log.first();
        let Some(progress) = self.tracker.progress_mut(from) else { return Ok(()) };
        progress.is_recently_active = true;
        // An old one still ends a probe: the member answers again.
        let is_news = progress.acknowledge(index)
            || progress.matched == index && progress.state == ProgressState::Probe;
        if !is_news {
            return Ok(());
        }
        match progress.state {
            ProgressState::Probe => progress.become_replicate(),
            // Whatever snapshot it was, the log goes on from there.
            ProgressState::Snapshot if progress.matched + 1 >= first => {
                progress.become_probe();
                progress.become_replicate();
            }
            ProgressState::Snapshot => {}
            ProgressState::Replicate => progress.inflights.free_up_to(index),
        }
        let can_raise_commit = progress.can_raise_commit(self.log.committed());
        let is_other = from != self.id;
        if self.maybe_commit() {
            self.release_early_reads();
            self.broadcast_append();
        } else if is_other && can_raise_commit {
            self.send_append(from);
        }
        if is_other {
            self.send_all(from);
        }
        let has_all = self.tracker.progress(from).is_some_and(|progress| progress.matched == self.log.last());
        if from == self.transferee && has_all {
            self.send(message(MessageType::MsgTimeoutNow, from));
        }
        Ok(())
    }

    /// Commits what a majority holds, if it is of this term: an older entry could still be replaced.
    fn maybe_commit(&mut self) -> bool {
        self.log.maybe_commit(EntryId { term: self.term, index: self.tracker.committed() })
    }

    fn heartbeat_answered(&mut self, response: &Message) {
        let last = self.log.last();
        let Some(progress) = self.tracker.progress_mut(response.from) else { return };
        progress.is_recently_active = true;
        progress.is_paused = false;
        if progress.matched < last || progress.state == ProgressState::Probe {
            self.send_append(response.from);
        }
        let Some(number) = response.context.as_deref().and_then(number_of) else { return };
        self.reads.acknowledge(response.from, number);
        let confirmed = self.tracker.majority(|id| self.reads.acknowledged_by(id));
        for (commit, request) in self.reads.confirm(confirmed) {
            self.answer_read(request, commit);
        }
    }

    /// Finds an index for a read: a majority must confirm that this member still leads.
    pub(crate) fn lead_read(&mut self, request: ReadRequest) {
        if self.early_reads.len() + self.reads.len() >= READS_MAX {
            // Whoever asked asks again.
            return;
        }
        if !self.has_committed_in_term() {
            // The commit index may be behind what a leader before has acknowledged.
            self.early_reads.push(request);
        } else {
            self.begin_read(request);
        }
    }

    fn has_committed_in_term(&self) -> bool {
        self.log.committed() >= self.own_term_start
    }

    fn begin_read(&mut self, request: ReadRequest) {
        if self.tracker.has_sole_voter() && self.tracker.is_voter(self.id) {
            let commit = self.log.committed();
            return self.answer_read(request, commit);
        }
        self.reads.push(self.log.committed(), request);
        self.reads.acknowledge(self.id, self.reads.newest());
        self.broadcast_heartbeat();
    }

    fn release_early_reads(&mut self) {
        if self.has_committed_in_term() {
            std::mem::take(&mut self.early_reads).into_iter().for_each(|request| self.begin_read(request));
        }
    }

    fn answer_read(&mut self, request: ReadRequest, index: u64) {
        if request.from == self.id {
            let context = request.entries.into_iter().next().and_then(|entry| entry.data).unwrap_or_default();
            self.read_states.push(ReadState { index: LogIndex(index), context });
            return;
        }
        let answer = message(MessageType::MsgReadIndexResp, request.from);
        self.send(Message { index, entries: request.entries, ..answer });
    }

    pub(crate) fn peer_unreachable(&mut self, id: u64) {
        // What was sent ahead is probably lost.
        if let Some(progress) = self.tracker.progress_mut(id)
            && progress.state == ProgressState::Replicate
        {
            progress.become_probe();
        }
    }

    pub(crate) fn snapshot_ended(&mut self, id: u64, is_delivered: bool) {
        let Some(progress) = self.tracker.progress_mut(id) else { return };
        if progress.state != ProgressState::Snapshot {
            return;
        }
        if !is_delivered {
            // Else the probe would start behind a snapshot that is not there.
            progress.pending_snapshot = 0;
        }
        progress.become_probe();
        // Its answer, or the next heartbeat, goes before the next entries.
        progress.is_paused = true;
    }

    pub(crate) fn begin_transfer(&mut self, to: u64) {
        let last = self.log.last();
        let Some(progress) = self.tracker.progress(to) else { return };
        if progress.is_learner || self.transferee == to {
            return;
        }
        let has_all = progress.matched == last;
        self.transferee = 0;
        if to == self.id {
            return;
        }
        self.election_elapsed = 0;
        self.transferee = to;
        if has_all {
            self.send(message(MessageType::MsgTimeoutNow, to));
        } else {
            self.send_append(to);
        }
    }

    /// Acts on a new configuration: fewer members may commit more, and new ones are sent entries.
    pub(crate) fn configuration_changed(&mut self) {
        let is_voter = self.tracker.progress(self.id).is_some_and(|progress| !progress.is_learner);
        // A leader that was removed goes on until another one takes over, as in etcd.
        if self.role != Role::Leader || !is_voter {
            return;
        }
        if self.maybe_commit() {
            self.broadcast_append();
        } else {
            for position in 0..self.tracker.members().len() {
                if self.tracker.members()[position].id != self.id {
                    self.maybe_send_append(position, Empty::Skip);
                }
            }
        }
        if !self.tracker.is_voter(self.transferee) {
            self.transferee = 0;
        }
    }
}

/// Reads that may wait. Members ask for all of theirs together, twice a second, so these are never that many.
const READS_MAX: usize = 10_000;

/// What to do if there are no entries to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Empty {
    /// Tell the commit index alone.
    Send,
    /// Nothing.
    Skip,
}

/// Refuses what no leader can append: unknown kinds, and changes that cannot be read.
fn check_proposal(entry: &Entry) -> Result<(), Error> {
    match EntryType::try_from(entry.r#type) {
        Ok(EntryType::EntryNormal) => Ok(()),
        Ok(EntryType::EntryConfChange) => {
            let data = entry.data.clone().unwrap_or_default();
            ConfChange::decode(data).map(drop).map_err(|_| Error::Malformed("a change that cannot be read"))
        }
        _ => Err(Error::Malformed("a proposal of a kind that is not supported")),
    }
}
