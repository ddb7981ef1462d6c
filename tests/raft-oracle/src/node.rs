//! A member of ours with a disk that keeps what was made durable.

use bytes::Bytes;
use prost::Message as _;
use proto::raftpb::{
    ConfChange, ConfState, Entry, EntryType, HardState, Message, Snapshot, SnapshotMetadata,
};
use raft::describe::{Configuration, Entries, MessageText, SnapshotText};
use raft::{Completion, Config, Persist, Raft, Restored};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use types::{LogIndex, MemberId, Term};

/// What a member starts from.
#[derive(Clone, Debug, Default)]
pub struct Start {
    pub voters: Vec<u64>,
    pub learners: Vec<u64>,
    pub index: u64,
    pub term: u64,
}

/// What was made durable.
#[derive(Clone, Debug, Default)]
struct Storage {
    snapshot: SnapshotMetadata,
    entries: Vec<Entry>,
    hard_state: HardState,
}

impl Storage {
    fn last(&self) -> u64 {
        self.entries.last().map_or(self.snapshot.index, |entry| entry.index)
    }

    fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.iter().find(|entry| entry.index > self.snapshot.index) else { return };
        let keep = first.index - self.snapshot.index - 1;
        self.entries.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
        self.entries.extend(entries.iter().filter(|entry| entry.index >= first.index).cloned());
    }
}

/// A member and what is under way in it.
pub struct Node {
    pub raft: Raft,
    pub persists: VecDeque<Persist>,
    pub applies: VecDeque<Vec<Entry>>,
    config: Config,
    storage: Storage,
    pub applied: u64,
    pub disk_reads: u64,
    /// The configuration after each applied change.
    configurations: BTreeMap<u64, ConfState>,
}

impl Node {
    pub fn new(config: &Config, start: &Start) -> anyhow::Result<Self> {
        let conf_state = ConfState {
            voters: start.voters.clone(),
            learners: start.learners.clone(),
            ..ConfState::default()
        };
        let storage = Storage {
            snapshot: SnapshotMetadata {
                conf_state: conf_state.clone(),
                index: start.index,
                term: start.term,
            },
            // Go's library does not take a snapshot of a later term than the state's.
            hard_state: HardState { term: start.term, vote: 0, commit: start.index },
            ..Storage::default()
        };
        Self::over(config.clone(), storage)
    }

    fn over(config: Config, storage: Storage) -> anyhow::Result<Self> {
        let snapshot = &storage.snapshot;
        let restored = Restored {
            hard_state: storage.hard_state,
            conf_state: snapshot.conf_state.clone(),
            snapshot: (Term(snapshot.term), LogIndex(snapshot.index)),
            entries: storage.entries.clone(),
            applied: LogIndex(snapshot.index),
        };
        let applied = snapshot.index;
        let configurations = BTreeMap::from([(applied, snapshot.conf_state.clone())]);
        let mut raft = Raft::new(config.clone(), restored)?;
        if applied > 0 {
            raft.compact(snapshot_of(snapshot), LogIndex(applied));
        }
        Ok(Self {
            raft,
            persists: VecDeque::new(),
            applies: VecDeque::new(),
            config,
            storage,
            applied,
            disk_reads: 0,
            configurations,
        })
    }

    /// Starts again with what was durable; everything since the snapshot is applied anew.
    pub fn restart(&mut self) -> anyhow::Result<u64> {
        self.config.seed = self.config.seed.wrapping_add(1);
        *self = Self::over(self.config.clone(), self.storage.clone())?;
        Ok(self.applied)
    }

    pub fn durable_last(&self) -> u64 {
        self.storage.last()
    }

    pub fn snapshot_index(&self) -> u64 {
        self.storage.snapshot.index
    }

