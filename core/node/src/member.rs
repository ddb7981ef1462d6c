//! The three stages together.

use crate::apply_stage::ApplyStage;
use crate::duties::Duties;
use crate::io::{BackendEvent, Failure, Input, Output, Reply, Settings, View};
use crate::log::{LogEvent, LogStage, LogStep, LogTask};
use crate::reads::Reads;
use crate::transfer::Transfers;
use bytes::Bytes;
use membership::Change;
use proto::raftpb::{Message, MessageType, Snapshot};
use raft::{Raft, Role};
use std::collections::VecDeque;
use types::{LogIndex, MemberId, RequestId, RequestIds};
use vfs::Effect;

/// Entries committed and not applied at which proposals are refused, as in etcd.
const BACKLOG_ENTRIES_MAX: u64 = 5000;
/// Bytes proposed and not yet applied at which proposals are refused (contract C7).
pub(crate) const UNAPPLIED_BYTES_MAX: u64 = 256 << 20;

/// Nanoseconds from the removal of a member until it ends.
///
/// Source: etcd's server waits as long for its last messages to leave.
const LEAVE_NS: u64 = 1_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Starting,
    Running,
    Stopping,
    /// Everything is applied and in the file; the log is being closed.
    Closing,
    Ended,
}

/// What the log waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// A sync: if it fails, nothing is known about the log.
    Sync,
    /// A rename or a lock: if it fails, it has not happened.
    Other,
}

/// One member.
pub struct Member {
    pub(crate) settings: Settings,
    pub(crate) ids: RequestIds,
    pub(crate) raft: Raft,
    log: LogStage,
    pub(crate) apply: ApplyStage,
    pub(crate) outputs: VecDeque<Output>,
    replies: Vec<Reply>,
    reads: Reads,
    pub(crate) transfers: Transfers,
    pub(crate) duties: Duties,
    pub(crate) phase: Phase,
    log_waits: Option<Wait>,
    has_asked_to_continue: bool,
    published: Option<(LogIndex, u64, Option<MemberId>)>,
    last_leader: Option<MemberId>,
    tick_at: Option<u64>,
    wake_at: Option<u64>,
    /// When a member that was removed ends: first it lets the others learn of it.
    leaves_at: Option<u64>,
    /// Why the member cannot go on; told by the next output.
    failure: Option<String>,
}

impl Member {
    pub(crate) fn new(
        settings: Settings,
        ids: RequestIds,
        raft: Raft,
        log: LogStage,
        apply: ApplyStage,
    ) -> Self {
        Self {
            settings,
            ids,
            raft,
            log,
            apply,
            outputs: VecDeque::new(),
            replies: Vec::new(),
            reads: Reads::default(),
            transfers: Transfers::default(),
            duties: Duties::default(),
            phase: Phase::Starting,
            log_waits: None,
            has_asked_to_continue: false,
            published: None,
            last_leader: None,
            tick_at: None,
            wake_at: None,
            leaves_at: None,
            failure: None,
        }
    }

    /// The source of request identities; the shell takes its own share by cloning ranges, the simulator draws here.
    pub fn request_ids(&mut self) -> &mut RequestIds {
        &mut self.ids
    }

    /// Takes an input. Several inputs may be handed over before the outputs are polled: they become one batch.
    pub fn handle(&mut self, input: Input) {
        if self.phase == Phase::Ended {
            return;
        }
        self.has_asked_to_continue = false;
        match input {
            Input::Wake => {}
            Input::Propose { id, data } => self.propose(id, data),
            Input::ProposeChange { id, change } => self.propose_change(id, &change),
            Input::ReadIndex(id) => self.reads.push(id),
            // A snapshot without its database would leave a log that begins behind the backend.
            Input::Message(message) if message.r#type() == MessageType::MsgSnap => {}
            Input::Message(message) | Input::Snapshot(message) => self.step(*message),
            Input::SnapshotSent { to, is_delivered } => self.snapshot_sent(to, is_delivered),
            Input::Unreachable(id) => self.raft.report_unreachable(id),
            Input::TransferLeader(to) => self.raft.transfer_leader(to),
            Input::MembersAllow(version) => self.duties.allowed = Some(version),
            Input::LogPerformed(result) => self.log_performed(result),
            Input::Backend(BackendEvent(event)) => {
                let replies = self.apply.backend_event(event);
                self.replies.extend(replies);
                // The file behind the views changed.
                self.published = None;
            }
            Input::Stop if self.phase != Phase::Closing => self.phase = Phase::Stopping,
            Input::Stop => {}
        }
    }

