//! What a connection, its calls and its meter tell each other, and what its calls hold.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};

use crate::connection::Limits;
use crate::pool::Counters;
use crate::status::{Code, Status};

/// One connection's calls.
#[derive(Debug)]
pub(crate) struct Activity {
    /// Calls in flight; see [`OpenCall`].
    pub(crate) calls: Cell<usize>,
    /// Set when headers or data of a call were written to the socket; a ping after that is never a strike.
    pub(crate) sent: Cell<bool>,
    /// Bytes of requests that are not complete.
    partial_bytes: Cell<usize>,
    of_server: ServerBytes,
    /// Bytes of answers that wait for the client to take them.
    unsent_bytes: Cell<usize>,
    /// Calls that wait for [`Activity::poll_room`].
    waiting_for_room: RefCell<Vec<Waker>>,
}

impl Activity {
    /// A connection without calls, of a server that counts the bytes of its incomplete requests in `counters`.
    pub(crate) fn new(limits: &Limits, counters: Arc<Counters>) -> Rc<Activity> {
        Rc::new(Activity {
            calls: Cell::new(0),
            sent: Cell::new(false),
            partial_bytes: Cell::new(0),
            of_server: ServerBytes { counters, max: limits.partial_bytes_max },
            unsent_bytes: Cell::new(0),
            waiting_for_room: RefCell::default(),
        })
    }

    /// Ready while few enough bytes of answers wait for the client: then a handler may make another one.
    ///
    /// Reading must go on meanwhile, as it is how a client says that it takes more.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        if self.unsent_bytes.get() <= UNSENT_BYTES_MAX {
            return Poll::Ready(());
        }
        self.waiting_for_room.borrow_mut().push(cx.waker().clone());
        Poll::Pending
    }

    fn left(&self, bytes: usize) {
        let before = self.unsent_bytes.get();
        let now = before - bytes;
        self.unsent_bytes.set(now);
        if before > UNSENT_BYTES_RESUME && now <= UNSENT_BYTES_RESUME {
            self.waiting_for_room.take().into_iter().for_each(Waker::wake);
        }
    }
}

/// Counts a call as open while it exists or data of its answer waits: a client may ping meanwhile.
#[derive(Debug)]
pub(crate) struct OpenCall(Rc<Activity>);

impl OpenCall {
    pub(crate) fn new(activity: Rc<Activity>) -> OpenCall {
        activity.calls.set(activity.calls.get() + 1);
        OpenCall(activity)
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.0.calls.set(self.0.calls.get() - 1);
    }
}

/// Bytes of an answer that exist and have not left.
#[derive(Debug)]
pub(crate) struct Unsent {
    activity: Rc<Activity>,
    bytes: usize,
}

impl Unsent {
    pub(crate) fn new(activity: Rc<Activity>, bytes: usize) -> Unsent {
        activity.unsent_bytes.set(activity.unsent_bytes.get() + bytes);
        Unsent { activity, bytes }
    }

    fn left(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.activity.left(bytes);
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.left(self.bytes);
    }
}

/// DATA of an answer, on its way through the HTTP/2 machine, which drops it when it was written or its stream was
/// reset.
#[derive(Debug)]
pub(crate) struct Outgoing {
    bytes: Bytes,
    unsent: Unsent,
    _call: OpenCall,
}

impl Outgoing {
    pub(crate) fn new(bytes: Bytes, call: OpenCall) -> Outgoing {
        let unsent = Unsent::new(call.0.clone(), bytes.len());
        Outgoing { bytes, unsent, _call: call }
    }
}

impl Buf for Outgoing {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.unsent.left(count);
    }
}

/// What one incomplete request holds.
#[derive(Debug)]
pub(crate) struct Partial {
    activity: Rc<Activity>,
    bytes: usize,
}

impl Partial {
    /// Holds nothing yet.
    pub(crate) fn new(activity: Rc<Activity>) -> Partial {
        Partial { activity, bytes: 0 }
    }

    /// Says that it holds `bytes` now, which is never less than before.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED if that is too much for the connection or for the server.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<(), Status> {
        let more = bytes - self.bytes;
        let of_connection = self.activity.partial_bytes.get() + more;
        let refused = |whose: &str| {
            let text = format!("too many bytes of incomplete requests on this {whose}");
            Err(Status::new(Code::ResourceExhausted, text))
        };
        if of_connection > PARTIAL_BYTES_MAX {
            return refused("connection");
        }
        if self.activity.of_server.take(more).is_err() {
            return refused("server");
        }
        self.activity.partial_bytes.set(of_connection);
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let of_connection = &self.activity.partial_bytes;
        of_connection.set(of_connection.get() - self.bytes);
        self.activity.of_server.give_back(self.bytes);
    }
}

/// Bytes of incomplete requests on all connections of one server.
#[derive(Debug)]
struct ServerBytes {
    counters: Arc<Counters>,
    max: usize,
}

impl ServerBytes {
    fn take(&self, bytes: usize) -> Result<(), Full> {
        let before = self.counters.partial_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > self.max {
            self.give_back(bytes);
            return Err(Full);
        }
        Ok(())
    }

    fn give_back(&self, bytes: usize) {
        // Most requests arrive whole, and threads share the counter.
        if bytes > 0 {
            self.counters.partial_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

/// There are as many bytes as there may be.
struct Full;

/// Bytes of incomplete requests that one connection may hold: far above honest use, as whole requests do not count.
const PARTIAL_BYTES_MAX: usize = 256 << 20;
/// Bytes of answers of one connection that may wait for the client before its next calls wait for it too.
const UNSENT_BYTES_MAX: usize = 64 << 20;
/// They go on once this much is left.
const UNSENT_BYTES_RESUME: usize = UNSENT_BYTES_MAX / 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incomplete_requests_of_a_connection_are_bounded_and_counted_once() {
        let counters = Arc::<Counters>::default();
        let activity = Activity::new(&Limits::default(), counters.clone());
        let held = || counters.partial_bytes.load(Ordering::Relaxed);
        let (mut first, mut second) = (Partial::new(activity.clone()), Partial::new(activity.clone()));
        first.grow_to(1000).unwrap();
        second.grow_to(PARTIAL_BYTES_MAX - 1000).unwrap();
        assert_eq!(held(), PARTIAL_BYTES_MAX);
        let error = first.grow_to(1001).unwrap_err();
        assert_eq!(error.message, "too many bytes of incomplete requests on this connection");
        assert_eq!(held(), PARTIAL_BYTES_MAX);
        drop(second);
        first.grow_to(2000).unwrap();
        assert_eq!((held(), activity.partial_bytes.get()), (2000, 2000));
        drop(first);
        assert_eq!((held(), activity.partial_bytes.get()), (0, 0));
    }

    #[test]
    fn call_is_open_until_its_data_has_left() {
        let activity = Activity::new(&Limits::default(), Arc::default());
        let call = OpenCall::new(activity.clone());
        let mut data = Outgoing::new(Bytes::from_static(b"0123456789"), call);
        assert_eq!((activity.calls.get(), activity.unsent_bytes.get()), (1, 10));
        data.advance(4);
        assert_eq!((activity.calls.get(), activity.unsent_bytes.get()), (1, 6));
        drop(data);
        assert_eq!((activity.calls.get(), activity.unsent_bytes.get()), (0, 0));
    }
}
