//! The state that entries change, and the order in which it becomes visible.

use crate::access::{Auth, Identity};
use crate::alarm::Alarm;
use crate::answer::{Answer, Refusal, Reply};
use crate::entry::{Payload, decode_payload};
use crate::lease::Leases;
use crate::quota::Quota;
use crate::{Error, Result};
use backend::{Buffer, Consistent, Data, FileState, Frozen};
use bytes::Bytes;
use membership::Cluster;
use mvcc::Store;
use proto::etcdserverpb::InternalRaftRequest;
use proto::raftpb::{ConfChange, Entry};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use types::{Dialect, LogIndex, MemberId, RequestId, Term, Version};

/// Settings that apply needs.
#[derive(Clone, Debug)]
pub struct Options {
    /// This member.
    pub own: MemberId,
    /// The space quota.
    pub quota: Quota,
    /// Smallest time to live that a lease is granted, in seconds. From local timing flags, so members may differ
    /// (contract C23), as they do in etcd.
    pub min_lease_ttl: i64,
    /// Most learners that a cluster may have (`--max-learners`).
    pub max_learners: usize,
}

/// The state as the backend held it at the start.
pub struct Restored {
    /// Keys.
    pub store: Store,
    /// Leases with their keys.
    pub leases: Leases,
    /// Active alarms.
    pub alarms: BTreeSet<Alarm>,
    /// Members, versions, downgrade.
    pub cluster: Cluster,
    /// The storage version, if the backend has one.
    pub storage_version: Option<Version>,
    /// Consistent index of the backend, and the term of that entry in the log: older releases store none.
    pub applied: (LogIndex, Term),
    /// The last request of the second API in the log, applied or not.
    pub last_v2: Option<LogIndex>,
    /// The committed state of the file.
    pub file: FileState,
}

/// What the rest of the member must do because of an entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A compaction at this revision was accepted: freeze, then run its index part and its deletes. The reply to
    /// `waits` is sent when its deletes are done.
    Compact {
        /// The revision compacted at.
        revision: i64,
        /// The request that waits for the deletes, if one does.
        waits: Option<RequestId>,
    },
    /// The quota was exceeded: propose a NOSPACE alarm for this member.
    RaiseNoSpace,
    /// A change of the configuration was applied, or refused: then its member is 0. Consensus is to be told.
    ConfApplied(ConfChange),
}

/// What readers see: one immutable whole (contract C5).
#[derive(Clone)]
pub struct View {
    /// The keys.
    pub store: mvcc::View,
    /// Members and versions.
    pub cluster: Arc<Cluster>,
    /// Active alarms.
    pub alarms: Arc<BTreeSet<Alarm>>,
    /// Who may read.
    pub auth: Arc<Auth>,
    /// The storage version, if the backend has one.
    pub storage_version: Option<Version>,
    /// The last entry applied.
    pub applied: LogIndex,
    /// Bytes that wait in buffers.
    pub buffered_bytes: u64,
}

/// The state machine.
pub struct Applier {
    pub(crate) options: Options,
    pub(crate) store: Store,
    pub(crate) buffer: Buffer,
    pub(crate) data: Arc<Data>,
    pub(crate) leases: Leases,
    pub(crate) alarms: BTreeSet<Alarm>,
    pub(crate) auth: Arc<Auth>,
    pub(crate) cluster: Cluster,
    pub(crate) storage_version: Option<Version>,
    pub(crate) effects: Vec<Effect>,
    frozen: VecDeque<Arc<Frozen>>,
    frozen_bytes: usize,
    file: FileState,
    durable: LogIndex,
    applied: LogIndex,
    applied_term: Term,
    pub(crate) conf_state: Option<Bytes>,
    published_cluster: Option<Arc<Cluster>>,
    published_alarms: Option<Arc<BTreeSet<Alarm>>>,
    pub(crate) cluster_changed: bool,
    last_v2: Option<LogIndex>,
}

