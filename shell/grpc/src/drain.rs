//! How a server ends: connections are told once, and counted.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// How far a server has got with stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It serves.
    Serving,
    /// Connections accept nothing new and end when their calls in flight have ended.
    Draining,
    /// Connections end at once.
    Closing,
}

/// The phase of one server on one thread, and the connections that follow it.
#[derive(Clone, Debug)]
pub struct Drain {
    state: Rc<State>,
}

impl Drain {
    /// A server that serves, without connections.
    pub fn new() -> Drain {
        Drain {
            state: Rc::new(State {
                phase: Cell::new(Phase::Serving),
                next: Cell::new(0),
                wakers: RefCell::new(BTreeMap::new()),
                empty: RefCell::new(None),
            }),
        }
    }

    /// Moves on to `phase` and wakes every connection. Never goes back.
    pub fn advance(&self, phase: Phase) {
        if phase <= self.state.phase.get() {
            return;
        }
        self.state.phase.set(phase);
        for waker in self.state.wakers.borrow().values() {
            waker.wake_by_ref();
        }
    }

    /// Open connections.
    pub fn connections(&self) -> usize {
        self.state.wakers.borrow().len()
    }

    /// Resolves when no connection is open. One task at a time may wait.
    pub async fn emptied(&self) {
        poll_fn(|cx| {
            if self.connections() == 0 {
                return Poll::Ready(());
            }
            *self.state.empty.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Adds a connection; dropping the result removes it.
    pub(crate) fn follow(&self) -> Follower {
        let id = self.state.next.get();
        self.state.next.set(id + 1);
        self.state.wakers.borrow_mut().insert(id, Waker::noop().clone());
        Follower { id, state: self.state.clone() }
    }
}

impl Default for Drain {
    fn default() -> Self {
        Drain::new()
    }
}

/// One connection's view of [`Drain`].
#[derive(Debug)]
pub(crate) struct Follower {
    id: u64,
    state: Rc<State>,
}

impl Follower {
    /// The phase now.
    pub(crate) fn phase(&self) -> Phase {
        self.state.phase.get()
    }

    /// Makes changes of phase wake this task; needed once per task, as a task's waker stays the same.
    pub(crate) fn register(&self, cx: &Context<'_>) {
        self.state.wakers.borrow_mut().insert(self.id, cx.waker().clone());
    }

    /// Resolves when the phase is no longer [`Phase::Serving`].
    pub(crate) async fn stopping(&self) {
        poll_fn(|cx| {
            if self.phase() > Phase::Serving {
                return Poll::Ready(());
            }
            self.register(cx);
            Poll::Pending
        })
        .await;
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut wakers = self.state.wakers.borrow_mut();
        wakers.remove(&self.id);
        if wakers.is_empty()
            && let Some(waker) = self.state.empty.borrow_mut().take()
        {
            waker.wake();
        }
    }
}

#[derive(Debug)]
struct State {
    phase: Cell<Phase>,
    next: Cell<u64>,
    wakers: RefCell<BTreeMap<u64, Waker>>,
    /// Who waits for the last connection to end.
    empty: RefCell<Option<Waker>>,
}