    /// Takes everything that is new; returns it in words and the messages that leave.
    pub fn ready(&mut self) -> (String, Vec<Message>) {
        let mut text = String::new();
        let mut committed = self.raft.take_committed();
        if committed.is_empty() {
            // The next ones may have to come from the disk first.
            self.serve_disk();
            committed = self.raft.take_committed();
        }
        let persist = self.raft.take_persist();
        let mut messages = self.raft.take_messages();
        self.sort(&mut messages);
        let reads = self.raft.take_reads();
        if let Some(persist) = &persist {
            describe_persist(&mut text, persist);
        }
        describe_committed(&mut text, &committed);
        describe_reads(&mut text, &reads);
        describe_messages(&mut text, "msgs", &messages);
        self.persists.extend(persist);
        if !committed.is_empty() {
            self.applies.push_back(committed);
        }
        (text, messages)
    }

    /// Answers every wish for entries that are on disk only.
    pub fn serve_disk(&mut self) {
        while let Some(read) = self.raft.take_disk_read() {
            let wanted = self.storage.entries.iter().filter(|entry| entry.index >= read.from.0);
            let entries: Vec<Entry> = wanted.cloned().collect();
            self.disk_reads += 1;
            self.raft.entries_read(&entries).expect("what is not applied is on disk");
        }
    }

    /// Whether entries come from the disk, and then leave behind others that Go's library sends after them.
    pub fn is_reordering(&self) -> bool {
        self.config.cache_bytes_max != u64::MAX
    }

