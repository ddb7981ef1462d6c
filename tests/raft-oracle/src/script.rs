//! Random scripts: what happens to a group of members, step by step.

use crate::node::{Node, Start, config};
use bytes::Bytes;
use prost::Message as _;
use proto::raftpb::{ConfChange, ConfChangeType, Message, MessageType};
use raft::{ProgressState, Role};
use stdx::prng::Prng;
use types::MemberId;

/// Numbers that a member is configured with.
#[derive(Clone, Debug)]
pub struct Limits {
    pub election: u64,
    pub heartbeat: u64,
    pub has_pre_vote: bool,
    pub checks_quorum: bool,
    pub message_bytes: u64,
    pub applying_bytes: u64,
    pub uncommitted_bytes: u64,
    pub inflight: usize,
    pub inflight_bytes: u64,
    /// Ours alone: Go's library keeps the whole log in memory.
    pub cache_bytes: u64,
}

/// How the members persist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// Persisting and applying are steps of their own, and several may be under way.
    Asynchronous,
    /// Everything is persisted and applied at once.
    Synchronous,
}

/// One step: what the other side is told, and what it has to answer.
#[derive(Clone, Debug)]
pub struct Step {
    pub command: String,
    pub answer: String,
}

/// A group, the messages between its members, and where the script stands.
pub struct Script {
    prng: Prng,
    storage: Storage,
    limits: Limits,
    nodes: Vec<Node>,
    messages: Vec<Message>,
    /// Members that do not reach each other, as long as it lasts.
    cut: Vec<(u64, u64)>,
    /// Out of a hundred messages.
    lost: u64,
    duplicated: u64,
    reordered: u64,
    requests: u64,
    counts: Counts,
}

/// What has happened.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub steps: u64,
    pub delivered: u64,
    pub dropped: u64,
    pub elections: u64,
    pub committed: u64,
    pub changes: u64,
    pub restarts: u64,
    pub snapshots: u64,
    pub reads: u64,
    pub disk_reads: u64,
}

/// Messages that may be under way at once.
const MESSAGES_MAX: usize = 400;

impl Script {
    /// A group of `size` voters, and two more members that may join.
    pub fn new(seed: u64, size: u64, storage: Storage) -> anyhow::Result<(Self, Vec<Step>)> {
        let mut prng = Prng::new(seed);
        let limits = limits(&mut prng);
        let is_fresh = prng.chance(1, 2);
        let (index, term) = if is_fresh { (0, 0) } else { (10, 3) };
        let mut nodes = Vec::new();
        let mut steps = Vec::new();
        for id in 1..=size + 2 {
            // Those who join learn of the members from a snapshot, where the log does not begin at its first entry.
            let start = if id <= size || is_fresh {
                Start { voters: (1..=size).collect(), learners: Vec::new(), index, term }
            } else {
                Start::default()
            };
            let mut config = config(id, &limits);
            config.seed = prng.next_u64();
            let node = Node::new(&config, &start)?;
            let command = format!(
                "new n={id} id={id} election={} heartbeat={} prevote={} checkquorum={} maxsize={} maxcommitted={} \
                 maxuncommitted={} inflight={} inflightbytes={} async={} voters={} learners=- peers=- index={} \
                 term={} rt={}",
                limits.election,
                limits.heartbeat,
                u8::from(limits.has_pre_vote),
                u8::from(limits.checks_quorum),
                limits.message_bytes,
                limits.applying_bytes,
                limits.uncommitted_bytes,
                limits.inflight,
                limits.inflight_bytes,
                u8::from(storage == Storage::Asynchronous),
                ids(&start.voters),
                start.index,
                start.term,
                node.raft.election_timeout(),
            );
            steps.push(Step { command, answer: format!("ok {}", node.raft.describe()) });
            nodes.push(node);
        }
        let script = Self {
            lost: pick(&mut prng, &[0, 0, 2, 10, 30]),
            duplicated: pick(&mut prng, &[0, 0, 5, 20]),
            reordered: pick(&mut prng, &[0, 10, 50, 100]),
            prng,
            storage,
            limits,
            nodes,
            messages: Vec::new(),
            cut: Vec::new(),
            requests: 0,
            counts: Counts::default(),
        };
        Ok((script, steps))
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        let disk_reads = self.nodes.iter().map(|node| node.disk_reads).sum();
        Counts { disk_reads, ..self.counts.clone() }
    }

