//! What a member starts from, what it hands out, and why it refuses.

use crate::progress::InflightLimits;
use proto::raftpb::{ConfState, Entry, HardState, Message, Snapshot};
use types::{LogIndex, MemberId, Term};

/// What a member is configured with.
#[derive(Clone, Debug)]
pub struct Config {
    /// This member.
    pub id: MemberId,
    /// Ticks without a leader after which a member may stand for election; each waits for a random time from this up
    /// to twice as much.
    pub election_ticks: u64,
    /// Ticks between two heartbeats of a leader.
    pub heartbeat_ticks: u64,
    /// Whether to ask before standing, so that a member that was cut off deposes nobody.
    pub has_pre_vote: bool,
    /// Whether a leader that hears from no majority steps down, and others trust it meanwhile.
    pub checks_quorum: bool,
    /// Encoded bytes of entries in one message; one entry goes in any case.
    pub message_bytes_max: u64,
    /// Encoded bytes of entries on the way to apply.
    pub applying_bytes_max: u64,
    /// Payload bytes of proposals that are not applied yet; one proposal is taken in any case.
    pub uncommitted_bytes_max: u64,
    /// What may be under way to one follower.
    pub inflight: InflightLimits,
    /// Bytes of entries to keep in memory as far as they are durable (contract C16); the largest number keeps all.
    pub cache_bytes_max: u64,
    /// From which the election timeouts are drawn.
    pub seed: u64,
}

impl Config {
    /// The settings of etcd with its default intervals: 10 ticks of 100 ms, a heartbeat each.
    ///
    /// Source: facts of etcd 3.7, `raft.Config` of the server.
    pub fn new(id: MemberId) -> Self {
        Self {
            id,
            election_ticks: 10,
            heartbeat_ticks: 1,
            has_pre_vote: true,
            checks_quorum: true,
            message_bytes_max: 1 << 20,
            applying_bytes_max: 1 << 20,
            uncommitted_bytes_max: u64::MAX,
            inflight: InflightLimits { messages: 512, bytes: 64 << 20 },
            cache_bytes_max: 64 << 20,
            seed: id.0,
        }
    }
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
    /// The log does not fit the hard state, the snapshot, the applied index, or what a leader says is committed. The
    /// member must stop: something that was acknowledged is lost.
    #[error("the log does not fit its state: {0}")]
    BrokenLog(String),
    /// The configuration cannot be. The member must stop.
    #[error("the configuration is not valid: {0}")]
    Configuration(String),
    /// There is no leader, or it cannot take proposals now.
    #[error("no leader takes proposals")]
    NoLeader,
    /// Too much is proposed and not applied yet.
    #[error("too many bytes are proposed and not applied")]
    TooMuchUncommitted,
    /// A message that no member sends.
    #[error("malformed message: {0}")]
    Malformed(&'static str),
    /// An answer from a member outside of the configuration.
    #[error("answer from {0}, which is not a member")]
    UnknownMember(MemberId),
}

impl Error {
    /// Whether the member cannot go on.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Error::BrokenLog(_) | Error::Configuration(_))
    }
}

/// The part a member plays in its term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Follows a leader or waits for one.
    Follower,
    /// Asks whether it could win an election.
    PreCandidate,
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
    /// Last entry in the log, durable or not.
    pub last: LogIndex,
    /// The leader has committed an entry of its own term, so reads may be answered.
    pub has_committed_in_term: bool,
    /// The first entry of this leader's own term; the largest index there is while this member does not lead.
    pub own_term_start: LogIndex,
    /// The member that leadership is being handed to.
    pub transferee: Option<MemberId>,
}

/// What must become durable together, in this order: snapshot, entries, hard state.
#[derive(Clone, Debug)]
pub struct Persist {
    /// The new hard state, if it changed.
    pub hard_state: Option<HardState>,
    /// A snapshot to put in place of log and state machine.
    pub snapshot: Option<Snapshot>,
    /// New entries. The first may replace one that was persisted before, with all behind it.
    pub entries: Vec<Entry>,
    /// Whether it must be durable before the completion; else the hard state alone may be lost.
    pub must_sync: bool,
    /// To hand back when all of it is durable.
    pub completion: Completion,
}

/// Named by what was written; to be handed to [`crate::Raft::persisted`] in the order of the [`Persist`]s.
#[derive(Clone, Debug)]
pub struct Completion {
    /// The term it was handed out in.
    pub(crate) term: Term,
    /// The last entry of the log, if any was not durable.
    pub(crate) last: Option<(Term, LogIndex)>,
    /// The snapshot in it.
    pub(crate) snapshot: Option<LogIndex>,
    /// What may leave only now.
    pub(crate) messages: Vec<Message>,
}

impl Completion {
    /// The index of the snapshot that was to be put in place, if there was one.
    pub fn snapshot(&self) -> Option<LogIndex> {
        self.snapshot
    }

    /// Answers that may leave only when everything is durable (contract C3).
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }
}

/// An index that a linearizable read may look at, once it is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadState {
    /// The index.
    pub index: LogIndex,
    /// As it was given to [`crate::Raft::read_index`].
    pub context: bytes::Bytes,
}

/// Entries to read back from disk (contract C16): answered by [`crate::Raft::entries_read`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskRead {
    /// The first one.
    pub from: LogIndex,
    /// The last one that may be wanted.
    pub until: LogIndex,
    /// Encoded bytes after which to stop; at least one entry.
    pub bytes_max: u64,
    /// The first index of each run of entries of one term among them, and the term; ascending. On disk there may also
    /// be entries of other terms, which were replaced.
    pub terms: Vec<(u64, u64)>,
}