    /// Works until nothing more can be done without an input, then returns the outputs one by one. `now` is in
    /// nanoseconds of the caller's monotonic clock.
    pub fn poll_output(&mut self, now: u64) -> Option<Output> {
        if self.outputs.is_empty() && self.phase != Phase::Ended {
            if self.failure.is_none() {
                self.tick_if_due(now);
                self.work(now);
            }
            if let Some(reason) = self.failure.take() {
                self.phase = Phase::Ended;
                self.outputs.push_back(Output::Halt(reason));
            }
        }
        self.outputs.pop_front()
    }

    /// Where consensus stands.
    pub fn status(&self) -> raft::Status {
        self.raft.status()
    }

    /// Consensus, for checks.
    pub fn raft(&self) -> &Raft {
        &self.raft
    }

    /// The state machine, for checks.
    pub fn applier(&self) -> &apply::Applier {
        self.apply.applier()
    }

    fn propose(&mut self, id: RequestId, data: Bytes) {
        if let Err(failure) = self.may_propose().and_then(|()| self.propose_data(data)) {
            self.replies.push(Reply { id, result: Err(failure) });
        }
    }

    fn propose_change(&mut self, id: RequestId, change: &Change) {
        let change = change.to_conf_change(Some(id));
        let proposed = self
            .may_propose()
            .and_then(|()| self.raft.propose_conf_change(&change).map_err(|error| failure_of(&error)));
        if let Err(failure) = proposed {
            self.replies.push(Reply { id, result: Err(failure) });
        }
    }

    fn may_propose(&self) -> Result<(), Failure> {
        let backlog = self.raft.status().commit.0 - self.apply.applier().applied().0.0;
        if matches!(self.phase, Phase::Stopping | Phase::Closing) {
            Err(Failure::Stopped)
        } else if backlog > BACKLOG_ENTRIES_MAX {
            Err(Failure::TooManyRequests)
        } else {
            Ok(())
        }
    }

    pub(crate) fn propose_data(&mut self, data: Bytes) -> Result<(), Failure> {
        self.raft.propose(data).map_err(|error| failure_of(&error))
    }

    fn step(&mut self, message: Message) {
        // Whatever else is wrong with it concerns the message alone, which is dropped.
        if let Err(error) = self.raft.step(message)
            && error.is_fatal()
        {
            self.halt(error.to_string());
        }
    }

    /// Gives consensus its tick: at most one, however late the look is, and only behind the messages that came before
    /// (contract C13). A member without others needs none.
    fn tick_if_due(&mut self, now: u64) {
        if self.raft.is_sole_voter() && self.raft.progress().len() == 1 {
            self.tick_at = None;
            return;
        }
        match self.tick_at {
            Some(at) if at > now => return,
            Some(_) => self.raft.tick(),
            None => {}
        }
        self.tick_at = Some(now + self.settings.timing.tick_ns);
    }

    fn log_performed(&mut self, result: vfs::Result<()>) {
        match (self.log_waits.take(), result) {
            (Some(Wait::Sync), Err(error)) => self.halt(format!("cannot make the log durable: {error}")),
            // What a failed rename or lock means, the job knows.
            (_, result) => self.step_log(result),
        }
    }

