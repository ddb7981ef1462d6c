//! The three stages together, and the duties of a leader.

use crate::apply_stage::ApplyStage;
use crate::log::{LogEvent, LogStage, LogStep, LogTask};
use apply::{Answer, Refusal};
use backend::{Event, Limits, Task};
use bytes::Bytes;
use membership::V2Request;
use prost::Message;
use proto::etcdserverpb::{AlarmRequest, AlarmType, InternalRaftRequest, RequestHeader, alarm_request};
use proto::membershippb;
use raft::{Raft, Role};
use std::collections::VecDeque;
use types::{Dialect, LogIndex, MemberId, RequestId, RequestIds, Term, Version};
use vfs::SyncTarget;

/// What a member is told.
#[derive(Debug)]
pub enum Input {
    /// Nothing but the time; answers a past [`Output::WakeAt`].
    Wake,
    /// Put a request into the log.
    Propose {
        /// Its identity, drawn from [`Member::request_ids`] or an equal source.
        id: RequestId,
        /// The encoded `InternalRaftRequest`.
        data: Bytes,
    },
    /// Tell when a linearizable read may look at the newest view.
    ReadIndex(RequestId),
    /// The result of [`Output::SyncLog`].
    LogSynced(vfs::Result<()>),
    /// The backend's writer has finished something.
    Backend(BackendEvent),
    /// Finish what is under way, make it durable, and stop.
    Stop,
}

/// An event of the writer, without a `Debug` of its pages.
pub struct BackendEvent(pub Event);

impl std::fmt::Debug for BackendEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Event::Committed { .. } => "Committed",
            Event::CompactionBatch { .. } => "CompactionBatch",
            Event::Compacted { .. } => "Compacted",
        })
    }
}

/// What a member wants done, in this order.
#[derive(Debug)]
pub enum Output {
    /// Perform it and answer with [`Input::LogSynced`].
    SyncLog(SyncTarget),
    /// Hand it to the writer.
    Backend(Task),
    /// Show this to readers, before any reply behind it (contract C5).
    Publish(Box<View>),
    /// Answer these requests.
    Replies(Vec<Reply>),
    /// These reads may look at the newest view.
    ReadsReady(Vec<RequestId>),
    /// The member leads, knows itself and its cluster's version: clients may come. Once.
    Ready,
    /// Send [`Input::Wake`] at this time, in nanoseconds of the caller's clock.
    WakeAt(u64),
    /// Work is left that was put off so that entries need not wait: send [`Input::Wake`] soon.
    Continue,
    /// The member cannot go on; the reason, one line. Nothing may be sent or written any more.
    Halt(String),
    /// Everything is durable; the member has ended.
    Stopped,
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A result, equal on all members.
    Refused(Refusal),
    /// Nobody leads.
    NoLeader,
    /// Too much waits already.
    TooManyRequests,
    /// The member is stopping.
    Stopped,
}

/// The outcome of one request.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Which request.
    pub id: RequestId,
    /// Its outcome.
    pub result: Result<Answer, Failure>,
}

/// What readers see: the state machine's view and where consensus stands. Immutable (contract C5).
#[derive(Clone)]
pub struct View {
    /// The state.
    pub state: apply::View,
    /// The term.
    pub term: Term,
    /// The leader, if known.
    pub leader: Option<MemberId>,
    /// Last committed entry.
    pub commit: LogIndex,
    /// A linearizable read may use this view without asking anyone: this member is the sole voter, leads, and has
    /// applied an entry of its own term. Whatever was acknowledged to anyone was published here before.
    pub serves_linearizable: bool,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let revision = self.state.store.revision();
        write!(f, "View(revision {revision}, applied {}, term {})", self.state.applied, self.term)
    }
}

/// Settings of a member that do not change while it runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This member.
    pub own: MemberId,
    /// Its name (`--name`).
    pub name: String,
    /// The URLs it tells clients (`--advertise-client-urls`).
    pub client_urls: Vec<String>,
    /// The version to hold the cluster at (`--hold-cluster-version`); otherwise it is raised to our own level.
    pub hold: Option<Version>,
    /// Entries between two snapshots (`--snapshot-count`).
    pub snapshot_count: u64,
    /// When the buffer is cut.
    pub limits: Limits,
    /// Records looked at in one compaction transaction.
    pub compaction_batch_limit: usize,
}

