//! The log: what of it is in memory, on disk, committed, handed out and applied.

use crate::Error;
use proto::raftpb::{Entry, EntryType, Snapshot};
use std::collections::VecDeque;

/// Name of an entry: two logs that hold an entry of one name agree up to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EntryId {
    pub term: u64,
    pub index: u64,
}

impl EntryId {
    pub fn of(entry: &Entry) -> Self {
        Self { term: entry.term, index: entry.index }
    }
}

/// Entries of a request for some.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Slice {
    /// They are in memory; at least one unless none was asked for.
    Here(Vec<Entry>),
    /// The first of them was evicted; it is in the segments on disk.
    OnDisk,
}

/// Entries handed to apply together.
#[derive(Debug)]
struct Batch {
    last: u64,
    encoded_bytes: u64,
    payload_bytes: u64,
}

/// The log of one member.
///
/// Invariants:
/// - `start.index <= applied <= applying <= committed <= last`;
/// - `start.index <= durable <= persisting <= last`, and `applying <= durable`;
/// - `entries` are the indices `cached_first..=last` without a gap, and `cached_first <= durable + 1`: only what is
///   durable is evicted (contract C16);
/// - `terms` has the first index of every run of one term behind `start`, ascending in both;
/// - `conf_changes` are the indices of configuration changes in `applied + 1..=last`, ascending.
#[derive(Debug)]
pub(crate) struct Log {
    /// The last entry that is gone: covered by a snapshot.
    start: EntryId,
    terms: VecDeque<EntryId>,
    conf_changes: VecDeque<u64>,
    entries: VecDeque<Entry>,
    cached_first: u64,
    cached_bytes: u64,
    durable: u64,
    persisting: u64,
    committed: u64,
    applying: u64,
    applied: u64,
    /// A snapshot from the leader that is not in place yet, and whether it was handed out.
    incoming: Option<Snapshot>,
    is_incoming_handed_out: bool,
    /// The newest snapshot that a follower can be given.
    available: Option<Snapshot>,
    batches: VecDeque<Batch>,
    applying_bytes: u64,
    applying_bytes_max: u64,
    is_applying_paused: bool,
}

impl Log {
    /// A log behind `start`, holding `entries`, all durable. `applied` entries are in the state machine.
    ///
    /// # Errors
    /// [`Error::BrokenLog`] if the entries have gaps, their terms fall, or an index is out of order.
    pub fn new(
        start: EntryId,
        entries: Vec<Entry>,
        progress: (u64, u64),
        applying_bytes_max: u64,
    ) -> Result<Self, Error> {
        let (committed, applied) = progress;
        let mut log = Self {
            start,
            terms: VecDeque::new(),
            conf_changes: VecDeque::new(),
            entries: VecDeque::new(),
            cached_first: start.index + 1,
            cached_bytes: 0,
            durable: start.index,
            persisting: start.index,
            committed,
            applying: applied,
            applied,
            incoming: None,
            is_incoming_handed_out: false,
            available: None,
            batches: VecDeque::new(),
            applying_bytes: 0,
            applying_bytes_max,
            is_applying_paused: false,
        };
        for entry in entries {
            let last = log.last_id();
            if entry.index != last.index + 1 {
                let text = format!("entry {} follows entry {}", entry.index, last.index);
                return Err(Error::BrokenLog(text));
            }
            if entry.term < last.term {
                let text = format!("entry {} goes back to term {}", entry.index, entry.term);
                return Err(Error::BrokenLog(text));
            }
            log.push(entry);
        }
        let last = log.last();
        (log.durable, log.persisting) = (last, last);
        if committed > last {
            let text = format!("commit index {committed} is behind the last entry {last}");
            return Err(Error::BrokenLog(text));
        }
        if applied < start.index || applied > committed {
            return Err(Error::BrokenLog(format!(
                "applied index {applied} is outside of snapshot index {} to commit index {committed}",
                start.index
            )));
        }
        log.forget_conf_changes();
        Ok(log)
    }

    pub fn first(&self) -> u64 {
        self.start.index + 1
    }

    pub fn last(&self) -> u64 {
        self.cached_first + self.entries.len() as u64 - 1
    }

    pub fn last_id(&self) -> EntryId {
        let term = self.terms.back().map_or(self.start.term, |run| run.term);
        EntryId { term, index: self.last() }
    }

    pub fn committed(&self) -> u64 {
        self.committed
    }

