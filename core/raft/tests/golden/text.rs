//! Messages and entries in words.

use prost::Message as _;
use proto::raftpb::{ConfChange, ConfChangeType, ConfState, Entry, EntryType, Message, MessageType};
use raft::{Progress, ProgressState, Raft, Role};

pub fn entry(entry: &Entry) -> String {
    let Entry { index, term, .. } = entry;
    let data = entry.data.clone().unwrap_or_default();
    if entry.r#type == EntryType::EntryConfChange as i32 {
        let change = ConfChange::decode(data).expect("a change");
        let kind = match change.r#type() {
            ConfChangeType::ConfChangeAddNode => "add",
            ConfChangeType::ConfChangeAddLearnerNode => "learner",
            ConfChangeType::ConfChangeRemoveNode => "remove",
            ConfChangeType::ConfChangeUpdateNode => "update",
        };
        return format!("{index}/{term} {kind} {}", change.node_id);
    }
    if data.is_empty() {
        return format!("{index}/{term} empty");
    }
    let text = String::from_utf8_lossy(&data);
    if text.len() > 20 {
        format!("{index}/{term} {} bytes", text.len())
    } else {
        format!("{index}/{term} {text}")
    }
}

pub fn entries(list: &[Entry]) -> String {
    list.iter().map(entry).collect::<Vec<_>>().join(", ")
}

pub fn message(message: &Message) -> String {
    let Message { from, to, term, log_term, index, commit, reject_hint, reject, .. } = message;
    let at = |what: &str| format!("{from}>{to} term {term}: {what}");
    let context = message.context.as_deref().unwrap_or_default();
    match message.r#type() {
        MessageType::MsgApp if message.entries.is_empty() => {
            at(&format!("append nothing after {index}/{log_term}, commit {commit}"))
        }
        MessageType::MsgApp => {
            at(&format!("append after {index}/{log_term}: {}; commit {commit}", entries(&message.entries)))
        }
        MessageType::MsgAppResp if *reject => {
            at(&format!("refused after {index}, at most {reject_hint}/{log_term} agrees"))
        }
        MessageType::MsgAppResp => at(&format!("has {index}")),
        MessageType::MsgVote | MessageType::MsgPreVote => {
            let kind = if message.r#type() == MessageType::MsgVote { "vote" } else { "pre-vote" };
            let why = if context.is_empty() { "" } else { ", for the leader hands over" };
            at(&format!("asks for a {kind}, log ends {index}/{log_term}{why}"))
        }
        MessageType::MsgVoteResp => at(if *reject { "refuses the vote" } else { "votes" }),
        MessageType::MsgPreVoteResp => at(if *reject { "refuses the pre-vote" } else { "would vote" }),
        MessageType::MsgHeartbeat if context.is_empty() => at(&format!("heartbeat, commit {commit}")),
        MessageType::MsgHeartbeat => {
            at(&format!("heartbeat, commit {commit}, reads up to {}", number(context)))
        }
        MessageType::MsgHeartbeatResp if context.is_empty() => at("alive"),
        MessageType::MsgHeartbeatResp => at(&format!("alive, reads up to {}", number(context))),
        MessageType::MsgSnap => {
            let metadata = &message.snapshot.as_ref().expect("a snapshot").metadata;
            let members = configuration(&metadata.conf_state);
            at(&format!("snapshot at {}/{}, {members}", metadata.index, metadata.term))
        }
        MessageType::MsgProp => format!("{from}>{to}: proposes {}", proposals(&message.entries)),
        MessageType::MsgReadIndex => format!("{from}>{to}: asks to read for {}", data(&message.entries)),
        MessageType::MsgReadIndexResp => at(&format!("read at {index} for {}", data(&message.entries))),
        MessageType::MsgTimeoutNow => at("stand for election now"),
        MessageType::MsgTransferLeader => at("wants to lead"),
        other => at(other.as_str_name()),
    }
}

fn number(context: &[u8]) -> u64 {
    context.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

fn data(list: &[Entry]) -> String {
    String::from_utf8_lossy(&list[0].data.clone().unwrap_or_default()).into_owned()
}

fn proposals(list: &[Entry]) -> String {
    list.iter()
        .map(|proposal| entry(proposal).split_once(' ').map(|(_, text)| text.to_owned()).unwrap_or_default())
        .collect::<Vec<_>>()
        .join(", ")
}

pub fn configuration(conf_state: &ConfState) -> String {
    let ids = |ids: &[u64]| ids.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
    if conf_state.learners.is_empty() {
        return format!("voters {}", ids(&conf_state.voters));
    }
    format!("voters {} learners {}", ids(&conf_state.voters), ids(&conf_state.learners))
}

pub fn role(raft: &Raft) -> String {
    let status = raft.status();
    let role = match status.role {
        Role::Follower => "follower",
        Role::PreCandidate => "pre-candidate",
        Role::Candidate => "candidate",
        Role::Leader => "leader",
    };
    let leader = match status.leader {
        Some(leader) if status.role == Role::Follower => format!(" of {}", leader.0),
        None if status.role == Role::Follower => " of nobody".into(),
        _ => String::new(),
    };
    format!("{role}{leader} in term {}", status.term)
}

pub fn progress(progress: &Progress) -> String {
    let state = match progress.state {
        ProgressState::Probe => "probe",
        ProgressState::Replicate => "replicate",
        ProgressState::Snapshot => "snapshot",
    };
    let mut text = format!("{} has {}, next {}, {state}", progress.id, progress.matched, progress.next);
    if progress.is_paused {
        text += ", paused";
    }
    if progress.inflights.count() > 0 {
        text += &format!(", {} in flight", progress.inflights.count());
    }
    if !progress.is_recently_active {
        text += ", silent";
    }
    if progress.is_learner {
        text += ", learner";
    }
    text
}
