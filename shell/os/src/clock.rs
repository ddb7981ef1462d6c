//! What time it is, as numbers.

use rustix::time::{ClockId, Timespec, clock_gettime};

const NS_PER_S: u64 = 1_000_000_000;

/// Nanoseconds of the monotonic clock, which counts from the start of the machine and never goes back.
pub fn monotonic_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::Monotonic))
}

/// Nanoseconds since 1970 by the wall clock, which can jump; 0 before that.
pub fn wall_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::Realtime))
}

/// Milliseconds since 1970 by the wall clock, which can jump; 0 before that.
pub fn wall_ms() -> u64 {
    wall_ns() / 1_000_000
}

/// Nanoseconds of processor time that all threads of this process have used.
pub fn process_cpu_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::ProcessCPUTime))
}

/// Negative times are 0; the range ends in the year 2554.
fn nanoseconds(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(NS_PER_S).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_move_forward_and_the_wall_clock_is_this_century() {
        let (first, cpu) = (monotonic_ns(), process_cpu_ns());
        while process_cpu_ns() == cpu {}
        assert!(monotonic_ns() > first);
        assert!(wall_ms() > 1_700_000_000_000);
    }
}
