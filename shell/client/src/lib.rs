//! The client library: a connection to a cluster, and the calls that the command line makes.
//!
//! Layer: shell, above `proto`. Runs on any tokio runtime, a single-threaded one included.
//!
//! A [`Client`] connects when the first call is made: it dials every endpoint at once and keeps the first that answers,
//! trying again until the call's time is up. Reads are sent again when the server becomes unreachable; writes only as
//! long as nothing was sent. Connections are plain text: TLS, authentication, watches and leases are still missing.

mod client;
mod endpoint;
mod error;

pub use client::{Client, Config};
pub use endpoint::Endpoint;
pub use error::{Error, Result, code_name};
/// The status codes of gRPC, as [`Error::Status`] carries them.
pub use tonic::Code;
