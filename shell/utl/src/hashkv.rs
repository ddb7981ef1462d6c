//! `hashkv`: the hash of the keys of a file, as a member started on it would answer.

use crate::cli::{Arguments, Command, Failure, Flag, Invocation, print};
use crate::database::open;
use crate::print::{Field, Format, record};
use backend::{Bucket, META_FINISHED_COMPACT, META_SCHEDULED_COMPACT};
use bolt::Root;
use mvcc::{HashKv, Index, Record, RecordHead, Restorer};
use std::path::Path;
use types::Revision;

pub(crate) const COMMAND: Command = Command {
    name: "hashkv",
    usage: "<filename>",
    about: "Shows the hash of the keys in a database file",
    flags: &[Flag::int("rev", "hash up to this revision (default: the latest)")],
    arguments: Arguments::Exactly(1),
    run: Some(run),
    ..Command::EMPTY
};

fn run(invocation: &Invocation) -> Result<(), Failure> {
    let format = Format::of(&invocation.flags)?;
    let path = invocation.text(0).unwrap_or_default();
    let root = open(Path::new(&*path), invocation.flags.duration("timeout"))?;
    let hash = hash(&root, invocation.flags.int("rev"))?;
    let fields = [
        Field::number("hash", "Hash", "hash", i64::from(hash.hash)),
        Field::number("hashRevision", "Hash revision", "hash revision", hash.revision),
        Field::number("compactRevision", "Compact revision", "compact revision", hash.compact_revision),
    ];
    print(record(&fields, format)?);
    Ok(())
}

struct Hash {
    hash: u32,
    revision: i64,
    /// -1 if never compacted.
    compact_revision: i64,
}

const NEVER: i64 = -1;
/// The revision of a store without records.
const FIRST_REVISION: i64 = 1;

/// The hash at `requested`; 0 is the newest revision.
fn hash(root: &Root, requested: i64) -> Result<Hash, Failure> {
    // A member finishes on its start what was scheduled.
    let finished = compaction(root, META_FINISHED_COMPACT)?;
    let compact_revision = compaction(root, META_SCHEDULED_COMPACT)?.max(finished);
    let (index, newest) = index(root)?;
    let current = newest.max(compact_revision).max(FIRST_REVISION);
    if requested > 0 && requested < compact_revision {
        return Err(Failure::error("mvcc: required revision has been compacted"));
    }
    if requested > current {
        return Err(Failure::error("mvcc: required revision is a future revision"));
    }
    let revision = if requested == 0 { current } else { requested };
    let mut hasher = HashKv::new(revision, compact_revision, index.hash_keep(revision, compact_revision));
    each_record(root, |key, value| hasher.feed(key, value).map_err(Failure::error))?;
    Ok(Hash { hash: hasher.finish(), revision, compact_revision })
}

/// The main revision of a compaction that the file remembers.
fn compaction(root: &Root, name: &[u8]) -> Result<i64, Failure> {
    let Some(meta) = root.bucket(Bucket::Meta.name().as_bytes()) else { return Ok(NEVER) };
    let Some(value) = meta.get(name).map_err(Failure::error)? else { return Ok(NEVER) };
    let bad = || Failure::error(format!("{} is not a revision", String::from_utf8_lossy(name)));
    Revision::from_key(&value).map(|(revision, _)| revision.main).ok_or_else(bad)
}

/// The index of all records, and the newest main revision (0 without any).
fn index(root: &Root) -> Result<(Index, i64), Failure> {
    let mut restorer = Restorer::new();
    let mut newest = 0;
    each_record(root, |key, value| {
        let malformed = || Failure::error(format!("record {} is malformed", stdx::hex::encode(key)));
        let (revision, is_tombstone) = Revision::from_key(key).ok_or_else(malformed)?;
        let RecordHead { key, create_revision, version, .. } =
            RecordHead::parse(value).ok_or_else(malformed)?;
        newest = revision.main;
        let record = Record { revision, is_tombstone, key, create_revision, version };
        restorer.record(&record).map_err(Failure::error)
    })?;
    Ok((restorer.finish(), newest))
}

/// Hands every record of the bucket `key` to `take`, in order.
fn each_record(
    root: &Root,
    mut take: impl FnMut(&[u8], &[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let Some(bucket) = root.bucket(Bucket::Key.name().as_bytes()) else { return Ok(()) };
    let mut cursor = bucket.cursor(b"");
    while let Some((key, value)) = cursor.next().map_err(Failure::error)? {
        take(key, value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Compaction, sample};

    fn check(compaction: Compaction, requested: i64, expected: Result<(u32, i64, i64), &str>) {
        let found = hash(&sample(compaction), requested);
        let found = found.map(|hash| (hash.hash, hash.revision, hash.compact_revision));
        let expected =
            expected.map_err(|message| Failure::error(format!("mvcc: required revision {message}")));
        assert_eq!(found, expected, "{compaction:?}, revision {requested}");
    }

    #[test]
    fn the_hashes_are_those_of_the_reference() {
        check(Compaction::None, 0, Ok((926_277_997, 5, -1)));
        check(Compaction::None, 2, Ok((3_305_255_506, 2, -1)));
        check(Compaction::None, 3, Ok((2_020_292_994, 3, -1)));
        check(Compaction::None, 4, Ok((3_153_096_970, 4, -1)));
        check(Compaction::None, 6, Err("is a future revision"));
    }

    #[test]
    fn a_compaction_counts_as_finished_once_it_is_scheduled() {
        for compaction in [Compaction::Scheduled, Compaction::Finished] {
            check(compaction, 0, Ok((4_188_313_933, 5, 3)));
            check(compaction, 3, Ok((536_172_655, 3, 3)));
            check(compaction, 4, Ok((588_758_777, 4, 3)));
            check(compaction, 2, Err("has been compacted"));
        }
    }
}