    pub fn applying(&self) -> u64 {
        self.applying
    }

    pub fn applied(&self) -> u64 {
        self.applied
    }

    pub fn durable(&self) -> u64 {
        self.durable
    }

    pub fn persisting(&self) -> u64 {
        self.persisting
    }

    pub fn cached_entries(&self) -> usize {
        self.entries.len()
    }

    /// The term of the entry at `index`, unless it is gone or not there yet.
    pub fn term(&self, index: u64) -> Option<u64> {
        if index == self.start.index {
            return Some(self.start.term);
        }
        if index < self.start.index || index > self.last() {
            return None;
        }
        Some(self.terms[self.run_of(index)].term)
    }

    /// The runs of one term in a range of the log: first index and term of each.
    pub fn terms(&self, from: u64, until: u64) -> Vec<(u64, u64)> {
        if from > until || self.terms.is_empty() {
            return Vec::new();
        }
        let runs = self.terms.range(self.run_of(from)..).take_while(|run| run.index <= until);
        runs.map(|run| (run.index, run.term)).collect()
    }

    /// The position of the run that holds `index`, which must be behind `start`.
    fn run_of(&self, index: u64) -> usize {
        // Nearly always the newest.
        if self.terms.back().is_some_and(|run| run.index <= index) {
            return self.terms.len() - 1;
        }
        self.terms.partition_point(|run| run.index <= index) - 1
    }

    pub fn matches(&self, id: EntryId) -> bool {
        self.term(id.index) == Some(id.term)
    }

    /// Whether a log that ends in `their` has everything that this one may have committed.
    pub fn is_up_to_date(&self, their: EntryId) -> bool {
        let own = self.last_id();
        their.term > own.term || their.term == own.term && their.index >= own.index
    }

    /// The greatest entry at or before `index` of a term of at most `term`: logs can agree up to it at most. The term
    /// is 0 where the log does not know it any more.
    pub fn find_conflict_by_term(&self, index: u64, term: u64) -> EntryId {
        if index > self.last() || index < self.start.index {
            return EntryId { term: 0, index };
        }
        let mut index = index;
        while index > self.start.index {
            let run = self.terms[self.run_of(index)];
            if run.term <= term {
                return EntryId { term: run.term, index };
            }
            index = run.index - 1;
        }
        if index == 0 {
            return EntryId::default();
        }
        if self.start.term <= term {
            return self.start;
        }
        EntryId { term: 0, index: index - 1 }
    }

    /// Appends entries behind the last one, or in place of those from the first one's index on.
    ///
    /// # Errors
    /// [`Error::BrokenLog`] if a committed entry would be replaced.
    pub fn append(&mut self, entries: &[Entry]) -> Result<(), Error> {
        let Some(first) = entries.first() else { return Ok(()) };
        if first.index <= self.committed {
            let text = format!("entry {} would replace one up to {}, committed", first.index, self.committed);
            return Err(Error::BrokenLog(text));
        }
        self.truncate(first.index);
        entries.iter().for_each(|entry| self.push(entry.clone()));
        Ok(())
    }

    /// Appends one entry; its index is the one behind the last and its term not below the last one's.
    pub fn push(&mut self, entry: Entry) {
        let last = self.last_id();
        assert_eq!(entry.index, last.index + 1, "the log has no gaps");
        if entry.term != last.term || self.terms.is_empty() {
            self.terms.push_back(EntryId::of(&entry));
        }
        if is_conf_change(&entry) {
            self.conf_changes.push_back(entry.index);
        }
        self.cached_bytes += memory_bytes(&entry);
        self.entries.push_back(entry);
    }

    /// Removes the entries from `from` on.
    fn truncate(&mut self, from: u64) {
        if from > self.last() {
            return;
        }
        while self.terms.back().is_some_and(|run| run.index >= from) {
            self.terms.pop_back();
        }
        while self.conf_changes.back().is_some_and(|index| *index >= from) {
            self.conf_changes.pop_back();
        }
        while self.last() >= from {
            match self.entries.pop_back() {
                Some(entry) => self.cached_bytes -= memory_bytes(&entry),
                // The rest is on disk only.
                None => self.cached_first = from,
            }
        }
        self.durable = self.durable.min(from - 1);
        self.persisting = self.persisting.min(from - 1);
    }

