//! Telling apart what the payload of a log entry may be. Source: `docs/formats/raft-entries.md 2`.

use crate::nested::decode_raft_request;
use bytes::Bytes;
use prost::Message;
use proto::etcdserverpb::InternalRaftRequest;
use proto::raftpb::{ConfChange, Entry, EntryType};
use proto::v2pb;

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
    match decode_raft_request(data.clone()) {
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
