//! `snapshot status`: what a database file holds.

use crate::cli::{Command, Failure, Invocation, print};
use crate::database::open;
use crate::format::size_text;
use crate::print::{Field, Format, record};
use backend::{Bucket, META_STORAGE_VERSION};
use bolt::Root;
use mvcc::{DbHash, RecordHead, Skips};
use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;
use types::{Revision, Version};

pub(crate) const COMMAND: Command = Command {
    name: "status",
    usage: "<filename>",
    about: "Shows what a snapshot file holds",
    run: Some(run),
    ..Command::EMPTY
};

fn run(invocation: &Invocation) -> Result<(), Failure> {
    status(invocation, invocation.flags.duration("timeout"))
}

/// Shows the file that the one argument names, in the format of the flag `--write-out`.
///
/// `lock_timeout` is how long to wait for a writer of the file; zero means for ever.
pub fn status(invocation: &Invocation, lock_timeout: Duration) -> Result<(), Failure> {
    if invocation.args.len() != 1 {
        return Err(Failure::arguments("snapshot status requires exactly one argument"));
    }
    let path = invocation.text(0).unwrap_or_default();
    let root = open(Path::new(&*path), lock_timeout)?;
    let status = Status::read(&root)?;
    print(record(&status.fields(), Format::of(&invocation.flags)?)?);
    Ok(())
}

struct Status {
    hash: u32,
    /// Main revision of the newest record; 0 without any.
    revision: i64,
    /// Keys that are not deleted.
    keys: usize,
    size_bytes: u64,
    /// Empty in files of releases before 3.6.
    version: String,
}

impl Status {
    fn read(root: &Root) -> Result<Self, Failure> {
        // Our checker stops at the first violation.
        root.check().map_err(|error| {
            Failure::error(format!("snapshot file integrity check failed. 1 errors found.\n{error}"))
        })?;
        let mut hash = DbHash::new(Skips::Nothing);
        let mut revision = 0;
        let mut live = HashSet::new();
        for name in root.bucket_names() {
            hash.bucket(name);
            let is_key_bucket = name == Bucket::Key.name().as_bytes();
            let mut cursor = root.bucket(name).expect("a name from the list of names").cursor(b"");
            while let Some((key, value)) = cursor.next().map_err(Failure::error)? {
                hash.feed(key, value);
                if is_key_bucket {
                    revision = count_record(key, value, &mut live)?;
                }
            }
        }
        let version = storage_version(root)?;
        Ok(Self { hash: hash.finish(), revision, keys: live.len(), size_bytes: root.size_bytes(), version })
    }

    fn fields(&self) -> [Field; 5] {
        let mut version = String::new();
        stdx::json::push_string(&mut version, &self.version);
        let keys = i64::try_from(self.keys).unwrap_or(i64::MAX);
        let size = i64::try_from(self.size_bytes).unwrap_or(i64::MAX);
        [
            Field {
                shown: format!("{:x}", self.hash),
                ..Field::number("hash", "Hash", "hash", i64::from(self.hash))
            },
            Field::number("revision", "Revision", "revision", self.revision),
            Field::number("totalKey", "Keys", "total keys", keys),
            Field {
                shown: size_text(self.size_bytes),
                ..Field::number("totalSize", "Size", "total size", size)
            },
            Field {
                json_name: "version",
                name: "Version",
                heading: "version",
                json: version,
                exact: self.version.clone(),
                shown: self.version.clone(),
            },
        ]
    }
}

/// Adds the key of a record to those alive, or takes it from them; returns the main revision.
fn count_record(key: &[u8], value: &[u8], live: &mut HashSet<Box<[u8]>>) -> Result<i64, Failure> {
    let malformed = || Failure::error(format!("record {} is malformed", stdx::hex::encode(key)));
    let (revision, is_tombstone) = Revision::from_key(key).ok_or_else(malformed)?;
    let record = RecordHead::parse(value).ok_or_else(malformed)?;
    if is_tombstone {
        live.remove(record.key);
    } else if !live.contains(record.key) {
        live.insert(record.key.into());
    }
    Ok(revision.main)
}

fn storage_version(root: &Root) -> Result<String, Failure> {
    let Some(meta) = root.bucket(Bucket::Meta.name().as_bytes()) else { return Ok(String::new()) };
    let Some(value) = meta.get(META_STORAGE_VERSION).map_err(Failure::error)? else {
        return Ok(String::new());
    };
    let text = String::from_utf8_lossy(&value);
    Ok(text.parse::<Version>().map_or_else(|_| String::new(), |version| version.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Compaction, sample};

    #[test]
    fn keys_that_are_deleted_do_not_count() {
        let status = Status::read(&sample(Compaction::None)).unwrap();
        assert_eq!((status.revision, status.keys, status.version.as_str()), (5, 1, "3.7.0"));
    }

    #[test]
    fn the_formats() {
        let status =
            Status { hash: 0x0438_570b, revision: 5, keys: 1, size_bytes: 20480, version: String::new() };
        let shown = |format| record(&status.fields(), format).unwrap();
        assert_eq!(shown(Format::Simple), "438570b, 5, 1, 20 kB, \n");
        assert_eq!(
            shown(Format::Json),
            "{\"hash\":70801163,\"revision\":5,\"totalKey\":1,\"totalSize\":20480,\"version\":\"\"}\n"
        );
        assert_eq!(
            shown(Format::Fields),
            "\"Hash\" : 70801163\n\"Revision\" : 5\n\"Keys\" : 1\n\"Size\" : 20480\n\"Version\" : \n"
        );
        assert_eq!(record(&status.fields(), Format::Protobuf).unwrap_err().code, 4);
    }
}