    /// Goes on with the log; `resume` is the result of what it waited for.
    fn step_log(&mut self, resume: vfs::Result<()>) {
        let mut resume = resume;
        while self.log_waits.is_none() && self.failure.is_none() && self.phase != Phase::Ended {
            match self.log.step(std::mem::replace(&mut resume, Ok(()))) {
                LogStep::Perform(effect) => {
                    let is_sync = matches!(effect, Effect::SyncData(_) | Effect::SyncDir(_));
                    self.log_waits = Some(if is_sync { Wait::Sync } else { Wait::Other });
                    self.outputs.push_back(Output::PerformLog(effect));
                }
                LogStep::Event(LogEvent::Persisted(completion)) => self.persisted(completion),
                LogStep::Event(LogEvent::Read(entries)) => {
                    if let Err(error) = self.raft.entries_read(&entries) {
                        self.halt(error.to_string());
                    }
                }
                LogStep::Event(LogEvent::SnapshotSaved { metadata, until }) => {
                    self.raft.compact(Snapshot { data: None, metadata }, until);
                }
                LogStep::Event(LogEvent::Closed) => {
                    self.phase = Phase::Ended;
                    self.outputs.push_back(Output::Stopped);
                    return;
                }
                LogStep::Idle => return,
                LogStep::Failed(error) => return self.halt(format!("cannot write the log: {error}")),
            }
        }
    }

    fn persisted(&mut self, completion: raft::Completion) {
        let has_snapshot = completion.snapshot().is_some();
        match self.raft.persisted(completion) {
            Ok(messages) => self.send(messages),
            Err(error) => return self.halt(error.to_string()),
        }
        if has_snapshot {
            self.phase = Phase::Ended;
            self.outputs.push_back(Output::Restart);
        }
    }

    /// Passes over the stages until an output or quiet. Replies go out before the next sync is asked for, so that a
    /// shell that blocks in the sync does not hold them up.
    fn work(&mut self, now: u64) {
        loop {
            self.stand_if_sole();
            self.propose_duties(now);
            self.ask_for_reads(now);
            let has_news = self.take_from_raft();
            if let Err(reason) = self.run_apply(now) {
                return self.halt(reason);
            }
            self.finish_pass(now);
            self.step_log(Ok(()));
            let is_ended = self.phase == Phase::Ended || self.failure.is_some();
            if is_ended || !has_news || !self.outputs.is_empty() {
                return;
            }
        }
    }

    /// Nobody could answer a sole voter, so it need not wait for anybody.
    fn stand_if_sole(&mut self) {
        if self.raft.is_sole_voter() && self.raft.status().role == Role::Follower {
            self.raft.campaign();
        }
    }

    fn ask_for_reads(&mut self, now: u64) {
        let leader = self.raft.status().leader;
        if leader.is_some() && leader != self.last_leader {
            if self.last_leader.is_some() {
                let failed = self.reads.take_round().into_iter();
                self.replies.extend(failed.map(|id| Reply { id, result: Err(Failure::LeaderChanged) }));
            }
            self.last_leader = leader;
        }
        if self.reads.wants_to_ask(now) {
            let context = self.reads.ask(now, self.ids.next_id());
            self.raft.read_index(context);
        }
    }

    /// Takes what is new from consensus; false if nothing is.
    fn take_from_raft(&mut self) -> bool {
        let messages = self.raft.take_messages();
        let mut has_news = !messages.is_empty();
        self.send(messages);
        // One batch at a time: what comes meanwhile becomes the next one.
        if self.log.is_idle()
            && self.raft.needs_persist()
            && let Some(persist) = self.raft.take_persist()
        {
            has_news = true;
            if persist.must_sync {
                self.log.submit(LogTask::Persist(Box::new(persist)));
            } else {
                // Answers alone, which rest on what is durable already.
                self.persisted(persist.completion);
            }
        }
        if self.log.is_idle()
            && let Some(read) = self.raft.take_disk_read()
        {
            has_news = true;
            self.log.submit(LogTask::Read(read));
        }
        for state in self.raft.take_reads() {
            has_news = true;
            self.reads.answered(&state);
        }
        let committed = self.raft.take_committed();
        has_news |= !committed.is_empty();
        self.apply.take(committed);
        has_news
    }

