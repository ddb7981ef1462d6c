//! The log stage: one batch at a time into the segments, and the log's part of a local snapshot (contract C2).

use proto::raftpb::{self, Entry, HardState};
use proto::walpb;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use types::LogIndex;
use vfs::{Cx, Disk, Job, Step, SyncTarget};
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
    SnapshotSaved,
}

/// What the log needs next.
pub enum LogStep {
    /// Perform this, then step with its result.
    Sync(SyncTarget),
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
                Step::Sync(target) => return LogStep::Sync(target),
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
                let raft::Persist { hard_state, entries, completion, .. } = *persist;
                let saved = wal.save(&cx, hard_state.as_ref(), &entries).await;
                let event = saved.map(|()| LogEvent::Persisted(completion));
                (wal, event.map_err(|error| error.to_string()))
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
            LogTask::Snapshot { hard_state, snapshot } => Job::new(move |cx| async move {
                let saved =
                    save_snapshot(&cx, &disk, &snap_dir, retention, &mut wal, &hard_state, &snapshot).await;
                (wal, saved)
            }),
        });
    }
}

/// The chain behind the backend's commit: .snap file, then STATE and SNAPSHOT records, then release of what they make
/// superfluous. Each link is durable before the next (contract C2).
async fn save_snapshot(
    cx: &Cx,
    disk: &Arc<dyn Disk>,
    snap_dir: &std::path::Path,
    retention: Retention,
    wal: &mut Wal,
    hard_state: &HardState,
    snapshot: &raftpb::Snapshot,
) -> Result<LogEvent, String> {
    let metadata = &snapshot.metadata;
    snap::save(cx, &**disk, snap_dir, snapshot).await.map_err(|error| error.to_string())?;
    let record = walpb::Snapshot {
        index: metadata.index,
        term: metadata.term,
        conf_state: Some(metadata.conf_state.clone()),
    };
    wal.save_snapshot(cx, Some(hard_state), &record).await.map_err(|error| error.to_string())?;
    wal.release_to(LogIndex(metadata.index));
    // Old files that cannot be removed are an annoyance, not a danger; the next snapshot tries again.
    let _ = wal.purge(cx, retention.wals).await;
    let _ = snap::purge(&**disk, snap_dir, retention.snapshots);
    Ok(LogEvent::SnapshotSaved)
}
