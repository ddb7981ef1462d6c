//! What a leader knows of one member.

use std::collections::VecDeque;

/// How a leader sends entries to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressState {
    /// Looks for the place where the logs agree: one message a heartbeat.
    Probe,
    /// Sends ahead of the answers, as far as the limits of messages in flight allow.
    Replicate,
    /// Sends nothing until the snapshot has arrived or failed.
    Snapshot,
}

/// What a leader knows of one member's log.
///
/// Invariants: `matched < next`; in [`ProgressState::Replicate`] everything up to `next - 1` was sent.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The member.
    pub id: u64,
    /// The last index known to be equal on both sides and durable there.
    pub matched: u64,
    /// The next index to send.
    pub next: u64,
    /// The highest commit index that it was told.
    pub sent_commit: u64,
    /// How entries are sent.
    pub state: ProgressState,
    /// The index of the snapshot under way; 0 if there is none.
    pub pending_snapshot: u64,
    /// It was heard from since the last check of the quorum.
    pub is_recently_active: bool,
    /// No more entries may be sent until it answers.
    pub is_paused: bool,
    /// It has no vote.
    pub is_learner: bool,
    /// Entries for it are being read from disk.
    pub waits_for_disk: bool,
    /// Messages under way.
    pub inflights: Inflights,
}

impl Progress {
    /// A member of which nothing is known but that its log may end before `next`.
    pub(crate) fn new(id: u64, next: u64, limits: InflightLimits) -> Self {
        Self {
            id,
            matched: 0,
            next,
            sent_commit: 0,
            state: ProgressState::Probe,
            pending_snapshot: 0,
            is_recently_active: false,
            is_paused: false,
            is_learner: false,
            waits_for_disk: false,
            inflights: Inflights::new(limits),
        }
    }

    fn enter(&mut self, state: ProgressState) {
        self.is_paused = false;
        self.pending_snapshot = 0;
        self.state = state;
        self.waits_for_disk = false;
        self.inflights.clear();
    }

    /// Goes on one message at a time, behind what is known to match or a snapshot that was delivered.
    pub(crate) fn become_probe(&mut self) {
        let pending = if self.state == ProgressState::Snapshot { self.pending_snapshot } else { 0 };
        self.enter(ProgressState::Probe);
        self.next = (self.matched + 1).max(pending + 1);
        self.sent_commit = self.sent_commit.min(self.next - 1);
    }

    pub(crate) fn become_replicate(&mut self) {
        self.enter(ProgressState::Replicate);
        self.next = self.matched + 1;
    }

    pub(crate) fn become_snapshot(&mut self, index: u64) {
        self.enter(ProgressState::Snapshot);
        self.pending_snapshot = index;
        self.next = index + 1;
        self.sent_commit = index;
    }

    /// Whether nothing may be sent now but heartbeats.
    pub(crate) fn is_throttled(&self) -> bool {
        self.state == ProgressState::Snapshot || self.is_paused
    }

    /// Notes that a message with `count` entries of `bytes` payload bytes left.
    pub(crate) fn sent_entries(&mut self, count: u64, bytes: u64) {
        match self.state {
            ProgressState::Replicate => {
                if count > 0 {
                    self.next += count;
                    self.inflights.add(self.next - 1, bytes);
                }
                self.is_paused = self.inflights.is_full();
            }
            // A probe with entries is answered; an empty one must not hold up the entries behind it.
            ProgressState::Probe => self.is_paused |= count > 0,
            ProgressState::Snapshot => {}
        }
    }

    /// Whether telling it `commit` would let it commit more of what it was sent.
    pub(crate) fn can_raise_commit(&self, commit: u64) -> bool {
        commit > self.sent_commit && self.sent_commit < self.next - 1
    }

    /// Takes an acknowledgement of everything up to `index`; false if it is old.
    pub(crate) fn acknowledge(&mut self, index: u64) -> bool {
        if index <= self.matched {
            return false;
        }
        self.matched = index;
        self.next = self.next.max(index + 1);
        self.is_paused = false;
        true
    }

