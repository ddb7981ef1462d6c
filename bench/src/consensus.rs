//! Consensus alone: three members in one process with instant disks, ours beside Go's raft library.

use crate::process::{self, Pid};
use anyhow::{Context, ensure};
use bytes::Bytes;
use proto::raftpb::{ConfState, HardState, Message, Snapshot, SnapshotMetadata};
use raft::{Config, Raft, Restored, Role};
use std::path::Path;
use std::process::Command;
use types::{LogIndex, MemberId, Term};

/// Bytes of an entry.
const ENTRY_BYTES: usize = 256;
/// Entries between two compactions of the log, and kept by one.
const COMPACT_EVERY: u64 = 10_000;
const KEPT: u64 = 5_000;
/// Proposals at once, and how many in all.
const SHAPES: [(u64, u64); 3] = [(1, 100_000), (16, 400_000), (256, 1_000_000)];

/// Runs both sides in turn and prints the table of docs/benchmarks.md.
///
/// # Errors
/// If one of them does not commit everything.
pub(crate) fn compare(theirs: &Path, rounds: usize) -> anyhow::Result<()> {
    println!(
        "| proposals at once | ours, entries per CPU-second | theirs | ours / theirs |\n|---|---|---|---|"
    );
    for (batch, entries) in SHAPES {
        let (mut own, mut other) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            if round % 2 == 0 {
                own.push(run(batch, entries)?);
                other.push(run_theirs(theirs, batch, entries)?);
            } else {
                other.push(run_theirs(theirs, batch, entries)?);
                own.push(run(batch, entries)?);
            }
        }
        let per_second = |seconds: Vec<f64>| entries as f64 / median(seconds);
        let (own, other) = (per_second(own), per_second(other));
        println!("| {batch} | {own:.0} | {other:.0} | {:.1} |", own / other);
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn run_theirs(program: &Path, batch: u64, entries: u64) -> anyhow::Result<f64> {
    let output = Command::new(program)
        .args(["bench", &batch.to_string(), &entries.to_string()])
        .output()
        .with_context(|| format!("run {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "{} failed: {}",
        program.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    text.trim().parse().with_context(|| format!("{} printed {text:?}", program.display()))
}

/// CPU seconds for `entries`, proposed in batches.
fn run(batch: u64, entries: u64) -> anyhow::Result<f64> {
    let mut group = Group::new()?;
    group.elect()?;
    let own = Pid::own();
    let before = process::cpu_seconds(own)?;
    let first = group.applied();
    for _ in 0..entries / batch {
        for _ in 0..batch {
            let data = vec![7; ENTRY_BYTES];
            group.members[0].propose(Bytes::from(data))?;
        }
        group.settle()?;
    }
    let seconds = process::cpu_seconds(own)? - before;
    let committed = group.applied() - first;
    ensure!(committed == entries / batch * batch, "{committed} of {entries} entries are committed");
    Ok(seconds)
}

struct Group {
    members: Vec<Raft>,
    inboxes: [Vec<Message>; 3],
    compacted: [u64; 3],
}

impl Group {
    fn new() -> anyhow::Result<Self> {
        let members: Result<Vec<Raft>, raft::Error> = (1..=3)
            .map(|id| {
                let restored = Restored {
                    hard_state: HardState::default(),
                    conf_state: ConfState { voters: vec![1, 2, 3], ..ConfState::default() },
                    snapshot: (Term(0), LogIndex(0)),
                    entries: Vec::new(),
                    applied: LogIndex(0),
                };
                Raft::new(Config::new(MemberId(id)), restored)
            })
            .collect();
        Ok(Self { members: members?, inboxes: Default::default(), compacted: [0; 3] })
    }

    fn elect(&mut self) -> anyhow::Result<()> {
        self.members[0].campaign();
        self.settle()?;
        ensure!(self.members[0].status().role == Role::Leader, "the first member leads");
        Ok(())
    }

    fn applied(&self) -> u64 {
        self.members.iter().map(|member| member.status().commit.0).min().unwrap_or(0)
    }

    /// Lets everything happen that follows.
    fn settle(&mut self) -> anyhow::Result<()> {
        loop {
            let mut is_new = false;
            for place in 0..self.members.len() {
                is_new |= self.work(place)?;
            }
            if !is_new {
                return Ok(());
            }
        }
    }

    fn work(&mut self, place: usize) -> anyhow::Result<bool> {
        let member = &mut self.members[place];
        let received = std::mem::take(&mut self.inboxes[place]);
        let mut is_new = !received.is_empty();
        for message in received {
            member.step(message)?;
        }
        let mut outgoing = member.take_messages();
        if let Some(persist) = member.take_persist() {
            is_new = true;
            outgoing.extend(member.persisted(persist.completion)?);
        }
        let committed = member.take_committed();
        if let Some(last) = committed.last() {
            is_new = true;
            member.applied(LogIndex(last.index));
            if last.index > self.compacted[place] + COMPACT_EVERY {
                self.compacted[place] = last.index;
                let metadata = SnapshotMetadata { index: last.index, term: last.term, ..Default::default() };
                member.compact(Snapshot { data: None, metadata }, LogIndex(last.index - KEPT));
            }
        }
        outgoing.extend(member.take_messages());
        is_new |= !outgoing.is_empty();
        for message in outgoing {
            let to = usize::try_from(message.to - 1).context("a small id")?;
            self.inboxes[to].push(message);
        }
        Ok(is_new)
    }
}