    /// Takes the entries of a leader behind `prev`, if `prev` matches; the answer is the last index of the message.
    ///
    /// # Errors
    /// [`Error::BrokenLog`] if they conflict with a committed entry or are not in order.
    pub fn maybe_append(
        &mut self,
        prev: EntryId,
        entries: &[Entry],
        commit: u64,
    ) -> Result<Option<u64>, Error> {
        if !self.matches(prev) {
            return Ok(None);
        }
        check_order(prev, entries)?;
        let last_new = prev.index + entries.len() as u64;
        let conflict = entries.iter().position(|entry| !self.matches(EntryId::of(entry)));
        if let Some(position) = conflict {
            self.append(&entries[position..])?;
        }
        self.commit_to(commit.min(last_new))?;
        Ok(Some(last_new))
    }

    /// Raises the commit index; never lowers it.
    ///
    /// # Errors
    /// [`Error::BrokenLog`] if the log does not reach so far: it lost entries that it had acknowledged.
    pub fn commit_to(&mut self, index: u64) -> Result<(), Error> {
        if index <= self.committed {
            return Ok(());
        }
        let last = self.last();
        if index > last {
            let text =
                format!("entry {index} is committed, but the log ends at {last}: was it damaged or lost?");
            return Err(Error::BrokenLog(text));
        }
        self.committed = index;
        Ok(())
    }

    /// Commits up to `id` if the entry is of that term.
    pub fn maybe_commit(&mut self, id: EntryId) -> bool {
        if id.term == 0 || id.index <= self.committed || !self.matches(id) {
            return false;
        }
        self.committed = id.index;
        true
    }

    /// Whether a configuration change is committed and not applied.
    pub fn has_unapplied_conf_change(&self) -> bool {
        self.conf_changes.front().is_some_and(|index| *index <= self.committed)
    }

    /// Entries from `from` on, at least one, of at most `bytes_max` encoded bytes together.
    pub fn entries(&self, from: u64, bytes_max: u64) -> Slice {
        self.slice(from, self.last(), bytes_max)
    }

    fn slice(&self, from: u64, until: u64, bytes_max: u64) -> Slice {
        if from > until {
            return Slice::Here(Vec::new());
        }
        if from < self.cached_first {
            return Slice::OnDisk;
        }
        Slice::Here(self.join(&[], (from, until), bytes_max))
    }

    /// The entries of the range, first those of `disk` and behind them those in memory, as long as there is no gap: at
    /// least one if the first one is there, and of at most `bytes_max` encoded bytes together.
    pub fn join(&self, disk: &[Entry], range: (u64, u64), bytes_max: u64) -> Vec<Entry> {
        let (from, until) = range;
        let skip = disk.iter().take_while(|entry| entry.index < from).count();
        let disk = &disk[skip..];
        let next = disk.last().map_or(from, |entry| entry.index + 1);
        let in_memory = if (self.cached_first..=self.last()).contains(&next) {
            self.entries.range(self.position(next)..)
        } else {
            self.entries.range(..0)
        };
        let mut bytes = 0;
        let fits = |position: usize, entry: &Entry| {
            bytes += encoded_bytes(entry);
            entry.index == from + position as u64
                && entry.index <= until
                && (position == 0 || bytes <= bytes_max)
        };
        take_while_indexed(disk.iter().chain(in_memory), fits)
    }

    /// Where the entry of `index` is in `entries`; it must be in memory or one past the end.
    fn position(&self, index: u64) -> usize {
        usize::try_from(index - self.cached_first).expect("the log fits into memory")
    }

    /// The entries that were not handed out to be persisted yet.
    pub fn has_entries_to_persist(&self) -> bool {
        self.last() > self.persisting
    }

    /// Hands out the entries to persist.
    pub fn take_entries_to_persist(&mut self) -> Vec<Entry> {
        let skip = self.position(self.persisting + 1);
        self.persisting = self.last();
        self.entries.range(skip..).cloned().collect()
    }

    /// Whether entries are in memory only, or on their way to disk.
    pub fn has_volatile_entries(&self) -> bool {
        self.last() > self.durable
    }

    /// An entry is durable, and all before it, if the log still holds it (contract C3).
    pub fn persisted(&mut self, id: EntryId) {
        if id.index > self.durable && self.matches(id) {
            self.durable = id.index;
            self.persisting = self.persisting.max(id.index);
        }
    }

    pub fn has_incoming_snapshot(&self) -> bool {
        self.incoming.is_some()
    }

