//! HTTP/2 by hand: frames that no client library would send, through a pipe instead of a socket.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use grpc::{Code, Drain, Limits, MethodStats, Peer, Services, Waiters, serve_connection};
use tokio::io::{AsyncWrite, DuplexStream};
use tokio::task::{JoinHandle, LocalSet};

/// The preface and empty settings.
pub const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// One frame.
pub fn frame(kind: u8, flags: u8, stream_id: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream_id.to_be_bytes(), payload].concat()
}

/// The HEADERS of a call of `method`, without a body so far.
pub fn headers(stream_id: u32, method: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let path = text(&format!("/{}/{method}", super::KV));
    // Method POST, scheme http, path, and content-type, of which the first two have numbers of their own.
    let block = [b"\x83\x86\x04", &path[..], b"\x0f\x10", &text("application/grpc")].concat();
    frame(HEADERS, END_HEADERS, stream_id, &block)
}

/// A whole call.
pub fn call(stream_id: u32, method: &str, body: &[u8]) -> Vec<u8> {
    [headers(stream_id, method), frame(DATA, END_STREAM, stream_id, body)].concat()
}

/// The client's end of a pipe to a server, and the server's task, which ends with the connection.
pub struct Piped {
    pub pipe: DuplexStream,
    pub server: JoinHandle<()>,
    pub services: Rc<Services>,
    /// Where calls wait that are never answered.
    pub waiters: Waiters<()>,
    pub drain: Drain,
}

/// Runs `test` beside a server of [`services`](super::services), all on one thread.
pub fn piped<F: Future<Output = ()>>(limits: Limits, test: impl FnOnce(Piped) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let tasks = LocalSet::new();
    let whole = tasks.run_until(async {
        let (pipe, end) = tokio::io::duplex(PIPE_BYTES);
        let (waiters, drain) = (Waiters::new(), Drain::new());
        let services = Rc::new(super::services_with(&waiters));
        let (serving, following) = (services.clone(), drain.clone());
        let server = tokio::task::spawn_local(async move {
            serve_connection(end, serving, &limits, Rc::new(Peer::default()), &following).await;
        });
        test(Piped { pipe, server, services, waiters, drain }).await;
    });
    runtime
        .block_on(async { tokio::time::timeout(Duration::from_secs(60), whole).await.expect("test hangs") });
}

/// How many calls of `method` have ended with `code`.
pub fn handled(services: &Services, method: &str, code: Code) -> u64 {
    let path = format!("/{}/{method}", super::KV);
    services.stats().find(|(known, _)| *known == path).unwrap().1.handled(code)
}

/// Calls that have started and not ended.
pub fn in_flight(services: &Services) -> u64 {
    let ended = |stats: &MethodStats| Code::ALL.iter().map(|code| stats.handled(*code)).sum::<u64>();
    services.stats().map(|(_, stats)| stats.started() - ended(stats)).sum()
}

/// Lets every other task of the thread go as far as it can.
pub async fn settle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

impl Piped {
    /// Writes `pieces` and reads nothing, until all are written or the server takes no more. Returns how many it took.
    pub async fn write_without_reading(&mut self, pieces: impl IntoIterator<Item = Vec<u8>>) -> usize {
        let mut count = 0;
        for piece in pieces {
            let mut left = &piece[..];
            let mut is_refused = false;
            while !left.is_empty() {
                let once = |cx: &mut Context<'_>| Poll::Ready(Pin::new(&mut self.pipe).poll_write(cx, left));
                match poll_fn(once).await {
                    Poll::Ready(Ok(written)) => (left, is_refused) = (&left[written..], false),
                    Poll::Ready(Err(_)) => return count,
                    Poll::Pending if is_refused => return count,
                    Poll::Pending => {
                        is_refused = true;
                        settle().await;
                    }
                }
            }
            count += 1;
        }
        count
    }
}

/// What fits into the pipe in each direction.
const PIPE_BYTES: usize = 4096;
