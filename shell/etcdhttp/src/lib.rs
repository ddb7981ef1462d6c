//! Plain HTTP beside gRPC: health and version for operators, the peer listener's endpoints that need no stream.
//!
//! Layer: shell. Answers from the newest view; decides nothing. Source: `docs/formats/http.md`; all else answers 404
//! and is listed in docs/compat.md.

mod client;
mod cors;
mod peer;
mod reply;

pub use client::handle as handle_client;
pub use cors::Cors;
pub use peer::handle as handle_peer;