    pub fn has_snapshot_to_persist(&self) -> bool {
        self.incoming.is_some() && !self.is_incoming_handed_out
    }

    /// Hands out the snapshot to put in place, once.
    pub fn take_snapshot_to_persist(&mut self) -> Option<Snapshot> {
        if self.is_incoming_handed_out {
            return None;
        }
        self.is_incoming_handed_out = self.incoming.is_some();
        self.incoming.clone()
    }

    /// The snapshot of `index` is in place and durable.
    pub fn snapshot_persisted(&mut self, index: u64) {
        if self.incoming.as_ref().is_some_and(|snapshot| snapshot.metadata.index == index) {
            self.incoming = None;
            self.is_incoming_handed_out = false;
        }
        self.applied_to(index);
    }

    /// Starts anew behind a snapshot from the leader.
    pub fn restore(&mut self, snapshot: Snapshot) {
        let start = EntryId { term: snapshot.metadata.term, index: snapshot.metadata.index };
        assert!(start.index > self.committed, "a snapshot does not take back what is committed");
        self.start = start;
        self.terms.clear();
        self.conf_changes.clear();
        self.entries.clear();
        self.cached_first = start.index + 1;
        self.cached_bytes = 0;
        (self.durable, self.persisting) = (start.index, start.index);
        self.committed = start.index;
        self.incoming = Some(snapshot.clone());
        self.is_incoming_handed_out = false;
        self.available = Some(snapshot);
    }

    /// The newest snapshot that a follower can be given.
    pub fn available_snapshot(&self) -> Option<&Snapshot> {
        self.available.as_ref()
    }

    /// Tells that there is a snapshot, and that entries up to `until` need not be kept.
    pub fn compact(&mut self, snapshot: Snapshot, until: u64) {
        self.available = Some(snapshot);
        let until = until.min(self.applied).min(self.durable);
        let Some(term) = self.term(until).filter(|_| until > self.start.index) else { return };
        self.start = EntryId { term, index: until };
        while self.terms.get(1).is_some_and(|run| run.index <= until + 1) {
            self.terms.pop_front();
        }
        if self.last() <= until {
            self.terms.clear();
        } else if let Some(run) = self.terms.front_mut() {
            run.index = run.index.max(until + 1);
        }
        while self.cached_first <= until {
            self.evict_one();
        }
    }

    /// Evicts durable entries while more than `bytes_max` bytes are in memory, and those up to `until` in any case.
    pub fn evict(&mut self, bytes_max: u64, until: u64) {
        while self.cached_first <= self.durable
            && (self.cached_bytes > bytes_max || self.cached_first <= until)
            && self.evict_one()
        {}
    }

    fn evict_one(&mut self) -> bool {
        let Some(entry) = self.entries.pop_front() else { return false };
        self.cached_bytes -= memory_bytes(&entry);
        self.cached_first += 1;
        true
    }

    /// The last entry that may be handed to apply: committed and durable here.
    fn appliable(&self) -> u64 {
        self.committed.min(self.durable)
    }

    pub fn has_committed_to_apply(&self) -> bool {
        !self.is_applying_paused && self.incoming.is_none() && self.applying < self.appliable()
    }

    /// Hands out committed and durable entries, each once; [`Slice::OnDisk`] if the next one was evicted.
    pub fn take_committed(&mut self) -> Slice {
        if !self.has_committed_to_apply() {
            return Slice::Here(Vec::new());
        }
        let bytes_max = self.applying_bytes_max - self.applying_bytes;
        let slice = self.slice(self.applying + 1, self.appliable(), bytes_max);
        if let Slice::Here(entries) = &slice {
            self.hand_to_apply(entries);
        }
        slice
    }

    /// Hands out what [`Log::take_committed`] found to be on disk only, from what was read there.
    pub fn take_committed_from(&mut self, disk: &[Entry]) -> Vec<Entry> {
        if !self.has_committed_to_apply() {
            return Vec::new();
        }
        let bytes_max = self.applying_bytes_max - self.applying_bytes;
        let entries = self.join(disk, (self.applying + 1, self.appliable()), bytes_max);
        self.hand_to_apply(&entries);
        entries
    }

