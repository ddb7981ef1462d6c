//! Telling apart what the payload of a log entry may be. Source: docs/formats, raft entries 2.

use bytes::Bytes;
use prost::Message;
use proto::etcdserverpb::InternalRaftRequest;
use proto::raftpb::{ConfChange, ConfChangeType, Entry, EntryType};
use proto::v2pb;
use types::MemberId;

/// A decoded payload.
#[derive(Clone, Debug)]
pub enum Payload {
    /// A leader's first entry, or a refused configuration change.
    Empty,
    /// A request of the third API.
    Request(Box<InternalRaftRequest>),
    /// A request of the second API: member attributes and the cluster version in logs of 3.4 and 3.5.
    V2(Box<v2pb::Request>),
    /// A configuration change.
    ConfChange(Box<ConfChange>),
}

/// Decodes the payload of `entry`.
///
/// # Errors
/// In words, if it is none of the known kinds.
pub fn decode_payload(entry: &Entry) -> Result<Payload, String> {
    let data = entry.data.clone().unwrap_or_default();
    match EntryType::try_from(entry.r#type) {
        Ok(EntryType::EntryNormal) if data.is_empty() => Ok(Payload::Empty),
        Ok(EntryType::EntryNormal) => decode_request(data),
        Ok(EntryType::EntryConfChange) => ConfChange::decode(data)
            .map(|change| Payload::ConfChange(Box::new(change)))
            .map_err(|error| format!("malformed configuration change: {error}")),
        Ok(EntryType::EntryConfChangeV2) => {
            Err("configuration changes of the second form are not supported".into())
        }
        Err(_) => Err(format!("unknown entry type {}", entry.r#type)),
    }
}

fn decode_request(data: Bytes) -> Result<Payload, String> {
    match InternalRaftRequest::decode(data.clone()) {
        Ok(request) if request.v2.is_empty() => Ok(Payload::Request(Box::new(request))),
        Ok(request) => decode_v2(request.v2),
        // The text "PUT" of a v2 request stands where a message is expected, so it cannot be a request of ours.
        Err(error) => decode_v2(data).map_err(|v2| format!("malformed request: {error}; {v2}")),
    }
}

fn decode_v2(data: Bytes) -> Result<Payload, String> {
    let request = v2pb::Request::decode(data).map_err(|error| format!("malformed v2 request: {error}"))?;
    Ok(Payload::V2(Box::new(request)))
}

/// Says why a payload cannot be served by this release, for the check before a directory is opened; `None` if it can.
pub fn unsupported(payload: &Payload, own: MemberId) -> Option<String> {
    match payload {
        Payload::Empty => None,
        Payload::V2(request) => membership::V2Request::parse(&request.method, &request.path, &request.val)
            .err()
            .map(|error| format!("a v2 request: {error}")),
        Payload::ConfChange(change) => {
            let known = matches!(
                ConfChangeType::try_from(change.r#type),
                Ok(ConfChangeType::ConfChangeAddNode | ConfChangeType::ConfChangeUpdateNode)
            );
            // Id 0 is a change that was refused when it was applied.
            (change.node_id != 0 && !(known && change.node_id == own.0)).then(|| {
                format!("a change of member {:x}; more than one member is not supported yet", change.node_id)
            })
        }
        Payload::Request(request) => unsupported_request(request),
    }
}

fn unsupported_request(request: &InternalRaftRequest) -> Option<String> {
    let auth = request.auth_enable.is_some()
        || request.auth_disable.is_some()
        || request.auth_user_add.is_some()
        || request.auth_user_delete.is_some()
        || request.auth_user_change_password.is_some()
        || request.auth_user_grant_role.is_some()
        || request.auth_user_revoke_role.is_some()
        || request.auth_role_add.is_some()
        || request.auth_role_delete.is_some()
        || request.auth_role_grant_permission.is_some()
        || request.auth_role_revoke_permission.is_some();
    if auth {
        return Some("a change of users or roles; auth is not supported yet".into());
    }
    if request.downgrade_info_set.as_ref().is_some_and(|downgrade| downgrade.enabled) {
        return Some("a downgrade; downgrades are not supported yet".into());
    }
    let known = request.range.is_some()
        || request.put.is_some()
        || request.delete_range.is_some()
        || request.txn.is_some()
        || request.compaction.is_some()
        || request.lease_grant.is_some()
        || request.lease_revoke.is_some()
        || request.lease_checkpoint.is_some()
        || request.alarm.is_some()
        || request.auth_status.is_some()
        || request.authenticate.is_some()
        || request.auth_user_get.is_some()
        || request.auth_user_list.is_some()
        || request.auth_role_get.is_some()
        || request.auth_role_list.is_some()
        || request.cluster_version_set.is_some()
        || request.cluster_member_attr_set.is_some()
        || request.downgrade_info_set.is_some();
    (!known).then(|| "a request of a kind that is not known".into())
}
