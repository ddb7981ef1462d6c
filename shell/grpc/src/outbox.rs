//! Values from the handlers of one thread, collected while the thread has other work and delivered together.
//!
//! The way out, as [`Mailbox`](crate::Mailbox) is the way in: proposals of all calls that arrived together cost the
//! receiving stage one lock and one wake-up (contract C12).

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Collects values of one thread.
pub struct Outbox<T> {
    pending: Rc<RefCell<Pending<T>>>,
}

impl<T: 'static> Outbox<T> {
    /// Starts the task that gives batches to `deliver`, never empty ones. It runs after the tasks that were ready when
    /// the first value of a batch was pushed, and ends when every clone of the outbox is gone.
    ///
    /// # Panics
    /// Outside a [`tokio::runtime::LocalRuntime`] or [`tokio::task::LocalSet`].
    pub fn start(mut deliver: impl FnMut(Vec<T>) + 'static) -> Outbox<T> {
        let outbox = Outbox { pending: Rc::new(RefCell::new(Pending { values: Vec::new(), waker: None })) };
        let pending = outbox.pending.clone();
        tokio::task::spawn_local(poll_fn(move |cx| {
            let batch = std::mem::take(&mut pending.borrow_mut().values);
            if !batch.is_empty() {
                deliver(batch);
            }
            if Rc::strong_count(&pending) == 1 {
                return Poll::Ready(());
            }
            pending.borrow_mut().waker = Some(cx.waker().clone());
            Poll::Pending
        }));
        outbox
    }

    /// Adds `value` to the batch that goes out next.
    pub fn push(&self, value: T) {
        let waker = {
            let mut pending = self.pending.borrow_mut();
            pending.values.push(value);
            pending.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Clone for Outbox<T> {
    fn clone(&self) -> Self {
        Outbox { pending: self.pending.clone() }
    }
}

impl<T> Drop for Outbox<T> {
    fn drop(&mut self) {
        // Of the two that are left, one is the task.
        if Rc::strong_count(&self.pending) == 2
            && let Some(waker) = self.pending.borrow_mut().waker.take()
        {
            waker.wake();
        }
    }
}

impl<T> fmt::Debug for Outbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("pending", &self.pending.borrow().values.len()).finish()
    }
}

struct Pending<T> {
    values: Vec<T>,
    /// Present while the task waits.
    waker: Option<Waker>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_tasks_that_run_together_go_out_together() {
        let runtime = tokio::runtime::Builder::new_current_thread().build_local(Default::default()).unwrap();
        let batches = Rc::new(RefCell::new(Vec::new()));
        let delivered = batches.clone();
        runtime.block_on(async {
            let outbox = Outbox::start(move |batch| delivered.borrow_mut().push(batch));
            for round in 0..2 {
                let push = |n| {
                    let outbox = outbox.clone();
                    tokio::task::spawn_local(async move { outbox.push(round * 10 + n) })
                };
                for task in [1, 2, 3].map(push) {
                    task.await.unwrap();
                }
                tokio::task::yield_now().await;
            }
            outbox.push(99);
            drop(outbox);
            tokio::task::yield_now().await;
        });
        assert_eq!(*batches.borrow(), [vec![1, 2, 3], vec![11, 12, 13], vec![99]]);
        assert_eq!(Rc::strong_count(&batches), 1, "the task has ended");
    }
}
