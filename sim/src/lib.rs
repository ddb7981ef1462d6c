//! The simulator: whole members on a disk in memory, crashed wherever it hurts, from a seed.
//!
//! Layer: beside the shell, above all of core. It has no clock and no randomness of its own: everything that happens
//! follows from a seed, so that a failure is replayed by its number.
//!
//! [`crash`] runs a [`Workload`](crash::Workload) once and recovers from a crash after each of its disk operations, with
//! each kind of damage to what was not synced, or lets each of them fail; [`member`] is the workload that is a member
//! with clients. [`lives`] draws everything from a seed, limits, pace, load and the way each life of a member ends, and
//! starts it again on what is left.
//!
//! [`cluster`] is several members with a network between them.
//!
//! The first two rest on [`session`], in which every answer of a member is compared with [`model`], the key space by the book;
//! [`steps`] says which part of what was asked for a recovered member must hold, and [`audit`] looks at its files.

pub mod audit;
pub mod cluster;
pub mod crash;
pub mod history;
pub mod lives;
pub mod machine;
pub mod member;
pub mod model;
pub mod request;
pub mod session;
pub mod shape;
pub mod state;
pub mod steps;
pub mod traffic;
