//! Snapshot files: etcd's `.snap`, and the names of the others in the same directory.
//!
//! Layer: above `proto`, `types` and `vfs`. A `.snap` file holds a [`raftpb::Snapshot`]: configuration, index, term,
//! and as data the dump of etcd's second-API store, in which releases up to 3.6 keep the membership. This crate
//! neither makes nor reads that dump.
//!
//! **Format** (3.4 to 3.7, `docs/formats/snap.md 1 to 3`): `<term>-<index>.snap`, both 16 hexadecimal digits, is a
//! message of a CRC-32C and the encoded snapshot. A file that does not check out is renamed to `<name>.broken`.
//! A file counts only if the write-ahead log has a SNAPSHOT record of the same term and index.
//!
//! Beside them lie `<index>.snap.db`, a backend received from a leader and not yet installed, and temporary files.
//!
//! Contract C2: [`save`] is step 3 of a local snapshot, durable when it returns.

mod directory;
mod error;
mod file;

pub use directory::{SnapshotName, database_name, purge, remove_databases_below, remove_temporaries};
pub use error::{Error, Result};
pub use file::{Broken, Loaded, load, load_newest_available, save};

#[cfg(doc)]
use proto::raftpb;