impl Settings {
    /// The cluster version to bring the cluster to.
    fn target_version(&self) -> Version {
        self.hold.unwrap_or(types::ETCD_VERSION.level())
    }
}

/// Entries committed and not applied at which proposals are refused, as in etcd.
const BACKLOG_ENTRIES_MAX: u64 = 5000;
/// Bytes proposed and not yet applied at which proposals are refused (contract C7).
const UNAPPLIED_BYTES_MAX: usize = 256 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    Running,
    Stopping,
    /// Everything is applied and in the file; the log is being closed.
    Closing,
    Ended,
}

/// One member.
pub struct Member {
    settings: Settings,
    ids: RequestIds,
    raft: Raft,
    log: LogStage,
    apply: ApplyStage,
    outputs: VecDeque<Output>,
    replies: Vec<Reply>,
    reads: Vec<(LogIndex, RequestId)>,
    reads_without_index: Vec<RequestId>,
    proposed_bytes: usize,
    syncing_bytes: usize,
    phase: Phase,
    log_waits: bool,
    has_asked_to_continue: bool,
    duties_proposed: bool,
    published: Option<(LogIndex, u64)>,
    wake_at: Option<u64>,
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
            reads: Vec::new(),
            reads_without_index: Vec::new(),
            proposed_bytes: 0,
            syncing_bytes: 0,
            phase: Phase::Starting,
            log_waits: false,
            has_asked_to_continue: false,
            duties_proposed: false,
            published: None,
            wake_at: None,
        }
    }

    /// The source of request identities; the shell takes its own share by cloning ranges, the simulator draws here.
    pub fn request_ids(&mut self) -> &mut RequestIds {
        &mut self.ids
    }

    /// Takes an input at time `now` (nanoseconds of the caller's monotonic clock). Several inputs may be handed over
    /// before the outputs are polled: they become one batch.
    pub fn handle(&mut self, input: Input) {
        if self.phase == Phase::Ended {
            return;
        }
        self.has_asked_to_continue = false;
        match input {
            Input::Wake => {}
            Input::Propose { id, data } => self.propose(id, data),
            Input::ReadIndex(id) => self.reads_without_index.push(id),
            Input::LogSynced(result) => self.log_synced(result),
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

    /// Works until nothing more can be done without an input, then returns the outputs one by one.
    pub fn poll_output(&mut self, now: u64) -> Option<Output> {
        if self.outputs.is_empty() && self.phase != Phase::Ended {
            self.work(now);
        }
        self.outputs.pop_front()
    }

    /// Where consensus stands.
    pub fn status(&self) -> raft::Status {
        self.raft.status()
    }

    /// The state machine, for checks.
    pub fn applier(&self) -> &apply::Applier {
        self.apply.applier()
    }

    fn propose(&mut self, id: RequestId, data: Bytes) {
        let status = self.raft.status();
        let backlog = status.commit.0 - self.apply.applier().applied().0.0;
        let failure = if matches!(self.phase, Phase::Stopping | Phase::Closing) {
            Failure::Stopped
        } else if backlog > BACKLOG_ENTRIES_MAX || self.unapplied_bytes() > UNAPPLIED_BYTES_MAX {
            Failure::TooManyRequests
        } else {
            let bytes = data.len();
            match self.raft.propose(data) {
                Ok(_) => {
                    self.proposed_bytes += bytes;
                    return;
                }
                Err(_) => Failure::NoLeader,
            }
        };
        self.replies.push(Reply { id, result: Err(failure) });
    }

    fn unapplied_bytes(&self) -> usize {
        self.proposed_bytes + self.syncing_bytes + self.apply.waiting_bytes()
    }

    fn log_synced(&mut self, result: vfs::Result<()>) {
        self.log_waits = false;
        match result {
            Ok(()) => self.step_log(),
            Err(error) => self.halt(format!("cannot make the log durable: {error}")),
        }
    }

    fn step_log(&mut self) {
        while !self.log_waits && self.phase != Phase::Ended {
            match self.log.step(Ok(())) {
                LogStep::Sync(target) => {
                    self.log_waits = true;
                    self.outputs.push_back(Output::SyncLog(target));
                }
                LogStep::Event(LogEvent::Persisted { last, messages }) => {
                    self.syncing_bytes = 0;
                    self.raft.persisted(last);
                    messages.iter().for_each(|message| self.raft.step(message));
                }
                LogStep::Event(LogEvent::SnapshotSaved) => {}
                LogStep::Event(LogEvent::Closed) => {
                    self.phase = Phase::Ended;
                    self.outputs.push_back(Output::Stopped);
                }
                LogStep::Idle => return,
                LogStep::Failed(error) => return self.halt(format!("cannot write the log: {error}")),
            }
        }
    }

    /// Passes over the stages until an output or quiet. Replies go out before the next sync is asked for, so that a
    /// shell that blocks in the sync does not hold them up.
    fn work(&mut self, now: u64) {
        loop {
            self.leader_duties();
            let has_ready = self.take_ready();
            if let Err(error) = self.run_apply(now) {
                return self.halt(error.to_string());
            }
            if let Some(conf_state) = self.apply.take_configuration()
                && let Err(error) = self.raft.conf_applied(&conf_state)
            {
                return self.halt(error.to_string());
            }
            self.finish_pass();
            self.step_log();
            if self.phase == Phase::Ended || !has_ready || !self.outputs.is_empty() {
                return;
            }
        }
    }

    fn take_ready(&mut self) -> bool {
        let Some(ready) = self.raft.ready() else { return false };
        if let Some(persist) = ready.persist {
            self.syncing_bytes = std::mem::take(&mut self.proposed_bytes);
            self.log.submit(LogTask::Persist(persist));
        }
        self.apply.take(ready.committed);
        true
    }

    fn run_apply(&mut self, now: u64) -> apply::Result<()> {
        let replies = self.apply.run(now)?;
        self.replies.extend(replies);
        self.apply.tick(now);
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
            let mut hard_state = self.raft.hard_state();
            hard_state.commit = hard_state.commit.max(snapshot.metadata.index);
            self.log.submit(LogTask::Snapshot { hard_state, snapshot: Box::new(snapshot) });
        }
        Ok(())
    }

    /// Publication before replies, then the rest (contract C5).
    fn finish_pass(&mut self) {
        self.publish_if_changed();
        if !self.replies.is_empty() {
            self.outputs.push_back(Output::Replies(std::mem::take(&mut self.replies)));
        }
        self.answer_reads();
        self.announce_ready();
        let wake_at = self.apply.wake_at();
        if wake_at != self.wake_at {
            self.wake_at = wake_at;
            self.outputs.extend(wake_at.map(Output::WakeAt));
        }
        if self.phase == Phase::Stopping && self.is_quiet() {
            self.phase = Phase::Closing;
            self.log.submit(LogTask::Close(self.raft.hard_state()));
        }
    }

    /// Whether everything proposed is durable, applied, and in the file.
    fn is_quiet(&self) -> bool {
        let status = self.raft.status();
        let applied = self.apply.applier().applied().0;
        let is_applied = status.last == status.commit && status.commit == applied;
        is_applied && self.apply.is_settled() && self.log.is_idle() && !self.log_waits
    }

    fn publish_if_changed(&mut self) {
        let status = self.raft.status();
        let applied = self.apply.applier().applied().0;
        let now_published = (applied, status.term.0);
        if self.published == Some(now_published) {
            return;
        }
        self.published = Some(now_published);
        let view = View {
            state: self.apply.publish(),
            term: status.term,
            leader: status.leader,
            commit: status.commit,
            serves_linearizable: status.has_committed_in_term && applied >= status.own_term_start,
        };
        self.outputs.push_back(Output::Publish(Box::new(view)));
    }

    fn answer_reads(&mut self) {
        let status = self.raft.status();
        if status.has_committed_in_term {
            let waiting = std::mem::take(&mut self.reads_without_index);
            self.reads.extend(waiting.into_iter().map(|id| (status.commit, id)));
        }
        let applied = self.apply.applier().applied().0;
        let ready: Vec<RequestId> =
            self.reads.extract_if(.., |(index, _)| *index <= applied).map(|(_, id)| id).collect();
        if !ready.is_empty() {
            self.outputs.push_back(Output::ReadsReady(ready));
        }
    }

    /// A leader tells the cluster its own attributes and brings it to its version, through the log as everything.
    fn leader_duties(&mut self) {
        let status = self.raft.status();
        if status.role != Role::Leader || matches!(self.phase, Phase::Stopping | Phase::Closing) {
            return;
        }
        if !self.duties_proposed && status.has_committed_in_term && self.has_applied_all(&status) {
            self.duties_proposed = true;
            self.propose_attributes();
            self.propose_version();
        }
        if self.apply.take_no_space_alarm() && !self.apply.applier().has_no_space_alarm() {
            self.propose_own(InternalRaftRequest {
                alarm: Some(AlarmRequest {
                    action: alarm_request::AlarmAction::Activate as i32,
                    member_id: self.settings.own.0,
                    alarm: AlarmType::Nospace as i32,
                }),
                ..InternalRaftRequest::default()
            });
        }
    }

    fn has_applied_all(&self, status: &raft::Status) -> bool {
        self.apply.applier().applied().0 >= status.commit
    }

    fn propose_attributes(&mut self) {
        let attributes = membershippb::Attributes {
            name: self.settings.name.clone(),
            client_urls: self.settings.client_urls.clone(),
        };
        if self.dialect().proposes_v2_requests() {
            let membershippb::Attributes { name, client_urls } = attributes;
            return self.propose_v2(&V2Request::MemberAttributes {
                id: self.settings.own,
                name,
                client_urls,
            });
        }
        self.propose_own(InternalRaftRequest {
            cluster_member_attr_set: Some(membershippb::ClusterMemberAttrSetRequest {
                member_id: self.settings.own.0,
                member_attributes: Some(attributes),
            }),
            ..InternalRaftRequest::default()
        });
    }

    fn propose_version(&mut self) {
        let target = self.settings.target_version();
        if self.apply.applier().cluster().version().is_some_and(|version| version >= target) {
            return;
        }
        if self.dialect().proposes_v2_requests() {
            return self.propose_v2(&V2Request::ClusterVersion(target));
        }
        let ver = target.to_string();
        self.propose_own(InternalRaftRequest {
            cluster_version_set: Some(membershippb::ClusterVersionSetRequest { ver }),
            ..InternalRaftRequest::default()
        });
    }

    fn propose_v2(&mut self, request: &V2Request) {
        let id = self.ids.next_id();
        self.propose(id, request.to_message(id).encode_to_vec().into());
    }

    /// The forms to propose in: those of the version that the cluster is brought to, which no older one reads any more.
    fn dialect(&self) -> Dialect {
        Dialect::new(Some(self.settings.target_version()))
    }

    fn propose_own(&mut self, request: InternalRaftRequest) {
        let id = self.ids.next_id();
        let header = RequestHeader { id: id.0, ..RequestHeader::default() };
        let request = InternalRaftRequest { header: Some(header), ..request };
        self.propose(id, request.encode_to_vec().into());
    }

    fn announce_ready(&mut self) {
        if self.phase != Phase::Starting || !self.duties_proposed {
            return;
        }
        let cluster = self.apply.applier().cluster();
        let knows_itself = cluster.member(self.settings.own).is_some_and(|member| {
            member.name == self.settings.name && member.client_urls == self.settings.client_urls
        });
        let knows_version =
            cluster.version().is_some_and(|version| version >= self.settings.target_version());
        if knows_itself && knows_version {
            self.phase = Phase::Running;
            self.outputs.push_back(Output::Ready);
        }
    }

    fn halt(&mut self, reason: String) {
        self.phase = Phase::Ended;
        self.outputs.push_back(Output::Halt(reason));
    }
}
