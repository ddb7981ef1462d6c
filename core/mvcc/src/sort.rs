//! Sorting a long list in bounded steps (contract C9): short runs first, then one merge of all of them.

use crate::index::Found;
use bytes::Bytes;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

/// What pairs are ordered by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    Number(i64),
    Value(Bytes),
}

/// Which end comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Ascending,
    Descending,
}

/// A sort under way. Pairs of equal rank keep their order in both directions, as in Go for lists of up to twelve; beyond,
/// Go promises nothing.
pub(crate) struct Sort {
    direction: Direction,
    runs: Vec<std::vec::IntoIter<Ranked>>,
    /// The next pair of each run that is not at its end.
    heads: BinaryHeap<Head>,
    taken: usize,
}

struct Ranked {
    rank: Rank,
    position: usize,
    pair: (Bytes, Found),
}

struct Head {
    direction: Direction,
    run: usize,
    next: Ranked,
}

impl Sort {
    pub fn new(direction: Direction) -> Self {
        Self { direction, runs: Vec::new(), heads: BinaryHeap::new(), taken: 0 }
    }

    /// Takes the pairs that follow, of one step.
    pub fn take(&mut self, ranked: impl IntoIterator<Item = (Rank, (Bytes, Found))>) {
        let mut run: Vec<Ranked> = Vec::new();
        for (rank, pair) in ranked {
            run.push(Ranked { rank, position: self.taken, pair });
            self.taken += 1;
        }
        let direction = self.direction;
        run.sort_unstable_by(|a, b| a.order(b, direction));
        let mut run = run.into_iter();
        self.heads.extend(run.next().map(|next| Head { direction, run: self.runs.len(), next }));
        self.runs.push(run);
    }

    /// The next pair in order; `None` at the end. Only once everything is taken.
    pub fn next(&mut self) -> Option<(Bytes, Found)> {
        let mut head = self.heads.peek_mut()?;
        let ranked = match self.runs[head.run].next() {
            Some(next) => std::mem::replace(&mut head.next, next),
            None => PeekMut::pop(head).next,
        };
        Some(ranked.pair)
    }
}

impl Ranked {
    fn order(&self, other: &Self, direction: Direction) -> Ordering {
        let ascending = self.rank.cmp(&other.rank);
        let ordered = match direction {
            Direction::Ascending => ascending,
            Direction::Descending => ascending.reverse(),
        };
        ordered.then(self.position.cmp(&other.position))
    }
}

/// The greatest head is the one that comes first.
impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        self.next.order(&other.next, self.direction).reverse()
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

#[cfg(test)]
mod tests {
    use super::*;
    use stdx::prng::Prng;
    use types::Revision;

    #[test]
    fn runs_of_any_length_merge_into_a_stable_order() {
        let mut rng = Prng::new(1);
        for round in 0..200 {
            let pairs: Vec<_> = (0..rng.below(60))
                .map(|number| {
                    let revision = Revision::new(number.cast_signed(), 0);
                    let found = Found { modified: revision, created: revision, version: 1 };
                    (Rank::Number(rng.below(8).cast_signed()), (Bytes::from(format!("{number:02}")), found))
                })
                .collect();
            for direction in [Direction::Ascending, Direction::Descending] {
                let mut expected = pairs.clone();
                match direction {
                    Direction::Ascending => expected.sort_by(|a, b| a.0.cmp(&b.0)),
                    Direction::Descending => expected.sort_by(|a, b| b.0.cmp(&a.0)),
                }
                let mut sort = Sort::new(direction);
                pairs.chunks(1 + round % 20).for_each(|run| sort.take(run.to_vec()));
                for (_, pair) in expected {
                    assert_eq!(sort.next(), Some(pair));
                }
                assert_eq!(sort.next(), None);
            }
        }
    }
}