impl Applier {
    /// Takes up the restored state.
    pub fn new(options: Options, restored: Restored) -> Self {
        let Restored { store, leases, alarms, cluster, storage_version, applied, last_v2, file } = restored;
        let buffer = Buffer::default();
        let data = Arc::new(Data::new(file.clone(), vec![buffer.segment().clone()]));
        let mut applier = Self {
            options,
            store,
            buffer,
            data,
            leases,
            alarms,
            auth: Arc::default(),
            cluster,
            storage_version,
            effects: Vec::new(),
            frozen: VecDeque::new(),
            frozen_bytes: 0,
            file,
            durable: applied.0,
            applied: applied.0,
            applied_term: applied.1,
            conf_state: None,
            published_cluster: None,
            published_alarms: None,
            cluster_changed: false,
            last_v2,
        };
        applier.align_storage_version();
        applier
    }

    /// Applies a committed entry, whose index follows the last one's; returns the reply for whoever asked.
    ///
    /// # Errors
    /// The member cannot go on; nothing of the entry may become durable.
    ///
    /// # Panics
    /// If the index does not follow.
    pub fn apply(&mut self, entry: &Entry) -> Result<Option<Reply>> {
        assert_eq!(entry.index, self.applied.0 + 1, "entries are applied in order, each once");
        let index = LogIndex(entry.index);
        let payload = decode_payload(entry).map_err(|reason| Error::UnknownEntry { index, reason })?;
        let reply = match payload {
            Payload::Empty => None,
            Payload::Request(request) => self.request(index, *request)?,
            Payload::V2(request) => {
                self.v2_request(index, &request)?;
                self.last_v2 = Some(index);
                None
            }
            Payload::ConfChange(change) => self.conf_change(index, &change)?,
        };
        self.applied = index;
        self.applied_term = Term(entry.term);
        Ok(reply)
    }

    fn request(&mut self, index: LogIndex, request: InternalRaftRequest) -> Result<Option<Reply>> {
        let id = RequestId(request.header.as_ref().map_or(request.id, |header| header.id));
        let identity = request.header.as_ref().map(Identity::from).unwrap_or_default();
        let outcome = if let Some(put) = request.put {
            self.put(&identity, put)?
        } else if let Some(txn) = request.txn {
            self.txn(&identity, txn)?
        } else if let Some(delete) = request.delete_range {
            self.delete_range(&identity, &delete)?
        } else if let Some(compaction) = request.compaction {
            match self.compaction(&compaction, id) {
                Some(outcome) => outcome,
                None => return Ok(None),
            }
        } else if let Some(grant) = request.lease_grant {
            self.lease_grant(&grant)
        } else if let Some(revoke) = request.lease_revoke {
            self.lease_revoke(&revoke)?
        } else if let Some(checkpoint) = request.lease_checkpoint {
            Ok(self.lease_checkpoint(&checkpoint))
        } else if let Some(alarm) = request.alarm {
            self.alarm(&alarm)
        } else {
            self.cluster_request(index, request)?
        };
        Ok(Some(Reply { id, result: outcome }))
    }

    /// The answer with the current revision.
    pub(crate) fn answer(&self, body: Vec<u8>) -> Answer {
        Answer { revision: self.store.revision(), body: body.into() }
    }

    /// The answer to something that was applied although it may not have fitted: the caller is told so and an alarm
    /// is asked for. The check looks at the local file, so members may answer differently; the state is the same
    /// (contract C23).
    pub(crate) fn answer_if_fits(
        &mut self,
        fits: bool,
        body: Vec<u8>,
    ) -> std::result::Result<Answer, Refusal> {
        if fits {
            return Ok(self.answer(body));
        }
        self.effects.push(Effect::RaiseNoSpace);
        Err(Refusal::NoSpace)
    }

    pub(crate) fn fits(&self, cost: u64) -> bool {
        self.options.quota.allows(self.used_bytes(), cost)
    }

    /// File and buffers together, in bytes (contract C7).
    fn used_bytes(&self) -> u64 {
        self.file.size_bytes() + self.buffered_bytes()
    }

    /// Bytes that wait in buffers.
    pub fn buffered_bytes(&self) -> u64 {
        (self.buffer.bytes() + self.frozen_bytes) as u64
    }

