//! What goes into a member and what comes out of it.

use apply::{Answer, Refusal};
use backend::{Event, FileState, Limits, Task};
use bytes::Bytes;
use membership::Change;
use proto::raftpb::Message;
use types::{LogIndex, MemberId, RequestId, Term, Version};
use vfs::Effect;

/// What a member is told. Time is not among it: it comes with [`crate::Member::poll_output`], and the ticks of
/// consensus are made from it, at most one a look (contract C13). So whoever drives a member hands over all messages
/// that have arrived before it polls.
#[derive(Debug)]
pub enum Input {
    /// Nothing but the time; answers a past [`Output::WakeAt`].
    Wake,
    /// Put a request into the log.
    Propose {
        /// Its identity, drawn from [`crate::Member::request_ids`] or an equal source.
        id: RequestId,
        /// The encoded `InternalRaftRequest`.
        data: Bytes,
    },
    /// Change the membership.
    ProposeChange {
        /// Its identity, as of any proposal.
        id: RequestId,
        /// The change; what is wrong with it shows when it is applied.
        change: Box<Change>,
    },
    /// Tell when a linearizable read may look at the newest view.
    ReadIndex(RequestId),
    /// A message from another member.
    Message(Box<Message>),
    /// A snapshot from the leader. The database that belongs to it is in the directory of snapshots already, durable,
    /// under the name of its index ([`snap::database_name`]).
    Snapshot(Box<Message>),
    /// How the delivery of an [`Output::SendSnapshot`] ended.
    SnapshotSent {
        /// The receiver.
        to: MemberId,
        /// Whether it has all of it.
        is_delivered: bool,
    },
    /// Messages to a member are being lost.
    Unreachable(MemberId),
    /// Hand the leadership over.
    TransferLeader(MemberId),
    /// The lowest release among all members, as they say themselves: how far a leader may raise the cluster version.
    MembersAllow(Version),
    /// The result of [`Output::PerformLog`].
    LogPerformed(vfs::Result<()>),
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
    /// Perform it and answer with [`Input::LogPerformed`].
    PerformLog(Effect),
    /// Hand it to the writer.
    Backend(Task),
    /// Send these to the members they are addressed to, in this order. They may be lost.
    Send(Vec<Message>),
    /// Send this snapshot, and answer with [`Input::SnapshotSent`].
    SendSnapshot(Box<OutgoingSnapshot>),
    /// Show this to readers, before any reply behind it (contract C5).
    Publish(Box<View>),
    /// Answer these requests.
    Replies(Vec<Reply>),
    /// These reads may look at the newest view.
    ReadsReady(Vec<RequestId>),
    /// The member knows itself and its cluster's version: clients may come. Once.
    Ready,
    /// Send [`Input::Wake`] at this time, in nanoseconds of the caller's clock.
    WakeAt(u64),
    /// Work is left that was put off so that entries need not wait: send [`Input::Wake`] soon.
    Continue,
    /// A snapshot from the leader is recorded, and takes the place of everything here: drop the member and its writer,
    /// and boot the directory again (decision 7). Requests under way have no answer. Nothing follows.
    Restart,
    /// The member cannot go on; the reason, one line. Nothing may be sent or written any more.
    Halt(String),
    /// Everything is durable; the member has ended.
    Stopped,
}

/// A snapshot for another member.
pub struct OutgoingSnapshot {
    /// The message, with index, term, members and the payload for older releases.
    pub message: Message,
    /// The state of the database at that index; its image goes with the message (contract C8).
    pub file: FileState,
}

impl std::fmt::Debug for OutgoingSnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let index = self.message.snapshot.as_ref().map(|snapshot| snapshot.metadata.index);
        write!(f, "OutgoingSnapshot(to {:x}, index {index:?})", self.message.to)
    }
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A result, equal on all members.
    Refused(Refusal),
    /// Nobody leads.
    NoLeader,
    /// Another member leads now: whether the request was done is not known.
    LeaderChanged,
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
    /// When to send heartbeats and to stand for election.
    pub timing: Timing,
    /// Entries between two snapshots (`--snapshot-count`).
    pub snapshot_count: u64,
    /// Entries before a snapshot that stay in the log, so that slow members need none.
    pub catch_up_entries: u64,
    /// When the buffer is cut.
    pub limits: Limits,
    /// Records looked at in one compaction transaction.
    pub compaction_batch_limit: usize,
}

impl Settings {
    /// The cluster version to bring the cluster to.
    pub(crate) fn target_version(&self) -> Version {
        self.hold.unwrap_or(types::ETCD_VERSION.level())
    }
}

/// The clock of consensus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Nanoseconds of one tick, which is the time between two heartbeats (`--heartbeat-interval`).
    pub tick_ns: u64,
    /// Ticks without a leader before an election (`--election-timeout`), at most doubled by chance.
    pub election_ticks: u64,
    /// Whether to ask before standing for election (`--pre-vote`).
    pub has_pre_vote: bool,
}

impl Default for Timing {
    /// etcd's: heartbeats every 100 ms, elections after a second.
    fn default() -> Self {
        Self { tick_ns: 100_000_000, election_ticks: 10, has_pre_vote: true }
    }
}
