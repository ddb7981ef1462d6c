//! The thread that drives the member: everything that queued while the last sync ran becomes the next batch.

use crate::backend_thread::BackendQueue;
use crate::running::Ended;
use apply::{Alarm, Answer};
use grpc::{Mailbox, Ticket};
use node::{Failure, Input, Output, Reply};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;
use types::{MemberId, RequestId};
use v3rpc::{Completion, Member, ToNode};
use vfs::Disk;

/// What the thread tells whoever started it.
#[derive(Debug)]
pub(crate) enum Notice {
    /// Clients may come.
    Ready,
    /// It has ended.
    Ended(Ended),
}

/// The driver and what it serves.
pub(crate) struct Driver {
    pub node: node::Member,
    pub member: Arc<Member>,
    pub disk: Arc<dyn Disk>,
    pub backend: Arc<BackendQueue>,
    pub mailboxes: Vec<Mailbox<Completion>>,
    pub notices: Sender<Notice>,
}

/// Starts the thread.
pub(crate) fn spawn(driver: Driver) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("member".into()).spawn(move || {
        let notices = driver.notices.clone();
        let mut running = Drive {
            driver,
            waiting: HashMap::new(),
            taken: Vec::new(),
            alarms: Arc::default(),
            wake_at: None,
        };
        let ended = running.run();
        running.refuse_all();
        // Nobody listens any more if the process is going away anyhow.
        let _ = notices.send(Notice::Ended(ended));
    })
}

struct Drive {
    driver: Driver,
    /// Who waits for a request, by its identity.
    waiting: HashMap<RequestId, (usize, Ticket)>,
    taken: Vec<ToNode>,
    /// As of the last view.
    alarms: Arc<BTreeSet<Alarm>>,
    wake_at: Option<u64>,
}

impl Drive {
    fn run(&mut self) -> Ended {
        let mut timeout = Some(Duration::ZERO);
        loop {
            if let Err(reason) = self.take_messages(timeout) {
                return Ended::Failed(reason);
            }
            let mut continues = false;
            while let Some(output) = self.driver.node.poll_output(os::clock::monotonic_ns()) {
                match output {
                    Output::PerformLog(target) => {
                        let result = target.perform(&*self.driver.disk);
                        // What queued meanwhile goes into the next batch.
                        if let Err(reason) = self.take_messages(Some(Duration::ZERO)) {
                            return Ended::Failed(reason);
                        }
                        self.driver.node.handle(Input::LogPerformed(result));
                    }
                    Output::Backend(task) => self.driver.backend.push(task),
                    Output::Publish(view) => {
                        self.log_alarms(&view.state.alarms);
                        self.driver.member.publish(view);
                    }
                    Output::Replies(replies) => self.deliver(replies),
                    Output::ReadsReady(ids) => self.let_read(ids),
                    // Only members with one voter are started so far (docs/compat.md).
                    Output::Send(_) | Output::SendSnapshot(_) => {}
                    Output::Restart => return Ended::Failed("a snapshot came from nowhere".into()),
                    // The one who started the member may have gone away.
                    Output::Ready => drop(self.driver.notices.send(Notice::Ready)),
                    Output::WakeAt(at) => self.wake_at = Some(at),
                    Output::Continue => continues = true,
                    Output::Halt(reason) => return Ended::Failed(reason),
                    Output::Stopped => return Ended::Stopped,
                }
            }
            timeout = if continues { Some(Duration::ZERO) } else { self.sleep_time() };
            if continues {
                self.driver.node.handle(Input::Wake);
            }
        }
    }

    /// Writes a line for each alarm that was raised or disarmed since the last view.
    fn log_alarms(&mut self, now: &Arc<BTreeSet<Alarm>>) {
        if Arc::ptr_eq(&self.alarms, now) {
            return;
        }
        for alarm in now.difference(&self.alarms) {
            tracing::warn!(alarm = alarm.name(), from = %MemberId(alarm.member), "alarm raised");
        }
        for alarm in self.alarms.difference(now) {
            tracing::warn!(alarm = alarm.name(), from = %MemberId(alarm.member), "alarm disarmed");
        }
        self.alarms = now.clone();
    }

    /// How long to sleep: until the member wants to be woken, else for ever. Not at all if that time has come between
    /// the member's last look at the clock and this one: it will not ask again.
    fn sleep_time(&mut self) -> Option<Duration> {
        let left = self.wake_at?.saturating_sub(os::clock::monotonic_ns());
        if left == 0 {
            self.wake_at = None;
        }
        Some(Duration::from_nanos(left))
    }

    /// Hands over what waits in the queue, after sleeping for at most `timeout` if that is nothing.
    fn take_messages(&mut self, timeout: Option<Duration>) -> Result<(), String> {
        let Self { driver, waiting, taken, .. } = self;
        driver.member.proposer.wait(timeout, taken);
        for message in taken.drain(..) {
            let input = match message {
                ToNode::Propose { thread, ticket, id, data } => {
                    waiting.insert(id, (thread, ticket));
                    Input::Propose { id, data }
                }
                ToNode::ReadIndex { thread, ticket, id } => {
                    waiting.insert(id, (thread, ticket));
                    Input::ReadIndex(id)
                }
                ToNode::Backend(event) => Input::Backend(event),
                ToNode::BackendFailed(reason) => return Err(reason),
                ToNode::Stop => Input::Stop,
            };
            driver.node.handle(input);
        }
        Ok(())
    }

    /// Completes waiting handlers: one batch and one wake-up for each net thread (contract C12).
    fn deliver(&mut self, replies: Vec<Reply>) {
        let mut batches: Vec<Vec<Completion>> = self.driver.mailboxes.iter().map(|_| Vec::new()).collect();
        for reply in replies {
            // Requests of the member itself have nobody waiting.
            if let Some((thread, ticket)) = self.waiting.remove(&reply.id) {
                batches[thread].push((ticket, reply.result));
            }
        }
        for (mailbox, batch) in self.driver.mailboxes.iter().zip(batches) {
            // A net thread is gone only when the process ends.
            let _ = mailbox.push_batch(batch);
        }
    }

    fn let_read(&mut self, ids: Vec<RequestId>) {
        self.deliver(ids.into_iter().map(|id| Reply { id, result: Ok(Answer::default()) }).collect());
    }

    /// Tells everyone who still waits that there will be no answer.
    fn refuse_all(&mut self) {
        let ids: Vec<RequestId> = self.waiting.keys().copied().collect();
        self.deliver(ids.into_iter().map(|id| Reply { id, result: Err(Failure::Stopped) }).collect());
    }
}