    /// Changes in the buffer since the last freeze.
    pub fn buffered_operations(&self) -> usize {
        self.buffer.operations()
    }

    /// The last entry applied, with its term.
    pub fn applied(&self) -> (LogIndex, Term) {
        (self.applied, self.applied_term)
    }

    /// The index, for the steps of a compaction.
    pub fn index(&self) -> &Arc<mvcc::Index> {
        self.store.index()
    }

    /// Members, versions, downgrade.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The store's revision.
    pub fn revision(&self) -> i64 {
        self.store.revision()
    }

    /// Whether a NOSPACE alarm is active on this member.
    pub fn has_no_space_alarm(&self) -> bool {
        let kind = proto::etcdserverpb::AlarmType::Nospace as i32;
        self.alarms.contains(&Alarm { member: self.options.own.0, kind })
    }

    /// The last entry that the file holds durably.
    pub fn durable_index(&self) -> LogIndex {
        self.durable
    }

    /// The last entry that was cut into a frozen buffer, or that the file held at the start.
    pub fn frozen_index(&self) -> LogIndex {
        self.frozen.back().map_or(self.durable, |frozen| frozen.consistent.index)
    }

    /// The forms that the cluster understands.
    pub fn dialect(&self) -> Dialect {
        Dialect::new(self.cluster.version())
    }

    /// The entry that a snapshot must put behind it because releases of this cluster version do not read it: the last
    /// request of the second API, from level 3.6 on (etcd 3.7 panics on them; `docs/formats/wal.md 10`).
    pub fn last_unreadable(&self) -> Option<LogIndex> {
        let is_decided = self.cluster.version().is_some();
        self.last_v2.filter(|_| is_decided && !self.dialect().proposes_v2_requests())
    }

    /// What the entries since the last call want done.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Cuts the buffer behind the last applied entry; the result becomes one bolt transaction. Readers go on seeing it.
    pub fn freeze(&mut self) -> Arc<Frozen> {
        let term = self.dialect().writes_term_and_conf_state().then_some(self.applied_term);
        let conf_state = self.conf_state.take();
        let frozen = self.buffer.freeze(Consistent { index: self.applied, term, conf_state });
        self.frozen_bytes += frozen.bytes();
        self.frozen.push_back(frozen.clone());
        self.rebuild_data();
        frozen
    }

    /// The oldest frozen buffer, whose last entry is `index`, is durable in `file`.
    ///
    /// # Panics
    /// If it is not the oldest: commits keep their order.
    pub fn committed(&mut self, file: FileState, index: LogIndex) {
        let oldest = self.frozen.pop_front().expect("a commit belongs to a frozen buffer");
        assert_eq!(oldest.consistent.index, index, "commits keep their order");
        self.frozen_bytes -= oldest.bytes();
        self.durable = index;
        self.set_file(file);
    }

    /// The file changed without a commit: a compaction batch.
    pub fn set_file(&mut self, file: FileState) {
        self.file = file;
        self.rebuild_data();
    }

    fn rebuild_data(&mut self) {
        let mut segments: Vec<_> = self.frozen.iter().map(|frozen| frozen.segment().clone()).collect();
        segments.push(self.buffer.segment().clone());
        self.data = Arc::new(Data::new(self.file.clone(), segments));
    }

    /// What readers may see now. To be published once per batch of whole entries.
    pub fn publish(&mut self) -> View {
        if std::mem::take(&mut self.cluster_changed) {
            self.published_cluster = None;
        }
        if self.published_alarms.as_deref() != Some(&self.alarms) {
            self.published_alarms = None;
        }
        let cluster = self.published_cluster.get_or_insert_with(|| Arc::new(self.cluster.clone()));
        let alarms = self.published_alarms.get_or_insert_with(|| Arc::new(self.alarms.clone()));
        View {
            store: self.store.view(self.data.clone()),
            cluster: cluster.clone(),
            alarms: alarms.clone(),
            auth: self.auth.clone(),
            storage_version: self.storage_version,
            applied: self.applied,
            buffered_bytes: self.buffered_bytes(),
        }
    }
}
