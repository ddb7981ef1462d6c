//! The log stage: one batch at a time into the segments, and the log's part of a local snapshot (contract C2).

use proto::raftpb::{self, Entry, HardState, SnapshotMetadata};
use proto::walpb;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use types::LogIndex;
use vfs::{Cx, Disk, Effect, Job, Step};
use wal::Wal;

/// How many old files stay (`--max-wals`, `--max-snapshots`); 0 keeps all.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Log segments.
    pub wals: usize,
    /// `.snap` files.
    pub snapshots: usize,
}

/// A task for the log, done in order.
#[derive(Debug)]
pub enum LogTask {
    /// Make a batch durable.
    Persist(Box<raft::Persist>),
    /// Read entries back that are not in memory any more.
    Read(raft::DiskRead),
    /// Before a stop in order: write the last hard state and make everything durable.
    Close(HardState),
    /// Write a local snapshot whose state the backend already holds durably.
    Snapshot {
        /// For the STATE record before the SNAPSHOT record: commits at least the snapshot's index.
        hard_state: HardState,
        /// Index, term, configuration and the payload for older releases.
        snapshot: Box<raftpb::Snapshot>,
        /// Entries up to here need not be kept.
        until: LogIndex,
    },
}

/// What the log has finished.
#[derive(Debug)]
pub enum LogEvent {
    /// The batch is durable.
    Persisted(raft::Completion),
    /// Entries that were read back; none if they are gone.
    Read(Vec<Entry>),
    /// Everything is durable; the log may go.
    Closed,
    /// The snapshot is recorded and what it makes superfluous is released.
    SnapshotSaved {
        /// What it is of.
        metadata: SnapshotMetadata,
        /// Entries up to here are not kept.
        until: LogIndex,
    },
}

/// What the log needs next.
pub enum LogStep {
    /// Perform this, then step with its result.
    Perform(Effect),
    /// Tell consensus.
    Event(LogEvent),
    /// Nothing to do until the next task.
    Idle,
    /// The log is in doubt: stop the member.
    Failed(String),
}

type Done = (Box<Wal>, Result<LogEvent, String>);

/// The stage. Invariant: `wal` is here exactly while no job runs.
pub struct LogStage {
    disk: Arc<dyn Disk>,
    wal_dir: PathBuf,
    snap_dir: PathBuf,
    retention: Retention,
    wal: Option<Box<Wal>>,
    queue: VecDeque<LogTask>,
    job: Option<Job<Done>>,
}

impl LogStage {
    /// The stage that writes to `wal`, which is in the first of `dirs`, and to `.snap` files in the second.
    pub fn new(disk: Arc<dyn Disk>, dirs: (PathBuf, PathBuf), retention: Retention, wal: Wal) -> Self {
        let (wal_dir, snap_dir) = dirs;
        Self {
            disk,
            wal_dir,
            snap_dir,
            retention,
            wal: Some(Box::new(wal)),
            queue: VecDeque::new(),
            job: None,
        }
    }

    /// Queues a task.
    pub fn submit(&mut self, task: LogTask) {
        self.queue.push_back(task);
    }

    /// Whether nothing runs and nothing waits.
    pub fn is_idle(&self) -> bool {
        self.job.is_none() && self.queue.is_empty()
    }

    /// Goes on to the next durability point or event. `resume` is the result of the sync asked for last.
    pub fn step(&mut self, resume: vfs::Result<()>) -> LogStep {
        if self.job.is_none() {
            let Some(task) = self.queue.pop_front() else { return LogStep::Idle };
            self.start(task);
        }
        let Some(job) = self.job.as_mut() else { return LogStep::Idle };
        let mut resume = resume;
        loop {
            match job.step(resume) {
                Step::Perform(target) => return LogStep::Perform(target),
                Step::Yield => resume = Ok(()),
                Step::Done((wal, result)) => {
                    self.job = None;
                    self.wal = Some(wal);
                    return match result {
                        Ok(event) => LogStep::Event(event),
                        Err(error) => LogStep::Failed(error),
                    };
                }
            }
        }
    }

