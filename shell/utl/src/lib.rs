//! `etcdutl`: work on the files of a stopped member, and what both command-line tools share.
//!
//! Layer: shell. [`cli`] and [`format`] know nothing of etcd but the habits of its tools; `ctl` builds on them. The
//! commands open files read-only and never change them.

pub mod cli;
pub mod format;
