//! What a member proposes by itself: its own attributes, and as leader the cluster's version and alarms.

use crate::io::Failure;
use crate::member::{Member, Phase};
use bytes::Bytes;
use membership::V2Request;
use prost::Message;
use proto::etcdserverpb::{AlarmRequest, AlarmType, InternalRaftRequest, RequestHeader, alarm_request};
use proto::membershippb;
use raft::{Role, Status};
use types::{Dialect, Version};

/// Nanoseconds after which the own attributes are proposed again: as long as a request may take.
const PUBLISH_RETRY_NS: u64 = 7_000_000_000;

/// How far a member is with them.
#[derive(Debug, Default)]
pub(crate) struct Duties {
    /// When the own attributes were proposed.
    published_at: Option<u64>,
    /// The own attributes were applied since the start.
    is_published: bool,
    /// The version that was proposed in this term.
    proposed_version: Option<(u64, Version)>,
    /// How far all members let the version rise; a sole voter decides alone.
    pub allowed: Option<Version>,
}

impl Duties {
    /// When a proposal is to be repeated.
    pub fn retry_at(&self) -> Option<u64> {
        let published_at = self.published_at.filter(|_| !self.is_published)?;
        Some(published_at + PUBLISH_RETRY_NS)
    }
}

impl Member {
    /// Proposes what is due, through the log as everything.
    pub(crate) fn propose_duties(&mut self, now: u64) {
        let status = self.raft.status();
        if matches!(self.phase, Phase::Stopping | Phase::Closing) {
            return;
        }
        self.duties.is_published |= self.duties.published_at.is_some() && self.knows_itself();
        let is_due = self.duties.published_at.is_none() || self.duties.retry_at().is_some_and(|at| at <= now);
        // At the own place in the log: the proposal may rest on everything before.
        if !self.duties.is_published
            && is_due
            && self.is_current(&status)
            && self.propose_attributes().is_ok()
        {
            self.duties.published_at = Some(now);
        }
        if status.role == Role::Leader && self.is_current(&status) {
            self.propose_version(&status);
            self.propose_alarm();
        }
    }

    /// Whether what is applied here is what the group has committed, as far as it is known, under a leader that can
    /// commit.
    fn is_current(&self, status: &Status) -> bool {
        let is_led = status.leader.is_some() && (status.role != Role::Leader || status.has_committed_in_term);
        is_led && self.apply.applier().applied().0 >= status.commit
    }

    /// Whether the cluster knows this member as it is configured.
    pub(crate) fn knows_itself(&self) -> bool {
        self.apply.applier().cluster().member(self.settings.own).is_some_and(|member| {
            member.name == self.settings.name && member.client_urls == self.settings.client_urls
        })
    }

    /// Whether everything is there that clients may ask for.
    pub(crate) fn is_published(&self) -> bool {
        let version = self.apply.applier().cluster().version();
        self.duties.is_published && version.is_some_and(|version| Some(version) >= self.target_version())
    }

    /// The version to bring the cluster to, as far as it is known.
    fn target_version(&self) -> Option<Version> {
        let own = self.settings.target_version();
        if self.raft.is_sole_voter() {
            Some(own)
        } else {
            self.duties.allowed.map(|allowed| allowed.min(own))
        }
    }

    fn propose_attributes(&mut self) -> Result<(), Failure> {
        let attributes = membershippb::Attributes {
            name: self.settings.name.clone(),
            client_urls: self.settings.client_urls.clone(),
        };
        if self.dialect().proposes_v2_requests() {
            let membershippb::Attributes { name, client_urls } = attributes;
            let id = self.settings.own;
            return self.propose_v2(&V2Request::MemberAttributes { id, name, client_urls });
        }
        self.propose_own(InternalRaftRequest {
            cluster_member_attr_set: Some(membershippb::ClusterMemberAttrSetRequest {
                member_id: self.settings.own.0,
                member_attributes: Some(attributes),
            }),
            ..InternalRaftRequest::default()
        })
    }

    fn propose_version(&mut self, status: &Status) {
        let Some(target) = self.target_version() else { return };
        let is_reached = self.apply.applier().cluster().version().is_some_and(|version| version >= target);
        let attempt = Some((status.term.0, target));
        if is_reached || self.duties.proposed_version == attempt {
            return;
        }
        let proposed = if self.dialect().proposes_v2_requests() {
            self.propose_v2(&V2Request::ClusterVersion(target))
        } else {
            self.propose_own(InternalRaftRequest {
                cluster_version_set: Some(membershippb::ClusterVersionSetRequest { ver: target.to_string() }),
                ..InternalRaftRequest::default()
            })
        };
        if proposed.is_ok() {
            self.duties.proposed_version = attempt;
        }
    }

    fn propose_alarm(&mut self) {
        if !self.apply.take_no_space_alarm() || self.apply.applier().has_no_space_alarm() {
            return;
        }
        // Nobody waits for it; the next write that finds no space asks again.
        let _ = self.propose_own(InternalRaftRequest {
            alarm: Some(AlarmRequest {
                action: alarm_request::AlarmAction::Activate as i32,
                member_id: self.settings.own.0,
                alarm: AlarmType::Nospace as i32,
            }),
            ..InternalRaftRequest::default()
        });
    }

    fn propose_v2(&mut self, request: &V2Request) -> Result<(), Failure> {
        let id = self.ids.next_id();
        self.propose_data(request.to_message(id).encode_to_vec().into())
    }

    /// The forms to propose in: those of the version that the cluster is brought to, which no older one reads any more.
    fn dialect(&self) -> Dialect {
        Dialect::new(self.target_version().or(self.apply.applier().cluster().version()))
    }

    fn propose_own(&mut self, request: InternalRaftRequest) -> Result<(), Failure> {
        let id = self.ids.next_id();
        let header = RequestHeader { id: id.0, ..RequestHeader::default() };
        let request = InternalRaftRequest { header: Some(header), ..request };
        let data: Bytes = request.encode_to_vec().into();
        self.propose_data(data)
    }
}
