//! One running member in this process: assembles core and shell, drives them, stops them.
//!
//! Layer: the top of the shell's library part. [`start`] binds the listeners, boots the data directory and starts the
//! threads; [`Running`] awaits readiness and stops in order.
//!
//! Threads (contract C12): one drives the member, with the log's syncs inline, so that a put of one client costs one sync
//! and two hand-overs; one drives the backend's writer; N serve the network and read views. They meet in
//! [`v3rpc::Member`] and in the mailboxes of the net threads.

mod backend_thread;
mod from_config;
mod member_thread;
mod options;
mod program;
mod running;

pub use from_config::options as options_from;
pub use options::{Address, Options};
pub use program::run as run_program;
pub use running::{Ended, Running, StartError, start};
