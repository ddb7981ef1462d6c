//! The first entries of a new group.

use bytes::Bytes;
use prost::Message;
use proto::raftpb::{ConfChange, ConfChangeType, Entry, EntryType, HardState};
use types::MemberId;

/// A member of a new group.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The member.
    pub id: MemberId,
    /// What the state machine needs to know of it.
    pub context: Bytes,
}

/// The log that every member of a new group starts with: an entry that adds each, in the given order, all committed
/// in term 1. They must be equal on all members.
///
/// Source: `RawNode.Bootstrap` of go.etcd.io/raft/v3.
pub fn bootstrap(peers: &[Peer]) -> (HardState, Vec<Entry>) {
    let entries = (1..).zip(peers).map(|(index, peer)| {
        let change = ConfChange {
            id: None,
            r#type: ConfChangeType::ConfChangeAddNode as i32,
            node_id: peer.id.0,
            context: Some(peer.context.clone()),
        };
        let data = Some(change.encode_to_vec().into());
        Entry { r#type: EntryType::EntryConfChange as i32, term: 1, index, data }
    });
    (HardState { term: 1, vote: 0, commit: peers.len() as u64 }, entries.collect())
}
