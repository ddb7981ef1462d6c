//! Consensus without I/O: what to persist, what to send, what is committed. Values in, values out.
//!
//! Layer: above `proto` and `types`. It has no clock (the caller ticks), no randomness of its own (the caller gives a
//! seed) and no storage (the caller persists what [`Ready`] says and reports back).
//!
//! Today it holds a **sole voter**: a configuration of one. The interface is the one that elections, replication and
//! membership changes will fill; anything that needs a second voter is refused by [`Error`].
//!
//! Order of one round: proposals are appended in memory; [`Raft::ready`] hands out what is new as one [`Persist`];
//! when that is durable the caller hands its `messages` on, those to the member itself into [`Raft::step`]. A
//! leader's own vote and its own acknowledgement are such messages, so nothing counts before it is durable
//! (contract C3). Committed entries come out in order and only up to the locally durable index.

mod sole;

pub use sole::{Config, Error, Persist, Raft, Ready, Restored, Role, Status};
