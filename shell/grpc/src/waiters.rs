//! Handlers that wait for a result which arrives by its number, all on one thread.
//!
//! A handler takes a [`Ticket`], sends it along with its proposal, and awaits; whoever drains the thread's mailbox
//! completes tickets. Nothing here is shared between threads, so nothing is locked or counted atomically.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Names one waiting handler of one thread; never names another one later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

impl Ticket {
    /// The ticket as a number, to travel through messages.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The ticket of a number that [`Ticket::number`] gave.
    pub fn from_number(number: u64) -> Ticket {
        Ticket(number)
    }

    fn new(slot: u32, generation: u32) -> Ticket {
        Ticket(u64::from(generation) << 32 | u64::from(slot))
    }

    fn slot(self) -> usize {
        (self.0 & u64::from(u32::MAX)) as usize
    }

    fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// The handlers of one thread that wait for a `T`.
pub struct Waiters<T> {
    slots: Rc<RefCell<Slots<T>>>,
}

impl<T> Waiters<T> {
    /// Nobody waits.
    pub fn new() -> Waiters<T> {
        Waiters { slots: Rc::new(RefCell::new(Slots { slots: Vec::new(), free: Vec::new() })) }
    }

    /// A place to wait and the ticket that completes it. Dropping the place withdraws the ticket.
    pub fn register(&self) -> (Ticket, Waiting<T>) {
        let ticket = self.slots.borrow_mut().take();
        (ticket, Waiting { slots: self.slots.clone(), ticket })
    }

    /// Hands `value` to the handler that holds `ticket` and wakes it.
    ///
    /// # Errors
    /// The value, when nobody waits for it any more: the call was cancelled or ran out of time.
    pub fn complete(&self, ticket: Ticket, value: T) -> Result<(), T> {
        let waker = self.slots.borrow_mut().complete(ticket, value)?;
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Completes everyone who still waits, with what `value` makes; for a server that stops.
    pub fn complete_all(&self, mut value: impl FnMut() -> T) {
        let waiting = self.slots.borrow().waiting();
        for ticket in waiting {
            // One that was woken by a previous completion may have gone meanwhile; that is fine.
            let _gone = self.complete(ticket, value());
        }
    }

    /// How many wait, completed ones that have not run yet included.
    pub fn len(&self) -> usize {
        let slots = self.slots.borrow();
        slots.slots.len() - slots.free.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Default for Waiters<T> {
    fn default() -> Self {
        Waiters::new()
    }
}

impl<T> Clone for Waiters<T> {
    fn clone(&self) -> Self {
        Waiters { slots: self.slots.clone() }
    }
}

impl<T> fmt::Debug for Waiters<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiters").field("len", &self.len()).finish()
    }
}

/// Resolves to the value that completes its ticket.
pub struct Waiting<T> {
    slots: Rc<RefCell<Slots<T>>>,
    ticket: Ticket,
}

impl<T> Future for Waiting<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.slots.borrow_mut().poll(self.ticket, cx.waker())
    }
}

impl<T> Drop for Waiting<T> {
    fn drop(&mut self) {
        self.slots.borrow_mut().release(self.ticket);
    }
}

impl<T> fmt::Debug for Waiting<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Waiting").field(&self.ticket).finish()
    }
}

/// Slots by number, with those that are free. A slot's generation grows when it is freed, which makes old tickets void.
struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

struct Slot<T> {
    generation: u32,
    state: State<T>,
}

enum State<T> {
    Free,
    Waiting(Option<Waker>),
    Done(T),
    /// The value was taken; the place to wait is not dropped yet.
    Taken,
}

impl<T> Slots<T> {
    fn take(&mut self) -> Ticket {
        let number = self.free.pop().unwrap_or_else(|| {
            let number =
                u32::try_from(self.slots.len()).expect("fewer than 2^32 calls are in flight on a thread");
            self.slots.push(Slot { generation: 0, state: State::Free });
            number
        });
        let slot = &mut self.slots[number as usize];
        slot.state = State::Waiting(None);
        Ticket::new(number, slot.generation)
    }

    fn slot(&mut self, ticket: Ticket) -> Option<&mut Slot<T>> {
        self.slots.get_mut(ticket.slot()).filter(|slot| slot.generation == ticket.generation())
    }

    fn complete(&mut self, ticket: Ticket, value: T) -> Result<Option<Waker>, T> {
        match self.slot(ticket) {
            Some(slot) if matches!(slot.state, State::Waiting(_)) => {
                match std::mem::replace(&mut slot.state, State::Done(value)) {
                    State::Waiting(waker) => Ok(waker),
                    _ => Ok(None),
                }
            }
            _ => Err(value),
        }
    }

    fn poll(&mut self, ticket: Ticket, waker: &Waker) -> Poll<T> {
        let slot = self.slot(ticket).expect("a slot lives as long as its place to wait");
        match &mut slot.state {
            State::Waiting(known) => {
                if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
                    *known = Some(waker.clone());
                }
                Poll::Pending
            }
            state => match std::mem::replace(state, State::Taken) {
                State::Done(value) => Poll::Ready(value),
                _ => Poll::Pending,
            },
        }
    }

    fn release(&mut self, ticket: Ticket) {
        let slot = self.slot(ticket).expect("a slot lives as long as its place to wait");
        slot.state = State::Free;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push((ticket.0 & u64::from(u32::MAX)) as u32);
    }

    fn waiting(&self) -> Vec<Ticket> {
        let waits = |slot: &Slot<T>| matches!(slot.state, State::Waiting(_));
        let numbered = self.slots.iter().zip(0u32..);
        numbered.filter(|(slot, _)| waits(slot)).map(|(slot, n)| Ticket::new(n, slot.generation)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll<T>(waiting: &mut Waiting<T>) -> Poll<T> {
        Pin::new(waiting).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn value_reaches_the_holder_of_its_ticket_only() {
        let waiters = Waiters::new();
        let (first, mut a) = waiters.register();
        let (second, mut b) = waiters.register();
        assert!(poll(&mut a).is_pending());
        waiters.complete(second, "b").unwrap();
        assert!(poll(&mut a).is_pending());
        assert_eq!(poll(&mut b), Poll::Ready("b"));
        waiters.complete(first, "a").unwrap();
        assert_eq!(poll(&mut a), Poll::Ready("a"));
        drop((a, b));
        assert!(waiters.is_empty());
    }

    #[test]
    fn ticket_of_a_cancelled_call_completes_nobody() {
        let waiters = Waiters::new();
        let (old, waiting) = waiters.register();
        drop(waiting);
        assert_eq!(waiters.complete(old, 1), Err(1));
        let (new, mut reused) = waiters.register();
        assert_ne!(old, new);
        assert_eq!(waiters.complete(old, 2), Err(2));
        assert!(poll(&mut reused).is_pending());
        assert_eq!(waiters.len(), 1);
    }

    #[test]
    fn second_completion_is_refused() {
        let waiters = Waiters::new();
        let (ticket, _waiting) = waiters.register();
        assert_eq!(waiters.complete(ticket, 1), Ok(()));
        assert_eq!(waiters.complete(ticket, 2), Err(2));
    }

    #[test]
    fn stop_completes_everyone() {
        let waiters = Waiters::new();
        let mut all: Vec<_> = (0..3).map(|_| waiters.register().1).collect();
        waiters.complete_all(|| "stopped");
        assert!(all.iter_mut().all(|waiting| poll(waiting) == Poll::Ready("stopped")));
    }
}
