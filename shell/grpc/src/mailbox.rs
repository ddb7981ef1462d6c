//! Values for another thread, delivered in batches with one wake-up each (contract C12).

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A queue into one thread, with its receiving end.
///
/// Unbounded by itself: whoever pushes answers for what is on its way (for completions, the calls in flight bound it).
pub fn mailbox<T>() -> (Mailbox<T>, MailboxReceiver<T>) {
    let shared =
        Arc::new(Mutex::new(Queue { values: Vec::new(), waker: None, senders: 1, receiver: Receiver::Here }));
    (Mailbox { shared: shared.clone() }, MailboxReceiver { shared, unpark: None })
}

/// The sending end, for any thread.
pub struct Mailbox<T> {
    shared: Arc<Mutex<Queue<T>>>,
}

impl<T> Mailbox<T> {
    /// Appends `batch` and wakes the receiver, at most once.
    ///
    /// A receiver that has not yet taken what was pushed before is not woken again: it is on its way.
    ///
    /// # Errors
    /// The batch, when nobody will ever read it.
    pub fn push_batch(&self, mut batch: Vec<T>) -> Result<(), Vec<T>> {
        if batch.is_empty() {
            return Ok(());
        }
        let waker = {
            let mut queue = self.shared.lock();
            if queue.receiver == Receiver::Gone {
                return Err(batch);
            }
            if queue.values.is_empty() {
                queue.values = batch;
            } else {
                queue.values.append(&mut batch);
            }
            queue.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Appends one value; see [`Mailbox::push_batch`].
    ///
    /// # Errors
    /// The value, when nobody will ever read it.
    pub fn push(&self, value: T) -> Result<(), T> {
        let waker = {
            let mut queue = self.shared.lock();
            if queue.receiver == Receiver::Gone {
                return Err(value);
            }
            queue.values.push(value);
            queue.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        self.shared.lock().senders += 1;
        Mailbox { shared: self.shared.clone() }
    }
}

impl<T> fmt::Debug for Mailbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("waiting", &self.shared.lock().values.len()).finish()
    }
}

/// The receiving end.
///
/// One thread or task uses it for its life: a blocked [`wait`](MailboxReceiver::wait) is woken where it first ran.
pub struct MailboxReceiver<T> {
    shared: Arc<Mutex<Queue<T>>>,
    /// Wakes the thread that blocks, once one has.
    unpark: Option<Waker>,
}

impl<T> MailboxReceiver<T> {
    /// Waits until something was pushed and takes all of it, in order. `None` once every [`Mailbox`] is gone.
    pub async fn next_batch(&mut self) -> Option<Vec<T>> {
        poll_fn(|cx| self.poll_batch(cx.waker())).await
    }

    /// As [`MailboxReceiver::next_batch`], for a thread without a runtime: blocks, at most until `deadline`.
    pub fn wait(&mut self, deadline: Option<Instant>) -> Received<T> {
        let waker =
            self.unpark.get_or_insert_with(|| Waker::from(Arc::new(Unpark(std::thread::current())))).clone();
        loop {
            match self.poll_batch(&waker) {
                Poll::Ready(Some(batch)) => return Received::Batch(batch),
                Poll::Ready(None) => return Received::Closed,
                Poll::Pending => {}
            }
            match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => std::thread::park(),
                Some(Duration::ZERO) => return Received::TimedOut,
                Some(left) => std::thread::park_timeout(left),
            }
        }
    }

    fn poll_batch(&self, waker: &Waker) -> Poll<Option<Vec<T>>> {
        let mut queue = self.shared.lock();
        if !queue.values.is_empty() {
            return Poll::Ready(Some(std::mem::take(&mut queue.values)));
        }
        if queue.senders == 0 {
            return Poll::Ready(None);
        }
        if !queue.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            queue.waker = Some(waker.clone());
        }
        Poll::Pending
    }
}

/// What [`MailboxReceiver::wait`] came back with.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<T> {
    /// All that was pushed, in order.
    Batch(Vec<T>),
    /// Nothing came before the deadline.
    TimedOut,
    /// Every [`Mailbox`] is gone.
    Closed,
}

/// Wakes a thread that is parked in [`MailboxReceiver::wait`].
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

impl<T> Drop for MailboxReceiver<T> {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.receiver = Receiver::Gone;
        queue.waker = None;
    }
}

impl<T> Drop for Mailbox<T> {
    fn drop(&mut self) {
        let waker = {
            let mut queue = self.shared.lock();
            queue.senders -= 1;
            if queue.senders == 0 { queue.waker.take() } else { None }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

struct Queue<T> {
    values: Vec<T>,
    /// Present while the receiver waits.
    waker: Option<Waker>,
    senders: usize,
    receiver: Receiver,
}

#[derive(Debug, PartialEq, Eq)]
enum Receiver {
    Here,
    Gone,
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Context;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn many_batches_before_the_receiver_runs_cost_one_wake() {
        let (sender, mut receiver) = mailbox();
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let mut cx = Context::from_waker(&waker);
        let mut next = pin!(receiver.next_batch());
        assert!(next.as_mut().poll(&mut cx).is_pending());
        sender.push_batch(vec![1, 2]).unwrap();
        sender.push_batch(vec![3]).unwrap();
        sender.push(4).unwrap();
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        assert_eq!(next.as_mut().poll(&mut cx), Poll::Ready(Some(vec![1, 2, 3, 4])));
    }

    #[test]
    fn receiver_ends_when_the_last_sender_is_gone() {
        let (sender, mut receiver) = mailbox();
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let mut cx = Context::from_waker(&waker);
        let second = sender.clone();
        second.push("last words").unwrap();
        drop(sender);
        assert_eq!(pin!(receiver.next_batch()).poll(&mut cx), Poll::Ready(Some(vec!["last words"])));
        assert!(pin!(receiver.next_batch()).poll(&mut cx).is_pending());
        drop(second);
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        assert_eq!(pin!(receiver.next_batch()).poll(&mut cx), Poll::Ready(None));
    }

    #[test]
    fn thread_waits_for_batches_deadlines_and_the_end() {
        let (sender, mut receiver) = mailbox();
        let waits = std::thread::spawn(move || [receiver.wait(None), receiver.wait(None)]);
        sender.push_batch(vec![1, 2]).unwrap();
        drop(sender);
        assert_eq!(waits.join().unwrap(), [Received::Batch(vec![1, 2]), Received::Closed]);
        let (_sender, mut receiver) = mailbox::<u8>();
        assert_eq!(receiver.wait(Some(Instant::now() + Duration::from_millis(1))), Received::TimedOut);
    }

    #[test]
    fn batch_comes_back_when_nobody_reads() {
        let (sender, receiver) = mailbox();
        drop(receiver);
        assert_eq!(sender.push_batch(vec![1]), Err(vec![1]));
        assert_eq!(sender.push(2), Err(2));
    }
}
