//! Counts the HTTP/2 frames that cost us work and the client nothing (contract C11).
//!
//! The meter reads the nine-byte headers of incoming frames as they pass. Resets, settings, empty data and the like
//! draw on a budget that refills with time: an honest burst passes, a flood does not. Pings follow the rule of grpc-go,
//! whose clients know the answer `too_many_pings`.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// What connection, calls and meter tell each other.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// Calls in flight.
    pub(crate) calls: Cell<usize>,
    /// Set when headers or data of a call were sent; a ping after that is never a strike.
    pub(crate) sent: Cell<bool>,
    /// Bytes of requests that are not complete.
    pub(crate) partial_bytes: Cell<usize>,
}

/// Why a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// More pings than [`PingPolicy`] allows.
    TooManyPings,
    /// The budget of [`FLOOD_BURST`] and [`FLOOD_REFILL_PER_SECOND`] is used up.
    Flood,
}

impl Violation {
    /// The debug data of the GOAWAY frame.
    pub(crate) fn debug_data(self) -> &'static [u8] {
        match self {
            Violation::TooManyPings => b"too_many_pings",
            Violation::Flood => b"too_many_control_frames",
        }
    }
}

/// How often a client may ping (`--grpc-keepalive-min-time`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct PingPolicy {
    /// Least time between pings while calls are open.
    pub(crate) interval_min: Duration,
}

/// Reads the headers of the frames a client sends, after the preface.
#[derive(Debug)]
pub(crate) struct Meter {
    policy: PingPolicy,
    header: [u8; FRAME_HEADER_BYTES],
    header_bytes: usize,
    payload_left: usize,
    /// Highest stream the client opened, for GOAWAY.
    stream_id_max: u32,
    budget: Budget,
    last_ping: Option<Instant>,
    ping_strikes: u32,
    violation: Option<Violation>,
}

impl Meter {
    pub(crate) fn new(policy: PingPolicy, now: Instant) -> Meter {
        Meter {
            policy,
            header: [0; FRAME_HEADER_BYTES],
            header_bytes: 0,
            payload_left: 0,
            stream_id_max: 0,
            budget: Budget { frames: FLOOD_BURST, refilled: now },
            last_ping: None,
            ping_strikes: 0,
            violation: None,
        }
    }

    /// Looks at the next `bytes` from the client.
    pub(crate) fn observe(&mut self, mut bytes: &[u8], now: Instant, activity: &Activity) {
        while !bytes.is_empty() {
            let skipped = self.payload_left.min(bytes.len());
            self.payload_left -= skipped;
            bytes = &bytes[skipped..];
            let taken = (FRAME_HEADER_BYTES - self.header_bytes).min(bytes.len());
            self.header[self.header_bytes..self.header_bytes + taken].copy_from_slice(&bytes[..taken]);
            self.header_bytes += taken;
            bytes = &bytes[taken..];
            if self.header_bytes == FRAME_HEADER_BYTES {
                self.header_bytes = 0;
                self.frame(now, activity);
            }
        }
    }

    /// What the client did, if it was too much; it stays.
    pub(crate) fn violation(&self) -> Option<Violation> {
        self.violation
    }

    /// Highest stream the client opened.
    pub(crate) fn stream_id_max(&self) -> u32 {
        self.stream_id_max
    }

    fn frame(&mut self, now: Instant, activity: &Activity) {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = self.header;
        let length = u32::from_be_bytes([0, l0, l1, l2]);
        let stream_id = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
        self.payload_left = length as usize;
        match kind {
            kind::DATA if length > 0 || flags & FLAG_END_STREAM != 0 => {}
            kind::HEADERS => self.stream_id_max = self.stream_id_max.max(stream_id),
            kind::WINDOW_UPDATE => {}
            kind::SETTINGS | kind::PING if flags & FLAG_ACK != 0 => {}
            kind::PING => self.ping(now, activity),
            _ => {
                if !self.budget.take(now) {
                    self.violation.get_or_insert(Violation::Flood);
                }
            }
        }
    }

    /// grpc-go: a ping that comes too early is a strike, the third ends the connection; answering a call forgives.
    fn ping(&mut self, now: Instant, activity: &Activity) {
        let last = self.last_ping.replace(now);
        if activity.sent.replace(false) {
            self.ping_strikes = 0;
            return;
        }
        let interval_min =
            if activity.calls.get() == 0 { PING_INTERVAL_MIN_IDLE } else { self.policy.interval_min };
        if last.is_some_and(|last| now.duration_since(last) < interval_min) {
            self.ping_strikes += 1;
        }
        if self.ping_strikes > PING_STRIKES_MAX {
            self.violation.get_or_insert(Violation::TooManyPings);
        }
    }
}

