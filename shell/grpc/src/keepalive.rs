//! Finds clients that are gone without a word: pings after silence, and closes when nothing comes back or goes out.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use h2::{Ping, PingPong};
use tokio::time::Sleep;

/// When to ask a silent client, and how long to wait for an answer (`--grpc-keepalive-interval`, `-timeout`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeepalivePolicy {
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
}

/// The keep-alive of one connection.
pub(crate) struct Keepalive {
    policy: KeepalivePolicy,
    ping_pong: PingPong,
    /// When a ping went out that nothing has answered yet.
    asked: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl Keepalive {
    pub(crate) fn new(policy: KeepalivePolicy, ping_pong: PingPong) -> Keepalive {
        Keepalive { policy, ping_pong, asked: None, timer: Box::pin(tokio::time::sleep(policy.interval)) }
    }

    /// Ready when the client is to be given up. `last_sign` is when it last did anything, which counts as an
    /// answer.
    pub(crate) fn poll_dead(&mut self, cx: &mut Context<'_>, last_sign: Instant) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let next = match self.asked {
                Some(asked) if last_sign <= asked => return Poll::Ready(()),
                _ if last_sign.elapsed() < self.policy.interval => {
                    self.asked = None;
                    last_sign + self.policy.interval
                }
                _ => {
                    let now = Instant::now();
                    self.asked = Some(now);
                    // Refused only while the previous ping is unanswered, in which case that one counts.
                    let _previous = self.ping_pong.send_ping(Ping::opaque());
                    now + self.policy.timeout
                }
            };
            self.timer.as_mut().reset(next.into());
        }
        // An answer is noted in `last_sign`; taking it allows the next ping.
        let _pong = self.ping_pong.poll_pong(cx);
        Poll::Pending
    }
}

/// Finds clients that leave what is for them lying. grpc-go's server has the same from the TCP user timeout.
pub(crate) struct Stall {
    timeout: Duration,
    /// Bytes that had been taken when the timer was set.
    taken_bytes: u64,
    /// Exists once something has waited.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    /// Gives clients up that take nothing for `timeout`.
    pub(crate) fn new(timeout: Duration) -> Stall {
        Stall { timeout, taken_bytes: 0, timer: None }
    }

    /// Ready when the client is to be given up. `stuck_at` is how many bytes it has taken while others wait for it.
    pub(crate) fn poll_dead(&mut self, cx: &mut Context<'_>, stuck_at: Option<u64>) -> Poll<()> {
        let Some(taken_bytes) = stuck_at else {
            self.timer = None;
            return Poll::Pending;
        };
        let has_moved = std::mem::replace(&mut self.taken_bytes, taken_bytes) != taken_bytes;
        let timeout = self.timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        if has_moved {
            timer.as_mut().reset(tokio::time::Instant::now() + timeout);
        }
        timer.as_mut().poll(cx)
    }
}
