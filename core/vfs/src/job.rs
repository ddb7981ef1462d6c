//! Jobs: straight-line code that stops at every sync, rename and lock.

use crate::disk::{Disk, File, LockKind};
use crate::error::Result;
use parking_lot::Mutex;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// What a job waits for: everything that may take long, fail on its own, or be cut off by a crash (contract C1).
#[derive(Clone)]
pub enum Effect {
    /// Make content and length of a file durable.
    SyncData(Arc<dyn File>),
    /// Make the names in a directory durable.
    SyncDir(PathBuf),
    /// Rename a file or directory, replacing a file of the new name. Durable with the sync of the directory.
    Rename {
        /// The old name.
        from: PathBuf,
        /// The new name.
        to: PathBuf,
    },
    /// Take a lock without waiting for whoever has it.
    Lock(Arc<dyn File>, LockKind),
}

impl Effect {
    /// Performs it, blocking. For drivers.
    ///
    /// # Errors
    /// Those of the operation.
    pub fn perform(&self, disk: &dyn Disk) -> Result<()> {
        match self {
            Self::SyncData(file) => file.sync_data(),
            Self::SyncDir(path) => disk.sync_dir(path),
            Self::Rename { from, to } => disk.rename(from, to),
            Self::Lock(file, kind) => file.try_lock(*kind),
        }
    }

    /// The file or directory.
    pub fn path(&self) -> &Path {
        match self {
            Self::SyncData(file) | Self::Lock(file, _) => file.path(),
            Self::SyncDir(path) | Self::Rename { from: path, .. } => path,
        }
    }
}

impl std::fmt::Debug for Effect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self {
            Self::SyncData(_) => "SyncData",
            Self::SyncDir(_) => "SyncDir",
            Self::Rename { .. } => "Rename",
            Self::Lock(..) => "Lock",
        };
        write!(f, "{kind}({})", self.path().display())
    }
}

/// Where a job stands after a step.
#[derive(Debug)]
pub enum Step<T> {
    /// Perform this, then step again with its result.
    Perform(Effect),
    /// A bounded part of long work is done; step again when it suits.
    Yield,
    /// The job has ended; stepping again panics.
    Done(T),
}

enum Slot {
    Running,
    Waiting(Effect),
    Yielded,
    Resumed(Result<()>),
}

/// The handle by which code inside a job stops. Only for use inside the job it was made for.
#[derive(Clone)]
pub struct Cx {
    slot: Arc<Mutex<Slot>>,
}

impl Cx {
    /// Waits until content and length of `file` are durable.
    ///
    /// # Errors
    /// What the sync failed with. Nothing is known then about what reached the disk: never retry on a file that
    /// holds state, stop the member.
    pub async fn sync_data(&self, file: &Arc<dyn File>) -> Result<()> {
        self.wait(Slot::Waiting(Effect::SyncData(file.clone()))).await
    }

    /// Waits until the names in `dir` are durable; errors as in [`Cx::sync_data`].
    pub async fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.wait(Slot::Waiting(Effect::SyncDir(dir.to_owned()))).await
    }

    /// Renames `from` to `to`; durable with the sync of the directory.
    ///
    /// # Errors
    /// What the rename failed with.
    pub async fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.wait(Slot::Waiting(Effect::Rename { from: from.to_owned(), to: to.to_owned() })).await
    }

    /// Takes a lock on `file`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Locked`] if another process has it.
    pub async fn lock(&self, file: &Arc<dyn File>, kind: LockKind) -> Result<()> {
        self.wait(Slot::Waiting(Effect::Lock(file.clone(), kind))).await
    }

    /// Ends a bounded part of long work.
    pub async fn yield_now(&self) {
        // The result of resuming a yield carries nothing.
        let _ = self.wait(Slot::Yielded).await;
    }

    async fn wait(&self, what: Slot) -> Result<()> {
        *self.slot.lock() = what;
        std::future::poll_fn(|_| {
            let mut slot = self.slot.lock();
            match std::mem::replace(&mut *slot, Slot::Running) {
                Slot::Resumed(result) => Poll::Ready(result),
                pending => {
                    *slot = pending;
                    Poll::Pending
                }
            }
        })
        .await
    }
}

/// A piece of work that stops at durability points, driven by [`Job::step`].
pub struct Job<T> {
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    slot: Arc<Mutex<Slot>>,
    started: bool,
}

impl<T> Job<T> {
    /// Makes a job of an async function; nothing runs before the first step.
    pub fn new<F>(work: impl FnOnce(Cx) -> F) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        let slot = Arc::new(Mutex::new(Slot::Running));
        let future = Box::pin(work(Cx { slot: slot.clone() }));
        Self { future, slot, started: false }
    }

    /// Runs to the next durability point or to the end. `resume` is the result of the sync that the last step asked
    /// for, `Ok` at the first step and after a yield.
    ///
    /// # Panics
    /// If the job has ended, or awaits anything but its [`Cx`].
    pub fn step(&mut self, resume: Result<()>) -> Step<T> {
        if self.started {
            *self.slot.lock() = Slot::Resumed(resume);
        }
        self.started = true;
        let mut context = Context::from_waker(Waker::noop());
        match self.future.as_mut().poll(&mut context) {
            Poll::Ready(value) => Step::Done(value),
            Poll::Pending => match &*self.slot.lock() {
                Slot::Waiting(target) => Step::Perform(target.clone()),
                Slot::Yielded => Step::Yield,
                Slot::Running | Slot::Resumed(_) => panic!("a job awaited something other than its Cx"),
            },
        }
    }
}

/// Drives `job` to its end with blocking syncs on this thread. For shells and tools.
pub fn drive<T>(disk: &dyn Disk, mut job: Job<T>) -> T {
    let mut resume = Ok(());
    loop {
        match job.step(resume) {
            Step::Perform(target) => resume = target.perform(disk),
            Step::Yield => resume = Ok(()),
            Step::Done(value) => return value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};

    #[test]
    fn a_job_stops_at_each_sync_and_sees_its_result() {
        let mut job = Job::new(|cx| async move {
            cx.yield_now().await;
            let first = cx.sync_dir(Path::new("/a")).await;
            let second = cx.sync_dir(Path::new("/b")).await;
            (first, second)
        });
        assert!(matches!(job.step(Ok(())), Step::Yield));
        let Step::Perform(target) = job.step(Ok(())) else { panic!("expected a sync") };
        assert_eq!(target.path(), Path::new("/a"));
        assert!(matches!(job.step(Ok(())), Step::Perform(_)));
        let failure = Error::new("sync", Path::new("/b"), ErrorKind::Other, "gone");
        let Step::Done((first, second)) = job.step(Err(failure.clone())) else { panic!("expected the end") };
        assert_eq!((first, second), (Ok(()), Err(failure)));
    }
}
