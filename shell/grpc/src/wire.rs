//! The socket as the HTTP/2 machine sees it: writes are gathered, reads are metered.
//!
//! The machine flushes after every few frames; here a flush is a note, and the connection writes everything once at the
//! end of its poll. So a batch of responses is one system call. What is gathered lives in a buffer that threads reuse:
//! an idle connection holds none.
//!
//! A client that asks but does not read is not read either: after a number of frames ([`Meter::is_read_enough`]) the
//! machine gets no more until what they caused was written.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::activity::Activity;
use crate::meter::{Meter, Violation};
use crate::scanner::kind;

/// One connection's socket, shared by the HTTP/2 machine and whoever drives it.
pub(crate) struct Wire<IO> {
    state: Rc<RefCell<State<IO>>>,
}

struct State<IO> {
    io: IO,
    /// How much of the preface, which was read to tell the protocol, is still to be given to the machine.
    preface_left: &'static [u8],
    gathered: Vec<u8>,
    /// How much of `gathered` is written.
    written: usize,
    /// The machine was refused a write: it has more to say, and may stand in the middle of a frame.
    is_refused: bool,
    /// Bytes the socket has taken.
    taken_bytes: u64,
    meter: Meter,
    activity: Rc<Activity>,
    last_sign: Instant,
}

impl<IO> Wire<IO> {
    /// Wraps `io`, whose first bytes were `preface`.
    pub(crate) fn new(io: IO, preface: &'static [u8], meter: Meter, activity: Rc<Activity>) -> Wire<IO> {
        let state = State {
            io,
            preface_left: preface,
            gathered: Vec::new(),
            written: 0,
            is_refused: false,
            taken_bytes: 0,
            meter,
            activity,
            last_sign: Instant::now(),
        };
        Wire { state: Rc::new(RefCell::new(state)) }
    }

    /// When the client last gave a sign of life: it sent something, or took something while we do not read.
    pub(crate) fn last_sign(&self) -> Instant {
        self.state.borrow().last_sign
    }

    /// How many bytes the socket has taken so far, if it takes no more at the moment.
    pub(crate) fn stuck_at(&self) -> Option<u64> {
        let state = self.state.borrow();
        (state.written < state.gathered.len()).then_some(state.taken_bytes)
    }

    /// What the client did, if it was too much.
    pub(crate) fn violation(&self) -> Option<Violation> {
        self.state.borrow().meter.violation()
    }

