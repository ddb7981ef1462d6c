//! The inside of a member and its messages as text: for golden scripts, and for comparison with Go's library.

use crate::config::Role;
use crate::progress::ProgressState;
use crate::raft::Raft;
use proto::raftpb::{ConfState, Entry, Message, Snapshot};
use std::fmt::{self, Display, Formatter, Write};

/// One line with the numbers inside a member, by the names of Go's library.
#[derive(Debug)]
pub struct Description<'a>(pub(crate) &'a Raft);

impl Display for Description<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let raft = self.0;
        let log = &raft.log;
        let role = match raft.role {
            Role::Follower => 'F',
            Role::PreCandidate => 'P',
            Role::Candidate => 'C',
            Role::Leader => 'L',
        };
        write!(f, "t={} v={} c={}", raft.term, raft.vote, log.committed())?;
        write!(f, " a={} ag={} l={} s={role}", log.applied(), log.applying(), raft.leader)?;
        write!(f, " ee={} he={}", raft.election_elapsed, raft.heartbeat_elapsed)?;
        write!(f, " tr={} pc={} us={}", raft.transferee, raft.pending_conf_index, raft.uncommitted_bytes)?;
        let last = log.last_id();
        write!(f, " li={} lt={} fi={}", last.index, last.term, log.first())?;
        write!(f, " uo={} up={}", log.durable() + 1, log.persisting() + 1)?;
        write!(f, " cf={} pr=", Configuration(&raft.tracker.conf_state()))?;
        if raft.role != Role::Leader {
            return f.write_char('-');
        }
        for (position, progress) in raft.tracker.members().iter().enumerate() {
            if position > 0 {
                f.write_char(';')?;
            }
            let state = match progress.state {
                ProgressState::Probe => 'P',
                ProgressState::Replicate => 'R',
                ProgressState::Snapshot => 'S',
            };
            write!(f, "{}:{}/{}/{state}", progress.id, progress.matched, progress.next)?;
            write!(f, "/{}/{}", progress.pending_snapshot, u8::from(progress.is_recently_active))?;
            write!(f, "/{}/{}", u8::from(progress.is_paused), progress.inflights.count())?;
            write!(f, "/{}/{}", progress.inflights.bytes(), u8::from(progress.is_learner))?;
            write!(f, "/{}", progress.sent_commit)?;
        }
        write!(f, " ro={}/{}", raft.reads.len(), raft.early_reads.len())
    }
}

/// A configuration: `v(1,2)l(3)`.
#[derive(Debug)]
pub struct Configuration<'a>(pub &'a ConfState);

impl Display for Configuration<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "v({})l({})", Joined(&self.0.voters), Joined(&self.0.learners))
    }
}

struct Joined<'a>(&'a [u64]);

impl Display for Joined<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (position, id) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_char(',')?;
            }
            write!(f, "{id}")?;
        }
        Ok(())
    }
}

/// Entries: index, term, kind, length and hash of the data each.
#[derive(Debug)]
pub struct Entries<'a>(pub &'a [Entry]);

impl Display for Entries<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('[')?;
        for (position, entry) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_char(',')?;
            }
            let data = entry.data.as_deref().unwrap_or_default();
            let hash = stdx::fnv::fnv1a_64(data);
            write!(f, "{}/{}/{}/{}/{hash:x}", entry.index, entry.term, entry.r#type, data.len())?;
        }
        f.write_char(']')
    }
}

/// A message, every field.
#[derive(Debug)]
pub struct MessageText<'a>(pub &'a Message);

impl Display for MessageText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let message = self.0;
        let kind = message.r#type().as_str_name().trim_start_matches("Msg");
        write!(f, "{}>{}:{kind}:t{}", message.from, message.to, message.term)?;
        write!(f, ":lt{}:i{}:c{}", message.log_term, message.index, message.commit)?;
        write!(f, ":v0:r{}:h{}:x", u8::from(message.reject), message.reject_hint)?;
        match message.context.as_deref() {
            Some(context) if !context.is_empty() => f.write_str(&stdx::hex::encode(context))?,
            _ => f.write_char('-')?,
        }
        write!(f, ":e{}:s", Entries(&message.entries))?;
        match &message.snapshot {
            Some(snapshot) => write!(f, "{}", SnapshotText(snapshot)),
            None => f.write_char('-'),
        }
    }
}

/// A snapshot: index, term and configuration.
#[derive(Debug)]
pub struct SnapshotText<'a>(pub &'a Snapshot);

impl Display for SnapshotText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let metadata = &self.0.metadata;
        write!(f, "{}/{}/{}", metadata.index, metadata.term, Configuration(&metadata.conf_state))
    }
}
