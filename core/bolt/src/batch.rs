//! What a commit changes.

use crate::error::{Error, Result};
use crate::format::{MAX_KEY_LEN, MAX_VALUE_LEN};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Changes to be committed together. The last change of a key wins.
///
/// Keys may come in any order; ascending ones cost least. Keys and values are shared, not copied, until their pages
/// are built.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    buckets: BTreeMap<Bytes, BucketBatch>,
}

/// The changes of one bucket.
#[derive(Clone, Debug)]
pub(crate) struct BucketBatch {
    changes: Vec<Change>,
    /// Whether the keys of `changes` are strictly ascending.
    is_sorted: bool,
    /// Whether the bucket is created if it is missing.
    pub create: bool,
    /// How full a page is left when it is split, in percent.
    pub fill_percent: u32,
}

/// A new value of a key, or none.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub key: Bytes,
    pub value: Option<Bytes>,
}

impl Batch {
    /// How full pages are left when they are split unless [`Batch::set_fill_percent`] says otherwise.
    pub const FILL_PERCENT_DEFAULT: u32 = 50;

    /// Returns a batch without changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates the bucket `name` if it is missing. Changes of a bucket that is missing fail the commit otherwise.
    pub fn ensure_bucket(&mut self, name: &[u8]) {
        self.bucket(name).create = true;
    }

    /// Sets how full pages of `bucket` are left when this batch splits them, in percent, within 10 and 100.
    ///
    /// 90 suits keys that are appended, as etcd does for revisions; for other keys a page half empty takes the next
    /// ones without another split.
    pub fn set_fill_percent(&mut self, bucket: &[u8], percent: u32) {
        self.bucket(bucket).fill_percent = percent.clamp(10, 100);
    }

    /// Sets `key` to `value`: a key of 1 to [`MAX_KEY_LEN`] bytes, a value of at most [`MAX_VALUE_LEN`].
    pub fn put(&mut self, bucket: &[u8], key: Bytes, value: Bytes) {
        self.bucket(bucket).push(Change { key, value: Some(value) });
    }

    /// Removes `key`; nothing happens if it is missing.
    pub fn delete(&mut self, bucket: &[u8], key: Bytes) {
        self.bucket(bucket).push(Change { key, value: None });
    }

    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.buckets.values().all(|bucket| bucket.changes.is_empty() && !bucket.create)
    }

    /// The buckets with their changes in the order of keys, one for each key.
    pub(crate) fn into_sorted(mut self) -> BTreeMap<Bytes, BucketBatch> {
        for bucket in self.buckets.values_mut() {
            bucket.sort();
        }
        self.buckets
    }

    fn bucket(&mut self, name: &[u8]) -> &mut BucketBatch {
        if !self.buckets.contains_key(name) {
            self.buckets.insert(Bytes::copy_from_slice(name), BucketBatch::new());
        }
        self.buckets.get_mut(name).expect("inserted above if it was missing")
    }
}

impl BucketBatch {
    fn new() -> Self {
        Self {
            changes: Vec::new(),
            is_sorted: true,
            create: false,
            fill_percent: Batch::FILL_PERCENT_DEFAULT,
        }
    }

    /// The changes; sorted only after [`Batch::into_sorted`].
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Checks keys and values against the limits of the format.
    pub fn check_sizes(&self, name: &[u8]) -> Result<()> {
        let too_large = |change: &&Change| {
            let value_len = change.value.as_ref().map_or(0, Bytes::len);
            change.key.is_empty() || change.key.len() > MAX_KEY_LEN || value_len > MAX_VALUE_LEN
        };
        match self.changes.iter().find(too_large) {
            None => Ok(()),
            Some(change) => Err(Error::PairSize {
                bucket: String::from_utf8_lossy(name).into_owned(),
                key_len: change.key.len(),
                value_len: change.value.as_ref().map_or(0, Bytes::len),
            }),
        }
    }

    fn push(&mut self, change: Change) {
        if self.changes.last().is_some_and(|last| last.key >= change.key) {
            self.is_sorted = false;
        }
        self.changes.push(change);
    }

    fn sort(&mut self) {
        if self.is_sorted {
            return;
        }
        self.changes.sort_by(|a, b| a.key.cmp(&b.key));
        // The sort is stable, so the last change of a key is the last of its run: move it to the front, where it stays.
        self.changes.dedup_by(|later, kept| {
            let is_same = later.key == kept.key;
            if is_same {
                std::mem::swap(later, kept);
            }
            is_same
        });
        self.is_sorted = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_change_of_a_key_wins() {
        let mut batch = Batch::new();
        let mut put = |key: &'static str, value: &'static str| batch.put(b"b", key.into(), value.into());
        put("b", "1");
        put("a", "2");
        put("b", "3");
        put("a", "4");
        batch.delete(b"b", "b".into());
        let buckets = batch.into_sorted();
        let changes: Vec<_> =
            buckets[&b"b"[..]].changes().iter().map(|c| (&c.key[..], c.value.clone())).collect();
        assert_eq!(changes, [(&b"a"[..], Some(Bytes::from_static(b"4"))), (&b"b"[..], None)]);
    }

    #[test]
    fn a_fill_percentage_alone_is_no_change() {
        let mut batch = Batch::new();
        batch.set_fill_percent(b"b", 90);
        assert!(batch.is_empty());
        batch.ensure_bucket(b"b");
        assert!(!batch.is_empty());
    }
}
