//! Lines on their way from the threads that log to the thread that writes.

use std::io::Write as _;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::output::Output;

/// A buffer of whole lines, bounded in bytes. Appending never waits for the writer: the lock is held only to copy a
/// line or to swap the buffer.
///
/// Invariants: `pending` holds whole lines only and never more than `limit` bytes; `written <= appended`.
#[derive(Debug)]
pub(crate) struct Queue {
    limit: usize,
    state: Mutex<State>,
    /// There is something to write, or nothing will come any more.
    filled: Condvar,
    /// `written` has grown.
    drained: Condvar,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    pending: Vec<u8>,
    /// Lines dropped since the last report.
    unreported: u64,
    /// Bytes ever appended, and ever handed to the outputs.
    appended: u64,
    written: u64,
    is_closed: bool,
}

impl Queue {
    pub(crate) fn new(limit: usize) -> Self {
        let (filled, drained) = (Condvar::new(), Condvar::new());
        Self { limit, state: Mutex::default(), filled, drained, dropped: AtomicU64::new(0) }
    }

    /// Appends a line, or drops and counts it when the queue is full.
    pub(crate) fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.pending.len() + line.len() > self.limit {
            state.unreported += 1;
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.pending.extend_from_slice(line);
        state.appended += line.len() as u64;
        drop(state);
        self.filled.notify_one();
    }

    /// Lines dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits until everything appended so far is written; gives up after [`FLUSH_WAIT`].
    pub(crate) fn flush(&self) -> bool {
        let state = self.lock();
        let target = state.appended;
        let is_behind = |state: &mut State| state.written < target;
        let waited = self.drained.wait_timeout_while(state, FLUSH_WAIT, is_behind);
        let (_state, outcome) = waited.unwrap_or_else(PoisonError::into_inner);
        !outcome.timed_out()
    }

    /// Lets the writer end once it has written what is there.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.filled.notify_one();
    }

    /// Writes lines to all `outputs` until the queue is closed. `report` makes the line that tells how many were dropped.
    ///
    /// Errors of an output are ignored: there is no place left to report them to, and a full disk below the log must
    /// not stop a member.
    pub(crate) fn write_to(&self, mut outputs: Vec<Output>, report: impl Fn(u64) -> String) {
        let mut batch = Vec::new();
        while let Some(unreported) = self.take(&mut batch) {
            let bytes = batch.len() as u64;
            if unreported > 0 {
                batch.extend_from_slice(report(unreported).as_bytes());
            }
            for output in &mut outputs {
                let _ = output.write_all(&batch).and_then(|()| output.flush());
            }
            self.lock().written += bytes;
            self.drained.notify_all();
        }
    }

    /// Waits for lines and moves them to `batch`; returns how many were dropped since the last time. `None` at the end.
    fn take(&self, batch: &mut Vec<u8>) -> Option<u64> {
        batch.clear();
        let is_idle = |state: &mut State| state.pending.is_empty() && !state.is_closed;
        let waited = self.filled.wait_while(self.lock(), is_idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        if state.pending.is_empty() {
            return None;
        }
        mem::swap(&mut state.pending, batch);
        Some(mem::take(&mut state.unreported))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic between two of its few statements leaves the state usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long the end of a program waits for its log.
const FLUSH_WAIT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// An output whose every write begins with a word to the test and waits for its answer.
    struct Gate {
        begun: SyncSender<Vec<u8>>,
        go: Receiver<()>,
    }

    impl io::Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.begun.send(bytes.to_vec()).unwrap();
            self.go.recv().unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_queue_drops_lines_counts_them_and_says_so() {
        let queue = Arc::new(Queue::new(20));
        let (begun, writes) = sync_channel(10);
        let (go, gate) = sync_channel(10);
        let writing = Arc::clone(&queue);
        let outputs: Vec<Output> = vec![Box::new(Gate { begun, go: gate })];
        let thread =
            std::thread::spawn(move || writing.write_to(outputs, |count| format!("dropped {count}\n")));

        queue.push(b"line 1\n");
        assert_eq!(writes.recv().unwrap(), b"line 1\n");
        // The writer is stuck; two lines fit, three do not.
        for number in 2..=6 {
            queue.push(format!("line {number}\n").as_bytes());
        }
        assert_eq!(queue.dropped(), 3);
        go.send(()).unwrap();
        assert_eq!(writes.recv().unwrap(), b"line 2\nline 3\ndropped 3\n");
        go.send(()).unwrap();
        assert!(queue.flush());
        queue.push(b"line 7\n");
        assert_eq!(writes.recv().unwrap(), b"line 7\n");
        go.send(()).unwrap();
        queue.close();
        thread.join().unwrap();
        assert_eq!(queue.dropped(), 3);
    }

    #[test]
    fn closing_writes_what_is_queued() {
        let queue = Queue::new(100);
        queue.push(b"last\n");
        queue.close();
        let (begun, writes) = sync_channel(1);
        let (go, gate) = sync_channel(1);
        go.send(()).unwrap();
        queue.write_to(vec![Box::new(Gate { begun, go: gate })], |_| String::new());
        assert_eq!(writes.recv().unwrap(), b"last\n");
        assert!(queue.flush());
    }
}
