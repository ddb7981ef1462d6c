//! `etcdutl`: work on the files of a stopped member, and what both command-line tools share.
//!
//! Layer: shell. [`cli`] and [`mod@format`] know nothing of etcd but the habits of its tools; `ctl` builds on them. The
//! commands open database files for reading only and never change them, where the original writes to what it hashes.

pub mod cli;
mod database;
pub mod format;
mod hashkv;
mod print;
#[cfg(test)]
mod sample;
mod status;
mod tree;
mod version;

pub use status::status as snapshot_status;

use std::process::ExitCode;

/// Runs the command that the arguments of this process ask for.
pub fn main() -> ExitCode {
    cli::perform(cli::resolve(&tree::PROGRAM, cli::process_args()))
}
