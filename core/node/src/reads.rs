//! Linearizable reads: all that wait share one round of consensus, which is asked for again until it answers.

use bytes::Bytes;
use raft::ReadState;
use types::{LogIndex, RequestId};

/// Nanoseconds after which a round is asked for again, by a new name: the question or the answer may have been lost.
///
/// Source: etcd's server, `readIndexRetryTime`.
const RETRY_NS: u64 = 500_000_000;

struct Round {
    /// The names it was asked for by; an answer to any of them counts.
    names: Vec<Bytes>,
    reads: Vec<RequestId>,
    asked_at: u64,
}

/// The reads of a member.
#[derive(Default)]
pub(crate) struct Reads {
    waiting: Vec<RequestId>,
    round: Option<Round>,
    /// With the index that must be applied first.
    confirmed: Vec<(LogIndex, RequestId)>,
}

impl Reads {
    pub fn push(&mut self, id: RequestId) {
        self.waiting.push(id);
    }

    /// Whether [`Reads::ask`] is due at `now`.
    pub fn wants_to_ask(&self, now: u64) -> bool {
        match &self.round {
            Some(_) => self.retry_at().is_some_and(|at| at <= now),
            None => !self.waiting.is_empty(),
        }
    }

    /// When the round under way is to be asked for again.
    pub fn retry_at(&self) -> Option<u64> {
        self.round.as_ref().map(|round| round.asked_at + RETRY_NS)
    }

    /// Begins a round with all reads that wait, or names the one under way anew. Returns what to ask consensus for.
    pub fn ask(&mut self, now: u64, name: RequestId) -> Bytes {
        let name = Bytes::copy_from_slice(&name.0.to_be_bytes());
        let waiting = &mut self.waiting;
        let round = self.round.get_or_insert_with(|| Round {
            names: Vec::new(),
            reads: std::mem::take(waiting),
            asked_at: now,
        });
        round.names.push(name.clone());
        round.asked_at = now;
        name
    }

    /// Takes an answer of consensus.
    pub fn answered(&mut self, state: &ReadState) {
        let Some(round) = self.round.take_if(|round| round.names.contains(&state.context)) else { return };
        self.confirmed.extend(round.reads.into_iter().map(|id| (state.index, id)));
    }

    /// Takes the reads that may look at a state with everything up to `applied`.
    pub fn take_ready(&mut self, applied: LogIndex) -> Vec<RequestId> {
        self.confirmed.extract_if(.., |(index, _)| *index <= applied).map(|(_, id)| id).collect()
    }

    /// Takes the reads of the round under way, which a change of the leader has made void.
    pub fn take_round(&mut self) -> Vec<RequestId> {
        self.round.take().map_or_else(Vec::new, |round| round.reads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(index: u64, context: &Bytes) -> ReadState {
        ReadState { index: LogIndex(index), context: context.clone() }
    }

    #[test]
    fn reads_that_come_during_a_round_wait_for_the_next() {
        let mut reads = Reads::default();
        reads.push(RequestId(1));
        reads.push(RequestId(2));
        assert!(reads.wants_to_ask(0));
        let first = reads.ask(0, RequestId(10));
        reads.push(RequestId(3));
        assert!(!reads.wants_to_ask(RETRY_NS - 1));
        reads.answered(&state(7, &first));
        assert_eq!(reads.take_ready(LogIndex(6)), []);
        assert_eq!(reads.take_ready(LogIndex(7)), [RequestId(1), RequestId(2)]);
        assert!(reads.wants_to_ask(1), "the third one");
    }

    #[test]
    fn a_round_is_asked_for_again_and_any_answer_counts() {
        let mut reads = Reads::default();
        reads.push(RequestId(1));
        let first = reads.ask(0, RequestId(10));
        assert!(reads.wants_to_ask(RETRY_NS));
        let second = reads.ask(RETRY_NS, RequestId(11));
        assert_ne!(first, second);
        reads.answered(&state(4, &Bytes::from_static(b"other")));
        assert_eq!(reads.take_ready(LogIndex(9)), []);
        reads.answered(&state(4, &first));
        reads.answered(&state(5, &second));
        assert_eq!(reads.take_ready(LogIndex(4)), [RequestId(1)]);
    }
}
