//! A group of members, moved by commands.

use crate::text;
use bytes::Bytes;
use prost::Message as _;
use proto::raftpb::{
    ConfChange, ConfChangeType, ConfState, Entry, EntryType, HardState, Message, MessageType, Snapshot,
    SnapshotMetadata,
};
use raft::{Config, Persist, Raft, Restored};
use std::collections::{BTreeMap, VecDeque};
use types::{LogIndex, MemberId, Term};

/// Rounds in which everything settles, or does not.
const ROUNDS_MAX: usize = 200;

/// A member, its disk, and what is under way in it.
struct Node {
    raft: Raft,
    config: Config,
    persists: VecDeque<Persist>,
    applies: VecDeque<Vec<Entry>>,
    snapshot: SnapshotMetadata,
    entries: Vec<Entry>,
    hard_state: HardState,
    applied: u64,
    role: String,
    /// Persists and applies only when it is told to.
    is_manual: bool,
}

#[derive(Default)]
pub struct Group {
    nodes: BTreeMap<u64, Node>,
    wire: Vec<Message>,
    cut: Vec<u64>,
    /// What has happened in this command.
    happened: Vec<String>,
    is_quiet: bool,
}

impl Group {
    /// Does what one line says; returns what happens.
    pub fn command(&mut self, line: &str) -> Vec<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |position: usize| words.get(position).and_then(|word| word.parse::<u64>().ok());
        let id = number(1).unwrap_or(0);
        self.happened.clear();
        match words[0] {
            "group" => self.create(&words[1..]),
            "settle" => self.settle(),
            "quietly" => {
                self.is_quiet = true;
                let rest = words[1..].join(" ");
                self.command(&rest);
                self.is_quiet = false;
                self.happened.clear();
            }
            "deliver" => self.deliver(words.get(1).copied(), number(2)),
            "drop" => self.wire.retain(|message| !is_between(message, words[1])),
            "cut" => self.cut.push(id),
            "heal" => self.cut.clear(),
            "status" => self.status(),
            "log" => self.log(id),
            _ => self.act(words[0], id, &words),
        }
        std::mem::take(&mut self.happened)
    }

    fn say(&mut self, text: impl Into<String>) {
        if !self.is_quiet {
            self.happened.push(text.into());
        }
    }

    /// `group 1 2 3 learner 4 outsider 5 at 10/3 inflight 2 message 100 no-prevote no-checkquorum cache 0`
    fn create(&mut self, words: &[&str]) {
        let (mut voters, mut learners, mut outsiders) = (Vec::new(), Vec::new(), Vec::new());
        let mut start = (0, 0);
        let mut config = Config { cache_bytes_max: u64::MAX, ..Config::new(MemberId(0)) };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().copied().unwrap_or_default();
            match *word {
                "learner" => learners.push(value().parse().expect("an id")),
                "outsider" => outsiders.push(value().parse().expect("an id")),
                "at" => {
                    let (index, term) = value().split_once('/').expect("index and term");
                    start = (index.parse().expect("an index"), term.parse().expect("a term"));
                }
                "inflight" => config.inflight.messages = value().parse().expect("a count"),
                "message" => config.message_bytes_max = value().parse().expect("a size"),
                "uncommitted" => config.uncommitted_bytes_max = value().parse().expect("a size"),
                "cache" => config.cache_bytes_max = value().parse().expect("a size"),
                "no-prevote" => config.has_pre_vote = false,
                "no-checkquorum" => config.checks_quorum = false,
                id => voters.push(id.parse().expect("an id")),
            }
        }
        let conf_state = ConfState { voters, learners, ..ConfState::default() };
        let members = conf_state.voters.iter().chain(&conf_state.learners).copied();
        for id in members.chain(outsiders.iter().copied()) {
            let is_outside = outsiders.contains(&id);
            let conf_state = if is_outside { ConfState::default() } else { conf_state.clone() };
            let (index, term) = if is_outside { (0, 0) } else { start };
            let config = Config { id: MemberId(id), seed: id, ..config.clone() };
            let snapshot = SnapshotMetadata { conf_state, index, term };
            let hard_state = HardState { term, vote: 0, commit: index };
            self.nodes.insert(id, Node::new(config, snapshot, Vec::new(), hard_state));
        }
    }

    fn act(&mut self, what: &str, id: u64, words: &[&str]) {
        let word = |position: usize| words.get(position).copied().unwrap_or_default();
        let to = || MemberId(word(2).parse().expect("an id"));
        let node = self.nodes.get_mut(&id).unwrap_or_else(|| panic!("no member in {words:?}"));
        let raft = &mut node.raft;
        let result = match what {
            "tick" => {
                (0..word(2).parse().unwrap_or(1)).for_each(|_| raft.tick());
                Ok(())
            }
            // As long as a follower waits at most, and a little less than the least.
            "timeout" => {
                (0..raft.election_timeout()).for_each(|_| raft.tick());
                Ok(())
            }
            "campaign" => {
                raft.campaign();
                Ok(())
            }
            "propose" => {
                words[2..].iter().try_for_each(|data| raft.propose(Bytes::copy_from_slice(data.as_bytes())))
            }
            "propose-bytes" => raft.propose(vec![b'x'; word(2).parse().expect("a length")].into()),
            "propose-as-leader" => {
                raft.propose_as_leader(Term(word(2).parse().expect("a term")), Bytes::from_static(b"own"))
            }
            "change" => raft.propose_conf_change(&change(word(2), to_id(word(3)))),
            "read" => {
                raft.read_index(Bytes::copy_from_slice(word(2).as_bytes()));
                Ok(())
            }
            "transfer" => {
                raft.transfer_leader(to());
                Ok(())
            }
            "unreachable" => {
                raft.report_unreachable(to());
                Ok(())
            }
            "snapshot-sent" => {
                raft.report_snapshot(to(), word(3) == "ok");
                Ok(())
            }
            "manual" => {
                node.is_manual = true;
                Ok(())
            }
            "automatic" => {
                node.is_manual = false;
                Ok(())
            }
            "take" => return self.take(id),
            "persist" => return self.persist(id),
            "apply" => return self.apply(id),
            "compact" => {
                node.compact(word(2).parse().expect("an index"));
                Ok(())
            }
            "restart" => {
                if word(2) == "with-state" {
                    // The state machine was durable, and knows what was committed.
                    node.hard_state.commit = node.applied.max(node.hard_state.commit);
                }
                node.restart();
                self.wire.retain(|message| message.to != id && message.from != id);
                Ok(())
            }
            other => panic!("unknown command {other}"),
        };
        if let Err(error) = result {
            self.say(format!("error: {error}"));
        }
        self.run(id);
    }

    /// Takes everything that is new, and completes it unless the member is moved by hand.
    fn run(&mut self, id: u64) {
        self.note_role(id);
        if self.nodes[&id].is_manual {
            self.send_new(id);
            return;
        }
        loop {
            let is_new = self.send_new(id) | self.take_new(id);
            if !is_new {
                return;
            }
            while !self.nodes[&id].persists.is_empty() {
                self.persist(id);
            }
            while !self.nodes[&id].applies.is_empty() {
                self.apply(id);
            }
        }
    }

    fn take(&mut self, id: u64) {
        self.send_new(id);
        self.take_new(id);
        let node = &self.nodes[&id];
        let texts: Vec<String> = node.persists.back().map(describe_persist).into_iter().collect();
        texts.into_iter().for_each(|text| self.say(text));
    }

    fn node(&mut self, id: u64) -> &mut Node {
        self.nodes.get_mut(&id).expect("a member")
    }

    fn send_new(&mut self, id: u64) -> bool {
        let node = self.node(id);
        node.serve_disk();
        let messages = node.raft.take_messages();
        let reads = node.raft.take_reads();
        let is_new = !messages.is_empty() || !reads.is_empty();
        for read in reads {
            self.say(format!(
                "{id} may read at {} for {}",
                read.index,
                String::from_utf8_lossy(&read.context)
            ));
        }
        self.send(messages);
        is_new
    }

    fn send(&mut self, messages: Vec<Message>) {
        for message in messages {
            self.say(text::message(&message));
            if !self.cut.contains(&message.from) && !self.cut.contains(&message.to) {
                self.wire.push(message);
            }
        }
    }

    fn take_new(&mut self, id: u64) -> bool {
        let node = self.node(id);
        let persist = node.raft.take_persist();
        let committed = node.raft.take_committed();
        let is_new = persist.is_some() || !committed.is_empty();
        node.persists.extend(persist);
        if !committed.is_empty() {
            node.applies.push_back(committed);
        }
        is_new
    }

    fn persist(&mut self, id: u64) {
        let node = self.node(id);
        let Some(persist) = node.persists.pop_front() else { return };
        let Persist { hard_state, snapshot, entries, completion, .. } = persist;
        if let Some(snapshot) = snapshot {
            node.snapshot = snapshot.metadata;
            node.entries.clear();
            node.applied = node.snapshot.index;
            let text = format!("{id} starts anew at {}", node.snapshot.index);
            self.say(text);
        }
        let node = self.node(id);
        node.append(&entries);
        node.hard_state = hard_state.unwrap_or(node.hard_state);
        match node.raft.persisted(completion) {
            Ok(messages) => self.send(messages),
            Err(error) => self.say(format!("{id} stops: {error}")),
        }
        self.note_role(id);
        self.send_new(id);
    }

    fn apply(&mut self, id: u64) {
        let node = self.node(id);
        let Some(entries) = node.applies.pop_front() else { return };
        let mut texts = vec![format!("{id} applies {}", text::entries(&entries))];
        for entry in &entries {
            node.applied = entry.index;
            if entry.r#type == EntryType::EntryConfChange as i32 {
                let change = ConfChange::decode(entry.data.clone().unwrap_or_default()).expect("a change");
                match node.raft.apply_conf_change(&change) {
                    Ok(conf_state) => texts.push(format!("{id} knows {}", text::configuration(&conf_state))),
                    Err(error) => texts.push(format!("{id} stops: {error}")),
                }
            }
        }
        node.raft.applied(LogIndex(node.applied));
        texts.into_iter().for_each(|text| self.say(text));
        self.note_role(id);
    }

    /// Delivers the messages on a way like `1>2`, or all of them that are there now; at most `count`.
    fn deliver(&mut self, way: Option<&str>, count: Option<u64>) {
        let (now, later): (Vec<Message>, Vec<Message>) = std::mem::take(&mut self.wire)
            .into_iter()
            .partition(|message| way.is_none_or(|way| is_between(message, way)));
        self.wire = later;
        let count = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(now.len());
        let mut now = now;
        let rest = now.split_off(count.min(now.len()));
        self.wire.splice(0..0, rest);
        for message in now {
            let id = message.to;
            let Some(node) = self.nodes.get_mut(&id) else { continue };
            if let Err(error) = node.raft.step(message) {
                self.say(format!("{id} drops it: {error}"));
            }
            self.run(id);
        }
    }

    fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            if self.wire.is_empty() {
                return;
            }
            self.deliver(None, None);
        }
        self.say("never quiet");
    }

    fn note_role(&mut self, id: u64) {
        let node = self.node(id);
        let role = text::role(&node.raft);
        if role != node.role {
            node.role.clone_from(&role);
            self.say(format!("{id} is {role}"));
        }
    }

    fn status(&mut self) {
        let mut texts = Vec::new();
        for (id, node) in &self.nodes {
            let status = node.raft.status();
            let (role, members) = (text::role(&node.raft), text::configuration(&node.raft.conf_state()));
            texts.push(format!("{id} {role}, commit {} of {}, {members}", status.commit, status.last));
            if status.role == raft::Role::Leader {
                texts.extend(
                    node.raft.progress().iter().map(|progress| format!("  {}", text::progress(progress))),
                );
            }
        }
        texts.into_iter().for_each(|text| self.say(text));
    }

    fn log(&mut self, id: u64) {
        let node = &self.nodes[&id];
        let text = format!(
            "{id} has {}/{} [{}]",
            node.snapshot.index,
            node.snapshot.term,
            text::entries(&node.entries)
        );
        self.say(text);
    }
}

