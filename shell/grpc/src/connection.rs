//! One accepted connection: its first bytes decide what it speaks (contract C25).

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use crate::drain::{Drain, Follower, Phase};
use crate::http1;
use crate::http2::{self, PREFACE};
use crate::pool::Counters;
use crate::services::{Peer, Services};

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocols {
    /// HTTP/2 is gRPC, HTTP/1 is HTTP.
    Both,
    /// gRPC only, as client listeners beside `--listen-client-http-urls`.
    GrpcOnly,
    /// HTTP/1 only.
    HttpOnly,
}

/// Bounds of one server.
#[derive(Clone, Debug)]
pub struct Limits {
    /// What the listeners speak.
    pub protocols: Protocols,
    /// Largest request message, in bytes: `--max-request-bytes` and 512 KiB.
    pub message_received_max: usize,
    /// Calls in flight on one connection; `u32::MAX` is no limit and not announced.
    pub concurrent_streams_max: u32,
    /// Least time between pings of a client that has calls in flight.
    pub ping_interval_min: Duration,
    /// Silence after which a client is asked whether it is there.
    pub keepalive_interval: Duration,
    /// How long it may take to answer, and how long it may take none of the bytes that wait for it.
    pub keepalive_timeout: Duration,
    /// How long a connection may take to say what it speaks.
    pub first_bytes_timeout: Duration,
    /// How long an HTTP/1 request's head may take.
    pub read_header_timeout: Duration,
    /// Connections of one thread that have not yet said what they speak.
    pub undecided_max: usize,
    /// Bytes of incomplete requests that all connections of the server may hold; more are RESOURCE_EXHAUSTED.
    pub partial_bytes_max: usize,
}

impl Default for Limits {
    /// The defaults of etcd 3.7.1, where it has one.
    fn default() -> Self {
        Limits {
            protocols: Protocols::Both,
            message_received_max: 1_572_864 + 512 * 1024,
            concurrent_streams_max: u32::MAX,
            ping_interval_min: Duration::from_secs(5),
            keepalive_interval: Duration::from_secs(2 * 60 * 60),
            keepalive_timeout: Duration::from_secs(20),
            first_bytes_timeout: Duration::from_secs(10),
            read_header_timeout: Duration::from_secs(5 * 60),
            undecided_max: 4096,
            partial_bytes_max: 1 << 30,
        }
    }
}

/// Serves one connection to its end, on a [`tokio::runtime::LocalRuntime`] or inside a [`tokio::task::LocalSet`].
pub async fn serve_connection<IO: AsyncRead + AsyncWrite + Unpin + 'static>(
    io: IO,
    services: Rc<Services>,
    limits: &Limits,
    peer: Rc<Peer>,
    drain: &Drain,
) {
    serve_counted(io, services, limits, peer, drain.follow(), Arc::default(), ()).await;
}

/// As [`serve_connection`], of the server that `counters` belong to; `undecided` is dropped when it is known what the
/// connection speaks.
pub(crate) async fn serve_counted<IO: AsyncRead + AsyncWrite + Unpin + 'static, G>(
    mut io: IO,
    services: Rc<Services>,
    limits: &Limits,
    peer: Rc<Peer>,
    follower: Follower,
    counters: Arc<Counters>,
    undecided: G,
) {
    let first = tokio::select! {
        biased;
        first = tokio::time::timeout(limits.first_bytes_timeout, first_bytes(&mut io)) => first,
        () = follower.stopping() => return,
    };
    drop(undecided);
    if follower.phase() == Phase::Closing {
        return;
    }
    match (first, limits.protocols) {
        (Ok(Ok(First::Http2)), Protocols::Both | Protocols::GrpcOnly) => {
            http2::serve(io, services, limits, peer, follower, counters).await;
        }
        (Ok(Ok(First::Http1(bytes))), Protocols::Both | Protocols::HttpOnly) if !bytes.is_empty() => {
            http1::serve(io, bytes, services, limits, peer, follower).await;
        }
        (first, _) => tracing::debug!(peer = ?peer.address, ?first, "connection speaks nothing we serve"),
    }
}

/// What a connection speaks.
#[derive(Debug)]
enum First {
    Http2,
    /// Not HTTP/2; these bytes were read. None at all if the client hung up.
    Http1(Vec<u8>),
}

/// Reads until it is clear whether the client speaks HTTP/2, and not one byte further than the preface.
async fn first_bytes(io: &mut (impl AsyncRead + Unpin)) -> io::Result<First> {
    let mut bytes = [0; PREFACE.len()];
    let mut count = 0;
    while count < bytes.len() {
        let read = io.read(&mut bytes[count..]).await?;
        count += read;
        if read == 0 || !PREFACE.starts_with(&bytes[..count]) {
            return Ok(First::Http1(bytes[..count].to_vec()));
        }
    }
    Ok(First::Http2)
}
