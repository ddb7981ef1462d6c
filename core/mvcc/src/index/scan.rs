//! Reading a range of the index in bounded steps (contract C9).

use super::{Found, Index, KeyRange};
use std::ops::ControlFlow;

/// A walk, in key order, over the keys of a range that were alive at one revision.
///
/// Keys created behind the walk's place meanwhile are above its revision, so it does not matter that it misses them. A
/// compaction above its revision makes it omit keys: the reader checks for that after each step (contract C4).
#[derive(Clone, Debug)]
pub struct Scan {
    range: KeyRange,
    at: i64,
    /// The last key looked at.
    last: Option<Box<[u8]>>,
    is_done: bool,
}

impl Scan {
    /// A walk over `range` at main revision `at`.
    pub fn new(range: KeyRange, at: i64) -> Self {
        Self { is_done: range.is_empty(), range, at, last: None }
    }

    /// Tells whether every key was looked at.
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    /// Looks at the next `keys_max` keys at most, dead ones included, and calls `visit` for each live one. A break ends
    /// the step; the next one goes on behind that key. Returns the number of keys looked at.
    ///
    /// `visit` runs under the index's lock: it must be short and must not call the index.
    pub fn step(
        &mut self,
        index: &Index,
        keys_max: usize,
        mut visit: impl FnMut(&[u8], Found) -> ControlFlow<()>,
    ) -> usize {
        let Some(bounds) = self.range.bounds(self.last.as_deref()).filter(|_| !self.is_done) else {
            self.is_done = true;
            return 0;
        };
        let tree = index.tree.read();
        let mut keys = tree.range::<[u8], _>(bounds);
        let (mut last, mut seen) = (None, 0);
        for (key, history) in keys.by_ref().take(keys_max) {
            last = Some(key);
            seen += 1;
            if history.get(self.at).is_some_and(|found| visit(key, found).is_break()) {
                break;
            }
        }
        self.is_done = keys.next().is_none();
        if !self.is_done && last.is_some() {
            self.last = last.cloned();
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Revision;

    #[test]
    fn a_scan_visits_each_live_key_once_whatever_the_step() {
        let index = Index::new();
        for number in 0..20_u8 {
            index.put(&[number], Revision::new(2 + i64::from(number), 0));
        }
        for keys_max in 1..=21 {
            let mut scan = Scan::new(KeyRange::all(), 11);
            let mut seen = Vec::new();
            let (mut steps, mut looked_at) = (0, 0);
            while !scan.is_done() {
                looked_at += scan.step(&index, keys_max, |key, _| {
                    seen.push(key[0]);
                    ControlFlow::Continue(())
                });
                steps += 1;
            }
            assert_eq!((seen, looked_at), ((0..10).collect::<Vec<_>>(), 20));
            assert_eq!(steps, 20_usize.div_ceil(keys_max));
        }
    }

    #[test]
    fn a_break_loses_no_key() {
        let index = Index::new();
        for number in 0..5_u8 {
            index.put(&[number], Revision::new(2, i64::from(number)));
        }
        let mut scan = Scan::new(KeyRange::all(), 2);
        let mut seen = Vec::new();
        while !scan.is_done() {
            scan.step(&index, 10, |key, _| {
                seen.push(key[0]);
                ControlFlow::Break(())
            });
        }
        assert_eq!(seen, [0, 1, 2, 3, 4]);
    }
}