impl Node {
    fn new(config: Config, snapshot: SnapshotMetadata, entries: Vec<Entry>, hard_state: HardState) -> Self {
        let restored = Restored {
            hard_state,
            conf_state: snapshot.conf_state.clone(),
            snapshot: (Term(snapshot.term), LogIndex(snapshot.index)),
            entries: entries.clone(),
            applied: LogIndex(snapshot.index),
        };
        let raft = Raft::new(config.clone(), restored).expect("it fits");
        let (role, applied) = (text::role(&raft), snapshot.index);
        Self {
            raft,
            config,
            persists: VecDeque::new(),
            applies: VecDeque::new(),
            snapshot,
            entries,
            hard_state,
            applied,
            role,
            is_manual: false,
        }
    }

    fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        let keep = usize::try_from(first.index - self.snapshot.index - 1).expect("a short log");
        self.entries.truncate(keep);
        self.entries.extend(entries.iter().cloned());
    }

    fn compact(&mut self, index: u64) {
        let keep = usize::try_from(index - self.snapshot.index).expect("a short log");
        let term = self.entries[keep - 1].term;
        self.snapshot = SnapshotMetadata { conf_state: self.raft.conf_state(), index, term };
        self.entries.drain(..keep);
        let snapshot = Snapshot { data: None, metadata: self.snapshot.clone() };
        self.raft.compact(snapshot, LogIndex(index));
    }

    fn restart(&mut self) {
        let (config, snapshot) = (self.config.clone(), self.snapshot.clone());
        *self = Self::new(config, snapshot, self.entries.clone(), self.hard_state);
    }

    fn serve_disk(&mut self) {
        while let Some(read) = self.raft.take_disk_read() {
            let entries: Vec<Entry> =
                self.entries.iter().filter(|entry| entry.index >= read.from.0).cloned().collect();
            self.raft.entries_read(&entries).expect("what is not applied is there");
        }
    }
}

