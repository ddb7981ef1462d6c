//! The server side of gRPC and HTTP/1 on one port, on threads that share nothing.
//!
//! Layer: shell. It moves bytes and decides nothing: what a method does is a closure in [`Services`].
//!
//! * [`NetPool`]: N threads, each with a single-threaded runtime. A connection belongs to one thread for its life, so
//!   nothing on the way of a request is shared or locked (contract C12). Sockets are handed out in turn.
//! * One port (contract C25): the first 24 bytes decide. The HTTP/2 preface means gRPC, anything else HTTP/1.
//! * A unary call whose handler does not wait is answered inside the poll that read it; one that waits becomes one task.
//!   Responses of one poll leave in one write (`wire`).
//! * [`Outbox`] collects what the handlers of a thread send to another one, [`Mailbox`] takes it there with one lock and
//!   one wake-up and brings completions back likewise, [`Waiters`] gives each to its handler.
//! * Floods are bounded by rate (contract C11): `meter` reads the frame headers that pass by.
//!
//! The framing is gRPC over HTTP/2; codes, texts and header rules are those that grpc-go 1.83 sends, because clients
//! compare them. A request that is compressed with gzip is answered with gzip. Streaming methods can be registered and
//! answer UNIMPLEMENTED so far.
//!
//! It must never block a net thread, and never allocate what a peer merely announces.

mod activity;
mod call;
mod connection;
mod drain;
mod error;
mod frame;
mod gzip;
mod http1;
mod http2;
mod keepalive;
mod listen;
mod mailbox;
mod meter;
mod outbox;
mod pool;
mod scanner;
mod services;
mod status;
mod timeout;
mod waiters;
mod wire;

pub use connection::{Limits, Protocols, serve_connection};
pub use drain::{Drain, Phase};
pub use error::Error;
pub use frame::{Frame, Response};
pub use http1::{HttpRequest, HttpResponse, text_error};
pub use listen::{Listener, SocketOptions};
pub use mailbox::{Mailbox, MailboxReceiver, Received, mailbox};
pub use outbox::Outbox;
pub use pool::{Counters, Draining, NetPool, Server};
pub use services::{Context, LocalFuture, MethodStats, Peer, Services};
pub use status::{Code, Status};
pub use waiters::{Ticket, Waiters, Waiting};
