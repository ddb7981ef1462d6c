//! A small database for tests: what etcd 3.7.1 has after `put foo bar`, `put foo baz`, `del foo`, `put a b`.

use backend::{Bucket, META_FINISHED_COMPACT, META_SCHEDULED_COMPACT, META_STORAGE_VERSION};
use bolt::{Batch, Db, Options, Root};
use bytes::Bytes;
use prost::Message;
use proto::mvccpb::KeyValue;
use std::path::Path;
use std::sync::Arc;
use types::Revision;
use vfs::mem::MemDisk;
use vfs::{Disk, Job, drive};

/// How far a compaction at revision 3 has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compaction {
    None,
    Scheduled,
    Finished,
}

pub(crate) fn sample(compaction: Compaction) -> Root {
    let mut batch = Batch::new();
    let key_bucket = Bucket::Key.name().as_bytes();
    let mut put = |key: &'static str, value: &'static str, main: i64, create_revision: i64, version: i64| {
        let (key, value) = (key.into(), value.into());
        let record = KeyValue { key, value, create_revision, mod_revision: main, version, lease: 0 };
        batch.put(key_bucket, key_of(main), record.encode_to_vec().into());
    };
    if compaction != Compaction::Finished {
        put("foo", "bar", 2, 2, 1);
    }
    put("foo", "baz", 3, 2, 2);
    put("a", "b", 5, 5, 1);
    let tombstone = KeyValue { key: "foo".into(), ..KeyValue::default() };
    let key = Bytes::copy_from_slice(&Revision::new(4, 0).to_tombstone_key());
    batch.put(key_bucket, key, tombstone.encode_to_vec().into());

    let meta = Bucket::Meta.name().as_bytes();
    batch.put(meta, META_STORAGE_VERSION.into(), "3.7.0".into());
    if compaction != Compaction::None {
        batch.put(meta, META_SCHEDULED_COMPACT.into(), key_of(3));
    }
    if compaction == Compaction::Finished {
        batch.put(meta, META_FINISHED_COMPACT.into(), key_of(3));
    }
    [key_bucket, meta].into_iter().for_each(|name| batch.ensure_bucket(name));

    let disk: Arc<dyn Disk> = Arc::new(MemDisk::new());
    let writing = disk.clone();
    drive(
        &*disk,
        Job::new(|cx| async move {
            let ignore = &mut |_: &[u8], _: &[u8], _: &[u8]| {};
            let mut db = Db::open(&cx, &writing, Path::new("/db"), Options::default(), ignore).await.unwrap();
            db.commit(&cx, batch).await.unwrap()
        }),
    )
}

fn key_of(main: i64) -> Bytes {
    Bytes::copy_from_slice(&Revision::new(main, 0).to_key())
}
