//! Revisions and their keys in the `key` bucket.

use std::fmt;

/// Bytes of a revision key: main (8, big endian), `_`, sub (8, big endian).
pub const REVISION_KEY_LEN: usize = 17;
/// Bytes of the key of a deletion: a revision key and `t`.
pub const TOMBSTONE_KEY_LEN: usize = 18;

/// The place of one change: the store's revision, and the position inside its transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision {
    /// Revision of the store; the first write has 2.
    pub main: i64,
    /// Position among the changes of one transaction, from 0.
    pub sub: i64,
}

impl Revision {
    /// No store comes this far: a higher number in a file is damage. So every revision has a successor.
    pub const MAIN_MAX: i64 = i64::MAX / 2;

    /// The revision (`main`, `sub`).
    pub const fn new(main: i64, sub: i64) -> Self {
        Self { main, sub }
    }

    /// The key of this revision in the `key` bucket.
    pub fn to_key(self) -> [u8; REVISION_KEY_LEN] {
        let mut key = [0; REVISION_KEY_LEN];
        key[..8].copy_from_slice(&self.main.to_be_bytes());
        key[8] = b'_';
        key[9..].copy_from_slice(&self.sub.to_be_bytes());
        key
    }

    /// The key of a deletion at this revision.
    pub fn to_tombstone_key(self) -> [u8; TOMBSTONE_KEY_LEN] {
        let mut key = [b't'; TOMBSTONE_KEY_LEN];
        key[..REVISION_KEY_LEN].copy_from_slice(&self.to_key());
        key
    }

    /// Reads a key of the `key` bucket: the revision and whether it is a deletion. `None` for any other bytes, and above
    /// [`Revision::MAIN_MAX`].
    pub fn from_key(key: &[u8]) -> Option<(Self, bool)> {
        let is_tombstone = match key.len() {
            REVISION_KEY_LEN => false,
            TOMBSTONE_KEY_LEN if key[REVISION_KEY_LEN] == b't' => true,
            _ => return None,
        };
        let main = i64::from_be_bytes(key[..8].try_into().ok()?);
        let sub = i64::from_be_bytes(key[9..17].try_into().ok()?);
        let is_good = key[8] == b'_' && (0..=Self::MAIN_MAX).contains(&main) && sub >= 0;
        is_good.then_some((Self { main, sub }, is_tombstone))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.main, self.sub)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip_and_bad_ones_are_refused() {
        let rev = Revision::new(0x0102, 3);
        assert_eq!(&rev.to_key(), b"\0\0\0\0\0\0\x01\x02_\0\0\0\0\0\0\0\x03");
        assert_eq!(Revision::from_key(&rev.to_key()), Some((rev, false)));
        assert_eq!(Revision::from_key(&rev.to_tombstone_key()), Some((rev, true)));
        assert_eq!(Revision::from_key(&rev.to_key()[..16]), None);
        let mut bad = rev.to_tombstone_key();
        bad[17] = b'x';
        assert_eq!(Revision::from_key(&bad), None);
        bad[0] = 0x80;
        assert_eq!(Revision::from_key(&bad[..17]), None);
        let last = Revision::new(Revision::MAIN_MAX, i64::MAX);
        assert_eq!(Revision::from_key(&last.to_key()), Some((last, false)));
        assert_eq!(Revision::from_key(&Revision::new(Revision::MAIN_MAX + 1, 0).to_key()), None);
    }
}
