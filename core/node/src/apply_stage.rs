//! The apply stage: committed entries into the state machine, and when to cut, commit, compact and snapshot.

use crate::io::{Failure, Reply, Settings};
use apply::{Applier, Effect};
use backend::{Compaction, Event, FileState, Task};
use mvcc::IndexCompaction;
use proto::raftpb::{self, ConfChange, ConfState, Entry, SnapshotMetadata};
use std::collections::VecDeque;
use types::{LogIndex, RequestId, Term};

/// A compaction whose index part is under way or queued.
struct PendingCompaction {
    revision: i64,
    index_part: IndexCompaction,
}

/// A snapshot that waits for the backend to hold its state durably.
struct PendingSnapshot {
    index: LogIndex,
    snapshot: raftpb::Snapshot,
}

/// A state of the database for another member: what it is of, and its pages once they are committed.
struct PendingImage {
    snapshot: raftpb::Snapshot,
    file: Option<FileState>,
}

/// The stage.
pub struct ApplyStage {
    applier: Applier,
    settings: Settings,
    waiting: VecDeque<Entry>,
    tasks: Vec<Task>,
    commits_under_way: usize,
    /// Time at which the oldest change in the buffer was made, in nanoseconds; `None` while it is empty.
    dirty_since: Option<u64>,
    compactions: VecDeque<PendingCompaction>,
    physical_waits: Vec<(i64, RequestId)>,
    snapshot: Option<PendingSnapshot>,
    image: Option<PendingImage>,
    last_snapshot: LogIndex,
    wants_no_space_alarm: bool,
    changes: Vec<ConfChange>,
}

impl ApplyStage {
    /// The stage over `applier`; the newest snapshot in the log is at `last_snapshot`.
    pub fn new(applier: Applier, settings: Settings, last_snapshot: LogIndex) -> Self {
        Self {
            applier,
            settings,
            waiting: VecDeque::new(),
            tasks: Vec::new(),
            commits_under_way: 0,
            dirty_since: None,
            compactions: VecDeque::new(),
            physical_waits: Vec::new(),
            snapshot: None,
            image: None,
            last_snapshot,
            wants_no_space_alarm: false,
            changes: Vec::new(),
        }
    }

    /// Takes committed entries.
    pub fn take(&mut self, entries: Vec<Entry>) {
        self.waiting.extend(entries);
    }

    /// Applies what waits, as far as the buffer's hard limit lets it; returns the replies.
    ///
    /// # Errors
    /// The member cannot go on.
    pub fn run(&mut self, now: u64) -> apply::Result<Vec<Reply>> {
        let mut replies = Vec::with_capacity(self.waiting.len());
        while !self.is_held_up() {
            let Some(entry) = self.waiting.pop_front() else { break };
            if let Some(reply) = self.applier.apply(&entry)? {
                replies.push(Reply { id: reply.id, result: reply.result.map_err(Failure::Refused) });
            }
            self.follow_up();
            if self.applier.buffered_operations() > 0 {
                self.dirty_since.get_or_insert(now);
            }
            self.cut_if_due(now);
            self.snapshot_if_due();
        }
        Ok(replies)
    }

    /// Whether apply takes no entries until a commit is done (contract C7).
    pub fn is_held_up(&self) -> bool {
        self.applier.buffered_bytes() >= self.settings.limits.bytes_hard as u64
    }

    /// Does what time asks for: cuts the buffer when its oldest change is old enough.
    pub fn tick(&mut self, now: u64) {
        self.cut_if_due(now);
        self.snapshot_if_due();
    }

    /// When [`ApplyStage::tick`] is due, in nanoseconds.
    pub fn wake_at(&self) -> Option<u64> {
        // While a commit is under way its end wakes the stage.
        let since = self.dirty_since.filter(|_| self.commits_under_way == 0)?;
        Some(since + self.settings.limits.interval_ns)
    }

    /// Does a bounded part of a compaction's index work; true while more is left (contract C9).
    pub fn step_compaction(&mut self) -> bool {
        let Some(pending) = self.compactions.front_mut() else { return false };
        let Some(keep) = pending.index_part.step(self.applier.index(), INDEX_STEP_KEYS) else { return true };
        let revision = pending.revision;
        self.compactions.pop_front();
        let (keep, batch_limit) = (keep.as_slice().into(), self.settings.compaction_batch_limit);
        self.tasks.push(Task::Compact(Compaction { revision, keep, batch_limit }));
        !self.compactions.is_empty()
    }

    /// Starts the index part of a compaction that was accepted (or, at boot, interrupted).
    pub fn start_compaction(&mut self, revision: i64) {
        self.compactions
            .push_back(PendingCompaction { revision, index_part: IndexCompaction::new(revision) });
    }

