//! The thread that drives the backend's writer: its syncs do not hold up the log.

use backend::{Task, Writer, WriterStep};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use v3rpc::{Member, ToNode};
use vfs::Disk;

/// The writer's queue.
#[derive(Default)]
pub(crate) struct BackendQueue {
    state: Mutex<State>,
    wakeup: Condvar,
}

#[derive(Default)]
struct State {
    tasks: Vec<Task>,
    stops: bool,
}

impl BackendQueue {
    pub(crate) fn push(&self, task: Task) {
        self.state.lock().tasks.push(task);
        self.wakeup.notify_one();
    }

    /// Ends the thread once the step under way is done; tasks that wait are dropped.
    pub(crate) fn stop(&self) {
        self.state.lock().stops = true;
        self.wakeup.notify_one();
    }

    /// Takes what waits; sleeps for at most `timeout` (`None`: for ever) if there is nothing. False: stop.
    fn wait(&self, timeout: Option<Duration>, writer: &mut Writer) -> bool {
        let mut state = self.state.lock();
        if state.tasks.is_empty() && !state.stops {
            match timeout {
                Some(timeout) => drop(self.wakeup.wait_for(&mut state, timeout)),
                None => self.wakeup.wait(&mut state),
            }
        }
        state.tasks.drain(..).for_each(|task| writer.submit(task));
        !state.stops
    }
}

/// Starts the thread. `pause` is the rest between two batches of a compaction.
pub(crate) fn spawn(
    mut writer: Writer,
    queue: Arc<BackendQueue>,
    member: Arc<Member>,
    disk: Arc<dyn Disk>,
    pause: Duration,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("backend".into()).spawn(move || {
        let mut resume = Ok(());
        loop {
            let runs = match writer.step(std::mem::replace(&mut resume, Ok(()))) {
                WriterStep::Perform(target) => {
                    resume = target.perform(&*disk);
                    true
                }
                WriterStep::Event(event) => {
                    member.proposer.push(ToNode::Backend(node::BackendEvent(event)));
                    true
                }
                WriterStep::Pause => queue.wait(Some(pause), &mut writer),
                WriterStep::Idle => queue.wait(None, &mut writer),
                WriterStep::Failed(error) => {
                    member.proposer.push(ToNode::BackendFailed(error.to_string()));
                    false
                }
            };
            if !runs {
                return;
            }
        }
    })
}
