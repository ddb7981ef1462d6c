//! The client API's rules: what a request must look like, how it becomes a proposal, how an outcome becomes a response.
//!
//! Layer: above `node`'s outcomes and `mvcc`'s errors, below the services. The only source of codes and texts that
//! clients see ([`error`]). It performs nothing: services call [`check`], hand over [`proposal()`], and encode with
//! [`Header`]. Order of checks of a write (contract C14): quota, fields, backlog, identity, size, propose.

pub mod check;
pub mod error;
mod proposal;
mod respond;
mod txn_message;

pub use apply::Identity;
pub use error::{ApiError, Code};
pub use proposal::{Command, proposal};
pub use respond::Header;
pub use txn_message::TxnMessage;
