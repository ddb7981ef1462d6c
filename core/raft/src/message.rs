//! Kinds of messages and how they are made.

use proto::raftpb::{Message, MessageType};

/// What a vote request of a leader's chosen successor carries: it may be granted although a leader is there.
pub(crate) const CAMPAIGN_TRANSFER: &[u8] = b"CampaignTransfer";

/// A message to `to`; sender and term are filled in when it is sent.
pub(crate) fn message(kind: MessageType, to: u64) -> Message {
    Message { r#type: kind as i32, to, ..Message::default() }
}

/// Whether only a member itself makes such messages; from others they are refused.
pub(crate) fn is_local(kind: MessageType) -> bool {
    matches!(
        kind,
        MessageType::MsgHup
            | MessageType::MsgBeat
            | MessageType::MsgUnreachable
            | MessageType::MsgSnapStatus
            | MessageType::MsgCheckQuorum
            | MessageType::MsgStorageAppend
            | MessageType::MsgStorageAppendResp
            | MessageType::MsgStorageApply
            | MessageType::MsgStorageApplyResp
            | MessageType::MsgForgetLeader
    )
}

/// Whether it answers something, so that only members of the configuration may send it.
pub(crate) fn is_response(kind: MessageType) -> bool {
    matches!(
        kind,
        MessageType::MsgAppResp
            | MessageType::MsgVoteResp
            | MessageType::MsgHeartbeatResp
            | MessageType::MsgReadIndexResp
            | MessageType::MsgPreVoteResp
    )
}

/// Whether it must not leave before everything that it rests on is durable (contract C3).
pub(crate) fn waits_for_disk(kind: MessageType) -> bool {
    matches!(kind, MessageType::MsgAppResp | MessageType::MsgVoteResp | MessageType::MsgPreVoteResp)
}

/// Whether its sender has no say in the term: it is passed on to the leader as if it were local there.
pub(crate) fn has_no_term(kind: MessageType) -> bool {
    matches!(kind, MessageType::MsgProp | MessageType::MsgReadIndex)
}

/// Whether only the leader of a term sends it.
pub(crate) fn is_from_leader(kind: MessageType) -> bool {
    matches!(kind, MessageType::MsgApp | MessageType::MsgHeartbeat | MessageType::MsgSnap)
}
