//! The one writer of the backend file: commits and compaction batches, one at a time.

use crate::buffer::Frozen;
use crate::data::FileState;
use crate::schema::{Bucket, META_FINISHED_COMPACT};
use crate::{Error, Result};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use types::{LogIndex, Revision};
use vfs::{Cx, Effect, Job, Step};

/// A task for the writer. Tasks of one kind keep their order; commits go before compaction batches.
#[derive(Debug)]
pub enum Task {
    /// Make a frozen buffer part of the file.
    Commit(Arc<Frozen>),
    /// Delete what a compaction made unreachable. Submit it behind the commit of its own entry (contract C6).
    Compact(Compaction),
}

/// A compaction whose index part is done.
#[derive(Debug)]
pub struct Compaction {
    /// The revision compacted at.
    pub revision: i64,
    /// Revisions at or below it that stay, ascending.
    pub keep: Arc<[Revision]>,
    /// Records looked at in one transaction (`--compaction-batch-limit`), above zero.
    pub batch_limit: usize,
}

/// What the writer has finished.
pub enum Event {
    /// The buffer whose last entry is `index` is durable in `root`.
    Committed {
        /// The new state of the file.
        file: FileState,
        /// Consistent index of the commit.
        index: LogIndex,
    },
    /// A batch of a compaction is durable.
    CompactionBatch {
        /// The new state of the file.
        file: FileState,
    },
    /// The last batch of a compaction is durable.
    Compacted {
        /// The new state of the file.
        file: FileState,
        /// The revision compacted at.
        revision: i64,
    },
}

/// What the writer needs next.
pub enum WriterStep {
    /// Perform this, then step with its result.
    Perform(Effect),
    /// Tell apply, then step again.
    Event(Event),
    /// A compaction rests: step again after the pause (`--compaction-sleep-interval`), or at once after a submit.
    Pause,
    /// Nothing to do until the next submit.
    Idle,
    /// The file is in doubt. Stop the member; never step again.
    Failed(Error),
}

struct Progress {
    task: Compaction,
    next: Revision,
}

enum Work {
    Commit(Arc<Frozen>),
    Batch(Progress),
}

enum Done {
    Commit(Event),
    Batch { event: Event, rest: Option<Progress> },
}

/// The writer machine (contract C1: it waits only at the syncs that [`Writer::step`] returns).
pub struct Writer {
    db: Option<bolt::Db>,
    commits: VecDeque<Arc<Frozen>>,
    compactions: VecDeque<Progress>,
    job: Option<Job<(bolt::Db, Result<Done>)>>,
    rests: bool,
}

impl Writer {
    /// The writer of `db`.
    pub fn new(db: bolt::Db) -> Self {
        Self { db: Some(db), commits: VecDeque::new(), compactions: VecDeque::new(), job: None, rests: false }
    }

    /// Queues a task. The queue is bounded by apply, which stops at the buffer's hard limit.
    pub fn submit(&mut self, task: Task) {
        match task {
            Task::Commit(frozen) => self.commits.push_back(frozen),
            Task::Compact(task) => self.compactions.push_back(Progress { task, next: Revision::default() }),
        }
    }

    /// Goes on to the next durability point, event or rest. `resume` is the result of the sync asked for last.
    pub fn step(&mut self, resume: vfs::Result<()>) -> WriterStep {
        if self.job.is_none() {
            let rests = std::mem::take(&mut self.rests);
            match self.next_work(rests) {
                Some(work) => self.start(work),
                None if self.compactions.is_empty() => return WriterStep::Idle,
                None => return WriterStep::Pause,
            }
        }
        let Some(job) = self.job.as_mut() else { return WriterStep::Idle };
        let mut resume = resume;
        loop {
            match job.step(resume) {
                Step::Perform(target) => return WriterStep::Perform(target),
                Step::Yield => resume = Ok(()),
                Step::Done((db, result)) => {
                    self.job = None;
                    self.db = Some(db);
                    return self.finish(result);
                }
            }
        }
    }

    fn next_work(&mut self, rests: bool) -> Option<Work> {
        if let Some(frozen) = self.commits.pop_front() {
            return Some(Work::Commit(frozen));
        }
        if rests { None } else { self.compactions.pop_front().map(Work::Batch) }
    }

    fn start(&mut self, work: Work) {
        let mut db = self.db.take().expect("the file is here while no job runs");
        self.job = Some(Job::new(move |cx| async move {
            let result = match work {
                Work::Commit(frozen) => commit(&mut db, &cx, &frozen).await,
                Work::Batch(progress) => compact_batch(&mut db, &cx, progress).await,
            };
            (db, result)
        }));
    }

    fn finish(&mut self, result: Result<Done>) -> WriterStep {
        match result {
            Ok(Done::Commit(event)) => WriterStep::Event(event),
            Ok(Done::Batch { event, rest }) => {
                if let Some(progress) = rest {
                    self.compactions.push_front(progress);
                    self.rests = true;
                }
                WriterStep::Event(event)
            }
            Err(error) => WriterStep::Failed(error),
        }
    }
}

async fn commit(db: &mut bolt::Db, cx: &Cx, frozen: &Frozen) -> Result<Done> {
    db.commit(cx, frozen.to_batch()).await?;
    Ok(Done::Commit(Event::Committed { file: FileState::of(db), index: frozen.consistent.index }))
}

/// Looks at up to `batch_limit` records and deletes those that are not kept; the last batch also says "finished".
async fn compact_batch(db: &mut bolt::Db, cx: &Cx, mut progress: Progress) -> Result<Done> {
    let name = Bucket::Key.name().as_bytes();
    let root = db.root();
    let mut batch = bolt::Batch::default();
    let mut looked_at = 0;
    let mut is_last = true;
    {
        let bucket = root.bucket(name).ok_or(Error::MissingBucket(Bucket::Key.name()))?;
        let mut cursor = bucket.cursor(&progress.next.to_key());
        while let Some((key, _)) = cursor.next()? {
            let Some((revision, _)) = Revision::from_key(key) else { continue };
            if revision.main > progress.task.revision {
                break;
            }
            if looked_at == progress.task.batch_limit {
                is_last = false;
                break;
            }
            looked_at += 1;
            progress.next = Revision::new(revision.main, revision.sub + 1);
            if progress.task.keep.binary_search(&revision).is_err() {
                batch.delete(name, Bytes::copy_from_slice(key));
            }
        }
    }
    drop(root);
    let revision = progress.task.revision;
    if is_last {
        let finished = Bytes::copy_from_slice(&Revision::new(revision, 0).to_key());
        batch.put(Bucket::Meta.name().as_bytes(), Bytes::from_static(META_FINISHED_COMPACT), finished);
    }
    db.commit(cx, batch).await?;
    let file = FileState::of(db);
    Ok(if is_last {
        Done::Batch { event: Event::Compacted { file, revision }, rest: None }
    } else {
        Done::Batch { event: Event::CompactionBatch { file }, rest: Some(progress) }
    })
}