/// A number of frames that grows with time up to [`FLOOD_BURST`].
#[derive(Debug)]
struct Budget {
    frames: u64,
    refilled: Instant,
}

impl Budget {
    /// Takes one frame; false if there is none.
    fn take(&mut self, now: Instant) -> bool {
        if self.frames == 0 {
            let elapsed_ms = u64::try_from(now.duration_since(self.refilled).as_millis()).unwrap_or(u64::MAX);
            self.frames = (elapsed_ms.saturating_mul(FLOOD_REFILL_PER_SECOND) / 1000).min(FLOOD_BURST);
            self.refilled = now;
        }
        let some = self.frames > 0;
        self.frames = self.frames.saturating_sub(1);
        some
    }
}

/// Types of frames. Source: RFC 9113, section 6.
mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const WINDOW_UPDATE: u8 = 8;
}

const FRAME_HEADER_BYTES: usize = 9;
const FLAG_END_STREAM: u8 = 1;
const FLAG_ACK: u8 = 1;
/// Frames a connection may send at once: 20,000 open-and-cancel pass in etcd, so they must here.
const FLOOD_BURST: u64 = 32_768;
/// Frames a connection may send for ever.
const FLOOD_REFILL_PER_SECOND: u64 = 2_000;
/// As in grpc-go.
const PING_STRIKES_MAX: u32 = 2;
/// As in grpc-go: a client without calls has no reason to ping.
const PING_INTERVAL_MIN_IDLE: Duration = Duration::from_secs(2 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    const RST_STREAM: u8 = 3;

    fn frame(kind: u8, flags: u8, stream_id: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream_id.to_be_bytes(), payload].concat()
    }

    fn meter(now: Instant) -> Meter {
        Meter::new(PingPolicy { interval_min: Duration::from_secs(5) }, now)
    }

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let now = Instant::now();
        let bytes =
            [frame(kind::HEADERS, 4, 7, &[9; 20]), frame(kind::DATA, 1, 7, &[1; 300])].concat().repeat(3);
        for step in [1, 2, 8, 9, 10, 31, bytes.len()] {
            let mut meter = meter(now);
            bytes.chunks(step).for_each(|piece| meter.observe(piece, now, &Activity::default()));
            assert_eq!(
                (meter.stream_id_max(), meter.header_bytes, meter.payload_left),
                (7, 0, 0),
                "step {step}"
            );
            assert_eq!(meter.budget.frames, FLOOD_BURST);
        }
    }

    #[test]
    fn burst_of_resets_passes_and_a_flood_does_not() {
        let start = Instant::now();
        let mut meter = meter(start);
        let reset = frame(RST_STREAM, 0, 1, &[0; 4]);
        meter.observe(&reset.repeat(FLOOD_BURST as usize), start, &Activity::default());
        assert_eq!(meter.violation(), None);
        let later = start + Duration::from_secs(3);
        meter.observe(&reset.repeat(3 * FLOOD_REFILL_PER_SECOND as usize), later, &Activity::default());
        assert_eq!(meter.violation(), None);
        meter.observe(&reset, later, &Activity::default());
        assert_eq!(meter.violation(), Some(Violation::Flood));
    }

    #[test]
    fn pings_follow_the_rule_of_grpc_go() {
        let start = Instant::now();
        let ping = frame(kind::PING, 0, 0, &[0; 8]);
        let violation = |calls: usize, gap: Duration, answer_between: bool| {
            let mut meter = meter(start);
            let activity = Activity::default();
            activity.calls.set(calls);
            for n in 0..5 {
                activity.sent.set(answer_between);
                meter.observe(&ping, start + gap * n, &activity);
            }
            meter.violation()
        };
        assert_eq!(violation(1, Duration::from_secs(5), false), None);
        assert_eq!(violation(1, Duration::from_secs(4), false), Some(Violation::TooManyPings));
        assert_eq!(violation(1, Duration::from_millis(1), true), None);
        assert_eq!(violation(0, Duration::from_secs(60), false), Some(Violation::TooManyPings));
    }

    #[test]
    fn acknowledgements_are_free() {
        let now = Instant::now();
        let mut meter = meter(now);
        let acks = [frame(kind::PING, 1, 0, &[0; 8]), frame(kind::SETTINGS, 1, 0, &[])].concat();
        meter.observe(&acks.repeat(50_000), now, &Activity::default());
        assert_eq!(meter.violation(), None);
    }
}
