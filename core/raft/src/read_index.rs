//! Linearizable reads: rounds of heartbeats that confirm the leader.

use bytes::Bytes;
use proto::raftpb::Entry;
use std::collections::VecDeque;

/// A request for an index to read at.
#[derive(Clone, Debug)]
pub(crate) struct ReadRequest {
    /// Who asked; the leader itself or another member.
    pub from: u64,
    /// As in the request: the data of the first one names it.
    pub entries: Vec<Entry>,
}

/// Reads that wait for a majority to confirm the leader.
///
/// The reads of one term are numbered from 1; the number of the newest one travels in the heartbeats as eight bytes,
/// little-endian, and comes back in the answers, which so confirm all reads up to it.
///
/// Source: go.etcd.io/raft/v3 3.7; `docs/compat.md`.
#[derive(Debug, Default)]
pub(crate) struct ReadQueue {
    acknowledged: Vec<(u64, u64)>,
    waiting: VecDeque<(u64, ReadRequest)>,
    confirmed: u64,
}

impl ReadQueue {
    /// Queues a read at `commit`.
    pub fn push(&mut self, commit: u64, request: ReadRequest) {
        self.waiting.push_back((commit, request));
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// What heartbeats carry: nothing if no read waits.
    pub fn context(&self) -> Option<Bytes> {
        if self.waiting.is_empty() {
            return None;
        }
        Some(Bytes::copy_from_slice(&self.newest().to_le_bytes()))
    }

    /// The number of the newest read.
    pub fn newest(&self) -> u64 {
        self.confirmed + self.waiting.len() as u64
    }

    /// A member has confirmed the reads up to `number`.
    pub fn acknowledge(&mut self, from: u64, number: u64) {
        match self.acknowledged.iter_mut().find(|(id, _)| *id == from) {
            Some((_, known)) => *known = number.max(*known),
            None => self.acknowledged.push((from, number)),
        }
    }

    /// The number up to which a member has confirmed.
    pub fn acknowledged_by(&self, id: u64) -> u64 {
        self.acknowledged.iter().find(|(known, _)| *known == id).map_or(0, |(_, number)| *number)
    }

    /// Takes the reads up to `number`, which a majority has confirmed, each with the index it may read at.
    pub fn confirm(&mut self, number: u64) -> Vec<(u64, ReadRequest)> {
        let number = number.min(self.newest());
        if number <= self.confirmed {
            return Vec::new();
        }
        let count = usize::try_from(number - self.confirmed).expect("not more than wait");
        self.confirmed = number;
        self.waiting.drain(..count).collect()
    }
}

/// The number that an answer to a heartbeat carries; none if it is not one of ours.
pub(crate) fn number_of(context: &[u8]) -> Option<u64> {
    context.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(from: u64) -> ReadRequest {
        ReadRequest { from, entries: Vec::new() }
    }

    #[test]
    fn an_answer_confirms_all_reads_before_it() {
        let mut queue = ReadQueue::default();
        assert_eq!(queue.context(), None);
        queue.push(4, request(1));
        queue.push(5, request(2));
        assert_eq!(queue.context().as_deref(), Some(&[2, 0, 0, 0, 0, 0, 0, 0][..]));
        let confirmed: Vec<_> =
            queue.confirm(2).into_iter().map(|(commit, read)| (commit, read.from)).collect();
        assert_eq!(confirmed, [(4, 1), (5, 2)]);
        assert!(queue.confirm(2).is_empty());
        queue.push(6, request(1));
        assert_eq!(queue.newest(), 3);
        assert_eq!(queue.confirm(u64::MAX).len(), 1, "a number from nowhere confirms no more than there is");
        assert_eq!(queue.newest(), 3);
    }

    #[test]
    fn an_acknowledgement_never_goes_back() {
        let mut queue = ReadQueue::default();
        queue.acknowledge(2, 7);
        queue.acknowledge(2, 3);
        assert_eq!((queue.acknowledged_by(2), queue.acknowledged_by(3)), (7, 0));
    }

    #[test]
    fn a_short_context_is_not_ours() {
        assert_eq!(number_of(b"short"), None);
        assert_eq!(number_of(&[1, 0, 0, 0, 0, 0, 0, 0]), Some(1));
    }
}