    /// To be asked when the machine has done all it can and [`Wire::poll_write_gathered`] was tried: whether it waits for
    /// something that has happened by now, so that it has to be polled again.
    pub(crate) fn machine_waits(&self) -> bool {
        let state = &mut *self.state.borrow_mut();
        if state.written < state.gathered.len() {
            // The socket wakes the driver.
            return false;
        }
        if state.is_refused {
            return true;
        }
        let is_paused = state.meter.is_read_enough();
        state.meter.output_left();
        is_paused
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Wire<IO> {
    /// Writes what was gathered; pending while the socket takes no more.
    pub(crate) fn poll_write_gathered(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.borrow_mut().poll_write_gathered(cx)
    }

    /// Ends the connection for `violation`: says why if the machine is between two frames, then waits a moment for the
    /// client to read it, as closing with unread input would throw the words away.
    pub(crate) async fn refuse(&self, violation: Violation) {
        self.state.borrow_mut().say_go_away(violation);
        let farewell = std::future::poll_fn(|cx| {
            ready!(self.poll_write_gathered(cx))?;
            Pin::new(&mut self.state.borrow_mut().io).poll_shutdown(cx)
        });
        let linger = async {
            farewell.await?;
            let mut left = LINGER_BYTES_MAX;
            while left > 0 {
                let read = std::future::poll_fn(|cx| self.state.borrow_mut().poll_discard(cx)).await?;
                left = if read == 0 { 0 } else { left.saturating_sub(read) };
            }
            io::Result::Ok(())
        };
        // Whether the client listened or not, the connection is over.
        let _ended = tokio::time::timeout(LINGER, linger).await;
    }
}

impl<IO> Clone for Wire<IO> {
    fn clone(&self) -> Self {
        Wire { state: self.state.clone() }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> State<IO> {
    fn poll_write_gathered(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.gathered.len() {
            let count = ready!(Pin::new(&mut self.io).poll_write(cx, &self.gathered[self.written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let taken = &self.gathered[self.written..self.written + count];
            let now = Instant::now();
            self.meter.observe_written(taken, now, &self.activity);
            self.written += count;
            self.taken_bytes += count as u64;
            if self.meter.is_read_enough() {
                self.last_sign = now;
            }
        }
        if !self.gathered.is_empty() {
            self.written = 0;
            give_back(std::mem::take(&mut self.gathered));
        }
        Poll::Ready(Ok(()))
    }

    /// Ready when more may be gathered.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.gathered.len() - self.written >= GATHERED_MAX {
            self.is_refused = true;
            ready!(self.poll_write_gathered(cx))?;
        }
        self.is_refused = false;
        if self.written >= GATHERED_MAX {
            self.gathered.drain(..self.written);
            self.written = 0;
        }
        if self.gathered.capacity() == 0 {
            self.gathered = SPARE.take();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut discarded = [0; 4096];
        let mut buffer = ReadBuf::new(&mut discarded);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn say_go_away(&mut self, violation: Violation) {
        if self.is_refused {
            return;
        }
        let debug_data = violation.debug_data();
        let length = u32::try_from(8 + debug_data.len()).expect("the words are short").to_be_bytes();
        self.gathered.extend_from_slice(&length[1..]);
        self.gathered.extend_from_slice(&[kind::GO_AWAY, 0, 0, 0, 0, 0]);
        self.gathered.extend_from_slice(&self.meter.stream_id_max().to_be_bytes());
        self.gathered.extend_from_slice(&ENHANCE_YOUR_CALM.to_be_bytes());
        self.gathered.extend_from_slice(debug_data);
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let state = &mut *self.state.borrow_mut();
        if !state.preface_left.is_empty() {
            let (now, later) = state.preface_left.split_at(state.preface_left.len().min(buffer.remaining()));
            buffer.put_slice(now);
            state.preface_left = later;
            return Poll::Ready(Ok(()));
        }
        if state.meter.is_read_enough() {
            // The driver polls the machine again once the output has left.
            return Poll::Pending;
        }
        let start = buffer.filled().len();
        ready!(Pin::new(&mut state.io).poll_read(cx, buffer))?;
        let read = &buffer.filled()[start..];
        if !read.is_empty() {
            state.last_sign = Instant::now();
            state.meter.observe_read(read, state.last_sign, &state.activity);
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let state = &mut *self.state.borrow_mut();
        ready!(state.poll_room(cx))?;
        state.gathered.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let state = &mut *self.state.borrow_mut();
        ready!(state.poll_room(cx))?;
        slices.iter().for_each(|slice| state.gathered.extend_from_slice(slice));
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The driver writes at the end of its poll.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let state = &mut *self.state.borrow_mut();
        ready!(state.poll_write_gathered(cx))?;
        Pin::new(&mut state.io).poll_shutdown(cx)
    }
}

/// Keeps an emptied buffer for the next connection of this thread that writes.
fn give_back(mut buffer: Vec<u8>) {
    if buffer.capacity() <= SPARE_BYTES_MAX {
        buffer.clear();
        SPARE.set(buffer);
    }
}

thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Gathered bytes at which the machine is asked to wait for the socket.
const GATHERED_MAX: usize = 64 * 1024;
/// A larger buffer is freed rather than kept.
const SPARE_BYTES_MAX: usize = 256 * 1024;
/// How long, and for how many bytes, a refused client is listened to.
const LINGER: std::time::Duration = std::time::Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 1024 * 1024;
/// Source: RFC 9113, section 7.
const ENHANCE_YOUR_CALM: u32 = 0xb;