    /// Takes an event of the writer; returns replies that waited for it.
    pub fn backend_event(&mut self, event: Event) -> Vec<Reply> {
        match event {
            Event::Committed { file, index } => {
                self.commits_under_way -= 1;
                if let Some(image) = &mut self.image
                    && image.snapshot.metadata.index == index.0
                {
                    image.file = Some(file.clone());
                }
                self.applier.committed(file, index);
                Vec::new()
            }
            Event::CompactionBatch { file } => {
                self.applier.set_file(file);
                Vec::new()
            }
            Event::Compacted { file, revision } => {
                self.applier.set_file(file);
                let answer = apply::Answer { revision: self.applier.revision(), body: Default::default() };
                let (done, waits) = std::mem::take(&mut self.physical_waits)
                    .into_iter()
                    .partition(|(wanted, _)| *wanted <= revision);
                self.physical_waits = waits;
                let done: Vec<(i64, RequestId)> = done;
                done.into_iter().map(|(_, id)| Reply { id, result: Ok(answer.clone()) }).collect()
            }
        }
    }

    /// Tasks for the writer, in order.
    pub fn take_tasks(&mut self) -> Vec<Task> {
        std::mem::take(&mut self.tasks)
    }

    /// A snapshot whose state is durable in the backend now, to be written into the log.
    pub fn take_snapshot(&mut self) -> Option<raftpb::Snapshot> {
        let durable = self.applier.durable_index();
        self.snapshot.take_if(|pending| pending.index <= durable).map(|pending| {
            self.last_snapshot = pending.index;
            pending.snapshot
        })
    }

    /// Cuts the buffer for an image of the state as it is now, unless one is being made.
    pub fn begin_image(&mut self) {
        if self.image.is_none() {
            let (index, term) = self.applier.applied();
            self.cut();
            self.image = Some(PendingImage { snapshot: self.make_snapshot(index, term), file: None });
        }
    }

    /// Takes the image once it is committed.
    pub fn take_image(&mut self) -> Option<(raftpb::Snapshot, FileState)> {
        let image = self.image.take_if(|image| image.file.is_some())?;
        Some((image.snapshot, image.file?))
    }

    /// Whether an alarm for the quota is to be proposed.
    pub fn take_no_space_alarm(&mut self) -> bool {
        std::mem::take(&mut self.wants_no_space_alarm)
    }

    /// The changes of the configuration that were applied or refused since the last call (contract C13).
    pub fn take_changes(&mut self) -> Vec<ConfChange> {
        std::mem::take(&mut self.changes)
    }

    /// Cuts whatever the buffer holds, for the last commit before a stop.
    pub fn cut_for_stop(&mut self) {
        if self.applier.buffered_operations() > 0 || self.applier.applied().0 > self.applier.frozen_index() {
            self.cut();
        }
    }

    /// Whether all that was cut is durable.
    pub fn is_settled(&self) -> bool {
        self.commits_under_way == 0
    }

    /// The state machine.
    pub fn applier(&self) -> &Applier {
        &self.applier
    }

    /// What readers may see now.
    pub fn publish(&mut self) -> apply::View {
        self.applier.publish()
    }

    fn follow_up(&mut self) {
        for effect in self.applier.take_effects() {
            match effect {
                Effect::Compact { revision, waits } => {
                    // The commit of the compaction's own entry goes first (contract C6).
                    self.cut();
                    self.start_compaction(revision);
                    self.physical_waits.extend(waits.map(|id| (revision, id)));
                }
                Effect::RaiseNoSpace => self.wants_no_space_alarm = true,
                Effect::ConfApplied(change) => self.changes.push(change),
            }
        }
    }

    fn cut_if_due(&mut self, now: u64) {
        let Some(since) = self.dirty_since else { return };
        let limits = &self.settings.limits;
        let is_old = now >= since + limits.interval_ns;
        let is_large = self.applier.buffered_operations() >= limits.operations
            || self.applier.buffered_bytes() >= limits.bytes_soft as u64;
        // One commit at a time is enough: what comes meanwhile becomes the next one, unless it grows too large.
        if (is_old || is_large) && self.commits_under_way == 0 || self.is_held_up() {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let frozen = self.applier.freeze();
        self.dirty_since = None;
        self.commits_under_way += 1;
        self.tasks.push(Task::Commit(frozen));
    }

    fn snapshot_if_due(&mut self) {
        let (index, term) = self.applier.applied();
        let is_due = index.0 - self.last_snapshot.0 > self.settings.snapshot_count
            || self.applier.last_unreadable().is_some_and(|unreadable| unreadable > self.last_snapshot);
        if self.snapshot.is_some() || !is_due {
            return;
        }
        self.cut();
        self.snapshot = Some(PendingSnapshot { index, snapshot: self.make_snapshot(index, term) });
    }

    fn make_snapshot(&self, index: LogIndex, term: Term) -> raftpb::Snapshot {
        let cluster = self.applier.cluster();
        let conf_state: ConfState = cluster.conf_state();
        raftpb::Snapshot {
            data: Some(membership::v2_snapshot(cluster).into_bytes().into()),
            metadata: SnapshotMetadata { conf_state, index: index.0, term: term.0 },
        }
    }
}

/// Keys of the index looked at between two batches of entries.
const INDEX_STEP_KEYS: usize = 2000;
