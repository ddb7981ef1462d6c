//! One immutable state of the stored records.

use crate::schema::Bucket;
use crate::segment::{Record, Segment};
use crate::{Error, Result};
use bytes::Bytes;
use std::sync::Arc;
use types::Revision;

/// A committed state of the file.
#[derive(Clone)]
pub struct FileState {
    /// Its pages, pinned.
    pub root: bolt::Root,
    /// Bytes of it that are in use: high-water mark less free pages.
    pub in_use_bytes: u64,
}

impl FileState {
    /// The newest committed state of `db`.
    pub fn of(db: &bolt::Db) -> Self {
        let stats = db.stats();
        let root = db.root();
        let in_use_bytes = root.size_bytes() - stats.free_pages * u64::from(stats.page_size);
        Self { root, in_use_bytes }
    }

    /// Bytes up to the high-water mark: what etcd calls the size of the database.
    pub fn size_bytes(&self) -> u64 {
        self.root.size_bytes()
    }
}

/// Buffer segments in order, then the pinned root of the file below them.
#[derive(Clone)]
pub struct Data {
    /// Frozen segments, oldest first, and the active one last.
    segments: Vec<Arc<Segment>>,
    file: FileState,
}

impl Data {
    /// The state of `file` with `segments` (oldest first) above it.
    pub fn new(file: FileState, segments: Vec<Arc<Segment>>) -> Self {
        Self { segments, file }
    }

    /// The committed state below the buffers.
    pub fn file(&self) -> &FileState {
        &self.file
    }

    /// Hands the encoded `mvccpb.KeyValue` of the put at `revision` to `use_value`.
    ///
    /// # Errors
    /// [`Error::MissingRevision`] if there is none: the caller took the revision from the index, so it must exist.
    pub fn with_value<R>(&self, revision: Revision, use_value: impl FnOnce(&[u8]) -> R) -> Result<R> {
        for segment in self.segments.iter().rev() {
            if let Some(value) = segment.get(revision) {
                return Ok(use_value(&value));
            }
        }
        let bucket = self.key_bucket()?;
        match bucket.get(&revision.to_key())? {
            Some(value) => Ok(use_value(&value)),
            None => Err(Error::MissingRevision(revision)),
        }
    }

    /// A copy of the encoded `mvccpb.KeyValue` of the put at `revision`; errors as [`Data::with_value`].
    pub fn value(&self, revision: Revision) -> Result<Bytes> {
        for segment in self.segments.iter().rev() {
            if let Some(value) = segment.get(revision) {
                return Ok(value);
            }
        }
        self.with_value(revision, Bytes::copy_from_slice)
    }

    /// Visits up to `limit` records (deletions too) from `from` on, in order, as (key, value) of bucket `key`.
    /// Returns where to go on, or `None` at the end. A bounded step of a long read (contract C9).
    ///
    /// # Errors
    /// Those of the file.
    pub fn scan(
        &self,
        from: Revision,
        limit: usize,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<Option<Revision>> {
        let mut seen = 0;
        let in_segments = self.segments.iter().find_map(|segment| segment.first_revision());
        if in_segments.is_none_or(|first| from < first) {
            let bucket = self.key_bucket()?;
            let mut cursor = bucket.cursor(&from.to_key());
            while let Some((key, value)) = cursor.next()? {
                let Some((revision, _)) = Revision::from_key(key) else { continue };
                if in_segments.is_some_and(|first| revision >= first) {
                    break;
                }
                if seen == limit {
                    return Ok(Some(revision));
                }
                visit(key, value);
                seen += 1;
            }
        }
        let mut next = from;
        for segment in &self.segments {
            while let Some(record) = segment.at_or_after(next) {
                if seen == limit {
                    return Ok(Some(record.revision));
                }
                let Record { revision, value, .. } = &record;
                record.with_key(|key| visit(key, value));
                next = Revision::new(revision.main, revision.sub + 1);
                seen += 1;
            }
        }
        Ok(None)
    }

    fn key_bucket(&self) -> Result<bolt::Bucket<'_>> {
        let name = Bucket::Key.name();
        self.file.root.bucket(name.as_bytes()).ok_or(Error::MissingBucket(name))
    }
}
