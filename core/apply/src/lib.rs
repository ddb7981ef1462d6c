//! The replicated state machine: takes committed entries in order, changes the state, answers.
//!
//! Layer: above `mvcc` and `membership`. One file per kind of request. What an entry does depends on the entry and on
//! replicated state alone; the few exceptions are named where they occur (contract C23): the quota check, whose result
//! changes an answer and never the state.
//!
//! [`Applier::apply`] never waits for the disk: effects go into the backend buffer together with the consistent index
//! (contract C5), and [`Applier::publish`] makes them visible. Three families of outcome are kept apart: a [`Refusal`]
//! is a result, the same on every member; an [`Error`] means that this member cannot go on and stops it; a bug panics.

mod access;
mod alarm;
mod answer;
mod applier;
mod cluster;
mod compact;
mod compare;
mod entry;
mod inspect;
mod kv;
mod lease;
mod nested;
mod quota;
mod read_txn;
mod rope;
mod txn;

pub use access::{Access, Auth, Identity};
pub use alarm::{Alarm, AlarmKind};
pub use answer::{Answer, Refusal, Reply};
pub use applier::{Applier, Effect, Options, Restored, View};
pub use entry::{Payload, decode_payload};
pub use inspect::Inspection;
pub use lease::Leases;
pub use nested::{NestedError, TXN_LEVELS_MAX, TxnEncoder, merge_txn_field};
pub use quota::{Quota, put_cost, txn_cost};
pub use read_txn::{ReadTxn, read_txn};

/// Why a member cannot go on applying.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Records or the file below them.
    #[error(transparent)]
    Mvcc(#[from] mvcc::Error),
    /// The entry is not one that this release can apply.
    #[error("cannot apply entry {index}: {reason}")]
    UnknownEntry {
        /// Index of the entry.
        index: types::LogIndex,
        /// What is wrong with it.
        reason: String,
    },
}

/// `Result` of this crate.
pub type Result<T> = std::result::Result<T, Error>;
