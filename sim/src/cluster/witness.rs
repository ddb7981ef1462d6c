//! What must hold of all members together, at every step.

use crate::cluster::seat::Seat;
use crate::state::range;
use node::View;
use prost::Message;
use raft::Role;
use std::collections::BTreeMap;
use stdx::fnv::fnv1a_64;
use types::{LogIndex, MemberId, Term};

/// Entries looked at in a new leader's log.
const LEADER_ENTRIES: u64 = 500;
/// States are compared at every so many entries.
const STATE_EVERY: u64 = 8;

/// A committed entry.
#[derive(Clone, Copy)]
struct Committed {
    /// Its term. With the log's own rule, that a term has one leader and an entry one place, this is the entry.
    term: Term,
    /// The term in which it was first seen to be committed. Leaders of later terms must have it; one of an earlier
    /// term may still be elected by votes that were long under way.
    seen_in: Term,
}

/// What was seen of the cluster so far.
#[derive(Default)]
pub struct Witness {
    leaders: BTreeMap<Term, MemberId>,
    /// Every entry that was committed anywhere.
    committed: BTreeMap<u64, Committed>,
    /// A hash of everything that clients can read, by the applied index.
    states: BTreeMap<u64, (u64, MemberId)>,
}

impl Witness {
    /// Terms that had a leader.
    pub fn leaders(&self) -> u64 {
        self.leaders.len() as u64
    }

    /// The last entry that was committed anywhere.
    pub fn last_committed(&self) -> u64 {
        self.committed.last_key_value().map_or(0, |(index, _)| *index)
    }

    /// Looks at a member after it has done something.
    ///
    /// # Errors
    /// In words: what does not hold.
    pub fn look(&mut self, seat: &mut Seat) -> Result<(), String> {
        let Some(machine) = &seat.machine else { return Ok(()) };
        let (status, raft, id) = (machine.member().status(), machine.member().raft(), seat.id);
        if status.term < seat.seen.term {
            return Err(format!("{id} went back from term {} to {}", seat.seen.term, status.term));
        }
        if status.commit < seat.seen.commit {
            return Err(format!("{id} went back from commit {} to {}", seat.seen.commit, status.commit));
        }
        let applied = machine.member().applier().applied().0;
        if applied > status.commit || applied < seat.seen.applied {
            return Err(format!("{id} has applied {applied}, with commit {}", status.commit));
        }
        if status.role == Role::Leader && seat.seen.led != Some(status.term) {
            self.elected(id, status.term, raft)?;
            seat.seen.led = Some(status.term);
        }
        for index in seat.seen.commit.0 + 1..=status.commit.0 {
            let Some(term) = raft.term_of(LogIndex(index)) else { continue };
            let seen = Committed { term, seen_in: status.term };
            let known = self.committed.entry(index).or_insert(seen).term;
            if known != term {
                return Err(format!(
                    "{id} has committed entry {index} of term {term}, another one of term {known}"
                ));
            }
        }
        seat.seen.term = status.term;
        seat.seen.commit = status.commit;
        seat.seen.applied = applied;
        Ok(())
    }

    /// One leader a term, with everything that was committed.
    fn elected(&mut self, id: MemberId, term: Term, raft: &raft::Raft) -> Result<(), String> {
        let known = *self.leaders.entry(term).or_insert(id);
        if known != id {
            return Err(format!("{known} and {id} both lead term {term}"));
        }
        let from = self.last_committed().saturating_sub(LEADER_ENTRIES);
        for (index, committed) in self.committed.range(from..) {
            if committed.seen_in >= term {
                continue;
            }
            // What is compacted is in its state machine, which is compared by itself.
            let Some(own) = raft.term_of(LogIndex(*index)) else {
                if raft.status().last.0 < *index {
                    return Err(format!("{id} leads term {term} without entry {index}, which is committed"));
                }
                continue;
            };
            if own != committed.term {
                return Err(format!(
                    "{id} leads term {term} with another entry {index} than the committed one"
                ));
            }
        }
        Ok(())
    }

    /// Compares the state with that of others that have applied as much.
    ///
    /// # Errors
    /// In words: what differs.
    pub fn compare(&mut self, id: MemberId, view: &View) -> Result<(), String> {
        let applied = view.state.applied.0;
        if !applied.is_multiple_of(STATE_EVERY) {
            return Ok(());
        }
        let hash = hash_of(view)?;
        let (known, other) = *self.states.entry(applied).or_insert((hash, id));
        if known == hash {
            return Ok(());
        }
        Err(format!("{id} and {other} differ in their state at entry {applied}"))
    }
}

/// A hash of the revision, all pairs, the members and the version.
fn hash_of(view: &View) -> Result<u64, String> {
    let store = &view.state.store;
    let pairs = range(view, &crate::state::everything())?.encode_to_vec();
    let members: Vec<_> = view.state.cluster.members().collect();
    let text = format!(
        "{} {} {members:?} {:?} {:x}",
        store.revision(),
        store.compact_revision(),
        view.state.cluster.version(),
        fnv1a_64(&pairs)
    );
    Ok(fnv1a_64(text.as_bytes()))
}
