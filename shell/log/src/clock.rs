//! The time in a line.

use std::fmt::Write as _;

use time::{OffsetDateTime, UtcOffset};

/// Where the time of a line comes from.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    offset: UtcOffset,
    fixed: Option<OffsetDateTime>,
}

impl Clock {
    /// The clock of the machine, in local time as its zone stands now. UTC when other threads run already, because the
    /// zone can then not be read safely.
    pub fn local() -> Self {
        Self { offset: UtcOffset::current_local_offset().unwrap_or(UtcOffset::UTC), fixed: None }
    }

    /// A clock that stands still. For tests.
    pub fn fixed(now: OffsetDateTime) -> Self {
        Self { offset: now.offset(), fixed: Some(now) }
    }

    fn now(self) -> OffsetDateTime {
        self.fixed.unwrap_or_else(OffsetDateTime::now_utc).to_offset(self.offset)
    }

    /// Appends `2026-11-22T10:06:05.840105Z`, or with `+0100` for `Z` away from UTC.
    pub(crate) fn push_timestamp(self, out: &mut String) {
        let now = self.now();
        // Writing to a string cannot fail.
        let _ = write!(out, "{:04}-{:02}-{:02}T", now.year(), u8::from(now.month()), now.day());
        push_time_of_day(out, now);
        if self.offset.is_utc() {
            out.push('Z');
            return;
        }
        let minutes = i32::from(self.offset.whole_minutes());
        let sign = if minutes < 0 { '-' } else { '+' };
        let _ = write!(out, "{sign}{:02}{:02}", minutes.abs() / 60, minutes.abs() % 60);
    }

    /// Appends `2019-12-12 12:56:57.536110`.
    pub(crate) fn push_date_and_time(self, out: &mut String) {
        let now = self.now();
        let _ = write!(out, "{:04}-{:02}-{:02} ", now.year(), u8::from(now.month()), now.day());
        push_time_of_day(out, now);
    }

    /// Appends `2019/12/12 12:56:57`.
    pub(crate) fn push_slashed(self, out: &mut String) {
        let now = self.now();
        let _ = write!(out, "{:04}/{:02}/{:02} ", now.year(), u8::from(now.month()), now.day());
        let _ = write!(out, "{:02}:{:02}:{:02}", now.hour(), now.minute(), now.second());
    }
}

fn push_time_of_day(out: &mut String, now: OffsetDateTime) {
    let _ = write!(out, "{:02}:{:02}:{:02}.{:06}", now.hour(), now.minute(), now.second(), now.microsecond());
}
