//! Consensus without I/O: what to persist, what to send, what is committed. Values in, values out.
//!
//! Layer: above `proto` and `types`. It has no clock (the caller ticks), no randomness of its own (the caller gives a
//! seed) and no storage (the caller persists what [`Persist`] says and reports back). It behaves as Go's raft library
//! of etcd 3.7 does, message for message, so that members of both kinds can be in one cluster; where it differs on
//! purpose is written in `docs/decisions/0006-raft.md`, and a test compares the two step by step.
//!
//! The parts: [`Raft`] with the rules of terms (`raft.rs`), elections (`election.rs`), the leader's work
//! (`leader.rs`) and the follower's (`follower.rs`); the log and what of it is in memory (`log.rs`); the members and
//! what is known of each (`tracker.rs`, `progress.rs`); linearizable reads (`read_index.rs`).
//!
//! Order of one round: inputs change the state in memory. [`Raft::take_messages`] are messages that may leave at once.
//! [`Raft::take_persist`] is what must become durable; its [`Completion`] carries the answers that rest on it, a
//! leader's vote for itself and its own acknowledgements among them, so nothing counts before it is durable (contract
//! C3). Committed entries come out of [`Raft::take_committed`], in order, and only up to the locally durable index.
//!
//! Configurations are changed by one member at a time. Joint configurations have their place in the format and in
//! `tracker.rs`, and are refused: etcd never makes one.

mod bootstrap;
mod config;
pub mod describe;
mod election;
mod follower;
mod leader;
mod log;
mod message;
mod progress;
mod raft;
mod read_index;
mod tracker;

pub use bootstrap::{Peer, bootstrap};
pub use config::{Completion, Config, DiskRead, Error, Persist, ReadState, Restored, Role, Status};
pub use progress::{InflightLimits, Inflights, Progress, ProgressState};
pub use raft::Raft;
