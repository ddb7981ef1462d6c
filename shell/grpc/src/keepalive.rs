//! Finds clients that are gone without a word: pings after silence, and closes when nothing comes back.

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

    /// Ready when the client is to be given up. `last_read` is when it last sent anything, which counts as an answer.
    pub(crate) fn poll_dead(&mut self, cx: &mut Context<'_>, last_read: Instant) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let next = match self.asked {
                Some(asked) if last_read <= asked => return Poll::Ready(()),
                _ if last_read.elapsed() < self.policy.interval => {
                    self.asked = None;
                    last_read + self.policy.interval
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
        // An answer is noted in `last_read`; taking it allows the next ping.
        let _pong = self.ping_pong.poll_pong(cx);
        Poll::Pending
    }
}
