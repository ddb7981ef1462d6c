//! The file format of bbolt: a B+tree of named buckets in one file of pages, copied on write.
//!
//! Layer: above `vfs`. [`Db`] is the one writer of a file (contract C6); [`Root`] is an immutable committed state that
//! any number of readers hold and read without locks; [`Batch`] is what a commit merges into the tree.
//!
//! **Format.** Pages 0 and 1 hold the meta of the two newest transactions, each guarded by a checksum; the valid one
//! with the higher transaction id counts. All other pages belong to a tree (branch and leaf pages, an element too
//! large for its page overflows into pages behind it), to a stored list of free pages, or are free. The root tree
//! maps bucket names to the roots of their trees; a small bucket lies inline in its descriptor. We never store a list
//! of free pages: as in etcd it is found again when the file is opened, in the same pass that hands every pair to the
//! caller (contract C22).
//!
//! **A commit** merges a sorted batch into the tree from the leaves up. Every page it changes gets a new place; the old
//! page is reused once neither a [`Root`] that someone holds nor the meta that a crash may fall back to can reach it.
//! New pages are durable before the meta that points at them is written (contract C1).
//!
//! **Never trusted:** the bytes of a file. Offsets, counts, page ids and depths are checked where they are used, and a
//! walk visits no page twice, so a damaged file is an error and never a panic, a hang or an unbounded allocation
//! (contract C18).
//!
//! Not supported, since etcd has none: buckets in buckets, and plain keys in the root.

mod arena;
mod batch;
mod cursor;
mod db;
mod error;
mod format;
mod freelist;
mod image;
mod output;
mod page;
mod root;
mod space;
mod update;
mod walk;

pub use batch::Batch;
pub use cursor::Cursor;
pub use db::{Db, Options, Stats, Visit};
pub use error::{Error, Result};
pub use format::{MAX_KEY_LEN, MAX_VALUE_LEN, PageId, TxId};
pub use image::Image;
pub use page::Value;
pub use root::{Bucket, Report, Root};
