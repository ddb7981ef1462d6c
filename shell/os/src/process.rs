//! What the process knows about itself: limits and usage, as the `process_*` metrics show them.

use crate::clock;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs;

/// Usage and limits at one moment. A figure that the system does not give is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time of all threads, in nanoseconds.
    pub cpu_ns: u64,
    /// Open file descriptors.
    pub fd_count: u64,
    /// Soft limit of open file descriptors; `u64::MAX`: none.
    pub fd_limit: u64,
    /// Memory in RAM, in bytes.
    pub resident_bytes: u64,
    /// Address space in use, in bytes.
    pub virtual_bytes: u64,
    /// Limit of the address space in bytes; `u64::MAX`: none.
    pub virtual_limit_bytes: u64,
    /// When the process started, in milliseconds since 1970.
    pub started_wall_ms: u64,
}

/// Reads usage and limits; a handful of system calls.
pub fn usage() -> Usage {
    let (virtual_bytes, resident_bytes) = memory().unwrap_or_default();
    Usage {
        cpu_ns: clock::process_cpu_ns(),
        fd_count: fd_count(),
        fd_limit: fd_limit(),
        resident_bytes,
        virtual_bytes,
        virtual_limit_bytes: getrlimit(Resource::As).current.unwrap_or(u64::MAX),
        started_wall_ms: started_wall_ms().unwrap_or(0),
    }
}

/// The soft limit of open file descriptors; `u64::MAX`: none.
pub fn fd_limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Raises the soft limit of open file descriptors to the hard one, as every Go program does; returns the limit now.
pub fn raise_fd_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    // If the system refuses, the old limit stays, and that is what is returned.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    fd_limit()
}

/// The open file descriptors; 0 if the system does not tell.
pub fn fd_count() -> u64 {
    // The directory being listed is one of them.
    fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count().saturating_sub(1) as u64)
}

/// Virtual and resident size in bytes.
fn memory() -> Option<(u64, u64)> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = text.split_ascii_whitespace().map(|field| field.parse::<u64>().ok());
    let page_size = rustix::param::page_size() as u64;
    Some((pages.next()?? * page_size, pages.next()?? * page_size))
}

fn started_wall_ms() -> Option<u64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the name in parentheses, which may hold anything; the start time is the 22nd.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: u64 = fields.split_ascii_whitespace().nth(19)?.parse().ok()?;
    let boot = fs::read_to_string("/proc/stat").ok()?;
    let boot_s: u64 = boot.lines().find_map(|line| line.strip_prefix("btime "))?.parse().ok()?;
    let since_boot_ms = ticks.checked_mul(1000)?.checked_div(rustix::param::clock_ticks_per_second())?;
    Some(boot_s * 1000 + since_boot_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_plausible() {
        let usage = usage();
        assert!(usage.cpu_ns > 0 && usage.fd_count >= 3 && usage.fd_limit >= usage.fd_count);
        assert!(usage.resident_bytes > 100_000 && usage.virtual_bytes > usage.resident_bytes);
        let age_ms = clock::wall_ms().abs_diff(usage.started_wall_ms);
        assert!(age_ms < 3_600_000, "started {age_ms} ms ago");
    }

    #[test]
    fn the_descriptor_limit_rises_to_the_hard_one() {
        let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        assert_eq!(raise_fd_limit(), hard);
    }
}
