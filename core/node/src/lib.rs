//! One member without I/O: values in, values out.
//!
//! Layer: the top of core's machinery. [`boot`](boot::boot) reads a data directory and makes a [`Member`] and a
//! [`backend::Writer`]; from then on everything is [`Member::handle`] with an [`Input`] and [`Member::poll_output`].
//!
//! Three stages, each a state machine, none a thread (contract C12): *consensus* ([`raft::Raft`]), *log*
//! (`log.rs`: segments and .snap files) and *apply* (`apply_stage.rs`). A shell may drive all of them
//! from one thread, as it does for a sole voter, where a put then costs one sync and no hand-over inside the member.
//! The fourth machine, the backend's writer, is driven on its own because its syncs must not hold up the log.
//!
//! The way of a proposal: [`Input::Propose`] appends it in consensus; when the log is idle everything that queued
//! becomes one batch and one [`Output::PerformLog`]; its completion commits the batch; apply changes the state, then
//! [`Output::Publish`] shows it and [`Output::Replies`] answers, in this order (contract C5).

mod apply_stage;
pub mod boot;
mod duties;
mod io;
mod log;
mod member;
mod reads;
mod restore;
mod transfer;

pub use boot::{BootConfig, BootError, BootInfo, Booted, Joining, boot};
pub use io::{BackendEvent, Failure, Input, OutgoingSnapshot, Output, Reply, Settings, Timing, View};
pub use log::Retention;
pub use member::Member;