    /// Notes that these entries, the next ones, are on their way to apply.
    fn hand_to_apply(&mut self, entries: &[Entry]) {
        let Some(last) = entries.last() else { return };
        let encoded: u64 = entries.iter().map(encoded_bytes).sum();
        let payload: u64 = entries.iter().map(payload_bytes).sum();
        self.batches.push_back(Batch { last: last.index, encoded_bytes: encoded, payload_bytes: payload });
        self.applying = last.index;
        self.applying_bytes += encoded;
        self.is_applying_paused =
            self.applying_bytes >= self.applying_bytes_max || self.applying < self.appliable();
    }

    /// Entries up to `index` are in the state machine; returns the payload bytes of the batches that ended with it.
    pub fn applied_to(&mut self, index: u64) -> u64 {
        assert!(index <= self.committed, "only committed entries are applied");
        self.applied = self.applied.max(index);
        self.applying = self.applying.max(index);
        let mut payload = 0;
        while self.batches.front().is_some_and(|batch| batch.last <= index) {
            let Some(batch) = self.batches.pop_front() else { break };
            self.applying_bytes -= batch.encoded_bytes;
            payload += batch.payload_bytes;
        }
        self.is_applying_paused = self.applying_bytes >= self.applying_bytes_max;
        self.forget_conf_changes();
        payload
    }

    fn forget_conf_changes(&mut self) {
        while self.conf_changes.front().is_some_and(|index| *index <= self.applied) {
            self.conf_changes.pop_front();
        }
    }
}

fn take_while_indexed<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    mut fits: impl FnMut(usize, &Entry) -> bool,
) -> Vec<Entry> {
    entries
        .enumerate()
        .take_while(|(position, entry)| fits(*position, entry))
        .map(|(_, entry)| entry.clone())
        .collect()
}

/// Checks that entries from another member follow `prev` without gaps and without going back in term.
fn check_order(prev: EntryId, entries: &[Entry]) -> Result<(), Error> {
    let mut last = prev;
    for entry in entries {
        if last.index.checked_add(1) != Some(entry.index) || entry.term < last.term {
            return Err(Error::Malformed("entries out of order"));
        }
        last = EntryId::of(entry);
    }
    Ok(())
}

fn is_conf_change(entry: &Entry) -> bool {
    entry.r#type != EntryType::EntryNormal as i32
}

/// What an entry counts against limits on encoded bytes: its length in protobuf.
pub(crate) fn encoded_bytes(entry: &Entry) -> u64 {
    // Type, term and index are always written; the type is one byte.
    let data = entry.data.as_ref().map_or(0, |data| {
        let length = data.len() as u64;
        1 + varint_bytes(length) + length
    });
    4 + varint_bytes(entry.term) + varint_bytes(entry.index) + data
}

fn varint_bytes(value: u64) -> u64 {
    u64::from((value | 1).ilog2() / 7 + 1)
}

/// What an entry counts against limits on proposals.
pub(crate) fn payload_bytes(entry: &Entry) -> u64 {
    entry.data.as_ref().map_or(0, |data| data.len() as u64)
}

