//! Ranges of keys as requests name them.

use bytes::Bytes;
use std::ops::Bound;

/// A set of keys that are neighbours in byte order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRange {
    /// This key only.
    Single(Bytes),
    /// Every key that is at least `start` and less than `end`; none if `end` is not above `start`.
    Span {
        /// First key inside.
        start: Bytes,
        /// First key outside.
        end: Bytes,
    },
    /// Every key that is at least this.
    From(Bytes),
}

/// Two bounds in byte order, in the form that `BTreeMap::range` takes.
pub(super) type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

impl KeyRange {
    /// The range of a request: an empty `range_end` means the one key, a single zero byte means every key from `key`
    /// on, anything else is the first key outside.
    ///
    /// Source: `docs/formats/grpc.md 5`.
    pub fn new(key: &Bytes, range_end: &Bytes) -> Self {
        let start = key.clone();
        match range_end.as_ref() {
            [] => Self::Single(start),
            [0] => Self::From(start),
            _ => Self::Span { start, end: range_end.clone() },
        }
    }

    /// Every key, the empty one included.
    pub fn all() -> Self {
        Self::From(Bytes::new())
    }

    /// The first key inside, if there is any.
    pub fn start(&self) -> &[u8] {
        match self {
            Self::Single(start) | Self::Span { start, .. } | Self::From(start) => start,
        }
    }

    /// Tells whether no key can be inside.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Span { start, end } if end <= start)
    }

    /// Tells whether `key` is inside.
    pub fn contains(&self, key: &[u8]) -> bool {
        match self {
            Self::Single(only) => key == only,
            Self::Span { start, end } => start <= key && key < end,
            Self::From(start) => start <= key,
        }
    }

    /// The bounds of the range, or of the part of it that is above `after`; `None` if that is empty.
    pub(super) fn bounds<'a>(&'a self, after: Option<&'a [u8]>) -> Option<Bounds<'a>> {
        if self.is_empty() {
            return None;
        }
        let lower = after.map_or(Bound::Included(self.start()), Bound::Excluded);
        match self {
            Self::Single(_) if after.is_some() => None,
            Self::Single(key) => Some((lower, Bound::Included(key))),
            Self::Span { end, .. } if after.is_some_and(|after| after >= end) => None,
            Self::Span { end, .. } => Some((lower, Bound::Excluded(end))),
            Self::From(_) => Some((lower, Bound::Unbounded)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(key: &'static str, range_end: &'static str) -> KeyRange {
        KeyRange::new(&Bytes::from(key), &Bytes::from(range_end))
    }

    #[test]
    fn range_end_selects_the_form() {
        assert_eq!(range("a", ""), KeyRange::Single("a".into()));
        assert_eq!(range("a", "\0"), KeyRange::From("a".into()));
        assert_eq!(range("a", "b"), KeyRange::Span { start: "a".into(), end: "b".into() });
        assert_eq!(range("a", "\0\0"), KeyRange::Span { start: "a".into(), end: "\0\0".into() });
    }

    #[test]
    fn an_end_that_is_not_above_the_start_holds_nothing() {
        for end in ["a", "A", "\0\0"] {
            let range = range("a", end);
            assert!(range.is_empty() && !range.contains(b"a") && range.bounds(None).is_none(), "{end:?}");
        }
        assert!(!range("a", "a\0").is_empty());
    }

    #[test]
    fn containment_follows_byte_order() {
        assert!(range("a", "c").contains(b"a") && range("a", "c").contains(b"b\xff"));
        assert!(!range("a", "c").contains(b"c") && !range("a", "c").contains(b""));
        assert!(range("a", "").contains(b"a") && !range("a", "").contains(b"a\0"));
        assert!(range("a", "\0").contains(b"\xff") && !range("a", "\0").contains(b"A"));
        assert!(KeyRange::all().contains(b""));
    }
}
