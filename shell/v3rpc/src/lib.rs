//! The gRPC services: each method is a thin `async fn` over `api`.
//!
//! Layer: shell, above `grpc`, `api` and `node`. A handler decodes nothing itself and decides nothing: it asks
//! [`api::check`], proposes through [`Local`], or reads the newest [`node::View`], and encodes the answer. Reads go on in
//! bounded steps and give way to others in between (contract C9).
//!
//! [`Member`] is what all threads share; [`Local`] is one net thread's access to it.

mod cluster;
#[cfg(test)]
mod harness;
mod health;
mod kv;
mod local;
mod maintenance;
mod member;
mod reading;
mod register;
mod unimplemented;

pub use local::{Completion, Local};
pub use member::{Limits, Member, Proposer, ToNode};
pub use register::register;