    fn start(&mut self, task: LogTask) {
        let mut wal = self.wal.take().expect("the log is here while no job runs");
        let (disk, snap_dir, retention) = (self.disk.clone(), self.snap_dir.clone(), self.retention);
        self.job = Some(match task {
            LogTask::Persist(persist) => Job::new(move |cx| async move {
                let saved = save_batch(&cx, &*disk, &snap_dir, &mut wal, *persist).await;
                (wal, saved)
            }),
            LogTask::Read(read) => {
                let wal_dir = self.wal_dir.clone();
                Job::new(move |cx| async move {
                    let raft::DiskRead { from, until, bytes_max, terms } = read;
                    let wanted = wal::Wanted { from, until, bytes_max, terms };
                    let entries = match wal::read_back(&cx, &*disk, &wal_dir, &wanted).await {
                        // Purged, after a snapshot.
                        Err(wal::Error::NoSegment { .. }) => Ok(Vec::new()),
                        entries => entries,
                    };
                    (wal, entries.map(LogEvent::Read).map_err(|error| error.to_string()))
                })
            }
            LogTask::Close(hard_state) => Job::new(move |cx| async move {
                let mut closed = wal.save(&cx, Some(&hard_state), &[]).await;
                if closed.is_ok() {
                    closed = wal.sync(&cx).await;
                }
                (wal, closed.map(|()| LogEvent::Closed).map_err(|error| error.to_string()))
            }),
            LogTask::Snapshot { hard_state, snapshot, until } => Job::new(move |cx| async move {
                let dir = SnapDir { disk: &*disk, path: &snap_dir, retention };
                let saved = save_snapshot(&cx, &dir, &mut wal, &hard_state, &snapshot, until).await;
                (wal, saved)
            }),
        });
    }
}

/// Makes a batch durable: first a snapshot from the leader, if there is one, which takes the place of the log before.
async fn save_batch(
    cx: &Cx,
    disk: &dyn Disk,
    snap_dir: &Path,
    wal: &mut Wal,
    persist: raft::Persist,
) -> Result<LogEvent, String> {
    let raft::Persist { hard_state, snapshot, entries, completion, .. } = persist;
    let mut hard_state = hard_state;
    if let Some(snapshot) = snapshot {
        // The database is there already. A log that can be opened at the snapshot is what makes it count.
        snap::save(cx, disk, snap_dir, &snapshot).await.map_err(|error| error.to_string())?;
        let saved = wal.save_snapshot(cx, hard_state.take().as_ref(), &record_of(&snapshot)).await;
        saved.map_err(|error| error.to_string())?;
    }
    wal.save(cx, hard_state.as_ref(), &entries).await.map_err(|error| error.to_string())?;
    Ok(LogEvent::Persisted(completion))
}

fn record_of(snapshot: &raftpb::Snapshot) -> walpb::Snapshot {
    let SnapshotMetadata { conf_state, index, term } = &snapshot.metadata;
    walpb::Snapshot { index: *index, term: *term, conf_state: Some(conf_state.clone()) }
}

/// Where `.snap` files go.
struct SnapDir<'a> {
    disk: &'a dyn Disk,
    path: &'a Path,
    retention: Retention,
}

/// The chain behind the backend's commit: .snap file, then STATE and SNAPSHOT records, then release of what they make
/// superfluous. Each link is durable before the next (contract C2).
async fn save_snapshot(
    cx: &Cx,
    dir: &SnapDir<'_>,
    wal: &mut Wal,
    hard_state: &HardState,
    snapshot: &raftpb::Snapshot,
    until: LogIndex,
) -> Result<LogEvent, String> {
    let SnapDir { disk, path, retention } = *dir;
    snap::save(cx, disk, path, snapshot).await.map_err(|error| error.to_string())?;
    let saved = wal.save_snapshot(cx, Some(hard_state), &record_of(snapshot)).await;
    saved.map_err(|error| error.to_string())?;
    wal.release_to(until);
    // Old files that cannot be removed are an annoyance, not a danger; the next snapshot tries again.
    let _ = wal.purge(cx, retention.wals).await;
    let _ = snap::purge(disk, path, retention.snapshots);
    let _ = snap::remove_databases_below(disk, path, LogIndex(snapshot.metadata.index));
    Ok(LogEvent::SnapshotSaved { metadata: snapshot.metadata.clone(), until })
}
