//! Counts the HTTP/2 frames that cost us work and the client nothing (contract C11).
//!
//! The meter sees the headers of the frames that pass by, in both directions. Resets, settings, empty data and the like
//! draw on a budget that refills with time: an honest burst passes, a flood does not. Resets that we send count too:
//! a client can provoke them. Pings follow the rule of grpc-go, whose clients know the answer `too_many_pings`.

use std::time::{Duration, Instant};

use crate::activity::Activity;
use crate::scanner::{FrameHeader, Scanner, kind};

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

/// Watches the frames of one connection, after the preface.
#[derive(Debug)]
pub(crate) struct Meter {
    policy: PingPolicy,
    incoming: Scanner,
    outgoing: Scanner,
    /// Highest stream the client opened, for GOAWAY.
    stream_id_max: u32,
    /// Frames read that may have made output, since [`Meter::output_left`].
    unanswered: usize,
    budget: Budget,
    last_ping: Option<Instant>,
    ping_strikes: u32,
    violation: Option<Violation>,
}

impl Meter {
    pub(crate) fn new(policy: PingPolicy, now: Instant) -> Meter {
        Meter {
            policy,
            incoming: Scanner::default(),
            outgoing: Scanner::default(),
            stream_id_max: 0,
            unanswered: 0,
            budget: Budget { frames: FLOOD_BURST, refilled: now },
            last_ping: None,
            ping_strikes: 0,
            violation: None,
        }
    }

    /// Looks at the next `bytes` from the client.
    pub(crate) fn observe_read(&mut self, mut bytes: &[u8], now: Instant, activity: &Activity) {
        while let Some(frame) = self.incoming.next_in(&mut bytes) {
            self.read(frame, now, activity);
        }
    }

    /// Looks at the next `bytes` that went to the client.
    pub(crate) fn observe_written(&mut self, mut bytes: &[u8], now: Instant, activity: &Activity) {
        while let Some(frame) = self.outgoing.next_in(&mut bytes) {
            match frame.kind {
                kind::HEADERS | kind::DATA => activity.sent.set(true),
                kind::RST_STREAM => self.charge(now),
                _ => {}
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

    /// Whether so much was read that what it caused has to be written before more is read.
    pub(crate) fn is_read_enough(&self) -> bool {
        self.unanswered >= UNANSWERED_MAX
    }

    /// Everything that the frames read so far have caused was written.
    pub(crate) fn output_left(&mut self) {
        self.unanswered = 0;
    }

    fn read(&mut self, frame: FrameHeader, now: Instant, activity: &Activity) {
        match frame.kind {
            kind::HEADERS => {
                self.stream_id_max = self.stream_id_max.max(frame.stream_id);
                self.unanswered += 1;
            }
            // Data of a stream that is closed is answered with a reset.
            kind::DATA if frame.payload_bytes > 0 || frame.flags & FLAG_END_STREAM != 0 => {
                self.unanswered += 1;
            }
            kind::WINDOW_UPDATE => {}
            kind::SETTINGS | kind::PING if frame.flags & FLAG_ACK != 0 => {}
            kind::PING => self.ping(now, activity),
            _ => self.charge(now),
        }
    }

    fn charge(&mut self, now: Instant) {
        if !self.budget.take(now) {
            self.violation.get_or_insert(Violation::Flood);
        }
    }

    /// grpc-go: a ping that comes too early is a strike, the third ends the connection; headers or data that were sent
    /// forgive.
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

const FLAG_END_STREAM: u8 = 1;
const FLAG_ACK: u8 = 1;
/// Frames read before what they caused is written. What h2 keeps for each until then is up to half a kilobyte.
const UNANSWERED_MAX: usize = 4096;
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
    use crate::activity::OpenCall;
    use crate::connection::Limits;
    use std::rc::Rc;
    use std::sync::Arc;

    fn frame(kind: u8, flags: u8, stream_id: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream_id.to_be_bytes(), payload].concat()
    }

    fn meter(now: Instant) -> Meter {
        Meter::new(PingPolicy { interval_min: Duration::from_secs(5) }, now)
    }

    fn activity() -> Rc<Activity> {
        Activity::new(&Limits::default(), Arc::default())
    }

    #[test]
    fn burst_of_resets_passes_and_a_flood_does_not() {
        let start = Instant::now();
        let reset = frame(kind::RST_STREAM, 0, 1, &[0; 4]);
        // From the client, or provoked by it.
        for observe in [Meter::observe_read, Meter::observe_written] {
            let (mut meter, activity) = (meter(start), activity());
            observe(&mut meter, &reset.repeat(FLOOD_BURST as usize), start, &activity);
            assert_eq!(meter.violation(), None);
            let later = start + Duration::from_secs(3);
            observe(&mut meter, &reset.repeat(3 * FLOOD_REFILL_PER_SECOND as usize), later, &activity);
            assert_eq!(meter.violation(), None);
            observe(&mut meter, &reset, later, &activity);
            assert_eq!(meter.violation(), Some(Violation::Flood));
        }
    }

    #[test]
    fn pings_follow_the_rule_of_grpc_go() {
        let start = Instant::now();
        let ping = frame(kind::PING, 0, 0, &[0; 8]);
        let data = frame(kind::DATA, 0, 1, &[0; 100]);
        let violation = |calls: usize, gap: Duration, between: &[u8]| {
            let (mut meter, activity) = (meter(start), activity());
            let _calls: Vec<_> = (0..calls).map(|_| OpenCall::new(activity.clone())).collect();
            for n in 0..5 {
                meter.observe_written(between, start + gap * n, &activity);
                meter.observe_read(&ping, start + gap * n, &activity);
            }
            meter.violation()
        };
        assert_eq!(violation(1, Duration::from_secs(5), &[]), None);
        assert_eq!(violation(1, Duration::from_secs(4), &[]), Some(Violation::TooManyPings));
        assert_eq!(violation(0, Duration::from_millis(1), &data), None);
        assert_eq!(violation(0, Duration::from_secs(60), &[]), Some(Violation::TooManyPings));
        // What is no part of an answer forgives nothing.
        assert_eq!(violation(0, Duration::from_secs(60), &ping), Some(Violation::TooManyPings));
    }

    #[test]
    fn acknowledgements_are_free() {
        let now = Instant::now();
        let mut meter = meter(now);
        let acks = [frame(kind::PING, 1, 0, &[0; 8]), frame(kind::SETTINGS, 1, 0, &[])].concat();
        meter.observe_read(&acks.repeat(50_000), now, &activity());
        assert_eq!(meter.violation(), None);
    }

    #[test]
    fn frames_that_make_no_output_do_not_hold_up_reading() {
        let now = Instant::now();
        let (mut meter, activity) = (meter(now), activity());
        let updates = frame(kind::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]).repeat(2 * UNANSWERED_MAX);
        meter.observe_read(&updates, now, &activity);
        assert!(!meter.is_read_enough());
        meter.observe_read(&frame(kind::DATA, 0, 1, b"x").repeat(UNANSWERED_MAX), now, &activity);
        assert!(meter.is_read_enough());
        meter.output_left();
        assert!(!meter.is_read_enough());
    }
}
