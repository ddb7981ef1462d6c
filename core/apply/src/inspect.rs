//! Looks at entries before they are applied: whether this release can serve what they say.
//!
//! A start inspects everything that it would apply before it changes anything in the directory, so that a directory is
//! either served or left as it was.

use crate::entry::Payload;
use membership::{Change, Cluster, V2Request};
use proto::etcdserverpb::InternalRaftRequest;
use proto::raftpb::ConfChange;
use types::{MemberId, Version};

/// Follows the entries of a log from the state in the backend on, as far as they concern the cluster.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// This member.
    pub own: MemberId,
    /// Members and version as the backend has them; moved on by each payload.
    pub cluster: Cluster,
    /// The highest cluster version that may be served, and why not a higher one, as in "held at".
    pub version_max: (Version, &'static str),
    /// Most learners that a cluster may have (`--max-learners`).
    pub max_learners: usize,
    /// Whether there may be other members.
    pub serves_clusters: bool,
}

impl Inspection {
    /// Takes the next payload.
    ///
    /// # Errors
    /// In words that follow "log entry N is": why it cannot be served.
    pub fn take(&mut self, payload: &Payload) -> Result<(), String> {
        match payload {
            Payload::Empty => Ok(()),
            Payload::V2(request) => {
                let request = V2Request::parse(&request.method, &request.path, &request.val);
                match request.map_err(|error| format!("a v2 request: {error}"))? {
                    V2Request::MemberAttributes { id, name, client_urls } => {
                        self.attributes(id, name, client_urls)
                    }
                    V2Request::ClusterVersion(version) => self.version(version),
                }
            }
            Payload::ConfChange(change) => self.conf_change(change),
            Payload::Request(request) => self.request(request),
        }
    }

    fn conf_change(&mut self, change: &ConfChange) -> Result<(), String> {
        if change.node_id == 0 {
            // Refused when it was applied first.
            return Ok(());
        }
        let change = Change::from_conf_change(change)
            .map_err(|error| format!("a malformed change of the membership: {error}"))?;
        let id = change.id();
        // A rejected change is no obstacle: it changes nothing here either.
        let _ = self.cluster.apply(change, self.max_learners);
        let is_sole_voter = self.cluster.members().len() == 1
            && self.cluster.member(self.own).is_some_and(|member| !member.is_learner);
        if is_sole_voter || self.serves_clusters {
            return Ok(());
        }
        Err(format!("a change of member {id}; anything but one voter is not supported yet"))
    }

    fn request(&mut self, request: &InternalRaftRequest) -> Result<(), String> {
        if changes_auth(request) {
            return Err("a change of users or roles; auth is not supported yet".into());
        }
        if request.downgrade_info_set.as_ref().is_some_and(|downgrade| downgrade.enabled) {
            return Err("a downgrade; downgrades are not supported yet".into());
        }
        if let Some(set) = &request.cluster_version_set {
            let version = set.ver.parse().map_err(|error| format!("a cluster version: {error}"))?;
            return self.version(version);
        }
        if let Some(set) = &request.cluster_member_attr_set {
            let attributes = set.member_attributes.clone().unwrap_or_default();
            return self.attributes(MemberId(set.member_id), attributes.name, attributes.client_urls);
        }
        if is_known(request) { Ok(()) } else { Err("a request of a kind that is not known".into()) }
    }

    fn attributes(&mut self, id: MemberId, name: String, client_urls: Vec<String>) -> Result<(), String> {
        let set = self.cluster.set_attributes(id, name, client_urls);
        set.map(drop).map_err(|error| format!("a change of attributes: {error}"))
    }

    fn version(&mut self, version: Version) -> Result<(), String> {
        let (max, why) = self.version_max;
        if version.level() > max.level() {
            return Err(format!("a raise of the cluster version to {version}, above {why} {max}"));
        }
        self.cluster.set_version(version);
        Ok(())
    }
}

fn changes_auth(request: &InternalRaftRequest) -> bool {
    request.auth_enable.is_some()
        || request.auth_disable.is_some()
        || request.auth_user_add.is_some()
        || request.auth_user_delete.is_some()
        || request.auth_user_change_password.is_some()
        || request.auth_user_grant_role.is_some()
        || request.auth_user_revoke_role.is_some()
        || request.auth_role_add.is_some()
        || request.auth_role_delete.is_some()
        || request.auth_role_grant_permission.is_some()
        || request.auth_role_revoke_permission.is_some()
}

fn is_known(request: &InternalRaftRequest) -> bool {
    request.put.is_some()
        || request.delete_range.is_some()
        || request.txn.is_some()
        || request.compaction.is_some()
        || request.lease_grant.is_some()
        || request.lease_revoke.is_some()
        || request.lease_checkpoint.is_some()
        || request.alarm.is_some()
        || request.downgrade_info_set.is_some()
        || changes_nothing(request)
}

/// Requests that change nothing and are answered, if at all, by the member that proposed them.
pub(crate) fn changes_nothing(request: &InternalRaftRequest) -> bool {
    request.range.is_some()
        || request.auth_status.is_some()
        || request.authenticate.is_some()
        || request.auth_user_get.is_some()
        || request.auth_user_list.is_some()
        || request.auth_role_get.is_some()
        || request.auth_role_list.is_some()
        || request.downgrade_version_test.is_some()
}
