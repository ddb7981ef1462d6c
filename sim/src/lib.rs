//! The simulator: whole members on a disk in memory, crashed wherever it hurts, from a seed.
//!
//! Layer: beside the shell, above all of core. It has no clock and no randomness of its own: everything that happens
//! follows from a seed, so that a failure is replayed by its number. [`crash`] runs a workload once and recovers from
//! a crash after each of its disk operations, with each kind of damage to what was not synced.

pub mod crash;
pub mod history;
