//! The write-ahead log: etcd's segments, byte for byte.
//!
//! Layer: above `proto`, `types` and `vfs`. What consensus must not lose goes through here: entries, hard states
//! and the snapshots they start from. It never decides what to write, and never retries: after one failed or
//! uncertain write or sync every later call fails ([`Error::Poisoned`]).
//!
//! **Format** (etcd 3.4 to 3.7, `docs/formats/wal.md 1 to 3`): segments `<sequence>-<index>.wal`, each a run of
//! frames. A frame is a length word, a [`proto::walpb::Record`] and padding to eight bytes; `frame` and `record`
//! hold these. One running CRC-32C covers the data of all records, across segments; it does not cover a record's
//! type, so a damaged type is found only where what follows makes no sense. Zero bytes after the last frame are
//! space reserved for later.
//!
//! **Writing.** One call is one write, then at most one sync: [`Wal::save`] syncs iff there are entries or term or
//! vote changed, as in etcd; a commit index alone waits for the next sync. Unlike etcd nothing is held back in a
//! buffer. Past [`Options::segment_size_bytes`] the log goes on in a new segment, which gets its final name only
//! when its first records are durable.
//!
//! **Reading.** [`Wal::open`] is one pass. A frame that a crash cut short at the end of the last segment is dropped
//! after a copy of the file was kept (`.broken`); everything else that does not fit is [`Error::Corrupt`].
//! Whatever follows the last frame is erased durably before the first new write, so that old bytes can never
//! complete a new frame.
//!
//! Contracts: C1 (split-phase), C2 (order of state and snapshot records), C3 (what is durable when `save` returns).

mod error;
mod frame;
mod read_back;
mod reader;
mod record;
mod repair;
mod replay;
mod segment;
mod writer;

pub use error::{Error, Result};
pub use read_back::{Wanted, read_back};
pub use replay::{Replay, TornTail, read_only, valid_snapshots};
pub use segment::{SegmentName, exists, segments};
pub use writer::{DEFAULT_SEGMENT_SIZE_BYTES, Options, Wal};