fn memory_bytes(entry: &Entry) -> u64 {
    size_of::<Entry>() as u64 + payload_bytes(entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use prost::Message;

    fn entry(term: u64, index: u64) -> Entry {
        Entry { r#type: 0, term, index, data: Some(Bytes::from(vec![7; 10])) }
    }

    fn log(start: (u64, u64), terms: &[u64]) -> Log {
        let start = EntryId { term: start.0, index: start.1 };
        let entries = (start.index + 1..).zip(terms).map(|(index, term)| entry(*term, index)).collect();
        Log::new(start, entries, (start.index, start.index), u64::MAX).unwrap()
    }

    #[test]
    fn the_encoded_length_is_that_of_the_encoder() {
        for shift in 0..64 {
            for data in [None, Some(Bytes::new()), Some(Bytes::from(vec![0; 200]))] {
                let entry = Entry { r#type: 1, term: 1 << shift, index: u64::MAX >> shift, data };
                assert_eq!(encoded_bytes(&entry), entry.encoded_len() as u64);
            }
        }
    }

    #[test]
    fn terms_are_known_in_the_whole_log_and_nowhere_else() {
        let log = log((2, 10), &[2, 3, 3, 5]);
        let terms: Vec<_> = (9..=15).map(|index| log.term(index)).collect();
        assert_eq!(terms, [None, Some(2), Some(2), Some(3), Some(3), Some(5), None]);
    }

    #[test]
    fn the_conflict_search_equals_a_walk() {
        let walk = |log: &Log, mut index: u64, term: u64| {
            while index > 0 {
                match log.term(index) {
                    None => return EntryId { term: 0, index },
                    Some(own) if own <= term => return EntryId { term: own, index },
                    Some(_) => index -= 1,
                }
            }
            EntryId::default()
        };
        for log in
            [log((0, 0), &[1, 1, 3, 3, 4, 9]), log((4, 7), &[4, 4, 6]), log((4, 7), &[]), log((3, 1), &[5])]
        {
            for index in 0..=log.last() + 2 {
                for term in 0..11 {
                    assert_eq!(
                        log.find_conflict_by_term(index, term),
                        walk(&log, index, term),
                        "{index} {term}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_new_leader_replaces_what_is_not_committed() {
        let mut log = log((0, 0), &[1, 1, 1, 2]);
        log.commit_to(2).unwrap();
        let prev = EntryId { term: 1, index: 2 };
        assert_eq!(log.maybe_append(prev, &[entry(1, 3), entry(3, 4), entry(3, 5)], 3), Ok(Some(5)));
        assert_eq!((log.last(), log.durable(), log.committed()), (5, 3, 3));
        assert_eq!(log.term(4), Some(3));
        log.persisted(EntryId { term: 2, index: 4 });
        assert_eq!(log.durable(), 3, "a completion for the entry that was replaced counts for nothing");
        log.persisted(EntryId { term: 3, index: 4 });
        assert_eq!(log.durable(), 4);
        assert!(log.maybe_append(prev, &[entry(4, 3)], 3).is_err(), "entry 3 is committed");
        assert_eq!(log.maybe_append(EntryId { term: 9, index: 5 }, &[], 3), Ok(None));
    }

    #[test]
    fn entries_out_of_order_are_refused() {
        let mut log = log((0, 0), &[1]);
        let prev = EntryId { term: 1, index: 1 };
        for entries in [vec![entry(1, 3)], vec![entry(2, 2), entry(1, 3)], vec![entry(1, 2), entry(1, 2)]] {
            assert_eq!(log.maybe_append(prev, &entries, 0), Err(Error::Malformed("entries out of order")));
        }
        assert_eq!(log.last(), 1);
    }

    #[test]
    fn only_durable_entries_leave_memory_and_their_terms_stay() {
        let mut log = log((0, 0), &[1, 1, 2]);
        log.push(entry(2, 4));
        log.evict(0, 0);
        assert_eq!(log.cached_first, 4);
        assert_eq!(log.entries(2, u64::MAX), Slice::OnDisk);
        assert_eq!(log.term(2), Some(1));
        assert_eq!(log.entries(4, u64::MAX), Slice::Here(vec![entry(2, 4)]));
        // A new leader may still replace what is on disk only.
        let prev = EntryId { term: 1, index: 1 };
        assert_eq!(log.maybe_append(prev, &[entry(3, 2)], 0), Ok(Some(2)));
        assert_eq!((log.last(), log.cached_first, log.durable()), (2, 2, 1));
        assert_eq!(log.entries(2, u64::MAX), Slice::Here(vec![entry(3, 2)]));
    }

    #[test]
    fn a_slice_has_at_least_one_entry_and_at_most_its_bytes() {
        let log = log((0, 0), &[1, 1, 1]);
        let size = encoded_bytes(&entry(1, 1));
        for (bytes, count) in [(0, 1), (size, 1), (2 * size - 1, 1), (2 * size, 2), (u64::MAX, 3)] {
            let Slice::Here(entries) = log.entries(1, bytes) else { panic!("in memory") };
            assert_eq!(entries.len(), count, "{bytes}");
        }
    }

    #[test]
    fn compaction_keeps_the_term_of_its_entry() {
        let mut log = log((0, 0), &[1, 1, 2, 2]);
        log.commit_to(4).unwrap();
        log.applied_to(3);
        log.compact(Snapshot::default(), 3);
        assert_eq!((log.first(), log.cached_first), (4, 4));
        let terms: Vec<_> = (2..=5).map(|index| log.term(index)).collect();
        assert_eq!(terms, [None, Some(2), Some(2), None]);
        log.applied_to(4);
        log.compact(Snapshot::default(), 4);
        assert_eq!((log.last(), log.term(4), log.last_id()), (4, Some(2), EntryId { term: 2, index: 4 }));
        log.push(entry(2, 5));
        assert_eq!(log.term(5), Some(2));
    }
}