fn describe_persist(persist: &Persist) -> String {
    let mut text = String::from("to persist:");
    if let Some(HardState { term, vote, commit }) = persist.hard_state {
        text += &format!(" term {term} vote {vote} commit {commit}");
    }
    if !persist.entries.is_empty() {
        text += &format!(" [{}]", text::entries(&persist.entries));
    }
    for message in persist.completion.messages() {
        text += &format!("; then {}", text::message(message));
    }
    text
}

fn change(kind: &str, node_id: u64) -> ConfChange {
    let kind = match kind {
        "add" => ConfChangeType::ConfChangeAddNode,
        "learner" => ConfChangeType::ConfChangeAddLearnerNode,
        "remove" => ConfChangeType::ConfChangeRemoveNode,
        _ => ConfChangeType::ConfChangeUpdateNode,
    };
    ConfChange { id: None, r#type: kind as i32, node_id, context: None }
}

fn to_id(word: &str) -> u64 {
    word.parse().expect("an id")
}

/// Whether a message is on a way like `1>2`, `1>` or `>2`; `heartbeats` are those and their answers.
fn is_between(message: &Message, way: &str) -> bool {
    if way == "heartbeats" {
        return matches!(message.r#type(), MessageType::MsgHeartbeat | MessageType::MsgHeartbeatResp);
    }
    let (from, to) = way.split_once('>').expect("a way like 1>2");
    (from.is_empty() || from == message.from.to_string()) && (to.is_empty() || to == message.to.to_string())
}
