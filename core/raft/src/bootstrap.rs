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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_entries_are_those_of_etcd() {
        let peer = |id| Peer { id: MemberId(id), context: Bytes::from_static(b"{}") };
        let (hard_state, entries) = bootstrap(&[peer(3), peer(7)]);
        assert_eq!(hard_state, HardState { term: 1, vote: 0, commit: 2 });
        let places: Vec<_> = entries.iter().map(|entry| (entry.term, entry.index, entry.r#type)).collect();
        assert_eq!(places, [(1, 1, 1), (1, 2, 1)]);
        // As etcd 3.7 writes it: type, member and context; no id.
        let data = entries[1].data.as_deref().map(stdx::hex::encode);
        assert_eq!(data.as_deref(), Some("1000180722027b7d"));
    }
}