    fn sort(&self, messages: &mut [Message]) {
        if self.is_reordering() {
            messages.sort_by_key(|message| (message.to, message.r#type));
        }
    }

    /// Completes the oldest persist under way.
    pub fn persist(&mut self) -> anyhow::Result<(String, Vec<Message>)> {
        let Some(persist) = self.persists.pop_front() else { return Ok(("none".into(), Vec::new())) };
        let completion = self.write(persist);
        let messages = self.raft.persisted(completion)?;
        let mut text = String::new();
        describe_messages(&mut text, "msgs", &messages);
        Ok((text, messages))
    }

    fn write(&mut self, persist: Persist) -> Completion {
        let Persist { hard_state, snapshot, entries, completion, .. } = persist;
        if let Some(snapshot) = snapshot {
            self.applied = snapshot.metadata.index;
            self.configurations.insert(self.applied, snapshot.metadata.conf_state.clone());
            self.storage.snapshot = snapshot.metadata;
            self.storage.entries.clear();
        }
        self.storage.append(&entries);
        if let Some(hard_state) = hard_state {
            self.storage.hard_state = hard_state;
        }
        completion
    }

    /// Completes the oldest batch on its way to apply.
    pub fn apply(&mut self) -> anyhow::Result<String> {
        let Some(entries) = self.applies.pop_front() else { return Ok("none".into()) };
        let mut text = String::new();
        let states = self.apply_entries(&entries)?;
        self.raft.applied(LogIndex(self.applied));
        describe_configurations(&mut text, &states);
        Ok(text)
    }

    fn apply_entries(&mut self, entries: &[Entry]) -> anyhow::Result<Vec<ConfState>> {
        let mut states = Vec::new();
        for entry in entries {
            if entry.r#type == EntryType::EntryConfChange as i32 {
                let change = ConfChange::decode(entry.data.clone().unwrap_or_default())?;
                let state = self.raft.apply_conf_change(&change)?;
                self.configurations.insert(entry.index, state.clone());
                states.push(state);
            }
            self.applied = entry.index;
        }
        Ok(states)
    }

    /// Persists and applies at once until nothing is new.
    pub fn sync(&mut self) -> anyhow::Result<(String, Vec<Message>)> {
        let (mut entries, mut committed, mut reads, mut messages, mut states) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut text = String::new();
        loop {
            let mut is_new = false;
            self.serve_disk();
            let sent = self.raft.take_messages();
            is_new |= !sent.is_empty();
            messages.extend(sent);
            reads.extend(self.raft.take_reads());
            let persist = self.raft.take_persist();
            let mut batch = self.raft.take_committed();
            if batch.is_empty() {
                self.serve_disk();
                batch = self.raft.take_committed();
            }
            is_new |= persist.is_some() || !batch.is_empty();
            // In this order Go's library learns of what was done.
            let completion = persist.map(|persist| {
                entries.extend(persist.entries.iter().cloned());
                self.write(persist)
            });
            states.extend(self.apply_entries(&batch)?);
            if let Some(completion) = completion {
                messages.extend(self.raft.persisted(completion)?);
            }
            self.raft.applied(LogIndex(self.applied));
            committed.extend(batch);
            if !is_new {
                break;
            }
        }
        self.sort(&mut messages);
        describe_entries(&mut text, "ents", &entries);
        describe_committed(&mut text, &committed);
        describe_reads(&mut text, &reads);
        describe_messages(&mut text, "msgs", &messages);
        describe_configurations(&mut text, &states);
        Ok((text, messages))
    }

    /// Makes a snapshot at `index` and drops the entries up to it.
    pub fn compact(&mut self, index: u64) {
        let (_, conf_state) = self.configurations.range(..=index).next_back().expect("the first one stays");
        let keep = usize::try_from(index - self.storage.snapshot.index).expect("a short log");
        let term = self.storage.entries[keep - 1].term;
        let metadata = SnapshotMetadata { conf_state: conf_state.clone(), index, term };
        self.raft.compact(snapshot_of(&metadata), LogIndex(index));
        // A snapshot goes with a hard state that commits it (contract C2).
        let commit = &mut self.storage.hard_state.commit;
        *commit = index.max(*commit);
        self.storage.snapshot = metadata;
        self.storage.entries.drain(..keep);
        let first = self.configurations.range(..=index).next_back().map_or(0, |(index, _)| *index);
        self.configurations.retain(|index, _| *index >= first);
    }
}

fn snapshot_of(metadata: &SnapshotMetadata) -> Snapshot {
    let data = Bytes::copy_from_slice(&metadata.index.to_le_bytes());
    Snapshot { data: Some(data), metadata: metadata.clone() }
}

/// A configuration of one member.
pub fn config(id: u64, limits: &crate::script::Limits) -> Config {
    Config {
        election_ticks: limits.election,
        heartbeat_ticks: limits.heartbeat,
        has_pre_vote: limits.has_pre_vote,
        checks_quorum: limits.checks_quorum,
        message_bytes_max: limits.message_bytes,
        applying_bytes_max: limits.applying_bytes,
        uncommitted_bytes_max: limits.uncommitted_bytes,
        inflight: raft::InflightLimits { messages: limits.inflight, bytes: limits.inflight_bytes },
        cache_bytes_max: limits.cache_bytes,
        ..Config::new(MemberId(id))
    }
}

fn describe_persist(text: &mut String, persist: &Persist) {
    if let Some(HardState { term, vote, commit }) = persist.hard_state {
        let _ = write!(text, " hs={term}/{vote}/{commit}");
    }
    describe_entries(text, "ents", &persist.entries);
    if let Some(snapshot) = &persist.snapshot {
        let _ = write!(text, " snap={}", SnapshotText(snapshot));
    }
    describe_messages(text, "resp", persist.completion.messages());
}

fn describe_entries(text: &mut String, name: &str, entries: &[Entry]) {
    if !entries.is_empty() {
        let _ = write!(text, " {name}={}", Entries(entries));
    }
}

fn describe_committed(text: &mut String, entries: &[Entry]) {
    describe_entries(text, "com", entries);
}

fn describe_reads(text: &mut String, reads: &[raft::ReadState]) {
    for read in reads {
        let _ = write!(text, " read={}/{}", read.index, stdx::hex::encode(&read.context));
    }
}

fn describe_messages(text: &mut String, name: &str, messages: &[Message]) {
    for message in messages {
        let _ = write!(text, " {name}={}", MessageText(message));
    }
}

fn describe_configurations(text: &mut String, states: &[ConfState]) {
    for state in states {
        let _ = write!(text, " cs={}", Configuration(state));
    }
}