    fn run_apply(&mut self, now: u64) -> Result<(), String> {
        let replies = self.apply.run(now).map_err(|error| error.to_string())?;
        self.replies.extend(replies);
        for change in self.apply.take_changes() {
            self.raft.apply_conf_change(&change).map_err(|error| error.to_string())?;
        }
        if self.apply.applier().cluster().is_removed(self.settings.own) {
            let at = *self.leaves_at.get_or_insert(now + LEAVE_NS);
            if at <= now {
                return Err("the member was removed from its cluster for good".into());
            }
        }
        self.raft.applied(self.apply.applier().applied().0);
        self.apply.tick(now);
        self.send_snapshots();
        // One step between two inputs: they must not wait for the whole index.
        if !self.has_asked_to_continue && self.apply.step_compaction() {
            self.has_asked_to_continue = true;
            self.outputs.push_back(Output::Continue);
        }
        if self.phase == Phase::Stopping {
            self.apply.cut_for_stop();
        }
        self.outputs.extend(self.apply.take_tasks().into_iter().map(Output::Backend));
        if let Some(snapshot) = self.apply.take_snapshot() {
            let mut hard_state = self.raft.hard_state_of_log();
            hard_state.commit = hard_state.commit.max(snapshot.metadata.index);
            let until = self.superfluous_until(LogIndex(snapshot.metadata.index));
            self.log.submit(LogTask::Snapshot { hard_state, snapshot: Box::new(snapshot), until });
        }
        Ok(())
    }

    /// Publication before replies, then the rest (contract C5).
    fn finish_pass(&mut self, now: u64) {
        self.publish_if_changed();
        if !self.replies.is_empty() {
            self.outputs.push_back(Output::Replies(std::mem::take(&mut self.replies)));
        }
        let ready = self.reads.take_ready(self.apply.applier().applied().0);
        if !ready.is_empty() {
            self.outputs.push_back(Output::ReadsReady(ready));
        }
        if self.phase == Phase::Starting && self.is_published() {
            self.phase = Phase::Running;
            self.outputs.push_back(Output::Ready);
        }
        // What was due already could not be done yet: something else will show when it can.
        let times = [
            self.apply.wake_at(),
            self.tick_at,
            self.reads.retry_at(),
            self.duties.retry_at(),
            self.leaves_at,
        ];
        let wake_at = times.into_iter().flatten().filter(|at| *at > now).min();
        if wake_at != self.wake_at {
            self.wake_at = wake_at;
            self.outputs.extend(wake_at.map(Output::WakeAt));
        }
        if self.phase == Phase::Stopping && self.is_quiet() {
            self.phase = Phase::Closing;
            self.log.submit(LogTask::Close(self.raft.hard_state_of_log()));
        }
    }

    /// Whether everything proposed is durable, applied, and in the file.
    fn is_quiet(&self) -> bool {
        let status = self.raft.status();
        let applied = self.apply.applier().applied().0;
        // Whether the end of the log is ever committed is not for this member alone to say.
        let is_complete = status.last == status.commit || !self.raft.is_sole_voter();
        let is_applied = is_complete && status.commit == applied;
        is_applied && self.apply.is_settled() && self.log.is_idle() && self.log_waits.is_none()
    }

    fn publish_if_changed(&mut self) {
        let status = self.raft.status();
        let applied = self.apply.applier().applied().0;
        let now_published = (applied, status.term.0, status.leader);
        if self.published == Some(now_published) {
            return;
        }
        self.published = Some(now_published);
        let is_current = status.has_committed_in_term && applied >= status.own_term_start;
        let view = View {
            state: self.apply.publish(),
            term: status.term,
            leader: status.leader,
            commit: status.commit,
            serves_linearizable: is_current && self.raft.is_sole_voter(),
        };
        self.outputs.push_back(Output::Publish(Box::new(view)));
    }

    fn halt(&mut self, reason: String) {
        self.failure.get_or_insert(reason);
    }
}

fn failure_of(error: &raft::Error) -> Failure {
    match error {
        raft::Error::TooMuchUncommitted => Failure::TooManyRequests,
        _ => Failure::NoLeader,
    }
}
