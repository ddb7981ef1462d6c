//! What every net thread knows of the running member.

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use grpc::Ticket;
use node::View;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::time::Duration;
use types::{ClusterId, MemberId, RequestId, RequestIds};

/// Settings that requests are checked against.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest proposal in bytes (`--max-request-bytes`).
    pub request_bytes_max: usize,
    /// Most operations in a branch of a transaction (`--max-txn-ops`).
    pub txn_ops_max: usize,
    /// How long a proposal or a read index may take.
    pub request_timeout: Duration,
    /// How long a read may keep its view.
    pub view: mvcc::ViewBudget,
    /// The space quota.
    pub quota: apply::Quota,
}

/// A message to the thread that drives the member.
#[derive(Debug)]
pub enum ToNode {
    /// Put it into the log and complete the ticket on that net thread.
    Propose {
        /// Index of the net thread.
        thread: usize,
        /// Who waits there.
        ticket: Ticket,
        /// The request's identity.
        id: RequestId,
        /// The encoded entry.
        data: Bytes,
    },
    /// Complete the ticket when a linearizable read may look.
    ReadIndex {
        /// Index of the net thread.
        thread: usize,
        /// Who waits there.
        ticket: Ticket,
        /// The round's identity.
        id: RequestId,
    },
    /// The backend's writer has finished something.
    Backend(node::BackendEvent),
    /// The backend's file is in doubt.
    BackendFailed(String),
    /// Stop in order.
    Stop,
}

/// The queue of the thread that drives the member. One wake-up covers everything that is pushed before it runs.
#[derive(Debug, Default)]
pub struct Proposer {
    queue: Mutex<Queue>,
    wakeup: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    messages: Vec<ToNode>,
    sleeps: bool,
}

impl Proposer {
    /// Appends a message. The calls in flight bound the queue.
    pub fn push(&self, message: ToNode) {
        let mut queue = self.queue.lock();
        queue.messages.push(message);
        if std::mem::take(&mut queue.sleeps) {
            drop(queue);
            self.wakeup.notify_one();
        }
    }

    /// Takes everything that waits into `taken`, sleeping at most `timeout` (`None`: for ever, zero: not at all) if
    /// there is nothing. For the thread that drives the member.
    pub fn wait(&self, timeout: Option<Duration>, taken: &mut Vec<ToNode>) {
        let mut queue = self.queue.lock();
        if queue.messages.is_empty() && timeout != Some(Duration::ZERO) {
            queue.sleeps = true;
            match timeout {
                Some(timeout) => drop(self.wakeup.wait_for(&mut queue, timeout)),
                None => self.wakeup.wait(&mut queue),
            }
            queue.sleeps = false;
        }
        taken.append(&mut queue.messages);
    }
}

/// A running member, shared by all threads.
pub struct Member {
    /// This member.
    pub id: MemberId,
    /// Its cluster.
    pub cluster: ClusterId,
    /// What requests are checked against.
    pub limits: Limits,
    /// The way into the log.
    pub proposer: Proposer,
    view: ArcSwapOption<View>,
    ids: Mutex<RequestIds>,
}

impl Member {
    /// A member whose first view is not there yet.
    pub fn new(id: MemberId, cluster: ClusterId, limits: Limits, ids: RequestIds) -> Self {
        Self {
            id,
            cluster,
            limits,
            proposer: Proposer::default(),
            view: ArcSwapOption::empty(),
            ids: Mutex::new(ids),
        }
    }

    /// Shows a new view to readers.
    pub fn publish(&self, view: Box<View>) {
        self.view.store(Some(Arc::from(view)));
    }

    /// The newest view; `None` before the member has started.
    pub fn view(&self) -> Option<Arc<View>> {
        self.view.load_full()
    }

    /// A fresh request identity.
    pub fn next_id(&self) -> RequestId {
        self.ids.lock().next_id()
    }
}
