//! Members, cluster version, downgrade: configuration changes and the requests that the cluster makes to itself.

use crate::answer::{Answer, Refusal, Reply};
use crate::applier::{Applier, Effect};
use crate::inspect::changes_nothing;
use crate::kv::Outcome;
use crate::{Error, Result};
use backend::{Bucket, META_STORAGE_VERSION};
use membership::{Change, Downgrade, Rejection, V2Request, Write};
use proto::etcdserverpb::InternalRaftRequest;
use proto::raftpb::ConfChange;
use proto::v2pb;
use types::{Dialect, LogIndex, MemberId, RequestId, Version};

impl Applier {
    /// A request that is none about keys, leases or alarms.
    pub(crate) fn cluster_request(&mut self, index: LogIndex, request: InternalRaftRequest) -> Outcome {
        if let Some(set) = request.cluster_version_set {
            let version = set.ver.parse().map_err(|error| unknown(index, error))?;
            self.set_cluster_version(index, version)?;
        } else if let Some(set) = request.cluster_member_attr_set {
            let attributes = set.member_attributes.unwrap_or_default();
            self.set_attributes(index, MemberId(set.member_id), attributes.name, attributes.client_urls)?;
        } else if let Some(set) = request.downgrade_info_set {
            let target = if set.enabled {
                Some(set.ver.parse().map_err(|error| unknown(index, error))?)
            } else {
                None
            };
            let write = self.cluster.set_downgrade(Downgrade { target });
            self.write(write);
        } else if !changes_nothing(&request) {
            return Err(unknown(index, "it is of a kind that this release does not know"));
        }
        Ok(Ok(self.answer(Vec::new())))
    }

    pub(crate) fn v2_request(&mut self, index: LogIndex, request: &v2pb::Request) -> Result<()> {
        let request = V2Request::parse(&request.method, &request.path, &request.val);
        match request.map_err(|error| unknown(index, error))? {
            V2Request::MemberAttributes { id, name, client_urls } => {
                self.set_attributes(index, id, name, client_urls)
            }
            V2Request::ClusterVersion(version) => self.set_cluster_version(index, version),
        }
    }

    pub(crate) fn conf_change(&mut self, index: LogIndex, change: &ConfChange) -> Result<Option<Reply>> {
        let id = RequestId(change.id.unwrap_or_default());
        if change.node_id == 0 {
            // Refused when it was applied first; consensus was told of member 0 instead.
            return Ok(None);
        }
        let mut applied = change.clone();
        let change = Change::from_conf_change(change).map_err(|error| unknown(index, error))?;
        let result = match self.cluster.apply(change, self.options.max_learners) {
            Ok(writes) => {
                writes.into_iter().for_each(|write| self.write(write));
                let json = membership::conf_state_to_json(&self.cluster.conf_state());
                self.conf_state = Some(json.into());
                Ok(Answer { revision: 0, body: Default::default() })
            }
            Err(rejection) => {
                applied.node_id = 0;
                Err(refusal(rejection))
            }
        };
        self.effects.push(Effect::ConfApplied(applied));
        Ok(Some(Reply { id, result }))
    }

    fn set_attributes(
        &mut self,
        index: LogIndex,
        id: MemberId,
        name: String,
        client_urls: Vec<String>,
    ) -> Result<()> {
        let write =
            self.cluster.set_attributes(id, name, client_urls).map_err(|error| unknown(index, error))?;
        write.into_iter().for_each(|write| self.write(write));
        Ok(())
    }

    /// Storage version and entry forms follow the cluster version at once, in the same entry (contract C10).
    fn set_cluster_version(&mut self, index: LogIndex, version: Version) -> Result<()> {
        if version.level() > types::ETCD_VERSION.level() {
            // Nobody knows what such a cluster may say next; etcd ends here as well.
            return Err(unknown(index, format!("it raises the cluster version to {version}")));
        }
        let write = self.cluster.set_version(version);
        self.write(write);
        let after = Dialect::new(Some(version));
        self.align_storage_version();
        if after.writes_term_and_conf_state() && self.conf_state.is_none() {
            self.conf_state = Some(membership::conf_state_to_json(&self.cluster.conf_state()).into());
        }
        Ok(())
    }

    /// Brings the storage version to the cluster version, where that has one. Also due at a start: the process that
    /// raised the cluster version may have ended before the storage version followed.
    pub(crate) fn align_storage_version(&mut self) {
        let Some(version) = self.cluster.version() else { return };
        if Dialect::new(Some(version)).writes_storage_version() && self.storage_version != Some(version) {
            self.storage_version = Some(version);
            self.buffer.put(Bucket::Meta, META_STORAGE_VERSION, version.to_string());
        }
    }

    fn write(&mut self, write: Write) {
        self.cluster_changed = true;
        match write.value {
            Some(value) => self.buffer.put(write.bucket, write.key, value),
            None => self.buffer.delete(write.bucket, write.key),
        }
    }
}

fn unknown(index: LogIndex, reason: impl ToString) -> Error {
    Error::UnknownEntry { index, reason: reason.to_string() }
}

fn refusal(rejection: Rejection) -> Refusal {
    match rejection {
        Rejection::IdRemoved | Rejection::IdNotFound => Refusal::MemberNotFound,
        Rejection::IdExists => Refusal::MemberExists,
        Rejection::PeerUrlExists => Refusal::PeerUrlsExist,
        Rejection::NotLearner => Refusal::NotALearner,
        Rejection::TooManyLearners => Refusal::TooManyLearners,
    }
}
