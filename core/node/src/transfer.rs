//! Snapshots for other members: which are asked for, made, and on their way.

use crate::io::{OutgoingSnapshot, Output};
use crate::member::Member;
use proto::raftpb::{Message, MessageType};
use raft::Role;
use types::{LogIndex, MemberId};

/// The snapshots that a leader sends.
#[derive(Debug, Default)]
pub(crate) struct Transfers {
    /// Messages of consensus that wait for an image of the database.
    waiting: Vec<Message>,
    /// Who is being sent one.
    under_way: Vec<MemberId>,
}

impl Member {
    /// Sends messages; a snapshot among them waits for an image of the state as it is now, which is newer than what
    /// consensus knows of.
    pub(crate) fn send(&mut self, messages: Vec<Message>) {
        let is_snapshot = |message: &Message| message.r#type() == MessageType::MsgSnap;
        let (snapshots, messages): (Vec<Message>, Vec<Message>) = messages.into_iter().partition(is_snapshot);
        if !messages.is_empty() {
            self.outputs.push_back(Output::Send(messages));
        }
        for snapshot in snapshots {
            self.transfers.waiting.retain(|other| other.to != snapshot.to);
            self.transfers.waiting.push(snapshot);
        }
    }

    /// Asks for an image if somebody waits for one, and sends the one that is ready (contract C8).
    pub(crate) fn send_snapshots(&mut self) {
        if self.transfers.waiting.is_empty() {
            return;
        }
        let Some((snapshot, file)) = self.apply.take_image() else { return self.apply.begin_image() };
        let status = self.raft.status();
        for message in std::mem::take(&mut self.transfers.waiting) {
            // Whoever follows another leader by now gets what it needs from that one.
            if status.role == Role::Leader && status.term.0 == message.term {
                self.transfers.under_way.push(MemberId(message.to));
                let message = Message { snapshot: Some(snapshot.clone()), ..message };
                let outgoing = OutgoingSnapshot { message, file: file.clone() };
                self.outputs.push_back(Output::SendSnapshot(Box::new(outgoing)));
            }
        }
    }

    pub(crate) fn snapshot_sent(&mut self, to: MemberId, is_delivered: bool) {
        if let Some(position) = self.transfers.under_way.iter().position(|other| *other == to) {
            self.transfers.under_way.swap_remove(position);
        }
        self.raft.report_snapshot(to, is_delivered);
    }

    /// The last entry that need not be kept when there is a snapshot at `index`: slow members catch up from the log,
    /// and those that were just sent a snapshot go on from there.
    pub(crate) fn superfluous_until(&self, index: LogIndex) -> LogIndex {
        if self.raft.progress().len() <= 1 {
            return index;
        }
        let is_sending = !self.transfers.waiting.is_empty() || !self.transfers.under_way.is_empty();
        let kept = if is_sending { u64::MAX } else { self.settings.catch_up_entries };
        LogIndex(index.0.saturating_sub(kept))
    }
}