    /// What it is about, in one line.
    pub fn title(&self) -> String {
        let Self { storage, limits, lost, duplicated, reordered, .. } = self;
        format!("{storage:?}, lost {lost}, duplicated {duplicated}, reordered {reordered}, {limits:?}")
    }

    /// Does one random thing.
    pub fn step(&mut self) -> anyhow::Result<Step> {
        self.counts.steps += 1;
        loop {
            let id = 1 + self.prng.below(self.nodes.len() as u64);
            let step = match self.prng.below(1000) {
                0..330 => self.deliver()?,
                330..760 if self.storage == Storage::Synchronous => self.sync(id)?,
                330..540 => Some(self.ready(id)),
                540..680 => self.persist(id)?,
                680..760 => self.apply(id)?,
                760..880 => Some(self.simple(id, "tick", |raft| raft.tick())),
                880..960 => Some(self.propose(id)),
                960..972 => self.read(id),
                972..980 => Some(self.change(id)),
                980..982 => Some(self.simple(id, "campaign", |raft| raft.campaign())),
                982..985 => Some(self.transfer(id)),
                985..988 => Some(self.unreachable(id)),
                988..992 => self.snapshot_status(),
                992..995 => self.compact(id),
                995..997 => {
                    self.partition();
                    None
                }
                997 => self.restart(id)?,
                _ => None,
            };
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    fn node(&mut self, id: u64) -> &mut Node {
        &mut self.nodes[usize::try_from(id - 1).expect("few members")]
    }

    fn finish(&mut self, id: u64, command: &str, result: &str, out: &str) -> Step {
        let node = self.node(id);
        node.serve_disk();
        let raft = &node.raft;
        let command = format!("{command} rt={}", raft.election_timeout());
        Step { command, answer: format!("{result} {}{out}", raft.describe()) }
    }

    fn simple(&mut self, id: u64, name: &str, act: impl FnOnce(&mut raft::Raft)) -> Step {
        let node = self.node(id);
        let before = node.raft.status();
        act(&mut node.raft);
        let after = node.raft.status();
        self.counts.elections += u64::from(before.role != after.role && after.role == Role::Candidate);
        self.finish(id, &format!("{name} n={id}"), "ok", "")
    }

    fn deliver(&mut self) -> anyhow::Result<Option<Step>> {
        if self.messages.is_empty() {
            return Ok(None);
        }
        let position = if self.prng.chance(self.reordered, 100) {
            usize::try_from(self.prng.below(self.messages.len() as u64))?
        } else {
            0
        };
        let is_kept = self.prng.chance(self.duplicated, 100);
        let message = if is_kept { self.messages[position].clone() } else { self.messages.remove(position) };
        let is_cut = self.cut.contains(&(message.from, message.to));
        let is_lost = is_cut || self.prng.chance(self.lost, 100);
        let is_early_read =
            message.r#type() == MessageType::MsgReadIndex && self.is_answered_early(message.to);
        if message.to > self.nodes.len() as u64 || is_lost || is_early_read {
            self.counts.dropped += 1;
            return Ok(None);
        }
        self.counts.delivered += 1;
        let id = message.to;
        let command = format!("step n={id} m={}", stdx::hex::encode(&message.encode_to_vec()));
        let result = self.node(id).raft.step(message);
        if let Err(error) = &result
            && error.is_fatal()
        {
            anyhow::bail!("member {id} stops: {error}");
        }
        let result = if result.is_ok() { "ok" } else { "err" };
        Ok(Some(self.finish(id, &command, result, "")))
    }

    fn send(&mut self, messages: Vec<Message>) {
        self.counts.snapshots +=
            messages.iter().filter(|message| message.r#type() == MessageType::MsgSnap).count() as u64;
        self.messages.extend(messages);
        while self.messages.len() > MESSAGES_MAX {
            self.messages.remove(0);
            self.counts.dropped += 1;
        }
    }

    fn ready(&mut self, id: u64) -> Step {
        let (out, messages) = self.node(id).ready();
        self.counts.reads += out.matches(" read=").count() as u64;
        self.send(messages);
        let sort = u8::from(self.node(id).is_reordering());
        self.finish(id, &format!("ready n={id} sort={sort}"), "ok", &out)
    }

    fn persist(&mut self, id: u64) -> anyhow::Result<Option<Step>> {
        let node = self.node(id);
        // A snapshot comes in place of the state machine when nothing is on its way there.
        let is_blocked = node
            .persists
            .front()
            .is_none_or(|persist| persist.snapshot.is_some() && !node.applies.is_empty());
        if is_blocked {
            return Ok(None);
        }
        let (out, messages) = node.persist()?;
        self.send(messages);
        Ok(Some(self.finish(id, &format!("persist n={id}"), "ok", &out)))
    }

    fn apply(&mut self, id: u64) -> anyhow::Result<Option<Step>> {
        let node = self.node(id);
        let Some(batch) = node.applies.front() else { return Ok(None) };
        let count = batch.len() as u64;
        let out = node.apply()?;
        self.counts.committed += count;
        self.counts.changes += out.matches(" cs=").count() as u64;
        Ok(Some(self.finish(id, &format!("apply n={id}"), "ok", &out)))
    }

    fn sync(&mut self, id: u64) -> anyhow::Result<Option<Step>> {
        let before = self.node(id).applied;
        let (out, messages) = self.node(id).sync()?;
        self.counts.committed += self.node(id).applied.saturating_sub(before);
        self.counts.changes += out.matches(" cs=").count() as u64;
        self.counts.reads += out.matches(" read=").count() as u64;
        self.send(messages);
        let sort = u8::from(self.node(id).is_reordering());
        Ok(Some(self.finish(id, &format!("sync n={id} sort={sort}"), "ok", &out)))
    }

    fn propose(&mut self, id: u64) -> Step {
        // Lengths far from where a limit in bytes could fall between two encodings of a few bytes more or less.
        self.requests += 1;
        let mut data = self.requests.to_le_bytes().to_vec();
        data.resize(pick(&mut self.prng, &[8, 40, 100, 300]), 7);
        let command = format!("propose n={id} data={}", stdx::hex::encode(&data));
        let result = self.node(id).raft.propose(Bytes::from(data));
        let result = if result.is_ok() { "ok" } else { "err" };
        self.finish(id, &command, result, "")
    }

    /// Whether Go's library answers a read at once that ours does not (decision 6): of a leader that has not committed
    /// in its term, or that was removed, if there is one voter.
    fn is_answered_early(&self, id: u64) -> bool {
        let Some(node) = usize::try_from(id - 1).ok().and_then(|position| self.nodes.get(position)) else {
            return false;
        };
        let status = node.raft.status();
        status.role == Role::Leader
            && node.raft.conf_state().voters.len() == 1
            && !(status.has_committed_in_term && node.raft.is_sole_voter())
    }

    fn read(&mut self, id: u64) -> Option<Step> {
        if self.is_answered_early(id) {
            return None;
        }
        self.requests += 1;
        let context = self.requests.to_be_bytes();
        let command = format!("readindex n={id} ctx={}", stdx::hex::encode(&context));
        self.node(id).raft.read_index(Bytes::copy_from_slice(&context));
        Some(self.finish(id, &command, "ok", ""))
    }

    fn change(&mut self, id: u64) -> Step {
        self.requests += 1;
        let kind = pick(
            &mut self.prng,
            &[
                ConfChangeType::ConfChangeAddNode,
                ConfChangeType::ConfChangeAddLearnerNode,
                ConfChangeType::ConfChangeRemoveNode,
                ConfChangeType::ConfChangeUpdateNode,
            ],
        );
        let node_id = 1 + self.prng.below(self.nodes.len() as u64);
        // The first two stay what they are: without a voter the library ends.
        let kind = if node_id <= 2 { ConfChangeType::ConfChangeUpdateNode } else { kind };
        let change = ConfChange {
            id: Some(self.requests),
            r#type: kind as i32,
            node_id,
            context: Some(Bytes::from_static(b"{}")),
        };
        let command = format!("confchange n={id} v1={}", stdx::hex::encode(&change.encode_to_vec()));
        let result = self.node(id).raft.propose_conf_change(&change);
        let result = if result.is_ok() { "ok" } else { "err" };
        self.finish(id, &command, result, "")
    }

    fn transfer(&mut self, id: u64) -> Step {
        let to = 1 + self.prng.below(self.nodes.len() as u64);
        self.node(id).raft.transfer_leader(MemberId(to));
        self.finish(id, &format!("transfer n={id} to={to}"), "ok", "")
    }

    fn unreachable(&mut self, id: u64) -> Step {
        let to = 1 + self.prng.below(self.nodes.len() as u64);
        self.node(id).raft.report_unreachable(MemberId(to));
        self.finish(id, &format!("unreachable n={id} to={to}"), "ok", "")
    }

    /// Ends a snapshot that a leader waits for.
    fn snapshot_status(&mut self) -> Option<Step> {
        let is_delivered = self.prng.chance(2, 3);
        let (id, to) = self.nodes.iter().zip(1..).find_map(|(node, id)| {
            let is_leader = node.raft.status().role == Role::Leader;
            let mut members = node.raft.progress().iter().filter(|_| is_leader);
            members
                .find(|progress| progress.state == ProgressState::Snapshot)
                .map(|progress| (id, progress.id))
        })?;
        self.node(id).raft.report_snapshot(MemberId(to), is_delivered);
        Some(self.finish(id, &format!("snapstatus n={id} to={to} ok={}", u8::from(is_delivered)), "ok", ""))
    }

    fn compact(&mut self, id: u64) -> Option<Step> {
        let node = self.node(id);
        let (from, until) = (node.snapshot_index() + 1, node.applied.min(node.durable_last()));
        // While a snapshot is on its way into place the log on disk is another one.
        let is_busy = node.persists.iter().any(|persist| persist.snapshot.is_some());
        if until < from || is_busy || node.raft.status().commit.0 < until {
            return None;
        }
        let index = from + self.prng.below(until - from + 1);
        self.node(id).compact(index);
        Some(self.finish(id, &format!("compact n={id} index={index}"), "ok", ""))
    }

    /// Begins or ends a partition: one member alone, in both directions or in one.
    fn partition(&mut self) {
        if !self.cut.is_empty() {
            self.cut.clear();
            return;
        }
        let count = self.nodes.len() as u64;
        let alone = 1 + self.prng.below(count);
        let (hears, speaks) = (self.prng.chance(1, 3), self.prng.chance(1, 3));
        for other in (1..=count).filter(|id| *id != alone) {
            if !hears {
                self.cut.push((other, alone));
            }
            if !speaks {
                self.cut.push((alone, other));
            }
        }
    }

    fn restart(&mut self, id: u64) -> anyhow::Result<Option<Step>> {
        let applied = self.node(id).restart()?;
        self.counts.restarts += 1;
        Ok(Some(self.finish(id, &format!("restart n={id} applied={applied}"), "ok", "")))
    }
}

fn limits(prng: &mut Prng) -> Limits {
    let message_bytes = pick(prng, &[0, 520, 2000, 1 << 20]);
    // Go's library wants room for at least one message.
    let inflight_bytes = if message_bytes <= 2000 { pick(prng, &[0, 2000]) } else { 0 };
    Limits {
        election: pick(prng, &[5, 10, 20]),
        heartbeat: pick(prng, &[1, 1, 3]),
        has_pre_vote: prng.chance(2, 3),
        checks_quorum: prng.chance(2, 3),
        message_bytes,
        applying_bytes: pick(prng, &[520, 2000, 1 << 20]),
        uncommitted_bytes: pick(prng, &[1000, u64::MAX, u64::MAX]),
        inflight: pick(prng, &[1, 3, 16, 256]),
        inflight_bytes,
        cache_bytes: pick(prng, &[0, 1000, u64::MAX]),
    }
}

fn pick<T: Copy>(prng: &mut Prng, choices: &[T]) -> T {
    choices[usize::try_from(prng.below(choices.len() as u64)).expect("few choices")]
}

fn ids(ids: &[u64]) -> String {
    if ids.is_empty() {
        return "-".into();
    }
    ids.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
}
