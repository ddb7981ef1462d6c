//! Bugs that the loop puts in, and that the checks must find.

use crate::cluster::{Cluster, Text};
use crate::machine::Planted;
use prost::Message as _;
use proto::etcdserverpb::InternalRaftRequest;
use proto::raftpb::{Message, MessageType};

/// A bug of a cluster, from etcd's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Votes and acknowledgements leave before they are durable (etcd issue 14370).
    ReplyBeforeSync,
    /// The consistent index is committed apart from the data (etcd 3.5.0 to 3.5.2, issue 13766).
    IndexApartFromData,
    /// Reads look at the state at hand, of leaders too, without asking anybody (found by Jepsen in 2014).
    LocalReads,
    /// A put that was not answered in time is sent again (issues 14890 and 18424).
    ResentProposal,
    /// A snapshot carries a database that is older than it claims (as in issue 13933).
    OldImage,
    /// One member carries out another request than the rest (issues 11651, 14571 and 18667).
    MemberDiffers,
    /// Votes are granted to whoever asks.
    UncheckedVote,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::ReplyBeforeSync,
        Self::IndexApartFromData,
        Self::LocalReads,
        Self::ResentProposal,
        Self::OldImage,
        Self::MemberDiffers,
        Self::UncheckedVote,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReplyBeforeSync => Planted::ReplyBeforeSync.name(),
            Self::IndexApartFromData => Planted::IndexApartFromData.name(),
            Self::LocalReads => "local-reads",
            Self::ResentProposal => "resent-proposal",
            Self::OldImage => "old-image",
            Self::MemberDiffers => "member-differs",
            Self::UncheckedVote => "unchecked-vote",
        }
    }

    /// As a bug of each single member.
    pub(super) fn of_member(self) -> Option<Planted> {
        match self {
            Self::ReplyBeforeSync => Some(Planted::ReplyBeforeSync),
            Self::IndexApartFromData => Some(Planted::IndexApartFromData),
            _ => None,
        }
    }
}

/// The seat whose member differs.
const ODD_SEAT: usize = 1;

impl Cluster {
    /// What leaves a member that has the bug.
    pub(super) fn spoil_sent(&self, message: &mut Message) {
        let is_refusal = message.r#type() == MessageType::MsgVoteResp && message.reject;
        if self.bug == Some(Bug::UncheckedVote) && is_refusal {
            message.reject = false;
        }
    }

    /// What a member that has the bug makes of a message.
    pub(super) fn spoil_received(&mut self, place: usize, message: &mut Message) {
        if self.bug != Some(Bug::MemberDiffers) || place != ODD_SEAT || !self.rng.chance(1, 20) {
            return;
        }
        for entry in &mut message.entries {
            let request = InternalRaftRequest::decode(entry.data.clone().unwrap_or_default());
            if let Ok(mut request) = request
                && let Some(put) = &mut request.put
            {
                put.value = "another".into();
                entry.data = Some(request.encode_to_vec().into());
            }
        }
    }

    /// The database that goes with a snapshot.
    pub(super) fn spoil_image(&mut self, image: Vec<u8>) -> Vec<u8> {
        if self.bug != Some(Bug::OldImage) {
            return image;
        }
        self.old_image.get_or_insert(image).clone()
    }

    /// Asks once more for what a client got no answer to.
    pub(super) fn resend(&mut self, client: usize) -> Result<bool, Text> {
        if self.bug != Some(Bug::ResentProposal) {
            return Ok(false);
        }
        let Some((key, Some(value))) = self.clients.unanswered(client) else { return Ok(false) };
        self.clients.give_up(client);
        self.ask(client, (key, Some(value)))?;
        Ok(true)
    }
}
