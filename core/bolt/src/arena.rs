//! A place for values that stay where they are while more are added.

use std::cell::{Cell, OnceCell};

/// Grows without moving what it holds, so that references to earlier values stay good.
///
/// Chunk `n` has room for 2ⁿ values.
pub(crate) struct Arena<T> {
    chunks: [OnceCell<Box<[OnceCell<T>]>>; 32],
    count: Cell<usize>,
}

impl<T> Arena<T> {
    pub fn new() -> Self {
        Self { chunks: [const { OnceCell::new() }; 32], count: Cell::new(0) }
    }

    /// Keeps `value` and returns where it is.
    pub fn add(&self, value: T) -> &T {
        let position = self.count.get() + 1;
        self.count.set(position);
        let chunk = position.ilog2() as usize;
        let offset = position - (1 << chunk);
        let slots =
            self.chunks[chunk].get_or_init(|| (0..1usize << chunk).map(|_| OnceCell::new()).collect());
        slots[offset].get_or_init(|| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_in_place() {
        let arena = Arena::new();
        let kept: Vec<&usize> = (0..1000).map(|value| arena.add(value)).collect();
        assert!(kept.iter().enumerate().all(|(index, value)| index == **value));
    }
}