    /// Takes a rejection of the entries behind `rejected`; the logs agree at most up to `hint`. False if it is old.
    pub(crate) fn reject(&mut self, rejected: u64, hint: u64) -> bool {
        if self.state == ProgressState::Replicate {
            if rejected <= self.matched {
                return false;
            }
            self.next = self.matched + 1;
        } else {
            // While probing only the answer to the last message counts.
            if self.next - 1 != rejected {
                return false;
            }
            self.next = rejected.min(hint.saturating_add(1)).max(self.matched + 1);
            self.is_paused = false;
        }
        self.sent_commit = self.sent_commit.min(self.next - 1);
        true
    }
}

/// How much may be under way to one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InflightLimits {
    /// Messages.
    pub messages: usize,
    /// Payload bytes after which no further message is sent; 0: no limit.
    pub bytes: u64,
}

/// Messages with entries that were sent and not answered, oldest first: the last index and payload bytes of each.
#[derive(Clone, Debug)]
pub struct Inflights {
    limits: InflightLimits,
    messages: VecDeque<(u64, u64)>,
    bytes: u64,
}

impl Inflights {
    fn new(limits: InflightLimits) -> Self {
        Self { limits, messages: VecDeque::new(), bytes: 0 }
    }

    /// Messages under way.
    pub fn count(&self) -> usize {
        self.messages.len()
    }

    /// Their payload bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn is_full(&self) -> bool {
        self.messages.len() >= self.limits.messages
            || self.limits.bytes != 0 && self.bytes >= self.limits.bytes
    }

    fn add(&mut self, last: u64, bytes: u64) {
        debug_assert!(!self.is_full(), "checked before sending");
        self.messages.push_back((last, bytes));
        self.bytes += bytes;
    }

    pub(crate) fn free_up_to(&mut self, index: u64) {
        while let Some((_, bytes)) = self.messages.pop_front_if(|(last, _)| *last <= index) {
            self.bytes -= bytes;
        }
    }

    fn clear(&mut self) {
        self.messages.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress() -> Progress {
        Progress::new(2, 6, InflightLimits { messages: 2, bytes: 100 })
    }

    #[test]
    fn messages_under_way_are_limited_by_count_and_by_bytes() {
        let mut progress = progress();
        progress.acknowledge(5);
        progress.become_replicate();
        progress.sent_entries(3, 30);
        assert!(!progress.is_throttled());
        progress.sent_entries(1, 10);
        assert!(progress.is_throttled(), "two messages");
        progress.acknowledge(8);
        progress.inflights.free_up_to(8);
        progress.sent_entries(1, 90);
        assert!(progress.is_throttled(), "a hundred bytes");
        assert_eq!((progress.next, progress.inflights.count(), progress.inflights.bytes()), (11, 2, 100));
        progress.inflights.free_up_to(9);
        assert_eq!((progress.inflights.count(), progress.inflights.bytes()), (1, 90));
    }

    #[test]
    fn an_old_rejection_changes_nothing() {
        let mut progress = progress();
        assert!(!progress.reject(4, 1), "not the answer to the probe at 5");
        assert!(progress.reject(5, 1));
        assert_eq!(progress.next, 2);
        progress.acknowledge(3);
        progress.become_replicate();
        assert!(!progress.reject(3, 0));
        assert!(progress.reject(9, 0));
        assert_eq!(progress.next, 4, "never below what matches");
    }

    #[test]
    fn a_delivered_snapshot_is_probed_behind_and_a_failed_one_is_not() {
        let mut progress = progress();
        progress.become_snapshot(40);
        progress.become_probe();
        assert_eq!(progress.next, 41);
        progress.become_snapshot(40);
        progress.pending_snapshot = 0;
        progress.become_probe();
        assert_eq!(progress.next, 1);
    }
}
