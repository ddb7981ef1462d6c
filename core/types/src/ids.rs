//! Newtypes for numbers that must not be mixed up.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl $name {
            /// The number itself.
            pub const fn get(self) -> $inner {
                self.0
            }
        }
    };
}

number!(
    /// A term of consensus; 0 before the first.
    Term,
    u64
);
number!(
    /// A position in the replicated log; the first entry is 1, 0 is before it.
    LogIndex,
    u64
);
number!(
    /// The identity of a member in its cluster; 0 is nobody.
    MemberId,
    u64
);
number!(
    /// The identity of a cluster.
    ClusterId,
    u64
);
number!(
    /// The identity of one proposal or read-index round, unique over members and restarts.
    RequestId,
    u64
);
number!(
    /// The identity of a lease; 0 is none.
    LeaseId,
    i64
);

impl LogIndex {
    /// The index behind this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

macro_rules! display {
    ($name:ident, $format:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $format, self.0)
            }
        }
    };
}

// Identities are written in lower-case hex without leading zeros wherever etcd writes text.
display!(MemberId, "{:x}");
display!(ClusterId, "{:x}");
display!(RequestId, "{:x}");
display!(LeaseId, "{:x}");
display!(Term, "{}");
display!(LogIndex, "{}");

/// Makes request identities: 16 bits of the member, then a counter that starts at the milliseconds of the start.
///
/// Two runs of one member differ unless the clock went back by more than the requests in between, and two members
/// differ in the upper bits. Lease identities are drawn from the same counter.
/// Source: `docs/formats/raft-entries.md 5`.
#[derive(Debug)]
pub struct RequestIds {
    prefix: u64,
    suffix: u64,
}

impl RequestIds {
    const SUFFIX_BITS: u32 = 48;

    /// `now_ms` is the wall clock in milliseconds since 1970, given by the caller because core has no clock.
    pub fn new(member: MemberId, now_ms: u64) -> Self {
        let prefix = (member.0 & 0xffff) << Self::SUFFIX_BITS;
        let suffix = (now_ms & ((1 << 40) - 1)) << 8;
        Self { prefix, suffix }
    }

    /// The identities that a member's shell draws for clients: far ahead of those that the member draws itself.
    pub fn for_clients(member: MemberId, now_ms: u64) -> Self {
        // 2^20 apart; the member draws a handful.
        Self::new(member, now_ms.wrapping_add(1 << 12))
    }

    /// Returns an identity that was not returned before.
    pub fn next_id(&mut self) -> RequestId {
        self.suffix = self.suffix.wrapping_add(1);
        RequestId(self.prefix | (self.suffix & ((1 << Self::SUFFIX_BITS) - 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_carry_the_member_and_count_up() {
        let mut ids = RequestIds::new(MemberId(0x1234_5678), 0x01_0000_0001);
        assert_eq!(ids.next_id(), RequestId(0x5678_0100_0000_0101));
        assert_eq!(ids.next_id(), RequestId(0x5678_0100_0000_0102));
    }

    #[test]
    fn ids_print_without_leading_zeros() {
        assert_eq!(MemberId(0x0294_3212_f5e2_cf73).to_string(), "2943212f5e2cf73");
    }
}
